//! Slabs: made, released, slots taken and emptied.
//!
//! A slab has two bitmaps, one for each word of its pair: the word that counts says which bitmap
//! does. The first change of an epoch copies the committed bitmap to the other one and then
//! publishes the slab's place under the word beside it; the changes that follow go to that bitmap.

use std::sync::atomic::Ordering;

use zerocopy::{
    FromZeros, IntoBytes,
    little_endian::{U32, U64},
};

use crate::{
    class::GRAIN,
    engine::{Engine, adopt::Wanted, index::SPENT},
    error::{Error, ErrorKind, Result},
    id::{BlockId, GENERATION_MAX},
    layout::SlabHeader,
    options::Durability,
    region::{Region, lifecycle::Owned},
    slab::{SlabShape, SlotId, index_of, slab_number},
    slabs::{Geometry, INDEX_BITS, Key, LAST_GENERATION, Slab, TURN_BITS, region_bytes},
    store::Store,
    units::Kind,
    word::{SLAB, TOMBSTONE, View},
};

/// The longest slab, in bytes.
const SLAB_LEN_MAX: u64 = 1 << 30;

impl Engine<'_> {
    /// Makes a slab.
    pub(crate) fn make_slab(&mut self, store: &Store, shape: SlabShape) -> Result<u64> {
        self.touch()?;
        let flags = u32::from(shape.generations);
        let parts = (shape.object_len, shape.slots, flags);
        let Some(wanted) = Geometry::from_parts((0, SLAB_LEN_MAX), parts) else {
            let what = format!("a slab of {} objects of {} bytes", shape.slots, shape.object_len);
            return Err(Error::refused(ErrorKind::InvalidArgument, self.shared.path(), what));
        };
        let (id, pair) = self.take_id(store)?;
        let number = match self.adopt_slab(id, &wanted) {
            Ok(number) => number,
            Err(error) => {
                self.untake_id(store, id);
                return Err(error);
            }
        };
        let Some(region) = self.state.region(number).copied() else {
            return Err(self.corrupt(("slab", pair), 0, u64::from(number)));
        };
        let geometry = Geometry { at: region.base(), ..wanted };
        let mut header = SlabHeader::new_zeroed();
        header.id = U64::new(id.to_bits());
        header.object_len = U32::new(shape.object_len);
        header.slots = U32::new(shape.slots);
        header.flags = U32::new(flags);
        header.mark = U64::new(shape.mark);
        header.checksum = U32::new(header.sum());
        // Bitmaps and generations of a range that was just adopted are zero.
        Owned::taken(geometry.at, geometry.len()).fill(&self.shared.raw, 0, header.as_bytes());
        self.publish(pair, SLAB, geometry.at / GRAIN);
        store.count_change();
        self.state.indices(store.number).live += 1;
        Ok(slab_number(id))
    }

    fn adopt_slab(&mut self, id: BlockId, geometry: &Geometry) -> Result<u32> {
        if id.index() >> INDEX_BITS != 0 {
            let what = format!("a store has at most 2^{INDEX_BITS} slabs");
            return Err(Error::refused(ErrorKind::OutOfSpace, self.shared.path(), what));
        }
        let number = self.adopt(Wanted::of(Kind::Slab, region_bytes(geometry)))?;
        let base = self.state.region(number).map_or(0, Region::base);
        if let Err(error) = self.prepare(base, base + (geometry.objects() - geometry.at)) {
            self.give_back(number)?;
            return Err(error);
        }
        Ok(number)
    }

    /// Gives a slab back.
    pub(crate) fn release_slab(&mut self, store: &Store, slab: u64) -> Result<()> {
        self.touch()?;
        let key = self.slab_key(store, slab)?;
        let Some(known) = self.state.slabs.remove(key) else { return Ok(()) };
        let next = known.id.generation() + 1;
        // The turn of an index that came round would be named by ids of its first one.
        let turns = (1 << TURN_BITS) - 1;
        let spent = GENERATION_MAX < next || next & turns == store.generation & turns;
        store.count_change();
        let before = self.publish(known.pair, TOMBSTONE, if spent { SPENT } else { next.into() });
        let indices = self.state.indices(store.number);
        indices.live = indices.live.saturating_sub(1);
        if !spent {
            indices.give(known.id.index());
        }
        self.retire_word(before)
    }

    /// Puts an object into the lowest free slot.
    pub(crate) fn add_object(
        &mut self,
        store: &Store,
        slab: u64,
        bytes: &[u8],
    ) -> Result<Option<SlotId>> {
        self.touch()?;
        let key = self.slab_key(store, slab)?;
        let Some((slot, geometry)) = self.take_slot(key, bytes.len() as u64)? else {
            return Ok(None);
        };
        let at = geometry.object(slot);
        if let Err(error) = self.prepare(at, at + geometry.object_len) {
            self.give_slot(key, slot);
            return Err(error);
        }
        let generation = self.raise_generation(&geometry, slot);
        Owned::taken(at, geometry.object_len).fill(&self.shared.raw, 0, bytes);
        self.set_slot(key, slot, true);
        store.count_change();
        self.state.written += geometry.object_len;
        Ok(Some(SlotId::new(slab, slot, generation)))
    }

    /// Takes a slot whose generation can rise; `None` where none is left.
    fn take_slot(&mut self, key: Key, len: u64) -> Result<Option<(u32, Geometry)>> {
        loop {
            let Some(known) = self.state.slabs.get(key) else { return Ok(None) };
            let geometry = known.geometry;
            if geometry.object_len != len {
                let what = format!("{len} bytes for a slab of {}", geometry.object_len);
                return Err(Error::refused(ErrorKind::InvalidArgument, self.shared.path(), what));
            }
            let Some(slot) = known.take() else {
                let more = self.drop_slots(key) | self.reclaim();
                if more && self.state.slabs.get(key).is_some_and(|known| known.vacant != 0) {
                    continue;
                }
                return Ok(None);
            };
            let last = self.shared.slot_generation(&geometry, slot) == LAST_GENERATION;
            if !last || !geometry.generations {
                return Ok(Some((slot, geometry)));
            }
            // Its generations are spent: it is used again under another slab number.
        }
    }

    fn give_slot(&mut self, key: Key, slot: u32) {
        if let Some(known) = self.state.slabs.get(key) {
            known.give(slot);
        }
    }

    /// Raises the generation of a slot, where there are any; returns it.
    fn raise_generation(&mut self, geometry: &Geometry, slot: u32) -> u8 {
        if !geometry.generations {
            return 1;
        }
        let generation = self.shared.slot_generation(geometry, slot).saturating_add(1);
        let at = geometry.generations() + u64::from(slot / 8) * 8;
        let shift = 8 * (slot % 8);
        let word = self.shared.raw.load(at, Ordering::Relaxed);
        let word = word & !(0xff << shift) | u64::from(generation) << shift;
        self.shared.raw.store(at, word, Ordering::Release);
        generation
    }

    /// Removes an object.
    pub(crate) fn remove_object(&mut self, store: &Store, id: SlotId) -> Result<()> {
        self.touch()?;
        let stale = |engine: &Self| {
            let what = "no object in that slot, or another one by now";
            Error::stale(engine.shared.path(), BlockId::from_bits(id.to_bits()), what)
        };
        let key = self.slab_key(store, id.slab())?;
        let Some(known) = self.state.slabs.get(key) else { return Err(stale(self)) };
        let (geometry, pair, slot) = (known.geometry, known.pair, id.slot());
        let which = self.shared.pair(pair).which(self.shared.tag(), View::Newest).unwrap_or(0);
        let there = u64::from(slot) < geometry.slots
            && self.shared.slot_bit((&geometry, which), slot)
            && self.shared.slot_generation(&geometry, slot) == id.generation();
        if !there {
            return Err(stale(self));
        }
        self.set_slot(key, slot, false);
        store.count_change();
        let committed = self.is_slot_committed(pair, &geometry, slot);
        let scratch = self.shared.options.durability == Durability::Scratch;
        let Some(known) = self.state.slabs.get(key) else { return Ok(()) };
        let first = known.removed.is_empty() && known.dropped.is_empty();
        let list = if committed && !scratch { &mut known.removed } else { &mut known.dropped };
        list.push(slot);
        if first {
            self.state.slabs.changed.push(key);
        }
        Ok(())
    }

    fn is_slot_committed(&self, pair: u64, geometry: &Geometry, slot: u32) -> bool {
        let which = self.shared.pair(pair).which(self.shared.tag(), View::Committed);
        which.is_some_and(|which| self.shared.slot_bit((geometry, which), slot))
    }

    /// Sets or clears the bit of a slot in the bitmap of the open epoch.
    #[inline]
    fn set_slot(&mut self, key: Key, slot: u32, taken: bool) {
        let Some(known) = self.state.slabs.get(key) else { return };
        known.live = if taken { known.live + 1 } else { known.live.saturating_sub(1) };
        let (geometry, pair) = (known.geometry, known.pair);
        let bitmap = geometry.bitmap(self.open_bitmap(pair, &geometry));
        let at = bitmap + u64::from(slot / 64) * 8;
        let bit = 1 << (slot % 64);
        let word = self.shared.raw.load(at, Ordering::Relaxed);
        let word = if taken { word | bit } else { word & !bit };
        self.shared.raw.store(at, word, Ordering::Release);
    }

    /// Which bitmap the open epoch changes; the first time it is copied from the committed one.
    fn open_bitmap(&mut self, at: u64, geometry: &Geometry) -> usize {
        let (pair, tag) = (self.shared.pair(at), self.shared.tag());
        let newest = pair.which(tag, View::Newest).unwrap_or(0);
        let Some(word) = pair.0.get(newest).filter(|word| word.tag() != tag) else { return newest };
        let target = pair.target(tag);
        let raw = &self.shared.raw;
        for offset in (0..geometry.bitmap_len()).step_by(8) {
            let bits = raw.load(geometry.bitmap(newest) + offset, Ordering::Relaxed);
            raw.store(geometry.bitmap(target) + offset, bits, Ordering::Relaxed);
        }
        raw.store(at + 8 * target as u64, word.retagged(tag).0, Ordering::Release);
        target
    }

    /// Finds a slab, and reads it the first time.
    #[inline]
    fn slab_key(&mut self, store: &Store, slab: u64) -> Result<Key> {
        let key = (store.number, index_of(slab));
        if self.state.slabs.get(key).is_none() {
            self.load_slab(store, index_of(slab))?;
        }
        match self.state.slabs.get(key) {
            Some(known) if slab_number(known.id) == slab => Ok(key),
            _ => {
                let id = BlockId::from_bits(slab);
                Err(Error::stale(self.shared.path(), id, "no such slab"))
            }
        }
    }

    /// Reads the bitmaps of a slab, if there is one.
    fn load_slab(&mut self, store: &Store, index: u64) -> Result<()> {
        let Some(at) = store.parts.pair(index) else { return Ok(()) };
        let (pair, tag) = (self.shared.pair(at), self.shared.tag());
        let newest = pair.word(tag, View::Newest);
        if newest.is_empty() || newest.class() == TOMBSTONE {
            return Ok(());
        }
        let Some((id, geometry)) = self.shared.slab_at(newest) else {
            return Err(self.corrupt(("slab", newest.body() * GRAIN), index, newest.0));
        };
        if id.index() != index || index >> INDEX_BITS != 0 {
            return Err(self.corrupt(("id in a slab's header", geometry.at), index, id.index()));
        }
        let which = pair.which(tag, View::Newest).unwrap_or(0);
        let committed = pair
            .which(tag, View::Committed)
            .filter(|which| pair.0.get(*which).is_some_and(|word| word.class() == SLAB));
        let mut known = Slab::new(geometry, (at, id));
        for group in 0..geometry.slots.div_ceil(64) {
            let bits =
                |which| self.shared.raw.load(geometry.bitmap(which) + 8 * group, Ordering::Relaxed);
            known.take_in(group, (bits(which), committed.map_or(0, bits)));
        }
        self.state.slabs.insert((store.number, index), known);
        Ok(())
    }

    /// Reads all slabs, after an open that was not clean, or a discard, when what is vacant
    /// `waits` for readers.
    pub(crate) fn load_slabs(&mut self, waits: bool) -> Result<()> {
        self.state.slabs.clear();
        let stores: Vec<_> = self.shared.stores().iter().flatten().cloned().collect();
        for store in stores.iter().filter(|store| store.has_slabs()) {
            for index in 0..store.parts.end() {
                if store.parts.pair(index).is_some() {
                    self.load_slab(store, index)?;
                }
            }
        }
        if waits {
            self.withhold_slots();
        }
        Ok(())
    }

    /// All vacant slots wait for those who may look at them.
    pub(crate) fn withhold_slots(&mut self) {
        let (stamp, epoch) = (self.shared.pins.stamp(), self.state.generation);
        for key in self.state.slabs.keys() {
            let Some(known) = self.state.slabs.get(key) else { continue };
            let slots = std::iter::from_fn(|| known.take()).collect();
            if let Some(waste) = self.state.slabs.batch(key, slots) {
                self.state.retired.retire_as_of((stamp, epoch), waste);
            }
        }
    }

    /// Part of a commit: the slots that the epoch emptied wait for readers from here on.
    pub(crate) fn retire_slots(&mut self) {
        for key in std::mem::take(&mut self.state.slabs.changed) {
            self.drop_slots(key);
            let Some(known) = self.state.slabs.get(key) else { continue };
            let slots = std::mem::take(&mut known.removed);
            if slots.is_empty() {
                continue;
            }
            if let Some(waste) = self.state.slabs.batch(key, slots) {
                self.state.retired.quarantine(waste);
            }
        }
    }

    /// Slots that no commit knows wait for the pins of this process alone.
    fn drop_slots(&mut self, key: Key) -> bool {
        let Some(known) = self.state.slabs.get(key) else { return false };
        let slots = std::mem::take(&mut known.dropped);
        if slots.is_empty() {
            return false;
        }
        let stamp = self.shared.pins.stamp();
        if let Some(waste) = self.state.slabs.batch(key, slots) {
            self.state.retired.retire_private(stamp, waste);
        }
        true
    }

    /// Objects of a slab and slots that are free.
    pub(crate) fn slab_room(&mut self, store: &Store, slab: u64) -> Result<(u64, u64)> {
        self.load_lists()?;
        let key = self.slab_key(store, slab)?;
        let known = self.state.slabs.get(key);
        Ok(known.map_or((0, 0), |known| (known.live.into(), known.vacant.into())))
    }
}
