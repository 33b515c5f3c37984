//! Slabs: objects of one length beside each other, in slots that bits say are taken.
//!
//! It is what `pagestone-slab` stands on; most programs want that crate.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    class::GRAIN,
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    follow::LOOKS,
    id::BlockId,
    layout::SlabHeader,
    parts::{PARTS, exists, first_of, part_len, part_of},
    pin::Pin,
    region::lifecycle::{self, Keeper},
    shared::Shared,
    slabs::{Geometry, INDEX_BITS, SLOT_BITS, SLOTS_MAX, TURN_BITS},
    store::Store,
    word::{TOMBSTONE, Word},
    writer::Writer,
};

/// Ids whose objects are fetched together.
const BATCH: usize = 32;
/// Bits of a slot's generation in its id.
const GENERATION_BITS: u32 = 8;

/// The slabs of a name in a [`RegionFile`]; clones are views of the same slabs.
///
/// A slab is a region with slots for objects of one length, a bit for each that says whether it is
/// taken, and a generation for each. Reads take a [`Pin`] and no lock; changes take the
/// [`Writer`]. Objects are not changed where they lie: a new content is a new object.
///
/// A slot that was emptied is used again after the next commit, when nobody looks any more.
#[derive(Debug, Clone)]
pub struct Slabs {
    file: RegionFile,
    store: Arc<Store>,
}

/// What a slab is made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlabShape {
    /// Bytes of each object, at least 1.
    pub object_len: u32,
    /// Slots, 1 to 2^20.
    pub slots: u32,
    /// Whether each slot counts how often it was used, a byte more, so that the id of an object
    /// that was removed is refused. Without, it may name the next object in its slot.
    pub generations: bool,
    /// Bits of the caller, for telling slabs apart.
    pub mark: u64,
}

/// Names a slot of a slab, and which of its objects is meant, for as long as that is there.
///
/// Opaque: which slab, which slot, how often both were used. No id has the bits 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u64);

/// One slab. Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlabFacts {
    /// Names it until it is released; see [`SlotId::slab`].
    pub slab: u64,
    /// What it was made as.
    pub shape: SlabShape,
    /// Where its region starts in the file.
    pub offset: u64,
    /// The length of its region.
    pub len: u64,
}

impl SlotId {
    #[inline]
    pub(crate) const fn new(slab: u64, slot: u32, generation: u8) -> Self {
        Self(
            slab << (SLOT_BITS + GENERATION_BITS)
                | (slot as u64) << GENERATION_BITS
                | generation as u64,
        )
    }

    /// Names the object in a slot of a slab without generations.
    #[inline]
    #[must_use]
    pub const fn without_generation(slab: u64, slot: u32) -> Self {
        Self::new(slab, slot & (SLOTS_MAX - 1), 1)
    }

    /// Returns the 64 bits to store.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Takes stored bits back; whether they name an object shows when it is asked for.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The slab, as [`SlabFacts::slab`] has it.
    #[inline]
    #[must_use]
    pub const fn slab(self) -> u64 {
        self.0 >> (SLOT_BITS + GENERATION_BITS)
    }

    /// The slot in its slab.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "masked to fewer bits")]
        {
            (self.0 >> GENERATION_BITS) as u32 & (SLOTS_MAX - 1)
        }
    }

    #[inline]
    pub(crate) const fn generation(self) -> u8 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
        {
            self.0 as u8
        }
    }
}

/// The number of a slab: its index and, in the low bits, which of its turns it is.
#[inline]
pub(crate) const fn slab_number(id: BlockId) -> u64 {
    id.index() << TURN_BITS | id.generation() as u64 & ((1 << TURN_BITS) - 1)
}

/// The index of a slab by its number.
#[inline]
pub(crate) const fn index_of(slab: u64) -> u64 {
    slab >> TURN_BITS & ((1 << INDEX_BITS) - 1)
}

/// A slab as a reader found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeenSlab {
    pub(crate) id: BlockId,
    pub(crate) geometry: Geometry,
    /// The word that names it, and which of its pair that is.
    word: Word,
    pub(crate) which: usize,
    pair: u64,
}

