//! The depth-first walk from the roots: each node gets a number, in the order of first visits.
//!
//! Every list is looked at once, from its beginning to its end, when its node is visited. What it
//! names and was not visited goes onto one stack, from which it is taken when it lies there
//! already: the last to name a node becomes its parent. The order is that of the walk which
//! recurses, while the stack never holds a node twice and is a list through the nodes.

use std::path::Path;

use super::{Links, bits::Bits, lane::Lane};
use crate::error::Result;

/// No node.
const NONE: u32 = u32::MAX;

/// What the walk found. Numbers start at 1; number 0 stands above all roots.
#[derive(Debug)]
pub(super) struct Walk {
    /// Nodes that were visited.
    pub(super) reached: u32,
    /// The number of each node, 0 for what was not visited; one place more than there are nodes.
    pub(super) numbers: Vec<u32>,
    /// The nodes in the order of their numbers.
    pub(super) order: Lane,
    /// The number from which each node was reached, in that order.
    pub(super) parents: Lane,
    /// One place more than there are nodes, for whoever comes next.
    pub(super) space: Vec<u64>,
}

/// Walks from `roots`; 12 bytes per node and two bits.
pub(super) fn walk(outbound: &impl Links, roots: &[u32], scratch: &Path) -> Result<Walk> {
    let count = outbound.node_count() as usize;
    let (mut numbers, mut space) = (vec![0; count + 1], vec![0; count + 1]);
    let mut stack = Stack {
        numbers: &mut numbers[..count],
        links: bytemuck::cast_slice_mut(&mut space[..count]),
        node_count: outbound.node_count(),
        is_waiting: Bits::new(count),
        is_visited: Bits::new(count),
        top: NONE,
    };
    let mut order = Lane::create(scratch, "walk-order.tmp")?;
    let mut parents = Lane::create(scratch, "walk-parents.tmp")?;
    for &root in roots.iter().rev() {
        stack.push(root, 0);
    }
    let mut reached = 0;
    while let Some((node, parent)) = stack.pop(reached + 1) {
        reached += 1;
        order.push(node)?;
        parents.push(parent)?;
        outbound.each(node, |target| stack.push(target, reached))?;
    }
    Ok(Walk { reached, numbers, order, parents, space })
}

/// What waits for its visit.
struct Stack<'s> {
    /// Of what waits, its parent; else as in [`Walk::numbers`].
    numbers: &'s mut [u32],
    /// Of what waits, the nodes above and below it.
    links: &'s mut [[u32; 2]],
    node_count: u32,
    is_waiting: Bits,
    is_visited: Bits,
    top: u32,
}

impl Stack<'_> {
    /// Puts a node on top unless it was visited.
    #[inline]
    fn push(&mut self, node: u32, parent: u32) {
        if self.node_count <= node || self.is_visited.contains(node) {
            return;
        }
        self.numbers[node as usize] = parent;
        if node == self.top {
            return;
        }
        if self.is_waiting.contains(node) {
            self.take_out(node);
        } else {
            self.is_waiting.insert(node);
        }
        self.links[node as usize] = [NONE, self.top];
        if self.top != NONE {
            self.links[self.top as usize][0] = node;
        }
        self.top = node;
    }

    /// Takes a node that is not the top out of the stack.
    fn take_out(&mut self, node: u32) {
        let [above, below] = self.links[node as usize];
        self.links[above as usize][1] = below;
        if below != NONE {
            self.links[below as usize][0] = above;
        }
    }

    /// Takes the top, which gets a number, and its parent.
    fn pop(&mut self, number: u32) -> Option<(u32, u32)> {
        let node = self.top;
        if node == NONE {
            return None;
        }
        self.top = self.links[node as usize][1];
        self.is_visited.insert(node);
        let parent = std::mem::replace(&mut self.numbers[node as usize], number);
        Some((node, parent))
    }
}
