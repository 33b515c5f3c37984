//! An entry as a stream that is written.

use std::io::{self, Write};

use super::Log;
use crate::{
    engine::{Draft, Drafted, Given},
    error::Result,
    id::BlockId,
    store::Store,
    writer::Writer,
};

/// Bytes that are written together; a shorter content is kept whole until the end.
const PIECE: usize = 256 << 10;

/// Writes one entry of a length that nobody knows before the end, below 4 GiB; see
/// [`Log::add_stream`] and [`Log::update_stream`].
///
/// Memory is constant: 256 KiB, and as much again for a moment where a content moves. A longer
/// content is written behind the last entry as it comes, and to a region of its own where it does
/// not fit there.
///
/// Dropped without [`finish`](Self::finish), it leaves everything as it was. An error of a write
/// changes nothing either: with space made, the same bytes can be written again.
#[derive(Debug)]
pub struct EntryWriter<'w, 'f> {
    log: Log,
    writer: &'w mut Writer<'f>,
    id: Option<BlockId>,
    /// How many times as long the content may become in place.
    factor: Option<f64>,
    /// Bytes that are in `draft`.
    len: u64,
    /// Bytes behind them that are not: all of a short content.
    memory: Vec<u8>,
    draft: Option<Draft>,
    /// The checksum of the bytes in `draft`.
    sum: crc32fast::Hasher,
}

impl Log {
    /// Begins an entry that is written as a stream; it is there when
    /// [`finish`](EntryWriter::finish) has returned, and was never there when that is not called.
    ///
    /// ```
    /// use std::io::Write;
    /// use pagestone_heap::RegionFile;
    ///
    /// let file = RegionFile::options().in_memory()?;
    /// let log = file.log("lines")?;
    /// let mut writer = file.writer();
    /// let mut stream = log.add_stream(&mut writer)?;
    /// for number in 0..100_000 {
    ///     writeln!(stream, "line {number}")?;
    /// }
    /// let id = stream.finish()?;
    /// assert_eq!(log.get(&file.pin(), id)?.len(), 1_088_890);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_stream<'w, 'f>(&self, writer: &'w mut Writer<'f>) -> Result<EntryWriter<'w, 'f>> {
        writer.check(self.shared())?;
        writer.engine().touch()?;
        Ok(EntryWriter::new(self, (writer, None)))
    }

    /// Begins a new content for an entry; the old one stays until
    /// [`finish`](EntryWriter::finish) has returned.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn update_stream<'w, 'f>(
        &self,
        writer: &'w mut Writer<'f>,
        id: BlockId,
    ) -> Result<EntryWriter<'w, 'f>> {
        writer.check(self.shared())?;
        writer.engine().touch()?;
        self.shared().find_entry(&self.store, id)?;
        Ok(EntryWriter::new(self, (writer, Some(id))))
    }
}

impl<'w, 'f> EntryWriter<'w, 'f> {
    fn new(log: &Log, (writer, id): (&'w mut Writer<'f>, Option<BlockId>)) -> Self {
        Self {
            log: log.clone(),
            writer,
            id,
            factor: None,
            len: 0,
            memory: Vec::new(),
            draft: None,
            sum: crc32fast::Hasher::new(),
        }
    }

    /// Gives the entry room for [`room_for`](Log::room_for) its length.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a factor that is no number from 1 on.
    pub fn extension_factor(&mut self, factor: f64) -> Result<()> {
        self.log.room_for(0, factor)?;
        self.factor = Some(factor);
        Ok(())
    }

    /// Bytes written so far: what the entry will have.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length of a stream")]
    pub fn len(&self) -> u64 {
        self.len + self.memory.len() as u64
    }

    /// Publishes the entry: whoever reads sees the old content, or none, until here, and this one
    /// from here on.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`; `Io`; `Poisoned`; `InvalidArgument` where the extension factor asks for 4 GiB.
    /// Nothing is changed then, and the space is given back.
    pub fn finish(mut self) -> Result<BlockId> {
        let len = usize::try_from(self.len())?;
        let room = self.factor.map(|factor| self.log.room_for(len, factor)).transpose()?;
        if self.draft.is_some() {
            self.reserve(self.len())?;
            self.write_memory()?;
        }
        let store: &Store = &self.log.store;
        let mut engine = self.writer.engine();
        if let Some(draft) = self.draft.take() {
            let drafted = Drafted { len: self.len, room, sum: self.sum.clone() };
            return engine.publish_draft((store, self.id), draft, &drafted);
        }
        let given = Given { payload: &self.memory, room };
        match self.id {
            None => engine.log_add(store, given),
            Some(id) => engine.log_update(store, id, given).map(|()| id),
        }
    }

    /// Makes room for a content of `len` bytes.
    fn reserve(&mut self, len: u64) -> Result<()> {
        let mut engine = self.writer.engine();
        engine.check_entry_len(len)?;
        if let Some(draft) = &mut self.draft {
            return engine.extend_draft(draft, (len, self.len));
        }
        self.draft = Some(engine.begin_draft(&self.log.store, len)?);
        Ok(())
    }

    /// Writes what is kept in memory, where that is not all there is.
    fn write_memory(&mut self) -> Result<()> {
        let memory = std::mem::take(&mut self.memory);
        let written = self.write_piece(&memory);
        self.memory = memory;
        if written? {
            self.memory.clear();
        }
        Ok(())
    }

    /// Writes a piece behind what is written; false where there is no space for it yet.
    fn write_piece(&mut self, bytes: &[u8]) -> Result<bool> {
        let Some(draft) = &mut self.draft else { return Ok(false) };
        self.writer.engine().write_draft(draft, self.len, bytes)?;
        self.sum.update(bytes);
        self.len += bytes.len() as u64;
        Ok(true)
    }

    /// Writes what is kept and `bytes`, or keeps them behind.
    fn pass_on(&mut self, bytes: &[u8]) -> Result<()> {
        self.reserve(self.len() + bytes.len() as u64)?;
        self.write_memory()?;
        if bytes.len() < PIECE {
            self.memory.extend_from_slice(bytes);
        } else {
            self.write_piece(bytes)?;
        }
        Ok(())
    }
}

impl Write for EntryWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.memory.len() + bytes.len() <= PIECE {
            self.memory.extend_from_slice(bytes);
        } else {
            self.pass_on(bytes)?;
        }
        Ok(bytes.len())
    }

    /// Does nothing: what is kept goes to the file with the next 256 KiB, or at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for EntryWriter<'_, '_> {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            self.writer.engine().end_draft(draft, self.len);
        }
    }
}
