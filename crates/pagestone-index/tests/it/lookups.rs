//! Every lookup against a sorted list.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use std::{
    io::{self, Write},
    ops::Bound,
    time::Instant,
};

use pagestone_index::{By, KeyValue, Record, Table, TableOptions};
use pagestone_storage::{
    Backing,
    le::U64,
    seam::{Plan, watch},
};
use proptest::prelude::*;
use rstest::rstest;

use crate::support::{BACKINGS, Dir, Row, build, build_with, rows};

/// The rows of a table in their own order: by place, equal ones as they came.
pub(crate) fn in_place(rows: &[Row]) -> Vec<Row> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|row| row.place.get());
    sorted
}

fn image<K: KeyValue>(key: K) -> Vec<u8> {
    let mut image = vec![0; K::LEN];
    key.put_image(&mut image);
    image
}

/// Compares all that a key answers with a list in its order.
#[track_caller]
fn check<K: KeyValue + std::fmt::Debug>(
    by: By<'_, Row, K>,
    (rows, probes): (&[Row], &[K]),
    key: impl Fn(&Row) -> K,
) {
    let mut sorted: Vec<(u64, Row)> = (0..).zip(rows.iter().copied()).collect();
    sorted.sort_by_key(|(_, row)| image(key(row)));
    let list: Vec<Row> = sorted.iter().map(|(_, row)| *row).collect();
    let all = by.range(..).unwrap();
    assert_eq!(all.len(), list.len());
    assert_eq!(all.map(Result::unwrap).collect::<Vec<_>>(), list);
    let back = by.range(..).unwrap().rev().map(Result::unwrap).collect::<Vec<_>>();
    assert!(back.iter().rev().eq(&list));
    let mut many = vec![None; probes.len()];
    by.get_many(probes, &mut many).unwrap();
    let mut many_indexes = vec![None; probes.len()];
    by.indexes_of(probes, &mut many_indexes).unwrap();
    for (at, &probe) in probes.iter().enumerate() {
        let wanted = image(probe);
        let start = list.partition_point(|row| image(key(row)) < wanted);
        let end = list.partition_point(|row| image(key(row)) <= wanted);
        let first = list[start..end].first().copied();
        assert_eq!(by.get(probe).unwrap(), first, "{probe:?}");
        assert_eq!(many[at], first, "{probe:?}");
        let index = sorted[start..end].first().map(|(index, _)| *index);
        assert_eq!(by.index_of(probe).unwrap(), index);
        assert_eq!(many_indexes[at], index);
        assert_eq!(by.contains(probe).unwrap(), start < end);
        assert_eq!(by.rank(probe).unwrap(), start as u64);
        assert_eq!(by.count(probe..=probe).unwrap(), (end - start) as u64);
        let equal: Vec<Row> = by.equal(probe).unwrap().map(Result::unwrap).collect();
        assert_eq!(equal, list[start..end]);
        let indexes: Vec<u64> = by.equal(probe).unwrap().indexes().map(Result::unwrap).collect();
        assert!(indexes.iter().eq(sorted[start..end].iter().map(|(index, _)| index)));
        assert!(indexes.is_sorted_by(|low, high| low < high), "equal keys are in row order");
        let select = by.select(start as u64).unwrap();
        assert_eq!(select, list.get(start).copied());
        check_ranges(by, (&list, start, end), probe);
        let mut cursor = by.cursor();
        cursor.seek(probe).unwrap();
        assert_eq!(cursor.prev().unwrap(), start.checked_sub(1).map(|below| list[below]));
        cursor.seek(probe).unwrap();
        assert_eq!(cursor.next().unwrap(), list.get(start).copied());
        assert_eq!(cursor.next().unwrap(), list.get(start + 1).copied());
    }
}

fn check_ranges<K: KeyValue>(
    by: By<'_, Row, K>,
    (list, start, end): (&[Row], usize, usize),
    probe: K,
) {
    let of = |bounds: (Bound<K>, Bound<K>)| {
        by.into_range(bounds).unwrap().map(Result::unwrap).collect::<Vec<Row>>()
    };
    assert_eq!(of((Bound::Included(probe), Bound::Unbounded)), list[start..]);
    assert_eq!(of((Bound::Excluded(probe), Bound::Unbounded)), list[end..]);
    assert_eq!(of((Bound::Unbounded, Bound::Included(probe))), list[..end]);
    assert_eq!(of((Bound::Unbounded, Bound::Excluded(probe))), list[..start]);
    assert!(of((Bound::Excluded(probe), Bound::Excluded(probe))).is_empty());
}

/// Compares all keys of a table with the rows it was built from.
#[track_caller]
pub(crate) fn check_table(table: &Table<Row>, rows: &[Row]) {
    check_rows(table, &in_place(rows));
}

