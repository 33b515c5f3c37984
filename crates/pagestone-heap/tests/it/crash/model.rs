//! What a file holds, and what it may hold after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use pagestone_heap::{BlockId, SlabShape};

/// The heaps that operations know.
pub(crate) const HEAPS: [&str; 2] = ["blocks", "more"];

/// The log that operations know; its entries stand among the blocks of heaps.
pub(crate) const LOG: &str = "entries";

/// The slabs that operations know; their objects stand among the blocks of heaps.
pub(crate) const SLOTS: &str = "slots";

/// The numbers that operations know; those that are not 0 stand there too.
pub(crate) const NUMBERS: &str = "numbers";

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) flags: u32,
}

/// All blocks and roots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Contents {
    pub(crate) heaps: BTreeMap<String, BTreeMap<BlockId, Block>>,
    pub(crate) roots: BTreeMap<String, BlockId>,
    pub(crate) slabs: BTreeMap<u64, SlabShape>,
}

/// A state of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Model {
    pub(crate) contents: Contents,
    /// Every id that was given out and not made void.
    pub(crate) given: BTreeSet<(String, BlockId)>,
}

impl Model {
    /// All live blocks of heaps.
    pub(crate) fn live(&self) -> Vec<(String, BlockId)> {
        let heaps = self.contents.heaps.iter();
        let heaps = heaps.filter(|(name, _)| HEAPS.contains(&name.as_str()));
        heaps.flat_map(|(name, blocks)| blocks.keys().map(|id| (name.clone(), *id))).collect()
    }
}

/// What a run has come to when an operation has returned.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What the process saw last; before the first operation, all that it may see.
    pub(crate) newest: Vec<Rc<Model>>,
    /// The last commit with its generation.
    pub(crate) committed: Vec<(u64, Rc<Model>)>,
    /// The block that the operation stored to where it lies.
    pub(crate) torn: Option<(String, BlockId)>,
}

/// What may be found after a crash between two steps.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) newest: Vec<Rc<Model>>,
    pub(crate) committed: Vec<(u64, Rc<Model>)>,
    torn: Option<(String, BlockId)>,
}

impl Expected {
    /// After the operation that led to `steps[last]` returned; the next one may be under way.
    pub(crate) fn between(steps: &[Step], last: usize) -> Self {
        let mut all = Self { newest: vec![], committed: vec![], torn: None };
        for step in steps.iter().skip(last).take(2) {
            all.newest.extend(step.newest.iter().cloned());
            all.committed.extend(step.committed.iter().cloned());
        }
        all.torn = steps.get(last + 1).and_then(|step| step.torn.clone());
        all
    }

    /// The state that a kill left, if it is one that it may leave.
    pub(crate) fn after_kill(&self, found: &Contents) -> Option<Rc<Model>> {
        let exact = self.newest.iter().find(|model| model.contents == *found);
        exact.cloned().or_else(|| self.torn_into(found))
    }

    /// A state in which one block mixes old and new words.
    fn torn_into(&self, found: &Contents) -> Option<Rc<Model>> {
        let (heap, id) = self.torn.as_ref()?;
        let block = |contents: &Contents| contents.heaps.get(heap)?.get(id).cloned();
        let torn = block(found)?;
        let sides: Vec<Block> =
            self.newest.iter().filter_map(|model| block(&model.contents)).collect();
        let mixed = sides.iter().all(|side| side.bytes.len() == torn.bytes.len())
            && (0..torn.bytes.len()).step_by(8).all(|at| {
                let word = |bytes: &[u8]| bytes[at..].iter().take(8).copied().collect::<Vec<_>>();
                sides.iter().any(|side| word(&side.bytes) == word(&torn.bytes))
            });
        let mut model = Model::clone(self.newest.first()?);
        model.contents.heaps.get_mut(heap)?.insert(*id, torn);
        (mixed && model.contents == *found).then(|| Rc::new(model))
    }

    /// The committed state of this generation, if it is the one that was found.
    pub(crate) fn after_power_loss(&self, generation: u64, found: &Contents) -> Option<Rc<Model>> {
        let mut all = self.committed.iter();
        let right =
            |(its, model): &&(u64, Rc<Model>)| *its == generation && model.contents == *found;
        all.find(right).map(|(_, model)| Rc::clone(model))
    }

    /// Says what was expected, in short.
    pub(crate) fn describe(&self, found: &Contents) -> String {
        let counts = |contents: &Contents| -> String {
            let heaps = contents.heaps.iter();
            let heaps: Vec<String> = heaps
                .map(|(name, blocks)| {
                    let blocks: Vec<String> = blocks
                        .iter()
                        .map(|(id, block)| {
                            let sum: u64 = block.bytes.iter().map(|byte| u64::from(*byte)).sum();
                            format!("{id:?}:{}~{sum}/{}", block.bytes.len(), block.flags)
                        })
                        .collect();
                    format!("{name}[{}]", blocks.join(" "))
                })
                .collect();
            let slabs: Vec<u64> = contents.slabs.keys().copied().collect();
            format!("{} roots {:?} slabs {slabs:?}", heaps.join(" "), contents.roots)
        };
        let newest: Vec<String> = self.newest.iter().map(|model| counts(&model.contents)).collect();
        let committed: Vec<String> = self
            .committed
            .iter()
            .map(|(generation, model)| format!("{generation}: {}", counts(&model.contents)))
            .collect();
        format!("found {}\n newest {newest:#?}\n committed {committed:#?}", counts(found))
    }
}

/// Bytes that tell which they are; long ones are mostly zeros, so that few words change.
pub(crate) fn bytes(seed: u64, len: usize) -> Arc<[u8]> {
    let mut bytes = vec![0; len];
    let mark = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).to_le_bytes();
    let step = if len <= 64 { 8 } else { (len / 3).max(40) };
    for at in (0..len).step_by(step).chain([len.saturating_sub(8)]) {
        let count = mark.len().min(len - at);
        bytes[at..at + count].copy_from_slice(&mark[..count]);
    }
    bytes.into()
}
