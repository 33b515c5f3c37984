//! From semidominators to dominators: the nearest node above a node's parent, in the tree of
//! dominators, whose number is not above the semidominator.
//!
//! The second half of the semi-NCA algorithm: L. Georgiadis, "Linear-Time Algorithms for
//! Dominators and Related Problems", Princeton 2005. That walks up one by one, which takes
//! quadratic time on some graphs; here it goes by the jumps of E. W. Myers, "An applicative
//! random-access stack", Information Processing Letters 17 (1983): O(nodes · log nodes).

use super::{lane::Lane, walk::Walk};
use crate::error::Result;

/// How a node of the tree is left: the number jumped to, and its depth.
pub(super) type Jump = [u32; 2];

/// Puts the dominator of each number over the numbers of nodes in `walk`; that of 0 is 0.
pub(super) fn dominators(walk: &mut Walk, semis: &mut Lane) -> Result<()> {
    let tree = &mut walk.numbers;
    let jumps: &mut [Jump] = bytemuck::cast_slice_mut(&mut walk.space);
    (tree[0], jumps[0]) = (0, [0, 0]);
    let mut parents = walk.parents.forwards()?;
    let mut semis = semis.backwards()?;
    for number in 1..=walk.reached {
        let mut at = parents.next_within(number - 1)?;
        let semi = semis.next_within(at)?;
        while semi < at {
            let jump = jumps[at as usize][0];
            at = if semi < jump { jump } else { tree[at as usize] };
        }
        tree[number as usize] = at;
        jumps[number as usize] = below(jumps, at);
    }
    Ok(())
}

/// The jump of a node below `at`: as far as two jumps of equal length from `at`, or to `at`.
#[inline]
fn below(jumps: &[Jump], at: u32) -> Jump {
    let [once, depth] = jumps[at as usize];
    let [twice, middle] = jumps[once as usize];
    let far = jumps[twice as usize][1];
    let to = if depth - middle == middle - far { twice } else { at };
    [to, depth + 1]
}
