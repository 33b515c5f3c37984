//! A block as a stream that is written.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use super::{PIECE, seek};
use crate::{
    engine::{Bytes, LEN_MAX, Payload, Stretch, Written},
    error::Result,
    id::BlockId,
    layout::BLOCK_HEADER,
    store::Store,
    writer::Writer,
};

/// The longest content that shares a region, which is kept whole until the end.
const KEPT: u64 = PIECE as u64 - BLOCK_HEADER;

/// Writes one block; see [`Heap::allocate_stream`](crate::Heap::allocate_stream) and
/// [`Heap::put_stream`](crate::Heap::put_stream).
///
/// Memory is constant: 256 KiB, and as much again for a moment where a content moves or its
/// checksum has to be found. A longer content goes to a region of its own as it comes.
///
/// Dropped without [`finish`](Self::finish), it leaves everything as it was and gives its space
/// back. An error of a write changes nothing either: with space made, the same bytes can be written
/// again. What is sought past the end and written there has zeros before it.
///
/// ```
/// use std::io::Write;
/// use pagestone_heap::RegionFile;
///
/// let file = RegionFile::options().in_memory()?;
/// let heap = file.heap("logs")?;
/// let mut writer = file.writer();
/// let mut stream = heap.allocate_stream(&mut writer)?;
/// for number in 0..100_000 {
///     writeln!(stream, "line {number}")?;
/// }
/// let id = stream.finish()?;
/// assert_eq!(heap.len(&file.pin(), id)?, 1_088_890);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BlockWriter<'w, 'f> {
    writer: &'w mut Writer<'f>,
    store: Arc<Store>,
    id: Option<BlockId>,
    flags: Option<u32>,
    /// How long the content may become, where somebody has said so.
    hint: Option<u64>,
    position: u64,
    len: u64,
    /// Bytes from `from` on that are not in the file yet: all of a short content.
    memory: Vec<u8>,
    from: u64,
    /// Where a long content goes.
    stretch: Option<Stretch>,
    /// The checksum of the bytes up to `summed`; nobody needs it, or some came out of order, where
    /// there is none.
    sum: Option<crc32fast::Hasher>,
    summed: u64,
}

impl<'w, 'f> BlockWriter<'w, 'f> {
    pub(super) fn new(
        writer: &'w mut Writer<'f>,
        (store, id): (&Arc<Store>, Option<BlockId>),
    ) -> Self {
        Self {
            writer,
            store: Arc::clone(store),
            id,
            flags: None,
            hint: None,
            position: 0,
            len: 0,
            memory: Vec::new(),
            from: 0,
            stretch: None,
            sum: store.is_summed().then(crc32fast::Hasher::new),
            summed: 0,
        }
    }

    /// Bytes written so far: what the block will have.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length of a stream")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Says how long the content will be, more or less, so that free space of that length is used
    /// where there is any. Nothing else follows from it.
    pub fn expect_len(&mut self, len: u64) {
        self.hint = Some(len);
    }

    /// Sets the 32 bits that are kept with a block for the caller; without it a new block has 0,
    /// and one that is replaced keeps its own.
    pub fn set_flags(&mut self, flags: u32) {
        self.flags = Some(flags);
    }

