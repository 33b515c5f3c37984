//! Semidominators: of each node the smallest number that leads to it past greater numbers only.
//!
//! The first half of T. Lengauer and R. E. Tarjan, "A Fast Algorithm for Finding Dominators in a
//! Flowgraph", ACM TOPLAS 1 (1979), with simple path compression: O(edges · log nodes).

use std::path::Path;

use super::{Graph, Links, bits::Bits, lane::Lane, walk::Walk};
use crate::error::Result;

/// A node of the forest: the number above it, and the least semidominator from it up to where
/// its tree ends.
type Linked = [u32; 2];

/// Edges that wait to be looked at.
const WAITING_MAX: usize = if cfg!(test) { 8 } else { 16 << 10 };

/// Returns the semidominators of all numbers, from the greatest number down.
pub(super) fn semidominators<Out, In: Links>(
    graph: &Graph<'_, Out, In>,
    walk: &mut Walk,
    scratch: &Path,
) -> Result<Lane> {
    let Walk { reached, numbers, order, parents, space } = walk;
    let is_root = roots(graph.roots, numbers);
    let forest: &mut [Linked] = bytemuck::cast_slice_mut(space);
    let mut parents = parents.forwards()?;
    for number in 1..=*reached {
        forest[number as usize] = [parents.next_within(number - 1)?, 0];
    }
    let mut pass = Pass { forest, begun: Vec::new(), looked_at: 0, sources: Vec::new() };
    let mut semis = Lane::create(scratch, "walk-semis.tmp")?;
    let mut order = order.backwards()?;
    for number in (1..=*reached).rev() {
        let node = order.next()?;
        let parent = pass.forest[number as usize][0];
        let semi = if is_root.contains(number) { 0 } else { parent };
        pass.begun.push(Begun { number, semi, end: pass.sources.len() });
        if semi != 0 {
            graph.inbound.each(node, |from| {
                // 0: not reached, so it does not matter.
                let from = numbers.get(from as usize).copied().unwrap_or(0);
                if from != 0 {
                    pass.add(from);
                }
            })?;
        }
        if WAITING_MAX <= pass.begun.len() + pass.sources.len() {
            pass.look();
            pass.end(&mut semis)?;
        }
    }
    pass.look();
    pass.end(&mut semis)?;
    Ok(semis)
}

/// A number whose semidominator is being found.
struct Begun {
    number: u32,
    /// The least number found so far.
    semi: u32,
    /// Where its sources end.
    end: usize,
}

/// The work on some numbers, which is put off so that memory is asked for much at once.
struct Pass<'f> {
    forest: &'f mut [Linked],
    /// From the greatest number down.
    begun: Vec<Begun>,
    /// How many of these have no edge that waits, nor will have one.
    looked_at: usize,
    /// From where edges come to these numbers: greater numbers.
    sources: Vec<u32>,
}

impl Pass<'_> {
    /// Adds an edge to the number begun last.
    #[inline]
    fn add(&mut self, from: u32) {
        let Some(last) = self.begun.last_mut() else { return };
        if from <= last.number {
            last.semi = last.semi.min(from);
            return;
        }
        self.sources.push(from);
        last.end = self.sources.len();
        if self.sources.len() == WAITING_MAX {
            self.look();
        }
    }

    /// Looks at all edges that wait. More may come to the last number. The others must not be
    /// touched again: what they tell the forest may have become less since, on a way made short.
    fn look(&mut self) {
        // Memory answers these reads side by side; each of those below waits for the one before.
        let touched = self.sources.iter().fold(0, |all, from| all ^ self.forest[*from as usize][0]);
        std::hint::black_box(touched);
        let mut start = 0;
        for Begun { number, semi, end } in &mut self.begun[self.looked_at..] {
            for &from in &self.sources[start..*end] {
                *semi = (*semi).min(lowest(self.forest, from, *number));
            }
            (start, *end) = (*end, 0);
            self.forest[*number as usize][1] = *semi;
        }
        self.looked_at = self.begun.len().saturating_sub(1);
        self.sources.clear();
    }

    /// Ends the numbers that were looked at.
    fn end(&mut self, semis: &mut Lane) -> Result<()> {
        self.looked_at = 0;
        self.begun.drain(..).try_for_each(|begun| semis.push(begun.semi))
    }
}

/// The numbers of the roots.
fn roots(roots: &[u32], numbers: &[u32]) -> Bits {
    let mut found = Bits::new(numbers.len());
    for number in roots.iter().filter_map(|&root| numbers.get(root as usize)) {
        found.insert(*number);
    }
    found
}

/// The least semidominator on the way up from `from`, as far as the numbers above `last`, which
/// are those whose semidominators are known. Makes the way short for the next time.
#[inline]
fn lowest(forest: &mut [Linked], from: u32, last: u32) -> u32 {
    let [above, lowest] = forest[from as usize];
    if above <= last { lowest } else { compress(forest, from, last) }
}

/// Goes up, turning each link around, and down again, linking all to the end.
fn compress(forest: &mut [Linked], from: u32, last: u32) -> u32 {
    let (mut below, mut at) = (from, from);
    loop {
        let above = forest[at as usize][0];
        if above <= last {
            break;
        }
        forest[at as usize][0] = below;
        (below, at) = (at, above);
    }
    let [end, mut lowest] = forest[at as usize];
    while at != from {
        let [next, own] = forest[below as usize];
        lowest = lowest.min(own);
        forest[below as usize] = [end, lowest];
        (at, below) = (below, next);
    }
    lowest
}
