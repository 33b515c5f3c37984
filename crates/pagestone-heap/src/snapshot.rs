//! The record of free space that a close leaves, loaded region by region when it is needed.
//!
//! It lies in a range that no region has, so an open that does not trust it loses nothing. Every
//! part carries a checksum over the generation of the close; what does not match is rebuilt from
//! the slot tables.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use zerocopy::{
    FromBytes, FromZeros, IntoBytes,
    little_endian::{U32, U64},
};

mod segments; // what the record says of logs

use crate::{
    class::{CLASS_MAX, GRAIN, GRAINS_MAX, room_of},
    engine::{Engine, index::LOOK},
    error::Result,
    id::BlockId,
    layout::{SNAPSHOT_MAGIC, SnapshotHeader, SnapshotRegion, SnapshotStore, UNIT},
    parts::{HIDDEN, PARTS, first_of},
    ranges::Range,
    region::{Region, lifecycle::Owned},
    retired::Waste,
    space::Run,
    store::{Indices, Store},
    units::Kind,
    word::View,
};

/// Bytes of bitmap per unit.
const BITMAP: u64 = UNIT / GRAIN / 8;

/// What of the record was not loaded yet.
#[derive(Debug, Default)]
pub(crate) struct Lazy {
    range: Range,
    /// The generation of the close.
    generation: u64,
    /// Whether the lists were read.
    listed: bool,
    /// Whether what they say of segments was not compared with slots.
    unproven: bool,
    /// Heap regions by number whose bitmap was not asked for.
    regions: BTreeMap<u32, SnapshotRegion>,
}

impl Lazy {
    /// A close left its record in this range.
    pub(crate) fn expect(&mut self, range: Range, generation: u64) {
        *self = Self { range, generation, ..Self::default() };
    }

    pub(crate) fn range(&self) -> Range {
        self.range
    }

    /// Nothing is left to be loaded: the state was rebuilt from the slots.
    pub(crate) fn rebuilt() -> Self {
        Self { listed: true, ..Self::default() }
    }

    pub(crate) fn is_expected(&self) -> bool {
        !self.listed && self.range.len != 0
    }
}

/// The checksum of one region's bitmap.
fn region_sum(generation: u64, number: u32, bitmap: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&generation.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(bitmap);
    hasher.finalize()
}

/// Whose blocks are looked for.
struct Owners {
    stores: Vec<Arc<Store>>,
    /// The first index that no store has.
    end: u64,
    /// The store of the last block that was found.
    hint: Cell<usize>,
}

/// The first index that no part of a store has; parts are there in order.
fn end_of(store: &Store) -> u64 {
    let parts = (0..PARTS).take_while(|part| store.parts.has(*part)).count();
    let others = (parts..PARTS).any(|part| store.parts.has(part));
    match parts {
        _ if others => 0,
        0 => HIDDEN,
        parts => first_of(parts),
    }
}

