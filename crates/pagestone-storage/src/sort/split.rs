//! Splits records into cells: in place by swapping whole stretches, or stably into scratch.

use crate::sort::{cells::CellMap, order::WordKey};

/// Moves the records of each cell together, cells ascending; returns the end of each cell.
///
/// A stretch of a cell is walked once, each record swapped to the head of its cell, before looking
/// at what came in exchange. So the swaps do not wait for each other, as those along a permutation
/// cycle do.
pub(super) fn split_in_place<const N: usize, K: WordKey, M: CellMap>(
    records: &mut [[u8; N]],
    key: K,
    map: M,
) -> Vec<usize> {
    let mut heads = counts(records, key, map);
    let ends = ends(&mut heads);
    place(records, (key, map), (&mut heads, &ends));
    ends
}

/// Completes a split: from `heads` on, records of a cell may be anywhere from a head to an end.
pub(super) fn place<const N: usize, K: WordKey, M: CellMap>(
    records: &mut [[u8; N]],
    (key, map): (K, M),
    (heads, ends): (&mut [usize], &[usize]),
) {
    for cell in 0..heads.len() {
        let end = ends[cell];
        loop {
            let mut start = heads[cell];
            while start < end && map.cell(key.word(&records[start])) == cell {
                start += 1;
            }
            if end <= start {
                break;
            }
            heads[cell] = start;
            for at in start..end {
                let to = &mut heads[map.cell(key.word(&records[at]))];
                records.swap(at, *to);
                *to += 1;
            }
        }
    }
}

/// Copies the records to `spare`, cells ascending, order kept inside; returns the end of each cell.
pub(super) fn split_into<const N: usize, K: WordKey, M: CellMap>(
    records: &[[u8; N]],
    spare: &mut [[u8; N]],
    (key, map): (K, M),
) -> Vec<usize> {
    let mut heads = counts(records, key, map);
    let ends = ends(&mut heads);
    for record in records {
        let to = &mut heads[map.cell(key.word(record))];
        spare[*to] = *record;
        *to += 1;
    }
    ends
}

/// How many records are in each cell.
pub(super) fn counts<const N: usize, K: WordKey, M: CellMap>(
    records: &[[u8; N]],
    key: K,
    map: M,
) -> Vec<usize> {
    let mut counts = vec![0_usize; map.count()];
    for record in records {
        counts[map.cell(key.word(record))] += 1;
    }
    counts
}

/// Turns the counts of cells into their starts; returns their ends.
pub(super) fn ends(counts: &mut [usize]) -> Vec<usize> {
    let mut sum = 0;
    let mut ends = Vec::with_capacity(counts.len());
    for count in counts {
        let start = sum;
        sum += *count;
        *count = start;
        ends.push(sum);
    }
    ends
}
