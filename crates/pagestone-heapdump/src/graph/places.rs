//! Where each node stands: its dominator, what it keeps alive, its distance from the roots.

use std::path::{Path, PathBuf};

use super::{
    Graph, Links, UNREACHED,
    above::{Above, Slot},
    distances,
    dominators::Dominators,
    lane::{Lane, Reader},
    layers::{Layers, NONE},
    ranked::Ranked,
};
use crate::{error::Result, wide};

/// Where a node that is reached stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The immediate dominator; the number of nodes where no single node is one.
    pub(crate) parent: u32,
    /// Edges from the nearest root.
    pub(crate) distance: u32,
    /// Weights of the node and of all that it dominates; `u64::MAX` where that is too much.
    pub(crate) sum: u64,
    /// How many nodes these are.
    pub(crate) count: u32,
}

/// The dominators and distances of all nodes, by way of layers.
#[derive(Debug)]
pub(crate) struct Places {
    layers: Layers,
    /// By number of the core's walk, the inner node; for 0 their number.
    order: Vec<u32>,
    /// By inner node, the one that is its dominator: their number above all roots, [`NONE`] for
    /// what is not reached.
    parents: Vec<u32>,
    /// By inner node.
    distances: Lane,
    /// For each end, the name of its dominator and its distance.
    ends: Lane,
    node_count: u32,
    reached: u32,
    scratch: PathBuf,
}

impl Places {
    /// Finds them, in O(edges · log nodes), from the `layers` of the graph. Memory: 17 bytes per
    /// inner node, 20 per node and 8 per edge of the core, 4 per edge to a layer, some bits; and
    /// files of the directory `scratch`, which are gone when it returns or ends.
    ///
    /// # Errors
    ///
    /// Those of the lists; `Io` and `OutOfSpace` of the files.
    pub(crate) fn find<Out: Links, In: Links>(
        graph: &Graph<'_, Out, In>,
        mut layers: Layers,
        scratch: &Path,
    ) -> Result<Self> {
        let node_count = graph.outbound.node_count();
        let roots = graph.roots.iter().copied().filter(|&root| root < node_count);
        let (core, mut above) = core(roots, &mut layers, scratch)?;
        put_below(&mut above, &layers, None);
        for layer in (2..=layers.layer_max()).rev() {
            put_below(&mut above, &layers, Some(layer));
        }
        layers.forget_edges();
        let mut ends = Lane::create(scratch, "tree-ends.tmp")?;
        let inner_reached = above.slots.iter().filter(|slot| slot.name != NONE).count();
        let mut reached = u32::try_from(inner_reached).unwrap_or(NONE);
        graph.inbound.for_each(
            |node| !layers.inner.contains(node),
            |_, sources| {
                let sources = sources.iter().copied().filter(|&source| source < node_count);
                let found = end(&above, &layers, sources);
                reached += u32::from(found.is_some());
                let (name, distance) = found.unwrap_or((NONE, UNREACHED));
                ends.push(name)?;
                ends.push(distance)
            },
        )?;
        let mut distances = Lane::create(scratch, "tree-distances.tmp")?;
        above.slots.iter().try_for_each(|slot| distances.push(slot.distance()))?;
        let (order, parents) = parents(above, &core);
        let scratch = scratch.to_path_buf();
        Ok(Self { layers, order, parents, distances, ends, node_count, reached, scratch })
    }

    /// How many nodes are reached.
    pub(crate) fn reached(&self) -> u32 {
        self.reached
    }

