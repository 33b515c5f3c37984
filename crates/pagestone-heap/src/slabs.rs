//! What a slab's bytes mean, and what the writer knows of slabs beside the file.

use std::collections::BTreeMap;

use crate::{
    id::BlockId,
    layout::{REGION_HEADER, SLAB_HEADER},
    retired::Waste,
};

/// Bits of a slot's number.
pub(crate) const SLOT_BITS: u32 = 20;
/// The most slots of a slab.
pub(crate) const SLOTS_MAX: u32 = 1 << SLOT_BITS;
/// Bits of a slab's index.
pub(crate) const INDEX_BITS: u32 = 20;
/// Bits of how often an index was a slab's.
pub(crate) const TURN_BITS: u32 = 16;
/// The generation of a slot that is not used again.
pub(crate) const LAST_GENERATION: u8 = u8::MAX;

/// Where the parts of a slab lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Where the slab's header lies.
    pub(crate) at: u64,
    /// Bytes of an object.
    pub(crate) object_len: u64,
    pub(crate) slots: u64,
    /// Whether there is a generation per slot.
    pub(crate) generations: bool,
}

/// Bytes of a bitmap of so many slots: whole cache lines.
#[inline]
const fn bitmap_len(slots: u64) -> u64 {
    slots.div_ceil(512) * 64
}

impl Geometry {
    /// Bytes from the header's start to the end of the last object.
    #[inline]
    pub(crate) const fn len(&self) -> u64 {
        self.objects() - self.at + self.slots * self.object_len
    }

    /// Bytes of one bitmap.
    #[inline]
    pub(crate) const fn bitmap_len(&self) -> u64 {
        bitmap_len(self.slots)
    }

    /// Where the bitmap lies that goes with a word of the slab's pair.
    #[inline]
    pub(crate) const fn bitmap(&self, which: usize) -> u64 {
        self.at + SLAB_HEADER + which as u64 * bitmap_len(self.slots)
    }

    /// Where the generations lie, a byte per slot.
    #[inline]
    pub(crate) const fn generations(&self) -> u64 {
        self.at + SLAB_HEADER + 2 * bitmap_len(self.slots)
    }

    /// Where the objects lie.
    #[inline]
    pub(crate) const fn objects(&self) -> u64 {
        let bytes = if self.generations { self.slots.next_multiple_of(64) } else { 0 };
        self.generations() + bytes
    }

    #[inline]
    pub(crate) const fn object(&self, slot: u32) -> u64 {
        self.objects() + slot as u64 * self.object_len
    }

    /// What a header's numbers say; `None` where that does not fit `room` bytes.
    #[inline]
    pub(crate) fn from_parts(
        (at, room): (u64, u64),
        (object_len, slots, flags): (u32, u32, u32),
    ) -> Option<Self> {
        let generations = flags & 1 == 1;
        let geometry = Self { at, object_len: object_len.into(), slots: slots.into(), generations };
        // Both are of 32 bits, so nothing overflows.
        let right = object_len != 0 && slots != 0 && slots <= SLOTS_MAX && flags <= 1;
        (right && geometry.len() <= room).then_some(geometry)
    }
}

/// The region bytes that a slab of this geometry needs.
pub(crate) const fn region_bytes(geometry: &Geometry) -> u64 {
    REGION_HEADER + geometry.len()
}

/// Names a slab among all stores: number of the store, index of the slab.
pub(crate) type Key = (u32, u64);

/// One slab as the writer knows it.
#[derive(Debug)]
pub(crate) struct Slab {
    pub(crate) geometry: Geometry,
    /// Where its pair lies.
    pub(crate) pair: u64,
    pub(crate) id: BlockId,
    /// A bit for each slot that an object can be put into now.
    pub(crate) free: Vec<u64>,
    /// No word of `free` before has a bit.
    pub(crate) low: usize,
    /// Bits in `free`.
    pub(crate) vacant: u32,
    pub(crate) live: u32,
    /// Slots emptied in this epoch that the last commit has an object in.
    pub(crate) removed: Vec<u32>,
    /// Slots emptied that no commit has an object in.
    pub(crate) dropped: Vec<u32>,
}

