//! Hash tables of numbers that one thread fills while any number of others look, without a lock.

use std::sync::OnceLock;

#[cfg(not(all(loom, test)))]
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicU32, Ordering};

/// Numbers above 0 by hash, no more than half as many as places. Nothing is ever removed.
///
/// Who finds a number sees what was stored before it was inserted: an entry is stored with release
/// order and loaded with acquire.
#[derive(Debug)]
struct Table(Box<[AtomicU32]>);

impl Table {
    /// A table of 2^`bits` places, at most 2^31.
    fn new(bits: u32) -> Self {
        Self((0..1usize << bits).map(|_| AtomicU32::new(0)).collect())
    }

    /// How many numbers there may be, each at most as large.
    fn capacity(&self) -> usize {
        self.0.len() / 2
    }

    fn mapped(&self) -> u64 {
        size_of_val(&*self.0) as u64
    }

    /// The number with this hash that is the one, as `is` says.
    #[inline]
    fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
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
    fn insert(&self, hash: u64, number: u32) {
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

/// Tables, each twice the one before, of which the last is looked at. Outgrown ones stay, for who
/// still looks at them.
#[derive(Debug)]
pub(super) struct Tables<const N: usize> {
    /// Which of the tables is looked at; stored after it was filled.
    level: AtomicU32,
    made: [OnceLock<Table>; N],
    /// The first table has 2 to the power of this places.
    first_bits: u32,
}

impl<const N: usize> Tables<N> {
    pub(super) fn new(first_bits: u32) -> Self {
        let made = std::array::from_fn(|_| OnceLock::new());
        Self { level: AtomicU32::new(0), made, first_bits }
    }

    pub(super) fn mapped(&self) -> u64 {
        self.made.iter().filter_map(OnceLock::get).map(Table::mapped).sum()
    }

    /// As [`Table::find`].
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl FnMut(u32) -> bool) -> Option<u32> {
        let level = self.level.load(Ordering::Acquire) as usize;
        self.made.get(level)?.get()?.find(hash, is)
    }

    /// Inserts a number, one more than the last, or builds the next table of all numbers, whose
    /// hashes `rehash` says; by one thread at a time. Returns false when there is no next table.
    pub(super) fn insert(
        &self,
        (hash, number): (u64, u32),
        rehash: impl Fn(u32) -> Option<u64>,
    ) -> bool {
        let level = self.level.load(Ordering::Relaxed);
        let Some(table) = self.made.get(level as usize) else { return false };
        let table = table.get_or_init(|| Table::new(self.first_bits));
        if (number as usize) < table.capacity() {
            table.insert(hash, number);
            return true;
        }
        let Some(next) = self.made.get(level as usize + 1) else { return false };
        next.get_or_init(|| {
            let next = Table::new(self.first_bits + level + 1);
            for number in 1..=number {
                if let Some(hash) = rehash(number) {
                    next.insert(hash, number);
                }
            }
            next
        });
        self.level.store(level + 1, Ordering::Release);
        true
    }
}

#[cfg(all(loom, test))]
mod tests {
    use loom::{sync::Arc, thread};

    use super::{AtomicU32, Ordering, Tables};

    /// Three strings, stored relaxed before their numbers are inserted: the second number needs the
    /// next table, the third goes into it.
    ///
    /// The reader is the thread that is spawned: loom remembers of each word the last access
    /// alone, and an insert loads the word it then stores to. The first table is there before,
    /// since loom does not know that who finds a table in its lock sees it whole.
    ///
    /// With the store of an entry, or its load, relaxed, this fails: a number before its string.
    #[test]
    fn who_finds_a_number_sees_its_string_and_finds_it_again() {
        loom::model(|| {
            let tables = Arc::new(Tables::<3>::new(2));
            let strings = Arc::new([0; 3].map(AtomicU32::new));
            let add = |tables: &Tables<3>, strings: &[AtomicU32; 3], number: u32| {
                strings[number as usize - 1].store(10 * number, Ordering::Relaxed);
                assert!(tables.insert((7, number), |_| Some(7)));
            };
            add(&tables, &strings, 1);
            let (looked_at, seen) = (Arc::clone(&tables), Arc::clone(&strings));
            let reader = thread::spawn(move || {
                for wanted in [1, 3] {
                    let found = looked_at.find(7, |number| {
                        let string = seen[number as usize - 1].load(Ordering::Relaxed);
                        assert_eq!(string, 10 * number, "a number before its string");
                        number == wanted
                    });
                    assert!(found == Some(wanted) || wanted == 3 && found.is_none(), "{wanted}");
                }
            });
            add(&tables, &strings, 2);
            add(&tables, &strings, 3);
            reader.join().unwrap();
            assert_eq!(tables.find(7, |number| number == 3), Some(3));
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
