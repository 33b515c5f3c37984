//! Rows appended to a published table: found at once, unique, merged, and what a kill leaves.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use std::{collections::BTreeMap, io, ops::ControlFlow, sync::Arc};

use pagestone_index::{Delta, ErrorKind, Record, Table, TableOptions};
use pagestone_storage::{
    Backing,
    seam::{Plan, watch},
};
use pagestone_testkit::child;
use proptest::prelude::*;
use rstest::rstest;

use crate::{
    lookups::{check_rows, check_table, in_place},
    support::{Dir, Row, build, build_with, rows},
};

fn delta(dir: &Dir) -> Delta<Row> {
    TableOptions::new().append_to(dir.trusted()).unwrap()
}

/// Rows of the table by index, and behind them those that were appended.
fn stacked(old: &[Row], added: &[Row]) -> Vec<Row> {
    [&in_place(old), added].concat()
}

#[rstest]
fn appended_rows_are_found_by_every_lookup(
    #[values(Backing::File, Backing::Map)] backing: Backing,
    #[values(0, 3, 300)] count: usize,
    #[values(&[200][..], &[1, 1, 1, 90, 5, 1], &[150, 8, 1])] batches: &[usize],
) {
    let (dir, all) = (Dir::new(), rows(600));
    let (old, new) = all.split_at(count);
    let before = build(&dir, old);
    let options = TableOptions::new().backing(backing);
    let delta: Delta<Row> = options.append_to(dir.trusted()).unwrap();
    let mut end = 0;
    for &batch in batches {
        let first = delta.table();
        delta.extend(&new[end..end + batch]).unwrap();
        assert_eq!(first.len(), (count + end) as u64);
        assert!(first.iter().map(Result::unwrap).eq(stacked(old, &new[..end])));
        end += batch;
    }
    check_rows(&delta.table(), &stacked(old, &new[..end]));
    assert_eq!(delta.added(), end as u64);
    let merged = delta.merge().unwrap();
    assert_eq!((delta.added(), merged.version()), (0, 2));
    let together = &all[..count + end];
    check_table(&merged, together);
    merged.verify(|_| ControlFlow::Continue(())).unwrap();
    check_table(&before, old);
    check_table(&Table::open(dir.table().as_path()).unwrap(), together);
    // Once more, from what was merged.
    delta.extend(&new[end..]).unwrap();
    check_table(&delta.merge().unwrap(), &all);
    drop(delta);
    assert!(dir.names().iter().all(|name| name == "manifest" || name.contains(".3.")));
}

#[test]
fn rows_of_a_delta_are_iterated_joined_and_found_by_several_keys() {
    let (dir, all) = (Dir::new(), rows(400));
    build(&dir, &all[..250]);
    let delta = delta(&dir);
    delta.extend(&all[250..390]).unwrap();
    delta.append(&all[390]).unwrap();
    let (table, stacked) = (delta.table(), stacked(&all[..250], &all[250..391]));
    assert!(table.iter().rev().map(Result::unwrap).eq(stacked.iter().rev().copied()));
    assert_eq!(table.row(390).unwrap(), Some(all[390]));
    assert_eq!(table.row(391).unwrap(), None);
    for group in -5..=5 {
        let found = table.find().and(Row::GROUP, group).unwrap().and(Row::SCORE, 2.0).unwrap();
        let expected =
            stacked.iter().filter(|row| row.group == group && row.score.total_cmp(&2.0).is_eq());
        assert!(found.map(Result::unwrap).eq(expected.copied()));
    }
    let pairs = table.by(Row::ID).join(table.by(Row::ID)).map(Result::unwrap);
    assert!(
        pairs.map(|(left, _)| left).eq(table.by(Row::ID).range(..).unwrap().map(Result::unwrap))
    );
    let nearest = table.by(Row::ID).nearest(all[390].id.get() + 1).unwrap();
    assert_eq!(nearest, Some(all[390]));
}

