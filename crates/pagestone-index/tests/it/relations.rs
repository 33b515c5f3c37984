//! Relations against sets of pairs.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use std::{collections::BTreeSet, io, ops::ControlFlow};

use pagestone_index::{ErrorKind, Relation, RowSet, Table, TableOptions, Visit};
use pagestone_storage::seam::{Plan, watch};
use proptest::prelude::*;

use crate::support::{BACKINGS, Dir, Row, build as build_table};

type Pairs = BTreeSet<(u64, u64)>;

fn build(dir: &Dir, pairs: &[(u64, u64)], counts: (u64, u64)) -> Relation {
    let mut builder = TableOptions::new().replace_relation(dir.trusted(), counts).unwrap();
    builder.extend(pairs.iter().copied()).unwrap();
    builder.seal().unwrap()
}

/// Compares all that a relation answers with a set of pairs.
#[track_caller]
fn check(relation: &Relation, pairs: &Pairs, counts: (u64, u64)) {
    assert_eq!(relation.len(), pairs.len() as u64);
    assert_eq!((relation.key_count(), relation.value_count()), counts);
    let found: Vec<(u64, u64)> = relation.pairs().map(Result::unwrap).collect();
    assert!(found.iter().eq(pairs), "{found:?}");
    let near = pairs.iter().flat_map(|&(key, _)| [key.saturating_sub(1), key, key + 1]);
    let keys: BTreeSet<u64> = near.chain([0, counts.0 - 1, counts.0, u64::MAX]).collect();
    let of =
        |key: u64| pairs.range((key, 0)..=(key, u64::MAX)).map(|&(_, v)| v).collect::<Vec<_>>();
    for &key in &keys {
        let expected = of(key);
        let values = relation.values(key).unwrap();
        assert_eq!(values.len(), expected.len());
        if let Some(slice) = values.as_slice() {
            assert!(slice.iter().map(|value| u64::from(value.get())).eq(expected.iter().copied()));
        }
        assert!(values.clone().map(Result::unwrap).eq(expected.iter().copied()));
        assert!(values.rev().map(Result::unwrap).eq(expected.iter().rev().copied()));
        assert_eq!(relation.degree(key).unwrap(), expected.len() as u64);
        for value in [0, 3, 7, counts.1] {
            let is_there = pairs.contains(&(key, value));
            assert_eq!(relation.contains(key, value).unwrap(), is_there);
        }
    }
    let some: Vec<u64> = keys.iter().copied().take(5).collect();
    let sets: Vec<BTreeSet<u64>> = some.iter().map(|&key| of(key).into_iter().collect()).collect();
    for count in 0..=some.len() {
        let union: BTreeSet<u64> = sets[..count].iter().flatten().copied().collect();
        let found = relation.union(&some[..count]).unwrap().map(Result::unwrap);
        assert!(found.eq(union.iter().copied()));
        let every =
            union.iter().filter(|value| sets[..count].iter().all(|set| set.contains(value)));
        let found = relation.intersection(&some[..count]).unwrap().map(Result::unwrap);
        assert!(found.eq(every.copied()));
    }
    let degrees = relation.degrees().unwrap();
    let used: BTreeSet<u64> = pairs.iter().map(|&(key, _)| key).collect();
    assert_eq!(degrees.used_count, used.len() as u64);
    assert_eq!(degrees.max, used.iter().map(|&key| of(key).len() as u64).max().unwrap_or(0));
}

fn turned(pairs: &Pairs) -> Pairs {
    pairs.iter().map(|&(key, value)| (value, key)).collect()
}

#[track_caller]
fn check_both(relation: &Relation, pairs: &Pairs, counts: (u64, u64)) {
    check(relation, pairs, counts);
    check(&relation.inverse(), &turned(pairs), (counts.1, counts.0));
    check(&relation.inverse().inverse(), pairs, counts);
    relation.verify(|_| ControlFlow::Continue(())).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_pairs(
        pairs in proptest::collection::vec((0u64..30, 0u64..20), 0..200),
        // Dense, sparse, and wide, whose pairs are one number of 16 bytes.
        spread in prop::sample::select(vec![1u64, 1 << 20, 1 << 40]),
    ) {
        let dir = Dir::new();
        let pairs: Vec<(u64, u64)> = pairs.iter().map(|&(k, v)| (k * spread, v * spread)).collect();
        let counts = (30 * spread, 20 * spread);
        let relation = build(&dir, &pairs, counts);
        let set: Pairs = pairs.iter().copied().collect();
        check_both(&relation, &set, counts);
        for backing in BACKINGS {
            let options = TableOptions::new().backing(backing);
            check_both(&options.open_relation(dir.table().as_path()).unwrap(), &set, counts);
        }
    }
}

