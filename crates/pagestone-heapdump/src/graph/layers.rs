//! The nodes that lead nowhere, taken off layer by layer; what is left is the core.
//!
//! A node without edges is an end; ends are the lowest layer and are not numbered here. The others
//! and all roots are *inner* nodes, numbered by their rank among them. An inner node whose edges
//! all lead to ends is in layer 1, one whose edges lead to ends and lower layers in the next one.
//! Nothing in a layer leads to the core, nor to its own or a higher layer: so the core can be
//! looked at without them, and each layer once those above it are known.
//!
//! Edges to roots are dropped: nothing but all roots together dominates a root, and it is near.

use super::{Graph, Links, adjacency::Adjacency, bits::Bits, ranked::Ranked};
use crate::{error::Result, wide};

/// The highest layer; what would lie higher stays in the core.
const LAYER_MAX: u8 = 8;

/// The layer of what is in the core; roots have one of their own and never leave it.
const CORE: u8 = 0;
const ROOT: u8 = u8::MAX;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Set in the last target of a list.
const LAST: u32 = 1 << 31;

/// The only word of a list without targets.
const NOTHING: u32 = u32::MAX;

/// The inner nodes of a graph, and their edges to each other.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(super) inner: Ranked,
    /// By inner node.
    by_node: Vec<u8>,
    /// The targets of each inner node, one list behind the other; layer 1 has no lists.
    words: Vec<u32>,
}

impl Layers {
    /// Takes the layers off. None where inner nodes and edges need more than `memory` bytes.
    /// O(nodes + edges): reads all edges once.
    ///
    /// # Errors
    ///
    /// Those of the lists.
    pub(crate) fn read<Out: Links, In: Links>(
        graph: &Graph<'_, Out, In>,
        memory: u64,
    ) -> Result<Option<Self>> {
        let count = graph.outbound.node_count();
        let mut is_root = Bits::new(count as usize);
        for &root in graph.roots.iter().filter(|&&root| root < count) {
            is_root.insert(root);
        }
        let mut inner = Bits::full(count as usize);
        graph.outbound.for_each_end(|node| {
            if !is_root.contains(node) {
                inner.remove(node);
            }
        })?;
        let inner = Ranked::new(inner);
        // Five bytes stand for an inner node beside its words.
        let words_max = memory.saturating_sub(u64::from(inner.len()) * 5) / 4;
        let words_max = usize::try_from(words_max).unwrap_or(usize::MAX).min(NONE as usize / 2);
        if LAST <= inner.len() {
            return Ok(None);
        }
        let mut layers = Vec::with_capacity(inner.len() as usize);
        let mut words = wide::list(2 * inner.len() as usize);
        graph.outbound.for_each(
            |node| inner.contains(node),
            |node, targets| {
                let start = words.len();
                if words_max < start + targets.len() {
                    return Ok(());
                }
                for &target in targets {
                    let is_edge = target < count && target != node && inner.contains(target);
                    if is_edge && !is_root.contains(target) {
                        words.push(inner.rank(target));
                    }
                }
                match words[start..].last_mut() {
                    Some(last) => *last |= LAST,
                    None if is_root.contains(node) => words.push(NOTHING),
                    None => {
                        layers.push(1);
                        return Ok(());
                    }
                }
                layers.push(if is_root.contains(node) { ROOT } else { CORE });
                Ok(())
            },
        )?;
        if layers.len() < inner.len() as usize {
            return Ok(None);
        }
        let mut found = Self { inner, by_node: layers, words };
        // Most of what can be taken off is by few looks.
        while found.by_node.len() / 32 < found.take_off() {}
        Ok(Some(found).filter(|found| found.memory() <= memory))
    }

    /// How much memory finding dominators takes, with what is here.
    fn memory(&self) -> u64 {
        let core = self.by_node.iter().filter(|layer| matches!(**layer, CORE | ROOT));
        let core = core.count() as u64;
        let core_edges = self.core_edge_count() as u64;
        let (inner, words) = (self.by_node.len() as u64, self.words.len() as u64);
        let below = words.saturating_sub(core_edges);
        let in_core = inner + 4 * below + 20 * core + 8 * core_edges;
        let in_layers = 9 * inner + 4 * below + 16 * core;
        let in_sums = 17 * inner + 8 * core;
        in_core.max(in_layers).max(in_sums)
    }

