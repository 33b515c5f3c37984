//! Shares one block among threads: partitions it in parallel, then each thread sorts its side.

use std::{panic::resume_unwind, thread};

use crate::sort::{
    cells::{Choice, choose, sample},
    merge::{merge, spare_wanted},
    order::WordKey,
    plan::{Cancelled, Stability},
    stripes::split_shared,
    word::{Job, cell_count, sort_cells, sort_unsorted},
};

/// Blocks below this are not worth a thread.
const SHARED_BYTES: usize = 1 << 20;

/// Runs `left` on a new thread and `right` on this one; a panic of either goes on here.
pub(super) fn join<A: Send, B>(
    left: impl FnOnce() -> A + Send,
    right: impl FnOnce() -> B,
) -> (A, B) {
    thread::scope(|scope| {
        let other = scope.spawn(left);
        let right = right();
        match other.join() {
            Ok(left) => (left, right),
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// Runs `work` on every part, each on a thread of its own; a panic goes on here.
pub(super) fn each_on_thread<P: Send, A: Send>(
    parts: Vec<P>,
    work: impl Fn(P) -> A + Sync,
) -> Vec<A> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> =
            parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        threads.into_iter().map(|one| one.join().unwrap_or_else(|p| resume_unwind(p))).collect()
    })
}

/// Sorts `records` by `key` on `job.threads` threads.
pub(super) fn sort<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    if job.threads < 2 || records.len() * N < SHARED_BYTES {
        return sort_unsorted(records, key, job);
    }
    match job.stability {
        Stability::Unstable => unstable(records, key, job),
        Stability::Stable => stable(records, key, job),
    }
}

/// Splits on all threads, then each sorts some of the cells.
fn unstable<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let ends = match choose(records, key, cell_count(records.len() * N)) {
        Choice::Linear(map) => split_shared(records, (key, map), job.threads),
        Choice::Octaves(map) => split_shared(records, (key, map), job.threads),
        Choice::Constant(_) | Choice::Uneven => return halved(records, key, job),
    };
    cells(records, key, (&ends, 0, job))
}

/// Sorts the cells that end at `ends` less `start`, divided evenly among threads.
fn cells<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    (ends, start, job): (&[usize], usize, Job<'_>),
) -> Result<(), Cancelled> {
    if job.threads < 2 || ends.len() < 2 {
        return sort_cells(records, key, (ends, start, job));
    }
    let (left_job, right_job) = shares(job);
    let goal = start + records.len() / job.threads * left_job.threads;
    let cut = ends.partition_point(|end| *end < goal).clamp(1, ends.len() - 1);
    let middle = ends[cut - 1];
    let (left_ends, right_ends) = ends.split_at(cut);
    let (left, right) = records.split_at_mut(middle - start);
    let results = join(
        || cells(left, key, (left_ends, start, left_job)),
        || cells(right, key, (right_ends, middle, right_job)),
    );
    results.0.and(results.1)
}

/// Partitions by the median word, then sorts the sides on a share of the threads each.
fn halved<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let (left_job, right_job) = shares(job);
    let mut words = sample(records, key);
    words.sort_unstable();
    let pivot = words[words.len() * left_job.threads / job.threads];
    let middle = partition_shared(records, key, pivot);
    let (left, right) = records.split_at_mut(middle);
    let results = join(|| sort(left, key, left_job), || sort(right, key, right_job));
    results.0.and(results.1)
}

/// Sorts halves on a share of the threads each, then merges.
fn stable<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let (left_job, right_job) = shares(job);
    let middle = records.len() / job.threads * left_job.threads;
    let (left, right) = records.split_at_mut(middle);
    let results = join(|| sort(left, key, left_job), || sort(right, key, right_job));
    results.0.and(results.1)?;
    let spare_len = (job.memory / N).min(spare_wanted::<N>(records.len() - middle));
    merge(records, middle, (key, &mut job.progress.scratch(spare_len)));
    Ok(())
}

/// The job in two shares of threads and memory.
pub(super) fn shares(job: Job<'_>) -> (Job<'_>, Job<'_>) {
    let left = Job { threads: job.threads / 2, memory: job.memory / 2, ..job };
    (left, Job { threads: job.threads - left.threads, ..left })
}

/// Moves words below `pivot` to the front on two threads; returns how many there are.
fn partition_shared<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    pivot: u64,
) -> usize {
    let half = records.len() / 2;
    let (first, second) = records.split_at_mut(half);
    let (low, more_low) = join(|| partition(first, key, pivot), || partition(second, key, pivot));
    // [low high | more_low more_high]: the high records of the first half change places with as
    // many low ones of the second.
    let (high, more) = (&mut first[low..], &mut second[..more_low]);
    let swapped = high.len().min(more.len());
    let more_start = more.len() - swapped;
    high[..swapped].swap_with_slice(&mut more[more_start..]);
    low + more_low
}

/// Moves words below `pivot` to the front without a branch per record; returns how many there are.
fn partition<const N: usize, K: WordKey>(records: &mut [[u8; N]], key: K, pivot: u64) -> usize {
    let mut low = 0;
    for at in 0..records.len() {
        let below = key.word(&records[at]) < pivot;
        records.swap(low, at);
        low += usize::from(below);
    }
    low
}