#[test]
fn nothing_related_and_nothing_to_relate() {
    let (dir, other) = (Dir::new(), Dir::new());
    check_both(&build(&dir, &[], (5, 7)), &Pairs::new(), (5, 7));
    let none = build(&other, &[], (0, 0));
    assert!(none.is_empty() && none.values(0).unwrap().next().is_none());
    assert_eq!(none.closure([], |_, _| Visit::Follow).unwrap().len(), 0);
}

#[test]
fn pairs_of_several_threads_larger_than_memory() {
    let dir = Dir::new();
    let options = TableOptions::new().memory(1 << 20);
    let builder = options.create_relation(dir.trusted(), (1000, 1000)).unwrap();
    let pair = |number: u64| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        (mixed % 1000, mixed / 1000 % 1000)
    };
    std::thread::scope(|scope| {
        for share in 0..3 {
            let mut writer = builder.writer();
            scope.spawn(move || {
                writer.extend((share * 100_000..share * 100_000 + 150_000).map(pair)).unwrap();
                writer.finish().unwrap();
            });
        }
    });
    let relation = builder.seal().unwrap();
    let pairs: Pairs = (0..350_000).map(pair).collect();
    assert!(relation.pairs().map(Result::unwrap).eq(pairs.iter().copied()));
    assert!(relation.inverse().pairs().map(Result::unwrap).eq(turned(&pairs)));
}

#[test]
fn a_row_that_there_cannot_be_is_refused() {
    let dir = Dir::new();
    let mut builder = TableOptions::new().create_relation(dir.trusted(), (5, 7)).unwrap();
    for (key, value) in [(5, 0), (0, 7), (u64::MAX, 0)] {
        assert_eq!(builder.append(key, value).unwrap_err().kind(), ErrorKind::OutOfRange);
    }
    builder.append(4, 6).unwrap();
    assert_eq!(builder.seal().unwrap().len(), 1);
}

#[test]
fn ways_of_a_million_steps() {
    let (dir, count) = (Dir::new(), 1_000_000u64);
    // A ring, with one short cut.
    let pairs: Vec<(u64, u64)> =
        (0..count).map(|row| (row, (row + 1) % count)).chain([(10, count - 5)]).collect();
    let ring = build(&dir, &pairs, (count, count));
    assert_eq!(ring.closure([3], |_, _| Visit::Follow).unwrap().len(), count);
    let way = ring.shortest_path((11, 10), |_| Visit::Follow).unwrap().unwrap();
    assert_eq!(way.len() as u64, count);
    let way = ring.shortest_path((8, count - 3), |_| Visit::Follow).unwrap().unwrap();
    assert_eq!(way, [8, 9, 10, count - 5, count - 4, count - 3]);
    let around = |row| if row == 10 { Visit::Prune } else { Visit::Follow };
    assert_eq!(ring.shortest_path((8, 12), around).unwrap(), None);
    assert_eq!(ring.shortest_path((8, 12), |_| Visit::Stop).unwrap(), None);
    assert_eq!(ring.shortest_path((8, 8), |_| Visit::Stop).unwrap(), Some(vec![8]));
    let near = |_, steps| if steps < 4 { Visit::Follow } else { Visit::Prune };
    let reached = ring.closure([9], near).unwrap();
    assert_eq!(
        reached.iter().collect::<Vec<_>>(),
        [9, 10, 11, 12, 13, count - 5, count - 4, count - 3]
    );
    let mut visited = 0;
    let reached = ring
        .closure([0], |_, _| {
            visited += 1;
            if visited < 100 { Visit::Follow } else { Visit::Stop }
        })
        .unwrap();
    assert_eq!(reached.len(), 100);
    let back = ring.inverse().shortest_path((count - 3, 8), |_| Visit::Follow).unwrap().unwrap();
    assert_eq!(back.len(), 6);
}

