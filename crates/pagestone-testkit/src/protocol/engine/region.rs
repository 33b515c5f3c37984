//! Regions: a range is adopted under a number, and given back.

use crate::protocol::{
    engine::{Cells, Engine, Waiting, space::slots_of, view::table},
    machine::{Regions, Result, broken},
    place::{
        COUNTER, HEADER, Key, Kind, REGIONS, Region, Store, TOMBSTONE, UNITS, class,
        directory_pair, end_pair, free_body, offset, slot_body, tag, tagged,
    },
    reader::slab_header,
    rules::Mutant,
};

/// The body of a segment's end word.
pub(super) fn end_body(end: u32, sealed: Sealed) -> u64 {
    slot_body(u64::from(sealed == Sealed::Yes), end)
}

/// Whether a segment may be appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealed {
    Yes,
    No,
}

impl Engine {
    /// A new region of `len` units; `None` where no number or no space is left.
    pub(in crate::protocol) fn adopt(&mut self, kind: Kind, len: u32) -> Result<Option<usize>> {
        self.reclaim();
        let vacant: Vec<usize> =
            (0..REGIONS).filter(|number| self.regions.0[*number].is_none()).collect();
        let Some(number) = self.machine.random.pick(&vacant) else { return Ok(None) };
        let end = self.machine.memory.len();
        let start = if let Some(start) = self.take_units(len) {
            if self.keeps(Mutant::RangeNotZeroed) {
                self.machine.zero(start, len)?;
            }
            start
        } else if end + len <= UNITS {
            self.machine.set_len(end + len)?;
            end
        } else {
            return Ok(None);
        };
        let region = Region { kind, start, len };
        let header = self.header(number, kind)?;
        if self.keeps(Mutant::HeaderLate) {
            self.store(region.base(), header)?;
        }
        if kind == Kind::Segment && self.keeps(Mutant::EndNotReset) {
            self.publish(end_pair(number), end_body(region.base() + HEADER, Sealed::No))?;
        }
        self.name(number, region)?;
        if self.breaks(Mutant::HeaderLate) {
            self.store(region.base(), header)?;
        }
        self.regions.0[number] = Some(region);
        match kind {
            Kind::Heap => self.free = self.free.or(Cells::of(region)),
            Kind::Slab => self.free_slots |= slots_of(region),
            Kind::Segment => self.ends[number] = region.base() + HEADER,
            Kind::Oversize | Kind::Table(_) => {}
        }
        Ok(Some(number))
    }

    fn name(&mut self, number: usize, region: Region) -> Result<()> {
        let pair = directory_pair(number);
        if self.breaks(Mutant::DirectoryInPlace) {
            let words = self.machine.pair(pair)?;
            let which = self.machine.choose(words, self.epoch(), 0).unwrap_or(0);
            let committed = tag(self.generation.max(1));
            return self.store(pair + which, tagged(committed, region.body()));
        }
        self.publish(pair, region.body())
    }

    fn header(&mut self, number: usize, kind: Kind) -> Result<u64> {
        match kind {
            Kind::Segment => Ok(0xc << 60 | self.machine.random.next() >> 4),
            Kind::Slab => {
                let next = self.next_slab_number()?;
                Ok(slab_header(next))
            }
            _ => Ok(0x7ab << 48 | u64::try_from(number).unwrap_or(0)),
        }
    }

    fn next_slab_number(&mut self) -> Result<u64> {
        if self.breaks(Mutant::SlabNumberReused) {
            return Ok(0);
        }
        if self.breaks(Mutant::CounterInSuperblock) {
            return self.volatile_slab_counter();
        }
        let next = self.slab_counter()?;
        self.publish(COUNTER, next + 1)?;
        Ok(next)
    }

    /// What the superblock and the slabs that are there say of the counter.
    pub(super) fn volatile_slab_counter(&self) -> Result<u64> {
        let mut next = self.superblock().map_or(0, |found| found.counter);
        for (_, region) in self.regions.iter().filter(|(_, region)| region.kind == Kind::Slab) {
            next = next.max(self.slab_number(region.base())? + 1);
        }
        Ok(next)
    }

