//! The bytes of a dump as they come, behind one buffer, with their offset.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::error::Result;

/// Bytes of the buffer; more than the longest piece that is looked at as one.
const CAPACITY: usize = 256 << 10;

/// Where the bytes of a dump come from.
pub(crate) trait Source {
    /// Reads some bytes; none at the end.
    fn read(&mut self, into: &mut [u8]) -> Result<usize>;

    /// Leaves out at most `len` bytes and says how many; 0 when they must be read.
    fn skip(&mut self, len: u64) -> Result<u64>;
}

/// A source with a buffer.
pub(super) struct Input<'s> {
    source: &'s mut dyn Source,
    buffer: Box<[u8]>,
    /// The bytes of the buffer that were not taken yet.
    start: usize,
    end: usize,
    /// The offset of the byte at `start`.
    offset: u64,
}

impl<'s> Input<'s> {
    pub(super) fn new(source: &'s mut dyn Source) -> Self {
        let buffer = vec![0; CAPACITY].into_boxed_slice();
        Self { source, buffer, start: 0, end: 0, offset: 0 }
    }

    /// The offset of the next byte.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The offset behind the last byte that was read from the source.
    pub(super) fn end_offset(&self) -> u64 {
        self.offset.saturating_add(u64_of(self.buffered()))
    }

    #[inline]
    fn buffered(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Takes `len` bytes, at most the capacity; none, with nothing taken, when the file ends
    /// before.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<Option<&[u8]>> {
        if self.buffered() < len && !self.fill(len)? {
            return Ok(None);
        }
        let start = self.start;
        self.advance(len);
        Ok(self.buffer.get(start..self.start))
    }

    #[inline]
    fn advance(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
        self.offset = self.offset.saturating_add(u64_of(len));
    }

    /// Reads until `len` bytes lie in the buffer; says whether they do.
    #[cold]
    fn fill(&mut self, len: usize) -> Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.buffered();
        self.start = 0;
        while self.end < len {
            let Some(vacant) = self.buffer.get_mut(self.end..).filter(|part| !part.is_empty())
            else {
                return Ok(false);
            };
            let read = self.source.read(vacant)?;
            if read == 0 {
                return Ok(false);
            }
            self.end = self.end.saturating_add(read).min(self.buffer.len());
        }
        Ok(true)
    }

    /// Skips `len` bytes; says whether they were there.
    #[inline]
    pub(super) fn skip(&mut self, len: u64) -> Result<bool> {
        if let Ok(near) = usize::try_from(len)
            && near <= self.buffered()
        {
            self.advance(near);
            return Ok(true);
        }
        self.skip_far(len)
    }

    #[cold]
    fn skip_far(&mut self, len: u64) -> Result<bool> {
        let buffered = self.buffered();
        let mut left = len.saturating_sub(u64_of(buffered));
        self.advance(buffered);
        (self.start, self.end) = (0, 0);
        let skipped = if left < u64_of(CAPACITY) { 0 } else { self.source.skip(left)? };
        self.offset = self.offset.saturating_add(skipped);
        left = left.saturating_sub(skipped);
        while 0 < left {
            let read = self.source.read(&mut self.buffer)?;
            if read == 0 {
                return Ok(false);
            }
            let taken = usize::try_from(left).map_or(read, |left| left.min(read));
            (self.start, self.end) = (0, read.min(self.buffer.len()));
            self.advance(taken);
            left = left.saturating_sub(u64_of(taken));
        }
        Ok(true)
    }
}

/// Lengths in memory fit 64 bits on every machine.
pub(super) fn u64_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
