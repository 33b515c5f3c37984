//! The edges of few nodes, in memory.

use super::Links;
use crate::{error::Result, wide};

/// For each node, the nodes to which it leads, or from which it is led to.
#[derive(Debug)]
pub(super) struct Adjacency {
    /// Where the list of each node begins, and where the last one ends.
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Adjacency {
    /// Room for the lists of `node_count` nodes with `edge_count` edges, below 2^32.
    pub(super) fn with_capacity(node_count: usize, edge_count: usize) -> Self {
        let mut starts = wide::list(node_count + 1);
        starts.push(0);
        Self { starts, ends: wide::list(edge_count) }
    }

    /// Adds an edge to the list under way.
    #[inline]
    pub(super) fn push(&mut self, end: u32) {
        self.ends.push(end);
    }

    /// Ends the list under way.
    #[inline]
    pub(super) fn end_list(&mut self) {
        self.starts.push(u32::try_from(self.ends.len()).unwrap_or(u32::MAX));
    }

    #[inline]
    fn list(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.ends[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The same edges from their other ends.
    pub(super) fn reversed(&self) -> Self {
        let count = self.starts.len() - 1;
        let mut starts = wide::filled(0_u32, count + 1);
        for &end in &self.ends {
            starts[end as usize] += 1;
        }
        // Where each list ends; it is filled from there.
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut ends = wide::filled(0_u32, self.ends.len());
        for node in (0..self.node_count()).rev() {
            for &end in self.list(node) {
                let place = &mut starts[end as usize];
                *place -= 1;
                ends[*place as usize] = node;
            }
        }
        Self { starts, ends }
    }
}

impl Links for Adjacency {
    fn node_count(&self) -> u32 {
        u32::try_from(self.starts.len() - 1).unwrap_or(u32::MAX)
    }

    #[inline]
    fn each(&self, node: u32, look: impl FnMut(u32)) -> Result<()> {
        self.list(node).iter().copied().for_each(look);
        Ok(())
    }
}
