//! A hash table of numbers, 4 bytes each: what they stand for is hashed and compared by the caller.

use pagestone_storage::raw::matches;

/// Numbers in a cache line, which is looked at as a whole.
const LINE: usize = 16;
/// So many of them are used on average before the table is built again.
const FULL: usize = 14;

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u32; LINE]);

/// Numbers above 0 by hash. Beside each lie as many bits of its hash as the largest number leaves.
///
/// A table does not grow: the caller builds the next one when [`is_full`](Self::is_full) says so.
/// hashbrown's tables double and have 5 bytes for each of up to twice as many places; here the
/// caller chooses how much larger the next one is.
///
/// The table of an interner leaves nothing where a symbol was removed, at the price of a place in
/// each line that counts, and fuller lines would pass much on: 5.3 bytes for each where this one
/// has 4.6, and 6.4 when it has just grown, which is more than an index of values is to take.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Box<[Line]>,
    /// Numbers in the table.
    live: usize,
    /// Places of numbers that were removed, not yet used again.
    removed: usize,
    /// Bits of the largest number; in the mask of so many bits nothing but a removed place fits.
    width: u32,
}

impl Table {
    /// A table for `count` numbers of at most `largest`.
    pub(crate) fn new(count: usize, largest: u32) -> Self {
        let lines = count.div_ceil(FULL).max(1);
        // A bit more than needed, so that growth of the numbers alone seldom builds a table.
        let width = (33 - largest.leading_zeros()).clamp(8, 32);
        Self { lines: vec![Line([0; LINE]); lines].into(), live: 0, removed: 0, width }
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn mapped(&self) -> u64 {
        size_of_val(&*self.lines) as u64
    }

    /// Whether `number` needs a larger table.
    #[inline]
    pub(crate) fn is_full(&self, number: u32) -> bool {
        self.mask() <= number || self.lines.len() * FULL <= self.live + self.removed
    }

    /// The first number with this hash that is the one, as `is` says.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let (mask, tag) = (self.mask(), self.tag(hash));
        let mut at = self.home(hash);
        for _ in 0..self.lines.len() {
            let line = &self.lines[at].0;
            let mut alike = matches(line, !mask, tag);
            while alike != 0 {
                let number = line[alike.trailing_zeros() as usize % LINE] & mask;
                if number != 0 && number != mask && is(number) {
                    return Some(number);
                }
                alike &= alike - 1;
            }
            if matches(line, !0, 0) != 0 {
                break;
            }
            at = self.next(at);
        }
        None
    }

    /// The line in which a number of this hash is looked for first.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        let lines = self.lines.len() as u64;
        (((hash >> 32) * lines) >> 32) as usize
    }

    /// Adds a number; the table is not full.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        let (mask, entry) = (self.mask(), self.tag(hash) | number);
        let mut at = self.home(hash);
        for _ in 0..self.lines.len() {
            let line = &mut self.lines[at].0;
            let mut free = matches(line, !0, 0);
            if free == 0 && self.removed != 0 {
                free = matches(line, !0, mask);
                self.removed -= usize::from(free != 0);
            }
            if free != 0 {
                line[free.trailing_zeros() as usize % LINE] = entry;
                self.live += 1;
                return;
            }
            at = self.next(at);
        }
        debug_assert!(false, "a full table was asked to take a number");
    }

    /// Removes a number that was added with this hash; returns false when it was not.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, number: u32) -> bool {
        let (mask, entry) = (self.mask(), self.tag(hash) | number);
        let mut at = self.home(hash);
        for _ in 0..self.lines.len() {
            let line = &mut self.lines[at].0;
            let found = matches(line, !0, entry);
            // Where a place was never used nobody has looked further.
            let is_last = matches(line, !0, 0) != 0;
            if found != 0 {
                line[found.trailing_zeros() as usize % LINE] = if is_last { 0 } else { mask };
                self.removed += usize::from(!is_last);
                self.live -= 1;
                return true;
            }
            if is_last {
                break;
            }
            at = self.next(at);
        }
        false
    }

    /// The line to look at behind this one.
    #[inline]
    fn next(&self, line: usize) -> usize {
        if line + 1 < self.lines.len() { line + 1 } else { 0 }
    }

    #[inline]
    fn mask(&self) -> u32 {
        u32::MAX >> (32 - self.width)
    }

    #[inline]
    fn tag(&self, hash: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the other half chose the line")]
        let low = hash as u32;
        low & !self.mask()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn mix(number: u32) -> u64 {
        let mut hash = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        hash.wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn has(table: &Table, number: u32) -> bool {
        table.find(mix(number), |found| found == number).is_some()
    }

    #[test]
    fn numbers_are_found_until_they_are_removed() {
        for count in [1, 13, 14, 15, 100, 5000] {
            let mut table = Table::new(count, 5000);
            let mut added = HashSet::new();
            let mut state = 1;
            for round in 0..20_000u32 {
                state = u32::try_from(mix(state ^ round) >> 40).unwrap();
                let number = state % 5000 + 1;
                if added.contains(&number) {
                    assert!(table.remove(mix(number), number));
                    added.remove(&number);
                } else if !table.is_full(number) {
                    table.insert(mix(number), number);
                    added.insert(number);
                } else if table.removed != 0 {
                    let mut next = Table::new(count, 5000);
                    for &number in &added {
                        next.insert(mix(number), number);
                    }
                    table = next;
                }
                assert_eq!(table.len(), added.len());
            }
            for number in 1..=5000 {
                assert_eq!(has(&table, number), added.contains(&number), "{number} of {count}");
                assert_eq!(table.remove(mix(number), number), added.contains(&number));
            }
        }
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_caller() {
        let mut table = Table::new(100, 1 << 20);
        for number in 1..=60 {
            table.insert(7, number);
        }
        for number in 1..=60 {
            assert_eq!(table.find(7, |found| found == number), Some(number));
        }
        assert_eq!(table.find(7, |_| false), None);
        assert!(table.remove(7, 31) && !table.remove(7, 31));
        assert_eq!(table.find(7, |found| found == 60), Some(60));
    }

    #[test]
    fn a_number_too_large_for_the_table_makes_it_full() {
        let table = Table::new(100, 100);
        assert!(!table.is_full(254) && table.is_full(255) && table.is_full(u32::MAX));
        let mut widest = Table::new(100, u32::MAX - 1);
        assert!(!widest.is_full(u32::MAX - 1));
        widest.insert(u64::MAX, u32::MAX - 1);
        assert_eq!(widest.find(u64::MAX, |_| true), Some(u32::MAX - 1));
    }
}
