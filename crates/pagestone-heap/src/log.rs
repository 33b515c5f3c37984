//! A log: entries by id, appended to segments and never changed where they lie.
//!
//! It is what `pagestone-buffer` stands on; most programs want that crate.

mod in_place; // payloads changed where they lie, by who has the log alone
mod slots; // entries by slot, and how far a log is
mod stream; // `Write` into an entry that is published at the end

use std::sync::Arc;

pub use in_place::InPlace;
pub use slots::LogMark;
pub use stream::EntryWriter;

use crate::{
    class::GRAIN,
    engine::Given,
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    id::BlockId,
    layout::{ENTRY_HEADER, ROOM_MAX},
    parts::{PARTS, exists, first_of, part_len, part_of},
    pin::Pin,
    region::lifecycle::{self, Keeper},
    shared::{Found, Shared},
    store::Store,
    word::{ENTRY, TOMBSTONE, Word},
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
    /// Bytes that payloads at this place can have; 0 for an entry that never changes in place.
    pub room: u64,
}

impl EntryFacts {
    /// Bytes by which the payload can become longer where it lies.
    #[must_use]
    pub fn slack(&self) -> u64 {
        self.room.saturating_sub(self.len)
    }
}

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryStatus {
    /// It names an entry.
    Live,
    /// Its entry was removed.
    Removed,
    /// It was never given out by this log, or in an epoch that was undone.
    Unknown,
}

/// Bytes that the entries of a log have, beside headers of 32 bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EntrySizes {
    /// Entries there are.
    pub entries: u64,
    /// The payloads.
    pub payload: u64,
    /// What lies behind the payloads: room, and the rest of 16 bytes.
    pub slack: u64,
}

