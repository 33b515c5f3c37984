//! Merges two neighbouring sorted runs, with whatever scratch there is.

use std::{cmp::Ordering, hint::select_unpredictable};

use crate::sort::{
    blockmerge::{merge_blocks, spare_len},
    order::{Comparator, WordKey},
};

/// A run this many times shorter than the other is merged by searching places, not record by record.
const LOPSIDED: usize = 16;

/// Records of scratch with which merges of runs up to `shorter` are fast.
pub(super) fn spare_wanted<const N: usize>(shorter: usize) -> usize {
    shorter.min(spare_len(N))
}

/// Merges `records[..middle]` and `records[middle..]` stably. Fast if `spare` has
/// [`spare_wanted`] records; otherwise O(n log n), by rotations.
pub(super) fn merge<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    middle: usize,
    (key, spare): (K, &mut [[u8; N]]),
) {
    let (left, right) = records.split_at(middle);
    let (Some(first), Some(last)) = (right.first(), left.last()) else { return };
    let (first, last) = (key.word(first), key.word(last));
    if last <= first {
        return;
    }
    // What is in place at both ends stays out of the merge.
    let start = left.partition_point(|record| key.word(record) <= first);
    let end = middle + right.partition_point(|record| key.word(record) < last);
    let records = &mut records[start..end];
    let middle = middle - start;
    let (left_len, right_len) = (middle, records.len() - middle);
    if right_len <= left_len && right_len <= spare.len() {
        let spare = &mut spare[..right_len];
        spare.copy_from_slice(&records[middle..]);
        if right_len * LOPSIDED < left_len {
            insert_right(records, spare, key);
        } else {
            merge_from_end(records, spare, key);
        }
    } else if left_len <= spare.len() {
        let spare = &mut spare[..left_len];
        spare.copy_from_slice(&records[..middle]);
        merge_from_start(records, spare, key);
    } else if spare_len(N) <= spare.len() {
        merge_blocks(records, middle, (key, spare));
    } else {
        rotate_and_merge(records, middle, (key, spare));
    }
}

/// Exchanges the upper part of the left run with the lower part of the right one, then merges the
/// two halves apart.
fn rotate_and_merge<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    middle: usize,
    (key, spare): (K, &mut [[u8; N]]),
) {
    let (left, right) = records.split_at(middle);
    let (left_cut, right_cut) = if right.len() <= left.len() {
        let cut = left.len() / 2;
        let word = key.word(&left[cut]);
        (cut, right.partition_point(|record| key.word(record) < word))
    } else {
        let cut = right.len() / 2;
        let word = key.word(&right[cut]);
        (left.partition_point(|record| key.word(record) <= word), cut)
    };
    records[left_cut..middle + right_cut].rotate_left(middle - left_cut);
    let (low, high) = records.split_at_mut(left_cut + right_cut);
    merge(low, left_cut, (key, &mut *spare));
    merge(high, middle - left_cut, (key, spare));
}

/// Merges `left`, a copy of the first records, with the records behind them.
fn merge_from_start<const N: usize, K: WordKey>(records: &mut [[u8; N]], left: &[[u8; N]], key: K) {
    let (mut from_left, mut from_right) = (0, left.len());
    let mut to = 0;
    while from_left < left.len() && from_right < records.len() {
        let (a, b) = (&left[from_left], &records[from_right]);
        let right_first = key.word(b) < key.word(a);
        let record = *select_unpredictable(right_first, b, a);
        records[to] = record;
        from_right += usize::from(right_first);
        from_left += usize::from(!right_first);
        to += 1;
    }
    records[to..to + left.len() - from_left].copy_from_slice(&left[from_left..]);
}

/// Merges `right`, a copy of the last records, with the records before them.
fn merge_from_end<const N: usize, K: WordKey>(records: &mut [[u8; N]], right: &[[u8; N]], key: K) {
    let (mut left_end, mut right_end) = (records.len() - right.len(), right.len());
    let mut to = records.len();
    while 0 < left_end && 0 < right_end {
        let (a, b) = (&records[left_end - 1], &right[right_end - 1]);
        let left_last = key.word(b) < key.word(a);
        let record = *select_unpredictable(left_last, a, b);
        to -= 1;
        records[to] = record;
        left_end -= usize::from(left_last);
        right_end -= usize::from(!left_last);
    }
    records[left_end..left_end + right_end].copy_from_slice(&right[..right_end]);
}

/// As [`merge_from_end`] for a short `right`: moves whole stretches of the left run.
fn insert_right<const N: usize, K: WordKey>(records: &mut [[u8; N]], right: &[[u8; N]], key: K) {
    let mut left_end = records.len() - right.len();
    for (before, record) in right.iter().enumerate().rev() {
        let word = key.word(record);
        let stay = place_from_end(&records[..left_end], |other| word < key.word(other));
        records.copy_within(stay..left_end, stay + before + 1);
        records[stay + before] = *record;
        left_end = stay;
    }
}

/// Where the last stretch of `records` that is `above` starts, searched from the end.
fn place_from_end<R>(records: &[R], above: impl Fn(&R) -> bool) -> usize {
    let mut step = 1;
    let mut high = records.len();
    while step <= high && above(&records[high - step]) {
        high -= step;
        step *= 2;
    }
    let low = high.saturating_sub(step);
    low + records[low..high].partition_point(|record| !above(record))
}

/// Merges, stably and without scratch, runs of records of `size` bytes that meet at record `middle`.
/// O(n log n), by rotations, so a panic of `compare` loses no record.
pub(super) fn merge_by(
    records: &mut [u8],
    (size, middle): (usize, usize),
    compare: &Comparator<'_>,
) {
    let (left, right) = records.split_at(middle * size);
    let (left_len, right_len) = (left.len() / size, right.len() / size);
    if left_len == 0 || right_len == 0 {
        return;
    }
    let record = |run: &[u8], at: usize| at * size..(at * size + size).min(run.len());
    let last = &left[record(left, left_len - 1)];
    if compare(last, &right[record(right, 0)]) != Ordering::Greater {
        return;
    }
    if left_len + right_len == 2 {
        records.rotate_left(size);
        return;
    }
    let (left_cut, right_cut) = if right_len <= left_len {
        let cut = left_len / 2;
        let pivot = &left[record(left, cut)];
        (cut, places(right, size, |other| compare(other, pivot) == Ordering::Less))
    } else {
        let cut = right_len / 2;
        let pivot = &right[record(right, cut)];
        (places(left, size, |other| compare(other, pivot) != Ordering::Greater), cut)
    };
    records[left_cut * size..(middle + right_cut) * size].rotate_left((middle - left_cut) * size);
    let (low, high) = records.split_at_mut((left_cut + right_cut) * size);
    merge_by(low, (size, left_cut), compare);
    merge_by(high, (size, middle - left_cut), compare);
}

/// How many records at the start of `records` are `before`.
fn places(records: &[u8], size: usize, before: impl Fn(&[u8]) -> bool) -> usize {
    let (mut low, mut high) = (0, records.len() / size);
    while low < high {
        let middle = low.midpoint(high);
        if before(&records[middle * size..][..size]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
