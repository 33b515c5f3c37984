//! The hash table of an interner: symbols in cache lines, with some bits of the hash beside each.

use pagestone_storage::raw::{matches, prefetch};

/// Words of a line; the last one counts.
const LINE: usize = 16;
const PLACES: u32 = (1 << (LINE - 1)) - 1;
const PASSED: usize = LINE - 1;
/// So many places of a line are used on average before the table is built again.
const FULL: usize = 12;
/// Lines of the first table.
const LINES_MIN: usize = 2;

/// Symbols, and in the last word how many of those that belong here or further up lie further down,
/// since this line was full when they came.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u32; LINE]);

/// Bits of symbols by hashes of 32 bits. Beside each lie as many bits of its hash as the largest
/// one leaves.
///
/// A line that nothing was passed on from ends every search, so that nothing is left where a symbol
/// was removed. A table does not grow: the owner of the hashes builds the next one when
/// [`is_full`](Self::is_full) says so.
#[derive(Debug)]
pub(super) struct Table {
    lines: Box<[Line]>,
    live: usize,
    /// Bits of the largest symbol.
    width: u32,
}

impl Table {
    /// A table for `count` symbols of at most `largest`.
    pub(super) fn new(count: usize, largest: u32) -> Self {
        let lines = count.div_ceil(FULL).max(LINES_MIN);
        // A bit more than needed, so that growth of the symbols alone seldom builds a table.
        let width = (33 - largest.leading_zeros()).clamp(8, 32);
        Self { lines: vec![Line([0; LINE]); lines].into(), live: 0, width }
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn mapped(&self) -> u64 {
        size_of_val(&*self.lines) as u64
    }

    /// Whether `symbol` needs a larger table.
    #[inline]
    pub(super) fn is_full(&self, symbol: u32) -> bool {
        self.mask() < symbol || self.lines.len() * FULL <= self.live
    }

    /// The first symbol with this hash that is the one, as `is` says.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let (mask, tag) = (self.mask(), self.tag(hash));
        let mut at = self.home(hash);
        for _ in 0..self.lines.len() {
            let line = &self.lines[at].0;
            let mut alike = matches(line, !mask, tag) & PLACES;
            while alike != 0 {
                let symbol = line[alike.trailing_zeros() as usize % LINE] & mask;
                if symbol != 0 && is(symbol) {
                    return Some(symbol);
                }
                alike &= alike - 1;
            }
            if line[PASSED] == 0 {
                break;
            }
            at = self.next(at);
        }
        None
    }