/// Compares all keys of a table with its rows in the order of their indexes.
#[track_caller]
pub(crate) fn check_rows(table: &Table<Row>, rows: &[Row]) {
    assert_eq!(table.len(), rows.len() as u64);
    assert_eq!(table.iter().map(Result::unwrap).collect::<Vec<_>>(), rows);
    let some: Vec<&Row> = rows.iter().step_by(rows.len() / 40 + 1).collect();
    let places = some.iter().map(|row| row.place.get());
    let around = |keys: &mut dyn Iterator<Item = u64>| {
        let near = keys.flat_map(|key| [key, key.wrapping_add(1), key.wrapping_sub(1)]);
        near.chain([0, u64::MAX]).collect::<Vec<u64>>()
    };
    check(table.by(Row::PLACE), (rows, &around(&mut places.clone())), |row| row.place.get());
    let ids = around(&mut some.iter().map(|row| row.id.get()));
    check(table.by(Row::ID), (rows, &ids), |row| row.id.get());
    let scores = [-f64::NAN, f64::NEG_INFINITY, -3.0, -0.5, -0.0, 0.0, 2.0, 9.0, f64::NAN];
    check(table.by(Row::SCORE), (rows, &scores), |row| row.score);
    check(table.by(Row::GROUP), (rows, &[i32::MIN, -6, -5, 0, 3, 5, 6, i32::MAX]), |row| row.group);
    let tags = [[0; 4], *b"aa\0z", *b"ba\0z", *b"ba\0y", *b"ce\0z", [0xff; 4]];
    check(table.by(Row::TAG), (rows, &tags), |row| row.tag);
    let names: Vec<[u8; 24]> =
        some.iter().map(|row| row.name).chain([[0; 24], [255; 24]]).collect();
    check(table.by(Row::NAME), (rows, &names), |row| row.name);
    let pairs = [(-5, -3.0), (0, 0.0), (0, f64::NAN), (3, 1.0), (9, 9.0)];
    check(table.by(Row::BY_GROUP), (rows, &pairs), |row| (row.group, row.score));
}

#[rstest]
fn every_key_over_every_backing(
    #[values(Backing::File, Backing::Map, Backing::Windowed)] backing: Backing,
    #[values(0, 1, 17, 600)] count: u64,
) {
    let dir = Dir::new();
    let rows = rows(count);
    let options = TableOptions::new().backing(backing);
    check_table(&build_with(&dir, &rows, options), &rows);
    check_table(&options.without_accelerators().open(dir.table().as_path()).unwrap(), &rows);
}

#[test]
fn wide_positions_and_no_accelerators() {
    let (dir, rows) = (Dir::new(), rows(500));
    let table = build_with(&dir, &rows, TableOptions::new().wide_positions());
    check_table(&table, &rows);
    let table = build_with(&dir, &rows, TableOptions::new().without_accelerators());
    check_table(&table, &rows);
    assert_eq!(BACKINGS.len(), 3);
}

/// Rows that differ in their numbers alone.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Same {
    #[index(canonical)]
    place: U64,
    #[index(multi)]
    key: i32,
    #[index(multi)]
    name: [u8; 20],
    number: U64,
}

/// How many of them: more where `cargo xtask large index` says so.
fn rows_of_one_key() -> u64 {
    let given = std::env::var("PAGESTONE_ROWS").ok();
    given.and_then(|rows| rows.parse().ok()).unwrap_or(200_000)
}

/// What a lookup answers, of a file that is not mapped: each record it looks at is a call, and
/// it looks at no more than two searches do, and reads a block at most once to check it.
#[track_caller]
fn seek<T>(count: u64, look: impl FnOnce() -> pagestone_index::Result<T>) -> T {
    let (answer, trace) = watch(Plan::record(), look);
    let most = 4 * u64::from(count.ilog2()) + 40;
    assert!(trace.calls <= most, "{} calls among {count} equal keys", trace.calls);
    answer.unwrap()
}

/// Fails when a lookup walks along a run of equal keys, or takes another of them than the first.
#[test]
fn all_keys_equal_cost_no_search_along_the_run() {
    let (dir, count) = (Dir::new(), rows_of_one_key());
    let start = Instant::now();
    let row = |number: u64| Same {
        place: 7.into(),
        key: 0,
        name: *b"all of them the same",
        number: number.into(),
    };
    let mut builder = Table::<Same>::builder(dir.trusted()).unwrap();
    builder.extend((0..count).map(row)).unwrap();
    drop(builder.seal().unwrap());
    let built = start.elapsed();
    for options in [TableOptions::new(), TableOptions::new().check_blocks()] {
        let table: Table<Same> = options.backing(Backing::File).open(dir.trusted()).unwrap();
        let (keys, names) = (table.by(Same::KEY), table.by(Same::NAME));
        // The first of equals, however many there are: rows keep the order they came in.
        let (first, last) = (Some(row(0)), Some(row(count - 1)));
        assert_eq!(seek(count, || keys.get(0)), first);
        assert_eq!(seek(count, || table.by(Same::PLACE).get(7)), first);
        assert_eq!(seek(count, || names.get(row(0).name)), first);
        assert_eq!(seek(count, || keys.nearest(5)), first);
        assert_eq!(seek(count, || keys.nearest(-5)), first);
        assert_eq!(seek(count, || keys.select(count - 1)), last);
        assert_eq!(seek(count, || keys.rank(1)), count);
        assert_eq!(seek(count, || keys.rank(0)), 0);
        assert_eq!(seek(count, || keys.count(0..=0)), count);
        assert_eq!(seek(count, || keys.count(1..)), 0);
        assert_eq!(seek(count, || names.prefix(b"all of").map(|rows| rows.len() as u64)), count);
        assert_eq!(seek(count, || keys.equal(0)?.next_back().transpose()), last);
        let found = seek(count, || {
            let mut found = [None; 3];
            keys.indexes_of(&[0, 1, 0], &mut found).map(|()| found)
        });
        assert_eq!(found, [Some(0), None, Some(0)]);
    }
    let (built, all) = (built.as_secs_f64(), start.elapsed().as_secs_f64());
    writeln!(io::stdout(), "{count} equal keys: built in {built:.1} s, in all {all:.1} s").unwrap();
}

