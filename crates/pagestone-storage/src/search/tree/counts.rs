//! Counts of sorted records whose keys lie evenly: where a key belongs is computed, not searched.
//!
//! See docs/format.md, "Accelerator". Lines may be stale or damaged: they only say where a search
//! begins, which is checked in the records.
#![expect(clippy::inline_always, reason = "has to compile with the CPU features of the caller")]

use crate::search::{
    Keys,
    keys::{prefetch_line, word_index},
};

/// The number of records in front of a line, 8 bytes, then how many of the line's lie in its
/// first cell, its first two, and so on.
type Line = [u8; LINE_SIZE];

const LINE_SIZE: usize = 64;
/// Cells of a line.
const CELLS: u64 = 56;
/// Records for each line, on average: two in a cell.
const SHARE: u64 = 2 * CELLS;
/// The most that the records of a cell may be, as their mean square by their mean; cells of
/// random keys have 3.
const UNEVEN: u64 = 5;

/// Bytes of the counts over so many records; `u64::MAX` if they are more than that.
pub(crate) fn byte_len(record_count: u64) -> u64 {
    if record_count == 0 {
        return 0;
    }
    (record_count.div_ceil(SHARE) + 1).saturating_mul(LINE_SIZE as u64)
}

/// The counts over sorted records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts<'a> {
    lines: &'a [Line],
    cells: Cells,
    record_count: u64,
}

/// Which cell a key belongs to.
#[derive(Debug, Clone, Copy)]
struct Cells {
    low: u64,
    /// The highest key less the lowest.
    span: u64,
    /// What brings the top bit of `span` to the top.
    shift: u32,
    /// Cells for each shifted key, times 2^64; invariant N1: `scale * (span << shift)`, divided by
    /// 2^64, is below the number of cells.
    scale: u64,
}

impl Cells {
    fn new((low, high): (u64, u64), lines: u64) -> Option<Self> {
        let span = high.checked_sub(low)?;
        let shift = span.leading_zeros().min(63);
        let cells = u128::from(lines.checked_mul(CELLS)?);
        // At least 2^63 + 1, or 1 for keys that are all the same.
        let whole = u128::from(span << shift) + 1;
        let scale = u64::try_from((cells << 64) / whole).unwrap_or(u64::MAX);
        Some(Self { low, span, shift, scale })
    }

    #[inline(always)]
    fn of(self, key: u64) -> u64 {
        let distance = key.saturating_sub(self.low).min(self.span);
        let product = u128::from(distance << self.shift) * u128::from(self.scale);
        (product >> 64) as u64
    }
}

impl<'a> Counts<'a> {
    /// The counts in `bytes` over `n` records, written by [`build`](Self::build) or not; `None` if
    /// they cannot be.
    pub(super) fn open(bytes: &'a [u8], n: u64) -> Option<Self> {
        let bytes = bytes.get(..usize::try_from(byte_len(n)).ok()?)?;
        let (lines, _) = bytes.as_chunks::<LINE_SIZE>();
        let (head, lines) = lines.split_first()?;
        let (words, _) = head.as_chunks::<8>();
        let [low, high] = [words[0], words[1]].map(u64::from_le_bytes);
        let cells = Cells::new((low, high), lines.len() as u64)?;
        Some(Self { lines, cells, record_count: n })
    }

    /// The cell that a key belongs to.
    #[inline(always)]
    pub(super) fn cell(self, key: u64) -> u64 {
        self.cells.of(key)
    }

    #[inline(always)]
    pub(super) fn prefetch(self, cells: &[u64]) {
        for cell in cells {
            prefetch_line(self.lines.as_ptr().wrapping_add(word_index(cell / CELLS)).cast());
        }
    }

    /// The record in front of a cell's first one, or the first of all: a search that begins there
    /// sees that what it finds is the first.
    #[inline(always)]
    pub(super) fn start(self, cell: u64) -> u64 {
        let (line, slot) = (cell / CELLS, word_index(cell % CELLS));
        let Some(line) = self.lines.get(word_index(line)) else { return 0 };
        let base = u64::from_le_bytes(*line.first_chunk().unwrap_or(&[0; 8]));
        // The byte in front of the first count is the highest of `base`, which is 0.
        let before = line.get(slot + 7).copied().unwrap_or(0);
        base.saturating_add(before.into()).saturating_sub(1).min(self.record_count)
    }

