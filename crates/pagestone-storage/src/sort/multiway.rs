//! Merges many sorted runs that come block by block, as those of a sort larger than memory.
//!
//! Orders by word alone are merged in batches, see [`batches`](super::batches). Otherwise a loser
//! tree holds the word of each run's next record, and the comparator is asked only between equal
//! words. Nothing is allocated per record.

use std::{cmp::Ordering, hint::select_unpredictable, num::NonZeroUsize};

use crate::sort::{
    batches::merge_in_batches,
    order::{Comparator, Order, Words},
};

/// A sorted run that is read block by block.
pub(crate) trait RunSource {
    /// What reading can fail with.
    type Error;

    /// The present block: whole records, empty at the end of the run.
    fn block(&self) -> &[u8];

    /// Replaces the present block by the one after it.
    ///
    /// # Errors
    ///
    /// When the run cannot be read.
    fn next_block(&mut self) -> Result<(), Self::Error>;
}

/// What a merge needs to know besides runs and sink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MergeShape<'a> {
    /// Bytes of a record.
    pub(crate) record_size: NonZeroUsize,
    /// The order all runs are sorted by.
    pub(crate) order: Order<'a>,
    /// Bytes handed to the sink at once, rounded down to whole records.
    pub(crate) block_size: usize,
}

/// Merges `sources` into `sink`, which is given whole records, at most `block_size` bytes or one
/// record at a time. Equal records come in the order of their runs.
///
/// # Errors
///
/// The first error of a source or of the sink.
///
/// # Panics
///
/// If a field of the order reaches past the record.
pub(crate) fn merge_runs<S: RunSource>(
    sources: &mut [S],
    shape: &MergeShape<'_>,
    mut sink: impl FnMut(&[u8]) -> Result<(), S::Error>,
) -> Result<(), S::Error> {
    if let Order::Field(_) = shape.order {
        return merge_in_batches(sources, shape, sink);
    }
    let size = shape.record_size.get();
    let heads = Heads::new(shape.order, size);
    let mut tree = Tree::new(sources, heads)?;
    let block_size = (shape.block_size / size).max(1) * size;
    let mut block = Vec::with_capacity(block_size);
    while let Some(run) = tree.first() {
        block.extend_from_slice(tree.record(run));
        if block.len() == block_size {
            sink(&block)?;
            block.clear();
        }
        tree.advance(run)?;
    }
    if block.is_empty() { Ok(()) } else { sink(&block) }
}

/// Orders records by word, then comparator.
#[derive(Clone, Copy)]
struct Heads<'a> {
    words: Words,
    ties: Option<&'a Comparator<'a>>,
    size: usize,
}

impl<'a> Heads<'a> {
    fn new(order: Order<'a>, size: usize) -> Self {
        let ties = match order {
            Order::Compare(compare) | Order::Prefixed(_, compare) => Some(compare),
            Order::Field(_) => None,
        };
        Self { words: Words::new(order, size), ties, size }
    }
}

/// What the next record of a run is ordered by: the word, whether the run ended, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u128);

impl Rank {
    const ENDED: u128 = 1 << 63;

    fn open(word: u64, run: usize) -> Self {
        Self(u128::from(word) << 64 | run as u128)
    }

    /// Behind all that are open.
    fn ended(run: usize) -> Self {
        Self(u128::from(u64::MAX) << 64 | Self::ENDED | run as u128)
    }

    fn is_open(self) -> bool {
        self.0 & Self::ENDED == 0
    }

    fn same_word(self, other: Self) -> bool {
        (self.0 ^ other.0) >> 64 == 0
    }

    fn run(self) -> usize {
        (self.0 & (Self::ENDED - 1)) as usize
    }
}

/// A loser tree: inner node `n` holds the run that lost between nodes `2 n` and `2 n + 1`; run `r`
/// enters at node `runs + r`.
struct Tree<'a, 'o, S> {
    sources: &'a mut [S],
    order: Heads<'o>,
    /// Offset of each run's next record in its present block.
    offsets: Vec<usize>,
    losers: Vec<Rank>,
    winner: Rank,
}

impl<'a, 'o, S: RunSource> Tree<'a, 'o, S> {
    fn new(sources: &'a mut [S], order: Heads<'o>) -> Result<Self, S::Error> {
        let runs = sources.len();
        let winner = Rank::ended(0);
        let (offsets, losers) = (vec![0; runs], vec![winner; runs]);
        let mut tree = Self { sources, order, offsets, losers, winner };
        // Winners from the leaves up.
        let mut winners = vec![winner; 2 * runs];
        for run in 0..runs {
            winners[runs + run] = tree.read(run)?;
        }
        for node in (1..runs).rev() {
            let (winner, loser) = tree.play(winners[2 * node], winners[2 * node + 1]);
            winners[node] = winner;
            tree.losers[node] = loser;
        }
        tree.winner = winners.get(1).copied().unwrap_or(winner);
        Ok(tree)
    }

    /// The run with the first record, unless all ended.
    #[inline]
    fn first(&self) -> Option<usize> {
        self.winner.is_open().then_some(self.winner.run())
    }

    /// The next record of `run`, which is open.
    #[inline]
    fn record(&self, run: usize) -> &[u8] {
        &self.sources[run].block()[self.offsets[run]..][..self.order.size]
    }

    /// Steps over the next record of `run`, the winner, and replays its games.
    #[inline]
    fn advance(&mut self, run: usize) -> Result<(), S::Error> {
        self.offsets[run] += self.order.size;
        let mut winner = self.read(run)?;
        let mut node = usize::midpoint(self.losers.len(), run);
        while 0 < node {
            (winner, self.losers[node]) = self.play(winner, self.losers[node]);
            node /= 2;
        }
        self.winner = winner;
        Ok(())
    }

    /// The rank of the record of `run` at its offset, in the next block if need be.
    #[inline]
    fn read(&mut self, run: usize) -> Result<Rank, S::Error> {
        let source = &mut self.sources[run];
        if source.block().len() < self.offsets[run] + self.order.size {
            // A source that has not been read has no block yet.
            source.next_block()?;
            self.offsets[run] = 0;
            if source.block().len() < self.order.size {
                return Ok(Rank::ended(run));
            }
        }
        Ok(Rank::open(self.order.words.of(self.record(run)), run))
    }

    /// The run that goes first and the other one.
    #[inline]
    fn play(&self, a: Rank, b: Rank) -> (Rank, Rank) {
        let mut b_first = b < a;
        if let Some(compare) = self.order.ties
            && a.same_word(b)
            && a.is_open()
            && b.is_open()
        {
            let order = compare(self.record(b.run()), self.record(a.run()));
            b_first = order.then(b.cmp(&a)) == Ordering::Less;
        }
        (select_unpredictable(b_first, b, a), select_unpredictable(b_first, a, b))
    }
}
