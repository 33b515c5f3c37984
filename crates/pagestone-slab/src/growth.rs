//! How a pool grows slab by slab, and when it gives one back.

use crate::error::{Error, Result};

/// Most slots of a slab: few slabs, so that what finds them stays in the nearest cache.
pub(crate) const SLOTS_MAX: u32 = 1 << SLOT_BITS;
pub(crate) const SLOT_BITS: u32 = 17;

/// How the slabs of a pool follow each other; the same for every pool of a store.
///
/// A store checks the settings when it is made and refuses those that cannot work.
///
/// ```
/// use pagestone_slab::{Growth, ObjectStore};
///
/// let growth = Growth::default().first_slots(25).factor(1.3).slab_len_max(1 << 20);
/// let store = ObjectStore::options().growth(growth).make()?;
/// assert!(ObjectStore::options().growth(growth.factor(f64::NAN)).make().is_err());
/// # let _ = store;
/// # Ok::<(), pagestone_slab::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    first_slots: u32,
    factor: f64,
    slab_len_max: u64,
    keep_vacant: f64,
}

impl Default for Growth {
    fn default() -> Self {
        Self { first_slots: 32, factor: 1.25, slab_len_max: 2 << 20, keep_vacant: 0.5 }
    }
}

impl Growth {
    /// Sets how many slots the first slab of a pool has, at least: 1 to 131,072, 32 if not said. No slab has more than 131,072.
    #[must_use]
    pub fn first_slots(mut self, slots: u32) -> Self {
        self.first_slots = slots;
        self
    }

    /// Sets how much longer each slab is than the one before: 1 to 16, 1.25 if not said.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets how long the slots of a slab are together at most, in bytes: 1 and up, 2 MiB if not
    /// said. A slab has one slot at least, however long that is.
    #[must_use]
    pub fn slab_len_max(mut self, len: u64) -> Self {
        self.slab_len_max = len;
        self
    }

    /// Sets how much vacancy a pool keeps: above 0, 0.5 if not said.
    ///
    /// A slab whose last object goes is given back when the other slabs of its pool have, vacant,
    /// more than this part of its slots. So a pool that swings around the end of a slab keeps it.
    #[must_use]
    pub fn keep_vacant(mut self, share: f64) -> Self {
        self.keep_vacant = share;
        self
    }

    /// For a region file, whose regions have at least 64 KiB: slabs of 1,024 slots at first, 1 MiB
    /// at most.
    pub(crate) fn for_files() -> Self {
        Self { first_slots: 1024, factor: 2.0, slab_len_max: 1 << 20, keep_vacant: 0.5 }
    }

    /// Refuses what cannot work.
    pub(crate) fn checked(self) -> Result<Self> {
        if self.first_slots == 0 || SLOTS_MAX < self.first_slots {
            let what = format!("first slab of {} slots: 1 to {SLOTS_MAX} work", self.first_slots);
            return Err(Error::argument(what));
        }
        // Neither holds for a NaN.
        if !(1.0..=16.0).contains(&self.factor) {
            return Err(Error::argument(format!("growth factor {}: 1 to 16 work", self.factor)));
        }
        if self.slab_len_max == 0 {
            return Err(Error::argument("slabs of at most 0 bytes hold nothing"));
        }
        if !(self.keep_vacant.is_finite() && 0.0 < self.keep_vacant) {
            let what = format!("vacancy to keep {}: a number above 0 works", self.keep_vacant);
            return Err(Error::argument(what));
        }
        Ok(self)
    }

    /// How many slots the slab has that follows `slabs` others.
    pub(crate) fn slots(&self, slabs: usize, slot_size: u32) -> u32 {
        let most = self.slots_max(slot_size as usize);
        let power = i32::try_from(slabs).unwrap_or(i32::MAX);
        let wanted = f64::from(self.first_slots) * self.factor.powi(power);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number, cut to what is allowed; too large ones saturate"
        )]
        let wanted = wanted as u32;
        wanted.clamp(1, most)
    }

    /// How many slots a slab has at most.
    pub(crate) fn slots_max(&self, slot_size: usize) -> u32 {
        let most = self.slab_len_max / (slot_size as u64).max(1);
        u32::try_from(most).unwrap_or(SLOTS_MAX).clamp(1, SLOTS_MAX)
    }

    /// Whether an empty slab goes, when the others of its pool have `vacant` vacant slots.
    pub(crate) fn releases(&self, slots: u32, vacant: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a threshold, not a count")]
        let vacant = vacant as f64;
        f64::from(slots) * self.keep_vacant < vacant
    }
}
