//! Evacuation: regions are emptied block by block, then given back; docs/durability.md says in
//! which order.
//!
//! Why it ends: a run takes each heap region of its beginning as a victim once, and walks over it
//! once; what it fills is dense and no victim of this run. Then the last region of the file moves
//! down as long as each one that moves starts lower than the one before. Commits are asked for a
//! bounded number of times between two moves.

mod owners; // whose block is at a place
mod walk; // the next block of a victim, and its move
mod room; // where moved blocks go
mod long; // blocks with a region of their own

use std::time::{Duration, Instant};

use self::owners::Owners;
use crate::{
    class::GRAIN,
    engine::Engine,
    error::Result,
    evacuation::{Evacuation, PATIENCE, Phase, Place, Victim},
    layout::{REGION_HEADER, UNIT},
    options::Durability,
    region::Region,
    shrink::{ShrinkProgress, ShrinkState},
    units::Kind,
};

/// A region with less than this part of free space is dense enough.
const SPARSE: u64 = 16;
/// And free bytes that make one worth it: what fits together badly in units of 64 KiB takes as much
/// in the next region.
const WORTH: u64 = 256 << 10;

/// What comes after a part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    More,
    /// What comes is too long for the rest of a step.
    Pause,
    Commit,
    Done,
}

impl Engine<'_> {
    /// Goes on with a shrink, or begins one.
    pub(crate) fn shrink_step(&mut self, budget: Duration) -> Result<ShrinkProgress> {
        self.shared.check_writable()?;
        let begin = Instant::now();
        let owners = Owners::of(self);
        self.state.evacuation.late = false;
        let mut step = || loop {
            match self.shrink_some(&owners)? {
                Next::More => {
                    let spent = begin.elapsed();
                    let run = &mut self.state.evacuation;
                    run.late = budget / 2 <= spent;
                    let idle = run.victim.is_none() && run.long.is_none();
                    if budget <= spent || run.late && idle {
                        return Ok(ShrinkState::Moving);
                    }
                }
                Next::Pause => return Ok(ShrinkState::Moving),
                Next::Commit => return Ok(ShrinkState::Commit),
                Next::Done => return Ok(ShrinkState::Done),
            }
        };
        let state = step();
        let progress = state.map(|state| self.progress(state));
        if progress.as_ref().map_or(true, |progress| progress.state == ShrinkState::Done) {
            self.shrink_cancel();
        }
        progress
    }

    fn progress(&self, state: ShrinkState) -> ShrinkProgress {
        let run = &self.state.evacuation;
        let within = run.victim.map_or(0, |victim| victim.cursor * GRAIN - victim.range.start);
        ShrinkProgress {
            state,
            blocks: run.tally.blocks,
            payload: run.tally.payload,
            done: (run.tally.done + within).min(run.tally.total),
            total: run.tally.total,
            file_len: self.shared.raw.len(),
            waiting: self.state.retired.waiting(),
        }
    }

    /// Ends a shrink; what it kept from other use is free again.
    pub(crate) fn shrink_cancel(&mut self) {
        self.drop_long();
        self.state.space.offer_all_again();
        self.state.evacuation = Evacuation::default();
    }

    fn shrink_some(&mut self, owners: &Owners) -> Result<Next> {
        let run = &mut self.state.evacuation;
        if run.asked == Some(self.state.generation) {
            return Ok(Next::Commit);
        }
        run.asked = None;
        if run.long.is_some() {
            return self.move_long_some();
        }
        if run.victim.is_some() {
            return self.evacuate_some(owners);
        }
        let phase = run.phase;
        match phase {
            Phase::Idle => self.begin_shrink(),
            // The record of the last close may be what lies at the end of the file.
            Phase::Clear if self.leave_record() => Ok(Next::More),
            Phase::Clear => self.plan(),
            Phase::Gather => self.next_victim(),
            Phase::Settle => self.next_at_tail(owners),
            Phase::Finish => self.finish_shrink(),
        }
    }

    fn begin_shrink(&mut self) -> Result<Next> {
        if !self.state.touched {
            self.touch()?;
        }
        self.state.evacuation.phase = Phase::Clear;
        self.state.evacuation.patience = PATIENCE;
        let changed = self.state.changed || 0 < self.state.retired.quarantined();
        if changed { self.ask_for_commit() } else { Ok(Next::More) }
    }

    /// All regions of blocks are looked at.
    fn plan(&mut self) -> Result<Next> {
        self.give_emptied_back()?;
        let heaps = (0_u32..).zip(&self.state.regions);
        let heaps = heaps.filter_map(|(number, region)| Some((number, (*region)?)));
        let heaps: Vec<(u32, Region)> =
            heaps.filter(|(_, region)| region.kind == Kind::Heap).collect();
        let run = &mut self.state.evacuation;
        run.phase = Phase::Gather;
        run.growth = heaps.iter().map(|(_, region)| region.range.len).max().unwrap_or(0);
        run.tally.total = heaps.iter().map(|(_, region)| region.range.len).sum();
        run.candidates = heaps
            .into_iter()
            .map(|(number, region)| Place { number, start: region.range.start })
            .collect();
        Ok(Next::More)
    }

    /// A commit has to come before anything else can be done.
    fn ask_for_commit(&mut self) -> Result<Next> {
        self.touch()?;
        self.give_emptied_back()?;
        self.state.evacuation.uncommitted = 0;
        if self.shared.options.durability == Durability::Scratch {
            self.reclaim();
            self.cut_tail();
            return Ok(Next::More);
        }
        self.state.evacuation.asked = Some(self.state.generation);
        Ok(Next::Commit)
    }

    /// Whether a commit, of the few that are waited for, may make room.
    fn can_wait(&self) -> bool {
        let waits = 0 < self.state.retired.quarantined() || !self.state.empties.is_empty();
        waits && 0 < self.state.evacuation.patience
    }

    fn wait_for_room(&mut self) -> Result<Next> {
        let patience = &mut self.state.evacuation.patience;
        *patience = patience.saturating_sub(1);
        self.ask_for_commit()
    }

    /// Gives regions back in which nothing is used and nothing waits.
    fn give_emptied_back(&mut self) -> Result<()> {
        self.reclaim();
        if self.state.empties.is_empty() {
            return Ok(());
        }
        self.touch()?;
        self.give_empties_back()
    }

    /// The region of a place, while it is the one that was meant.
    fn region_at(&self, place: Place) -> Option<&Region> {
        let region = self.state.region(place.number)?;
        (region.kind == Kind::Heap && region.range.start == place.start).then_some(region)
    }

    /// Grains in use in a candidate that is worth a move.
    fn sparse(&self, place: Place) -> Option<u64> {
        let region = self.region_at(place)?;
        let target = self.state.evacuation.target;
        let sparse = region.grains() <= region.free.saturating_mul(SPARSE)
            && (WORTH <= region.free * GRAIN || region.free == region.grains());
        (sparse && target.is_none_or(|target| target.number != place.number))
            .then(|| region.grains() - region.free)
    }

    /// Chooses the next region to be emptied: much free space first, then low ones.
    fn next_victim(&mut self) -> Result<Next> {
        self.give_emptied_back()?;
        let candidates = std::mem::take(&mut self.state.evacuation.candidates);
        let sparse: Vec<Place> =
            candidates.into_iter().filter(|place| self.sparse(*place).is_some()).collect();
        let chosen = sparse.iter().copied().max_by_key(|place| {
            let region = self.region_at(*place).copied();
            let share = region.map_or(0, |region| region.free * 8 / region.grains());
            (share, std::cmp::Reverse(place.start))
        });
        let gain = self.gain(&sparse);
        self.state.evacuation.candidates = sparse;
        let Some(place) = chosen.filter(|_| gain) else { return Ok(self.end_of_gather()) };
        let run = &mut self.state.evacuation;
        run.candidates.retain(|other| *other != place);
        self.make_victim(place, u64::MAX);
        Ok(Next::More)
    }

    /// Whether the blocks of these regions need less than the regions are long.
    fn gain(&self, places: &[Place]) -> bool {
        let used: u64 = places.iter().filter_map(|place| self.sparse(*place)).sum();
        let regions = places.iter().filter_map(|place| self.region_at(*place));
        let have: u64 = regions.map(|region| region.range.len).sum();
        let room = self.state.evacuation.target.map_or(0, |target| target.left());
        let need = (used.saturating_sub(room) * GRAIN + REGION_HEADER).next_multiple_of(UNIT);
        need < have
    }

    fn end_of_gather(&mut self) -> Next {
        let run = &mut self.state.evacuation;
        if run.emptied && !run.put_off.is_empty() {
            // What was emptied since has made room.
            run.emptied = false;
            run.candidates = std::mem::take(&mut run.put_off);
        } else {
            run.tally.done = run.tally.total;
            run.phase = Phase::Settle;
            run.patience = PATIENCE;
            self.close_target();
        }
        Next::More
    }

    fn make_victim(&mut self, place: Place, below: u64) {
        self.load_region(place.number);
        let Some(region) = self.region_at(place).copied() else { return };
        self.state.space.avoid(region.range.start, region.range.end());
        self.state.evacuation.victim = Some(Victim {
            place,
            range: region.range,
            cursor: region.base() / GRAIN,
            left: region.grains() - region.free,
            below,
        });
    }

    /// The walk over the victim is over.
    fn victim_done(&mut self, victim: &Victim) {
        let run = &mut self.state.evacuation;
        run.victim = None;
        run.emptied = true;
        run.tally.done += victim.range.len;
        let empty =
            self.region_at(victim.place).is_some_and(|region| region.free == region.grains());
        if empty {
            self.state.empties.push(victim.place.number);
        }
        tracing::debug!(number = victim.place.number, empty, "region emptied");
    }

    /// The victim's blocks find no room.
    fn put_victim_off(&mut self, victim: &Victim) {
        let run = &mut self.state.evacuation;
        run.victim = None;
        run.put_off.push(victim.place);
        self.state.space.offer_again(victim.range.start, victim.range.end());
    }

    /// Moves the last region down where a range below holds what is in it.
    fn next_at_tail(&mut self, owners: &Owners) -> Result<Next> {
        self.close_target();
        self.give_emptied_back()?;
        if self.state.evacuation.settled.is_none() && self.can_wait() {
            // The low ranges that were just emptied are the ones to move to.
            return self.wait_for_room();
        }
        let last = self.state.by_start.iter().next_back();
        let Some((start, number)) = last.map(|(start, number)| (*start, *number)) else {
            return Ok(Next::Done);
        };
        let Some(region) = self.state.region(number).copied() else { return Ok(Next::Done) };
        let lower = self.state.evacuation.settled.is_none_or(|settled| start < settled);
        let begun = lower
            && match region.kind {
                Kind::Heap => self.begin_last(Place { number, start }, &region),
                Kind::Oversize => self.begin_long(number, owners)?,
                Kind::Table | Kind::Directory | Kind::Segment | Kind::Slab => false,
            };
        if begun {
            self.state.evacuation.settled = Some(start);
            self.state.evacuation.patience = PATIENCE;
            return Ok(Next::More);
        }
        if self.can_wait() {
            return self.wait_for_room();
        }
        self.state.evacuation.phase = Phase::Finish;
        self.state.evacuation.patience = PATIENCE;
        Ok(Next::More)
    }

    fn begin_last(&mut self, place: Place, region: &Region) -> bool {
        let used = (region.grains() - region.free) * GRAIN;
        let fits = used == 0 || used + used / SPARSE <= self.room_below(place.start, used);
        if fits {
            self.make_victim(place, place.start);
        }
        fits
    }

    fn finish_shrink(&mut self) -> Result<Next> {
        self.give_emptied_back()?;
        if self.can_wait() || self.state.evacuation.uncommitted != 0 {
            return self.wait_for_room();
        }
        let run = &mut self.state.evacuation;
        match run.full.take() {
            Some(error) if !run.put_off.is_empty() => Err(error),
            _ => Ok(Next::Done),
        }
    }
}
