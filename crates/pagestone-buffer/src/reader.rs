//! An entry as a stream.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

/// Reads one entry, as it was when the reader was made; a pin keeps its bytes.
#[derive(Debug, Clone)]
pub struct EntryReader<'p> {
    bytes: Cursor<&'p [u8]>,
}

impl<'p> EntryReader<'p> {
    pub(crate) fn new(bytes: &'p [u8]) -> Self {
        Self { bytes: Cursor::new(bytes) }
    }

    /// Returns all of the entry.
    #[must_use]
    pub fn as_bytes(&self) -> &'p [u8] {
        self.bytes.get_ref()
    }
}

impl Read for EntryReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(into)
    }
}

impl BufRead for EntryReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.bytes.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for EntryReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}
