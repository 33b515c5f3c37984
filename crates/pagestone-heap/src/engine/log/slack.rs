//! Room behind payloads, and changes of payloads where they lie.

use std::sync::atomic::Ordering;

use super::Given;
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::BlockId,
    layout::{ENTRY_HEADER, ENTRY_LEN_MAX, EntryHeader, ROOM_MAX},
    log::EntrySizes,
    store::Store,
    word::{ENTRY, TOMBSTONE},
};

/// Where the word of length and checksum lies in an entry header.
const DESCRIPTOR: u64 = 16;

/// A payload that is about to be changed where it lies.
#[derive(Debug)]
pub(crate) struct Change {
    /// Where the entry starts.
    at: u64,
    /// Its header as it will be.
    header: EntryHeader,
}

impl Change {
    /// Where the payload starts.
    pub(crate) fn place(&self) -> u64 {
        self.at + ENTRY_HEADER
    }
}

impl Engine<'_> {
    /// Errors where an entry is longer than one can be.
    pub(super) fn check_entry(&self, entry: Given<'_>) -> Result<()> {
        let len = entry.payload.len() as u64;
        self.check_entry_len(len)?;
        let room = entry.room.unwrap_or(0).max(len);
        if entry.room.is_none() || room <= ROOM_MAX {
            return Ok(());
        }
        let what = format!("{room} bytes of room, {len} of them used: {ROOM_MAX} are the most");
        Err(Error::refused(ErrorKind::InvalidArgument, self.shared.path(), what))
    }

    /// Errors where a payload is longer than one can be.
    pub(crate) fn check_entry_len(&self, len: u64) -> Result<()> {
        if len <= ENTRY_LEN_MAX {
            return Ok(());
        }
        let what = format!("an entry of {len} bytes is longer than {ENTRY_LEN_MAX}");
        Err(Error::refused(ErrorKind::InvalidArgument, self.shared.path(), what))
    }

    /// Slots whose entries were removed and that have no other.
    pub(crate) fn log_removed(&mut self, store: &Store) -> Result<u64> {
        if self.shared.follower.is_some() {
            let mut removed = 0;
            self.for_each_slot_of(store, &mut |engine, slot| {
                let word = engine.shared.select(slot);
                removed += u64::from(word.class() == TOMBSTONE && !word.is_empty());
            });
            return Ok(removed);
        }
        self.load_lists()?;
        if let Some(removed) = self.segments(store).removed {
            return Ok(removed);
        }
        let mut removed = 0;
        self.for_each_slot_of(store, &mut |engine, slot| {
            let word = engine.newest(slot);
            removed += u64::from(word.class() == TOMBSTONE && !word.is_empty());
        });
        self.segments(store).removed = Some(removed);
        Ok(removed)
    }

    /// Reads all headers for the bytes of payloads, and of what lies behind them.
    pub(crate) fn log_sizes(&mut self, store: &Store) -> Result<EntrySizes> {
        if self.shared.follower.is_none() {
            self.load_lists()?;
        }
        let (mut sizes, mut wrong) = (EntrySizes::default(), None);
        self.for_each_slot_of(store, &mut |engine, slot| {
            let word = engine.shared.select(slot);
            if word.class() != ENTRY || word.is_empty() {
                return;
            }
            match engine.shared.header_of(word) {
                Some(header) => {
                    sizes.entries += 1;
                    sizes.payload += header.payload();
                    sizes.slack += header.stride() - ENTRY_HEADER - header.payload();
                }
                None => wrong = Some((slot, word.0)),
            }
        });
        match wrong {
            None => Ok(sizes),
            Some((slot, word)) => Err(self.corrupt(("place of an entry", slot), 0, word)),
        }
    }

    /// Begins to change the payload of an entry where it lies; `None` where it has no room for it.
    pub(crate) fn begin_change(
        &mut self,
        store: &Store,
        id: BlockId,
        payload: &[u8],
    ) -> Result<Option<Change>> {
        self.touch()?;
        self.check_entry_len(payload.len() as u64)?;
        let found = self.find_entry(store, id)?;
        let mut header = self.shared.entry_header(found.at);
        if !header.has_room() || u64::from(header.room.get()) < payload.len() as u64 {
            return Ok(None);
        }
        let seed = self.seed_at(found.at);
        if !seed.is_some_and(|seed| header.is_room_right(seed)) {
            let found = (u64::from(header.room_checksum.get()), found.at + DESCRIPTOR + 12);
            return Err(self.corrupt(("checksum of the room of an entry", found.1), 0, found.0));
        }
        header.len.set(u32::try_from(payload.len())?);
        header.checksum.set(header.sum(seed.unwrap_or_default(), payload));
        Ok(Some(Change { at: found.at, header }))
    }

    /// Says of a payload that was changed what it is: the one word of length and checksum flips.
    pub(crate) fn end_change(&mut self, change: &Change) {
        let Change { at, header } = change;
        let word = u64::from(header.checksum.get()) << 32 | u64::from(header.len.get());
        self.shared.raw.store(at + DESCRIPTOR, word, Ordering::Release);
        self.state.written += header.payload();
    }
}
