//! What each 64-KiB unit of the file belongs to, for readers that check where a slot points.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::layout::UNIT;

/// What a region holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Table,
    Heap,
    Oversize,
    Segment,
    Slab,
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Directory => 1,
            Self::Table => 2,
            Self::Heap => 3,
            Self::Oversize => 4,
            Self::Segment => 5,
            Self::Slab => 6,
        }
    }

    pub(crate) const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Directory),
            2 => Some(Self::Table),
            3 => Some(Self::Heap),
            4 => Some(Self::Oversize),
            5 => Some(Self::Segment),
            6 => Some(Self::Slab),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Table => "slot table",
            Self::Heap => "blocks",
            Self::Oversize => "one block",
            Self::Segment => "entries",
            Self::Slab => "slab",
        }
    }
}

/// Where the blocks of a unit may end, in one word: the end of its region of blocks or entries; the
/// end of its region and 1, where that holds one block and starts here; the same and 3 for a slab;
/// else 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(u64);

impl Limit {
    /// The first byte behind the heap region; 0 where there is none.
    #[inline]
    pub(crate) fn of_heap(self) -> u64 {
        // All ones for an even word, else none.
        self.0 & (self.0 & 1).wrapping_sub(1)
    }

    /// The first byte behind the region of one block that starts here; 0 where there is none.
    #[inline]
    pub(crate) fn of_one_block(self) -> u64 {
        if self.0 & 3 == 1 { self.0 - 1 } else { 0 }
    }

    /// The first byte behind the slab that starts here; 0 where there is none.
    #[inline]
    pub(crate) fn of_slab(self) -> u64 {
        if self.0 & 3 == 3 { self.0 - 3 } else { 0 }
    }
}

/// What each unit belongs to.
#[derive(Debug)]
pub(crate) struct Units(Box<[AtomicU64]>);

impl Units {
    /// Covers `capacity` bytes of file; memory is used as units are set.
    pub(crate) fn new(capacity: u64) -> Self {
        let count = usize::try_from(capacity / UNIT).unwrap_or(0);
        Self(bytemuck::allocation::zeroed_slice_box(count))
    }

    #[inline]
    pub(crate) fn get(&self, place: u64) -> Option<Limit> {
        let unit = usize::try_from(place / UNIT).ok()?;
        Some(Limit(self.0.get(unit)?.load(Ordering::Acquire)))
    }

    /// Says that `start..end`, whole units, belongs to a region of this kind, or to none.
    pub(crate) fn set(&self, start: u64, end: u64, kind: Option<Kind>) {
        for unit in start / UNIT..end / UNIT {
            let word = match kind {
                Some(Kind::Heap | Kind::Segment) => end,
                Some(Kind::Oversize) if unit == start / UNIT => end + 1,
                Some(Kind::Slab) if unit == start / UNIT => end + 3,
                _ => 0,
            };
            if let Some(entry) = usize::try_from(unit).ok().and_then(|unit| self.0.get(unit)) {
                entry.store(word, Ordering::Release);
            }
        }
    }
}
