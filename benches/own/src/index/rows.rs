//! The rows, their links, the pairs of relations.

use super::InOrder;
use crate::{Random, Scale};

/// Bytes of a row: its place, its key, the key of another row, a hash, zeros.
pub const ROW_SIZE: usize = 40;

/// Rows in the order of their places, with random keys.
#[derive(Debug)]
pub struct TableRows {
    /// The rows.
    pub rows: Vec<[u8; ROW_SIZE]>,
    /// All keys in the order in which links lead from the first to the last, and round again.
    pub chain: Vec<u64>,
}

/// A word of a row.
#[must_use]
pub fn word(row: &[u8], number: usize) -> u64 {
    let bytes = row.get(number * 8..).and_then(|bytes| bytes.first_chunk::<8>());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl TableRows {
    /// Ten million at the full scale.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        let count = scale.count(10_000_000);
        let mut random = Random::new(21);
        let keys: Vec<u64> = (0..count).map(|_| random.next()).collect();
        let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, random.below(index + 1));
        }
        let mut rows = vec![[0; ROW_SIZE]; count];
        for (index, &place) in order.iter().enumerate() {
            let next = order[(index + 1) % count] as usize;
            let place = place as usize;
            let words = [place as u64, keys[place], keys[next], Random::new(keys[place]).next()];
            for (bytes, word) in rows[place].chunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
        let chain = order.iter().map(|&place| keys[place as usize]).collect();
        Self { rows, chain }
    }

    /// Keys and rows in key order: the sort is the caller's cost.
    #[must_use]
    pub fn in_order(&self) -> InOrder<'_> {
        let mut order: Vec<(u64, u32)> =
            (0..).zip(&self.rows).map(|(place, row)| (word(row, 1), place)).collect();
        order.sort_unstable();
        Box::new(order.into_iter().map(|(key, place)| (key, &self.rows[place as usize])))
    }
}

/// Ten million pairs of a row and a row that belongs to it, at the full scale: the keys of Zipf,
/// a million kinds, the values random.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a random number below a power needs no exactness"
)]
pub fn pairs(scale: Scale) -> Vec<(u64, u64)> {
    let count = scale.count(10_000_000);
    let kinds = (count / 10) as f64;
    let mut random = Random::new(33);
    let pair = |_| {
        let unit = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
        // The logarithm of a Zipf variable of exponent 1 is uniform, about.
        let key = kinds.powf(unit) as u64;
        (key - 1, random.below(count) as u64)
    };
    (0..count).map(pair).collect()
}