    /// Returns a region that no newest word points into.
    pub(in crate::protocol) fn give_back(&mut self, number: usize) -> Result<()> {
        let Some(region) = self.regions.0.get(number).copied().flatten() else {
            return broken("a region is given back twice");
        };
        let committed = self.is_committed(number)?;
        if self.breaks(Mutant::PunchEarly) {
            self.machine.zero(region.start, region.len)?;
        }
        self.publish(directory_pair(number), free_body())?;
        self.forget(number, region);
        let epoch = Some(self.epoch()).filter(|_| committed);
        self.retire(Waiting::Units(region.units()), epoch);
        if self.breaks(Mutant::CutEarly) {
            self.cut(self.regions.len())?;
        }
        Ok(())
    }

    /// Drops what the volatile lists say of a region.
    fn forget(&mut self, number: usize, region: Region) {
        let cells = Cells::range(region.base(), region.end());
        self.regions.0[number] = None;
        self.free = self.free.without(cells);
        self.free_slots &= !slots_of(region);
        self.lazy[number] = None;
        for retired in &mut self.retired {
            match &mut retired.what {
                Waiting::Cells(waiting) => *waiting = waiting.without(cells),
                Waiting::Slots(slots) if region.kind == Kind::Slab => *slots &= !slots_of(region),
                Waiting::Slots(_) | Waiting::Units(_) => {}
            }
        }
        self.retired.retain(|retired| !retired.what.is_empty());
        self.ends[number] = 0;
        self.appended[number] = false;
        if self.appending == Some(number) {
            self.appending = None;
        }
    }

    /// Cuts the file to `len` units and forgets all space beyond.
    pub(super) fn cut(&mut self, len: u32) -> Result<()> {
        if len < self.machine.memory.len() {
            self.machine.set_len(len)?;
            let kept = (1_u32 << len) - 1;
            self.free_units &= kept;
            self.retired.retain(|retired| match retired.what {
                Waiting::Units(units) => units & !kept == 0,
                Waiting::Cells(_) | Waiting::Slots(_) => true,
            });
        }
        Ok(())
    }

    /// An index to give out, with its next generation.
    pub(in crate::protocol) fn new_id(&mut self, store: Store) -> Result<Option<Key>> {
        let mut vacant = self.vacant(store, &self.regions)?;
        if store == Store::HeapA && (vacant.is_empty() || self.machine.random.chance(15)) {
            let parts = self.table_parts();
            let part = [0, 1].into_iter().find(|part| !parts.contains(part));
            if let Some(part) = part
                && let Some(number) = self.adopt(Kind::Table(part), 1)?
            {
                let mut only = Regions([None; REGIONS]);
                only.0[number] = self.regions.0[number];
                vacant = self.vacant(store, &only)?;
                vacant.retain(|key| store.fixed() <= key.index);
            }
        }
        Ok(self.machine.random.pick(&vacant))
    }

    fn table_parts(&self) -> Vec<u8> {
        let part = |region: Region| match region.kind {
            Kind::Table(part) => Some(part),
            _ => None,
        };
        self.regions.iter().filter_map(|(_, region)| part(region)).collect()
    }

    fn vacant(&self, store: Store, regions: &Regions) -> Result<Vec<Key>> {
        let mut vacant = Vec::new();
        for (key, pair) in table(regions).into_iter().filter(|entry| entry.0.store == store) {
            match self.select(pair, 0)? {
                None => vacant.push(Key { generation: 1, ..key }),
                Some(word) if class(word) == TOMBSTONE => {
                    let forgets = self.breaks(Mutant::TombstoneForgetsGeneration);
                    let generation = if forgets { 1 } else { offset(word) };
                    vacant.push(Key { generation, ..key });
                }
                Some(_) => {}
            }
        }
        Ok(vacant)
    }
}
