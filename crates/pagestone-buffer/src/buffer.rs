//! The buffer: entries by id.

use std::sync::{Arc, Mutex};

use pagestone_heap::{
    EntryFacts, EntrySizes, EntryStatus, EntryWriter, Log, Pin, RegionFile, Result, Writer,
};

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

    /// As [`buffer`](Self::buffer), with options of this view of it.
    ///
    /// # Errors
    ///
    /// As `buffer`; `InvalidArgument` for an extension factor that is no number from 1 on.
    fn buffer_with(&self, name: &str, options: BufferOptions) -> Result<EntryBuffer>;
}

/// Options of one view of a buffer; nothing of them is stored.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct BufferOptions {
    extension_factor: Option<f64>,
}

impl BufferOptions {
    /// The default options: no room behind payloads.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reserves room behind the payload of each entry that is added or updated: `factor` times its
    /// length together, 1 for just its length, rounded up to 16 bytes. [`InPlace`](crate::InPlace) uses it; nothing
    /// else does. Each read of such an entry compares it with its checksum.
    pub fn extension_factor(mut self, factor: f64) -> Self {
        self.extension_factor = Some(factor);
        self
    }
}

impl Buffers for RegionFile {
    fn buffer(&self, name: &str) -> Result<EntryBuffer> {
        self.buffer_with(name, BufferOptions::new())
    }

    fn buffer_with(&self, name: &str, options: BufferOptions) -> Result<EntryBuffer> {
        let buffer = EntryBuffer::new(self.log(name)?, options);
        buffer.room_for(0)?;
        Ok(buffer)
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
    options: BufferOptions,
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
    /// Of that in entries that ids name: their headers of 32 bytes, and both of
    /// [`sizes`](EntryBuffer::sizes).
    pub live: u64,
    /// Slots whose entries were removed and that have no other yet.
    pub removed: u64,
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
    fn new(log: Log, options: BufferOptions) -> Self {
        Self { log, victim: Arc::default(), options }
    }

    pub(crate) fn extension_factor(&self) -> Option<f64> {
        self.options.extension_factor
    }

    /// The room of an entry of this length, if it gets any.
    fn room_for(&self, len: usize) -> Result<Option<u64>> {
        let factor = self.options.extension_factor;
        factor.map(|factor| self.log.room_for(len, factor)).transpose()
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
    /// of another file, for 4 GiB and more, and where the extension factor asks for so much; `Io`.
    pub fn add(&self, writer: &mut Writer<'_>, bytes: &[u8]) -> Result<EntryId> {
        match self.room_for(bytes.len())? {
            None => self.log.add(writer, bytes),
            Some(room) => self.log.add_with_room(writer, bytes, room),
        }
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
        ids: &mut Vec<EntryId>,
    ) -> Result<()> {
        if self.extension_factor().is_none() {
            return self.log.add_many(writer, entries, ids);
        }
        for entry in entries {
            ids.push(self.add(writer, entry.as_ref())?);
        }
        Ok(())
    }

    /// Adds an entry, with the writer taken for this call: it survives a kill from here on. Of use
    /// for threads that have one entry at a time; a thread that holds the writer waits for ever.
    ///
    /// # Errors
    ///
    /// As `add`.
    pub fn append(&self, bytes: &[u8]) -> Result<EntryId> {
        self.add(&mut self.file().writer(), bytes)
    }

    /// Adds an entry and commits: it survives power loss from here on. Threads that do so at the
    /// same time share commits.
    ///
    /// # Errors
    ///
    /// As `add` and as [`RegionFile::commit`]. Where the commit failed, the entry is there all the
    /// same until the file is opened again.
    pub fn append_durable(&self, bytes: &[u8]) -> Result<EntryId> {
        let id = self.append(bytes)?;
        self.file().commit()?;
        Ok(id)
    }

    /// Replaces the content of an entry; whoever reads sees old or new.
    ///
    /// # Errors
    ///
    /// `StaleId`, and as `add`.
    pub fn update(&self, writer: &mut Writer<'_>, id: EntryId, bytes: &[u8]) -> Result<()> {
        match self.room_for(bytes.len())? {
            None => self.log.update(writer, id, bytes),
            Some(room) => self.log.update_with_room(writer, id, (bytes, room)),
        }
    }

    /// Begins an entry of unknown length, below 4 GiB, that is written as a stream in constant
    /// memory; it is there when [`finish`](EntryWriter::finish) has returned, and was never there
    /// when that is not called.
    ///
    /// ```
    /// use std::io::Write;
    /// use pagestone_buffer::Buffers;
    /// use pagestone_heap::RegionFile;
    ///
    /// let file = RegionFile::options().in_memory()?;
    /// let notes = file.buffer("notes")?;
    /// let mut writer = file.writer();
    /// let mut stream = notes.add_stream(&mut writer)?;
    /// std::io::copy(&mut &b"any source of bytes"[..], &mut stream)?;
    /// let id = stream.finish()?;
    /// assert_eq!(notes.read(id)?, b"any source of bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As `add`.
    pub fn add_stream<'w, 'f>(&self, writer: &'w mut Writer<'f>) -> Result<EntryWriter<'w, 'f>> {
        self.with_factor(self.log.add_stream(writer)?)
    }

    /// Begins a new content of unknown length for an entry; the old one stays until
    /// [`finish`](EntryWriter::finish) has returned.
    ///
    /// # Errors
    ///
    /// As `update`.
    pub fn update_stream<'w, 'f>(
        &self,
        writer: &'w mut Writer<'f>,
        id: EntryId,
    ) -> Result<EntryWriter<'w, 'f>> {
        self.with_factor(self.log.update_stream(writer, id)?)
    }

    fn with_factor<'w, 'f>(&self, mut stream: EntryWriter<'w, 'f>) -> Result<EntryWriter<'w, 'f>> {
        if let Some(factor) = self.options.extension_factor {
            stream.extension_factor(factor)?;
        }
        Ok(stream)
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

    /// Length, sequence, place and slack of an entry; see [`status`](Self::status) for ids that may
    /// name none.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn header(&self, pin: &Pin<'_>, id: EntryId) -> Result<EntryFacts> {
        self.log.facts(pin, id)
    }

    /// What became of an id.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a pin of another file.
    pub fn status(&self, pin: &Pin<'_>, id: EntryId) -> Result<EntryStatus> {
        self.log.status(pin, id)
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

    /// Counts what there is. The first time after a clean open, what the close counted is read.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a writer of another file.
    pub fn counters(&self, writer: &mut Writer<'_>) -> Result<Counters> {
        let mut counters = Counters {
            entries: self.len(writer),
            removed: self.log.removed(writer)?,
            ..Counters::default()
        };
        for segment in self.log.segments(writer)? {
            counters.segments += 1;
            counters.capacity += segment.len;
            counters.used += segment.used;
            counters.live += segment.live;
        }
        Ok(counters)
    }

    /// The bytes of all contents, and of what lies behind them. Cost: each entry's header is read.
    ///
    /// # Errors
    ///
    /// As `counters`.
    pub fn sizes(&self, writer: &mut Writer<'_>) -> Result<EntrySizes> {
        self.log.sizes(writer)
    }
}
