//! The whole content as one state, read as an open reads it.

use crate::protocol::{
    engine::{Engine, in_file, log::Entry, space::Cells},
    machine::{Regions, Result, broken},
    place::{
        EntryKind, HEADER, Key, Kind, LOGGED, OVERSIZE, ROOT, Region, SLOTS, Store, TOMBSTONE,
        UNIT, UNITS, block_size, body_of, class, offset,
    },
    rules::Mutant,
    state::{State, Value},
};

/// A state with the owner of each cell.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct View {
    pub(in crate::protocol) state: State,
    pub(in crate::protocol) used: Cells,
    owners: Vec<(Key, u32)>,
}

impl View {
    /// The id whose block begins at a cell.
    pub(super) fn begins_at(&self, address: u32) -> Option<Key> {
        self.owners.iter().find(|owner| owner.1 == address).map(|owner| owner.0)
    }

    /// Every block's place with its id.
    pub(in crate::protocol) fn places(&self) -> &[(Key, u32)] {
        &self.owners
    }
}

impl Engine {
    /// The content: newest for `age_min` 0, committed for 1.
    pub(in crate::protocol) fn view(&self, age_min: i32) -> Result<View> {
        let regions = self.directory(age_min)?;
        let units = self.check_regions(&regions)?;
        let mut view = View { state: State::default(), used: Cells::default(), owners: Vec::new() };
        let mut content = Vec::with_capacity(24);
        for (key, pair) in table(&regions) {
            let Some(word) = self.select(pair, age_min)? else { continue };
            if class(word) == TOMBSTONE {
                continue;
            }
            let at = offset(word);
            let region = units.get((at / UNIT) as usize).copied().flatten();
            let Some(region) = region.filter(|_| in_file(at)) else {
                return broken("a slot points outside every region");
            };
            let home = regions.0[region];
            let read = if key.store == Store::Log {
                self.read_entry(key, word, home)?
            } else {
                self.read_block(key, word, home.map(|region| region.kind))?
            };
            if key.store != Store::Log {
                let size = block_size(class(word)).unwrap_or(1);
                let cells = Cells::range(at, at + size);
                if !cells.and(view.used).is_empty() {
                    return broken("two ids own one cell");
                }
                view.used = view.used.or(cells);
                view.owners.push((read.0, at));
            }
            content.push(read);
        }
        self.read_slabs(&regions, age_min, &mut content)?;
        let root = self.select(ROOT, age_min)?.map_or(0, body_of);
        let root = if self.breaks(Mutant::RootInSuperblock) { self.root } else { root };
        if root != 0 {
            content.push((Key::ROOT, [root, 0, 0]));
        }
        view.state = State::from_unsorted(content);
        Ok(view)
    }

    /// No range has two owners, each lies in the file and begins with its header.
    fn check_regions(&self, regions: &Regions) -> Result<[Option<usize>; UNITS as usize]> {
        let mut units = [None; UNITS as usize];
        let mut parts = [false; 2];
        for (number, region) in regions.iter() {
            for unit in region.start..region.start + region.len {
                let owner = &mut units[unit as usize % UNITS as usize];
                if owner.is_some() {
                    return broken("two regions own one range");
                }
                *owner = Some(number);
            }
            if self.machine.memory.len() < region.start + region.len {
                return broken("a region lies beyond the end of the file");
            }
            if self.load(region.base())? == 0 {
                return broken("a region has no header");
            }
            if let Kind::Table(part) = region.kind
                && std::mem::replace(&mut parts[usize::from(part & 1)], true)
            {
                return broken("one part of a table is there twice");
            }
        }
        Ok(units)
    }

    fn read_block(&self, key: Key, word: u64, kind: Option<Kind>) -> Result<(Key, Value)> {
        let at = offset(word);
        let home = if class(word) == OVERSIZE { Kind::Oversize } else { Kind::Heap };
        let Some(size) = block_size(class(word)).filter(|_| kind == Some(home)) else {
            return broken("a block lies outside its region");
        };
        let header = self.load(at)?;
        let generation = (header >> 16 & 0xffff_ffff) as u32;
        let key = Key { generation, ..key };
        if header != key.header(size) {
            return broken("a block has the header of another id");
        }
        let mut value = [0; 3];
        for (word, address) in value.iter_mut().zip(at + 1..at + size) {
            *word = self.load(address)?;
        }
        Ok((key, value))
    }