impl Shared {
    /// The slab of an index, as this file's readers see it.
    #[inline]
    pub(crate) fn slab_of(&self, store: &Store, index: u64) -> Option<SeenSlab> {
        let at = store.parts.quick(index);
        for _ in 0..LOOKS {
            let word = self.select(at);
            let pair = self.pair(at);
            let which = pair.0.iter().position(|other| *other == word);
            let seen = which.filter(|_| !word.is_empty()).and_then(|which| {
                let (id, geometry) = self.slab_at(word)?;
                let right = id.index() == index;
                right.then_some(SeenSlab { id, geometry, word, which, pair: at })
            });
            if seen.is_some() || self.select(at) == word && !self.scan_if_behind() {
                return seen;
            }
        }
        None
    }

    /// The slab that a word names.
    #[inline]
    pub(crate) fn slab_at(&self, word: Word) -> Option<(BlockId, Geometry)> {
        let (at, room) = self.slab_place(word)?;
        let [id, second] = self.raw.load_pair(at, Ordering::Relaxed)?;
        let third = self.raw.load(at + 16, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
        let (object_len, slots, flags) = (second as u32, (second >> 32) as u32, third as u32);
        let geometry = Geometry::from_parts((at, room), (object_len, slots, flags))?;
        Some((BlockId::from_bits(id), geometry))
    }

    pub(crate) fn slab_header(&self, at: u64) -> SlabHeader {
        let words: [u64; 8] =
            std::array::from_fn(|nth| self.raw.load(at + 8 * nth as u64, Ordering::Relaxed));
        zerocopy::transmute!(words.map(u64::to_le))
    }

    /// Whether the bit of a slot is set.
    #[inline]
    pub(crate) fn slot_bit(&self, (geometry, which): (&Geometry, usize), slot: u32) -> bool {
        let at = geometry.bitmap(which) + u64::from(slot / 64) * 8;
        // What was stored before the bit is seen after it.
        self.raw.load(at, Ordering::Acquire) >> (slot % 64) & 1 == 1
    }

    /// The generation of a slot; 1 where the slab has none.
    #[inline]
    pub(crate) fn slot_generation(&self, geometry: &Geometry, slot: u32) -> u8 {
        if !geometry.generations {
            return 1;
        }
        let at = geometry.generations() + u64::from(slot / 8) * 8;
        let word = self.raw.load(at, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "one of eight bytes")]
        {
            (word >> (8 * (slot % 8))) as u8
        }
    }
}

impl Slabs {
    pub(crate) fn new(file: &RegionFile, store: Arc<Store>) -> Self {
        Self { file: file.clone(), store }
    }

    pub(crate) fn known(file: &RegionFile, name: &str) -> Result<Option<Self>> {
        let Some(store) = file.known_store(name) else { return Ok(None) };
        if !store.has_slabs() {
            let what = format!("store {name:?} has no slabs");
            return Err(Error::refused(ErrorKind::InvalidArgument, file.path(), what));
        }
        Ok(Some(Self::new(file, store)))
    }

    /// Returns the file that the slabs are in.
    #[inline]
    #[must_use]
    pub fn file(&self) -> &RegionFile {
        &self.file
    }

