//! Splits records into cells on several threads, each with a stripe of every cell.
#![expect(unsafe_code, reason = "threads own interleaved stripes of one slice")]

use std::{marker::PhantomData, ptr};

use crate::sort::{
    cells::CellMap,
    order::WordKey,
    split::{counts, ends, place},
    threads::each_on_thread,
};

/// As [`split_in_place`](super::split::split_in_place), on several threads.
///
/// Each thread splits the records in its stripes among those. What finds its stripe full, little in
/// records that were shuffled, is placed by one thread at last.
pub(super) fn split_shared<const N: usize, K: WordKey, M: CellMap + Send + Sync>(
    records: &mut [[u8; N]],
    (key, map): (K, M),
    threads: usize,
) -> Vec<usize> {
    let part_len = records.len().div_ceil(threads).max(1);
    let mut heads = vec![0; map.count()];
    let parts: Vec<_> = records.chunks(part_len).collect();
    for part in each_on_thread(parts, |part| counts(part, key, map)) {
        for (sum, more) in heads.iter_mut().zip(part) {
            *sum += more;
        }
    }
    let ends = ends(&mut heads);
    let shared = Stripes::cut(records, (&heads, &ends), threads);
    let placed = each_on_thread(shared, |stripes| stripes.split(key, map));
    for (cell, (head, end)) in heads.iter_mut().zip(&ends).enumerate() {
        *head += join_stripes(&mut records[*head..*end], &placed, cell);
    }
    place(records, (key, map), (&mut heads, &ends));
    ends
}

/// One stripe: the records from `start` to `end`; those before `head` are in their cell.
#[derive(Debug, Clone, Copy)]
struct Stripe {
    head: usize,
    end: usize,
}

/// One thread's stripes of all cells.
///
/// Invariants: S1, all stripes lie in the slice that starts at `base` and is borrowed for `'a`; S2,
/// no two stripes overlap, neither of this thread nor of others; S3, a head only grows, up to its
/// end.
struct Stripes<'a, R> {
    base: *mut R,
    of_cells: Vec<Stripe>,
    records: PhantomData<&'a mut [R]>,
}

// SAFETY: it stands for exclusive access to its stripes, which no other thread has (S2), so it may
// go to another thread as `&mut [R]` may.
unsafe impl<R: Send> Send for Stripes<'_, R> {}

impl<'a, const N: usize> Stripes<'a, [u8; N]> {
    /// Cuts every cell, from its start to its end, into one stripe per thread.
    fn cut(
        records: &'a mut [[u8; N]],
        (starts, ends): (&[usize], &[usize]),
        threads: usize,
    ) -> Vec<Self> {
        assert!(ends.last().is_none_or(|end| *end <= records.len()), "S1");
        assert!(
            ends.is_sorted() && starts.iter().skip(1).eq(ends.iter().take(ends.len() - 1)),
            "S2"
        );
        let base = records.as_mut_ptr();
        let stripe = |thread: usize, (start, end): (&usize, &usize)| Stripe {
            head: start + stripe_start(end - start, thread, threads),
            end: start + stripe_start(end - start, thread + 1, threads),
        };
        let one = |thread| {
            let of_cells = starts.iter().zip(ends).map(|cell| stripe(thread, cell)).collect();
            Self { base, of_cells, records: PhantomData }
        };
        (0..threads).map(one).collect()
    }

    /// Splits the records of the stripes among them; returns how many each stripe holds of its cell,
    /// at its front.
    fn split<K: WordKey, M: CellMap>(mut self, key: K, map: M) -> Vec<usize> {
        let starts: Vec<usize> = self.of_cells.iter().map(|stripe| stripe.head).collect();
        for cell in 0..self.of_cells.len() {
            while self.walk(cell, |record| map.cell(key.word(record))) {}
        }
        self.of_cells.iter().zip(starts).map(|(stripe, start)| stripe.head - start).collect()
    }

    /// Brings the records of the stripe of `cell` home where there is room; says whether any went.
    #[inline]
    fn walk(&mut self, cell: usize, home: impl Fn(&[u8; N]) -> usize) -> bool {
        let Stripe { mut head, end } = self.of_cells[cell];
        while head < end {
            // SAFETY: `head < end` is in a stripe, so in the slice (S1, S3).
            let record = unsafe { self.base.add(head) };
            // SAFETY: a record of a stripe of this thread (S2), and not written meanwhile.
            if home(unsafe { &*record }) != cell {
                break;
            }
            head += 1;
        }
        self.of_cells[cell].head = head;
        let mut moved = false;
        for at in head..end {
            // SAFETY: `at < end`, and not below the head, is in a stripe of this thread (S1, S2).
            let from = unsafe { self.base.add(at) };
            // SAFETY: as above, and no other reference to it is alive in this thread.
            let stripe = &mut self.of_cells[home(unsafe { &*from })];
            if stripe.head < stripe.end {
                // SAFETY: `stripe.head < stripe.end` is in a stripe of this thread (S1, S2, S3).
                let to = unsafe { self.base.add(stripe.head) };
                // SAFETY: both are valid, owned by this thread, and initialised; they may be equal.
                unsafe { ptr::swap(from, to) };
                stripe.head += 1;
                moved = true;
            }
        }
        moved
    }
}

/// Where the stripe of `thread` starts in a cell of `cell_len` records.
fn stripe_start(cell_len: usize, thread: usize, threads: usize) -> usize {
    cell_len / threads * thread + (cell_len % threads).min(thread)
}

/// Moves the records that each thread placed in `cell` together; returns how many there are.
fn join_stripes<R>(records: &mut [R], placed: &[Vec<usize>], cell: usize) -> usize {
    let mut head = 0;
    for (thread, counts) in placed.iter().enumerate() {
        let start = stripe_start(records.len(), thread, placed.len());
        let count = counts[cell];
        // [.. head | strays | start: placed | ..]: strays change places with the last placed.
        let (front, back) = records.split_at_mut(start);
        let moved = count.min(start - head);
        front[head..head + moved].swap_with_slice(&mut back[count - moved..count]);
        head += count;
    }
    head
}