    /// The first record behind a cell's last one, as far as the counts know.
    pub(super) fn end(self, cell: u64) -> u64 {
        let (line, slot) = (cell / CELLS, word_index(cell % CELLS));
        let Some(line) = self.lines.get(word_index(line)) else { return 0 };
        let base = u64::from_le_bytes(*line.first_chunk().unwrap_or(&[0; 8]));
        let through = line.get(slot + 8).copied().unwrap_or(0);
        base.saturating_add(through.into()).min(self.record_count)
    }
}

/// Makes the counts over sorted records whose keys come one by one. Takes a block of memory.
#[derive(Debug)]
pub(crate) struct Builder {
    cells: Cells,
    record_count: u64,
    lines: u64,
    /// The line that keys go to.
    line: u64,
    /// How many records its cells have; what is more than 255 shows that keys lie unevenly.
    held: [u8; word_index(CELLS)],
    /// Keys seen, and how many of them lie in front of the line.
    seen: u64,
    base: u64,
    /// What cells hold, squared.
    squares: u64,
    is_even: bool,
    /// Bytes that were made and not taken yet.
    made: Vec<u8>,
}

impl Builder {
    /// A builder for the counts over so many records, at least 1, with these first and last keys.
    pub(crate) fn new(record_count: u64, (low, high): (u64, u64)) -> Option<Self> {
        let lines = record_count.div_ceil(SHARE);
        let cells = Cells::new((low, high), lines)?;
        let mut made = vec![0; LINE_SIZE];
        made[..8].copy_from_slice(&low.to_le_bytes());
        made[8..16].copy_from_slice(&high.to_le_bytes());
        let held = [0; word_index(CELLS)];
        let (line, seen, base, squares) = (0, 0, 0, 0);
        let is_even = 0 < lines;
        Some(Self { cells, record_count, lines, line, held, seen, base, squares, is_even, made })
    }

    /// Takes the next `len` keys; answers false when keys lie too unevenly for counts.
    pub(crate) fn extend(&mut self, keys: impl Keys, len: u64) -> bool {
        for index in 0..len {
            let cell = self.cells.of(keys.key_at(index));
            let line = cell / CELLS;
            if line != self.line && !self.go_on_to(line) {
                return false;
            }
            let held = &mut self.held[word_index(cell % CELLS)];
            // Saturates: a line of so many is found out when it ends.
            *held = held.saturating_add(1);
            self.seen += 1;
        }
        self.is_even
    }

    /// Ends the lines up to that of the next key.
    #[inline(never)]
    fn go_on_to(&mut self, line: u64) -> bool {
        self.is_even &= self.line <= line && line <= self.lines;
        while self.is_even && self.line < line {
            let (mut bytes, mut through) = ([0; LINE_SIZE], 0_u64);
            bytes[..8].copy_from_slice(&self.base.to_le_bytes());
            for (count, &held) in bytes[8..].iter_mut().zip(&self.held) {
                through += u64::from(held);
                self.squares += u64::from(held) * u64::from(held);
                *count = u8::try_from(through).unwrap_or(u8::MAX);
            }
            self.is_even = through == self.seen - self.base && through <= u8::MAX.into();
            self.made.extend_from_slice(&bytes);
            self.held.fill(0);
            (self.line, self.base) = (self.line + 1, self.seen);
        }
        // Few records say little.
        self.is_even &= self.squares <= self.seen.max(1 << 12).saturating_mul(UNEVEN);
        self.is_even
    }

    /// The bytes that were made since they were taken last.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.made)
    }

    /// The last bytes, if all keys lay evenly.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        let is_whole = self.go_on_to(self.lines) && self.seen == self.record_count;
        is_whole.then_some(self.made)
    }
}
