//! Space that the newest state uses no more, and what it waits for.
//!
//! Committed space waits for the commit of the epoch that retired it, and for readers; space of
//! the open epoch for readers only. Space is named by its place, never by a region's number.

use std::collections::VecDeque;

use crate::{ranges::Range, space::Run};

/// What was retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waste {
    Run(Run),
    Range(Range),
}

impl Waste {
    fn bytes(self) -> u64 {
        match self {
            Self::Run(run) => u64::from(run.grains) * crate::class::GRAIN,
            Self::Range(range) => range.len,
        }
    }
}

/// All that one epoch retired.
#[derive(Debug)]
struct Batch {
    stamp: u64,
    waste: Vec<Waste>,
}

/// The three stations of retired space.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// Never committed: waits for pins.
    private: VecDeque<(u64, Waste)>,
    /// Of the open epoch: waits for the commit.
    quarantine: Vec<Waste>,
    /// Of committed epochs: waits for pins.
    batches: VecDeque<Batch>,
    quarantined: u64,
    waiting: u64,
    /// Ranges among all that waits.
    ranges: u64,
}

impl Retired {
    pub(crate) fn retire_private(&mut self, stamp: u64, waste: Waste) {
        self.waiting += waste.bytes();
        self.ranges += u64::from(matches!(waste, Waste::Range(_)));
        self.private.push_back((stamp, waste));
    }

    pub(crate) fn quarantine(&mut self, waste: Waste) {
        self.quarantined += waste.bytes();
        self.ranges += u64::from(matches!(waste, Waste::Range(_)));
        self.quarantine.push(waste);
    }

    /// The epoch is committed; `stamp` is of now.
    pub(crate) fn committed(&mut self, stamp: u64) {
        if self.quarantine.is_empty() {
            return;
        }
        let waste = std::mem::take(&mut self.quarantine);
        self.waiting += std::mem::take(&mut self.quarantined);
        self.batches.push_back(Batch { stamp, waste });
    }

    /// Calls `free` with all that no pin of stamp `oldest` or later can see.
    pub(crate) fn reclaim(&mut self, oldest: u64, mut free: impl FnMut(Waste)) {
        while let Some((stamp, waste)) = self.private.front().copied() {
            if oldest <= stamp {
                break;
            }
            self.private.pop_front();
            self.waiting -= waste.bytes();
            self.ranges -= u64::from(matches!(waste, Waste::Range(_)));
            free(waste);
        }
        while self.batches.front().is_some_and(|batch| batch.stamp < oldest) {
            for waste in self.batches.pop_front().map(|batch| batch.waste).unwrap_or_default() {
                self.waiting -= waste.bytes();
                self.ranges -= u64::from(matches!(waste, Waste::Range(_)));
                free(waste);
            }
        }
    }

    /// Whether anything waits for pins alone.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.private.is_empty() || !self.batches.is_empty()
    }

    /// Forgets what waits for the commit: it is live again.
    pub(crate) fn drop_quarantine(&mut self) {
        let is_range = |waste: &&Waste| matches!(waste, Waste::Range(_));
        self.ranges -= self.quarantine.iter().filter(is_range).count() as u64;
        self.quarantine.clear();
        self.quarantined = 0;
    }

    /// Whether a range that ends beyond `end` waits, for whatever.
    pub(crate) fn ranges_beyond(&self, end: u64) -> bool {
        self.ranges != 0
            && self.all().any(|waste| matches!(waste, Waste::Range(range) if end < range.end()))
    }

    /// All that waits, for whatever.
    pub(crate) fn all(&self) -> impl Iterator<Item = Waste> + '_ {
        let private = self.private.iter().map(|(_, waste)| *waste);
        let batches = self.batches.iter().flat_map(|batch| batch.waste.iter().copied());
        private.chain(self.quarantine.iter().copied()).chain(batches)
    }

    /// Bytes that wait for the next commit.
    pub(crate) fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// Bytes that wait for pins.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }
}
