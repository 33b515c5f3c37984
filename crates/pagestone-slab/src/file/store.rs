//! Byte objects by id in a region file.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pagestone_heap::{BlockId, Heap, Pin, RegionFile, SlabFacts, Slabs, SlotId, Writer};

use super::known::{Pools, Slots, corrupt, read_mark, read_shape};
use crate::{
    class::{Class, EXACT_MAX, Form},
    error::{Error, ErrorKind, Result},
    growth::Growth,
    stats::PoolStats,
};

/// Bytes before an object that may be shorter than its slot: its length less 1.
const LENGTH: usize = 2;
/// Bytes of a slot that has the id of a block; no other slot has so many.
const SPILLED_LEN: usize = EXACT_MAX + 8;

/// Byte objects of any length from 1 on in a [`RegionFile`]; clones are views of the same store.
///
/// Objects of one length lie beside each other, with a quarter of a bit, a byte for how often the
/// slot was used and nothing else for each. Those above 256 bytes share size classes, eight from
/// one power of two to the next; those above 64 KiB are blocks of the file. An object is not
/// changed where it lies: a new content has a new id.
///
/// Reads take a [`Pin`] and no lock; changes take the file's [`Writer`] and survive a kill at
/// once, a power loss from the next commit on.
///
/// ```
/// use pagestone_heap::RegionFile;
/// use pagestone_slab::SlabFile;
///
/// let file = RegionFile::options().in_memory()?;
/// let tags = file.objects("tags")?;
/// let id = tags.add(&mut file.writer(), b"lang=rust")?;
/// file.commit()?;
/// assert_eq!(tags.get(&file.pin(), id)?, b"lang=rust");
/// tags.remove(&mut file.writer(), id)?;
/// assert!(tags.get(&file.pin(), id).is_err(), "the id is stale, for ever");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileStore {
    slabs: Slabs,
    spilled: Heap,
    pools: Arc<Mutex<Pools>>,
}

/// What a store in a file counts. Lengths are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FileStats {
    /// The pools that have slabs, shortest objects first. `mapped` is bytes of the file.
    pub pools: Vec<PoolStats>,
    /// Live objects.
    pub live: u64,
    /// Slots without an object: vacant, waiting for a commit or for readers, or used up.
    pub vacant: u64,
    /// Bytes of the file in slabs.
    pub mapped: u64,
    /// Bytes of live objects, those in blocks too.
    pub payload: u64,
}

/// What lies in a slot.
enum Slot<'p> {
    Object(&'p [u8]),
    Block(BlockId),
}

impl FileStore {
    pub(super) fn open(file: &RegionFile, name: &str, growth: Growth) -> Result<Self> {
        Self::with_pools((file, name), Pools::of_objects(growth.checked()?))
    }

    /// Of strings that are found by index.
    pub(super) fn of_strings(file: &RegionFile, name: &str, growth: Growth) -> Result<Self> {
        Self::with_pools((file, name), Pools::of_strings(growth.checked()?))
    }

    fn with_pools((file, name): (&RegionFile, &str), pools: Pools) -> Result<Self> {
        let slabs = file.slabs(name)?;
        // What is damaged shows when it is asked for.
        let of_others = |facts: &SlabFacts| facts.shape.generations == pools.is_indexed();
        if slabs.list(&file.pin()).is_ok_and(|listed| listed.iter().any(of_others)) {
            let (kept, wanted) =
                if pools.is_indexed() { ("objects", "strings") } else { ("strings", "objects") };
            return Err(Error::argument(format!("store {name:?} has {kept}, not {wanted}")));
        }
        let spilled = file.heap(&format!("{name}.spilled"))?;
        Ok(Self { slabs, spilled, pools: Arc::new(Mutex::new(pools)) })
    }

    /// The heap for what is no object.
    pub(super) fn blocks(&self) -> &Heap {
        &self.spilled
    }

    pub(super) fn changes(&self) -> u64 {
        self.slabs.changes()
    }

    pub(super) fn count_change(&self, writer: &mut Writer<'_>) -> Result<()> {
        Ok(self.slabs.count_change(writer)?)
    }

