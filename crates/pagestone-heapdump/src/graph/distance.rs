//! The breadth-first walk: how many edges a node is from the nearest root.

use super::{Links, bits::Bits};
use crate::error::Result;

/// The distance of what is not reached.
pub(crate) const UNREACHED: u32 = u32::MAX;

/// The distance of each node from the nearest root, whose own is 0; [`UNREACHED`] for what no
/// root leads to. O(nodes + edges), 8 bytes per node and two bits.
///
/// # Errors
///
/// Those of the lists.
pub(crate) fn distances(outbound: &impl Links, roots: &[u32]) -> Result<Vec<u32>> {
    let count = outbound.node_count();
    let mut distances = vec![UNREACHED; count as usize];
    let mut is_seen = Bits::new(count as usize);
    // Nodes of one distance, and behind them those of the next.
    let mut queue: Vec<u32> = Vec::new();
    let mut add = |queue: &mut Vec<u32>, node: u32| {
        if node < count && !is_seen.contains(node) {
            is_seen.insert(node);
            queue.push(node);
        }
    };
    for &root in roots {
        add(&mut queue, root);
    }
    let mut next: Vec<u32> = Vec::new();
    let mut sorter = Bits::new(count as usize);
    let mut distance = 0;
    while !queue.is_empty() {
        sorter.sort(&mut queue);
        for &node in &queue {
            distances[node as usize] = distance;
            outbound.each(node, |target| add(&mut next, target))?;
        }
        queue.clear();
        std::mem::swap(&mut queue, &mut next);
        distance += 1;
    }
    Ok(distances)
}
