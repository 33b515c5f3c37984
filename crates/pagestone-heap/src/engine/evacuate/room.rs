//! Where moved blocks go: a fresh region, filled from the front, low in the file; where there is
//! none, holes of other regions.

use crate::{
    class::GRAIN,
    engine::{Engine, adopt::Wanted},
    error::{Error, ErrorKind, Result},
    evacuation::{PATIENCE, Target, Victim},
    layout::{REGION_HEADER, UNIT},
    ranges::Range,
    region::fitting,
    space::Run,
    units::Kind,
};

/// A fresh region is no shorter than this part of what is wanted, so that many short gaps do not
/// become many short regions.
const PARTS: u64 = 16;

/// Room for one block.
pub(super) enum Room {
    Taken(Run),
    /// None yet: a region has to be made, in a step of its own.
    Later,
    /// None now; a commit may make some.
    AfterCommit,
    Nowhere,
}

impl Target {
    fn end(&self) -> u64 {
        self.range.end() / GRAIN
    }

    /// Grains that were not handed out.
    pub(super) fn left(&self) -> u64 {
        self.end() - self.cursor
    }
}

impl Engine<'_> {
    /// Takes room for a block of the victim.
    pub(super) fn take_room(&mut self, grains: u32) -> Result<Room> {
        if let Some(run) = self.take_of_target(grains)? {
            return Ok(Room::Taken(run));
        }
        if self.state.evacuation.late {
            return Ok(Room::Later);
        }
        if self.fresh_target(grains)?
            && let Some(run) = self.take_of_target(grains)?
        {
            return Ok(Room::Taken(run));
        }
        if self.can_wait() {
            return Ok(Room::AfterCommit);
        }
        Ok(self.take_hole(grains)?.map_or(Room::Nowhere, Room::Taken))
    }

    /// Gives room back that was not used.
    pub(super) fn give_room(&mut self, run: Run) {
        if let Some((_, region)) = self.state.holding(run.at()) {
            region.free += u64::from(run.grains);
        }
        self.state.space.free(run);
        if let Some(target) = &mut self.state.evacuation.target
            && target.cursor == run.grain + u64::from(run.grains)
        {
            target.cursor = run.grain;
        }
    }

    fn take_of_target(&mut self, grains: u32) -> Result<Option<Run>> {
        while let Some(target) = &mut self.state.evacuation.target {
            let run = Run { grain: target.cursor, grains };
            if target.left() < u64::from(grains) {
                return Ok(None);
            }
            target.cursor += u64::from(grains);
            if self.state.space.mark_used(run) {
                return self.prepared(run);
            }
        }
        Ok(None)
    }

    /// Brings the pages of a run that was taken into the cache.
    fn prepared(&mut self, run: Run) -> Result<Option<Run>> {
        if let Some((_, region)) = self.state.holding(run.at()) {
            region.free -= u64::from(run.grains);
        }
        let end = run.at() + u64::from(run.grains) * GRAIN;
        match self.prepare(run.at(), end) {
            Ok(()) => Ok(Some(run)),
            Err(error) => {
                self.give_room(run);
                self.no_space(error).map(|()| None)
            }
        }
    }

    /// Takes note that the disk is full; passes other errors on.
    fn no_space(&mut self, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::OutOfSpace {
            return Err(error);
        }
        self.state.evacuation.full = Some(error);
        Ok(())
    }

    /// A hole of another region.
    fn take_hole(&mut self, grains: u32) -> Result<Option<Run>> {
        loop {
            if let Some(run) = self.state.space.take(grains) {
                return self.prepared(run);
            }
            let more = self.state.space.sweep_much()
                || self.reclaim()
                || self.load_some_region()
                || self.state.space.sweep_some();
            if !more {
                return Ok(None);
            }
        }
    }

    /// No more is put into the target: what is left of it is free for all.
    pub(super) fn close_target(&mut self) {
        if let Some(target) = self.state.evacuation.target.take() {
            self.state.space.offer_again(target.range.start, target.range.end());
        }
    }

    /// Adopts a region for the victim's blocks, and those of the victims to come; false where
    /// there is no room for one.
    fn fresh_target(&mut self, grains: u32) -> Result<bool> {
        self.close_target();
        self.touch()?;
        self.reclaim();
        let Some(victim) = self.state.evacuation.victim else { return Ok(false) };
        let least = (u64::from(grains) * GRAIN + REGION_HEADER).next_multiple_of(UNIT);
        let adopted = match self.fresh_range(&victim, least) {
            Ok(Some(range)) => self.adopt_target(range),
            Ok(None) => return Ok(false),
            Err(error) => Err(error),
        };
        match adopted {
            Ok(()) => {
                self.state.evacuation.patience = PATIENCE;
                Ok(true)
            }
            Err(error) => self.no_space(error).map(|()| false),
        }
    }

    fn adopt_target(&mut self, range: Range) -> Result<()> {
        let number = match self.vacant_number(Kind::Heap) {
            Ok(number) => number,
            Err(error) => {
                self.state.ranges.give(range);
                return Err(error);
            }
        };
        self.adopt_range(number, Wanted::of(Kind::Heap, range.len), range)?;
        self.state.space.avoid(range.start, range.end());
        let cursor = (range.start + REGION_HEADER) / GRAIN;
        self.state.evacuation.target = Some(Target { number, range, cursor });
        Ok(())
    }

    /// A zeroed range for a region of at least `least` bytes: the lowest one that is free, else
    /// the file grows, as far as a run may have it grow.
    fn fresh_range(&mut self, victim: &Victim, least: u64) -> Result<Option<Range>> {
        let want = self.need(victim).clamp(least, self.longest().max(least));
        let least = least.max(fitting(want / PARTS));
        let lowest = |most| self.state.ranges.lowest((least, most), victim.below);
        let alone = (victim.left * GRAIN + REGION_HEADER).next_multiple_of(UNIT);
        let at_end = fitting(alone.min(want).min(self.state.evacuation.growth));
        let may_grow = victim.below == u64::MAX && self.state.evacuation.full.is_none();
        let grows = may_grow && least <= at_end;
        // A long range is kept whole for a long block; what is put to the end of the file instead
        // moves down at last.
        let found = match lowest(want * PARTS) {
            None if !grows => lowest(u64::MAX),
            found => found,
        };
        if let Some(found) = found {
            let part = Range { start: found.start, len: fitting(found.len.min(want)) };
            return self.take_part(part).map(Some);
        }
        if !grows {
            return Ok(None);
        }
        let before = self.shared.raw.len();
        let range = self.grow_range(at_end)?;
        self.state.evacuation.growth -= (self.shared.raw.len() - before).min(at_end);
        Ok(Some(range))
    }

    /// Takes a part of a free range and zeroes it.
    pub(super) fn take_part(&mut self, part: Range) -> Result<Range> {
        self.state.ranges.take_part(part);
        match self.shared.raw.zero(part.start, part.len) {
            Ok(()) => Ok(part),
            Err(error) => {
                self.state.ranges.give(part);
                Err(error.into())
            }
        }
    }

    /// Bytes of a region that holds the rest of the victim and of all candidates.
    fn need(&self, victim: &Victim) -> u64 {
        let candidates = self.state.evacuation.candidates.iter();
        let candidates: u64 = if victim.below == u64::MAX {
            candidates.filter_map(|place| self.sparse(*place)).sum()
        } else {
            0
        };
        ((victim.left + candidates) * GRAIN + REGION_HEADER).next_multiple_of(UNIT)
    }

    /// The longest region that is made, as where the file grows.
    fn longest(&self) -> u64 {
        let share = (self.state.heap_bytes / 16).max(1 << 20);
        (1_u64 << share.ilog2()).min(self.shared.options.region_size)
    }

    /// Bytes of blocks that fresh regions below `below` can hold, where `used` are wanted.
    pub(super) fn room_below(&self, below: u64, used: u64) -> u64 {
        let want = used.min(self.longest());
        let least = fitting(want / PARTS).max(UNIT);
        let ranges = self.state.ranges.usable((least, u64::MAX), below);
        ranges.map(|range| fitting(range.len) - REGION_HEADER).sum()
    }
}
