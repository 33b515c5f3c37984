//! A log: entries by id, appended to segments and never changed where they lie.
//!
//! It is what `pagestone-buffer` stands on; most programs want that crate.

mod slots; // entries by slot, and how far a log is

use std::sync::Arc;

pub use slots::LogMark;

use crate::{
    class::GRAIN,
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    id::BlockId,
    layout::ENTRY_HEADER,
    parts::{PARTS, exists, first_of, part_len, part_of},
    pin::Pin,
    region::lifecycle::{self, Keeper},
    shared::{Found, Shared},
    store::Store,
    word::{ENTRY, Word},
    writer::Writer,
};

/// Ids whose memory is fetched together.
const BATCH: usize = 32;

/// A log of a [`RegionFile`]; clones are views of the same log.
///
/// Reads take a [`Pin`] and no lock; changes take the [`Writer`]. An update appends the new content
/// and publishes it under the id that stays; what it replaced is given back when its segment is
/// [evacuated](Self::evacuate).
#[derive(Debug, Clone)]
pub struct Log {
    file: RegionFile,
    store: Arc<Store>,
}

/// What stands before an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryFacts {
    /// Bytes of the payload.
    pub len: u64,
    /// Grows with every add, update and move in the log.
    pub sequence: u64,
    /// Where the entry lies in the file, with its header of 32 bytes.
    pub offset: u64,
}

/// One segment of a log. Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentFacts {
    /// Its number, until it is given back.
    pub number: u32,
    /// Where it starts in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
    /// Of it taken by entries, their headers and what they replaced.
    pub used: u64,
    /// Of that in entries that ids name.
    pub live: u64,
    /// The sequence of its first entry: the smaller, the older.
    pub first_sequence: u64,
    /// Whether entries are appended to it.
    pub is_active: bool,
}

/// How far the evacuation of a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evacuation {
    /// Where to go on; `None` when the segment was given back.
    pub next: Option<u64>,
    /// Bytes of entries that this step moved.
    pub moved: u64,
}

impl Log {
    pub(crate) fn new(file: &RegionFile, store: Arc<Store>) -> Self {
        Self { file: file.clone(), store }
    }

    pub(crate) fn known(file: &RegionFile, name: &str) -> Result<Option<Self>> {
        let Some(store) = file.known_store(name) else { return Ok(None) };
        if !store.is_log() {
            let what = format!("store {name:?} is a heap, no log");
            return Err(Error::refused(ErrorKind::InvalidArgument, file.path(), what));
        }
        Ok(Some(Self::new(file, store)))
    }

    /// Returns the file that the log is in.
    #[must_use]
    pub fn file(&self) -> &RegionFile {
        &self.file
    }

    #[inline]
    fn shared(&self) -> &Shared {
        &self.file.shared
    }

    #[inline]
    fn check(&self, pin: &Pin<'_>) -> Result<()> {
        if std::ptr::eq(pin.shared(), self.shared()) {
            return Ok(());
        }
        let what = "the pin is of another file";
        Err(Error::refused(ErrorKind::InvalidArgument, self.shared().path(), what))
    }

    #[inline]
    fn find(&self, pin: &Pin<'_>, id: BlockId) -> Result<Found> {
        self.check(pin)?;
        self.shared().find_entry(&self.store, id)
    }

    /// Borrows the newest content of an entry, for as long as the pin lives.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt` where slot and entry contradict each other; `InvalidArgument` for a
    /// pin of another file.
    #[inline]
    pub fn get<'p>(&self, pin: &'p Pin<'_>, id: BlockId) -> Result<&'p [u8]> {
        let found = self.find(pin, id)?;
        let keeper = Keeper::pin(pin.place());
        Ok(lifecycle::published_entry(&pin.shared().raw, keeper, (found.at, found.len)))
    }

    /// Shows the newest content of many entries to `each`, with their places in `ids`, in order;
    /// slots and entries are fetched from memory for 32 ids together.
    pub fn get_many<'p>(
        &self,
        pin: &'p Pin<'_>,
        ids: &[BlockId],
        mut each: impl FnMut(usize, Result<&'p [u8]>),
    ) {
        let (shared, parts) = (self.shared(), &self.store.parts);
        for (batch, ids) in ids.chunks(BATCH).enumerate() {
            for id in ids {
                shared.raw.prefetch(parts.quick(id.index()));
            }
            for id in ids {
                let at = shared.select(parts.quick(id.index())).body() * GRAIN;
                shared.raw.prefetch(at);
                shared.raw.prefetch(at + ENTRY_HEADER + 32);
            }
            for (place, id) in ids.iter().enumerate() {
                each(batch * BATCH + place, self.get(pin, *id));
            }
        }
    }

