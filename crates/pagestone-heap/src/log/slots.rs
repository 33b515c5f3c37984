//! Entries by slot, and how far a log is: what a table of entries is made of and tied to.

use std::{ops::Range, sync::TryLockError};

use super::{BATCH, Log};
use crate::{
    class::GRAIN,
    engine::Engine,
    error::{Error, Result},
    follow::LOOKS,
    id::BlockId,
    layout::ENTRY_HEADER,
    parts::{PAIR, exists},
    pin::Pin,
    region::lifecycle::{self, Keeper},
    shared::Found,
    units::Kind,
    word::{ENTRY, TOMBSTONE, View},
};

/// How far a log is: the same only where nothing was added, changed, removed or moved between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogMark {
    /// Of the newest segment.
    pub incarnation: u64,
    /// That of the next entry, if it went to this segment.
    pub sequence: u64,
}

impl Log {
    /// How often an entry was added, updated or removed since the file was opened. Moves do not
    /// count. Of meaning in the process that writes.
    #[inline]
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.store.changes()
    }

    /// The end of the slots that there are room for.
    #[must_use]
    pub fn slot_end(&self) -> u64 {
        self.store.parts.end()
    }

    /// Asks the processor for a slot that will be read soon.
    #[inline]
    pub fn prefetch_slot(&self, slot: u64) {
        self.shared().raw.prefetch(self.store.parts.quick(slot));
    }

    /// Asks the processor for the beginning of the entry in a slot.
    #[inline]
    pub fn prefetch_entry(&self, slot: u64) {
        let shared = self.shared();
        let at = shared.select(self.store.parts.quick(slot)).body() * GRAIN;
        shared.raw.prefetch(at);
        shared.raw.prefetch(at + ENTRY_HEADER + 32);
    }

    /// The id and the newest content of the entry in a slot; `None` where there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` where slot and entry contradict each other; `InvalidArgument` for a pin of another
    /// file.
    #[inline]
    pub fn in_slot<'p>(&self, pin: &'p Pin<'_>, slot: u64) -> Result<Option<(BlockId, &'p [u8])>> {
        self.check(pin)?;
        let Some(found) = self.found_in(slot)? else { return Ok(None) };
        let keeper = Keeper::pin(pin.place());
        let bytes = lifecycle::published_entry(&pin.shared().raw, keeper, (found.at, found.len));
        Ok(Some((found.id, bytes)))
    }

    #[inline]
    fn found_in(&self, slot: u64) -> Result<Option<Found>> {
        let shared = self.shared();
        let mut looks = 0;
        loop {
            let at = self.store.parts.quick(slot);
            let word = shared.select(at);
            if let Some((owner, len)) = shared.entry_at(word)
                && BlockId::from_bits(owner).index() == slot
                && let Ok(bytes) = usize::try_from(len)
            {
                let (id, at) = (BlockId::from_bits(owner), word.body() * GRAIN);
                return Ok(Some(Found { id, word, at, len: bytes, capacity: len }));
            }
            looks += 1;
            if shared.select(at) == word && !shared.scan_if_behind() || looks == LOOKS {
                return self.nothing_in(slot, word);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn nothing_in(&self, slot: u64, word: crate::word::Word) -> Result<Option<Found>> {
        if let Some(trouble) = self.shared().trouble() {
            return Err(trouble);
        }
        if word.is_empty() || word.class() == TOMBSTONE || !exists(slot) {
            return Ok(None);
        }
        let at = word.body() * GRAIN;
        let expected = BlockId::new(slot, 0).to_bits();
        let found = self.shared().entry_at(word).map_or(word.0, |(owner, _)| owner);
        Err(Error::corrupt(self.shared().path(), ("entry of a slot", at), expected, found))
    }

    /// Shows the entries of these slots to `each`, in order: the slot, and its id and content, or
    /// why it has none. Slots without an entry are left out.
    pub fn for_each_in<'p>(
        &self,
        pin: &'p Pin<'_>,
        slots: Range<u64>,
        mut each: impl FnMut(u64, Result<(BlockId, &'p [u8])>),
    ) {
        let mut slots = slots.filter(|slot| self.has_slot(*slot));
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            batch.extend(slots.by_ref().take(BATCH));
            if batch.is_empty() {
                return;
            }
            for slot in &batch {
                self.prefetch_entry(*slot);
            }
            for slot in &batch {
                if let Some(found) = self.in_slot(pin, *slot).transpose() {
                    each(*slot, found);
                }
            }
        }
    }

    /// Whether a slot names an entry, without a look at it.
    #[inline]
    #[must_use]
    pub fn has_slot(&self, slot: u64) -> bool {
        let word = || self.shared().select(self.store.parts.quick(slot));
        exists(slot) && word().class() == ENTRY
    }

    /// How far the log is; `None` while somebody holds the writer or a commit of another process
    /// comes between, and for a log without segments.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn mark(&self) -> Result<Option<LogMark>> {
        let shared = self.shared();
        let before = shared.sequence();
        let mut state = match shared.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        let mark = Engine { shared, state: &mut state }.log_mark(&self.store);
        drop(state);
        if shared.sequence() == before { mark } else { Ok(None) }
    }

    /// As [`mark`](Self::mark), for whoever holds the writer.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a writer of another file.
    pub fn mark_of(&self, writer: &mut crate::Writer<'_>) -> Result<Option<LogMark>> {
        writer.check(self.shared())?;
        writer.engine().log_mark(&self.store)
    }
}

impl Engine<'_> {
    fn log_mark(&mut self, store: &crate::store::Store) -> Result<Option<LogMark>> {
        if self.shared.view == View::Newest {
            self.load_lists()?;
        }
        let mut newest = None;
        for (number, region) in (0_u32..).zip(&self.state.regions) {
            let Some(region) = region else { continue };
            if region.kind != Kind::Segment || region.store != store.number {
                continue;
            }
            let end = match self.shared.view {
                View::Newest => region.segment.end,
                View::Committed => {
                    let at = self.number_pair(number)? + PAIR;
                    region.range.start + self.shared.select(at).end().0
                }
            };
            newest = newest.max(Some((region.sequence_at(end), region.incarnation)));
        }
        let mark = newest.map(|(sequence, incarnation)| LogMark { incarnation, sequence });
        Ok(mark)
    }
}