    /// How many changes this open of the file has made: who keeps a table of objects
    /// sees whether others made some.
    #[inline]
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.store.changes()
    }

    /// Counts a change of something else that belongs to the objects, so that who keeps a table of
    /// them looks again.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a writer of another file.
    pub fn count_change(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.check(self.shared())?;
        self.store.count_change();
        Ok(())
    }

    #[inline]
    fn shared(&self) -> &Shared {
        &self.file.shared
    }

    #[inline]
    fn check(&self, pin: &Pin<'_>) -> Result<()> {
        if std::ptr::eq(pin.shared(), self.shared()) {
            return Ok(());
        }
        let what = "the pin is of another file";
        Err(Error::refused(ErrorKind::InvalidArgument, self.shared().path(), what))
    }

    /// Borrows an object, for as long as the pin lives.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt` where slot and slab contradict each other; `InvalidArgument` for a pin
    /// of another file.
    #[inline]
    pub fn get<'p>(&self, pin: &'p Pin<'_>, id: SlotId) -> Result<&'p [u8]> {
        self.check(pin)?;
        let shared = self.shared();
        for _ in 0..LOOKS {
            let Some(seen) = shared.slab_of(&self.store, index_of(id.slab())) else { break };
            let (geometry, slot) = (&seen.geometry, id.slot());
            if slab_number(seen.id) != id.slab() || geometry.slots <= u64::from(slot) {
                break;
            }
            let there = shared.slot_bit((geometry, seen.which), slot)
                && shared.slot_generation(geometry, slot) == id.generation();
            // With a writer in another process the bits may be those of two commits later.
            let settled =
                there && shared.follower.is_none() || shared.select(seen.pair) == seen.word;
            if there && settled {
                let place = (geometry.object(slot), usize::try_from(geometry.object_len)?);
                return Ok(lifecycle::stored(&pin.shared().raw, Keeper::pin(pin.place()), place));
            }
            if settled {
                break;
            }
        }
        Err(self.no_object(id))
    }

    /// Shows many objects to `each`, with their places in `ids`, in order.
    ///
    /// Bits, generations and objects are fetched from memory for 32 ids together, where
    /// [`get`](Self::get) waits for each: faster where they are not in the processor's caches.
    pub fn get_many<'p>(
        &self,
        pin: &'p Pin<'_>,
        ids: &[SlotId],
        mut each: impl FnMut(usize, Result<&'p [u8]>),
    ) {
        for (batch, ids) in ids.chunks(BATCH).enumerate() {
            for id in ids {
                self.prefetch(*id);
            }
            for (place, id) in ids.iter().enumerate() {
                each(batch * BATCH + place, self.get(pin, *id));
            }
        }
    }

    /// Asks the processor for what a get of this id looks at.
    #[inline]
    fn prefetch(&self, id: SlotId) {
        let shared = self.shared();
        let Some(seen) = shared.slab_of(&self.store, index_of(id.slab())) else { return };
        let (geometry, slot) = (&seen.geometry, id.slot());
        if u64::from(slot) < geometry.slots {
            shared.raw.prefetch(geometry.object(slot));
            shared.raw.prefetch(geometry.bitmap(seen.which) + u64::from(slot / 8));
            shared.raw.prefetch(geometry.generations() + u64::from(slot));
        }
    }

    #[cold]
    fn no_object(&self, id: SlotId) -> Error {
        let shared = self.shared();
        if let Some(trouble) = shared.trouble() {
            return trouble;
        }
        let index = index_of(id.slab());
        let word = shared.select(self.store.parts.quick(index));
        let dead = word.is_empty() || word.class() == TOMBSTONE || !exists(index);
        if !dead && shared.slab_of(&self.store, index).is_none() {
            return Error::corrupt(shared.path(), ("slab", word.body() * GRAIN), index, word.0);
        }
        let id = BlockId::from_bits(id.to_bits());
        Error::stale(shared.path(), id, "no object in that slot, or another one by now")
    }

    /// Whether the id names an object.
    #[must_use]
    pub fn contains(&self, pin: &Pin<'_>, id: SlotId) -> bool {
        self.get(pin, id).is_ok()
    }

    /// The slabs there are, in the order of their indices.
    ///
    /// # Errors
    ///
    /// `Corrupt`, for a slot of the table that names no slab; `InvalidArgument` for a pin of
    /// another file.
    pub fn list(&self, pin: &Pin<'_>) -> Result<Vec<SlabFacts>> {
        self.check(pin)?;
        let mut found = Vec::new();
        for part in (0..PARTS).filter(|part| self.store.parts.has(*part)) {
            let first = first_of(part);
            for index in (first..first + part_len(part) / 16).filter(|index| exists(*index)) {
                debug_assert_eq!(part_of(index), part);
                let at = self.store.parts.quick(index);
                let word = self.shared().select(at);
                if word.is_empty() || word.class() == TOMBSTONE {
                    continue;
                }
                let Some(seen) = self.shared().slab_of(&self.store, index) else {
                    return Err(Error::corrupt(self.shared().path(), ("slab", at), index, word.0));
                };
                found.push(self.facts_of(&seen));
            }
        }
        Ok(found)
    }

    fn facts_of(&self, seen: &SeenSlab) -> SlabFacts {
        let header = self.shared().slab_header(seen.geometry.at);
        let room = self.shared().slab_place(seen.word).map_or(0, |(_, room)| room);
        let shape = SlabShape {
            object_len: header.object_len.get(),
            slots: header.slots.get(),
            generations: seen.geometry.generations,
            mark: header.mark.get(),
        };
        let offset = seen.geometry.at - crate::layout::REGION_HEADER;
        let len = room + crate::layout::REGION_HEADER;
        SlabFacts { slab: slab_number(seen.id), shape, offset, len }
    }

    /// The ids of the objects of a slab, lowest slot first, each 64 slots as they are when they
    /// are reached; none where there is no such slab.
    pub fn ids<'p>(&'p self, pin: &'p Pin<'_>, slab: u64) -> impl Iterator<Item = SlotId> + 'p {
        let shared = self.shared();
        self.places(pin, slab).map(move |(slot, geometry)| {
            SlotId::new(slab, slot, shared.slot_generation(&geometry, slot))
        })
    }

    /// The objects of a slab with their ids, as [`ids`](Self::ids) finds them; cheaper than a get
    /// of each.
    pub fn objects<'p>(
        &'p self,
        pin: &'p Pin<'_>,
        slab: u64,
    ) -> impl Iterator<Item = (SlotId, &'p [u8])> + 'p {
        let shared = self.shared();
        let places = self.places(pin, slab);
        places.filter_map(move |(slot, geometry)| {
            let place = (geometry.object(slot), usize::try_from(geometry.object_len).ok()?);
            let object = lifecycle::stored(&shared.raw, Keeper::pin(pin.place()), place);
            Some((SlotId::new(slab, slot, shared.slot_generation(&geometry, slot)), object))
        })
    }

    /// The slots of a slab that have objects.
    fn places<'p>(
        &'p self,
        pin: &'p Pin<'_>,
        slab: u64,
    ) -> impl Iterator<Item = (u32, Geometry)> + 'p {
        let seen = self.check(pin).ok();
        let seen = seen.and_then(|()| self.shared().slab_of(&self.store, index_of(slab)));
        let seen = seen.filter(|seen| slab_number(seen.id) == slab);
        let slots = seen.map_or(0, |seen| seen.geometry.slots);
        let groups = (0..slots.div_ceil(64)).map(|group| u32::try_from(group * 64).unwrap_or(0));
        groups.flat_map(move |first| {
            let found = self.bits_at(slab, first);
            let mut bits = found.map_or(0, |(bits, geometry)| {
                let left = geometry.slots.saturating_sub(first.into());
                if left < 64 { bits & ((1 << left) - 1) } else { bits }
            });
            std::iter::from_fn(move || {
                let (_, geometry) = found?;
                let slot = (bits != 0).then(|| first + bits.trailing_zeros())?;
                bits &= bits - 1;
                Some((slot, geometry))
            })
        })
    }

    /// The bits of 64 slots of one state.
    fn bits_at(&self, slab: u64, first: u32) -> Option<(u64, Geometry)> {
        for _ in 0..LOOKS {
            let seen = self.shared().slab_of(&self.store, index_of(slab));
            let Some(seen) = seen.filter(|seen| slab_number(seen.id) == slab) else { break };
            let at = seen.geometry.bitmap(seen.which) + u64::from(first / 64) * 8;
            let bits = self.shared().raw.load(at, Ordering::Acquire);
            if self.shared().select(seen.pair) == seen.word {
                return Some((bits, seen.geometry));
            }
        }
        None
    }

    /// Makes a slab; returns its number. The file grows by its length.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a shape without slots or bytes, or beyond 2^20 slots or 1 GiB;
    /// `OutOfSpace`, with nothing changed; as [`Heap::allocate_from`](crate::Heap::allocate_from).
    pub fn create(&self, writer: &mut Writer<'_>, shape: SlabShape) -> Result<u64> {
        writer.check(self.shared())?;
        writer.engine().make_slab(&self.store, shape)
    }

    /// Gives a slab back, with whatever is in it; its number is not used again.
    ///
    /// # Errors
    ///
    /// `StaleId` for a slab that is not there; as `create`.
    pub fn release(&self, writer: &mut Writer<'_>, slab: u64) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().release_slab(&self.store, slab)
    }

    /// Puts an object into the lowest free slot of a slab; `None` where no slot is free.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for another length than the slab's; `StaleId` for a slab that is not
    /// there; as `create`.
    pub fn add(&self, writer: &mut Writer<'_>, slab: u64, bytes: &[u8]) -> Result<Option<SlotId>> {
        writer.check(self.shared())?;
        writer.engine().add_object(&self.store, slab, bytes)
    }

    /// Removes an object; its id is refused from here on.
    ///
    /// # Errors
    ///
    /// `StaleId`, also for one that was removed already; as `create`.
    pub fn remove(&self, writer: &mut Writer<'_>, id: SlotId) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().remove_object(&self.store, id)
    }

    /// Objects in a slab, and slots that one can be put into now. Slots that wait for a commit or
    /// for readers are neither.
    ///
    /// # Errors
    ///
    /// `StaleId` for a slab that is not there.
    pub fn room(&self, writer: &mut Writer<'_>, slab: u64) -> Result<(u64, u64)> {
        writer.check(self.shared())?;
        writer.engine().slab_room(&self.store, slab)
    }
}