    /// The slabs of strings there are, with class and first index, in the order of that.
    pub(super) fn marked(&self, pin: &Pin<'_>) -> Result<Vec<(SlabFacts, Class, u32)>> {
        let mut found = Vec::new();
        for facts in self.slabs.list(pin)? {
            let (class, first) = read_shape(&self.slabs, &facts, true)?;
            found.push((facts, class, first));
        }
        found.sort_unstable_by_key(|(_, _, first)| *first);
        let mut end = 0;
        for (facts, _, first) in &found {
            if *first < end {
                let what = format!("a slab's first index: expected {end} or more, found {first}");
                return Err(corrupt(&self.slabs, facts, &what));
            }
            end = first + facts.shape.slots;
        }
        Ok(found)
    }

    /// The objects of a slab, one after the other.
    pub(super) fn objects_in<'p>(
        &'p self,
        pin: &'p Pin<'_>,
        slab: u64,
    ) -> impl Iterator<Item = (SlotId, Result<&'p [u8]>)> + 'p {
        self.slabs.objects(pin, slab).map(|(id, slot)| (id, self.read(pin, slot)))
    }

    pub(super) fn ids_in<'p>(
        &'p self,
        pin: &'p Pin<'_>,
        slab: u64,
    ) -> impl Iterator<Item = SlotId> + 'p {
        self.slabs.ids(pin, slab)
    }

    /// Adds a string, which may be empty.
    pub(super) fn add_string(&self, writer: &mut Writer<'_>, string: &[u8]) -> Result<SlotId> {
        if string.is_empty() {
            return self.pools().add((writer, &self.slabs), Class::of(0), &[0]);
        }
        self.add(writer, string)
    }

    /// The index of a slot, and all spans where there are not `known`.
    pub(super) fn index_of(&self, id: SlotId, known: usize) -> Option<(u32, Option<Vec<Slots>>)> {
        let pools = self.pools();
        let index = pools.index_of(id)?;
        drop(pools);
        Some((index, self.other_spans(known)))
    }

    pub(super) fn other_spans(&self, known: usize) -> Option<Vec<Slots>> {
        let pools = self.pools();
        (pools.len() != known).then(|| pools.spans())
    }

    /// Returns the file that the objects are in.
    #[must_use]
    pub fn file(&self) -> &RegionFile {
        self.slabs.file()
    }

    fn pools(&self) -> MutexGuard<'_, Pools> {
        // What is known of slabs is made again when it turns out to be wrong.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an object, equal ones too, and returns its id.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a length of 0; `OutOfSpace`, with nothing changed; `File`.
    pub fn add(&self, writer: &mut Writer<'_>, object: &[u8]) -> Result<SlotId> {
        if object.is_empty() {
            return Err(Error::argument("an object of 0 bytes"));
        }
        let class = Class::of(object.len());
        match class.form() {
            Form::Exact => self.pools().add((writer, &self.slabs), class, object),
            Form::Ranged => {
                let mut slot = vec![0; class.slot_size() as usize + LENGTH];
                let (len, bytes) = slot.split_at_mut(LENGTH);
                let less = u16::try_from(object.len() - 1).unwrap_or(u16::MAX);
                len.copy_from_slice(&less.to_le_bytes());
                bytes.iter_mut().zip(object).for_each(|(to, from)| *to = *from);
                self.pools().add((writer, &self.slabs), class, &slot)
            }
            Form::Spilled => {
                let block = self.spilled.allocate_from(writer, object)?;
                let mut slot = [0; SPILLED_LEN];
                slot[..8].copy_from_slice(&block.to_bits().to_le_bytes());
                let added = self.pools().add((writer, &self.slabs), class, &slot);
                if added.is_err() {
                    self.spilled.free(writer, block)?;
                }
                added
            }
        }
    }

    /// Adds objects; their ids come in the same order.
    ///
    /// # Errors
    ///
    /// As `add`, at the first that cannot be added; those before it stay, and their ids are in
    /// `ids`.
    pub fn add_many<B: AsRef<[u8]>>(
        &self,
        writer: &mut Writer<'_>,
        objects: impl IntoIterator<Item = B>,
        ids: &mut Vec<SlotId>,
    ) -> Result<()> {
        for object in objects {
            ids.push(self.add(writer, object.as_ref())?);
        }
        Ok(())
    }

    /// Borrows an object, for as long as the pin lives.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt` where a slot makes no sense; `File`.
    #[inline]
    pub fn get<'p>(&self, pin: &'p Pin<'_>, id: SlotId) -> Result<&'p [u8]> {
        self.read(pin, self.slabs.get(pin, id)?)
    }

    /// The object that a slot holds.
    #[inline]
    fn read<'p>(&self, pin: &'p Pin<'_>, slot: &'p [u8]) -> Result<&'p [u8]> {
        // Nothing else is as short.
        if slot.len() <= EXACT_MAX { Ok(slot) } else { self.get_long(pin, slot) }
    }

    /// Shows many objects to `each`, with their places in `ids`, in order.
    ///
    /// Objects are fetched from memory for 32 ids together, where [`get`](Self::get) waits for
    /// each: faster where they are not in the processor's caches.
    pub fn get_many<'p>(
        &self,
        pin: &'p Pin<'_>,
        ids: &[SlotId],
        mut each: impl FnMut(usize, Result<&'p [u8]>),
    ) {
        self.slabs.get_many(pin, ids, |place, slot| {
            each(place, slot.map_err(Error::from).and_then(|slot| self.read(pin, slot)));
        });
    }

    fn get_long<'p>(&self, pin: &'p Pin<'_>, slot: &'p [u8]) -> Result<&'p [u8]> {
        match read_slot(slot) {
            Some(Slot::Object(object)) => Ok(object),
            Some(Slot::Block(block)) => Ok(self.spilled.get(pin, block)?),
            None => Err(self.corrupt("a slot says that its object is longer")),
        }
    }

    #[cold]
    fn corrupt(&self, what: &str) -> Error {
        let what = format!("{}: {what}", self.file().path().display());
        Error::refused(ErrorKind::Corrupt, what)
    }

    /// Whether the id names an object.
    #[must_use]
    pub fn contains(&self, pin: &Pin<'_>, id: SlotId) -> bool {
        self.slabs.contains(pin, id)
    }

    /// Removes an object; its id is refused from here on.
    ///
    /// # Errors
    ///
    /// `StaleId`, also for one that was removed already; `File`.
    pub fn remove(&self, writer: &mut Writer<'_>, id: SlotId) -> Result<()> {
        let mut pools = self.pools();
        if pools.class_of((writer, &self.slabs), id)? != Some(Class::SPILLED) {
            return pools.remove((writer, &self.slabs), id);
        }
        let file = self.file().clone();
        let block = match read_slot(self.slabs.get(&file.pin(), id)?) {
            Some(Slot::Block(block)) => Some(block),
            _ => None,
        };
        pools.remove((writer, &self.slabs), id)?;
        drop(pools);
        match block {
            Some(block) => Ok(self.spilled.free(writer, block)?),
            None => Ok(()),
        }
    }

    /// Puts another object in the place of one, of any length; returns its id, which is a new one.
    ///
    /// # Errors
    ///
    /// As `add` and `remove`; the object that was there stays then.
    pub fn replace(&self, writer: &mut Writer<'_>, id: SlotId, object: &[u8]) -> Result<SlotId> {
        let file = self.file().clone();
        self.slabs.get(&file.pin(), id)?;
        let other = self.add(writer, object)?;
        self.remove(writer, id)?;
        Ok(other)
    }

    /// The ids of all objects, slab by slab.
    ///
    /// # Errors
    ///
    /// `File`.
    pub fn ids<'p>(&'p self, pin: &'p Pin<'_>) -> Result<impl Iterator<Item = SlotId> + 'p> {
        let listed = self.slabs.list(pin)?;
        Ok(listed.into_iter().flat_map(move |facts| self.slabs.ids(pin, facts.slab)))
    }

    /// The slots of a class with objects.
    fn slots_of<'p>(
        &'p self,
        pin: &'p Pin<'_>,
        class: Class,
    ) -> Result<impl Iterator<Item = (SlotId, &'p [u8])> + 'p> {
        let listed = self.slabs.list(pin)?.into_iter();
        let is_of = move |mark| read_mark(mark).is_some_and(|(theirs, _)| theirs == class);
        let listed = listed.filter(move |facts| is_of(facts.shape.mark));
        Ok(listed.flat_map(move |facts| self.slabs.objects(pin, facts.slab)))
    }

    /// The blocks of the heap `NAME.spilled` that objects above 64 KiB are in: they belong to this
    /// store, and go with their objects.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn spilled<'p>(&'p self, pin: &'p Pin<'_>) -> Result<impl Iterator<Item = BlockId> + 'p> {
        let slots = self.slots_of(pin, Class::SPILLED)?;
        Ok(slots.filter_map(|(_, slot)| match read_slot(slot) {
            Some(Slot::Block(block)) => Some(block),
            _ => None,
        }))
    }

    /// Finds an object with these bytes: all objects of their length are compared.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn find(&self, pin: &Pin<'_>, object: &[u8]) -> Result<Option<SlotId>> {
        for (id, slot) in self.slots_of(pin, Class::of(object.len()))? {
            if self.read(pin, slot)? == object {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Finds objects with these bytes, in their order: one walk over the objects of each length.
    ///
    /// # Errors
    ///
    /// As `find`.
    pub fn find_many<B: AsRef<[u8]>>(
        &self,
        pin: &Pin<'_>,
        objects: &[B],
    ) -> Result<Vec<Option<SlotId>>> {
        let mut wanted: HashMap<&[u8], Option<SlotId>> = HashMap::new();
        let mut classes = Vec::new();
        for object in objects {
            wanted.insert(object.as_ref(), None);
            classes.push(Class::of(object.as_ref().len()));
        }
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            for (id, slot) in self.slots_of(pin, class)? {
                if let Some(found) = wanted.get_mut(self.read(pin, slot)?) {
                    found.get_or_insert(id);
                }
            }
        }
        Ok(objects.iter().map(|object| wanted.get(object.as_ref()).copied().flatten()).collect())
    }

    /// Removes all objects and gives their space back.
    ///
    /// # Errors
    ///
    /// `File`.
    pub fn clear(&self, writer: &mut Writer<'_>) -> Result<()> {
        let file = self.file().clone();
        let blocks: Vec<BlockId> = self.spilled(&file.pin())?.collect();
        self.pools().clear(writer, &self.slabs)?;
        for block in blocks {
            self.spilled.free(writer, block)?;
        }
        Ok(())
    }

    /// Counts what there is. Objects above 256 bytes are looked at one by one.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn stats(&self, writer: &mut Writer<'_>) -> Result<FileStats> {
        let mut stats = FileStats::default();
        let file = self.file().clone();
        let pin = file.pin();
        for (class, slabs) in self.pools().classes(writer, &self.slabs)? {
            let mut pool =
                PoolStats { slot_size: class.slot_size().into(), ..PoolStats::default() };
            for slab in slabs {
                pool.slabs += 1;
                pool.live += slab.live;
                pool.vacant += u64::from(slab.slots) - slab.live;
                pool.mapped += slab.len;
            }
            pool.payload = pool.live * pool.slot_size;
            if class.form() != Form::Exact {
                let lens = self.slots_of(&pin, class)?.map(|(_, slot)| self.read(&pin, slot));
                let lens = lens.map(|object| object.map(|object| object.len() as u64));
                pool.payload = lens.sum::<Result<u64>>()?;
            }
            stats.live += pool.live;
            stats.vacant += pool.vacant;
            stats.mapped += pool.mapped;
            stats.payload += pool.payload;
            stats.pools.push(pool);
        }
        Ok(stats)
    }
}

/// Bytes of the slots of a class.
pub(super) fn slot_len(class: Class) -> usize {
    let len = class.slot_size() as usize;
    match class.form() {
        // The empty string.
        Form::Exact => len.max(1),
        Form::Ranged => len + LENGTH,
        Form::Spilled => SPILLED_LEN,
    }
}

/// What lies in a slot, by its length alone; `None` where that makes no sense.
fn read_slot(slot: &[u8]) -> Option<Slot<'_>> {
    if slot.len() <= EXACT_MAX {
        return Some(Slot::Object(slot));
    }
    if slot.len() == SPILLED_LEN {
        let bits = u64::from_le_bytes(*slot.first_chunk()?);
        return Some(Slot::Block(BlockId::from_bits(bits)));
    }
    let (len, bytes) = slot.split_first_chunk::<LENGTH>()?;
    bytes.get(..usize::from(u16::from_le_bytes(*len)) + 1).map(Slot::Object)
}