    /// Writes all that `from` has, without a copy between; returns how many bytes that were.
    ///
    /// # Errors
    ///
    /// Those of `from` and of writing; what was read before is written.
    pub fn copy_from(&mut self, from: &mut impl Read) -> io::Result<u64> {
        let start = self.position;
        let mut memory = vec![0; PIECE];
        loop {
            let most = if self.stretch.is_some() { self.room()? } else { PIECE };
            let read = match from.read(&mut memory[..most]) {
                Ok(0) => return Ok(self.position - start),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.write_all(&memory[..read])?;
        }
    }

    /// Publishes the block: whoever reads sees the old content, or none, until here, and this one
    /// from here on.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` where no slot is left or the end of the content finds no room; `Io`;
    /// `Poisoned`. Nothing is changed then, and the space is given back.
    pub fn finish(mut self) -> Result<BlockId> {
        if self.stretch.is_none() {
            return self.finish_short();
        }
        self.write_memory()?;
        let sum = self.sum.take();
        let payload = Payload { len: self.len, flags: self.flags, sum };
        match self.stretch.take() {
            Some(stretch) => {
                let target = (&*self.store, self.id);
                self.writer.engine().publish_stretch(target, stretch, &payload)
            }
            None => self.finish_short(),
        }
    }

    fn finish_short(&mut self) -> Result<BlockId> {
        let content = Bytes::Bytes(&self.memory);
        let mut engine = self.writer.engine();
        match self.id {
            None => engine.allocate(&self.store, content, self.flags.unwrap_or(0)),
            Some(id) => {
                let written = Written { flags: self.flags, ..Written::new(content) };
                engine.put(&self.store, id, written)?;
                Ok(id)
            }
        }
    }

    /// Makes room in the region for a content of `len` bytes.
    fn reserve(&mut self, len: u64) -> Result<()> {
        let mut engine = self.writer.engine();
        match &mut self.stretch {
            None => self.stretch = Some(engine.begin_stretch(len, self.hint)?),
            Some(stretch) if stretch.capacity() < len => {
                engine.extend_stretch(stretch, (len, self.len))?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// How many bytes go to memory before it is written: up to a place in the file that is a
    /// multiple of a piece. Makes some where there is none.
    fn room(&mut self) -> Result<usize> {
        if self.from + self.memory.len() as u64 != self.position {
            self.write_memory()?;
            self.from = self.position;
        }
        let left = self.most().saturating_sub(self.memory.len());
        if left == 0 {
            self.write_memory()?;
            return Ok(self.most());
        }
        Ok(left)
    }

    /// Bytes from `from` to a multiple of a piece.
    fn most(&self) -> usize {
        let place = self.stretch.as_ref().map_or(0, |stretch| stretch.place(self.from));
        PIECE - usize::try_from(place % PIECE as u64).unwrap_or(0)
    }

    /// Writes what is kept in memory.
    fn write_memory(&mut self) -> Result<()> {
        let memory = std::mem::take(&mut self.memory);
        let done = self.write_piece(self.from, &memory);
        self.memory = memory;
        done?;
        self.from += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    fn write_piece(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(stretch) = &mut self.stretch else { return Ok(()) };
        if bytes.is_empty() {
            return Ok(());
        }
        self.writer.engine().write_stretch(stretch, offset, bytes)?;
        if offset == self.summed {
            self.sum.iter_mut().for_each(|sum| sum.update(bytes));
            self.summed += bytes.len() as u64;
        } else {
            self.sum = None;
        }
        Ok(())
    }

    /// Keeps bytes of a short content.
    fn keep(&mut self, bytes: &[u8]) {
        let from = usize::try_from(self.position).unwrap_or(usize::MAX);
        let end = from + bytes.len();
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        self.memory[from..end].copy_from_slice(bytes);
    }

    /// Writes the front of `bytes` to the region, or keeps it until there is a piece.
    fn pass_on(&mut self, bytes: &[u8]) -> Result<usize> {
        let end = self.position + bytes.len() as u64;
        self.reserve(end.max(self.len))?;
        let room = self.room()?;
        if self.memory.is_empty() && room <= bytes.len() {
            let len = room + (bytes.len() - room) / PIECE * PIECE;
            self.write_piece(self.position, &bytes[..len])?;
            self.from = self.position + len as u64;
            return Ok(len);
        }
        let len = room.min(bytes.len());
        self.memory.extend_from_slice(&bytes[..len]);
        Ok(len)
    }
}

impl Write for BlockWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = usize::try_from(LEN_MAX - self.position).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(left)];
        if bytes.is_empty() {
            return Ok(0);
        }
        let end = self.position + bytes.len() as u64;
        let len = if self.stretch.is_none() && end <= KEPT {
            self.keep(bytes);
            bytes.len()
        } else {
            self.pass_on(bytes)?
        };
        self.position += len as u64;
        self.len = self.len.max(self.position);
        Ok(len)
    }

    /// Hands what is kept in memory to the system; a short content stays there until the end.
    fn flush(&mut self) -> io::Result<()> {
        if self.stretch.is_some() {
            self.write_memory()?;
        }
        Ok(())
    }
}

impl Seek for BlockWriter<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = seek(to, (self.position, self.len))?;
        Ok(self.position)
    }
}

impl Drop for BlockWriter<'_, '_> {
    fn drop(&mut self) {
        if let Some(stretch) = self.stretch.take() {
            self.writer.engine().end_stretch(stretch);
        }
    }
}
