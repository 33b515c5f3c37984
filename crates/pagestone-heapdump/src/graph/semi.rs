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
    let mut semis = Lane::create(scratch, "walk-semis.tmp")?;
    let mut order = order.backwards()?;
    for number in (1..=*reached).rev() {
        let node = order.next()?;
        let mut semi = if is_root.contains(number) { 0 } else { forest[number as usize][0] };
        if semi != 0 {
            graph.inbound.each(node, |from| {
                // 0: not reached, so it does not matter.
                let from = numbers.get(from as usize).copied().unwrap_or(0);
                if from != 0 {
                    let reach = if number < from { least(forest, from, number) } else { from };
                    semi = semi.min(reach);
                }
            })?;
        }
        forest[number as usize][1] = semi;
        semis.push(semi)?;
    }
    Ok(semis)
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
fn least(forest: &mut [Linked], from: u32, last: u32) -> u32 {
    let [above, least] = forest[from as usize];
    if above <= last { least } else { compress(forest, from, last) }
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
    let [end, mut least] = forest[at as usize];
    while at != from {
        let [next, own] = forest[below as usize];
        least = least.min(own);
        forest[below as usize] = [end, least];
        (at, below) = (below, next);
    }
    least
}