#[test]
fn a_unique_key_is_on_one_row_of_table_and_delta() {
    let dir = Dir::new();
    build(&dir, &[Row::new(1, 10), Row::new(2, 20)]);
    let delta = delta(&dir);
    let check = |ids: &[u64]| {
        let error = delta.extend(ids.iter().map(|&id| Row::new(9, id))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate);
        assert!(error.to_string().contains("index `id` is unique"), "{error}");
    };
    check(&[30, 20]);
    check(&[30, 31, 30]);
    assert_eq!(delta.added(), 0);
    delta.append(&Row::new(9, 30)).unwrap();
    check(&[30]);
    delta.extend((100..140).map(|id| Row::new(id, id))).unwrap();
    check(&[30]);
    check(&[139]);
    assert_eq!(delta.added(), 41);
    delta.merge().unwrap();
    check(&[30]);
    delta.append(&Row::new(9, 31)).unwrap();
}

/// Rows without an order of their own.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Plain {
    #[index(multi)]
    key: u16,
    #[index(multi)]
    other: u16,
    number: u32,
}

#[test]
fn rows_without_a_canonical_key_are_behind_the_older_ones() {
    let dir = Dir::new();
    let plain =
        |number: u32| Plain { key: (number % 3) as u16, other: (number % 5) as u16, number };
    let mut builder = Table::<Plain>::builder(dir.trusted()).unwrap();
    builder.extend((0..100).map(plain)).unwrap();
    builder.seal().unwrap();
    let delta: Delta<Plain> = TableOptions::new().append_to(dir.trusted()).unwrap();
    delta.extend((100..150).map(plain)).unwrap();
    for table in [delta.table(), delta.merge().unwrap()] {
        assert!(table.iter().map(|row| row.unwrap().number).eq(0..150));
        let found = table.by(Plain::KEY).equal(1).unwrap().map(|row| row.unwrap().number);
        assert!(found.eq((0..150).filter(|number| number % 3 == 1)));
    }
}

#[test]
fn positions_grow_from_4_to_8_bytes() {
    let (dir, all) = (Dir::new(), rows(300));
    build(&dir, &all[..200]);
    let delta: Delta<Row> = TableOptions::new().wide_positions().append_to(dir.trusted()).unwrap();
    delta.extend(&all[200..]).unwrap();
    check_table(&delta.merge().unwrap(), &all);
    let len = std::fs::metadata(dir.table().join("key-1.2.idx")).unwrap().len();
    assert_eq!(len, 300 * 16);
}

#[test]
fn all_keys_equal_are_merged_without_a_walk_along_them() {
    let dir = Dir::new();
    let row = |number: u64| Row::new(number * 7 % 100_003, number);
    build(&dir, &(0..100_000).map(row).collect::<Vec<_>>());
    let delta = delta(&dir);
    delta.extend((100_000..103_000).map(row)).unwrap();
    let merged = delta.merge().unwrap();
    merged.verify(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(merged.by(Row::GROUP).count(0..=0).unwrap(), 103_000);
    let indexes = merged.by(Row::GROUP).equal(0).unwrap().indexes().map(Result::unwrap);
    assert!(indexes.eq(0..103_000));
}

#[test]
fn one_builder_at_a_time_and_none_without_a_table() {
    let dir = Dir::new();
    let kind = |dir: &Dir| TableOptions::new().append_to::<Row>(dir.trusted()).unwrap_err().kind();
    assert_eq!(kind(&dir), ErrorKind::NotFound);
    assert!(!dir.table().exists());
    build(&dir, &[]);
    let delta = delta(&dir);
    assert_eq!(kind(&dir), ErrorKind::Locked);
    let error = TableOptions::new().replace::<Row>(dir.trusted()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    drop(delta);
    let wrong = TableOptions::new().append_to::<Plain>(dir.trusted()).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::SchemaMismatch);
}

#[test]
fn appends_and_lookups_go_on_beside_merges() {
    let (dir, all) = (Dir::new(), rows(4_000));
    build(&dir, &all[..1_000]);
    let delta = Arc::new(delta(&dir));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut len = 0;
            while len < 4_000 {
                let table = delta.table();
                assert!(len <= table.len());
                len = table.len();
                for row in all.iter().step_by(97) {
                    if let Some(found) = table.by(Row::ID).get(row.id.get()).unwrap() {
                        assert_eq!(found, *row);
                    }
                }
                let found = table.by(Row::PLACE).range(..).unwrap();
                assert!(found.map(|row| row.unwrap().place.get()).is_sorted());
            }
        });
        let mut merge = delta.merge_in_background();
        for batch in all[1_000..].chunks(37) {
            delta.extend(batch).unwrap();
            if merge.is_finished() {
                merge.join().unwrap().unwrap();
                merge = delta.merge_in_background();
            }
        }
        merge.join().unwrap().unwrap();
        reader.join().unwrap();
    });
    check_table(&delta.merge().unwrap(), &all);
}

