//! Entries held against the slots of their ids.

use crate::{
    class::GRAIN,
    engine::Engine,
    id::BlockId,
    layout::EntryHeader,
    store::Store,
    word::{ENTRY, TOMBSTONE},
};

impl Engine<'_> {
    /// Walks over the segments of a log and tells of places where no entry follows the one before,
    /// and of entries that are newer than what their slots name: the log alone would tell others.
    pub(crate) fn check_segments(&mut self, store: &Store, wrong: &mut dyn FnMut(u64, String)) {
        if let Err(error) = self.load_lists() {
            wrong(0, error.to_string());
            return;
        }
        for number in self.segments(store).numbers.clone() {
            let Some(region) = self.state.region(number).copied() else { continue };
            let (mut at, end) = (region.base(), region.segment.end);
            while at < end {
                let header = self.entry_header(&region, at);
                let Some(header) = header.filter(|header| at + header.stride() <= end) else {
                    wrong(at, format!("no entry in a segment that ends at {end}"));
                    break;
                };
                if self.is_newer_than_its_slot(store, (&header, at)) {
                    let id = BlockId::from_bits(header.id.get());
                    wrong(at, format!("entry {id} is newer than what its slot names"));
                }
                at += header.stride();
            }
        }
    }

    fn is_newer_than_its_slot(&self, store: &Store, (header, at): (&EntryHeader, u64)) -> bool {
        let id = BlockId::from_bits(header.id.get());
        let Some(slot) = store.parts.pair(id.index()) else { return true };
        let word = self.newest(slot);
        if word.class() == TOMBSTONE && !word.is_empty() {
            return word.body() <= u64::from(id.generation());
        }
        if word.class() != ENTRY || word.is_empty() {
            return true;
        }
        if word.body() * GRAIN == at || self.shared.entry_at(word).is_none() {
            // What its slot names is no entry: that is told of the slot.
            return false;
        }
        let named = self.shared.entry_header(word.body() * GRAIN);
        let age = |header: &EntryHeader| {
            let generation = BlockId::from_bits(header.id.get()).generation();
            (generation, header.is_tombstone(), header.sequence.get())
        };
        age(&named) < age(header)
    }
}
