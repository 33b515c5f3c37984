//! Some of the nodes, numbered by themselves.

use super::bits::Bits;

/// A set of nodes that tells how many of it lie below one.
#[derive(Debug)]
pub(super) struct Ranked {
    bits: Bits,
    /// For each word of bits, how many are set in those before.
    before: Vec<u32>,
    len: u32,
}

impl Ranked {
    pub(super) fn new(bits: Bits) -> Self {
        let mut len = 0;
        let count = |word: &u64| {
            let before = len;
            len += word.count_ones();
            before
        };
        let before = bits.words().iter().map(count).collect();
        Self { bits, before, len }
    }

    /// How many nodes are in the set.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn contains(&self, node: u32) -> bool {
        self.bits.contains(node)
    }

    /// The rank of a node that is in the set.
    #[inline]
    pub(super) fn rank(&self, node: u32) -> u32 {
        let word = node as usize / 64;
        let below = self.bits.words()[word] & ((1 << (node % 64)) - 1);
        self.before[word] + below.count_ones()
    }

    /// Calls `look` with all nodes of the set in order.
    pub(super) fn for_each(&self, mut look: impl FnMut(u32)) {
        for (&word, start) in self.bits.words().iter().zip((0..).step_by(64)) {
            let mut left = word;
            while left != 0 {
                look(start + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }
}
