//! Sorts a part that fits the cache: radix over the leading bits that vary, insertion for the rest.

use crate::sort::{
    insertion::{Insertion, insertion},
    order::{FieldKey, WordKey},
    plan::Stability,
};

/// Up to this many records insertion alone is fastest.
const SHORT: usize = 24;
/// Most bits of a radix pass.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Bits beyond log2(n): one record in eight then meets another with the same leading bits.
const SLACK_BITS: u32 = 3;

/// Scratch for parts up to its length.
pub(super) struct Workspace<const N: usize> {
    spare: Vec<[u8; N]>,
    low: Box<[u32; DIGITS]>,
    high: Box<[u32; DIGITS]>,
}

impl<const N: usize> Workspace<N> {
    /// Scratch for parts of up to `capacity` records; each digit counts below 2^32.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            spare: vec![[0; N]; capacity],
            low: Box::new([0; DIGITS]),
            high: Box::new([0; DIGITS]),
        }
    }

    /// Longest part that can be sorted.
    pub(super) fn capacity(&self) -> usize {
        self.spare.len()
    }

    /// Sorts `records`, at most `capacity` of them; equal ones keep their order if `stability` asks.
    pub(super) fn sort<K: WordKey>(
        &mut self,
        records: &mut [[u8; N]],
        key: K,
        stability: Stability,
    ) {
        let finish = if records.len() <= SHORT { Finish::Needed } else { self.radix(records, key) };
        if finish == Finish::Needed && insertion(records, key) == Insertion::TooFar {
            by_comparison(records, key, stability);
        }
    }

    fn radix<K: WordKey>(&mut self, records: &mut [[u8; N]], key: K) -> Finish {
        let (mut low, mut high) = (u64::MAX, 0);
        for record in &*records {
            let word = key.word(record);
            low = low.min(word);
            high = high.max(word);
        }
        if low == high {
            return Finish::Done;
        }
        let vary = 64 - (high - low).leading_zeros();
        let bits = (records.len().ilog2() + SLACK_BITS).min(vary).min(2 * DIGIT_BITS);
        let shift = vary - bits;
        let second = Digit { low, shift: shift + bits / 2, bits: bits - bits / 2 };
        let first = Digit { low, shift, bits: bits / 2 };
        let spare = &mut self.spare[..records.len()];
        first.clear(&mut self.low);
        second.clear(&mut self.high);
        for record in &*records {
            let word = key.word(record);
            self.low[first.of(word)] += 1;
            self.high[second.of(word)] += 1;
        }
        first.sum(&mut self.low);
        second.sum(&mut self.high);
        scatter(records, spare, |record| first.of(key.word(record)), &mut self.low);
        scatter(spare, records, |record| second.of(key.word(record)), &mut self.high);
        if shift == 0 { Finish::Done } else { Finish::Needed }
    }
}

/// Whether the radix passes left anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    Done,
    Needed,
}

/// A stretch of bits of the distance to the lowest word.
#[derive(Debug, Clone, Copy)]
struct Digit {
    low: u64,
    shift: u32,
    bits: u32,
}

impl Digit {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to the width of a digit")]
    fn of(self, word: u64) -> usize {
        // `self.shift` is below 64: at least one of the 64 bits is in a digit.
        let moved = (word - self.low) >> (self.shift & 63);
        moved as usize & ((1 << self.bits) - 1) & (DIGITS - 1)
    }

    fn clear(self, counts: &mut [u32; DIGITS]) {
        counts[..1 << self.bits].fill(0);
    }

    fn sum(self, counts: &mut [u32; DIGITS]) {
        let mut sum = 0;
        for count in &mut counts[..1 << self.bits] {
            let start = sum;
            sum += *count;
            *count = start;
        }
    }
}

#[inline]
fn scatter<const N: usize>(
    from: &[[u8; N]],
    to: &mut [[u8; N]],
    digit: impl Fn(&[u8; N]) -> usize,
    heads: &mut [u32; DIGITS],
) {
    for record in from {
        let head = &mut heads[digit(record)];
        to[*head as usize] = *record;
        *head += 1;
    }
}

/// Sorts with the standard library: no worst case, no need of a spread of the words.
pub(super) fn by_comparison<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    key: K,
    stability: Stability,
) {
    compare_words(records, key.general(), stability);
}

/// One compiled form for all keys: the library's sorts are large.
fn compare_words<const N: usize>(records: &mut [[u8; N]], key: FieldKey, stability: Stability) {
    match stability {
        Stability::Unstable => records.sort_unstable_by_key(|record| key.word(record)),
        Stability::Stable => records.sort_by_key(|record| key.word(record)),
    }
}