    /// Hints that a hash is looked for soon.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        prefetch(&self.lines[self.home(hash)]);
    }

    /// Adds a symbol; the table is not full.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32, symbol: u32) {
        let entry = self.tag(hash) | symbol;
        let mut at = self.home(hash);
        for _ in 0..self.lines.len() {
            let line = &mut self.lines[at].0;
            let free = matches(line, !0, 0) & PLACES;
            if free != 0 {
                line[free.trailing_zeros() as usize % LINE] = entry;
                self.live += 1;
                return;
            }
            line[PASSED] += 1;
            at = self.next(at);
        }
        debug_assert!(false, "a full table was asked to take a symbol");
    }

    /// Removes a symbol that was added with this hash; returns false when it was not.
    #[inline]
    pub(super) fn remove(&mut self, hash: u32, symbol: u32) -> bool {
        let (home, entry) = (self.home(hash), self.tag(hash) | symbol);
        let mut at = home;
        for passed in 0..self.lines.len() {
            let line = &mut self.lines[at].0;
            let found = matches(line, !0, entry) & PLACES;
            if found != 0 {
                line[found.trailing_zeros() as usize % LINE] = 0;
                self.live -= 1;
                if passed != 0 {
                    self.unpass(home, passed);
                }
                return true;
            }
            if line[PASSED] == 0 {
                break;
            }
            at = self.next(at);
        }
        false
    }

    /// Says of so many lines from `home` on that one less was passed on.
    #[cold]
    fn unpass(&mut self, home: usize, lines: usize) {
        let mut at = home;
        for _ in 0..lines {
            self.lines[at].0[PASSED] -= 1;
            at = self.next(at);
        }
    }

    /// The line in which a symbol of this hash is looked for first.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.lines.len() as u64) >> 32) as usize
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

    /// Low bits of the hash, but for the lowest, which all hashes have; high ones chose the line.
    #[inline]
    fn tag(&self, hash: u32) -> u32 {
        (hash << (self.width - 1)) & !self.mask()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn mix(symbol: u32) -> u32 {
        let mut hash = u64::from(symbol).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        u32::try_from(hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32).unwrap() | 1
    }

    fn has(table: &Table, symbol: u32) -> bool {
        table.find(mix(symbol), |found| found == symbol).is_some()
    }

    /// What was passed on is what does not lie in its home line.
    fn check_passed(table: &Table, symbols: &HashSet<u32>, hash: impl Fn(u32) -> u32) {
        let lines = table.lines.len();
        let mut passed = vec![0; lines];
        for &symbol in symbols {
            let (mut at, entry) = (table.home(hash(symbol)), table.tag(hash(symbol)) | symbol);
            while !table.lines[at].0[..PASSED].contains(&entry) {
                passed[at] += 1;
                at = table.next(at);
            }
        }
        let stored: Vec<u32> = table.lines.iter().map(|line| line.0[PASSED]).collect();
        assert_eq!(stored, passed);
    }

    #[test]
    fn symbols_are_found_until_they_are_removed() {
        for count in [1, 23, 24, 25, 100, 3000] {
            let mut table = Table::new(count, 5000);
            let mut added = HashSet::new();
            let mut state = 1;
            for round in 0..20_000u32 {
                state = mix(state ^ round) >> 8;
                let symbol = state % 5000 + 1;
                if added.contains(&symbol) {
                    assert!(table.remove(mix(symbol), symbol));
                    added.remove(&symbol);
                } else if !table.is_full(symbol) {
                    table.insert(mix(symbol), symbol);
                    added.insert(symbol);
                }
                assert_eq!(table.len(), added.len());
            }
            check_passed(&table, &added, mix);
            for symbol in 1..=5000 {
                assert_eq!(has(&table, symbol), added.contains(&symbol), "{symbol} of {count}");
                assert_eq!(table.remove(mix(symbol), symbol), added.contains(&symbol));
            }
            assert!(table.lines.iter().all(|line| line.0 == [0; LINE]), "nothing is left");
        }
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_caller() {
        let mut table = Table::new(100, 1 << 20);
        let all: HashSet<u32> = (1..=60).collect();
        for symbol in 1..=60 {
            table.insert(7, symbol);
        }
        for symbol in 1..=60 {
            assert_eq!(table.find(7, |found| found == symbol), Some(symbol));
        }
        assert_eq!(table.find(7, |_| false), None);
        check_passed(&table, &all, |_| 7);
        assert!(table.remove(7, 31) && !table.remove(7, 31));
        assert_eq!(table.find(7, |found| found == 60), Some(60));
        for symbol in (1..=60).filter(|symbol| *symbol != 31) {
            assert!(table.remove(7, symbol));
        }
        assert!(table.lines.iter().all(|line| line.0 == [0; LINE]), "nothing is left");
    }

    #[test]
    fn lines_go_round_behind_the_last() {
        let mut table = Table::new(24, 100);
        for symbol in 1..=20 {
            table.insert(u32::MAX, symbol);
        }
        assert_eq!(table.lines[0].0.iter().filter(|word| **word != 0).count(), 5);
        assert!((1..=20).all(|symbol| table.remove(u32::MAX, symbol)));
    }

    #[test]
    fn a_symbol_too_large_for_the_table_makes_it_full() {
        let table = Table::new(100, 100);
        assert!(!table.is_full(255) && table.is_full(256) && table.is_full(u32::MAX));
        let mut widest = Table::new(100, u32::MAX);
        assert!(!widest.is_full(u32::MAX));
        widest.insert(u32::MAX, u32::MAX);
        assert_eq!(widest.find(u32::MAX, |_| true), Some(u32::MAX));
    }
}