    /// Sums weights over what each node dominates. `tell` gives the weights of all nodes in
    /// order; 12 bytes per inner node beside what the value holds.
    ///
    /// # Errors
    ///
    /// Those of `tell`; `Io`.
    pub(crate) fn sum(
        mut self,
        tell: impl FnOnce(&mut Weights<'_>) -> Result<()>,
    ) -> Result<Summed> {
        let Self { layers, order, parents, ends, .. } = &mut self;
        let names = Names { order, layers };
        let places = parents.len() + 1;
        let sums = Sums { sums: wide::filled(0, places), counts: wide::filled(0, places) };
        let ends = ends.forwards()?;
        let mut weights = Weights { names, parents, ends, inner_before: 0, next: 0, sums };
        tell(&mut weights)?;
        let Weights { mut sums, .. } = weights;
        for layer in 1..=layers.layer_max() {
            for (node, &parent) in (0..).zip(&*parents) {
                if parent != NONE && layers.layer(node) == Some(layer) {
                    sums.pass_up(node, parent);
                }
            }
        }
        // What is dominated has the greater number.
        for &node in order[1..].iter().rev() {
            sums.pass_up(node, parents[node as usize]);
        }
        let mut lane = Lane::create(&self.scratch, "tree-sums.tmp")?;
        let sum_of_all = sums.sums.pop().unwrap_or(0);
        for (&sum, &count) in sums.sums.iter().zip(&sums.counts) {
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
            let [low, high] = [sum as u32, (sum >> 32) as u32];
            [low, high, count].into_iter().try_for_each(|part| lane.push(part))?;
        }
        drop(sums);
        let mut nodes = Vec::with_capacity(self.parents.len() + 1);
        self.layers.inner.for_each(|node| nodes.push(node));
        nodes.push(self.node_count);
        Ok(Summed { places: self, sums: lane, nodes, sum_of_all })
    }
}

/// The name of the dominator of an end, and its distance; none where it is not reached.
#[inline]
fn end(above: &Above, layers: &Layers, sources: impl Iterator<Item = u32>) -> Option<(u32, u32)> {
    let mut found: Option<(u32, u32)> = None;
    for source in sources.filter(|&source| layers.inner.contains(source)) {
        let Some((from, distance)) = above.name(layers.inner.rank(source)) else { continue };
        let distance = distance.saturating_add(1);
        found = Some(match found {
            None => (from, distance),
            Some((name, least)) => (above.nearest(layers, (name, from)), least.min(distance)),
        });
    }
    found
}

/// The dominators and distances of the core.
fn core(
    roots: impl Iterator<Item = u32>,
    layers: &mut Layers,
    scratch: &Path,
) -> Result<(Ranked, Above)> {
    let (core, edges) = layers.cut_core();
    let roots: Vec<u32> = roots.map(|root| core.rank(layers.inner.rank(root))).collect();
    let (tree, jumps, mut numbers) = {
        let inbound = edges.reversed();
        let graph = Graph { outbound: &edges, inbound: &inbound, roots: &roots };
        Dominators::tree(&graph, scratch)?
    };
    let distances = distances(&edges, &roots)?;
    drop(edges);
    let mut slots = wide::filled(Slot::ABSENT, layers.inner.len() as usize);
    let mut numbers = numbers.forwards()?;
    let reached = u32::try_from(tree.len() - 1).unwrap_or(NONE);
    let mut filled = Ok(());
    let mut next = distances.iter();
    core.for_each(|node| {
        let distance = next.next().copied().unwrap_or(UNREACHED);
        match numbers.next_within(reached) {
            Ok(0) => {}
            Ok(name) => slots[node as usize] = Slot::of_core(name, distance),
            Err(error) => filled = Err(error),
        }
    });
    filled?;
    drop(distances);
    let mut tops: Vec<u32> = Vec::with_capacity(tree.len());
    for (number, &above) in (0..).zip(&tree) {
        tops.push(if above == 0 { number } else { tops[above as usize] });
    }
    Ok((core, Above { tree, jumps, tops, slots }))
}

/// Looks at all edges from a layer, or the core, to lower layers.
fn put_below(above: &mut Above, layers: &Layers, layer: Option<u8>) {
    layers.for_each_of(layer, |node, targets| {
        let Some((name, distance)) = above.name(node) else { return };
        for &target in targets {
            above.add(layers, target, (name, distance.saturating_add(1)));
        }
    });
}

/// The inner nodes in the order of the core's walk, and the dominator of each.
fn parents(above: Above, core: &Ranked) -> (Vec<u32>, Vec<u32>) {
    let Above { tree, jumps, tops, slots } = above;
    drop((jumps, tops));
    let mut order = vec![0; tree.len()];
    order[0] = u32::try_from(slots.len()).unwrap_or(NONE);
    core.for_each(|node| {
        let name = slots[node as usize].name;
        if name != NONE {
            order[name as usize] = node;
        }
    });
    let parent = |(node, slot): (u32, &Slot)| match slot.name {
        NONE => NONE,
        number if core.contains(node) => order[tree[number as usize] as usize],
        name => inner_node(&order, name),
    };
    let parents = (0..).zip(&slots).map(parent).collect();
    (order, parents)
}

/// The inner node with a name.
#[inline]
fn inner_node(order: &[u32], name: u32) -> u32 {
    match order.get(name as usize) {
        Some(&node) => node,
        None => name - u32::try_from(order.len()).unwrap_or(name),
    }
}

/// What names stand for.
#[derive(Debug, Clone, Copy)]
struct Names<'p> {
    order: &'p [u32],
    layers: &'p Layers,
}

