//! Blocks: put, remove, `modify_private`, `in_place`, evacuation of a region.

use crate::protocol::{
    engine::{Cells, Engine, Waiting, view::table},
    machine::{Result, broken},
    place::{HEADER, Key, Kind, OVERSIZE, Store, TOMBSTONE, block_size, class, offset, slot_body},
    rules::Mutant,
    state::Value,
};

/// What to put where.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Target {
    pub(in crate::protocol) key: Key,
    pub(in crate::protocol) class: u64,
    /// The region that is being evacuated.
    pub(in crate::protocol) avoid: Option<usize>,
}

/// What a publish takes out of use.
#[derive(Debug, Clone, Copy)]
enum Displaced {
    Nothing,
    Block(Cells, Option<u32>),
    Region(usize),
}

impl Engine {
    fn pair_for(&self, key: Key) -> Result<u32> {
        match self.pair_of(key) {
            Some(pair) => Ok(pair),
            None => broken("an id has no slot"),
        }
    }

    fn displaced(&self, key: Key) -> Result<Displaced> {
        let newest = self.select(self.pair_for(key)?, 0)?;
        let Some(word) = newest.filter(|word| class(*word) != TOMBSTONE) else {
            return Ok(Displaced::Nothing);
        };
        let at = offset(word);
        match (class(word), block_size(class(word))) {
            _ if key.store == Store::Log => Ok(Displaced::Nothing),
            (OVERSIZE, _) => match self.regions.holding(at) {
                Some((number, _)) => Ok(Displaced::Region(number)),
                None => broken("an oversize block lies in no region"),
            },
            (_, Some(size)) => {
                let epoch = Some(self.epoch()).filter(|_| !self.is_private(word));
                Ok(Displaced::Block(Cells::range(at, at + size), epoch))
            }
            _ => broken("a slot names no class"),
        }
    }

    fn displace(&mut self, displaced: Displaced) -> Result<()> {
        match displaced {
            Displaced::Nothing => Ok(()),
            Displaced::Block(cells, epoch) => {
                self.retire(Waiting::Cells(cells), epoch);
                Ok(())
            }
            Displaced::Region(number) => self.give_back(number),
        }
    }

    /// Puts a new or replacing block; false where no space is left.
    pub(in crate::protocol) fn put(&mut self, target: Target, value: Value) -> Result<bool> {
        let Target { key, class, avoid } = target;
        let Some(size) = block_size(class) else { return broken("a put of no class") };
        let place = if class == OVERSIZE {
            let number = self.adopt(Kind::Oversize, 1)?;
            number.and_then(|number| self.regions.0[number]).map(|home| home.base() + HEADER)
        } else {
            self.take_cells(size, avoid)?
        };
        let Some(at) = place else { return Ok(false) };
        let pair = self.pair_for(key)?;
        let displaced = self.displaced(key)?;
        let hook_late = avoid.is_some() && self.breaks(Mutant::HookAfterPublish);
        if !hook_late {
            self.offsets.push((key, at));
        }
        if self.breaks(Mutant::PublishFirst) {
            self.publish(pair, slot_body(class, at))?;
        }
        self.store(at, key.header(size))?;
        for (address, word) in (at + 1..at + size).zip(value) {
            self.store(address, word)?;
        }
        if self.breaks(Mutant::RetireFirst) {
            self.displace(displaced)?;
        }
        if self.keeps(Mutant::PublishFirst) {
            self.publish(pair, slot_body(class, at))?;
        }
        if hook_late {
            self.machine.tick()?;
            self.offsets.push((key, at));
        }
        if self.keeps(Mutant::RetireFirst) {
            self.displace(displaced)?;
        }
        Ok(true)
    }

    /// Removes an id; false where the log has no room for the tombstone.
    pub(in crate::protocol) fn remove(&mut self, key: Key) -> Result<bool> {
        let pair = self.pair_for(key)?;
        let displaced = self.displaced(key)?;
        if key.store == Store::Log && !self.append_tombstone(key)? {
            return Ok(false);
        }
        if self.breaks(Mutant::TombstoneEmpty) {
            self.store(pair, 0)?;
            self.store(pair + 1, 0)?;
        } else {
            self.publish(pair, slot_body(TOMBSTONE, key.generation + 1))?;
        }
        self.displace(displaced)?;
        Ok(true)
    }

    /// The newest word of a live id with its block's address and size.
    fn block_of(&self, key: Key) -> Result<(u64, u32, u32)> {
        let word = self.select(self.pair_for(key)?, 0)?.unwrap_or(0);
        match block_size(class(word)) {
            Some(size) => Ok((word, offset(word), size)),
            None => broken("a live id has no block"),
        }
    }

    fn value_at(&self, at: u32, size: u32) -> Result<Value> {
        let mut value = [0; 3];
        for (word, address) in value.iter_mut().zip(at + 1..at + size) {
            *word = self.load(address)?;
        }
        Ok(value)
    }

    /// Writes a block directly, after a copy if it is committed; false where that finds no space.
    pub(in crate::protocol) fn modify_private(&mut self, key: Key, value: Value) -> Result<bool> {
        let (word, at, size) = self.block_of(key)?;
        if class(word) == OVERSIZE {
            return Ok(false);
        }
        if !self.is_private(word) && self.keeps(Mutant::PrivateInPlace) {
            let copy = self.value_at(at, size)?;
            if !self.put(Target { key, class: class(word), avoid: None }, copy)? {
                return Ok(false);
            }
        }
        self.in_place(key, value)?;
        Ok(true)
    }

    /// Writes the words of a block where it lies.
    pub(in crate::protocol) fn in_place(&mut self, key: Key, value: Value) -> Result<()> {
        let (_, at, size) = self.block_of(key)?;
        for (address, word) in (at + 1..at + size).zip(value) {
            self.store(address, word)?;
        }
        Ok(())
    }

    /// Moves every block out of a heap region, then gives the region back.
    pub(in crate::protocol) fn evacuate(&mut self, number: usize) -> Result<bool> {
        let Some(region) = self.regions.0[number] else { return Ok(false) };
        for (id, pair) in table(&self.regions) {
            let Some(word) = self.select(pair, 0)? else { continue };
            let Some(size) = block_size(class(word)) else { continue };
            if id.store == Store::Log || !region.holds(offset(word)) {
                continue;
            }
            let generation = (self.load(offset(word))? >> 16 & 0xffff_ffff) as u32;
            let value = self.value_at(offset(word), size)?;
            let key = Key { generation, ..id };
            if !self.put(Target { key, class: class(word), avoid: Some(number) }, value)? {
                return Ok(false);
            }
        }
        self.give_back(number)?;
        Ok(true)
    }
}
