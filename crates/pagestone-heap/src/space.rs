//! Free space inside heap regions: a bitmap of grains, and lists of runs by size class.
//!
//! Freed blocks only set bits. When the lists have nothing that fits, a zone of 1 MiB that much
//! was freed in is swept: its runs, neighbours joined, are listed anew in address order. So a free
//! costs a few bits, joining costs no look at neighbours, and an allocation is a pop and a split,
//! whatever the number of regions and free blocks. Nothing of this is in the file; it is rebuilt
//! from the slot tables, or loaded from the snapshot of a clean close. (Lazy sweeping by size
//! class: Boehm and Weiser 1988.)

mod bits;
mod bins;

use crate::{
    class::{GRAIN, class_below, class_of, grains_of},
    layout::UNIT,
    space::{
        bins::{Bins, Listed},
        bits::Bits,
    },
};

/// Grains of a zone: 1 MiB.
pub(crate) const ZONE: u64 = (1 << 20) / GRAIN;
/// The class, and the grains, from which on a run is long.
const LONG: u8 = class_of(LONG_GRAINS);
const LONG_GRAINS: u32 = 512;
/// Freed grains that make a zone worth a sweep before the file grows.
const MUCH: u32 = 8192;

/// A run of grains: what a block occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    /// The first grain, counted from the start of the file.
    pub(crate) grain: u64,
    pub(crate) grains: u32,
}

impl Run {
    /// The run of a block of this class at byte `at`.
    pub(crate) fn of(at: u64, class: u8) -> Self {
        Self { grain: at / GRAIN, grains: grains_of(class) }
    }

    pub(crate) fn at(self) -> u64 {
        self.grain * GRAIN
    }
}

/// What is known of one zone.
#[derive(Debug, Clone, Copy, Default)]
struct Zone {
    /// Grains freed since the last sweep.
    freed: u32,
    /// Runs of the last sweep that are still listed.
    listed: u32,
    /// The sweep that listed them; runs of earlier ones are void.
    stamp: u8,
    queue: Queue,
}

/// Which queue a zone waits in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Queue {
    #[default]
    None,
    Some,
    Much,
}

/// The free space of all heap regions.
#[derive(Debug, Default)]
pub(crate) struct Space {
    bits: Bits,
    zones: Vec<Zone>,
    bins: Bins,
    /// A long run that short ones are cut from without a way through the lists.
    current: Option<Listed>,
    /// Zones worth a sweep.
    much: Vec<u32>,
    /// Zones in which something was freed.
    some: std::collections::VecDeque<u32>,
    /// Grains freed in the zones of `some`.
    crumbs: u64,
    /// Grains from and to which nothing is listed, so that nothing there is handed out.
    avoided: Vec<(u64, u64)>,
}

impl Space {
    /// Takes a run of the smallest class that holds `grains`, from what is listed.
    pub(crate) fn take(&mut self, grains: u32) -> Option<Run> {
        let class = class_of(grains);
        let wanted = grains_of(class);
        loop {
            let listed = self.choose(class, wanted)?;
            let zone = &mut self.zones[zone_of(listed.run.grain)];
            if zone.stamp != listed.stamp {
                continue;
            }
            let run = Run { grain: listed.run.grain, grains: wanted };
            if !self.bits.take(run) {
                debug_assert!(false, "a listed run is not free");
                continue;
            }
            let left = listed.run.grains - wanted;
            let rest = Run { grain: run.grain + u64::from(wanted), grains: left };
            if LONG_GRAINS <= left && self.current.is_none() {
                self.current = Some(Listed { run: rest, stamp: listed.stamp });
            } else {
                zone.listed -= 1;
                self.list(rest);
            }
            return Some(run);
        }
    }

    /// The shortest listed run of this class or a higher one.
    #[inline]
    fn choose(&mut self, class: u8, wanted: u32) -> Option<Listed> {
        let fits = self.current.is_some_and(|current| wanted <= current.run.grains);
        if fits && !self.bins.has_between(class, LONG) {
            return self.current.take();
        }
        self.bins.pop(class)
    }

    /// Lists a run that lies in one zone.
    fn list(&mut self, run: Run) {
        // One grain holds no block; it waits in the bitmap until a neighbour is freed.
        if run.grains < 2 || self.is_avoided(run.grain) {
            return;
        }
        let zone = &mut self.zones[zone_of(run.grain)];
        zone.listed += 1;
        self.bins.push(class_below(run.grains), Listed { run, stamp: zone.stamp });
    }

