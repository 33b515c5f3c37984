//! One named store as readers see it: its slot table.

use std::sync::atomic::Ordering;

use crate::{
    parts::Parts,
    sync::{AtomicBool, AtomicU64},
};

/// What a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Blocks of a heap.
    Blocks,
    /// Blocks whose payloads have checksums.
    SummedBlocks,
    /// Entries of a log.
    Entries,
    /// Slabs of objects.
    Slabs,
    /// Numbers.
    Counts,
}

/// The slot table of a store, shared by all views of it.
#[derive(Debug)]
pub(crate) struct Store {
    /// Names the store in region headers; 0 is the file's own.
    pub(crate) number: u32,
    /// The generation of an index that was never used: random per store, so that ids of another
    /// one are refused.
    pub(crate) generation: u32,
    pub(crate) keeps: Keeps,
    pub(crate) parts: Parts,
    undone: AtomicBool,
    /// Of a log: how often an entry was added, updated or removed since the open.
    changes: AtomicU64,
}

/// The store of names.
pub(crate) const SYSTEM: u32 = 0;

impl Store {
    pub(crate) fn new(number: u32, generation: u32, keeps: Keeps) -> Self {
        Self {
            number,
            generation,
            keeps,
            parts: Parts::new(),
            undone: AtomicBool::new(false),
            changes: AtomicU64::new(0),
        }
    }

    /// Whether payloads of blocks have checksums.
    pub(crate) fn is_summed(&self) -> bool {
        self.keeps == Keeps::SummedBlocks
    }

    /// Whether its slots name entries of segments.
    pub(crate) fn is_log(&self) -> bool {
        self.keeps == Keeps::Entries
    }

    /// Whether its slots name slabs.
    pub(crate) fn has_slabs(&self) -> bool {
        self.keeps == Keeps::Slabs
    }

    /// Whether its slots are numbers.
    pub(crate) fn has_counts(&self) -> bool {
        self.keeps == Keeps::Counts
    }

    /// Says that the making of the store was undone.
    pub(crate) fn undo(&self) {
        self.undone.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Counts a change of an entry. Only the writer does.
    #[inline]
    pub(crate) fn count_change(&self) {
        self.changes.store(self.changes.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    pub(crate) fn is_undone(&self) -> bool {
        self.undone.load(Ordering::Acquire)
    }
}

impl Indices {
    /// Says that an index can be used again. One that was not looked at yet is found when its turn
    /// comes: twice in the list, it would be given out twice to who takes several.
    pub(crate) fn give(&mut self, index: u64) {
        if index < self.unseen {
            self.vacant.push(index);
        }
    }

    /// No index before this one can be used again.
    pub(crate) fn first_vacant(&self) -> u64 {
        let known = self.vacant.iter().copied().min().unwrap_or(self.next);
        if self.unseen < self.next { known.min(self.unseen) } else { known }
    }
}

/// What the writer knows of a store's indices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Indices {
    /// The first index that was never used.
    pub(crate) next: u64,
    /// Indices that can be used again.
    pub(crate) vacant: Vec<u64>,
    /// The slots of indices below are there and in the cache.
    pub(crate) ready: u64,
    /// Indices from here to `next` were not looked at yet.
    pub(crate) unseen: u64,
    /// Blocks of the newest state.
    pub(crate) live: u64,
}
