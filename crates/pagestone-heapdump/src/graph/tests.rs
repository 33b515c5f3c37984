//! The graph algorithms against plain ones, and on shapes that are hard for some.
#![expect(clippy::result_large_err, reason = "the error of proptest's macro")]

use std::path::Path;

use proptest::{collection::vec, prelude::*};

use super::{Dominators, Graph, Layers, Links, Place, Places, UNREACHED, distances};
use crate::error::Result;

/// Lists in memory.
struct Lists(Vec<Vec<u32>>);

impl Links for Lists {
    fn node_count(&self) -> u32 {
        u32::try_from(self.0.len()).expect("few nodes")
    }

    fn each(&self, node: u32, look: impl FnMut(u32)) -> Result<()> {
        self.0[node as usize].iter().copied().for_each(look);
        Ok(())
    }
}

/// A graph, and what is found in it.
struct Case {
    outbound: Lists,
    inbound: Lists,
    roots: Vec<u32>,
}

type Found = Vec<Option<Place>>;

impl Case {
    fn new(count: u32, edges: &[(u32, u32)], roots: &[u32]) -> Self {
        let empty = || Lists(vec![Vec::new(); count as usize]);
        let (mut outbound, mut inbound) = (empty(), empty());
        for &(from, to) in edges {
            outbound.0[from as usize].push(to);
            inbound.0[to as usize].push(from);
        }
        Self { outbound, inbound, roots: roots.to_vec() }
    }

    fn graph(&self) -> Graph<'_, Lists, Lists> {
        Graph { outbound: &self.outbound, inbound: &self.inbound, roots: &self.roots }
    }

    /// What is found in the whole graph, and by way of layers.
    fn found(&self, weight: impl Fn(u32) -> u64) -> Found {
        let found = self.found_whole(&weight);
        let places = self.found_by_layers(&weight);
        let reached = |place: Option<super::Found>| {
            place.map(|super::Found { parent, sum, .. }| Place { parent, sum })
        };
        assert_eq!(places.iter().copied().map(reached).collect::<Found>(), found);
        let measured = distances(&self.outbound, &self.roots).expect("distances");
        let distance = |place: &Option<super::Found>| place.map_or(UNREACHED, |at| at.distance);
        assert_eq!(places.iter().map(distance).collect::<Vec<_>>(), measured);
        let counted = self.found_whole(|_| 1).into_iter().map(|place| place.map(|at| at.sum));
        let counts = places.iter().map(|place| place.map(|at| u64::from(at.count)));
        assert!(counts.eq(counted), "counts");
        found
    }

    fn found_by_layers(&self, weight: impl Fn(u32) -> u64) -> Vec<Option<super::Found>> {
        let scratch = tempfile::tempdir().expect("a directory");
        let layers = Layers::read(&self.graph(), u64::MAX).expect("layers").expect("room");
        let places = Places::find(&self.graph(), layers, scratch.path()).expect("places");
        assert!(is_empty(scratch.path()), "files are left");
        let (count, reached) = (self.outbound.node_count(), places.reached());
        let summed =
            places.sum(|weights| (0..count).try_for_each(|node| weights.push(weight(node))));
        let mut summed = summed.expect("sums");
        let mut rows = summed.rows().expect("rows");
        let row = |node| rows.next(weight(node)).expect("a row");
        let found: Vec<_> = (0..count).map(row).collect();
        assert_eq!(found.iter().flatten().count(), reached as usize);
        found
    }

    fn found_whole(&self, weight: impl Fn(u32) -> u64) -> Found {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut found = Dominators::find(&self.graph(), scratch.path()).expect("dominators");
        assert!(is_empty(scratch.path()), "files are left");
        found.sum(|node| Ok(weight(node))).expect("sums");
        let mut places = Vec::new();
        let mut look = |node: u32, place| {
            assert_eq!(node as usize, places.len());
            places.push(place);
            Ok(())
        };
        found.for_each(&mut look).expect("places");
        let reached = places.iter().filter(|place| place.is_some()).count();
        assert_eq!(reached, found.reached() as usize);
        places
    }

    /// What is reached without passing `without`.
    fn reach(&self, without: Option<u32>) -> Vec<bool> {
        let mut is_reached = vec![false; self.outbound.0.len()];
        let mut waiting: Vec<u32> = self.roots.clone();
        while let Some(node) = waiting.pop() {
            if Some(node) != without && !is_reached[node as usize] {
                is_reached[node as usize] = true;
                waiting.extend(&self.outbound.0[node as usize]);
            }
        }
        is_reached
    }

    /// The dominators by the definition: what is not reached without a node is below it.
    fn naive(&self, weight: impl Fn(u32) -> u64) -> Found {
        let count = self.outbound.node_count();
        let all = self.reach(None);
        let cut: Vec<Vec<bool>> = (0..count).map(|node| self.reach(Some(node))).collect();
        let dominates = |above: u32, node: u32| {
            let node = node as usize;
            all[above as usize] && all[node] && !cut[above as usize][node]
        };
        let size = |above| (0..count).filter(|&node| dominates(above, node)).count();
        let place = |node: u32| Place {
            // Of the strict dominators, the nearest one dominates the fewest.
            parent: (0..count)
                .filter(|&above| above != node && dominates(above, node))
                .min_by_key(|&above| size(above))
                .unwrap_or(count),
            sum: (0..count).filter(|&below| dominates(node, below)).map(&weight).sum(),
        };
        (0..count).map(|node| all[node as usize].then(|| place(node))).collect()
    }

    fn naive_distances(&self) -> Vec<u32> {
        let mut distances = vec![UNREACHED; self.outbound.0.len()];
        self.roots.iter().for_each(|&root| distances[root as usize] = 0);
        for distance in 0..self.outbound.node_count() {
            for (from, targets) in self.outbound.0.iter().enumerate() {
                if distances[from] == distance {
                    for &to in targets {
                        let to = &mut distances[to as usize];
                        *to = (*to).min(distance + 1);
                    }
                }
            }
        }
        distances
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).expect("a directory").next().is_none()
}