#[test]
fn values_as_a_set_of_rows() {
    let dir = Dir::new();
    let relation = build(&dir, &[(0, 1), (0, 64), (0, 70), (1, 64), (1, 2)], (2, 71));
    let mut set = RowSet::new(71);
    relation.values(0).unwrap().load_into(&mut set).unwrap();
    assert_eq!(set.iter().collect::<Vec<_>>(), [1, 64, 70]);
    let mut other = RowSet::new(100);
    relation.values(1).unwrap().load_into(&mut other).unwrap();
    other.insert(99);
    let mut both = set.clone();
    both.intersect_with(&other);
    assert_eq!(both.iter().collect::<Vec<_>>(), [64]);
    set.union_with(&other);
    assert_eq!(set.iter().collect::<Vec<_>>(), [1, 2, 64, 70]);
    assert!(!set.insert(71) && !set.contains(71) && set.remove(1) && !set.remove(1));
    assert_eq!(set.len(), 3);
}

#[test]
fn any_call_of_a_build_may_fail_or_be_the_last() {
    for is_lasting in [false, true] {
        for nth in 0.. {
            let dir = Dir::new();
            build(&dir, &[(0, 1)], (2, 2));
            let kind = io::ErrorKind::StorageFull;
            let plan = if is_lasting { Plan::fail_from(nth, kind) } else { Plan::fail(nth, kind) };
            let (answer, trace) = watch(plan, || {
                let options = TableOptions::new();
                let mut builder = options.replace_relation(dir.trusted(), (3, 3000))?;
                builder.extend([(2, 2), (1, 1)])?;
                builder.seal()
            });
            if !trace.failed {
                assert!(50 < nth);
                break;
            }
            let relation = Relation::open(dir.trusted()).unwrap();
            let expected = if relation.version() == 1 { 1 } else { 2 };
            assert!(answer.is_err() || relation.version() == 2, "call {nth}");
            assert_eq!(relation.len(), expected, "call {nth}");
            relation.verify(|_| ControlFlow::Continue(())).unwrap();
        }
    }
}

#[test]
fn every_flipped_byte_is_found_by_verify_and_none_panics() {
    let dir = Dir::new();
    let pairs: Vec<(u64, u64)> = (0..40).map(|row| (row % 7, row * 3 % 20 * 100)).collect();
    build(&dir, &pairs, (7, 2000));
    let names = dir.names();
    let is_file = |name: &&String| **name != "manifest" && name.rsplit('.').next() != Some("meta");
    let files = names.iter().filter(is_file);
    let mut opened = 0;
    for name in files {
        let path = dir.table().join(name);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x81;
            std::fs::write(&path, &changed).unwrap();
            // Where the last list ends is compared when it is opened.
            let Ok(relation) = Relation::open(dir.trusted()) else { continue };
            opened += 1;
            for relation in [relation.clone(), relation.inverse()] {
                for key in [0, 1, 6, 300, 1900] {
                    drop(relation.values(key).map(|values| values.filter_map(Result::ok).count()));
                    drop(relation.closure([key], |_, _| Visit::Follow));
                }
                drop(
                    relation
                        .union(&[0, 1, 300])
                        .map(|values| values.filter_map(Result::ok).count()),
                );
                drop(relation.intersection(&[0, 1, 300]).map(Iterator::count));
            }
            let error = relation.verify(|_| ControlFlow::Continue(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(100 < opened, "{names:?}");
}

#[test]
fn a_table_is_no_relation_nor_the_other_way_round() {
    let (dir, other) = (Dir::new(), Dir::new());
    build(&dir, &[(0, 0)], (1, 1));
    build_table(&other, &[]);
    assert_eq!(Table::<Row>::open(dir.trusted()).unwrap_err().kind(), ErrorKind::Foreign);
    assert_eq!(Relation::open(other.trusted()).unwrap_err().kind(), ErrorKind::Foreign);
}
