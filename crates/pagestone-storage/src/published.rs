//! The number of records that readers may look at: one atomic word, raised after the bytes.

#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(loom, test)))]
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

    /// Publishes unless more is published: readers that follow a file may overtake each other.
    pub(crate) fn raise(&self, count: u64) {
        self.0.fetch_max(count, Ordering::AcqRel);
    }

    pub(crate) fn publish(&self, count: u64) {
        self.0.store(count, Ordering::Release);
    }
}

#[cfg(all(loom, test))]
mod tests {
    use loom::{sync::Arc, thread};

    use super::{AtomicU64, Ordering, Published};

    /// Two records, stored as `words` does it: relaxed, before their count is published.
    #[test]
    fn who_sees_the_count_sees_the_records() {
        loom::model(|| {
            let published = Arc::new(Published::new(0));
            let records = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
            let (count, bytes) = (Arc::clone(&published), Arc::clone(&records));
            let writer = thread::spawn(move || {
                for (index, record) in (1..).zip(&*bytes) {
                    record.store(10 * index, Ordering::Relaxed);
                    count.publish(index);
                }
            });
            let seen = published.get();
            for (index, record) in (1..=seen).zip(&*records) {
                assert_eq!(record.load(Ordering::Relaxed), 10 * index, "{index} of {seen}");
            }
            assert!(seen <= published.get(), "the count never falls");
            writer.join().unwrap();
        });
    }
}
