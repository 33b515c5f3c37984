//! Merges runs by word in batches that are sorted in the cache.
//!
//! Of the blocks present, all records up to the least of their last words can be put out. These
//! prefixes of the blocks, one behind the other, are a few natural runs, which the stable sort
//! handles faster than any merge that takes its records one by one.

use crate::sort::{
    dispatch::sort_records,
    multiway::{MergeShape, RunSource},
    order::Words,
    plan::{Plan, Stability},
};

/// As [`merge_runs`](super::multiway::merge_runs) for orders without a comparator. Holds the records
/// of one block of each run, and scratch for as many.
pub(super) fn merge_in_batches<S: RunSource>(
    sources: &mut [S],
    shape: &MergeShape<'_>,
    mut sink: impl FnMut(&[u8]) -> Result<(), S::Error>,
) -> Result<(), S::Error> {
    let size = shape.record_size.get();
    let words = Words::new(shape.order, size);
    let mut cursors: Vec<Cursor<'_, S>> = sources.iter_mut().map(Cursor::new).collect();
    let mut batch = Vec::new();
    loop {
        for cursor in &mut cursors {
            cursor.load(size)?;
        }
        let last_words = cursors.iter().map(|cursor| cursor.last(size).map(|r| words.of(r)));
        let ends = last_words.enumerate().filter_map(|(run, word)| Some((word?, run)));
        let Some((limit, first)) = ends.min() else { return Ok(()) };
        batch.clear();
        for (run, cursor) in cursors.iter_mut().enumerate() {
            // Records equal to the limit may go on in the next block of run `first`; those of later
            // runs wait for them.
            let goes = |record: &[u8]| (words.of(record), run) <= (limit, first);
            batch.extend_from_slice(cursor.take(size, goes));
        }
        let memory = batch.len() * 2 + (1 << 20);
        let plan = Plan { stability: Stability::Stable, memory, ..Plan::default() };
        let sorted = sort_records(&mut batch, shape.record_size, &shape.order, &plan);
        debug_assert!(sorted.is_ok(), "there is no hook to cancel it");
        for block in batch.chunks((shape.block_size / size).max(1) * size) {
            sink(block)?;
        }
    }
}

/// A run and how far its present block is read.
struct Cursor<'a, S> {
    source: &'a mut S,
    offset: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

impl<'a, S: RunSource> Cursor<'a, S> {
    fn new(source: &'a mut S) -> Self {
        Self { source, offset: 0, state: State::Open }
    }

    /// Gets the next block if the present one is read.
    fn load(&mut self, size: usize) -> Result<(), S::Error> {
        if self.state == State::Open && self.rest().len() < size {
            self.source.next_block()?;
            self.offset = 0;
            if self.rest().len() < size {
                self.state = State::Ended;
            }
        }
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        self.source.block().get(self.offset..).unwrap_or_default()
    }

    /// The last record of the present block.
    fn last(&self, size: usize) -> Option<&[u8]> {
        self.rest().chunks_exact(size).next_back()
    }

    /// The next records of the present block, as far as they `go`; steps over them.
    fn take(&mut self, size: usize, goes: impl Fn(&[u8]) -> bool) -> &[u8] {
        let (mut low, mut high) = (0, self.rest().len() / size);
        while low < high {
            let middle = low.midpoint(high);
            if goes(&self.rest()[middle * size..][..size]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let start = self.offset;
        self.offset += low * size;
        self.source.block().get(start..self.offset).unwrap_or_default()
    }
}
