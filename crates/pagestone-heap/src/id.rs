//! The name of a block.

use std::fmt;

/// Names a block for as long as it lives, across resize, compaction and reopen.
///
/// Opaque: 40 bits say which slot, 24 how often the slot was used, so that the id of a freed
/// block is refused and not mistaken for its successor. Ids of another store or file are refused
/// with probability 1 - 2^-24. Store it with [`BlockId::to_bits`]; no id has the bits 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(u64);

pub(crate) const GENERATION_BITS: u32 = 24;
pub(crate) const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;
pub(crate) const INDEX_MAX: u64 = (1 << 40) - 1;

impl BlockId {
    pub(crate) const fn new(index: u64, generation: u32) -> Self {
        Self(index << GENERATION_BITS | (generation & GENERATION_MAX) as u64)
    }

    pub(crate) const fn index(self) -> u64 {
        self.0 >> GENERATION_BITS
    }

    pub(crate) const fn generation(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
        {
            self.0 as u32 & GENERATION_MAX
        }
    }

    /// Returns the number of the slot, below 2^40 and not 0, for tables that keep only it.
    #[must_use]
    pub const fn slot(self) -> u64 {
        self.index()
    }

    /// Returns the 64 bits to store.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Takes stored bits back; whether they name a block shows when it is asked for.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BlockId({}.{})", self.index(), self.generation())
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#018x}", self.0)
    }
}
