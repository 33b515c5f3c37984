//! Insertion sort of an almost sorted part, which gives up when it is not.

use crate::sort::order::WordKey;

/// Moves allowed per record before the part counts as not almost sorted.
const MOVES: usize = 8;

/// Result of [`insertion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Insertion {
    Sorted,
    /// Gave up; the records are a permutation, equal ones still in their order.
    TooFar,
}

/// Sorts `records` stably if each is near its place. Short parts always are.
pub(super) fn insertion<const N: usize, K: WordKey>(records: &mut [[u8; N]], key: K) -> Insertion {
    let Some(first) = records.first() else { return Insertion::Sorted };
    let mut budget = records.len() * MOVES + 512;
    let mut before = key.word(first);
    for at in 1..records.len() {
        let word = key.word(&records[at]);
        if before <= word {
            before = word;
            continue;
        }
        let record = records[at];
        let mut to = at;
        while 0 < to && word < key.word(&records[to - 1]) {
            records[to] = records[to - 1];
            to -= 1;
        }
        records[to] = record;
        budget = budget.saturating_sub(at - to);
        if budget == 0 {
            return Insertion::TooFar;
        }
    }
    Insertion::Sorted
}
