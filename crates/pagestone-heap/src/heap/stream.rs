//! Blocks in pieces: longer than memory, or of a length that nobody knows before the end.

mod reader; // `Read`, `Seek`, `BufRead` over a block
mod writer; // `Write`, `Seek` into a block that is published at the end

use std::io::{self, BufRead, Write};

pub use reader::BlockReader;
pub use writer::BlockWriter;

use super::Heap;
use crate::{error::Result, id::BlockId, pin::Pin, writer::Writer};

/// Bytes that are moved together: as many as the longest block that shares a region.
const PIECE: usize = 256 << 10;

impl Heap {
    /// Reads a block as a stream, in constant memory, for as long as the pin lives.
    ///
    /// A block that shares a region is borrowed; a longer one is read by system calls in pieces of
    /// 256 KiB, so that it costs no page faults and what cannot be read is an error.
    ///
    /// ```
    /// use std::io::{BufRead, Seek, SeekFrom};
    /// use pagestone_heap::RegionFile;
    ///
    /// let file = RegionFile::options().in_memory()?;
    /// let heap = file.heap("texts")?;
    /// let id = heap.allocate_from(&mut file.writer(), b"one\ntwo\nthree\n")?;
    /// let pin = file.pin();
    /// let mut reader = heap.reader(&pin, id)?;
    /// reader.seek(SeekFrom::Start(4))?;
    /// let lines: Vec<String> = reader.lines().collect::<Result<_, _>>()?;
    /// assert_eq!(lines, ["two", "three"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn reader<'p>(&self, pin: &'p Pin<'_>, id: BlockId) -> Result<BlockReader<'p>> {
        let found = self.find(pin, id)?;
        Ok(BlockReader::new(pin, &found))
    }

    /// Shows a block to `each` piece by piece, in order, in constant memory.
    ///
    /// # Errors
    ///
    /// That of `each`, which breaks off; those of [`reader`](Self::reader) and of reading.
    pub fn for_each_piece(
        &self,
        pin: &Pin<'_>,
        id: BlockId,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut reader = self.reader(pin, id)?;
        loop {
            let piece = reader.fill_buf()?;
            let len = piece.len();
            if len == 0 {
                return Ok(());
            }
            each(piece)?;
            reader.consume(len);
        }
    }

    /// Writes all of a block to `out`, in constant memory; returns its length.
    ///
    /// # Errors
    ///
    /// As [`for_each_piece`](Self::for_each_piece), with those of `out`.
    pub fn copy_to(&self, pin: &Pin<'_>, id: BlockId, out: &mut impl Write) -> io::Result<u64> {
        let mut len = 0;
        self.for_each_piece(pin, id, |piece| {
            len += piece.len() as u64;
            out.write_all(piece)
        })?;
        Ok(len)
    }

    /// Begins a new block that is written as a stream; it is there when
    /// [`finish`](BlockWriter::finish) has returned, and was never there when that is not called.
    ///
    /// # Errors
    ///
    /// As [`allocate_from`](Self::allocate_from).
    pub fn allocate_stream<'w, 'f>(
        &self,
        writer: &'w mut Writer<'f>,
    ) -> Result<BlockWriter<'w, 'f>> {
        writer.check(self.shared())?;
        writer.engine().touch()?;
        Ok(BlockWriter::new(writer, (&self.store, None)))
    }

    /// Begins a new content for a block; the old one stays until [`finish`](BlockWriter::finish)
    /// has returned.
    ///
    /// # Errors
    ///
    /// `StaleId`, and as [`allocate_from`](Self::allocate_from).
    pub fn put_stream<'w, 'f>(
        &self,
        writer: &'w mut Writer<'f>,
        id: BlockId,
    ) -> Result<BlockWriter<'w, 'f>> {
        writer.check(self.shared())?;
        let mut engine = writer.engine();
        engine.touch()?;
        let (found, _) = engine.find(&self.store, id)?;
        let likely = found.len as u64;
        let mut stream = BlockWriter::new(writer, (&self.store, Some(id)));
        stream.expect_len(likely);
        Ok(stream)
    }

    /// Makes a block of what `write` writes.
    ///
    /// ```
    /// use pagestone_heap::RegionFile;
    ///
    /// let file = RegionFile::options().in_memory()?;
    /// let heap = file.heap("texts")?;
    /// let mut text = &b"any source of bytes"[..];
    /// let id = heap.allocate_by(&mut file.writer(), |out| out.copy_from(&mut text).map(drop))?;
    /// let mut back = Vec::new();
    /// heap.copy_to(&file.pin(), id, &mut back)?;
    /// assert_eq!(back, b"any source of bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That of `write`, and as [`allocate_from`](Self::allocate_from); no block is made then.
    pub fn allocate_by(
        &self,
        writer: &mut Writer<'_>,
        write: impl FnOnce(&mut BlockWriter<'_, '_>) -> io::Result<()>,
    ) -> io::Result<BlockId> {
        let mut stream = self.allocate_stream(writer)?;
        write(&mut stream)?;
        Ok(stream.finish()?)
    }

    /// Replaces the content of a block by what `write` writes.
    ///
    /// # Errors
    ///
    /// That of `write`, and as [`put`](Self::put); the old content stays then.
    pub fn put_by(
        &self,
        writer: &mut Writer<'_>,
        id: BlockId,
        write: impl FnOnce(&mut BlockWriter<'_, '_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut stream = self.put_stream(writer, id)?;
        write(&mut stream)?;
        stream.finish()?;
        Ok(())
    }
}

/// The place that `to` leads to from `position` in `len` bytes.
fn seek(to: io::SeekFrom, (position, len): (u64, u64)) -> io::Result<u64> {
    let place = match to {
        io::SeekFrom::Start(place) => Some(place),
        io::SeekFrom::Current(by) => position.checked_add_signed(by),
        io::SeekFrom::End(by) => len.checked_add_signed(by),
    };
    let allowed = place.filter(|place| *place <= crate::engine::LEN_MAX);
    let what = "a place before the start of a block, or past the longest one";
    allowed.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, what))
}
