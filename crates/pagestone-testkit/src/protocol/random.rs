//! Choices by seed, and the checksum of the model.

pub(super) use crate::random::{Random, mix};

/// The model's checksum: never 0, so that 0 always means "no checksum".
pub(super) fn checksum(words: &[u64]) -> u64 {
    let sum = words.iter().fold(0x243f_6a88_85a3_08d3, |sum, word| {
        mix(sum ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    });
    sum.max(1)
}
