//! Counts of a region file.

use crate::{class::GRAIN, engine::Engine, layout::UNIT, units::Kind};

/// What [`RegionFile::stats`](crate::RegionFile::stats) counts. Lengths are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The file's length.
    pub file_len: u64,
    /// The last committed generation.
    pub generation: u64,
    /// Regions, by what they hold: directory, slot tables, blocks, one block.
    pub region_counts: [u64; 4],
    /// Bytes of those regions.
    pub region_lens: [u64; 4],
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
        found.stores = engine.store_counts();
        debug_assert!(found.file_len.is_multiple_of(UNIT), "a file of whole units");
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
            let counted = self.shared.raw.is_writable() && !self.state.lazy.is_expected();
            let live = known.filter(|_| counted).unwrap_or_else(|| self.count_live(number));
            counts.push((name.clone(), live));
        }
        counts
    }

    fn count_live(&self, number: u32) -> u64 {
        let Some(store) = self.shared.store(number) else { return 0 };
        let mut live = 0;
        for region in self.state.regions.iter().flatten() {
            if region.kind != Kind::Table || region.store != store.number {
                continue;
            }
            for at in (region.base()..region.range.end()).step_by(16) {
                let word = self.shared.select(at);
                live += u64::from(!word.is_empty() && word.class() != crate::word::TOMBSTONE);
            }
        }
        live
    }
}
