//! Counts of a region file.

use crate::{
    class::GRAIN,
    engine::Engine,
    layout::UNIT,
    region::Region,
    store::Store,
    units::Kind,
    word::{COUNT, ENTRY, TOMBSTONE, Word},
};

/// What [`RegionFile::stats`](crate::RegionFile::stats) counts. Lengths are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The file's length.
    pub file_len: u64,
    /// The last committed generation.
    pub generation: u64,
    /// Regions, by what they hold: directory, slot tables, blocks, one block, entries, a slab.
    pub region_counts: [u64; 6],
    /// Bytes of those regions.
    pub region_lens: [u64; 6],
    /// Space in block regions that is free now.
    pub free: u64,
    /// Ranges of the file that no region has.
    pub free_ranges: u64,
    /// Freed space that waits for the next commit.
    pub quarantined: u64,
    /// Freed space that waits for pins alone.
    pub pinned: u64,
    /// Pins that are held.
    pub pins: u64,
    /// How many retirements ago the oldest pin was taken: large where a reader holds space.
    pub oldest_pin: u64,
    /// Bytes of blocks written since the last commit.
    pub uncommitted: u64,
    /// The stores by name, with their live blocks.
    pub stores: Vec<(String, u64)>,
}

impl Stats {
    pub(crate) fn of(engine: &Engine<'_>) -> Self {
        let state = &*engine.state;
        let (pins, oldest_pin) = engine.shared.pins.count();
        let mut found = Self {
            file_len: engine.shared.raw.len(),
            generation: state.generation,
            free_ranges: state.ranges.total(),
            quarantined: state.retired.quarantined(),
            pinned: state.retired.waiting(),
            pins,
            oldest_pin,
            uncommitted: state.written,
            ..Self::default()
        };
        for region in state.regions.iter().flatten() {
            let kind = usize::from(region.kind.code()) - 1;
            found.region_counts[kind] += 1;
            found.region_lens[kind] += region.range.len;
            if region.kind == Kind::Heap {
                found.free += region.free * GRAIN;
            }
        }
        if !engine.is_counted() {
            // Nobody asked for free space yet, so no list of it was made.
            found.free = engine.count_free();
        }
        if !engine.shared.raw.is_writable() {
            let taken: u64 = found.region_lens.iter().sum();
            found.free_ranges = found.file_len.saturating_sub(taken + UNIT);
        }
        found.stores = engine.store_counts();
        found
    }
}

impl Engine<'_> {
    /// Live blocks of each store, counted where nothing changed since a clean open.
    fn store_counts(&self) -> Vec<(String, u64)> {
        let names = self.shared.names();
        let mut counts = Vec::new();
        for (name, (named, _)) in &names.stores {
            let crate::names::Named::Store { number, .. } = *named else { continue };
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let known = self.state.indices.get(index).map(|indices| indices.live);
            let live = known.filter(|_| self.is_counted());
            let live = live.unwrap_or_else(|| self.count_live(number));
            counts.push((name.clone(), live));
        }
        counts
    }

    /// Whether the writer's lists say what is live and free.
    fn is_counted(&self) -> bool {
        self.shared.raw.is_writable() && !self.state.lazy.is_expected()
    }

    /// Live blocks or entries of one store.
    pub(crate) fn count_of(&mut self, store: &Store) -> u64 {
        let live = self.state.indices(store.number).live;
        if self.is_counted() { live } else { self.count_live(store.number) }
    }

    fn count_live(&self, number: u32) -> u64 {
        let Some(store) = self.shared.store(number) else { return 0 };
        let tables = self.tables().filter(|table| table.store == store.number);
        tables.map(|table| self.live_words(table).count() as u64).sum()
    }

    /// Bytes of block regions that no slot names.
    fn count_free(&self) -> u64 {
        let words = self.tables().flat_map(|table| self.live_words(table));
        let shared =
            words.filter(|word| !word.is_alone() && !matches!(word.class(), ENTRY | COUNT));
        let places = shared.filter_map(|word| self.shared.place(word));
        let used: u64 = places.map(|(_, room)| room).sum();
        let regions = self.state.regions.iter().flatten();
        let heaps = regions.filter(|region| region.kind == Kind::Heap);
        heaps.map(|region| region.grains() * GRAIN).sum::<u64>().saturating_sub(used)
    }

    fn tables(&self) -> impl Iterator<Item = &Region> {
        self.state.regions.iter().flatten().filter(|region| region.kind == Kind::Table)
    }

    /// The words of a slot table that name blocks, as readers of this file see them.
    fn live_words(&self, table: &Region) -> impl Iterator<Item = Word> {
        let pairs = (table.base()..table.range.end()).step_by(16);
        let words = pairs.map(|at| self.shared.select(at));
        words.filter(|word| !word.is_empty() && word.class() != TOMBSTONE)
    }
}