/// Every call of a merge fails, once or from some one on: all rows stay with the delta, and the
/// directory has the older version or the new one, whole.
fn fail_each_call(kind: io::ErrorKind, is_lasting: bool) {
    let all = rows(24);
    let (old, new) = all.split_at(16);
    for nth in 0.. {
        let dir = Dir::new();
        build(&dir, old);
        let delta = delta(&dir);
        delta.extend(new).unwrap();
        let plan = if is_lasting { Plan::fail_from(nth, kind) } else { Plan::fail(nth, kind) };
        let (answer, trace) = watch(plan, || delta.merge().map(drop));
        if !trace.failed {
            assert!(20 < nth, "{nth} calls");
            return;
        }
        if answer.is_err() {
            assert!(delta.table().iter().map(Result::unwrap).eq(stacked(old, new)));
        }
        let table = Table::<Row>::open(dir.trusted()).unwrap();
        match table.version() {
            1 => assert!(answer.is_err() && table.len() == 16, "call {nth}"),
            _ => assert_eq!(table.len(), 24, "call {nth}"),
        }
        table.verify(|_| ControlFlow::Continue(())).unwrap();
        assert!(delta.merge().unwrap().iter().map(Result::unwrap).eq(in_place(&all)));
        drop(delta);
        let version = Table::<Row>::open(dir.trusted()).unwrap().version();
        drop(TableOptions::new().append_to::<Row>(dir.trusted()).unwrap());
        let stays = |name: &String| name == "manifest" || name.contains(&format!(".{version}."));
        assert!(dir.names().iter().all(stays), "call {nth}: {:?}", dir.names());
    }
}

#[test]
fn any_call_of_a_merge_may_fail() {
    fail_each_call(io::ErrorKind::Other, false);
}

#[test]
fn a_disk_may_be_full_from_any_call_of_a_merge() {
    fail_each_call(io::ErrorKind::StorageFull, true);
}

#[test]
fn a_process_may_be_killed_at_any_moment() {
    if let Some(path) = child::errand() {
        let delta: Delta<Row> = TableOptions::new().append_to(std::path::Path::new(&path)).unwrap();
        let first = delta.table().len();
        for id in first..u64::MAX {
            delta.append(&Row::new(id, id)).unwrap();
            if id % 7 == 6 {
                delta.merge().unwrap();
                child::acknowledge(id + 1);
            }
        }
        return;
    }
    let dir = Dir::new();
    build(&dir, &[]);
    for round in 0..6 {
        let path = dir.table().to_str().unwrap().to_owned();
        let test = "deltas::a_process_may_be_killed_at_any_moment";
        let mut child = child::Child::start(test, &path);
        for _ in 0..=round {
            child.told().unwrap();
        }
        let merged = child.kill(round * 40).unwrap();
        let table = Table::<Row>::open(dir.trusted()).unwrap();
        assert!(
            merged <= table.len() && table.len().is_multiple_of(7),
            "{merged}, {}",
            table.len()
        );
        let rows: Vec<Row> = (0..table.len()).map(|id| Row::new(id, id)).collect();
        assert_eq!(table.iter().map(Result::unwrap).collect::<Vec<_>>(), rows);
        table.verify(|_| ControlFlow::Continue(())).unwrap();
    }
}