    /// Takes off what leads to layers alone; says how many nodes these are.
    fn take_off(&mut self) -> usize {
        let mut taken = 0;
        let mut lists = Words { words: &self.words, at: 0 };
        for node in 0..self.by_node.len() {
            match self.by_node[node] {
                1 => continue,
                CORE => {}
                _ => {
                    lists.skip();
                    continue;
                }
            }
            let list = lists.next();
            let mut highest = 1;
            let is_core = |&word: &u32| {
                let layer = self.by_node[(word & !LAST) as usize];
                highest = highest.max(layer);
                layer == CORE
            };
            if !list.iter().any(is_core) && highest < LAYER_MAX {
                self.by_node[node] = highest + 1;
                taken += 1;
            }
        }
        taken
    }

    /// How many layers there are.
    pub(super) fn layer_max(&self) -> u8 {
        self.by_node.iter().copied().filter(|&layer| layer != ROOT).max().unwrap_or(0)
    }

    /// The layer of an inner node, none in the core.
    #[inline]
    pub(super) fn layer(&self, node: u32) -> Option<u8> {
        match self.by_node[node as usize] {
            CORE | ROOT => None,
            layer => Some(layer),
        }
    }

    /// Cuts out the core: which inner nodes are in it, and its edges among its own nodes, which
    /// are numbered by rank.
    pub(super) fn cut_core(&mut self) -> (Ranked, Adjacency) {
        let mut core = Bits::new(self.by_node.len());
        for (node, _) in
            (0..).zip(&self.by_node).filter(|(_, layer)| matches!(**layer, CORE | ROOT))
        {
            core.insert(node);
        }
        let core = Ranked::new(core);
        let mut edges = Adjacency::with_capacity(core.len() as usize, self.core_edge_count());
        let (mut from, mut to) = (0, 0);
        for (node, &layer) in (0..).zip(&self.by_node) {
            if layer == 1 {
                continue;
            }
            let start = to;
            loop {
                let word = self.words[from];
                from += 1;
                if word != NOTHING && core.contains(word & !LAST) {
                    // Nothing but the core leads to it.
                    edges.push(core.rank(word & !LAST));
                } else if word != NOTHING {
                    self.words[to] = word & !LAST;
                    to += 1;
                }
                if word & LAST != 0 {
                    break;
                }
            }
            if core.contains(node) {
                edges.end_list();
            }
            if start == to {
                self.words[to] = NOTHING;
                to += 1;
            } else {
                self.words[to - 1] |= LAST;
            }
        }
        self.words.truncate(to);
        self.words.shrink_to_fit();
        (core, edges)
    }

    /// Edges to nodes of the core, which begin there too.
    fn core_edge_count(&self) -> usize {
        let is_edge = |&&word: &&u32| {
            let layer = self.by_node.get((word & !LAST) as usize);
            word != NOTHING && layer == Some(&CORE)
        };
        self.words.iter().filter(is_edge).count()
    }

    /// Calls `look` with the inner nodes of one layer in order, or of the core, and those nodes of
    /// lower layers to which each leads.
    pub(super) fn for_each_of(&self, layer: Option<u8>, mut look: impl FnMut(u32, &[u32])) {
        let mut lists = Words { words: &self.words, at: 0 };
        let mut targets = Vec::new();
        for (node, own) in (0..).zip(&self.by_node) {
            if *own == 1 {
                continue;
            }
            if self.layer(node) != layer {
                lists.skip();
                continue;
            }
            targets.clear();
            let list = lists.next().iter().filter(|&&word| word != NOTHING);
            targets.extend(list.map(|word| word & !LAST));
            look(node, &targets);
        }
    }

    /// Forgets the edges.
    pub(super) fn forget_edges(&mut self) {
        self.words = Vec::new();
    }
}

/// Lists, one behind the other.
struct Words<'w> {
    words: &'w [u32],
    at: usize,
}

impl<'w> Words<'w> {
    #[inline]
    fn skip(&mut self) {
        while self.words[self.at] & LAST == 0 {
            self.at += 1;
        }
        self.at += 1;
    }

    #[inline]
    fn next(&mut self) -> &'w [u32] {
        let start = self.at;
        self.skip();
        &self.words[start..self.at]
    }
}
