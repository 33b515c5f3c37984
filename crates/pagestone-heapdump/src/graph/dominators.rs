//! The tree of dominators: what stands between a node and all roots, and sums over subtrees.

use std::path::{Path, PathBuf};

use super::{
    Graph, Links,
    lane::Lane,
    nearest, semi,
    walk::{self, Walk},
};
use crate::error::Result;

/// The dominators of all nodes that are reached.
#[derive(Debug)]
pub(crate) struct Dominators {
    node_count: u32,
    reached: u32,
    /// The numbers of the nodes, 0 for what is not reached.
    numbers: Lane,
    /// The nodes in the order of their numbers.
    order: Lane,
    /// By number, the number of the dominator; 0 above all roots.
    tree: Vec<u32>,
    /// By number, what was summed last; empty once it was told.
    sums: Vec<u64>,
    scratch: PathBuf,
}

/// Where a node that is reached stands in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The immediate dominator; the number of nodes where no single node is one.
    pub(crate) parent: u32,
    /// What [`Dominators::sum`] summed over the node and all that it dominates.
    pub(crate) sum: u64,
}

impl Dominators {
    /// Finds them, in O(edges · log nodes) and 12 bytes per node, some bits, and 16 bytes per node in
    /// files of the directory `scratch`, which are gone when it returns or ends.
    ///
    /// # Errors
    ///
    /// Those of the lists; `Io` and `OutOfSpace` of the files.
    pub(crate) fn find<Out: Links, In: Links>(
        graph: &Graph<'_, Out, In>,
        scratch: &Path,
    ) -> Result<Self> {
        let (walk, numbers) = find(graph, scratch)?;
        let node_count = graph.outbound.node_count();
        let Walk { reached, numbers: tree, order, space: mut sums, .. } = walk;
        sums.clear();
        Ok(Self { node_count, reached, numbers, order, tree, sums, scratch: scratch.to_path_buf() })
    }

    /// The tree by itself: by number the number of the dominator and its jump, and the numbers of
    /// the nodes.
    pub(super) fn tree<Out: Links, In: Links>(
        graph: &Graph<'_, Out, In>,
        scratch: &Path,
    ) -> Result<(Vec<u32>, Vec<u64>, Lane)> {
        let (walk, numbers) = find(graph, scratch)?;
        let Walk { reached, numbers: mut tree, space: mut jumps, .. } = walk;
        let count = reached as usize + 1;
        tree.truncate(count);
        jumps.truncate(count);
        Ok((tree, jumps, numbers))
    }

    /// How many nodes are reached.
    pub(crate) fn reached(&self) -> u32 {
        self.reached
    }

    /// Sums, for each node that is reached, its `weight` and those of all that it dominates.
    /// Asks for the weights in the order of the nodes; too great a sum stays at `u64::MAX`.
    ///
    /// # Errors
    ///
    /// Those of `weight`; `Io`.
    pub(crate) fn sum(&mut self, mut weight: impl FnMut(u32) -> Result<u64>) -> Result<()> {
        self.sums.clear();
        self.sums.resize(self.tree.len(), 0);
        let mut numbers = self.numbers.forwards()?;
        for node in 0..self.node_count {
            let number = numbers.next_within(self.reached)?;
            if number != 0 {
                self.sums[number as usize] = weight(node)?;
            }
        }
        // What is dominated has the greater number.
        for number in (1..=self.reached as usize).rev() {
            let above = self.tree[number] as usize;
            self.sums[above] = self.sums[above].saturating_add(self.sums[number]);
        }
        Ok(())
    }

    /// Calls `look` with every node in order and what was summed last, 0 where it is not reached.
    ///
    /// # Errors
    ///
    /// Those of `look`; `Io`.
    pub(crate) fn for_each_sum(
        &mut self,
        mut look: impl FnMut(u32, u64) -> Result<()>,
    ) -> Result<()> {
        let mut numbers = self.numbers.forwards()?;
        for node in 0..self.node_count {
            let number = numbers.next_within(self.reached)?;
            let sum = if number == 0 { 0 } else { self.sums[number as usize] };
            look(node, sum)?;
        }
        Ok(())
    }

    /// Calls `look` with every node in order and its place, none where it is not reached. The
    /// sums are gone behind it: they wait in a file while the order takes their place in memory.
    ///
    /// # Errors
    ///
    /// Those of `look`; `Io`.
    pub(crate) fn for_each(
        &mut self,
        mut look: impl FnMut(u32, Option<Place>) -> Result<()>,
    ) -> Result<()> {
        let mut lane = Lane::create(&self.scratch, "walk-sums.tmp")?;
        self.for_each_sum(|_, sum| {
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
            let [low, high] = [sum as u32, (sum >> 32) as u32];
            lane.push(low)?;
            lane.push(high)
        })?;
        self.sums = Vec::new();
        let mut sums = lane.forwards()?;
        let order = self.order.load(self.reached as usize)?;
        let mut numbers = self.numbers.forwards()?;
        for node in 0..self.node_count {
            let number = numbers.next_within(self.reached)?;
            let sum = u64::from(sums.next()?) | u64::from(sums.next()?) << 32;
            let place = (number != 0).then(|| Place {
                parent: match self.tree[number as usize] {
                    0 => self.node_count,
                    above => order[above as usize - 1],
                },
                sum,
            });
            look(node, place)?;
        }
        Ok(())
    }
}

/// The walk with the tree in the place of its numbers, and these.
fn find<Out: Links, In: Links>(graph: &Graph<'_, Out, In>, scratch: &Path) -> Result<(Walk, Lane)> {
    let mut walk = walk::walk(graph.outbound, graph.roots, scratch)?;
    let mut semis = semi::semidominators(graph, &mut walk, scratch)?;
    let mut numbers = Lane::create(scratch, "walk-numbers.tmp")?;
    for &number in &walk.numbers[..graph.outbound.node_count() as usize] {
        numbers.push(number)?;
    }
    nearest::dominators(&mut walk, &mut semis)?;
    Ok((walk, numbers))
}
