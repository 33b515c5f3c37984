//! Which object has a value: a table of indexes by hash, objects compared where they lie.

use std::{collections::HashSet, hash::BuildHasher};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{
    class::Class,
    pools::{Pools, Spot},
    table::Table,
};

type Objects = Pools<[u8]>;

/// The next table is for so many twentieths of the objects that are there.
const GROWTH: usize = 24;

/// The value index of an object store: each value once, whichever object has it.
///
/// Entries are indexes raised by one.
#[derive(Debug)]
pub(crate) struct Values {
    table: Table,
    hasher: RandomState,
    /// Further objects of values that several have, by the one in the table.
    copies: HashMap<u32, Copies, RandomState>,
}

/// Objects of the same value as one in the table.
#[derive(Debug, Default)]
struct Copies {
    /// All of them, and some that are gone.
    entries: Vec<u32>,
    /// How many of them are there.
    live: usize,
}

impl Default for Values {
    fn default() -> Self {
        let (hasher, copies) = (RandomState::default(), HashMap::default());
        Self { table: Table::new(1, 1), hasher, copies }
    }
}

impl Values {
    /// The index of an object of this value.
    #[inline]
    pub(crate) fn find(&self, objects: &Objects, value: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(value);
        let entry = self.table.find(hash, |entry| held_at(objects, entry - 1) == Some(value))?;
        Some(entry - 1)
    }

    /// Adds the object at `index`, whose value this is.
    pub(crate) fn insert(&mut self, objects: &Objects, index: u32, value: &[u8]) {
        let entry = index + 1;
        if self.table.is_full(entry) {
            self.rebuild(objects, entry);
        }
        let hash = self.hasher.hash_one(value);
        match self.table.find(hash, |found| held_at(objects, found - 1) == Some(value)) {
            None => self.table.insert(hash, entry),
            Some(first) => {
                let copies = self.copies.entry(first).or_default();
                copies.entries.push(entry);
                copies.live += 1;
            }
        }
    }

    /// Removes the object at `index`, which still has this value, or had it.
    pub(crate) fn remove(&mut self, objects: &Objects, index: u32, value: &[u8]) {
        let (entry, hash) = (index + 1, self.hasher.hash_one(value));
        let has = |found: u32| value_at(objects, found - 1) == Some(value);
        let Some(first) = self.table.find(hash, has) else { return };
        let Some(mut copies) = self.copies.remove(&first) else {
            self.table.remove(hash, entry);
            return;
        };
        copies.live -= 1;
        let mut kept = first;
        if first == entry {
            let is_copy = |found: &u32| *found != entry && has(*found);
            let next = std::iter::from_fn(|| copies.entries.pop()).find(is_copy);
            self.table.remove(hash, entry);
            let Some(next) = next else { return };
            self.table.insert(hash, next);
            kept = next;
        }
        if copies.live == 0 {
            return;
        }
        if 2 * copies.live + 8 < copies.entries.len() {
            copies.entries.retain(|&found| found != entry && found != kept && has(found));
            copies.entries.sort_unstable();
            copies.entries.dedup();
        }
        self.copies.insert(kept, copies);
    }

    pub(crate) fn mapped(&self) -> u64 {
        let lists: usize = self.copies.values().map(|copies| copies.entries.capacity() * 4).sum();
        self.table.mapped() + (self.copies.allocation_size() + lists) as u64
    }

    /// Makes a larger table of all objects but the one that is to be `entry`.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self, objects: &Objects, entry: u32) {
        let wanted = (self.table.len() + 1) * GROWTH / 20 + 1;
        // The objects say it all: the old table goes first.
        self.table = Table::new(1, 1);
        let mut table = Table::new(wanted, objects.index_end().max(entry));
        let copies: HashSet<u32, RandomState> = self
            .copies
            .iter()
            .flat_map(|(&first, copies)| {
                let value = value_at(objects, first - 1);
                let is_copy =
                    move |&found: &u32| found != first && value_at(objects, found - 1) == value;
                copies.entries.iter().copied().filter(is_copy)
            })
            .collect();
        for (number, slab) in objects.slabs() {
            let Some(first) = objects.second_index(Spot { number, slot: 0 }) else { continue };
            for (slot, object) in slab.iter() {
                let other = (first | slot) + 1;
                if other != entry && !copies.contains(&other) {
                    table.insert(self.hasher.hash_one(object), other);
                }
            }
        }
        self.table = table;
    }
}

/// The object at an index that the table has: it goes before its object does.
#[inline]
fn held_at(objects: &Objects, index: u32) -> Option<&[u8]> {
    objects.held(objects.second_spot(index)?)
}

/// The object at an index, if there still is one.
#[inline]
fn value_at(objects: &Objects, index: u32) -> Option<&[u8]> {
    objects.get(objects.second_spot(index)?)
}

/// The class of a value, if an object may have it.
pub(crate) fn class_of(value: &[u8]) -> Option<Class> {
    (!value.is_empty()).then(|| Class::of(value.len()))
}