    fn is_avoided(&self, grain: u64) -> bool {
        self.avoided.iter().any(|(first, end)| *first <= grain && grain < *end)
    }

    /// Hands nothing of the region `from..end` out until it is [offered again](Self::offer_again);
    /// what is freed there stays free.
    pub(crate) fn avoid(&mut self, from: u64, end: u64) {
        let (first, last) = (zone_of(from / GRAIN), zone_of((end - 1) / GRAIN));
        self.avoided.push((from / GRAIN, end / GRAIN));
        for zone in first..=last {
            self.forget_listed(zone);
        }
        // Neighbours in the zones at both ends are listed anew.
        for zone in if first == last { vec![first] } else { vec![last, first] } {
            self.sweep(u32::try_from(zone).unwrap_or(u32::MAX));
        }
    }

    /// Hands what is free in an avoided region out again.
    pub(crate) fn offer_again(&mut self, from: u64, end: u64) {
        let range = (from / GRAIN, end / GRAIN);
        let before = self.avoided.len();
        self.avoided.retain(|avoided| *avoided != range);
        if self.avoided.len() < before {
            self.offer(from, end);
        }
    }

    /// Hands all avoided space out again.
    pub(crate) fn offer_all_again(&mut self) {
        for (first, end) in std::mem::take(&mut self.avoided) {
            self.offer(first * GRAIN, end * GRAIN);
        }
    }

    /// The first grain of `from..end` that is not free.
    pub(crate) fn next_used(&self, from: u64, end: u64) -> Option<u64> {
        self.bits.next_clear(from, end)
    }

    /// Gives a run back.
    pub(crate) fn free(&mut self, run: Run) {
        self.bits.set(run);
        let first = zone_of(run.grain);
        let last = zone_of(run.grain + u64::from(run.grains) - 1);
        for zone in first..=last {
            let part = if first == last { run.grains } else { run.grains / 2 };
            self.freed(zone, part);
        }
    }

    fn freed(&mut self, number: usize, grains: u32) {
        let zone = &mut self.zones[number];
        zone.freed = zone.freed.saturating_add(grains);
        self.crumbs += u64::from(grains);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if zone.freed >= MUCH && zone.queue != Queue::Much {
            zone.queue = Queue::Much;
            self.much.push(number);
        } else if zone.queue == Queue::None {
            zone.queue = Queue::Some;
            self.some.push_back(number);
        }
    }

    /// Lists the runs of one more zone that much was freed in; false when there is none.
    pub(crate) fn sweep_much(&mut self) -> bool {
        match self.much.pop() {
            Some(zone) => {
                self.sweep(zone);
                true
            }
            None => false,
        }
    }

    /// Lists the runs of one more zone that anything was freed in; false when there is none.
    pub(crate) fn sweep_some(&mut self) -> bool {
        while let Some(zone) = self.some.pop_front() {
            if self.zones[usize::try_from(zone).unwrap_or(0)].queue == Queue::Some {
                self.sweep(zone);
                return true;
            }
        }
        false
    }

    /// Grains that were freed and are not listed.
    pub(crate) fn crumbs(&self) -> u64 {
        self.crumbs
    }

    fn sweep(&mut self, number: u32) {
        let index = usize::try_from(number).unwrap_or(0);
        self.forget_listed(index);
        let zone = &mut self.zones[index];
        self.crumbs = self.crumbs.saturating_sub(u64::from(zone.freed));
        zone.freed = 0;
        zone.queue = Queue::None;
        let mut runs = self.bits.runs(u64::from(number) * ZONE, ZONE);
        // The lists are stacks: the lowest address comes last to be taken first.
        while let Some(run) = runs.pop() {
            self.list(run);
        }
    }

    /// Makes what is listed of a zone void.
    fn forget_listed(&mut self, index: usize) {
        self.current = self.current.filter(|current| zone_of(current.run.grain) != index);
        let zone = &mut self.zones[index];
        self.bins.forget(zone.listed);
        zone.listed = 0;
        zone.stamp = Listed::next_stamp(zone.stamp);
        if zone.stamp == 0 || self.bins.is_mostly_void() {
            let zones = &self.zones;
            self.bins.purge(|listed| {
                let zone = &zones[zone_of(listed.run.grain)];
                zone.stamp == listed.stamp && zone.listed != 0
            });
        }
    }