impl EntrySizes {
    /// With the headers: all that a log without garbage takes, but for slots.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.entries * ENTRY_HEADER + self.payload + self.slack
    }
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
    /// Cost: an entry with [room](Self::add_with_room) is compared with its checksum each time.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt` where slot and entry contradict each other, and for an entry with room
    /// that a crash left half changed; `InvalidArgument` for a pin of another file.
    #[inline]
    pub fn get<'p>(&self, pin: &'p Pin<'_>, id: BlockId) -> Result<&'p [u8]> {
        let found = self.find(pin, id)?;
        let keeper = Keeper::pin(pin.place());
        let bytes = lifecycle::published_entry(&pin.shared().raw, keeper, (found.at, found.len));
        if self.shared().has_room(found.at) {
            self.shared().check_change(found.at, bytes)?;
        }
        Ok(bytes)
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
        let room = header.room.get().into();
        Ok(EntryFacts { len: header.payload(), sequence, offset: found.at, room })
    }

    /// What became of an id.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a pin of another file.
    pub fn status(&self, pin: &Pin<'_>, id: BlockId) -> Result<EntryStatus> {
        match self.find(pin, id) {
            Ok(_) => return Ok(EntryStatus::Live),
            Err(error) if error.kind() != ErrorKind::StaleId => return Err(error),
            Err(_) => {}
        }
        let word = self.shared().select(self.store.parts.quick(id.index()));
        let next = match word.class() {
            _ if word.is_empty() => None,
            TOMBSTONE => Some(word.body()),
            _ => self
                .shared()
                .entry_at(word)
                .map(|(id, _)| BlockId::from_bits(id).generation().into()),
        };
        let first = u64::from(self.store.generation);
        let used = next.is_some_and(|next| (first..next).contains(&id.generation().into()));
        Ok(if used { EntryStatus::Removed } else { EntryStatus::Unknown })
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
        writer.engine().log_add(&self.store, Given { payload: bytes, room: None })
    }

    /// As [`add`](Self::add), with room for payloads of `room` bytes at the entry's place, which
    /// [`InPlace::update`] uses. The room stays with the entry wherever it is moved.
    ///
    /// # Errors
    ///
    /// As `add`; `InvalidArgument` for room of more than 4 GiB less 16 bytes.
    pub fn add_with_room(
        &self,
        writer: &mut Writer<'_>,
        bytes: &[u8],
        room: u64,
    ) -> Result<BlockId> {
        writer.check(self.shared())?;
        writer.engine().log_add(&self.store, Given { payload: bytes, room: Some(room) })
    }

    /// Adds entries, whose ids come in the same order: checked and written together, which takes
    /// less time than one by one.
    ///
    /// # Errors
    ///
    /// As `add`, at the first that cannot be added; those before it stay, and their ids are in
    /// `ids`. Where a write fails, up to 128 KiB of entries before it are not added either.
    pub fn add_many<B: AsRef<[u8]>>(
        &self,
        writer: &mut Writer<'_>,
        entries: impl IntoIterator<Item = B>,
        ids: &mut Vec<BlockId>,
    ) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().log_add_many(&self.store, entries.into_iter(), ids)
    }

    /// Replaces the content of an entry, of any length; whoever reads sees old or new.
    ///
    /// # Errors
    ///
    /// `StaleId`, and as `add`.
    pub fn update(&self, writer: &mut Writer<'_>, id: BlockId, bytes: &[u8]) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().log_update(&self.store, id, Given { payload: bytes, room: None })
    }

    /// The room for a payload of `len` bytes that may become `factor` times as long.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a factor that is no number from 1 on, and where the room would be more
    /// than 4 GiB less 16 bytes.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "lengths below 2^32 are exact, and what is rounded was checked"
    )]
    pub fn room_for(&self, len: usize, factor: f64) -> Result<u64> {
        let wanted = (len as f64 * factor).ceil();
        let what = if !factor.is_finite() || factor < 1.0 {
            format!("an extension factor of {factor} is no number from 1 on")
        } else if (ROOM_MAX as f64) < wanted {
            format!("{factor} times {len} bytes of room: {ROOM_MAX} are the most")
        } else {
            return Ok(wanted as u64);
        };
        Err(Error::refused(ErrorKind::InvalidArgument, self.file.path(), what))
    }

    /// As [`update`](Self::update), with room for payloads of `room` bytes at the new place.
    ///
    /// # Errors
    ///
    /// As `update` and [`add_with_room`](Self::add_with_room).
    pub fn update_with_room(
        &self,
        writer: &mut Writer<'_>,
        id: BlockId,
        (bytes, room): (&[u8], u64),
    ) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().log_update(&self.store, id, Given { payload: bytes, room: Some(room) })
    }

    /// Removes an entry. Its id is refused from here on.
    ///
    /// # Errors
    ///
    /// `StaleId`, also for an entry that was removed already; as `add`: a tombstone takes space.
    pub fn remove(&self, writer: &mut Writer<'_>, id: BlockId) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().log_remove(&self.store, id)
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

    /// Slots whose entries were removed and that have no other yet. The first time after an open,
    /// all slots are read.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a writer of another file.
    pub fn removed(&self, writer: &mut Writer<'_>) -> Result<u64> {
        writer.check(self.shared())?;
        writer.engine().log_removed(&self.store)
    }

    /// The bytes of all payloads and of what lies behind them. Cost: each entry header is read.
    ///
    /// # Errors
    ///
    /// As `removed`.
    pub fn sizes(&self, writer: &mut Writer<'_>) -> Result<EntrySizes> {
        writer.check(self.shared())?;
        writer.engine().log_sizes(&self.store)
    }

    /// The segments, oldest first. The first time after a clean open, what the close wrote about
    /// them is read; each time for a file opened for reading, all slots and entry headers are, to
    /// count what lives.
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

    /// One segment, if the log has one of this number; the cost and the errors of
    /// [`segments`](Self::segments).
    ///
    /// # Errors
    ///
    /// As `segments`.
    pub fn segment(&self, writer: &mut Writer<'_>, number: u32) -> Result<Option<SegmentFacts>> {
        writer.check(self.shared())?;
        writer.engine().segment_fact(&self.store, number)
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
