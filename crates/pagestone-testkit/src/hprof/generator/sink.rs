//! Owns the buffering of records and segments on their way to the writer.

use std::io::{self, Write};

use super::super::{
    IdSize, Version,
    encode::{Encoder, count_u4},
    writer::{LENGTH_PLACE, RECORD_HEAD_SIZE},
};

/// Body of a segment from which on it is closed. A bigger sub-record has a segment of its own.
const SEGMENT_LEN: usize = 1 << 20;

/// Gathers records, then segments, and passes them on in pieces of about 1 MiB.
pub(super) struct Sink<'a> {
    out: &'a mut dyn Write,
    encoder: Encoder,
    /// Bytes passed on.
    written: u64,
    /// The buffer is one open segment.
    in_segment: bool,
    segment_count: u64,
}

impl<'a> Sink<'a> {
    /// A sink that holds the header of the file.
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        let mut encoder = Encoder::new(IdSize::Eight);
        encoder.bytes.reserve(SEGMENT_LEN + RECORD_HEAD_SIZE);
        encoder.bytes(Version::V102.text().as_bytes());
        encoder.u1(0);
        encoder.u4(IdSize::Eight.bytes());
        encoder.u8(1_700_000_000_123);
        Self { out, encoder, written: 0, in_segment: false, segment_count: 0 }
    }

    /// Bytes of the file so far.
    pub(super) fn position(&self) -> u64 {
        self.written + self.encoder.len()
    }

    /// Segments begun so far.
    pub(super) fn segment_count(&self) -> u64 {
        self.segment_count
    }

    /// Begins a record outside of segments whose body the caller writes.
    pub(super) fn record(&mut self, tag: u8, body_len: usize) -> io::Result<&mut Encoder> {
        if self.in_segment || SEGMENT_LEN < self.encoder.bytes.len() {
            self.pass_on()?;
        }
        self.encoder.u1(tag);
        self.encoder.u4(0);
        self.encoder.u4(count_u4(body_len));
        Ok(&mut self.encoder)
    }

    /// Begins a sub-record of `len` bytes with its type byte, which this writes; the caller writes
    /// the rest.
    #[inline]
    pub(super) fn subrecord(&mut self, tag: u8, len: usize) -> io::Result<&mut Encoder> {
        let used = self.encoder.bytes.len();
        if !self.in_segment || SEGMENT_LEN + RECORD_HEAD_SIZE < used + len {
            self.begin_segment()?;
        }
        self.encoder.u1(tag);
        Ok(&mut self.encoder)
    }

    /// Closes the file and answers its length.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.record(0x2c, 0)?;
        self.pass_on()?;
        self.out.flush()?;
        Ok(self.written)
    }

    #[cold]
    fn begin_segment(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.encoder.u1(0x1c);
        self.encoder.u4(0);
        self.encoder.u4(0);
        self.in_segment = true;
        self.segment_count += 1;
        Ok(())
    }

    fn pass_on(&mut self) -> io::Result<()> {
        if self.in_segment {
            let body_len = count_u4(self.encoder.bytes.len() - RECORD_HEAD_SIZE);
            self.encoder.patch_u4(LENGTH_PLACE, body_len);
            self.in_segment = false;
        }
        self.out.write_all(&self.encoder.bytes)?;
        self.written += self.encoder.len();
        self.encoder.bytes.clear();
        Ok(())
    }
}
