//! Space that the newest state uses no more, and what it waits for.
//!
//! Committed space waits for the commit of the epoch that retired it, for the pins of this process
//! and for what readers in others hold; space of the open epoch for pins only. Space is named by
//! its place, never by a region's number.

use std::collections::VecDeque;

use crate::{ranges::Range, space::Run};

/// What was retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waste {
    Run(Run),
    Range(Range),
    /// Slots of a slab, by the number of their batch, with all their bytes.
    Slots {
        batch: u64,
        bytes: u64,
    },
}

impl Waste {
    fn bytes(self) -> u64 {
        match self {
            Self::Run(run) => u64::from(run.grains) * crate::class::GRAIN,
            Self::Range(range) => range.len,
            Self::Slots { bytes, .. } => bytes,
        }
    }
}

/// All that one epoch retired.
#[derive(Debug)]
struct Batch {
    stamp: u64,
    /// The epoch: who reads generations below may look at it.
    epoch: u64,
    waste: Vec<Waste>,
}

/// The three stations of retired space.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// Never committed: waits for pins.
    private: VecDeque<(u64, Waste)>,
    /// Of the open epoch: waits for the commit.
    quarantine: Vec<Waste>,
    /// Of committed epochs, in their order: waits for pins and holds.
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

    /// `epoch` is committed; `stamp` is of now.
    pub(crate) fn committed(&mut self, stamp: u64, epoch: u64) {
        if self.quarantine.is_empty() {
            return;
        }
        let waste = std::mem::take(&mut self.quarantine);
        self.waiting += std::mem::take(&mut self.quarantined);
        self.batches.push_back(Batch { stamp, epoch, waste });
    }

    /// Space of which nobody knows who looks at it: it waits as if `epoch`, which is committed,
    /// had retired it.
    pub(crate) fn retire_as_of(&mut self, (stamp, epoch): (u64, u64), waste: Waste) {
        self.waiting += waste.bytes();
        self.ranges += u64::from(matches!(waste, Waste::Range(_)));
        match self.batches.back_mut() {
            Some(batch) if batch.stamp == stamp && batch.epoch == epoch => batch.waste.push(waste),
            _ => self.batches.push_back(Batch { stamp, epoch, waste: vec![waste] }),
        }
    }

    /// The epoch whose space would be the next to be free if no hold were in its way.
    pub(crate) fn next_epoch(&self, oldest: u64) -> Option<u64> {
        let next = self.batches.front().filter(|batch| batch.stamp < oldest)?;
        Some(next.epoch)
    }

    /// Calls `free` with all that no pin of stamp `oldest` or later can see, nor a reader that
    /// holds generation `held` or a later one.
    pub(crate) fn reclaim(&mut self, (oldest, held): (u64, u64), mut free: impl FnMut(Waste)) {
        while let Some((stamp, waste)) = self.private.front().copied() {
            if oldest <= stamp {
                break;
            }
            self.private.pop_front();
            self.waiting -= waste.bytes();
            self.ranges -= u64::from(matches!(waste, Waste::Range(_)));
            free(waste);
        }
        let free_now = |batch: &Batch| batch.stamp < oldest && batch.epoch <= held;
        while self.batches.front().is_some_and(free_now) {
            for waste in self.batches.pop_front().map(|batch| batch.waste).unwrap_or_default() {
                self.waiting -= waste.bytes();
                self.ranges -= u64::from(matches!(waste, Waste::Range(_)));
                free(waste);
            }
        }
    }

    /// Whether anything waits for pins and holds alone.
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

    /// All that waits for pins and holds, with the epoch that retired it: 0 for space that was
    /// never committed.
    pub(crate) fn waiting_of_epochs(&self) -> impl Iterator<Item = (u64, Waste)> + '_ {
        let private = self.private.iter().map(|(_, waste)| (0, *waste));
        let batches = self.batches.iter();
        private
            .chain(batches.flat_map(|batch| batch.waste.iter().map(|waste| (batch.epoch, *waste))))
    }

    /// Bytes that wait for the next commit.
    pub(crate) fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// Bytes that wait for pins and holds.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }
}
