//! Counts of a store and of each of its pools.

use pagestone_storage::raw::Content;

use crate::{class::Class, pools::Pools};

/// What a store counts. Lengths are bytes.
///
/// Summed up over all slabs when asked for; a walk over all objects finds the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The pools that have slabs, shortest objects first.
    pub pools: Vec<PoolStats>,
    /// Live objects.
    pub live: u64,
    /// Vacant slots, those at rest included.
    pub vacant: u64,
    /// All memory: slabs, what is ready for more, what finds them, and the index.
    pub mapped: u64,
    /// Bytes of live objects.
    pub payload: u64,
    /// Of `mapped`, what is ready for slabs to come.
    pub spare: u64,
    /// Of `mapped`, what finds slabs.
    pub directory_len: u64,
    /// Of `mapped`, what finds objects by value.
    pub index_len: u64,
}

/// What a pool counts. Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolStats {
    /// Bytes of a slot; 0 for objects that are too long for slots.
    pub slot_size: u64,
    /// Slabs.
    pub slabs: u64,
    /// Live objects.
    pub live: u64,
    /// Vacant slots, those at rest included.
    pub vacant: u64,
    /// Memory of the slabs with all that lies beside the slots.
    pub mapped: u64,
    /// Bytes of live objects.
    pub payload: u64,
}

impl Stats {
    /// Returns the memory that is not payload.
    #[must_use]
    pub fn overhead(&self) -> u64 {
        self.mapped.saturating_sub(self.payload)
    }

    /// Returns which part of the bytes of all slots holds nothing: 0 where none are wasted.
    #[must_use]
    pub fn fragmentation(&self) -> f64 {
        let slots = self.pools.iter().filter(|pool| pool.slot_size != 0);
        let (all, used) =
            slots.fold((0, 0), |(all, used), pool| (all + pool.slots_len(), used + pool.payload));
        wasted(all, used)
    }
}

impl PoolStats {
    /// Returns the memory that is not payload.
    #[must_use]
    pub fn overhead(&self) -> u64 {
        self.mapped.saturating_sub(self.payload)
    }

    /// Returns the bytes of all slots.
    #[must_use]
    pub fn slots_len(&self) -> u64 {
        self.slot_size * (self.live + self.vacant)
    }

    /// Returns which part of the bytes of all slots holds nothing: 0 where none are wasted.
    #[must_use]
    pub fn fragmentation(&self) -> f64 {
        if self.slot_size == 0 { 0.0 } else { wasted(self.slots_len(), self.payload) }
    }

    pub(crate) fn of<C: Content + ?Sized>(pools: &Pools<C>, class: Class) -> Self {
        let facts = pools.facts(class);
        Self {
            slot_size: u64::from(class.slot_size()),
            slabs: facts.slabs,
            live: facts.live,
            vacant: facts.slots - facts.live,
            mapped: facts.mapped,
            payload: facts.payload,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn wasted(all: u64, used: u64) -> f64 {
    if all == 0 { 0.0 } else { 1.0 - used as f64 / all as f64 }
}

impl Stats {
    pub(crate) fn of<C: Content + ?Sized>(pools: &Pools<C>, index_len: u64) -> Self {
        let rows: Vec<PoolStats> =
            pools.classes().map(|class| PoolStats::of(pools, class)).collect();
        let sum = |part: fn(&PoolStats) -> u64| rows.iter().map(part).sum::<u64>();
        let directory_len = pools.directory_len();
        Self {
            live: sum(|pool| pool.live),
            vacant: sum(|pool| pool.vacant),
            mapped: sum(|pool| pool.mapped) + pools.spare() + directory_len + index_len,
            spare: pools.spare(),
            payload: sum(|pool| pool.payload),
            directory_len,
            index_len,
            pools: rows,
        }
    }
}
