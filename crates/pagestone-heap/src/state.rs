//! What the one writer knows beside the file: all of it can be rebuilt from the file.

use std::{collections::BTreeMap, time::Instant};

use crate::{
    evacuation::Evacuation, ranges::Ranges, region::Region, relocation::Hook, retired::Retired,
    segments::Segments, slabs::Slabs, snapshot::Lazy, space::Space, store::Indices,
};

/// The volatile state under the file's lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// G, the committed generation.
    pub(crate) generation: u64,
    /// Whether the file's open is over.
    pub(crate) opened: bool,
    /// Whether the clean mark is gone from the device.
    pub(crate) touched: bool,
    /// Whether anything was changed since the last commit.
    pub(crate) changed: bool,
    /// The regions of the newest state, by number.
    pub(crate) regions: Vec<Option<Region>>,
    /// Numbers by the start of their region.
    pub(crate) by_start: BTreeMap<u64, u32>,
    /// The number of the region that each unit of the file belongs to.
    pub(crate) owners: Vec<u32>,
    pub(crate) numbers: Indices,
    pub(crate) indices: Vec<Indices>,
    /// Segments and sequences of the logs, by store.
    pub(crate) logs: BTreeMap<u32, Segments>,
    /// Slabs that were looked at.
    pub(crate) slabs: Slabs,
    pub(crate) space: Space,
    pub(crate) ranges: Ranges,
    pub(crate) retired: Retired,
    /// What the snapshot of the last close says and nobody asked for yet.
    pub(crate) lazy: Lazy,
    /// Bytes in heap regions.
    pub(crate) heap_bytes: u64,
    /// Heap regions that may be wholly free.
    pub(crate) empties: Vec<u32>,
    /// Bytes of blocks written since the last commit.
    pub(crate) written: u64,
    pub(crate) last_commit: Option<Instant>,
    /// Distinguishes the uses of a range, together with the epoch.
    pub(crate) adoptions: u64,
    /// The length that the committed superblock names.
    pub(crate) committed_len: u64,
    /// The shrink under way.
    pub(crate) evacuation: Evacuation,
    /// Who is told of blocks that move.
    pub(crate) hook: Hook,
}

impl State {
    pub(crate) fn region(&self, number: u32) -> Option<&Region> {
        self.regions.get(usize::try_from(number).ok()?)?.as_ref()
    }

    pub(crate) fn region_mut(&mut self, number: u32) -> Option<&mut Region> {
        self.regions.get_mut(usize::try_from(number).ok()?)?.as_mut()
    }

    /// The number and region that hold byte `at`.
    pub(crate) fn holding(&mut self, at: u64) -> Option<(u32, &mut Region)> {
        let unit = usize::try_from(at / crate::layout::UNIT).ok()?;
        let number = *self.owners.get(unit)?;
        let region = self.region_mut(number)?;
        (region.range.start <= at && at < region.range.end()).then_some((number, region))
    }

    /// Enters a region under its number.
    pub(crate) fn enter(&mut self, number: u32, region: Region) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if self.regions.len() <= index {
            self.regions.resize(index + 1, None);
        }
        self.regions[index] = Some(region);
        self.by_start.insert(region.range.start, number);
        let unit = |at: u64| usize::try_from(at / crate::layout::UNIT).unwrap_or(usize::MAX);
        let (first, end) = (unit(region.range.start), unit(region.range.end()));
        if self.owners.len() < end {
            self.owners.resize(end, 0);
        }
        self.owners[first..end].fill(number);
        if region.kind == crate::units::Kind::Heap {
            self.heap_bytes += region.range.len;
        }
    }

    /// Drops the region of a number.
    pub(crate) fn leave(&mut self, number: u32) -> Option<Region> {
        let entry = self.regions.get_mut(usize::try_from(number).ok()?)?;
        let region = entry.take()?;
        self.by_start.remove(&region.range.start);
        if region.kind == crate::units::Kind::Heap {
            self.heap_bytes -= region.range.len;
        }
        Some(region)
    }

    /// The end of the last region.
    pub(crate) fn end(&self) -> u64 {
        let last = self.by_start.values().next_back().and_then(|number| self.region(*number));
        last.map_or(crate::layout::UNIT, |region| region.range.end())
    }

    pub(crate) fn indices(&mut self, store: u32) -> &mut Indices {
        let index = usize::try_from(store).unwrap_or(usize::MAX);
        if self.indices.len() <= index {
            self.indices.resize(index + 1, Indices::default());
        }
        &mut self.indices[index]
    }
}
