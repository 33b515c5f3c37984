//! Sorts records of any size through an index, then moves each record once.
//!
//! The records stay as they are until the index is sorted, so word functions and comparators may
//! panic. An entry of the index ends in the place of its record, 8 bytes little-endian.

use crate::sort::{
    dispatch::Shape,
    merge::merge_by,
    order::{Comparator, PlainKey, WordFn},
    plan::{Cancelled, Stability},
    word::{self, Job},
};

/// Blocks of up to this many records get their index whatever the memory.
const SMALL: usize = 64;

/// Sorts records by `word`. Entries are the word and the place.
pub(super) fn sort_by_word(
    shape: Shape<'_>,
    word: &WordFn<'_>,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let compare = |a: &[u8], b: &[u8]| word(a).cmp(&word(b));
    in_blocks::<16>(shape, (&compare, &|shape| index_by_word(shape, word, job)), job)
}

/// Sorts records by `compare`. Entries are the place.
pub(super) fn sort_by_comparator(
    shape: Shape<'_>,
    compare: &Comparator<'_>,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    in_blocks::<8>(shape, (compare, &|shape| index_by_comparator(shape, compare, job)), job)
}

type SortBlock<'a> = dyn Fn(Shape<'_>) -> Result<(), Cancelled> + 'a;

/// Sorts blocks whose index of `M` bytes per record fits the memory, and merges them in place.
fn in_blocks<const M: usize>(
    shape: Shape<'_>,
    (compare, sort_block): (&Comparator<'_>, &SortBlock<'_>),
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let Shape { records, size } = shape;
    let count = records.len() / size;
    if count <= SMALL || count.saturating_mul(M) <= job.memory {
        return sort_block(Shape { records, size });
    }
    let middle = count / 2;
    let (left, right) = records.split_at_mut(middle * size);
    in_blocks::<M>(Shape { records: left, size }, (compare, sort_block), job)?;
    in_blocks::<M>(Shape { records: right, size }, (compare, sort_block), job)?;
    merge_by(records, (size, middle), compare);
    Ok(())
}

fn index_by_word(shape: Shape<'_>, word: &WordFn<'_>, job: Job<'_>) -> Result<(), Cancelled> {
    let Shape { records, size } = shape;
    let mut index = job.progress.scratch::<16>(records.len() / size);
    for ((place, entry), record) in (0_u64..).zip(index.iter_mut()).zip(records.chunks_exact(size))
    {
        let (head, tail) = entry.split_at_mut(8);
        head.copy_from_slice(&word(record).to_le_bytes());
        tail.copy_from_slice(&place.to_le_bytes());
    }
    let used = index.len() * 16;
    let index_job =
        Job { stability: Stability::Unstable, memory: job.memory.saturating_sub(used), ..job };
    word::sort(&mut index, PlainKey { offset: 0, flip: 0 }, index_job)?;
    if job.stability == Stability::Stable {
        for equal in index.chunk_by_mut(|a, b| a[..8] == b[..8]) {
            equal.sort_unstable_by_key(place);
        }
    }
    permute(records, size, &mut index);
    Ok(())
}

fn index_by_comparator(
    shape: Shape<'_>,
    compare: &Comparator<'_>,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let Shape { records, size } = shape;
    let mut index = job.progress.scratch::<8>(records.len() / size);
    for (place, entry) in (0_u64..).zip(index.iter_mut()) {
        *entry = place.to_le_bytes();
    }
    let record = |entry: &[u8; 8]| &records[place(entry) * size..][..size];
    match job.stability {
        Stability::Unstable => index.sort_unstable_by(|a, b| compare(record(a), record(b))),
        Stability::Stable => index.sort_by(|a, b| compare(record(a), record(b))),
    }
    permute(records, size, &mut index);
    job.progress.advance(index.len())
}

/// The place at the end of an entry.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "places come from slice indices")]
fn place<const M: usize>(entry: &[u8; M]) -> usize {
    entry.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)) as usize
}

/// Moves to each place the record its entry names. Walks the cycles, each record moves once.
fn permute<const M: usize>(records: &mut [u8], size: usize, index: &mut [[u8; M]]) {
    let mut first = vec![0; size];
    for start in 0..index.len() {
        if place(&index[start]) == start {
            continue;
        }
        first.copy_from_slice(&records[start * size..][..size]);
        let mut to = start;
        loop {
            let from = place(&index[to]);
            if let Some(own) = index[to].last_chunk_mut() {
                *own = (to as u64).to_le_bytes();
            }
            if from == start {
                records[to * size..][..size].copy_from_slice(&first);
                break;
            }
            records.copy_within(from * size..(from + 1) * size, to * size);
            to = from;
        }
    }
}
