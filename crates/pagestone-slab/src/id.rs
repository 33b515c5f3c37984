//! The names of objects.

use std::{fmt, num::NonZeroU64};

use crate::pools::Spot;

/// Names an object of an [`ObjectStore`](crate::ObjectStore) or of a checked pool, for as long as
/// it lives.
///
/// Opaque: 32 bits say which slab, 24 which of its slots, 8 how often the slot was used. The id of
/// a removed object is refused and not mistaken for its successor: a slot that was used 128 times
/// rests until its slab goes, and numbers of slabs are never used again. Each store begins with a
/// number of its own choice, so that ids of another store are most likely refused. Store it with
/// [`to_bits`](Self::to_bits); `Option<ObjectId>` is no larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(NonZeroU64);

impl ObjectId {
    /// The id of a slot.
    #[inline]
    pub(crate) fn new(spot: Spot, generation: u8) -> Self {
        let bits = u64::from(spot.number) << 32 | u64::from(spot.slot) << 8;
        // Generations are odd.
        Self(NonZeroU64::MIN | bits | u64::from(generation))
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "shifted and masked to what they hold")]
    pub(crate) fn parts(self) -> (Spot, u8) {
        let bits = self.0.get();
        // Generations are odd. An even one moves a bit in front of the slot, and no slab has so
        // many: one comparison refuses both.
        let slot = (bits as u32 ^ 1).rotate_right(1) >> 7;
        (Spot { number: (bits >> 32) as u32, slot }, bits as u8)
    }

    /// Returns the 64 bits to store.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// Takes stored bits back, which are never 0; whether they name an object shows when it is
    /// asked for.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (spot, generation) = self.parts();
        write!(formatter, "ObjectId({:#x}.{}.{generation})", spot.number, spot.slot)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#018x}", self.0)
    }
}
