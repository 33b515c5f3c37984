//! Whose block is at a place: its header says which slot to ask, and the slot decides.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    class::GRAIN,
    engine::Engine,
    id::BlockId,
    store::Store,
    word::{View, Word},
};

/// The stores whose blocks are looked for.
pub(super) struct Owners {
    stores: Vec<Arc<Store>>,
    /// The store of the last block that was found.
    hint: Cell<usize>,
}

/// A block of the newest state.
#[derive(Debug)]
pub(super) struct Live<'o> {
    pub(super) store: &'o Store,
    pub(super) id: BlockId,
    pub(super) slot: u64,
    pub(super) word: Word,
}

impl Owners {
    pub(super) fn of(engine: &Engine<'_>) -> Self {
        let stores = engine.shared.stores();
        Self { stores: stores.iter().flatten().map(Arc::clone).collect(), hint: Cell::new(0) }
    }

    /// The block that starts at `at`, if a newest word names one there.
    #[inline]
    pub(super) fn find(&self, engine: &Engine<'_>, at: u64) -> Option<Live<'_>> {
        let id = BlockId::from_bits(engine.shared.raw.load(at, Ordering::Relaxed));
        let tag = engine.shared.tag();
        // The store of the last block that was found is as good as certain to be that of the next.
        for nth in 0..self.stores.len() {
            let which = (self.hint.get() + nth) % self.stores.len();
            let store = &self.stores[which];
            let Some(slot) = store.parts.pair(id.index()) else { continue };
            let word = engine.shared.pair(slot).word(tag, View::Newest);
            if !word.is_empty() && word.body() * GRAIN == at {
                self.hint.set(which);
                return Some(Live { store, id, slot, word });
            }
        }
        None
    }
}
