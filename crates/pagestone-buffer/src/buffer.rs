//! The buffer: entries by id.

use std::sync::{Arc, Mutex};

use pagestone_heap::{EntryFacts, Log, Pin, RegionFile, Result, Writer};

use crate::{EntryId, compact::Victims, reader::EntryReader};

/// Buffers of a region file, by name.
pub trait Buffers {
    /// Returns the buffer of this name, which is made where there is none.
    ///
    /// Making one takes the writer, for which a thread that holds it would wait for ever.
    ///
    /// # Errors
    ///
    /// `NotFound` for a file opened for reading that has none; `InvalidArgument` for the name of a
    /// store of another kind; what a change of the file can fail with.
    fn buffer(&self, name: &str) -> Result<EntryBuffer>;
}

impl Buffers for RegionFile {
    fn buffer(&self, name: &str) -> Result<EntryBuffer> {
        self.log(name).map(EntryBuffer::new)
    }
}

/// Entries of any length under ids that stay; clones are views of the same buffer.
///
/// Reads take a [`Pin`] and no lock; changes take the [`Writer`] of the file. The id of an entry
/// that was removed is refused, also when its slot has another entry.
#[derive(Debug, Clone)]
pub struct EntryBuffer {
    pub(crate) log: Log,
    /// The segment that is being compacted, and where to go on in it.
    pub(crate) victim: Arc<Mutex<Victims>>,
}

/// What a buffer holds, and what it takes. Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Entries there are.
    pub entries: u64,
    /// Segments there are.
    pub segments: u64,
    /// Length of all segments.
    pub capacity: u64,
    /// Of it taken by entries, with their headers, counted or not.
    pub used: u64,
    /// Of that in entries that ids name: headers and payloads, rounded up.
    pub live: u64,
}

impl Counters {
    /// What a compaction would give back, entries that do not count any more and room that is
    /// not used, as a share of all.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    pub fn garbage_share(&self) -> f64 {
        if self.capacity == 0 {
            return 0.0;
        }
        self.capacity.saturating_sub(self.live) as f64 / self.capacity as f64
    }
}

impl EntryBuffer {
    fn new(log: Log) -> Self {
        Self { log, victim: Arc::default() }
    }

    /// Returns the file that the buffer is in.
    #[must_use]
    pub fn file(&self) -> &RegionFile {
        self.log.file()
    }

    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`, with nothing changed; `ReadOnly`; `Poisoned`; `InvalidArgument` for a writer
    /// of another file, and for 4 GiB and more; `Io`.
    pub fn add(&self, writer: &mut Writer<'_>, bytes: &[u8]) -> Result<EntryId> {
        self.log.add(writer, bytes)
    }

    /// Adds entries; their ids come in the same order.
    ///
    /// # Errors
    ///
    /// As `add`, at the first that cannot be added; those before it stay, and their ids are in
    /// `ids`.
    pub fn add_many<B: AsRef<[u8]>>(
        &self,
        writer: &mut Writer<'_>,
        entries: impl IntoIterator<Item = B>,
        ids: &mut Vec<EntryId>,
    ) -> Result<()> {
        for entry in entries {
            ids.push(self.log.add(writer, entry.as_ref())?);
        }
        Ok(())
    }

    /// Replaces the content of an entry; whoever reads sees old or new.
    ///
    /// # Errors
    ///
    /// `StaleId`, and as `add`.
    pub fn update(&self, writer: &mut Writer<'_>, id: EntryId, bytes: &[u8]) -> Result<()> {
        self.log.update(writer, id, bytes)
    }

    /// Replaces the content of an entry that is there, or adds one; returns its id.
    ///
    /// # Errors
    ///
    /// As `update`, but for `StaleId`.
    pub fn upsert(
        &self,
        writer: &mut Writer<'_>,
        id: Option<EntryId>,
        bytes: &[u8],
    ) -> Result<EntryId> {
        let known = id.filter(|id| self.log.contains(&self.file().pin(), *id));
        match known {
            Some(id) => self.update(writer, id, bytes).map(|()| id),
            None => self.add(writer, bytes),
        }
    }

    /// Removes an entry; its id is refused from here on.
    ///
    /// # Errors
    ///
    /// `StaleId`, also for an entry that was removed already; as `add`: a tombstone takes space.
    pub fn remove(&self, writer: &mut Writer<'_>, id: EntryId) -> Result<()> {
        self.log.remove(writer, id)
    }

    /// Borrows the content of an entry, for as long as the pin lives.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt` where slot and entry contradict each other; `InvalidArgument` for a
    /// pin of another file.
    #[inline]
    pub fn get<'p>(&self, pin: &'p Pin<'_>, id: EntryId) -> Result<&'p [u8]> {
        self.log.get(pin, id)
    }

    /// Shows many entries to `each`, with their places in `ids`, in order: several times faster
    /// than one by one where they are not in the processor's caches.
    pub fn get_many<'p>(
        &self,
        pin: &'p Pin<'_>,
        ids: &[EntryId],
        each: impl FnMut(usize, Result<&'p [u8]>),
    ) {
        self.log.get_many(pin, ids, each);
    }

    /// Copies the content of an entry, under a pin of its own.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn read(&self, id: EntryId) -> Result<Vec<u8>> {
        self.log.get(&self.file().pin(), id).map(<[u8]>::to_vec)
    }

    /// Copies what the entry has from `offset` on, as much as fits `into`; returns how much.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn read_at(
        &self,
        pin: &Pin<'_>,
        (id, offset): (EntryId, u64),
        into: &mut [u8],
    ) -> Result<usize> {
        let bytes = self.log.get(pin, id)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.get(from..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(len)
    }

    /// Reads an entry as a stream, as it is now.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn reader<'p>(&self, pin: &'p Pin<'_>, id: EntryId) -> Result<EntryReader<'p>> {
        self.log.get(pin, id).map(EntryReader::new)
    }

    /// Length, sequence and place of an entry.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn header(&self, pin: &Pin<'_>, id: EntryId) -> Result<EntryFacts> {
        self.log.facts(pin, id)
    }

    /// Whether the id names an entry.
    #[must_use]
    pub fn contains(&self, pin: &Pin<'_>, id: EntryId) -> bool {
        self.log.contains(pin, id)
    }

    /// The ids of all entries in the order of ids.
    pub fn ids<'p>(&'p self, pin: &'p Pin<'_>) -> impl Iterator<Item = EntryId> + 'p {
        self.log.ids(pin)
    }

    /// The ids of all entries in the order in which their contents were written or moved.
    ///
    /// Cost: one lookup for each, 16 bytes of memory, and a sort.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn ids_as_written(&self, pin: &Pin<'_>) -> Result<Vec<EntryId>> {
        let mut found = Vec::new();
        for id in self.log.ids(pin) {
            found.push((self.log.facts(pin, id)?.sequence, id));
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    /// Entries there are.
    #[must_use]
    pub fn len(&self, writer: &mut Writer<'_>) -> u64 {
        self.log.len(writer)
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self, writer: &mut Writer<'_>) -> bool {
        self.log.is_empty(writer)
    }

    /// Counts what there is. The first time after an open, the header of each entry is read.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a writer of another file.
    pub fn counters(&self, writer: &mut Writer<'_>) -> Result<Counters> {
        let mut counters = Counters { entries: self.len(writer), ..Counters::default() };
        for segment in self.log.segments(writer)? {
            counters.segments += 1;
            counters.capacity += segment.len;
            counters.used += segment.used;
            counters.live += segment.live;
        }
        Ok(counters)
    }
}
