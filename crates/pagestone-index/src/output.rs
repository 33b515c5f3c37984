//! A file that is written from its first byte to its last, in long pieces.

use pagestone_storage::Storage;

use crate::error::Result;

/// What the system's largest cached pages are aligned to: a write that covers one whole makes one,
/// and a mapping then needs one translation for all of it.
const UNIT: usize = 2 << 20;
/// The least and the most bytes that are collected.
const PIECE: std::ops::Range<usize> = 4 << 20..16 << 20;

/// The end of a file of records, of which the last ones are still held.
#[derive(Debug)]
pub(crate) struct Output {
    file: Storage<[u8]>,
    held: Vec<u8>,
    /// Bytes that are written at once: whole records, and whole units where both can be.
    piece: usize,
}

impl Output {
    /// The output to an empty file.
    pub(crate) fn new(file: Storage<[u8]>) -> Self {
        let piece = piece(file.record_size());
        Self { file, held: Vec::new(), piece }
    }

    pub(crate) fn record_size(&self) -> usize {
        self.file.record_size()
    }

    /// Takes whole records over.
    #[inline]
    pub(crate) fn put(&mut self, records: &[u8]) -> Result<()> {
        self.held.extend_from_slice(records);
        self.settle()
    }

    /// What is held, for more to be pushed behind it; [`settle`](Self::settle) comes after.
    #[inline]
    pub(crate) fn held(&mut self) -> &mut Vec<u8> {
        &mut self.held
    }

    /// Writes what is long enough.
    #[inline]
    pub(crate) fn settle(&mut self) -> Result<()> {
        if self.held.len() < self.piece { Ok(()) } else { self.write() }
    }

    #[cold]
    fn write(&mut self) -> Result<()> {
        let whole = self.held.len() / self.piece * self.piece;
        self.file.append(self.held.get(..whole).unwrap_or_default())?;
        self.held.drain(..whole);
        Ok(())
    }

    /// Writes the rest.
    pub(crate) fn into_file(mut self) -> Result<Storage<[u8]>> {
        self.file.append(&self.held)?;
        Ok(self.file)
    }
}

/// How many bytes of records of `size` bytes are written at once.
fn piece(size: usize) -> usize {
    // The smallest that is both a number of units and of records.
    let common = (size >> size.trailing_zeros().min(UNIT.ilog2())).saturating_mul(UNIT);
    if common < PIECE.end {
        return PIECE.start.next_multiple_of(common);
    }
    (PIECE.end / size.max(1)).max(1) * size
}

#[cfg(test)]
mod tests {
    use super::{PIECE, UNIT, piece};

    #[test]
    fn pieces_are_whole_records_and_mostly_whole_units() {
        for size in (1..=600).chain([4096, 65_536, 1 << 20]) {
            let piece = piece(size);
            assert!(piece.is_multiple_of(size) && piece <= PIECE.end, "{size}: {piece}");
            assert!(PIECE.start <= piece, "{size}: {piece}");
            let fits = (1..=PIECE.end / UNIT).any(|units| (units * UNIT).is_multiple_of(size));
            assert!(piece.is_multiple_of(UNIT) || !fits, "{size}: {piece}");
        }
    }
}