#[test]
fn nearest_is_by_distance() {
    let dir = Dir::new();
    let place = |place: u32| Row { score: place.into(), ..Row::new(place.into(), place.into()) };
    let table = build(&dir, &[place(5), place(9), place(20)]);
    let by = table.by(Row::PLACE);
    for (probe, found) in [(0, 5), (6, 5), (7, 5), (8, 9), (14, 9), (15, 20), (u64::MAX, 20)] {
        assert_eq!(by.nearest(probe).unwrap().unwrap().place.get(), found, "{probe}");
    }
    let by = table.by(Row::SCORE);
    for (probe, found) in [(-1e300, 5.0), (7.0, 5.0), (7.1, 9.0), (f64::INFINITY, 20.0)] {
        assert_eq!(by.nearest(probe).unwrap().unwrap().score.to_bits(), f64::to_bits(found));
    }
    assert!(build(&Dir::new(), &[]).by(Row::ID).nearest(1).unwrap().is_none());
}

#[test]
fn prefixes_and_leading_parts() {
    let dir = Dir::new();
    let rows = in_place(&rows(400));
    let table = build(&dir, &rows);
    for prefix in [&b""[..], b"a", b"b", b"ba", b"ba\0z", b"ba\0zz", b"\xff"] {
        let found: Vec<[u8; 4]> =
            table.by(Row::TAG).prefix(prefix).unwrap().map(|row| row.unwrap().tag).collect();
        let mut expected: Vec<[u8; 4]> =
            rows.iter().map(|row| row.tag).filter(|tag| tag.starts_with(prefix)).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{prefix:?}");
    }
    for group in [-6, -5, 0, 5] {
        let found = table.by(Row::BY_GROUP).leading(group).unwrap();
        let scores: Vec<f64> = found.map(|row| row.unwrap().score).collect();
        let count = rows.iter().filter(|row| row.group == group).count();
        assert_eq!(scores.len(), count);
        assert!(scores.is_sorted());
    }
}

#[test]
fn rows_by_index_and_as_a_slice() {
    let dir = Dir::new();
    let rows = in_place(&rows(100));
    let table = build(&dir, &rows);
    assert_eq!(table.row(99).unwrap(), Some(rows[99]));
    assert_eq!(table.row(100).unwrap(), None);
    assert_eq!(table.iter().nth(7).unwrap().unwrap(), rows[7]);
    assert_eq!(table.iter().rev().nth(7).unwrap().unwrap(), rows[92]);
    let (first, second) = table.iter().split();
    assert_eq!(first.len() + second.unwrap().len(), 100);
    let elsewhere = table.by(Row::ID).into_range(..).unwrap();
    drop(table);
    assert_eq!(std::thread::spawn(move || elsewhere.count()).join().unwrap(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_rows(keys in proptest::collection::vec((0u64..20, any::<f64>(), -3i32..3), 0..60)) {
        let rows: Vec<Row> = (0..)
            .zip(keys)
            .map(|(id, (place, score, group))| Row { score, group, ..Row::new(place, id) })
            .collect();
        let dir = Dir::new();
        let table = build(&dir, &rows);
        // NaNs are equal to nothing, so rows are compared as bytes.
        let found: Vec<Vec<u8>> =
            table.by(Row::SCORE).range(..).unwrap().map(|row| row.unwrap().bytes()).collect();
        let mut expected = in_place(&rows);
        expected.sort_by(|a, b| a.score.total_cmp(&b.score));
        prop_assert_eq!(found, expected.iter().map(Row::bytes).collect::<Vec<_>>());
        for row in &rows {
            let found = table.by(Row::SCORE).get(row.score).unwrap().unwrap();
            prop_assert_eq!(found.score.to_bits(), row.score.to_bits());
            let by = table.by(Row::BY_GROUP);
            let count = rows.iter()
                .filter(|other| other.group == row.group && other.score.total_cmp(&row.score).is_le())
                .count();
            let low = (row.group, -f64::from_bits(0x7fff_ffff_ffff_ffff));
            prop_assert_eq!(by.count(low..=(row.group, row.score)).unwrap(), count as u64);
        }
    }
}
