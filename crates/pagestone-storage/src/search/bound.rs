//! Bounds found with nothing but the records.

use std::{cmp::Ordering, hint::select_unpredictable, ops::Range};

use crate::search::Keys;

/// Searches that go forward together in [`lower_bound_many`].
const LANES: usize = 32;
/// Below this many records left, they are counted instead of halved.
const COUNTED_MAX: u64 = 4;
/// The first halvings meet the same few records in every search, which stay in the cache.
const WARM_HALVINGS: u32 = 9;

/// The first of `n` records whose key is not below `probe`, or `n`.
pub(crate) fn lower_bound(n: u64, keys: impl Keys, probe: u64) -> u64 {
    let mut base = 0;
    let mut len = n;
    while COUNTED_MAX < len {
        let half = len / 2;
        len -= half;
        // Both keys that can be next are asked for before this one is known.
        let next = len / 2 - 1;
        keys.prefetch(base + next, 1);
        keys.prefetch(base + half + next, 1);
        let below = keys.key_at(base + half - 1) < probe;
        base = select_unpredictable(below, base + half, base);
    }
    base + keys.count_below(base, len, probe)
}

/// [`lower_bound`] of each probe, in the order of the probes: many searches go forward together,
/// so that their cache misses overlap.
///
/// # Panics
///
/// If there is not one answer per probe.
pub(crate) fn lower_bound_many(n: u64, keys: impl Keys, probes: &[u64], answers: &mut [u64]) {
    assert!(probes.len() == answers.len(), "one answer per probe");
    for (probes, answers) in probes.chunks(LANES).zip(answers.chunks_mut(LANES)) {
        answers.fill(0);
        let mut len = n;
        while COUNTED_MAX < len {
            let half = len / 2;
            len -= half;
            let warm = n >> WARM_HALVINGS < len;
            let next = (!warm).then(|| len / 2 - 1);
            halve(keys, Halving { half, next }, probes, answers);
        }
        for (probe, base) in probes.iter().zip(answers) {
            *base += keys.count_below(*base, len, *probe);
        }
    }
}

/// One step of many searches.
#[derive(Clone, Copy)]
struct Halving {
    /// Records left out.
    half: u64,
    /// Which record is compared next, from the base, if it is worth asking for.
    next: Option<u64>,
}

#[inline]
fn halve(keys: impl Keys, step: Halving, probes: &[u64], bases: &mut [u64]) {
    let narrow = |base: u64, probe: u64| {
        let below = keys.key_at(base + step.half - 1) < probe;
        select_unpredictable(below, base + step.half, base)
    };
    match step.next {
        Some(next) => {
            for (probe, base) in probes.iter().zip(bases) {
                *base = narrow(*base, *probe);
                keys.prefetch(*base + next, 1);
            }
        }
        None => {
            for (probe, base) in probes.iter().zip(bases) {
                *base = narrow(*base, *probe);
            }
        }
    }
}

/// The first record of `range` that `compare` does not find `Less` than what is sought, or
/// `range.end`. `compare` answers how the key of a record stands to the key sought.
pub(crate) fn lower_bound_by(range: Range<u64>, compare: impl Fn(u64) -> Ordering) -> u64 {
    partition_point(range, |index| compare(index) < Ordering::Equal)
}

fn partition_point(range: Range<u64>, is_before: impl Fn(u64) -> bool) -> u64 {
    let Range { mut start, mut end } = range;
    while start < end {
        let middle = start + (end - start) / 2;
        if is_before(middle) {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    start
}
