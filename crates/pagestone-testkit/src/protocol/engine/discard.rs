//! Discard, which undoes the open epoch as a whole, and close, which leaves a snapshot.

use crate::protocol::{
    engine::{
        Cells, Engine, Tail, Waiting,
        recovery::{Rebuild, pack_record},
    },
    machine::Result,
    place::{CLEAN, DISCARDING, ENTRY, Kind, REGIONS},
    rules::Mutant,
};

impl Engine {
    /// Undoes everything since the last commit.
    pub(in crate::protocol) fn discard(&mut self) -> Result<()> {
        self.touch()?;
        if self.keeps(Mutant::DiscardUnmarked) {
            self.store(DISCARDING, u64::from(self.epoch()))?;
        }
        let before = (self.free, self.free_units, self.free_slots);
        let (appending, ends) = (self.appending, self.ends);
        self.scrub()?;
        if self.breaks(Mutant::DiscardUnmarksFirst) {
            self.store(DISCARDING, 0)?;
        }
        self.tail = Tail::RolledBack;
        self.rebuild(Rebuild::Discarded)?;
        if self.keeps(Mutant::DiscardUnmarksFirst) {
            self.store(DISCARDING, 0)?;
        }
        if let Some(number) = appending
            && self.breaks(Mutant::DiscardAppendsOn)
            && let Some(region) = self.regions.0[number]
            && region.kind == Kind::Segment
            && ends[number] + ENTRY <= region.end()
        {
            self.appending = appending;
            self.ends[number] = ends[number];
        }
        if self.keeps(Mutant::DiscardFreesAtOnce) {
            self.hold_back(before);
        }
        self.appended = [false; REGIONS];
        Ok(())
    }

    /// What was not free before the discard waits for the readers of what was undone, and with
    /// it what waited already.
    fn hold_back(&mut self, before: (Cells, u32, u64)) {
        let (cells, units, slots) = before;
        let fresh = (self.free.without(cells), self.free_units & !units, self.free_slots & !slots);
        self.free = self.free.and(cells);
        self.free_units &= units;
        self.free_slots &= slots;
        let epoch = Some(self.generation);
        self.retire(Waiting::Cells(fresh.0), epoch);
        self.retire(Waiting::Units(fresh.1), epoch);
        self.retire(Waiting::Slots(fresh.2), epoch);
    }

    /// Stores the free space there will be after the next commit; the places of its records.
    pub(in crate::protocol) fn snapshot(&mut self) -> Result<[u64; 2]> {
        self.touch()?;
        if self.breaks(Mutant::CleanEarly) {
            self.store(CLEAN, u64::from(self.epoch()))?;
        }
        self.load_all_free()?;
        let soon = self.waiting().0;
        let mut places = [0_u64; 2];
        for number in self.numbers(Kind::Heap) {
            let Some(region) = self.regions.0[number] else { continue };
            let free = self.free.or(soon).and(Cells::of(region));
            let room: Vec<u32> = self.free.and(Cells::of(region)).iter().collect();
            if let Some(cell) = self.machine.random.pick(&room) {
                self.store(cell, pack_record(self.epoch(), number, region, free))?;
                places[number / 8] |= u64::from(cell) << (8 * (number % 8));
            }
        }
        Ok(places)
    }

    /// The commit of the close is over: the file is clean.
    pub(in crate::protocol) fn finish_close(&mut self) -> Result<()> {
        if self.keeps(Mutant::CleanEarly) {
            self.store(CLEAN, u64::from(self.generation))?;
        }
        self.machine.sync()
    }
}
