//! The graph of a heap: exact dominators, what each node keeps alive, distances from the roots.
//!
//! Nodes are numbers from 0; what is not reached from the roots has no dominator and no distance.
//! Nothing recurses, so chains of millions of nodes are as good as any. Memory: at most 12 bytes
//! per node and some bits; what is used once and in order waits in files.

mod lane; // numbers that wait in a file
mod bits; // a mark for each node
mod walk; // the depth-first walk
mod semi; // semidominators
mod nearest; // from semidominators to dominators
mod dominators; // the tree, and sums over its subtrees
mod distance; // the breadth-first walk
#[cfg(test)]
mod tests; // against plain algorithms

pub(crate) use self::{
    distance::{UNREACHED, distances},
    dominators::Dominators,
};
use crate::error::Result;

/// For each node, the nodes at the other ends of its edges.
pub(crate) trait Links {
    /// Nodes are below it.
    fn node_count(&self) -> u32;

    /// Calls `look` with each node at the other end of an edge of `node`. Numbers that are no
    /// node are ignored, repeated ones do no harm.
    fn each(&self, node: u32, look: impl FnMut(u32)) -> Result<()>;
}

/// A graph from both sides, and where reaching begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Graph<'g, Out, In> {
    /// To which nodes each node leads.
    pub(crate) outbound: &'g Out,
    /// From which nodes each node is led to: the same edges.
    pub(crate) inbound: &'g In,
    /// Nodes that are reached to begin with; repeated ones do no harm.
    pub(crate) roots: &'g [u32],
}