/// Weights that tell all subsets of a few nodes apart.
fn power(node: u32) -> u64 {
    1 << node
}

#[track_caller]
fn check(count: u32, edges: &[(u32, u32)], roots: &[u32], parents: &[Option<u32>]) {
    let case = Case::new(count, edges, roots);
    let found = case.found(power);
    let above: Vec<Option<u32>> = found.iter().map(|place| Some((*place)?.parent)).collect();
    assert_eq!(above, parents);
    assert_eq!(found, case.naive(power));
    let measured = distances(&case.outbound, &case.roots).expect("distances");
    assert_eq!(measured, case.naive_distances());
}

#[test]
fn no_root_reaches_nothing() {
    check(0, &[], &[], &[]);
    check(2, &[(0, 1), (1, 0)], &[], &[None, None]);
}

#[test]
fn roots_have_no_dominator() {
    check(3, &[(0, 1), (1, 2)], &[0, 1, 1], &[Some(3), Some(3), Some(1)]);
}

#[test]
fn a_diamond_joins_below_its_top() {
    check(4, &[(0, 1), (0, 2), (1, 3), (2, 3)], &[0], &[Some(4), Some(0), Some(0), Some(0)]);
}

#[test]
fn two_roots_share_what_both_reach() {
    check(3, &[(0, 2), (1, 2)], &[0, 1], &[Some(3), Some(3), Some(3)]);
}

#[test]
fn cycles_and_self_loops_change_nothing() {
    let edges = [(0, 0), (0, 1), (1, 2), (2, 1), (2, 2), (2, 0), (1, 1)];
    check(3, &edges, &[0], &[Some(3), Some(0), Some(1)]);
}

#[test]
fn what_is_not_reached_does_not_count() {
    check(4, &[(3, 1), (0, 1), (1, 2), (3, 2)], &[0], &[Some(4), Some(0), Some(1), None]);
}

#[test]
fn an_irreducible_graph_has_its_dominators() {
    // Two ways into a cycle.
    check(3, &[(0, 1), (0, 2), (1, 2), (2, 1)], &[0], &[Some(3), Some(0), Some(0)]);
    // The flow graph of Lengauer and Tarjan's paper: R is 0, A to L are 1 to 12.
    let lists: [&[u32]; 13] = [
        &[1, 2, 3],
        &[4],
        &[1, 4, 5],
        &[6, 7],
        &[12],
        &[8],
        &[9],
        &[9, 10],
        &[5, 11],
        &[11],
        &[9],
        &[0, 9],
        &[8],
    ];
    let edges: Vec<(u32, u32)> =
        (0..).zip(lists).flat_map(|(from, to)| to.iter().map(move |&to| (from, to))).collect();
    let parents = [13, 0, 0, 0, 0, 0, 3, 3, 0, 0, 7, 0, 4].map(Some);
    check(13, &edges, &[0], &parents);
}

#[test]
fn nodes_that_do_not_exist_are_ignored() {
    let mut case = Case::new(2, &[(0, 1)], &[0, 7, u32::MAX]);
    case.outbound.0[0].extend([2, 3, u32::MAX]);
    case.inbound.0[1].extend([2, 3, u32::MAX]);
    let parents: Vec<u32> = case.found(power).into_iter().flatten().map(|it| it.parent).collect();
    assert_eq!(parents, [2, 0]);
    assert_eq!(distances(&case.outbound, &case.roots).expect("distances"), [0, 1]);
}

