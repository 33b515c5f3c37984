//! A hash table of numbers that one thread fills while any number of others look, without a lock.

#[cfg(not(all(loom, test)))]
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicU32, Ordering};

/// Numbers above 0 by hash, no more than half as many as places. Nothing is ever removed.
///
/// Who finds a number sees what was stored before it was inserted: an entry is stored with release
/// order and loaded with acquire.
#[derive(Debug)]
pub(super) struct Table(Box<[AtomicU32]>);

impl Table {
    /// A table of 2^`bits` places, at most 2^31.
    pub(super) fn new(bits: u32) -> Self {
        Self((0..1usize << bits).map(|_| AtomicU32::new(0)).collect())
    }

    /// How many numbers there may be, each at most as large.
    pub(super) fn capacity(&self) -> usize {
        self.0.len() / 2
    }

    pub(super) fn mapped(&self) -> u64 {
        size_of_val(&*self.0) as u64
    }

    /// The number with this hash that is the one, as `is` says.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let (mask, mut at) = (self.0.len() - 1, Self::home(hash));
        loop {
            let entry = self.0[at & mask].load(Ordering::Acquire);
            if entry == 0 {
                return None;
            }
            let number = entry & self.numbers();
            if entry & !self.numbers() == self.tag(hash) && is(number) {
                return Some(number);
            }
            at += 1;
        }
    }

    /// Inserts a number; by one thread at a time, and within the capacity.
    pub(super) fn insert(&self, hash: u64, number: u32) {
        let (mask, mut at) = (self.0.len() - 1, Self::home(hash));
        while self.0[at & mask].load(Ordering::Relaxed) != 0 {
            at += 1;
        }
        self.0[at & mask].store(self.tag(hash) | number, Ordering::Release);
    }

    #[inline]
    fn home(hash: u64) -> usize {
        (hash >> 16) as usize
    }

    /// The bits of an entry that are the number.
    #[inline]
    fn numbers(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^31 places")]
        let places = self.0.len() as u32;
        places - 1
    }

    /// The bits beside the number.
    #[inline]
    fn tag(&self, hash: u64) -> u32 {
        // Low bits chose neither the place, nor, far up, the shard.
        #[expect(clippy::cast_possible_truncation, reason = "some bits of the hash")]
        let bits = (hash as u32).rotate_right(16);
        bits & !self.numbers()
    }
}

#[cfg(all(loom, test))]
mod tests {
    use loom::{sync::Arc, thread};

    use super::{AtomicU32, Ordering, Table};

    /// Two strings, stored relaxed before their numbers are inserted.
    #[test]
    fn who_finds_a_number_sees_its_string() {
        loom::model(|| {
            let table = Arc::new(Table::new(2));
            let strings = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
            let (inserted, stored) = (Arc::clone(&table), Arc::clone(&strings));
            let writer = thread::spawn(move || {
                for number in 1..=2u32 {
                    stored[number as usize - 1].store(10 * number, Ordering::Relaxed);
                    inserted.insert(7, number);
                }
            });
            for wanted in 1..=2u32 {
                let seen = |number: u32| strings[number as usize - 1].load(Ordering::Relaxed);
                let found = table.find(7, |number| {
                    assert_eq!(seen(number), 10 * number, "a number before its string");
                    number == wanted
                });
                assert!(found.is_none() || found == Some(wanted));
            }
            writer.join().unwrap();
            assert_eq!(table.find(7, |number| number == 2), Some(2));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Table;

    #[test]
    fn numbers_are_found() {
        let table = Table::new(8);
        for number in 1..=128 {
            table.insert(u64::from(number / 4) << 18, number);
        }
        assert_eq!(table.capacity(), 128);
        for number in 1..=128 {
            let hash = u64::from(number / 4) << 18;
            assert_eq!(table.find(hash, |found| found == number), Some(number));
        }
        assert_eq!(table.find(99 << 18, |_| true), None);
    }
}
