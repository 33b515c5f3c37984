//! Sizes, bytes and orders of workload H, the same for all contenders and in every run.

use super::Place;
use crate::Random;

/// The bytes that blocks are filled from; it stays in the processor's caches.
const POOL: usize = 64 << 10;
const SIZE_MIN: usize = 32;
const SIZE_MAX: usize = 512;

/// Blocks to make: how long they are, and what is in them.
#[derive(Debug)]
pub struct Work {
    pool: Vec<u8>,
    random: Random,
}

impl Work {
    /// The blocks of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let pool = (0..POOL / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        Self { pool, random: Random::new(seed) }
    }

    /// Lengths of the next `count` blocks, 32 to 512 bytes.
    pub fn sizes(&mut self, count: usize) -> Vec<usize> {
        let span = SIZE_MAX - SIZE_MIN + 1;
        (0..count).map(|_| SIZE_MIN + self.random.below(span)).collect()
    }

    /// What block `number` is filled with.
    #[must_use]
    #[inline]
    pub fn bytes(&self, number: usize, size: usize) -> &[u8] {
        let start = number * 64 % (POOL - SIZE_MAX);
        &self.pool[start..start + size]
    }

    /// `count` places in blocks of `ids`, within what every block has.
    pub fn places(&mut self, ids: &[u64], count: usize) -> Vec<Place> {
        let mut place = || Place {
            id: ids[self.random.below(ids.len())],
            offset: 8 * self.random.below(SIZE_MIN / 8),
        };
        (0..count).map(|_| place()).collect()
    }

    /// Any number.
    pub const fn number(&mut self) -> u64 {
        self.random.next()
    }
}

/// The ids and lengths in random order.
#[must_use]
pub fn ordered(mut blocks: Vec<(u64, usize)>, seed: u64) -> Vec<(u64, usize)> {
    let mut random = Random::new(seed);
    for last in (1..blocks.len()).rev() {
        blocks.swap(last, random.below(last + 1));
    }
    blocks
}
