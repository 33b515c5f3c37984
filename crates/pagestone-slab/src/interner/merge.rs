//! The strings of one interner taken into another, and what their symbols are there.

use std::hash::BuildHasher;

use pagestone_storage::raw::Content;

use super::{
    Interner, Symbol,
    texts::{SLOT_BITS, SLOTS_MAX},
};
use crate::error::Result;

/// From the symbols of one interner to those of another.
#[derive(Debug, Clone, Default)]
pub struct SymbolMap(Vec<Vec<Option<Symbol>>>);

impl SymbolMap {
    /// Returns what a symbol of the interner that was merged is in the other; `None` for a symbol
    /// that named nothing there.
    #[must_use]
    pub fn get(&self, symbol: Symbol) -> Option<Symbol> {
        let slab = self.0.get((symbol.index() >> SLOT_BITS) as usize)?;
        *slab.get((symbol.index() % SLOTS_MAX) as usize)?
    }

    fn set(&mut self, from: Symbol, to: Symbol) {
        let (slab, slot) = (from.index() >> SLOT_BITS, from.index() % SLOTS_MAX);
        if self.0.len() <= slab as usize {
            self.0.resize_with(slab as usize + 1, Vec::new);
        }
        let slab = &mut self.0[slab as usize];
        if slab.len() <= slot as usize {
            slab.resize(slot as usize + 1, None);
        }
        slab[slot as usize] = Some(to);
    }
}

impl<C: Content + ?Sized, S: BuildHasher> Interner<C, S> {
    /// Takes in all strings of `other` and returns what its symbols are here.
    ///
    /// With counts, each string is held as often more as it is in `other`: once, where that keeps
    /// no counts.
    ///
    /// # Errors
    ///
    /// As [`intern`](Self::intern); what was taken in before stays.
    pub fn merge<O: BuildHasher>(&mut self, other: &Interner<C, O>) -> Result<SymbolMap> {
        let mut map = SymbolMap::default();
        for (from, string) in other.iter() {
            let to = self.intern(string)?;
            if self.counts {
                self.hold(to, other.ref_count(from)? - 1)?;
            }
            map.set(from, to);
        }
        Ok(map)
    }
}
