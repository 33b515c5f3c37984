//! Where words and marks of the sampled tree lie, which follows from the number of records.
//!
//! See docs/format.md, "Accelerator".

/// 16 words of one level.
pub(crate) type Node = [u8; 128];
/// The marks of one group.
pub(crate) type Marks = [u8; 64];

/// Words in a node.
pub(crate) const FANOUT: u64 = 16;
/// Most nodes of the top level.
pub(crate) const TOP_NODES: u64 = 2;
/// Records under one mark.
pub(crate) const STRETCH: u64 = 4;
/// Marks of a group.
pub(crate) const MARKS: u64 = 32;
/// Records under the marks of one group, and under one word of the lowest level.
pub(crate) const GROUP: u64 = STRETCH * MARKS;
/// Enough for `u64::MAX` records: `GROUP * FANOUT.pow(14)` is 2^63.
const LEVELS_MAX: usize = 16;

/// One level of the tree.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Level {
    /// Place of its first node among all nodes.
    pub(crate) first_node: u64,
    /// Words in use, at least 1; the rest of its last node is padding.
    pub(crate) word_count: u64,
    /// Records under one word.
    pub(crate) span: u64,
}

impl Level {
    /// Nodes of the level, at least 1.
    #[inline]
    pub(crate) fn node_count(&self) -> u64 {
        self.word_count.div_ceil(FANOUT)
    }
}

/// Where everything lies in the tree over a number of records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TreeLayout {
    /// Invariant L1: the levels lie one after the other within `node_count` nodes, and each has
    /// one node per word of the level above; the lowest has one word per group.
    levels: [Level; LEVELS_MAX],
    level_count: usize,
    node_count: u64,
    record_count: u64,
}

impl TreeLayout {
    /// The layout over `record_count` records.
    pub(crate) fn new(record_count: u64) -> Self {
        let mut levels = [Level::default(); LEVELS_MAX];
        let mut level_count = 0;
        let mut word_count = record_count.div_ceil(GROUP);
        let mut span = GROUP;
        while 0 < word_count {
            levels[level_count] = Level { first_node: 0, word_count, span };
            level_count += 1;
            let nodes = word_count.div_ceil(FANOUT);
            word_count = if nodes <= TOP_NODES { 0 } else { nodes };
            span = span.saturating_mul(FANOUT);
        }
        levels[..level_count].reverse();
        let mut node_count = 0;
        for level in &mut levels[..level_count] {
            level.first_node = node_count;
            node_count += level.node_count();
        }
        Self { levels, level_count, node_count, record_count }
    }

    /// Number of records the tree is over.
    pub(crate) fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Bytes of the tree; `u64::MAX` if they are more than that.
    pub(crate) fn byte_len(&self) -> u64 {
        let marks = self.group_count().saturating_mul(size_of::<Marks>() as u64);
        self.nodes_byte_len().saturating_add(marks)
    }

    /// Bytes of all levels, in front of the marks.
    pub(crate) fn nodes_byte_len(&self) -> u64 {
        self.node_count.saturating_mul(size_of::<Node>() as u64)
    }

    /// Number of groups, the last of which may be short.
    pub(crate) fn group_count(&self) -> u64 {
        self.record_count.div_ceil(GROUP)
    }

    /// The levels, the top one first; none without records.
    #[inline]
    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels[..self.level_count]
    }
}

/// The word of an image: SIMD compares signed numbers.
#[inline]
pub(crate) fn word(image: u64) -> i64 {
    (image ^ 1 << 63).cast_signed()
}

/// The image of a word.
#[inline]
pub(crate) fn image(word: i64) -> u64 {
    word.cast_unsigned() ^ 1 << 63
}

/// The mark of `key` in a group whose keys reach from `base`, the last key of the group before
/// (0 in the first), up to `top`: the distance from `base`, without the low bits that the distance
/// of `top` has in excess of 16. Keys above `top` saturate.
#[inline]
pub(crate) fn mark(key: u64, base: u64, top: u64) -> u16 {
    let shift = u64::BITS - (top.wrapping_sub(base) >> 16).leading_zeros();
    u16::try_from(key.wrapping_sub(base) >> shift).unwrap_or(u16::MAX)
}