    /// Covers a file of `len` bytes.
    pub(crate) fn cover(&mut self, len: u64) {
        let zones = usize::try_from(len.div_ceil(ZONE * GRAIN)).unwrap_or(usize::MAX);
        if self.zones.len() < zones {
            self.zones.resize(zones, Zone::default());
        }
        self.bits.cover(len.div_ceil(UNIT) * (UNIT / GRAIN));
    }

    /// Makes all of `from..end` free and lists it.
    pub(crate) fn add(&mut self, from: u64, end: u64) {
        let (first, mut grain) = (from / GRAIN, end / GRAIN);
        // Piece by piece from the back, so that the front is taken first.
        while first < grain {
            let start = ((grain - 1) / ZONE * ZONE).max(first);
            let grains = u32::try_from(grain - start).unwrap_or(0);
            let run = Run { grain: start, grains };
            self.bits.set(run);
            self.list(run);
            grain = start;
        }
    }

    /// Makes all of `from..end` free without listing it: a rebuild comes first.
    pub(crate) fn mark_free(&mut self, from: u64, end: u64) {
        self.bits.set_all(from / GRAIN, end / GRAIN);
    }

    /// Marks a run used; false when part of it was not free.
    pub(crate) fn mark_used(&mut self, run: Run) -> bool {
        self.bits.take(run)
    }

    /// Marks a run used, whatever part of it was free.
    pub(crate) fn clear(&mut self, run: Run) {
        self.bits.clear_all(run.grain, run.grain + u64::from(run.grains));
    }

    /// The free runs of the zone that starts at byte `at`, up to byte `end`, in order.
    pub(crate) fn runs(&self, at: u64, end: u64) -> Vec<Run> {
        let grains = (end - at) / GRAIN;
        self.bits.runs(at / GRAIN, grains.min(ZONE))
    }

    /// Says that zones of `from..end` have runs that were not listed.
    pub(crate) fn offer(&mut self, from: u64, end: u64) {
        let (first, last) = (zone_of(from / GRAIN), zone_of((end - 1) / GRAIN));
        for zone in (first..=last).rev() {
            let low = (from / GRAIN).max(zone as u64 * ZONE);
            let high = (end / GRAIN).min((zone as u64 + 1) * ZONE);
            let free = self.bits.count(low, high);
            if free != 0 {
                self.freed(zone, u32::try_from(free).unwrap_or(u32::MAX));
            }
        }
    }

    /// Takes all of `from..end` out of use.
    pub(crate) fn remove(&mut self, from: u64, end: u64) {
        self.bits.clear_all(from / GRAIN, end / GRAIN);
        self.avoided.retain(|(first, _)| !(from / GRAIN..end / GRAIN).contains(first));
        let (first, last) = (zone_of(from / GRAIN), zone_of((end - 1) / GRAIN));
        for zone in first..=last {
            // What a neighbour in the same zone has free is listed again by its next sweep.
            self.forget_listed(zone);
            let low = zone as u64 * ZONE;
            if self.bits.count(low, low + ZONE) != 0 {
                self.freed(zone, 1);
            }
        }
    }

    /// Free grains in `from..end`.
    pub(crate) fn count(&self, from: u64, end: u64) -> u64 {
        self.bits.count(from / GRAIN, end / GRAIN)
    }

    /// Runs that are free here and were not in `before`.
    pub(crate) fn newly_free(&self, before: &Self) -> Vec<Run> {
        self.bits.without(&before.bits)
    }

    /// The bitmap of `from..end`, whole units.
    pub(crate) fn words(&self, from: u64, end: u64) -> &[u64] {
        self.bits.words(from / GRAIN, end / GRAIN)
    }

    /// Sets the bitmap of `from..`, whole units.
    pub(crate) fn load(&mut self, from: u64, words: impl Iterator<Item = u64>) {
        self.bits.load(from / GRAIN, words);
    }
}

