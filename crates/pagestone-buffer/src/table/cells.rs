//! Cells in pieces that never move, so that readers need no lock while more are made.

use std::{
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The first piece has a quarter of it; four pieces double what there is.
const FIRST: u64 = 64;
/// Enough for 2^36 cells.
const PIECES: usize = 120;
const _: () = assert!(len_of(0) as u64 == FIRST / 4);

/// Cells, all vacant at first.
#[derive(Debug)]
pub(super) struct Cells {
    pieces: Box<[OnceLock<Box<[AtomicU64]>>]>,
    len: AtomicU64,
}

/// The piece of a cell, and its place there.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "logarithms, and places in memory")]
const fn place(at: u64) -> (usize, usize) {
    let shifted = at + FIRST;
    let power = shifted.ilog2();
    let quarter = shifted >> (power - 2) & 3;
    let piece = (power - FIRST.ilog2()) as u64 * 4 + quarter;
    (piece as usize, (shifted & ((1 << (power - 2)) - 1)) as usize)
}

/// Cells of a piece.
const fn len_of(piece: usize) -> usize {
    16 << (piece / 4)
}

impl Cells {
    pub(super) fn new() -> Self {
        Self {
            pieces: std::iter::repeat_with(OnceLock::new).take(PIECES).collect(),
            len: AtomicU64::new(0),
        }
    }

    /// Cells there are.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// Makes one more piece, at most a quarter of what there is.
    pub(super) fn grow(&self) {
        let (piece, _) = place(self.len());
        let Some(here) = self.pieces.get(piece) else { return };
        let cells = here.get_or_init(|| {
            std::iter::repeat_with(AtomicU64::default).take(len_of(piece)).collect()
        });
        self.len.store(self.len() + cells.len() as u64, Ordering::Relaxed);
    }

    #[inline]
    fn cell(&self, at: u64) -> Option<&AtomicU64> {
        let (piece, place) = place(at);
        self.pieces.get(piece)?.get()?.get(place)
    }

    /// 0 for a cell that is vacant or not there.
    #[inline]
    pub(super) fn load(&self, at: u64) -> u64 {
        self.cell(at).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn store(&self, at: u64, value: u64) {
        if let Some(cell) = self.cell(at) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// The cells from one on, piece by piece.
    #[inline]
    pub(super) fn from(&self, at: u64) -> impl Iterator<Item = &[AtomicU64]> {
        let (piece, place) = place(at);
        let mut skipped = place;
        let pieces = self.pieces.get(piece..).unwrap_or_default().iter();
        pieces.map_while(move |piece| piece.get()?.get(std::mem::take(&mut skipped)..))
    }

    /// Shows the cells that are taken with their places.
    pub(super) fn for_each(&self, range: Range<u64>, mut each: impl FnMut(u64, u64)) {
        let mut at = range.start;
        for piece in self.from(range.start) {
            for cell in piece {
                if range.end <= at {
                    return;
                }
                let value = cell.load(Ordering::Relaxed);
                if value != 0 {
                    each(at, value);
                }
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cells, FIRST, PIECES, len_of, place};

    #[test]
    fn pieces_follow_each_other() {
        let mut at = 0;
        for piece in 0..PIECES {
            let len = len_of(piece) as u64;
            assert_eq!(place(at), (piece, 0));
            assert_eq!(place(at + len - 1), (piece, len_of(piece) - 1));
            at += len;
        }
        assert!((1 << 36) - FIRST <= at);
        let cells = Cells::new();
        for _ in 0..30 {
            let before = cells.len();
            cells.grow();
            assert!(before < cells.len() && cells.len() <= before + (before + FIRST) / 4);
        }
        for at in 0..cells.len() + 10 {
            cells.store(at, at + 1);
        }
        assert_eq!((cells.load(cells.len() - 1), cells.load(cells.len())), (cells.len(), 0));
        let mut seen = 0;
        cells.for_each(5..100, |at, cell| {
            assert_eq!((cell, at), (at + 1, 5 + seen));
            seen += 1;
        });
        assert_eq!(seen, 95);
    }
}