#[derive(Debug, Clone)]
enum Op {
    Append(Vec<(u64, u64, i32)>),
    Merge,
    /// The merge fails at this call, and all after it; the delta is opened anew.
    Kill(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => proptest::collection::vec((0u64..12, 0u64..60, -2i32..3), 1..12).prop_map(Op::Append),
        1 => Just(Op::Merge),
        1 => (0u64..60).prop_map(Op::Kill),
    ]
}

/// Rows by id, in the order they came.
type Model = BTreeMap<u64, (usize, Row)>;

fn listed(model: &Model) -> Vec<Row> {
    let mut rows: Vec<(usize, Row)> = model.values().copied().collect();
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn check_model(table: &Table<Row>, model: &Model) {
    assert_eq!(table.len(), model.len() as u64);
    for id in 0..60 {
        let found = table.by(Row::ID).get(id).unwrap();
        assert_eq!(found, model.get(&id).map(|(_, row)| *row));
        assert_eq!(table.by(Row::ID).rank(id).unwrap(), model.range(..id).count() as u64);
    }
    let mut by_group = in_place(&listed(model));
    by_group.sort_by_key(|row| row.group);
    let found: Vec<Row> = table.by(Row::GROUP).range(..).unwrap().map(Result::unwrap).collect();
    let keys = |rows: &[Row]| rows.iter().map(|row| row.group).collect::<Vec<_>>();
    assert_eq!(keys(&found), keys(&by_group));
    let ids = |rows: Vec<Row>| {
        let mut ids: Vec<u64> = rows.iter().map(|row| row.id.get()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(found), ids(by_group));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_history_with_kills(ops in proptest::collection::vec(op(), 1..14)) {
        let dir = Dir::new();
        build_with(&dir, &[], TableOptions::new());
        let (mut published, mut model) = (Model::new(), Model::new());
        let mut open = delta(&dir);
        for op in ops {
            match op {
                Op::Append(keys) => {
                    let rows: Vec<Row> = keys
                        .iter()
                        .map(|&(place, id, group)| Row { group, ..Row::new(place, id) })
                        .collect();
                    let mut next = model.clone();
                    let at = next.len();
                    for (nth, row) in rows.iter().enumerate() {
                        next.insert(row.id.get(), (at + nth, *row));
                    }
                    let appended = open.extend(&rows);
                    if next.len() == at + rows.len() {
                        appended.unwrap();
                        model = next;
                    } else {
                        prop_assert_eq!(appended.unwrap_err().kind(), ErrorKind::Duplicate);
                    }
                }
                Op::Merge => {
                    let merged = open.merge().unwrap();
                    check_table(&merged, &listed(&model));
                    published = model.clone();
                }
                Op::Kill(nth) => {
                    let plan = Plan::fail_from(nth, io::ErrorKind::Other);
                    let (answer, _) = watch(plan, || open.merge().map(drop));
                    drop(open);
                    open = delta(&dir);
                    let is_new = open.table().len() == model.len() as u64;
                    prop_assert!(is_new || answer.is_err());
                    if is_new {
                        published = model.clone();
                    }
                    model = published.clone();
                }
            }
            check_model(&open.table(), &model);
        }
    }
}

#[test]
fn tables_without_a_struct_are_appended_to() {
    let (dir, all) = (Dir::new(), rows(60));
    build(&dir, &all[..30]);
    let delta = TableOptions::new().append_to_any(dir.trusted()).unwrap();
    let bytes: Vec<u8> = all[30..50].iter().flat_map(Row::bytes).collect();
    delta.append(&bytes).unwrap();
    assert_eq!((delta.added(), delta.table().len()), (20, 50));
    let error = delta.append(&all[3].bytes()).unwrap_err();
    assert_eq!(
        (error.kind(), error.duplicate_keys().unwrap().key.as_str()),
        (ErrorKind::Duplicate, "id")
    );
    assert_eq!(delta.append(&bytes[1..]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(delta.merge().unwrap().version(), 2);
    delta.append(&all[50].bytes()).unwrap();
    delta.merge().unwrap();
    drop(delta);
    check_table(&Table::open(dir.trusted()).unwrap(), &all[..51]);
}
