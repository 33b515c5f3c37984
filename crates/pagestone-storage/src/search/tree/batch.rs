//! Many searches in the tree at once.
//!
//! Probes go in blocks through a pipeline: while the records of one block are on their way from
//! memory, the next block is one stage behind. A stage asks for what the next one reads.
#![expect(clippy::inline_always, reason = "has to compile with the CPU features of the caller")]

use crate::search::{
    Keys,
    count::{Counter, Work},
    keys::{prefetch_line, word_index},
    tree::{
        Probe, Tree, proves,
        shape::{Level, STRETCH},
    },
};

/// Probes of a block.
const LANES: usize = 32;
/// Stages after those of the levels: marks, records, edges.
const LAST_STAGES: usize = 3;

impl Tree<'_> {
    /// [`lower_bound`](Self::lower_bound) of each probe, in the order of the probes. Best with
    /// hundreds of probes; nothing is allocated.
    ///
    /// # Panics
    ///
    /// If there is not one answer per probe.
    pub(crate) fn lower_bound_many(&self, keys: impl Keys, probes: &[u64], answers: &mut [u64]) {
        assert!(probes.len() == answers.len(), "one answer per probe");
        self.simd.run(Many { tree: self, keys, probes, answers });
    }

    /// Takes one block through one stage. `places` holds, per probe, what the stage before found:
    /// a node, a group, the start of a stretch, an answer.
    #[inline(always)]
    fn stage<K: Keys, C: Counter>(&self, stage: usize, block: Block<'_, K, C>) {
        let levels = self.layout.levels();
        if stage < 1 {
            for (key, place) in block.probes.iter().zip(block.places) {
                // What comes next is one of few places, which stay in the cache.
                *place = self.top(&levels[0], Probe { key: *key, counter: block.counter });
            }
        } else if stage < levels.len() {
            self.level_stage(&levels[stage..], block);
        } else if stage <= levels.len() {
            for (key, place) in block.probes.iter().zip(block.places) {
                *place = self.stretch(*place, Probe { key: *key, counter: block.counter });
                block.keys.prefetch(*place, STRETCH);
            }
        } else if stage <= levels.len() + 1 {
            self.records_stage(block);
        } else {
            for lane in block.edges.lanes() {
                let lane = usize::from(*lane);
                let place = &mut block.places[lane];
                *place = self.settle(block.keys, block.probes[lane], *place);
            }
        }
    }

    /// Goes down one level, the first of `levels`.
    #[inline(always)]
    fn level_stage<K, C: Counter>(&self, levels: &[Level], block: Block<'_, K, C>) {
        let level = levels[0];
        let lanes = block.probes.iter().zip(block.places);
        match levels.get(1).map(|next| next.first_node) {
            Some(next) => {
                for (key, place) in lanes {
                    let probe = Probe { key: *key, counter: block.counter };
                    *place = self.descend(&level, *place, probe);
                    let node = self.nodes.as_ptr().wrapping_add(word_index(next + *place));
                    prefetch_line(node.cast());
                    prefetch_line(node.cast::<u8>().wrapping_add(64));
                }
            }
            None => {
                for (key, place) in lanes {
                    let probe = Probe { key: *key, counter: block.counter };
                    *place = self.descend(&level, *place, probe);
                    prefetch_line(self.marks.as_ptr().wrapping_add(word_index(*place)).cast());
                }
            }
        }
    }

    /// Counts in the records, and notes the lanes whose answer has a neighbour elsewhere.
    #[inline(always)]
    fn records_stage<K: Keys, C>(&self, block: Block<'_, K, C>) {
        let Block { keys, probes, places, edges, .. } = block;
        edges.len = 0;
        for (lane, (probe, place)) in (0_u8..).zip(probes.iter().zip(&mut *places)) {
            let count = self.count(keys, *place, *probe);
            *place += count;
            edges.lanes[edges.len] = lane;
            edges.len += usize::from(!proves(count));
        }
        for lane in edges.lanes() {
            keys.prefetch(places[usize::from(*lane)].saturating_sub(1), 1);
        }
    }
}

/// Probes that go through the pipeline together.
struct Block<'b, K, C> {
    keys: K,
    counter: C,
    probes: &'b [u64],
    places: &'b mut [u64],
    edges: &'b mut Edges,
}

/// The lanes whose answer lies at the edge of its stretch and is yet to be checked. One is enough:
/// a block is checked before the next one is counted.
struct Edges {
    lanes: [u8; LANES],
    len: usize,
}

impl Edges {
    #[inline(always)]
    fn lanes(&self) -> &[u8] {
        &self.lanes[..self.len]
    }
}

struct Many<'t, K> {
    tree: &'t Tree<'t>,
    keys: K,
    probes: &'t [u64],
    answers: &'t mut [u64],
}

impl<K: Keys> Work for Many<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run(self, counter: impl Counter) {
        let Self { tree, keys, probes, answers } = self;
        if tree.layout.record_count() < 1 {
            answers.fill(0);
            return;
        }
        let stages = tree.layout.levels().len() + LAST_STAGES;
        let blocks = probes.len().div_ceil(LANES);
        let mut edges = Edges { lanes: [0; LANES], len: 0 };
        for time in 0..blocks + stages - 1 {
            // The block furthest ahead goes first.
            for stage in (0..stages).rev() {
                let Some(block) = time.checked_sub(stage) else { continue };
                if blocks <= block {
                    break;
                }
                let start = block * LANES;
                let end = probes.len().min(start + LANES);
                let (probes, places) = (&probes[start..end], &mut answers[start..end]);
                tree.stage(stage, Block { keys, counter, probes, places, edges: &mut edges });
            }
        }
    }
}