    fn read_entry(&self, key: Key, word: u64, home: Option<Region>) -> Result<(Key, Value)> {
        let segment = home.filter(|home| home.kind == Kind::Segment && class(word) == LOGGED);
        let Some(segment) = segment else {
            return broken("an entry lies outside a segment");
        };
        match self.entry(segment, offset(word))? {
            Some(entry) if entry.key.index == key.index && entry.kind == EntryKind::Value => {
                Ok((entry.key, [entry.value, 0, 0]))
            }
            _ => broken("an entry is damaged"),
        }
    }

    fn read_slabs(
        &self,
        regions: &Regions,
        age_min: i32,
        content: &mut Vec<(Key, Value)>,
    ) -> Result<()> {
        for (_, region) in regions.iter().filter(|(_, region)| region.kind == Kind::Slab) {
            let number = self.slab_number(region.base())?;
            for slot in 0..SLOTS {
                if !self.slot_used(region.base(), slot, age_min)? {
                    continue;
                }
                let generation = self.slot_generation(region.base(), slot)?;
                let object = self.load(region.base() + 8 + slot)?;
                let key = slab_key(number, slot, generation);
                if content.iter().any(|entry| entry.0 == key) {
                    return broken("two slots have one id");
                }
                content.push((key, [object, 0, 0]));
            }
        }
        Ok(())
    }

    /// The committed content of the log from its entries alone.
    pub(in crate::protocol) fn salvage(&self) -> Result<State> {
        let regions = self.directory(1)?;
        let mut best: [Option<Entry>; 4] = [None; 4];
        for (number, region) in regions.iter().filter(|(_, region)| region.kind == Kind::Segment) {
            let mut end = self.committed_end(number, region)?;
            if self.breaks(Mutant::SalvageReadsOn) {
                end = region.end();
            }
            for entry in self.entries_until(region, end)? {
                let order = |entry: &Entry| (entry.key.generation, entry.sequence);
                let Some(best) = best.get_mut(entry.key.index as usize) else { continue };
                if best.is_none_or(|best| order(&best) < order(&entry)) {
                    *best = Some(entry);
                }
            }
        }
        let live = best.into_iter().flatten().filter(|best| best.kind == EntryKind::Value);
        Ok(State::from_unsorted(live.map(|best| (best.key, [best.value, 0, 0])).collect()))
    }

    /// Whether the number names the same range in both directories.
    pub(super) fn is_committed(&self, number: usize) -> Result<bool> {
        let region = self.regions.0.get(number).copied().flatten();
        let committed = self.directory(1)?.0.get(number).copied().flatten();
        Ok(region.is_some() && region == committed)
    }
}

/// The id of an object.
pub(super) fn slab_key(number: u64, slot: u32, generation: u64) -> Key {
    let number = (number & 0xffff) as u32;
    Key { store: Store::Slab, index: number * SLOTS + slot, generation: (generation & 0xff) as u32 }
}

/// Every id of the tables with its pair, generation left out.
pub(super) fn table(regions: &Regions) -> Vec<(Key, u32)> {
    let mut table = Vec::with_capacity(19);
    for store in [Store::HeapA, Store::HeapB, Store::Log] {
        for index in 0..store.fixed() {
            table.push((Key { store, index, generation: 0 }, store.fixed_pair(index)));
        }
    }
    for (_, region) in regions.iter() {
        if let Kind::Table(part) = region.kind {
            for place in 0..4 {
                let index = Store::HeapA.fixed() + 4 * u32::from(part) + place;
                let key = Key { store: Store::HeapA, index, generation: 0 };
                table.push((key, region.base() + HEADER + 2 * place));
            }
        }
    }
    table
}