    /// What stands before an entry.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn facts(&self, pin: &Pin<'_>, id: BlockId) -> Result<EntryFacts> {
        let found = self.find(pin, id)?;
        let header = self.shared().entry_header(found.at);
        let sequence = header.sequence.get();
        Ok(EntryFacts { len: header.payload(), sequence, offset: found.at })
    }

    /// Whether the id names an entry.
    #[must_use]
    pub fn contains(&self, pin: &Pin<'_>, id: BlockId) -> bool {
        self.find(pin, id).is_ok()
    }

    /// The ids of all entries in slot order, each as long as it is there when it is reached.
    pub fn ids<'p>(&'p self, pin: &'p Pin<'_>) -> impl Iterator<Item = BlockId> + 'p {
        let parts = &self.store.parts;
        let mut next = 0;
        let indices = std::iter::from_fn(move || {
            loop {
                let part = part_of(next);
                if PARTS <= part {
                    return None;
                }
                if !parts.has(part) {
                    next = first_of(part) + part_len(part) / 16;
                    continue;
                }
                next += 1;
                if exists(next - 1) {
                    return Some(next - 1);
                }
            }
        });
        indices.filter_map(|index| {
            let word = self.shared().select(self.store.parts.quick(index));
            self.id_of(pin, word).filter(|id| id.index() == index)
        })
    }

    fn id_of(&self, pin: &Pin<'_>, word: Word) -> Option<BlockId> {
        self.check(pin).ok()?;
        if word.is_empty() || word.class() != ENTRY {
            return None;
        }
        if self.shared().entry_at(word).is_none() {
            self.shared().scan_if_behind();
        }
        self.shared().entry_at(word).map(|(id, _)| BlockId::from_bits(id))
    }

    /// Adds an entry with these bytes, of any length.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`, with nothing changed; `ReadOnly`; `Poisoned`; `InvalidArgument` for a writer
    /// of another file, and for 4 GiB and more; `Io` where the first change after an open cannot
    /// be synced.
    pub fn add(&self, writer: &mut Writer<'_>, bytes: &[u8]) -> Result<BlockId> {
        writer.check(self.shared())?;
        let id = writer.engine().log_add(&self.store, bytes)?;
        self.store.count_change();
        Ok(id)
    }

    /// Replaces the content of an entry, of any length; whoever reads sees old or new.
    ///
    /// # Errors
    ///
    /// `StaleId`, and as `add`.
    pub fn update(&self, writer: &mut Writer<'_>, id: BlockId, bytes: &[u8]) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().log_update(&self.store, id, bytes)?;
        self.store.count_change();
        Ok(())
    }

    /// Removes an entry. Its id is refused from here on.
    ///
    /// # Errors
    ///
    /// `StaleId`, also for an entry that was removed already; as `add`: a tombstone takes space.
    pub fn remove(&self, writer: &mut Writer<'_>, id: BlockId) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().log_remove(&self.store, id)?;
        self.store.count_change();
        Ok(())
    }

    /// Entries there are; the first time after an open it may count them.
    #[must_use]
    pub fn len(&self, writer: &mut Writer<'_>) -> u64 {
        writer.engine().count_of(&self.store)
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self, writer: &mut Writer<'_>) -> bool {
        self.len(writer) == 0
    }

    /// The segments, oldest first. The first time after an open, and each time for a file opened for
    /// reading, all slots and entry headers are read to count what lives.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a writer of another file.
    pub fn segments(&self, writer: &mut Writer<'_>) -> Result<Vec<SegmentFacts>> {
        writer.check(self.shared())?;
        if self.shared().raw.is_writable() {
            writer.engine().segment_facts(&self.store)
        } else {
            writer.engine().committed_segments(&self.store)
        }
    }

    /// Moves entries out of a segment, from `from` on (0 to begin), until `enough` says so of the
    /// bytes that were moved; the segment is given back when all are out. Ids stay.
    ///
    /// Its space is used again after the next commit, when nobody looks any more.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`, with nothing lost; `Corrupt` for an entry that is damaged: the segment stays
    /// as it is.
    pub fn evacuate(
        &self,
        writer: &mut Writer<'_>,
        (number, from): (u32, u64),
        mut enough: impl FnMut(u64) -> bool,
    ) -> Result<Evacuation> {
        writer.check(self.shared())?;
        let moved = writer.engine().evacuate(&self.store, (number, from), &mut enough)?;
        Ok(Evacuation { next: moved.next, moved: moved.bytes })
    }
}
