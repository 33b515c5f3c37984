//! What a store holds at one moment, and which ids were given out.

use std::rc::Rc;

use crate::protocol::place::{Key, Store};

/// The words of one value; shorter ones end in zeros.
pub(super) type Value = [u64; 3];

/// A state that several lists share.
pub(super) type Shared = Rc<State>;

/// Every live key with its value, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State(Vec<(Key, Value)>);

impl State {
    pub(super) fn from_unsorted(mut entries: Vec<(Key, Value)>) -> Self {
        entries.sort_unstable_by_key(|entry| entry.0);
        Self(entries)
    }

    pub(super) fn get(&self, key: Key) -> Option<Value> {
        let place = self.0.binary_search_by_key(&key, |entry| entry.0).ok()?;
        self.0.get(place).map(|entry| entry.1)
    }

    pub(super) fn with(&self, key: Key, value: Value) -> Shared {
        let mut entries = self.0.clone();
        match entries.binary_search_by_key(&key, |entry| entry.0) {
            Ok(place) => entries[place].1 = value,
            Err(place) => entries.insert(place, (key, value)),
        }
        Rc::new(Self(entries))
    }

    pub(super) fn without(&self, key: Key) -> Shared {
        let mut entries = self.0.clone();
        entries.retain(|entry| entry.0 != key);
        Rc::new(Self(entries))
    }

    /// The keys of one store.
    pub(super) fn keys(&self, store: Store) -> Vec<Key> {
        self.all_keys().filter(|key| key.store == store).collect()
    }

    pub(super) fn all_keys(&self) -> impl Iterator<Item = Key> {
        self.0.iter().map(|entry| entry.0)
    }

    pub(super) fn of_store(&self, store: Store) -> Self {
        Self(self.0.iter().filter(|entry| entry.0.store == store).copied().collect())
    }

    /// Equal but for values that may be written in place, which must be there in both or neither.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(a, b)| a.0 == b.0 && (a.1 == b.1 || a.0.is_loose()))
    }

    /// The first entries that stand in only one of the two.
    pub(super) fn difference(&self, other: &Self) -> String {
        let lost: Vec<_> = other.0.iter().filter(|entry| !self.0.contains(entry)).collect();
        let gained: Vec<_> = self.0.iter().filter(|entry| !other.0.contains(entry)).collect();
        format!("has {gained:?} in place of {lost:?}")
    }
}

const SLAB_NUMBERS: usize = 256;

/// The highest generation given out per id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issued {
    tables: [u32; 48],
    slabs: Vec<u32>,
}

impl Issued {
    pub(super) fn new() -> Self {
        Self { tables: [0; 48], slabs: Vec::new() }
    }

    fn place(&mut self, key: Key) -> Option<&mut u32> {
        let index = key.index as usize;
        match key.store {
            Store::HeapA => self.tables.get_mut(index),
            Store::HeapB => self.tables.get_mut(16 + index),
            Store::Log => self.tables.get_mut(32 + index),
            Store::Slab => {
                if self.slabs.len() <= index && index < SLAB_NUMBERS * 4 {
                    self.slabs.resize(index + 1, 0);
                }
                self.slabs.get_mut(index)
            }
            Store::Root => None,
        }
    }

    /// Notes a new id; false where it was given out before.
    #[must_use]
    pub(super) fn give(&mut self, key: Key) -> bool {
        let Some(highest) = self.place(key) else { return true };
        let fresh = *highest < key.generation;
        *highest = (*highest).max(key.generation);
        fresh
    }

    pub(super) fn note(&mut self, key: Key) {
        if let Some(highest) = self.place(key) {
            *highest = (*highest).max(key.generation);
        }
    }

    /// What both gave out.
    pub(super) fn intersect(&mut self, other: &Self) {
        for (own, other) in self.tables.iter_mut().zip(other.tables) {
            *own = (*own).min(other);
        }
        self.slabs.truncate(other.slabs.len());
        for (own, other) in self.slabs.iter_mut().zip(&other.slabs) {
            *own = (*own).min(*other);
        }
    }

    /// Slab ids that were given out at some time, one per slot.
    pub(super) fn slab_keys(&self) -> Vec<Key> {
        (0..)
            .zip(&self.slabs)
            .filter(|(_, generation)| **generation != 0)
            .map(|(index, generation)| Key { store: Store::Slab, index, generation: *generation })
            .collect()
    }
}
