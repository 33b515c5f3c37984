//! Space that is free, and space that waits until nobody can look at it.

use crate::protocol::{
    engine::Engine,
    machine::Result,
    place::{FILE, HEADER, Kind, Region, UNIT},
    reader::ReaderKind,
    rules::Mutant,
};

/// A set of words of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::protocol) struct Cells([u64; 3]);

impl Cells {
    pub(in crate::protocol) fn range(start: u32, end: u32) -> Self {
        let mut cells = Self::default();
        for address in start..end.min(FILE) {
            cells.insert(address);
        }
        cells
    }

    /// The cells of a heap region.
    pub(in crate::protocol) fn of(region: Region) -> Self {
        Self::range(region.base() + HEADER, region.end())
    }

    pub(in crate::protocol) fn insert(&mut self, address: u32) {
        if let Some(part) = self.0.get_mut(address as usize / 64) {
            *part |= 1 << (address % 64);
        }
    }

    pub(in crate::protocol) fn contains(&self, address: u32) -> bool {
        self.0.get(address as usize / 64).is_some_and(|part| part >> (address % 64) & 1 == 1)
    }

    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.0 == [0; 3]
    }

    pub(in crate::protocol) fn or(self, other: Self) -> Self {
        Self([0, 1, 2].map(|part: usize| self.0[part] | other.0[part]))
    }

    pub(in crate::protocol) fn and(self, other: Self) -> Self {
        Self([0, 1, 2].map(|part: usize| self.0[part] & other.0[part]))
    }

    pub(in crate::protocol) fn without(self, other: Self) -> Self {
        Self([0, 1, 2].map(|part: usize| self.0[part] & !other.0[part]))
    }

    pub(in crate::protocol) fn iter(self) -> impl Iterator<Item = u32> {
        (0..FILE).filter(move |address| self.contains(*address))
    }

    /// Whether all of these words are in the set.
    pub(in crate::protocol) fn holds(&self, start: u32, size: u32) -> bool {
        (start..start + size).all(|address| self.contains(address))
    }
}

/// Space that is used no more, named by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Waiting {
    Cells(Cells),
    /// Units as bits.
    Units(u32),
    /// Slab slots, four bits per unit.
    Slots(u64),
}

impl Waiting {
    pub(in crate::protocol) fn is_empty(&self) -> bool {
        match self {
            Self::Cells(cells) => cells.is_empty(),
            Self::Units(units) => *units == 0,
            Self::Slots(slots) => *slots == 0,
        }
    }
}

/// Retired space with what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Retired {
    pub(in crate::protocol) what: Waiting,
    /// The epoch that retired it; `None` where it was never committed.
    pub(in crate::protocol) epoch: Option<u32>,
    pub(in crate::protocol) stamp: u64,
}

impl Engine {
    /// Puts space aside that the newest state uses no more.
    pub(super) fn retire(&mut self, what: Waiting, epoch: Option<u32>) {
        if what.is_empty() {
            return;
        }
        self.machine.board.clock += 1;
        let at_once = match what {
            Waiting::Cells(_) => Mutant::CellsReusedAtOnce,
            Waiting::Slots(_) => Mutant::SlotsReusedAtOnce,
            Waiting::Units(_) => Mutant::RangesReusedAtOnce,
        };
        let epoch = epoch.filter(|_| self.keeps(at_once));
        self.retired.push(Retired { what, epoch, stamp: self.machine.board.clock });
    }

    fn is_reusable(&self, retired: &Retired) -> bool {
        if retired.epoch.is_some_and(|epoch| self.generation < epoch) {
            return false;
        }
        let pinned = self
            .machine
            .readers
            .iter()
            .any(|reader| reader.kind == ReaderKind::Thread && reader.stamp < retired.stamp);
        let ignored = match retired.epoch {
            None => self.breaks(Mutant::PinIgnoredPrivate),
            Some(_) => self.breaks(Mutant::PinIgnoredAtCommit),
        };
        if pinned && !ignored {
            return false;
        }
        let locked = retired.epoch.is_some_and(|epoch| self.locked_below(epoch));
        !locked || self.breaks(Mutant::LocksIgnoredAtCommit)
    }

    /// Frees what waited long enough.
    pub(in crate::protocol) fn reclaim(&mut self) {
        for retired in std::mem::take(&mut self.retired) {
            if self.is_reusable(&retired) {
                self.give_free(retired.what);
            } else {
                self.retired.push(retired);
            }
        }
    }

    pub(super) fn give_free(&mut self, what: Waiting) {
        match what {
            Waiting::Cells(cells) => self.free = self.free.or(cells),
            Waiting::Units(units) => self.free_units |= units,
            Waiting::Slots(slots) => self.free_slots |= slots,
        }
    }

    /// All that waits: cells, units, slots.
    pub(in crate::protocol) fn waiting(&self) -> (Cells, u32, u64) {
        let mut all = (Cells::default(), 0, 0);
        for retired in &self.retired {
            match retired.what {
                Waiting::Cells(cells) => all.0 = all.0.or(cells),
                Waiting::Units(units) => all.1 |= units,
                Waiting::Slots(slots) => all.2 |= slots,
            }
        }
        all
    }

    /// Takes cells for a block of this size, outside the region `avoid`.
    pub(super) fn take_cells(&mut self, size: u32, avoid: Option<usize>) -> Result<Option<u32>> {
        self.reclaim();
        loop {
            let mut found = Vec::new();
            for number in self.numbers(Kind::Heap) {
                if Some(number) == avoid {
                    continue;
                }
                self.load_free(number)?;
                let Some(region) = self.regions.0[number] else { continue };
                let mut at = region.base() + HEADER;
                while at + size <= region.end() {
                    if self.free.holds(at, size) {
                        found.push(at);
                    }
                    at += size;
                }
            }
            if let Some(at) = self.machine.random.pick(&found) {
                self.free = self.free.without(Cells::range(at, at + size));
                return Ok(Some(at));
            }
            let units = self.machine.random.pick(&[1, 1, 2]).unwrap_or(1);
            if self.adopt(Kind::Heap, units)?.is_none() && self.adopt(Kind::Heap, 1)?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Takes a run of free units.
    pub(super) fn take_units(&mut self, len: u32) -> Option<u32> {
        let run = (1_u32 << len) - 1;
        let places =
            (1..self.machine.memory.len()).filter(|start| self.free_units >> start & run == run);
        let places: Vec<u32> = places.collect();
        let start = self.machine.random.pick(&places)?;
        self.free_units &= !(run << start);
        Some(start)
    }
}

/// The bits of a slab's slots.
pub(super) fn slots_of(region: Region) -> u64 {
    0xf << (4 * region.start)
}

/// The bit of one slot of the slab at `base`.
pub(super) fn slot_bit(base: u32, slot: u32) -> u64 {
    1 << (4 * (base / UNIT) + slot)
}