#[test]
fn a_chain_of_a_million_is_walked() {
    let count = 1_000_000;
    // Back edges to every second node, so that paths are long where they are compressed.
    let edges: Vec<(u32, u32)> = (1..count)
        .map(|node| (node - 1, node))
        .chain((2..count).map(|node| (count - 1, node)))
        .collect();
    let case = Case::new(count, &edges, &[0]);
    let found = case.found(|_| 1);
    for (node, place) in (0..count).zip(found) {
        let parent = node.checked_sub(1).unwrap_or(count);
        assert_eq!(place, Some(Place { parent, sum: u64::from(count - node) }));
    }
    let measured = distances(&case.outbound, &case.roots).expect("distances");
    assert!((0..count).eq(measured));
}

#[test]
fn a_tree_of_dominators_that_is_climbed_often_is_climbed_fast() {
    // A chain, and on its end nodes that lead back to the top of it, whose semidominators are
    // far above their parents: walking up one by one would take 10¹⁰ steps.
    let (chain, fan) = (300_000, 300_000);
    let count = chain + fan;
    // The chain's edge comes last in each list, so that the walk goes down it first.
    let edges: Vec<(u32, u32)> = (chain..count)
        .map(|node| (node % 7, node))
        .chain((1..count).map(|node| (node.min(chain) - 1, node)))
        .collect();
    let found = Case::new(count, &edges, &[0]).found(|_| 1);
    for node in chain..count {
        assert_eq!(found[node as usize], Some(Place { parent: node % 7, sum: 1 }), "{node}");
    }
}

#[test]
fn sums_do_not_wrap() {
    let found = Case::new(2, &[(0, 1)], &[0]).found(|_| u64::MAX - 1);
    let sums: Vec<u64> = found.into_iter().flatten().map(|place| place.sum).collect();
    assert_eq!(sums, [u64::MAX, u64::MAX - 1]);
}

/// The edges of a graph with hubs: nodes to which most others lead, as classes are.
fn with_hubs(count: u32, hubs: &[u32], edges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let near = (1..count).map(|node| (node - 1 - (node % 3).min(node - 1), node));
    let random = edges.iter().map(|&(from, to)| (from % count, to % count));
    let to_hubs = hubs.iter().flat_map(|&hub| {
        (0..count)
            .filter(move |node| !(node ^ hub).is_multiple_of(5))
            .map(move |node| (node, hub % count))
    });
    near.chain(random).chain(to_hubs).collect()
}

/// The edges of a hub are looked at in two parts; between them a way past another node is made
/// short, and what that node tells becomes less.
#[test]
fn parts_of_a_hub_leave_short_ways_as_they_are() {
    let hubs = [150_227_443, 1_998_783_741, 57_493_650];
    let edges = [
        (2_284_600_125, 849_372_518),
        (3_946_343_933, 90_988_088),
        (677_861_096, 1_046_470_417),
        (402_689_947, 1_011_126_855),
        (227_494_156, 2_030_331_612),
        (620_634_744, 0),
        (911_942, 2_709_527_026),
    ];
    let case = Case::new(27, &with_hubs(27, &hubs, &edges), &[0]);
    assert_eq!(case.found(power), case.naive(power));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_graphs_have_the_dominators_of_the_definition(
        count in 1_u32..24,
        edges in vec((any::<u32>(), any::<u32>()), 0..70),
        roots in vec(any::<u32>(), 1..4),
    ) {
        let edges: Vec<(u32, u32)> =
            edges.into_iter().map(|(from, to)| (from % count, to % count)).collect();
        let roots: Vec<u32> = roots.into_iter().map(|root| root % count).collect();
        let case = Case::new(count, &edges, &roots);
        prop_assert_eq!(case.found(power), case.naive(power));
        let measured = distances(&case.outbound, &case.roots).expect("distances");
        prop_assert_eq!(measured, case.naive_distances());
    }

    /// Mostly forward edges: deep trees and long ways up.
    #[test]
    fn deep_graphs_have_the_dominators_of_the_definition(
        count in 2_u32..40,
        steps in vec((any::<u32>(), 0_u32..5, any::<bool>()), 0..90),
    ) {
        let edges: Vec<(u32, u32)> = steps
            .into_iter()
            .map(|(from, step, is_back)| {
                let (near, far) = (from % count, (from % count + step).min(count - 1));
                if is_back { (far, near) } else { (near, far) }
            })
            .collect();
        let case = Case::new(count, &edges, &[0]);
        prop_assert_eq!(case.found(power), case.naive(power));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Hubs: their edges are looked at in parts. Few cases tell much here.
    #[test]
    fn graphs_with_hubs_have_the_dominators_of_the_definition(
        count in 8_u32..40,
        hubs in vec(any::<u32>(), 1..6),
        edges in vec((any::<u32>(), any::<u32>()), 0..60),
    ) {
        let case = Case::new(count, &with_hubs(count, &hubs, &edges), &[0]);
        prop_assert_eq!(case.found(power), case.naive(power));
    }
}