fn zone_of(grain: u64) -> usize {
    usize::try_from(grain / ZONE).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{GRAIN, Run, Space, ZONE};

    fn space(mib: u64) -> Space {
        let mut space = Space::default();
        space.cover(mib << 20);
        space.add(64 << 10, mib << 20);
        space
    }

    #[test]
    fn runs_are_taken_from_the_front_without_overlap() {
        let mut space = space(3);
        let mut end = (64 << 10) / GRAIN;
        let mut taken = 0;
        while let Some(run) = space.take(5) {
            assert!(end <= run.grain || run.grain / ZONE == end / ZONE, "{run:?}");
            end = run.grain + 5;
            taken += 5;
        }
        let all = (3 << 20) / GRAIN - (64 << 10) / GRAIN;
        assert!(taken <= all && all - taken < 20, "{taken} of {all}");
    }

    #[test]
    fn freed_neighbours_join_at_the_next_sweep() {
        let mut space = space(1);
        let mut runs = Vec::new();
        while let Some(run) = space.take(4) {
            runs.push(run);
        }
        assert_eq!(space.take(16), None);
        for run in runs.iter().skip(100).take(8000) {
            space.free(*run);
        }
        assert_eq!(space.take(16), None, "not swept yet");
        assert!(space.sweep_much());
        let large: Vec<Run> = std::iter::from_fn(|| space.take(16)).collect();
        assert_eq!(large.len(), 2000);
        assert_eq!(large[0].grain, runs[100].grain);
        assert!(!space.sweep_much());
    }

    #[test]
    fn few_freed_runs_wait_until_they_are_asked_for() {
        let mut space = space(1);
        let runs: Vec<Run> = std::iter::from_fn(|| space.take(4)).collect();
        space.free(runs[7]);
        assert!(!space.sweep_much());
        assert_eq!(space.crumbs(), 4);
        assert!(space.sweep_some());
        assert_eq!(space.take(3), Some(Run { grains: 3, ..runs[7] }));
        assert!(!space.sweep_some());
    }

    #[test]
    fn an_allocation_looks_at_one_run_whatever_is_free() {
        let mut space = space(32);
        let mut runs: Vec<Run> = std::iter::from_fn(|| space.take(4)).collect();
        runs.extend(std::iter::from_fn(|| space.take(2)));
        // Every second run, so that none are neighbours: 260,000 free runs of one class.
        let mut freed = 0_u64;
        for run in runs.iter().step_by(2) {
            space.free(*run);
            freed += 1;
        }
        let mut sweeps = 0;
        for _ in 0..freed - 64 {
            let run = loop {
                let before = space.bins.entries();
                match space.take(4) {
                    Some(run) => {
                        assert_eq!(before - space.bins.entries(), 1);
                        break run;
                    }
                    None => assert!(space.sweep_much()),
                }
                sweeps += 1;
            };
            assert_eq!(run.grains, 4);
        }
        assert!(sweeps <= 32, "{sweeps} sweeps: more than one per MiB");
    }

    #[test]
    fn avoided_space_is_handed_out_when_it_is_offered_again() {
        let mut space = space(3);
        let (from, end) = ((1 << 20) + (192 << 10), (2 << 20) + (128 << 10));
        // As their headers do, they keep runs from reaching from one region into the next.
        for start in [from, end] {
            assert!(space.mark_used(Run { grain: start / GRAIN, grains: 4 }));
        }
        let inside = Run { grain: from / GRAIN + 100, grains: 300 };
        assert!(space.mark_used(inside));
        space.avoid(from, end);
        space.free(inside);
        let all = |space: &mut Space| {
            let mut runs = Vec::new();
            loop {
                match space.take(4) {
                    Some(run) => runs.push(run),
                    None if space.sweep_much() || space.sweep_some() => {}
                    None => return runs,
                }
            }
        };
        let others = all(&mut space);
        assert!(others.iter().all(|run| run.at() < from || end <= run.at()));
        let beside = ((3 << 20) - (64 << 10) - (end - from)) / GRAIN / 4 - 1;
        assert_eq!(others.len() as u64, beside, "all beside it, the zones at its ends too");
        assert_eq!(space.next_used(end / GRAIN - 4, u64::MAX), Some(end / GRAIN));
        assert_eq!(space.next_used(from / GRAIN + 4, end / GRAIN), None);
        space.offer_again(from, end);
        assert_eq!(all(&mut space).len() as u64, (end - from) / GRAIN / 4 - 1);
    }

    #[test]
    fn removed_space_is_handed_out_no_more() {
        let mut space = space(2);
        let first = space.take(4).unwrap();
        space.remove(1 << 20, 2 << 20);
        let mut count = 1;
        while let Some(run) = space.take(4) {
            assert!(run.at() < 1 << 20, "{run:?}");
            count += 1;
        }
        while space.sweep_some() {}
        assert_eq!(count, ((1 << 20) - (64 << 10)) / GRAIN / 4);
        assert_eq!(first.at(), 64 << 10);
    }
}
