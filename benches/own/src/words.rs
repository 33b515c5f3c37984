//! Records of any number of words, the first of which is the key.

use bytemuck::{Pod, Zeroable};
use pagestone_storage::{Field, Kind};
use rdst::RadixKey;

/// The key of [`Words`].
pub const KEY: Field = Field::new(0, Kind::U64);

/// A record: 16 bytes for 2 words, 40 for 5, 64 for 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Words<const W: usize>(pub [u64; W]);

impl<const W: usize> Words<W> {
    /// A record with this key, the other words `value`.
    #[must_use]
    pub fn new(key: u64, value: u64) -> Self {
        let mut words = [value; W];
        words[0] = key;
        Self(words)
    }

    /// The first word.
    #[must_use]
    #[inline]
    pub const fn key(&self) -> u64 {
        self.0[0]
    }

    /// The last word.
    #[must_use]
    #[inline]
    pub const fn value(&self) -> u64 {
        self.0[W - 1]
    }
}

/// Records with these keys, numbered in the other words.
#[must_use]
pub fn with_keys<const W: usize>(keys: &[u64]) -> Vec<Words<W>> {
    keys.iter().zip(0..).map(|(&key, number)| Words::new(key, number)).collect()
}

impl<const W: usize> RadixKey for Words<W> {
    const LEVELS: usize = 8;

    #[inline]
    fn get_level(&self, level: usize) -> u8 {
        self.key().to_le_bytes()[level]
    }
}