/// By inner node, weights summed and how many these are; behind them those of all roots.
struct Sums {
    sums: Vec<u64>,
    counts: Vec<u32>,
}

impl Sums {
    #[inline]
    fn add(&mut self, node: u32, (sum, count): (u64, u32)) {
        // None for what is not reached.
        let node = node as usize;
        if let (Some(sums), Some(counts)) = (self.sums.get_mut(node), self.counts.get_mut(node)) {
            *sums = sums.saturating_add(sum);
            // Below the number of nodes.
            *counts = counts.wrapping_add(count);
        }
    }

    /// Adds what a node has to what is above it.
    #[inline]
    fn pass_up(&mut self, node: u32, above: u32) {
        let own = (self.sums[node as usize], self.counts[node as usize]);
        self.add(above, own);
    }
}

/// Takes the weights of all nodes.
pub(crate) struct Weights<'p> {
    names: Names<'p>,
    parents: &'p [u32],
    ends: Reader<'p>,
    inner_before: u32,
    next: u32,
    sums: Sums,
}

impl Weights<'_> {
    /// Takes the weight of the next node.
    #[inline]
    pub(crate) fn push(&mut self, weight: u64) -> Result<()> {
        let node = self.next;
        self.next += 1;
        let inner = if self.names.layers.inner.contains(node) {
            self.inner_before += 1;
            let inner = self.inner_before - 1;
            if self.parents[inner as usize] == NONE { NONE } else { inner }
        } else {
            let name = self.ends.next()?;
            self.ends.next()?;
            if name == NONE { NONE } else { inner_node(self.names.order, name) }
        };
        self.sums.add(inner, (weight, 1));
        Ok(())
    }
}

/// The places of all nodes, with sums.
#[derive(Debug)]
pub(crate) struct Summed {
    places: Places,
    /// By inner node: the halves of its sum, its count.
    sums: Lane,
    /// By inner node, the node; behind them the number of nodes.
    nodes: Vec<u32>,
    sum_of_all: u64,
}

impl Summed {
    /// The weights of all nodes that are reached.
    pub(crate) fn sum_of_all(&self) -> u64 {
        self.sum_of_all
    }

    /// The places of the nodes, to be taken in order.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub(crate) fn rows(&mut self) -> Result<Rows<'_>> {
        let Self { places, sums, nodes, .. } = self;
        let Places { layers, order, parents, distances, ends, .. } = places;
        Ok(Rows {
            names: Names { order, layers },
            parents,
            nodes,
            distances: distances.forwards()?,
            ends: ends.forwards()?,
            sums: sums.forwards()?,
            inner_before: 0,
            next: 0,
        })
    }
}

/// The places of the nodes in order.
pub(crate) struct Rows<'p> {
    names: Names<'p>,
    parents: &'p [u32],
    nodes: &'p [u32],
    distances: Reader<'p>,
    ends: Reader<'p>,
    sums: Reader<'p>,
    inner_before: usize,
    next: u32,
}

impl Rows<'_> {
    /// The place of the next node, whose own weight is `weight`; none where it is not reached.
    ///
    /// # Errors
    ///
    /// `Io`.
    #[inline]
    pub(crate) fn next(&mut self, weight: u64) -> Result<Option<Found>> {
        let node = self.next;
        self.next += 1;
        let (parent, distance, sum, count);
        if self.names.layers.inner.contains(node) {
            parent = self.parents[self.inner_before];
            self.inner_before += 1;
            distance = self.distances.next()?;
            sum = u64::from(self.sums.next()?) | u64::from(self.sums.next()?) << 32;
            count = self.sums.next()?;
        } else {
            let name = self.ends.next()?;
            parent = if name == NONE { NONE } else { inner_node(self.names.order, name) };
            distance = self.ends.next()?;
            (sum, count) = (weight, 1);
        }
        if parent == NONE {
            return Ok(None);
        }
        // What the files say is no node where they were changed.
        let parent = self.nodes.get(parent as usize).copied().unwrap_or(NONE);
        Ok(Some(Found { parent, distance, sum, count }))
    }
}