impl Engine<'_> {
    /// Reads the lists of the record, before the first change after a clean open; a record that
    /// is not right is forgotten and all is rebuilt.
    pub(crate) fn load_lists(&mut self) -> Result<()> {
        if self.state.lazy.listed {
            return Ok(());
        }
        if self.state.lazy.is_expected() && self.read_lists().is_some() {
            (self.state.lazy.listed, self.state.lazy.unproven) = (true, true);
            return Ok(());
        }
        if self.state.lazy.is_expected() {
            tracing::warn!(path = %self.shared.path().display(), "free space record is damaged");
        }
        self.rebuild_lists()
    }

    /// Finds out from the slots what the record does not say, or not rightly.
    fn rebuild_lists(&mut self) -> Result<()> {
        if let Err(error) = self.rebuild(crate::engine::Found::Unclean(crate::engine::Tail::None)) {
            return Err(self.poison("search for free space", error));
        }
        self.state.lazy.regions.clear();
        (self.state.lazy.listed, self.state.lazy.unproven) = (true, false);
        Ok(())
    }

    /// Sees to it that slots name nothing in the segments of logs but what lies before their ends,
    /// so that nothing is appended over what somebody looks at: before the first change.
    pub(crate) fn prove_lists(&mut self) -> Result<()> {
        self.load_lists()?;
        if std::mem::take(&mut self.state.lazy.unproven) && !self.are_slots_sound() {
            let path = self.shared.path();
            tracing::warn!(path = %path.display(), "slots and ends of segments contradict");
            return self.rebuild_lists();
        }
        Ok(())
    }

    fn read_lists(&mut self) -> Option<()> {
        let raw = &self.shared.raw;
        let range = self.state.lazy.range;
        let mut header = SnapshotHeader::new_zeroed();
        raw.read_at(range.start, header.as_mut_bytes());
        let (regions, stores) = (header.region_count.get(), header.store_count.get());
        let segments = u64::from(header.segment_count.get()) * segments::SIZE;
        let lists = (u64::from(regions) + u64::from(stores)) * 32 + segments;
        let fits = 32 + lists <= range.len;
        let generation = self.state.generation;
        if header.magic != SNAPSHOT_MAGIC || header.generation.get() != generation || !fits {
            return None;
        }
        // Bounded by the range, which lies in the file.
        let mut bytes = vec![0; usize::try_from(lists).ok()?];
        raw.read_at(range.start + 32, &mut bytes);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(header.as_bytes().get(..28)?);
        hasher.update(&bytes);
        if hasher.finalize() != header.checksum.get() {
            return None;
        }
        let (bytes, of_segments) = bytes.split_at(usize::try_from(lists - segments).ok()?);
        let (of_regions, of_stores) =
            bytes.split_at(usize::try_from(u64::from(regions) * 32).ok()?);
        self.state.space.cover(raw.len());
        let mut found = BTreeMap::new();
        for entry in of_regions.chunks_exact(32) {
            let entry = SnapshotRegion::read_from_bytes(entry).ok()?;
            let region = self.state.region_mut(entry.number.get())?;
            let bitmap = region.range.len / UNIT * BITMAP;
            let end = entry.offset.get().checked_add(bitmap)?;
            let free = u64::from(entry.free.get());
            let right = region.kind == Kind::Heap
                && region.range.start == entry.start.get()
                && free <= region.grains()
                && (free == 0 || end <= range.len);
            if !right {
                return None;
            }
            region.free = free;
            region.loaded = false;
            found.insert(entry.number.get(), entry);
        }
        let heaps = self.state.regions.iter().flatten().filter(|region| region.kind == Kind::Heap);
        if heaps.count() != found.len() {
            return None;
        }
        let mut listed = BTreeSet::new();
        for entry in of_stores.chunks_exact(32) {
            let entry = SnapshotStore::read_from_bytes(entry).ok()?;
            let store = self.shared.store(entry.number.get())?;
            let (next, live) = (entry.next.get(), entry.live.get());
            let right = next <= end_of(&store) && live <= next && listed.insert(store.number);
            if !right {
                return None;
            }
            let from = u64::from(entry.vacant_from.get()) * LOOK;
            let unseen = if entry.vacant.get() == 0 { next } else { from.min(next) };
            let indices = Indices { next, vacant: Vec::new(), ready: 0, unseen, live };
            *self.state.indices(entry.number.get()) = indices;
        }
        if listed.len() != self.shared.stores().iter().flatten().count() {
            return None;
        }
        self.read_segments(of_segments)?;
        self.state.lazy.regions = found;
        Some(())
    }

    /// Loads the bitmap of one region that has free space; false where there is none left.
    pub(crate) fn load_some_region(&mut self) -> bool {
        let regions = &self.state.lazy.regions;
        let with_space = regions.iter().find(|(_, entry)| entry.free.get() != 0);
        match with_space.map(|(number, _)| *number) {
            Some(number) => {
                self.load_region(number);
                true
            }
            None => false,
        }
    }

    /// Loads one more region of the record, free space or none; when all are loaded the record's
    /// range goes back. False when nothing was left to do.
    pub(crate) fn leave_record(&mut self) -> bool {
        if let Some(number) = self.state.lazy.regions.keys().next().copied() {
            self.load_region(number);
            return true;
        }
        let range = self.state.lazy.range;
        self.state.lazy = Lazy::rebuilt();
        if range.len != 0 {
            self.retire(false, Waste::Range(range));
        }
        range.len != 0
    }

    /// Loads the bitmap of a region.
    pub(crate) fn load_region(&mut self, number: u32) {
        let Some(entry) = self.state.lazy.regions.remove(&number) else {
            if let Some(region) = self.state.region_mut(number) {
                region.loaded = true;
            }
            return;
        };
        let Some(region) = self.state.region(number).copied() else { return };
        let trusted = entry.free.get() == 0 || self.load_bitmap(&region, &entry);
        if !trusted {
            tracing::warn!(number, "free space record of a region is damaged");
            self.rebuild_region(&region);
        }
        let free = self.state.space.count(region.base(), region.range.end());
        if let Some(region) = self.state.region_mut(number) {
            region.loaded = true;
            region.free = free;
        }
        self.state.space.offer(region.base(), region.range.end());
    }

    /// The bitmap that the record has of a region; `None` where its checksum says otherwise.
    fn recorded_bitmap(&self, (region, entry): (&Region, &SnapshotRegion)) -> Option<Vec<u8>> {
        let mut bitmap = vec![0; usize::try_from(region.range.len / UNIT * BITMAP).ok()?];
        if entry.free.get() == 0 {
            return Some(bitmap);
        }
        self.shared.raw.read_at(self.state.lazy.range.start + entry.offset.get(), &mut bitmap);
        let sum = region_sum(self.state.lazy.generation, entry.number.get(), &bitmap);
        (sum == entry.checksum.get()).then_some(bitmap)
    }

    fn load_bitmap(&mut self, region: &Region, entry: &SnapshotRegion) -> bool {
        let Some(bitmap) = self.recorded_bitmap((region, entry)) else { return false };
        let words = bitmap.chunks_exact(8);
        let words = words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        self.state.space.load(region.range.start, words);
        // The header's grains are no block's, whatever the record says.
        self.state.space.clear(Run { grain: region.range.start / GRAIN, grains: 4 });
        self.is_free_of_blocks(region)
    }

    /// Whether no block that a slot names lies where the bitmap of a region says free.
    ///
    /// A checksum says that the record is what a close wrote, or what somebody forged. The slots
    /// decide: each place in free space, and each before it from which a block could reach into
    /// it, is asked whether the block header there is one that the slot of its id names. Blocks
    /// that overlap each other are not looked for: that needs all slots, as after an unclean end.
    fn is_free_of_blocks(&self, region: &Region) -> bool {
        let stores: Vec<Arc<Store>> =
            self.shared.stores().iter().flatten().map(Arc::clone).collect();
        let owners = Owners {
            end: stores.iter().map(|store| end_of(store)).max().unwrap_or(0),
            stores,
            hint: Cell::new(0),
        };
        let mut before = region.base();
        let end = region.range.end();
        for zone in (region.range.start..end).step_by(1 << 20) {
            for run in self.state.space.runs(zone, end) {
                let start = run.at();
                let low = before.max(start.saturating_sub(u64::from(GRAINS_MAX) * GRAIN));
                let mut back = (low / GRAIN..start / GRAIN).rev().map(|grain| grain * GRAIN);
                let reach = back.find_map(|at| self.end_of_block(at, &owners));
                if reach.is_some_and(|reach| start < reach) {
                    return false;
                }
                before = start + u64::from(run.grains) * GRAIN;
                let mut places = (start..before).step_by(16);
                if places.any(|at| self.end_of_block(at, &owners).is_some()) {
                    return false;
                }
            }
        }
        true
    }

    /// The end of the block at `at`, if one starts there that a slot names.
    #[inline]
    fn end_of_block(&self, at: u64, owners: &Owners) -> Option<u64> {
        let index = BlockId::from_bits(self.shared.raw.load(at, Ordering::Relaxed)).index();
        if (HIDDEN..owners.end).contains(&index) {
            self.end_of_owned(at, index, owners)
        } else {
            None
        }
    }

    fn end_of_owned(&self, at: u64, index: u64, owners: &Owners) -> Option<u64> {
        let Owners { stores, hint, .. } = owners;
        let tag = self.shared.tag();
        // The store of the last block that was found is as good as certain to be that of the next.
        for nth in 0..stores.len() {
            let which = (hint.get() + nth) % stores.len();
            let Some(slot) = stores[which].parts.pair(index) else { continue };
            let pair = self.shared.pair(slot);
            for view in [View::Newest, View::Committed] {
                let word = pair.word(tag, view);
                if !word.is_empty() && word.body() * GRAIN == at && word.class() <= CLASS_MAX {
                    hint.set(which);
                    return Some(at + room_of(word.class()));
                }
            }
        }
        None
    }

    /// Finds the free space of one region from all slots.
    fn rebuild_region(&mut self, region: &Region) {
        self.state.space.mark_free(region.base(), region.range.end());
        let range = region.range;
        let tag = self.shared.tag();
        self.for_each_slot(&mut |engine, at| {
            for word in engine.shared.pair(at).0 {
                let place = word.body() * GRAIN;
                let here = range.start <= place && place < range.end();
                let counts = [View::Newest, View::Committed]
                    .map(|view| engine.shared.pair(at).word(tag, view));
                if here && counts.contains(&word) && engine.shared.place(word).is_some() {
                    engine.state.space.clear(Run::of(place, word.class()));
                }
            }
        });
        let waiting: Vec<Waste> = self.state.retired.all().collect();
        for waste in waiting {
            if let Waste::Run(run) = waste
                && range.start <= run.at()
                && run.at() < range.end()
            {
                self.state.space.clear(run);
            }
        }
    }

    /// Writes what will be free after the next commit; returns where.
    pub(crate) fn write_snapshot(&mut self) -> Result<Range> {
        let soon = self.free_soon();
        self.load_changed_regions(&soon);
        let generation = self.state.generation + 1;
        let heaps: Vec<(u32, Region)> = (0_u32..)
            .zip(&self.state.regions)
            .filter_map(|(number, region)| Some((number, (*region)?)))
            .filter(|(_, region)| region.kind == Kind::Heap)
            .collect();
        let stores = self.state.indices.len() as u64;
        let of_segments = self.segment_records();
        let lists = (heaps.len() as u64 + stores) * 32 + of_segments.len() as u64;
        let mut entries = Vec::new();
        let mut bitmaps = Vec::new();
        for (number, region) in heaps {
            let offset = 32 + lists + bitmaps.len() as u64;
            let (entry, bitmap) =
                self.region_record((number, &region), &soon, (generation, offset));
            entries.extend_from_slice(entry.as_bytes());
            if entry.free.get() != 0 {
                bitmaps.extend_from_slice(&bitmap);
            }
        }
        for (number, indices) in (0_u32..).zip(&self.state.indices) {
            let unseen = indices.next - indices.unseen.min(indices.next);
            let entry = SnapshotStore {
                number: U32::new(number),
                vacant_from: U32::new(u32::try_from(indices.first_vacant() / LOOK)?),
                next: U64::new(indices.next),
                live: U64::new(indices.live),
                vacant: U64::new(indices.vacant.len() as u64 + unseen),
            };
            entries.extend_from_slice(entry.as_bytes());
        }
        let regions = entries.len() as u64 / 32 - stores;
        entries.extend_from_slice(&of_segments);
        let mut header = SnapshotHeader {
            magic: SNAPSHOT_MAGIC,
            generation: U64::new(generation),
            region_count: U32::new(u32::try_from(regions)?),
            store_count: U32::new(u32::try_from(stores)?),
            segment_count: U32::new(u32::try_from(of_segments.len() as u64 / segments::SIZE)?),
            checksum: U32::new(0),
        };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(header.as_bytes().get(..28).unwrap_or_default());
        hasher.update(&entries);
        header.checksum = U32::new(hasher.finalize());
        self.store_record(&[header.as_bytes(), &entries, &bitmaps])
    }

    /// Loads the regions whose record is not what a close shall say again; the others are copied
    /// as they are, unseen.
    fn load_changed_regions(&mut self, soon: &BTreeMap<u32, Vec<Run>>) {
        let entries: Vec<(u32, SnapshotRegion)> =
            self.state.lazy.regions.iter().map(|(number, entry)| (*number, *entry)).collect();
        for (number, entry) in entries {
            let region = self.state.region(number);
            let same = region.and_then(|region| self.recorded_bitmap((region, &entry))).is_some();
            if !same || soon.contains_key(&number) {
                self.load_region(number);
            }
        }
    }

    /// What waits now and is free after the next commit, by the region it lies in.
    fn free_soon(&mut self) -> BTreeMap<u32, Vec<Run>> {
        let waiting: Vec<Waste> = self.state.retired.all().collect();
        let mut soon: BTreeMap<u32, Vec<Run>> = BTreeMap::new();
        for waste in waiting {
            if let Waste::Run(run) = waste
                && let Some((number, _)) = self.state.holding(run.at())
            {
                soon.entry(number).or_default().push(run);
            }
        }
        soon
    }

    fn region_record(
        &self,
        (number, region): (u32, &Region),
        soon: &BTreeMap<u32, Vec<Run>>,
        (generation, offset): (u64, u64),
    ) -> (SnapshotRegion, Vec<u8>) {
        let recorded = self.state.lazy.regions.get(&number);
        let recorded = recorded.and_then(|entry| self.recorded_bitmap((region, entry)));
        let mut bitmap: Vec<u8> = recorded.unwrap_or_else(|| {
            let words = self.state.space.words(region.range.start, region.range.end());
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        });
        for run in soon.get(&number).into_iter().flatten() {
            let first = run.grain - region.range.start / GRAIN;
            for grain in first..first + u64::from(run.grains) {
                let byte = usize::try_from(grain / 8).ok().and_then(|at| bitmap.get_mut(at));
                if let Some(byte) = byte {
                    *byte |= 1 << (grain % 8);
                }
            }
        }
        let free: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
        let entry = SnapshotRegion {
            number: U32::new(number),
            free: U32::new(free),
            offset: U64::new(if free == 0 { 0 } else { offset }),
            start: U64::new(region.range.start),
            spare: U32::new(0),
            checksum: U32::new(region_sum(generation, number, &bitmap)),
        };
        (entry, bitmap)
    }

    fn store_record(&mut self, parts: &[&[u8]]) -> Result<Range> {
        let len: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let range = self.take_range(len.div_ceil(UNIT) * UNIT)?;
        let mut owned = Owned::taken(range.start, range.len);
        let mut at = 0;
        for part in parts {
            owned.fill(&self.shared.raw, at, part);
            at += part.len() as u64;
        }
        if !self.state.lazy.regions.is_empty() {
            // Whoever goes on after the close loads them from the record that is there.
            return Ok(range);
        }
        // Whoever goes on after the close has the range back with the commit after it.
        let old = self.state.lazy.range;
        self.state.lazy = Lazy::rebuilt();
        if old.len != 0 {
            self.retire(false, Waste::Range(old));
        }
        Ok(range)
    }
}