impl Slab {
    /// A slab of which nothing is known yet but its place.
    pub(crate) fn new(geometry: Geometry, (pair, id): (u64, BlockId)) -> Self {
        Self {
            geometry,
            pair,
            id,
            free: Vec::new(),
            low: 0,
            vacant: 0,
            live: 0,
            removed: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Takes in the newest and the committed bits of the next 64 slots.
    pub(crate) fn take_in(&mut self, group: u64, (newest, committed): (u64, u64)) {
        let left = self.geometry.slots - group * 64;
        let all = if left < 64 { (1 << left) - 1 } else { u64::MAX };
        let (newest, committed) = (newest & all, committed & all);
        let free = !(newest | committed) & all;
        self.live += newest.count_ones();
        self.vacant += free.count_ones();
        self.free.push(free);
        let mut removed = committed & !newest;
        while removed != 0 {
            let slot = group * 64 + u64::from(removed.trailing_zeros());
            self.removed.extend(u32::try_from(slot));
            removed &= removed - 1;
        }
    }

    /// Takes the lowest free slot.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<u32> {
        while let Some(word) = self.free.get_mut(self.low) {
            if *word != 0 {
                let bit = word.trailing_zeros();
                *word &= *word - 1;
                self.vacant -= 1;
                return u32::try_from(self.low * 64).ok().map(|first| first + bit);
            }
            self.low += 1;
        }
        None
    }

    /// Gives a slot back.
    pub(crate) fn give(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if let Some(bits) = self.free.get_mut(word) {
            let bit = 1 << (slot % 64);
            self.vacant += u32::from(*bits & bit == 0);
            *bits |= bit;
            self.low = self.low.min(word);
        }
    }
}

/// All slabs that the writer looked at, and slots that wait.
#[derive(Debug, Default)]
pub(crate) struct Slabs {
    known: Known,
    /// Slots that wait for commit, pins and holds, by the number of their batch.
    batches: BTreeMap<u64, Batch>,
    next_batch: u64,
    /// Slabs with slots in `removed` or `dropped`.
    pub(crate) changed: Vec<Key>,
}

/// Slots of one slab that wait together. Another slab may have its key by then.
#[derive(Debug)]
struct Batch {
    key: Key,
    id: BlockId,
    slots: Vec<u32>,
}

/// Slabs by store and index.
#[derive(Debug, Default)]
struct Known(Vec<Vec<Option<Box<Slab>>>>);

impl Known {
    #[inline]
    fn cell(&mut self, (store, index): Key) -> Option<&mut Option<Box<Slab>>> {
        let (store, index) = (usize::try_from(store).ok()?, usize::try_from(index).ok()?);
        self.0.get_mut(store)?.get_mut(index)
    }

    /// As `cell`, which is made.
    fn new_cell(&mut self, (store, index): Key) -> Option<&mut Option<Box<Slab>>> {
        let (place, nth) = (usize::try_from(store).ok()?, usize::try_from(index).ok()?);
        if self.0.len() <= place {
            self.0.resize_with(place + 1, Vec::new);
        }
        let slabs = self.0.get_mut(place)?;
        if slabs.len() <= nth {
            slabs.resize_with(nth + 1, || None);
        }
        slabs.get_mut(nth)
    }
}

impl Slabs {
    #[inline]
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut Slab> {
        self.known.cell(key)?.as_deref_mut()
    }

    pub(crate) fn insert(&mut self, key: Key, slab: Slab) {
        if !slab.removed.is_empty() {
            self.changed.push(key);
        }
        if let Some(cell) = self.known.new_cell(key) {
            *cell = Some(Box::new(slab));
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Box<Slab>> {
        self.known.cell(key)?.take()
    }

    /// The keys of all slabs that are known.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let stores = (0_u32..).zip(&self.known.0);
        let keys = stores.flat_map(|(store, slabs)| {
            let slabs = (0_u64..).zip(slabs).filter(|(_, slab)| slab.is_some());
            slabs.map(move |(index, _)| (store, index))
        });
        keys.collect()
    }

    /// Notes slots of a slab that wait; returns how to say so.
    pub(crate) fn batch(&mut self, key: Key, slots: Vec<u32>) -> Option<Waste> {
        let known = self.known.cell(key)?.as_deref()?;
        let (id, bytes) = (known.id, slots.len() as u64 * known.geometry.object_len);
        let batch = self.next_batch;
        self.next_batch += 1;
        self.batches.insert(batch, Batch { key, id, slots });
        Some(Waste::Slots { batch, bytes })
    }

    /// Slots wait no more.
    pub(crate) fn free(&mut self, batch: u64) {
        let Some(batch) = self.batches.remove(&batch) else { return };
        if let Some(known) = self.get(batch.key).filter(|known| known.id == batch.id) {
            for slot in batch.slots {
                known.give(slot);
            }
        }
    }

    /// Forgets everything: slabs are read again when they are asked for.
    pub(crate) fn clear(&mut self) {
        // No batch of before has the number of one to come.
        *self = Self { next_batch: self.next_batch, ..Self::default() };
    }
}
