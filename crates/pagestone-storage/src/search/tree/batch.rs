//! Many searches in the tree at once.
//!
//! Probes go in blocks through a pipeline: while the records of one block are on their way from
//! memory, the next block is one stage behind. A stage asks for what the next one reads.
#![expect(clippy::inline_always, reason = "has to compile with the CPU features of the caller")]

use std::hint::select_unpredictable;

use crate::search::{
    Keys,
    count::{Counter, Work},
    keys::{ABSENT, prefetch_line, word_index},
    tree::{
        Parts, Probe, Tree, proves,
        shape::{Level, STRETCH},
    },
};

/// Probes of a block.
const LANES: usize = 32;
/// Stages after those of the levels: marks, records, edges.
const LAST_STAGES: usize = 3;

impl Tree<'_> {
    /// The first record that has each probe, or [`ABSENT`], in the
    /// order of the probes. Best with hundreds of probes; nothing is allocated.
    ///
    /// # Panics
    ///
    /// If there is not one answer per probe.
    pub(crate) fn find_many(&self, keys: impl Keys, probes: &[u64], answers: &mut [u64]) {
        assert!(probes.len() == answers.len(), "one answer per probe");
        self.simd.run(Many { tree: self, keys, probes, answers });
    }

    /// How many stages come before that of the stretches.
    #[inline(always)]
    fn descents(&self) -> usize {
        if self.counts.is_some() { 1 } else { self.layout.levels().len() }
    }

    /// Takes one block through one stage. `places` holds, per probe, what the stage before found:
    /// a node, a group, the start of a stretch, an answer.
    ///
    /// What the next stage reads is asked for in a loop of its own: an address is translated
    /// before its prefetch is done with, and only among few instructions do several translations
    /// go on at once.
    #[inline(always)]
    fn stage<K: Keys, C: Counter>(&self, stage: usize, block: Block<'_, K, C>) {
        let Block { keys, counter, probes, places, edges } = block;
        let (levels, parts) = (self.layout.levels(), self.parts);
        let lanes = probes.iter().map(|&key| Probe { key, counter }).zip(&mut *places);
        let descents = self.descents();
        if let (Some(counts), 0) = (self.counts, stage) {
            for (probe, place) in lanes {
                *place = counts.cell(probe.key);
            }
            counts.prefetch(places);
        } else if stage < 1 {
            for (probe, place) in lanes {
                // What comes next is one of few places, which stay in the cache.
                *place = parts.top(&levels[0], probe);
            }
        } else if stage < descents {
            let level = levels[stage];
            for (probe, place) in lanes {
                *place = parts.descend(&level, *place, probe);
            }
            parts.prefetch_under(levels.get(stage + 1), places);
        } else if stage <= descents {
            for (probe, place) in lanes {
                *place = match self.counts {
                    Some(counts) => counts.start(*place),
                    None => parts.stretch(*place, probe),
                };
            }
            keys.prefetch_all(places, STRETCH);
        } else if stage <= descents + 1 {
            parts.records_stage(Block { keys, counter, probes, places, edges });
        } else {
            for lane in edges.lanes() {
                let lane = usize::from(*lane);
                let at = self.settle(keys, probes[lane], places[lane]);
                places[lane] = keys.found_at(at, (parts.record_count, probes[lane]));
            }
        }
    }
}

impl Parts<'_> {
    /// Asks for what lies under words: nodes of the next level, or else marks.
    #[inline(always)]
    fn prefetch_under(self, next: Option<&Level>, places: &[u64]) {
        let Some(next) = next else {
            for place in places {
                prefetch_line(self.marks.as_ptr().wrapping_add(word_index(*place)).cast());
            }
            return;
        };
        let nodes = self.nodes.as_ptr().wrapping_add(word_index(next.first_node));
        for place in places {
            let node = nodes.wrapping_add(word_index(*place)).cast::<u8>();
            prefetch_line(node);
            prefetch_line(node.wrapping_add(64));
        }
    }

    /// Counts in the records, and notes the lanes whose answer has a neighbour elsewhere.
    #[inline(always)]
    fn records_stage<K: Keys, C>(self, block: Block<'_, K, C>) {
        let Block { keys, probes, places, edges, .. } = block;
        edges.len = 0;
        for (lane, (probe, place)) in (0_u8..).zip(probes.iter().zip(&mut *places)) {
            let count = self.count(keys, *place, *probe);
            let is_answer = proves(count);
            edges.lanes[edges.len] = lane;
            edges.len += usize::from(!is_answer);
            // A record of the stretch, which is at hand; edges wait for the next stage.
            let inside = (*place + count.min(STRETCH - 1)).min(self.record_count - 1);
            let is_other = keys.key_at(inside) != *probe;
            *place = select_unpredictable(is_answer & is_other, ABSENT, *place + count);
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
            answers.fill(ABSENT);
            return;
        }
        let stages = tree.descents() + LAST_STAGES;
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
