//! A block as a stream that is read.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::{PIECE, seek};
use crate::{
    layout::BLOCK_HEADER,
    pin::Pin,
    region::lifecycle::{Keeper, published},
    shared::Found,
    word::OVERSIZE,
};

/// Reads one block; see [`Heap::reader`](crate::Heap::reader).
///
/// It shows the content that the block had when the reader was made, whatever becomes of the block
/// since. A place behind the end can be sought; nothing is read there.
#[derive(Debug)]
pub struct BlockReader<'p> {
    pin: &'p Pin<'p>,
    /// Where in the file the payload starts.
    start: u64,
    len: u64,
    position: u64,
    source: Source<'p>,
}

/// What bytes come from.
#[derive(Debug)]
enum Source<'p> {
    Whole(&'p [u8]),
    /// A copy of some, from byte `from` of the payload on.
    Pieces {
        memory: Vec<u8>,
        from: u64,
    },
}

impl<'p> BlockReader<'p> {
    pub(super) fn new(pin: &'p Pin<'_>, found: &Found) -> Self {
        let raw = &pin.shared().raw;
        let source = if found.word.class() == OVERSIZE && !raw.is_memory() {
            Source::Pieces { memory: Vec::new(), from: 0 }
        } else {
            Source::Whole(published(raw, Keeper::pin(pin.place()), (found.at, found.len)))
        };
        let (start, len) = (found.at + BLOCK_HEADER, found.len as u64);
        Self { pin, start, len, position: 0, source }
    }

    /// Bytes of the block.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a length of a stream; `fill_buf` tells the end"
    )]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes from here to the end.
    fn left(&self) -> u64 {
        self.len.saturating_sub(self.position)
    }

    /// Bytes to read together from here on, up to a place in the block that is a multiple of a
    /// piece: who writes them to a file then writes whole pages of it.
    fn piece(&self) -> usize {
        let odd = usize::try_from(self.position % PIECE as u64).unwrap_or(0);
        let most = PIECE - odd;
        usize::try_from(self.left()).unwrap_or(most).min(most)
    }

    /// Whether a copy of the byte at the position is there.
    fn is_ready(&self) -> bool {
        match &self.source {
            Source::Whole(_) => true,
            Source::Pieces { memory, from } => {
                let end = from + memory.len() as u64;
                *from <= self.position && self.position < end
            }
        }
    }
}

impl Read for BlockReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left() == 0 {
            return Ok(0);
        }
        let piece = self.piece();
        if !self.is_ready() && piece <= into.len() {
            // As much as a copy would hold, or more: straight to where it is wanted.
            let more = (into.len() - piece) / PIECE * PIECE;
            let most = usize::try_from(self.left()).unwrap_or(usize::MAX);
            let len = (piece + more).min(most);
            self.pin
                .shared()
                .raw
                .pread(self.start + self.position, &mut into[..len])
                .map_err(crate::Error::from)?;
            self.position += len as u64;
            return Ok(len);
        }
        let ready = self.fill_buf()?;
        let len = ready.len().min(into.len());
        into[..len].copy_from_slice(&ready[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for BlockReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left() == 0 {
            return Ok(&[]);
        }
        let (piece, ready) = (self.piece(), self.is_ready());
        let position = self.position;
        match &mut self.source {
            Source::Whole(bytes) => {
                let from = usize::try_from(position).unwrap_or(usize::MAX);
                Ok(bytes.get(from..).unwrap_or_default())
            }
            Source::Pieces { memory, from } => {
                if !ready {
                    // Empty while it is read: after an error nothing is ready.
                    let mut read = std::mem::take(memory);
                    read.resize(piece, 0);
                    let place = self.start + position;
                    self.pin.shared().raw.pread(place, &mut read).map_err(crate::Error::from)?;
                    (*memory, *from) = (read, position);
                }
                let skip = usize::try_from(position - *from).unwrap_or(usize::MAX);
                Ok(memory.get(skip..).unwrap_or_default())
            }
        }
    }

    fn consume(&mut self, len: usize) {
        self.position = self.position.saturating_add(len as u64).min(self.len.max(self.position));
    }
}

impl Seek for BlockReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = seek(to, (self.position, self.len))?;
        Ok(self.position)
    }
}
