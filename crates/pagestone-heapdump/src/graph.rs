//! The graph of a heap: exact dominators, what each node keeps alive, distances from the roots.
//!
//! Nodes are numbers from 0; what is not reached from the roots has no dominator and no distance.
//! Nothing recurses, so chains of millions of nodes are as good as any. What is used once and in
//! order waits in files.
//!
//! Much of a heap leads nowhere: strings and their arrays, boxed numbers, what holds such alone.
//! [`Layers`] takes it off, layer by layer, and what is left, the core, is small enough for lists
//! in memory; the layers are put below it again one by one. Where a graph has too many edges for
//! that, [`Dominators`] and [`distances`] work on all of it, in 12 bytes per node and some bits.

mod lane; // numbers that wait in a file
mod bits; // a mark for each node
mod walk; // the depth-first walk
mod semi; // semidominators
mod nearest; // from semidominators to dominators
mod dominators; // the tree, and sums over its subtrees
mod distance; // the breadth-first walk
mod ranked; // some of the nodes, numbered by themselves
mod adjacency; // lists in memory
mod layers; // the nodes that lead nowhere, layer by layer, and the core
mod above; // the nearest node above two
mod places; // where each node stands
#[cfg(test)]
mod tests; // against plain algorithms

pub(crate) use self::{
    distance::{UNREACHED, distances},
    dominators::{Dominators, Place},
    layers::Layers,
    places::{Found, Places},
};
use crate::error::Result;

/// For each node, the nodes at the other ends of its edges.
pub(crate) trait Links {
    /// Nodes are below it.
    fn node_count(&self) -> u32;

    /// Calls `look` with each node at the other end of an edge of `node`. Numbers that are no
    /// node are ignored, repeated ones do no harm.
    fn each(&self, node: u32, look: impl FnMut(u32)) -> Result<()>;

    /// Calls `look` with the nodes that are `wanted`, in order, each with the other ends of its
    /// edges.
    fn for_each(
        &self,
        wanted: impl Fn(u32) -> bool,
        mut look: impl FnMut(u32, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let mut ends = Vec::new();
        for node in (0..self.node_count()).filter(|&node| wanted(node)) {
            ends.clear();
            self.each(node, |end| ends.push(end))?;
            look(node, &ends)?;
        }
        Ok(())
    }

    /// Calls `look` with the nodes that have no edges, in order.
    fn for_each_end(&self, mut look: impl FnMut(u32)) -> Result<()> {
        for node in 0..self.node_count() {
            let mut is_end = true;
            self.each(node, |_| is_end = false)?;
            if is_end {
                look(node);
            }
        }
        Ok(())
    }
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
