//! The entry points; picks the code compiled for the record size.

use std::num::NonZeroUsize;

use crate::field::Field;
use crate::sort::{
    compare, indexed,
    order::{Comparator, FieldKey, Order, PlainKey, field_key},
    plan::{Cancelled, Outcome, Plan, Progress},
    word::{self, Job},
};

/// Sorts `records`, each `record_size` bytes, by `order`. A partial record at the end stays there.
///
/// A comparator that is not a total order leaves the records in some order, or panics. Costs
/// O(n log n) compares at worst; a numeric field of a common record size takes about one pass over
/// memory and two in cache.
///
/// # Errors
///
/// [`Cancelled`] when the progress hook broke off: the records are a permutation of what they were.
///
/// # Panics
///
/// If a field of `order` reaches past the record, or the comparator, the word function or the
/// progress hook panics; even then the records are a permutation.
pub(crate) fn sort_records(
    records: &mut [u8],
    record_size: NonZeroUsize,
    order: &Order<'_>,
    plan: &Plan<'_>,
) -> Result<Outcome, Cancelled> {
    let size = record_size.get();
    let whole = records.len() / size * size;
    let progress = Progress::new(plan.progress, whole / size);
    let job = Job {
        stability: plan.stability,
        threads: plan.threads.max(1),
        memory: plan.memory,
        progress: &progress,
    };
    let shape = Shape { records: &mut records[..whole], size };
    match *order {
        Order::Field(field) => by_field(shape, field, job)?,
        Order::Compare(compare) => by_comparator(shape, compare, job)?,
        Order::Prefixed(field, compare) => {
            by_field(Shape { records: &mut *shape.records, size }, field, job)?;
            refine(shape, (field_key(field, size), compare), job)?;
        }
    }
    Ok(progress.outcome())
}

/// Whole records of one size.
pub(super) struct Shape<'a> {
    pub(super) records: &'a mut [u8],
    pub(super) size: usize,
}

/// Calls `$call` with the records as arrays for the sizes that have code of their own.
macro_rules! for_sizes {
    ([$($size:literal)*], $shape:expr, $records:ident => $call:expr, else $other:expr) => {
        match $shape.size {
            $($size => {
                let ($records, _) = $shape.records.as_chunks_mut::<$size>();
                $call
            })*
            _ => $other,
        }
    };
}

fn by_field(shape: Shape<'_>, field: Field, job: Job<'_>) -> Result<(), Cancelled> {
    let key = field_key(field, shape.size);
    if let Some(plain) = PlainKey::of(field) {
        for_sizes!([8 12 16 20 24 32 40 48 64], shape,
            records => word::sort(records, plain, job),
            else indexed::sort_by_word(shape, &|record| key.word_of(record), job))
    } else {
        // Each size costs a second of compile time: the usual ones.
        for_sizes!([8 12 16 24 32 40 64], shape,
            records => word::sort(records, key, job),
            else indexed::sort_by_word(shape, &|record| key.word_of(record), job))
    }
}

fn by_comparator(
    shape: Shape<'_>,
    compare: &Comparator<'_>,
    job: Job<'_>,
) -> Result<(), Cancelled> {
    for_sizes!([8 12 16 24 32 40 64], shape,
        records => compare::sort(records, compare, job),
        else indexed::sort_by_comparator(shape, compare, job))
}

/// Sorts the runs of equal words of records already sorted by word.
fn refine(
    shape: Shape<'_>,
    (key, compare): (FieldKey, &Comparator<'_>),
    job: Job<'_>,
) -> Result<(), Cancelled> {
    let size = shape.size;
    let mut rest = shape.records;
    while !rest.is_empty() {
        let word = key.word_of(&rest[..size]);
        let run = rest.chunks_exact(size).take_while(|record| key.word_of(record) == word).count();
        let (records, others) = rest.split_at_mut(run * size);
        if 1 < run {
            by_comparator(Shape { records, size }, compare, job)?;
        }
        rest = others;
    }
    Ok(())
}
