//! Finds input that is sorted but for little: a few long runs, or a few displaced records.

use crate::sort::{
    merge::{merge, spare_wanted},
    order::WordKey,
    plan::{Cancelled, Stability},
    word::{Job, sort_unsorted},
};

/// Most natural runs that are merged; more cost as much as a sort.
const RUNS_MAX: usize = 4;
/// One record in this many may be displaced.
const DISPLACED: usize = 16;
/// One in so many records of scratch is enough to merge them: 2 %.
const SPARE: usize = 52;
/// Windows looked at to guess whether few records are displaced, and records in each.
const WINDOWS: usize = 64;
const WINDOW: usize = 32;
/// Displaced records in a row after which the last one kept is suspected instead.
const STREAK: usize = 8;

/// Whether [`sort`] did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Sorted,
    /// Nothing to exploit, or no memory to do so; the records are a permutation.
    Nothing,
}

/// Sorts `records` if they are almost sorted.
pub(super) fn sort<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    job: Job<'_>,
) -> Result<Found, Cancelled> {
    if let Some(ends) = runs(records, key) {
        return Ok(merge_runs(records, key, (ends, job)));
    }
    if job.stability == Stability::Unstable && few_descents(records, key) {
        let limit = (records.len() / DISPLACED).min(job.memory / N);
        if let Some(kept) = gather_displaced(records, key, limit) {
            let displaced = records.len() - kept;
            sort_unsorted(&mut records[kept..], key, job)?;
            let spare = displaced.min(records.len() / SPARE).min(job.memory / N);
            let mut spare = job.progress.scratch(spare);
            merge(records, kept, (key, &mut spare));
            return Ok(Found::Sorted);
        }
    }
    Ok(Found::Nothing)
}

/// Ends of the natural runs, descending ones turned round; `None` if there are many.
fn runs<const N: usize, K: WordKey>(records: &mut [[u8; N]], key: K) -> Option<Vec<usize>> {
    let mut ends = Vec::with_capacity(RUNS_MAX);
    let mut start = 0;
    while start < records.len() {
        if ends.len() == RUNS_MAX {
            return None;
        }
        let rest = &mut records[start..];
        let ascending = run_len(rest, |a, b| key.word(a) <= key.word(b));
        let len = if ascending == 1 {
            let descending = run_len(rest, |a, b| key.word(b) < key.word(a));
            rest[..descending].reverse();
            descending
        } else {
            ascending
        };
        start += len;
        ends.push(start);
    }
    Some(ends)
}

fn run_len<R>(records: &[R], goes_on: impl Fn(&R, &R) -> bool) -> usize {
    let pairs = records.iter().zip(records.iter().skip(1));
    pairs.take_while(|(a, b)| goes_on(a, b)).count() + 1
}

/// Merges runs that end at `ends`, neighbours first.
fn merge_runs<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    (mut ends, job): (Vec<usize>, Job<'_>),
) -> Found {
    if ends.len() == 1 {
        return Found::Sorted;
    }
    let spare_len = spare_wanted::<N>(records.len() / 2);
    if job.memory / N < spare_len {
        return Found::Nothing;
    }
    let mut spare = job.progress.scratch(spare_len);
    while 1 < ends.len() {
        let mut start = 0;
        for pair in ends.chunks(2) {
            if let [middle, end] = *pair {
                merge(&mut records[start..end], middle - start, (key, &mut spare));
                start = end;
            }
        }
        let last = ends.len() - 1;
        let mut at = 0;
        ends.retain(|_| {
            at += 1;
            at % 2 == 0 || at == last + 1
        });
    }
    Found::Sorted
}

/// Whether neighbours are almost always in order, judged by windows.
fn few_descents<const N: usize, K: WordKey>(records: &[[u8; N]], key: K) -> bool {
    let stride = (records.len() / WINDOWS).max(WINDOW);
    let mut descents = 0;
    let mut pairs = 0;
    for window in records.chunks(stride).map(|part| &part[..part.len().min(WINDOW)]) {
        pairs += window.len() - 1;
        descents += window.windows(2).filter(|w| key.word(&w[1]) < key.word(&w[0])).count();
    }
    descents * DISPLACED < pairs
}

/// Moves records that break the order behind the others, which are then sorted; returns how many
/// those are. `None` if more than `limit` break it.
fn gather_displaced<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    limit: usize,
) -> Option<usize> {
    let mut kept = 0;
    let mut last = 0;
    let mut streak = 0;
    for at in 0..records.len() {
        let word = key.word(&records[at]);
        let stays = last <= word && !peaks(&records[at..], key, word);
        if stays {
            records.swap(kept, at);
            kept += 1;
            last = word;
            streak = 0;
            continue;
        }
        streak += 1;
        if streak == STREAK {
            // So many cannot be displaced; the last one kept was too large.
            streak = 0;
            kept = kept.saturating_sub(1);
            last = kept.checked_sub(1).map_or(0, |previous| key.word(&records[previous]));
        }
        if limit < at + 1 - kept {
            return None;
        }
    }
    Some(kept)
}

/// Whether `word`, that of the first record, is above both words that follow.
fn peaks<const N: usize, K: WordKey>(records: &[[u8; N]], key: K, word: u64) -> bool {
    match records {
        [_, next, second, ..] => key.word(next) < word && key.word(second) < word,
        _ => false,
    }
}
