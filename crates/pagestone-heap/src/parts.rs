//! Tables that grow by doubling parts and never move: where the pair of an index lies.
//!
//! Part 0 has 4,096 pairs of 16 bytes, part k as many as all before it together; each part is a
//! region, whose header takes the place of its first four pairs. Their indices do not exist.

use std::sync::atomic::Ordering;

use crate::{
    layout::{REGION_HEADER, UNIT},
    sync::AtomicU64,
};

/// Pairs of part 0.
const FIRST: u64 = UNIT / PAIR;
/// Bytes of a pair.
pub(crate) const PAIR: u64 = 16;
/// Pairs under the header.
pub(crate) const HIDDEN: u64 = REGION_HEADER / PAIR;
/// Parts of a table of 2^40 pairs.
pub(crate) const PARTS: usize = 29;

/// The base of a part that is not there: no sum with an index lies in a file.
const ABSENT: u64 = 1 << 62;

/// The parts of one table, shared with readers.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Where pair 0 of the part's first index minus that index would lie, so that one addition
    /// finds a pair.
    bases: [AtomicU64; PARTS],
}

/// The part of an index.
#[inline]
pub(crate) const fn part_of(index: u64) -> usize {
    match (index / FIRST).checked_ilog2() {
        None => 0,
        Some(power) => power as usize + 1,
    }
}

/// The first index of a part, hidden ones included.
#[inline]
pub(crate) const fn first_of(part: usize) -> u64 {
    if part == 0 { 0 } else { FIRST << (part - 1) }
}

/// The bytes of a part.
pub(crate) const fn part_len(part: usize) -> u64 {
    if part == 0 { UNIT } else { UNIT << (part - 1) }
}

/// Whether a pair can have this index.
#[inline]
pub(crate) const fn exists(index: u64) -> bool {
    HIDDEN <= index - first_of(part_of(index))
}

/// The index of the `nth` pair that can exist.
pub(crate) fn nth(nth: u64) -> Option<u64> {
    // Each part takes HIDDEN indices away; at most 29 steps.
    let mut index = nth;
    for part in 0..PARTS {
        index = nth.checked_add(HIDDEN.checked_mul(part as u64 + 1)?)?;
        if part_of(index) == part {
            break;
        }
    }
    Some(index)
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self { bases: std::array::from_fn(|_| AtomicU64::new(ABSENT)) }
    }

    /// Says where a part's region starts, or that it is gone.
    pub(crate) fn set(&self, part: usize, start: Option<u64>) {
        let base = start.map_or(ABSENT, |start| start.wrapping_sub(first_of(part) * PAIR));
        self.bases[part].store(base, Ordering::Release);
    }

    /// Where the pair of an index lies; beyond every file where its part is not there, on the
    /// header of its region where no pair has the index.
    #[inline]
    pub(crate) fn quick(&self, index: u64) -> u64 {
        let part = (index | (FIRST - 1)).ilog2() as usize - (FIRST.ilog2() as usize - 1);
        let base = self.bases.get(part).map_or(ABSENT, |base| base.load(Ordering::Acquire));
        base.wrapping_add(index * PAIR)
    }

    /// Where the pair of an index lies, if its part is there.
    #[inline]
    pub(crate) fn pair(&self, index: u64) -> Option<u64> {
        let part = part_of(index);
        let base = self.bases.get(part)?.load(Ordering::Acquire);
        let hidden = index - first_of(part) < HIDDEN;
        if base == ABSENT || hidden {
            return None;
        }
        Some(base.wrapping_add(index * PAIR))
    }

    /// The first index behind the last part that is there.
    pub(crate) fn end(&self) -> u64 {
        let last = (0..PARTS).rev().find(|part| self.has(*part));
        last.map_or(0, |part| first_of(part) + part_len(part) / PAIR)
    }

    /// Whether a part is there.
    pub(crate) fn has(&self, part: usize) -> bool {
        self.bases.get(part).is_some_and(|base| base.load(Ordering::Acquire) != ABSENT)
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, HIDDEN, PAIR, Parts, exists, first_of, nth, part_len, part_of};

    #[test]
    fn parts_double_and_pairs_do_not_overlap() {
        let parts = Parts::new();
        let mut start = 1 << 30;
        for part in 0..5 {
            parts.set(part, Some(start));
            start += part_len(part);
        }
        let mut last = (1 << 30) - PAIR;
        for index in 0..FIRST << 4 {
            let within = index - first_of(part_of(index));
            match parts.pair(index) {
                None => assert!(within < HIDDEN && !exists(index), "{index}"),
                Some(at) => {
                    assert_eq!(at, parts.quick(index));
                    let gap = if within == HIDDEN { HIDDEN + 1 } else { 1 };
                    assert_eq!(at, last + gap * PAIR, "{index}");
                    last = at;
                }
            }
        }
        assert_eq!(last + PAIR, start, "the last pair ends with its region");
        for index in [FIRST << 5, (1 << 40) - 1] {
            assert_eq!(parts.pair(index), None);
            assert!(1 << 61 < parts.quick(index));
        }
    }

    #[test]
    fn the_nth_pair_skips_what_headers_hide() {
        let all: Vec<u64> = (0..FIRST << 3).filter(|index| exists(*index)).collect();
        for (ordinal, index) in all.iter().enumerate() {
            assert_eq!(nth(ordinal as u64), Some(*index));
        }
        assert_eq!(nth(u64::MAX), None);
    }
}
