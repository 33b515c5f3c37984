//! Numbers in slots.

use crate::{
    engine::{Engine, adopt::Wanted},
    error::{Error, ErrorKind, Result},
    parts::{PAIR, nth, part_len, part_of},
    store::Store,
    units::Kind,
    word::{BODY_MAX, COUNT},
};

impl Engine<'_> {
    /// Sets the number of an index; the table grows if it must.
    pub(crate) fn set_count(&mut self, store: &Store, index: u32, number: u64) -> Result<()> {
        self.touch()?;
        let refused = |kind, what: String| Err(Error::refused(kind, self.shared.path(), what));
        if BODY_MAX < number {
            return refused(ErrorKind::InvalidArgument, format!("{number} is more than 40 bits"));
        }
        if store.is_undone() {
            return refused(ErrorKind::NotFound, "the store was undone by a discard".to_owned());
        }
        let slot = nth(index.into()).unwrap_or(u64::MAX);
        for part in 0..=part_of(slot) {
            if !store.parts.has(part) {
                self.add_part(store, part)?;
            }
        }
        let Some(at) = store.parts.pair(slot) else {
            return Err(self.corrupt(("slot table part", 0), 0, slot));
        };
        self.prepare(at, at + PAIR)?;
        let before = self.publish(at, COUNT, number);
        if before.is_empty() {
            self.state.indices(store.number).live += 1;
        }
        let indices = self.state.indices(store.number);
        indices.next = indices.next.max(slot + 1);
        indices.unseen = indices.next;
        Ok(())
    }

    fn add_part(&mut self, store: &Store, part: usize) -> Result<()> {
        let wanted = Wanted::of(Kind::Table, part_len(part));
        let number = self.adopt(Wanted { store: store.number, part, ..wanted })?;
        let start = self.state.region(number).map(|region| region.range.start);
        store.parts.set(part, start);
        Ok(())
    }
}
