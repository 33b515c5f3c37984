//! The number of records that readers may look at: one atomic word, raised after the bytes.

use std::sync::atomic::{AtomicU64, Ordering};

/// A record count that one writer publishes and any number of readers follow.
///
/// A reader that sees count `n` also sees the bytes of the first `n` records, because the
/// writer stores the count with release order after them and the reader loads it with acquire.
#[derive(Debug)]
pub(crate) struct Published(AtomicU64);

impl Published {
    pub(crate) fn new(count: u64) -> Self {
        Self(AtomicU64::new(count))
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn publish(&self, count: u64) {
        self.0.store(count, Ordering::Release);
    }
}
