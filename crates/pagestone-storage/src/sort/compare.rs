//! Sorts by comparator, for record sizes with code of their own.

use std::cmp::Ordering;

use crate::sort::{
    merge::merge_by,
    order::Comparator,
    plan::{Cancelled, Stability},
    threads::{join, shares},
    word::Job,
};

/// Parts up to this many records are left to the standard library in one go.
const PART: usize = 1 << 14;
/// Records whose median is the pivot.
const PIVOTS: usize = 31;
/// Partitions of partitions before the standard library takes over.
const DEPTH: u32 = 32;

/// Sorts `records` by `compare`.
pub(super) fn sort<const N: usize>(
    records: &mut [[u8; N]],
    compare: &Comparator<'_>,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    match job.stability {
        Stability::Unstable => partitioned(records, (compare, DEPTH), job),
        Stability::Stable => merged(records, compare, job),
    }
}

/// Partitions down to parts between which the sort can be cancelled or go to another thread. Only
/// swaps records, so a panic of `compare` loses none.
fn partitioned<const N: usize>(
    mut records: &mut [[u8; N]],
    (compare, mut depth): (&Comparator<'_>, u32),
    job: Job<'_>,
) -> Result<(), Cancelled> {
    while PART < records.len() && 0 < depth {
        depth -= 1;
        let pivot = median(records, compare);
        let low = partition(records, |record| compare(record, &pivot) == Ordering::Less);
        if low == 0 {
            // The pivot is a least record; those equal to it are in place after this.
            let equal = partition(records, |record| compare(record, &pivot) != Ordering::Greater);
            job.progress.advance(equal)?;
            records = &mut records[equal..];
            continue;
        }
        let (left, right) = records.split_at_mut(low);
        if 1 < job.threads {
            let (left_job, right_job) = shares(job);
            let (left, right) = join(
                || partitioned(left, (compare, depth), left_job),
                || partitioned(right, (compare, depth), right_job),
            );
            return left.and(right);
        }
        partitioned(left, (compare, depth), job)?;
        records = right;
    }
    records.sort_unstable_by(|a, b| compare(a, b));
    job.progress.advance(records.len())
}

fn median<const N: usize>(records: &[[u8; N]], compare: &Comparator<'_>) -> [u8; N] {
    let mut pivots = [[0; N]; PIVOTS];
    let stride = records.len() / PIVOTS;
    for (pivot, record) in pivots.iter_mut().zip(records.iter().skip(stride / 2).step_by(stride)) {
        *pivot = *record;
    }
    pivots.sort_unstable_by(|a, b| compare(a, b));
    pivots[PIVOTS / 2]
}

/// Moves records that are `low` to the front; returns how many there are.
fn partition<R>(records: &mut [R], low: impl Fn(&R) -> bool) -> usize {
    let mut count = 0;
    for at in 0..records.len() {
        let is_low = low(&records[at]);
        records.swap(count, at);
        count += usize::from(is_low);
    }
    count
}

/// Sorts stably: halves that the standard library can sort within the memory, then merges.
fn merged<const N: usize>(
    records: &mut [[u8; N]],
    compare: &Comparator<'_>,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    // The standard library takes up to as much scratch as there are records.
    let bytes = records.len() * N;
    if records.len() <= 64 || bytes <= job.memory && job.threads < 2 {
        job.progress.hold(bytes);
        records.sort_by(|a, b| compare(a, b));
        job.progress.free(bytes);
        return job.progress.advance(records.len());
    }
    let middle = records.len() / 2;
    let (left, right) = records.split_at_mut(middle);
    if 1 < job.threads && PART < middle {
        let (left_job, right_job) = shares(job);
        let results =
            join(|| merged(left, compare, left_job), || merged(right, compare, right_job));
        results.0.and(results.1)?;
    } else {
        merged(left, compare, Job { threads: 1, ..job })?;
        merged(right, compare, Job { threads: 1, ..job })?;
    }
    merge_by(records.as_flattened_mut(), (N, middle), compare);
    Ok(())
}
