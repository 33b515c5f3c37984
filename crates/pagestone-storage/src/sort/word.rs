//! Sorts records by a word: picks the way that suits the input, then splits down to the cache.

use crate::sort::{
    cache::{Workspace, by_comparison},
    cells::{Choice, choose},
    merge::{merge, spare_wanted},
    order::WordKey,
    plan::{Cancelled, Progress, Stability},
    presorted,
    split::{split_in_place, split_into},
    threads,
};

/// Bytes of a part sorted in the cache; as much again is scratch. Both fit a 512 KiB L2.
const PART_BYTES: usize = 256 << 10;
/// Most cells of a split. More would miss the first-level cache and TLB on every record.
const CELLS_MAX: usize = 1024;
/// Splits of splits before comparison takes over; each divides the range of the words.
const DEPTH: u32 = 6;
/// Below this many records the part is sorted without looking at its shape.
const SMALL: usize = 64;

/// What a word sort needs to know besides records and key.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) stability: Stability,
    pub(super) threads: usize,
    pub(super) memory: usize,
    pub(super) progress: &'a Progress<'a>,
}

/// Sorts `records` by `key`.
pub(super) fn sort<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    if SMALL < records.len() && presorted::sort(records, key, job)? == presorted::Found::Sorted {
        return job.progress.advance(records.len());
    }
    threads::sort(records, key, job)
}

/// Sorts `records` by `key` on this thread, without looking for runs.
pub(super) fn sort_unsorted<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    match job.stability {
        Stability::Unstable => Sorter::new(records.len(), job).in_place(records, key, DEPTH),
        Stability::Stable => stable(records, key, job),
    }
}

/// Sorts each of the cells that end at `ends` less `start`, on this thread.
pub(super) fn sort_cells<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    (ends, start, job): (&[usize], usize, Job<'_>),
) -> Result<(), Cancelled> {
    let mut sorter = Sorter::new(records.len(), job);
    let mut from = start;
    for end in ends {
        sorter.in_place(&mut records[from - start..end - start], key, DEPTH - 1)?;
        from = *end;
    }
    Ok(())
}

/// Enough cells for records of `bytes` in all that an average cell fills half a part.
pub(super) fn cell_count(bytes: usize) -> usize {
    (2 * bytes / PART_BYTES + 2).min(CELLS_MAX)
}

/// Sorts stably: out of place where the scratch allows, else halves that are merged.
fn stable<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let bytes = records.len() * N;
    if records.len() <= SMALL || bytes <= PART_BYTES && bytes <= job.memory {
        Workspace::new(records.len()).sort(records, key, job.stability);
        return job.progress.advance(records.len());
    }
    if bytes.saturating_add(PART_BYTES) <= job.memory {
        let mut spare = job.progress.scratch(records.len());
        let mut sorter = Sorter::new(records.len(), job);
        return sorter.through_spare(records, (key, &mut spare), DEPTH);
    }
    let middle = records.len() / 2;
    let (left, right) = records.split_at_mut(middle);
    stable(left, key, job)?;
    stable(right, key, job)?;
    let mut spare = job.progress.scratch((job.memory / N).min(spare_wanted::<N>(middle)));
    merge(records, middle, (key, &mut spare));
    Ok(())
}

/// Splits down to parts that fit its workspace.
struct Sorter<'a, const N: usize> {
    job: Job<'a>,
    space: Workspace<N>,
}

impl<'a, const N: usize> Sorter<'a, N> {
    fn new(records: usize, job: Job<'a>) -> Self {
        let capacity = (PART_BYTES.min(job.memory) / N).min(records);
        let capacity = if SMALL <= capacity { capacity } else { 0 };
        job.progress.hold(capacity * N);
        Self { job, space: Workspace::new(capacity) }
    }

    fn in_place<K: WordKey>(
        &mut self,
        records: &mut [[u8; N]],
        key: K,
        depth: u32,
    ) -> Result<(), Cancelled> {
        if records.len() <= self.space.capacity() {
            return self.part(records, key);
        }
        if depth == 0 || self.space.capacity() == 0 {
            return self.compare(records, key);
        }
        let ends = match choose(records, key, self.cells(records.len())) {
            Choice::Linear(map) => split_in_place(records, key, map),
            Choice::Octaves(map) => split_in_place(records, key, map),
            Choice::Constant(word) => return self.constant(records, key, word),
            Choice::Uneven => return self.compare(records, key),
        };
        let mut start = 0;
        for end in ends {
            self.in_place(&mut records[start..end], key, depth - 1)?;
            start = end;
        }
        Ok(())
    }

    /// As [`Self::in_place`], but stable; `spare` is as long as `records`.
    fn through_spare<K: WordKey>(
        &mut self,
        records: &mut [[u8; N]],
        (key, spare): (K, &mut [[u8; N]]),
        depth: u32,
    ) -> Result<(), Cancelled> {
        if records.len() <= self.space.capacity() {
            return self.part(records, key);
        }
        if depth == 0 {
            return self.compare(records, key);
        }
        let ends = match choose(records, key, self.cells(records.len())) {
            Choice::Linear(map) => split_into(records, spare, (key, map)),
            Choice::Octaves(map) => split_into(records, spare, (key, map)),
            Choice::Constant(word) => return self.constant(records, key, word),
            Choice::Uneven => return self.compare(records, key),
        };
        records.copy_from_slice(spare);
        let mut start = 0;
        for end in ends {
            let part = &mut records[start..end];
            self.through_spare(part, (key, &mut spare[start..end]), depth - 1)?;
            start = end;
        }
        Ok(())
    }

    /// Enough cells that a part of average size fills half the workspace.
    fn cells(&self, records: usize) -> usize {
        (2 * records / self.space.capacity() + 2).min(CELLS_MAX)
    }

    fn part<K: WordKey>(&mut self, records: &mut [[u8; N]], key: K) -> Result<(), Cancelled> {
        self.space.sort(records, key, self.job.stability);
        self.job.progress.advance(records.len())
    }

    fn compare<K: WordKey>(&mut self, records: &mut [[u8; N]], key: K) -> Result<(), Cancelled> {
        by_comparison(records, key, self.job.stability);
        self.job.progress.advance(records.len())
    }

    /// Sorts records most of which have the word `word`.
    fn constant<K: WordKey>(
        &mut self,
        records: &mut [[u8; N]],
        key: K,
        word: u64,
    ) -> Result<(), Cancelled> {
        if records.iter().all(|record| key.word(record) == word) {
            return self.job.progress.advance(records.len());
        }
        self.compare(records, key)
    }
}

impl<const N: usize> Drop for Sorter<'_, N> {
    fn drop(&mut self) {
        self.job.progress.free(self.space.capacity() * N);
    }
}
