//! Indices of ids: which slot a new block gets.

use crate::{
    engine::{Engine, adopt::Wanted},
    error::{Error, ErrorKind, Result},
    id::{BlockId, GENERATION_MAX, INDEX_MAX},
    parts::{HIDDEN, PAIR, exists, first_of, part_len, part_of},
    store::Store,
    units::Kind,
    word::{TOMBSTONE, Word},
};

/// Slots that one look for vacant indices reads.
pub(crate) const LOOK: u64 = 4096;

/// The body of a tombstone whose index is not used again: its generations are spent.
pub(crate) const SPENT: u64 = GENERATION_MAX as u64 + 1;

/// The generation that an index has next; `None` while it is live or when it is spent.
pub(crate) fn next_generation(store: &Store, newest: Word) -> Option<u32> {
    if newest.is_empty() {
        return Some(store.generation);
    }
    if newest.class() != TOMBSTONE {
        return None;
    }
    u32::try_from(newest.body()).ok().filter(|generation| *generation <= GENERATION_MAX)
}

impl Engine<'_> {
    /// An id for a new block, with the place of its slot.
    pub(crate) fn take_id(&mut self, store: &Store) -> Result<(BlockId, u64)> {
        if store.is_undone() {
            // Its number may be that of another store by now.
            let what = "the store was undone by a discard";
            return Err(Error::refused(ErrorKind::NotFound, self.shared.path(), what));
        }
        loop {
            let indices = self.state.indices(store.number);
            let all_seen = indices.vacant.is_empty() && indices.unseen == indices.next;
            if all_seen && indices.next < indices.ready {
                let index = indices.next;
                let at = store.parts.quick(index);
                if self.shared.pair(at).0.iter().all(|word| word.is_empty()) {
                    let indices = self.state.indices(store.number);
                    indices.next = index + 1;
                    indices.unseen = indices.next;
                    return Ok((BlockId::new(index, store.generation), at));
                }
            }
            let indices = self.state.indices(store.number);
            if let Some(index) = indices.vacant.pop() {
                // What was noted may be spent or, in a damaged file, live.
                if let Some(found) = self.vacant_id(store, index) {
                    return Ok(found);
                }
                continue;
            }
            if indices.unseen < indices.next {
                self.look_for_vacant(store);
                continue;
            }
            return self.new_id(store);
        }
    }

    fn vacant_id(&self, store: &Store, index: u64) -> Option<(BlockId, u64)> {
        let at = store.parts.pair(index)?;
        let generation = next_generation(store, self.newest(at))?;
        Some((BlockId::new(index, generation), at))
    }

    /// Gives an id back that was taken and not published.
    pub(crate) fn untake_id(&mut self, store: &Store, id: BlockId) {
        self.state.indices(store.number).give(id.index());
    }

    fn look_for_vacant(&mut self, store: &Store) {
        let indices = self.state.indices(store.number);
        let first = indices.unseen;
        let end = (first + LOOK).min(indices.next);
        indices.unseen = end;
        let mut vacant = Vec::new();
        for index in (first..end).rev() {
            if self.vacant_id(store, index).is_some() {
                vacant.push(index);
            }
        }
        self.state.indices(store.number).vacant.append(&mut vacant);
    }

    /// The id of an index that was never used; the table grows if it must.
    fn new_id(&mut self, store: &Store) -> Result<(BlockId, u64)> {
        let mut index = self.state.indices(store.number).next;
        if !exists(index) {
            index = first_of(part_of(index)) + HIDDEN;
        }
        let part = part_of(index);
        if INDEX_MAX < index {
            let what = "a store has 2^40 slots, and all were used";
            return Err(Error::refused(ErrorKind::OutOfSpace, self.shared.path(), what));
        }
        if !store.parts.has(part) {
            let wanted =
                Wanted { store: store.number, part, ..Wanted::of(Kind::Table, part_len(part)) };
            let number = self.adopt(wanted)?;
            let start = self.state.region(number).map(|region| region.range.start);
            store.parts.set(part, start);
        }
        let mut ready = index;
        if let Some(at) = store.parts.pair(index) {
            self.prepare(at, at + PAIR)?;
            if let Some((_, table)) = self.state.holding(at) {
                ready += table.prepared.saturating_sub(at) / PAIR;
            }
        }
        let indices = self.state.indices(store.number);
        indices.ready = ready;
        indices.next = index + 1;
        indices.unseen = indices.next;
        let Some(at) = store.parts.pair(index) else {
            return Err(Error::corrupt(self.shared.path(), ("slot table part", 0), 0, index));
        };
        // Slots of a fresh part are zero; one that is not was damaged, and is not used.
        match self.vacant_id(store, index) {
            Some(found) => Ok(found),
            None => {
                Err(Error::corrupt(self.shared.path(), ("unused slot", at), 0, self.newest(at).0))
            }
        }
    }
}
