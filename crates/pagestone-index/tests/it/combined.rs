//! Several keys at once, two tables at once.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use std::collections::BTreeMap;

use pagestone_index::{ErrorKind, FIND_KEYS_MAX, TableOptions};
use proptest::prelude::*;

use crate::support::{Dir, Row, build, rows};

#[test]
fn rows_that_have_several_keys() {
    let dir = Dir::new();
    let table = build(&dir, &rows(3_000));
    let all: Vec<Row> = table.iter().map(Result::unwrap).collect();
    let row = |index: u64| &all[usize::try_from(index).unwrap()];
    for (group, tag, score) in [(0, *b"aa\0z", 0.0), (-5, *b"bc\0z", 3.0), (5, *b"ce\0z", -3.0)] {
        let expected: Vec<u64> = (0..)
            .zip(&all)
            .filter(|(_, row)| row.group == group && row.tag == tag)
            .filter(|(_, row)| row.score.total_cmp(&score).is_eq())
            .map(|(index, _)| index)
            .collect();
        let find =
            || table.find().and(Row::GROUP, group)?.and(Row::TAG, tag)?.and(Row::SCORE, score);
        let found: Vec<u64> = find().unwrap().indexes().map(Result::unwrap).collect();
        assert_eq!(found, expected);
        let found: Vec<Row> = find().unwrap().map(Result::unwrap).collect();
        assert!(found.iter().eq(expected.iter().map(|&index| row(index))));
        let place = row(expected.first().copied().unwrap_or(0)).place.get();
        let with_place = find().unwrap().and(Row::PLACE, place).unwrap();
        let count = expected.iter().filter(|&&index| row(index).place.get() == place);
        assert_eq!(with_place.count(), count.count());
    }
    assert_eq!(table.find().count(), 3_000);
    assert_eq!(table.find().and(Row::GROUP, 99).unwrap().count(), 0);
    let mut find = table.find();
    for _ in 0..FIND_KEYS_MAX {
        find = find.and(Row::GROUP, 0).unwrap();
    }
    assert_eq!(find.and(Row::GROUP, 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..Default::default() })]
    #[test]
    fn joins(
        left in proptest::collection::vec(-8i32..8, 0..40),
        right in proptest::collection::vec(-8i32..8, 0..40),
    ) {
        let make = |groups: &[i32]| -> Vec<Row> {
            (0..).zip(groups).map(|(id, &group)| Row { group, ..Row::new(id, id) }).collect()
        };
        let (one, other) = (Dir::new(), Dir::new());
        let tables = (build(&one, &make(&left)), build(&other, &make(&right)));
        let found: Vec<(i32, u64, u64)> = tables.0.by(Row::GROUP).join(tables.1.by(Row::GROUP))
            .map(|pair| pair.map(|(l, r)| (l.group, l.id.get(), r.id.get())).unwrap())
            .collect();
        let mut by_group: BTreeMap<i32, (Vec<u64>, Vec<u64>)> = BTreeMap::new();
        for (id, &group) in (0..).zip(&left) {
            by_group.entry(group).or_default().0.push(id);
        }
        for (id, &group) in (0..).zip(&right) {
            by_group.entry(group).or_default().1.push(id);
        }
        let mut expected = Vec::new();
        for (group, (lefts, rights)) in by_group {
            for &l in &lefts {
                expected.extend(rights.iter().map(|&r| (group, l, r)));
            }
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn tables_without_a_struct_are_joined_alike() {
    let (one, other) = (Dir::new(), Dir::new());
    let all = rows(90);
    let tables = (build(&one, &all[..50]), build(&other, &all[20..]));
    let options = TableOptions::new();
    let any =
        (options.open_any(one.trusted()).unwrap(), options.open_any(other.trusted()).unwrap());
    for key in ["place", "id", "group", "score", "tag", "by_group"] {
        let by = (any.0.by(key).unwrap(), any.1.by(key).unwrap());
        let pairs: Vec<(u64, u64)> = by.0.join(by.1).unwrap().map(Result::unwrap).collect();
        // Each row by a search in the other table.
        let mut expected = Vec::new();
        for left in by.0.indexes(0..any.0.len()).map(Result::unwrap) {
            let number = any.0.schema().key(key).unwrap();
            let fields = any.0.schema().keys()[number].fields();
            let value = |field: &pagestone_storage::Field| {
                let start = field.offset() as usize;
                let bytes = &any.0.with_row(left, <[u8]>::to_vec).unwrap()[start..];
                field.decode(&bytes[..field.size() as usize]).unwrap().into_owned()
            };
            let values: Vec<_> = fields.iter().map(value).collect();
            let ranks = by.1.equal(&values).unwrap();
            expected.extend(by.1.indexes(ranks).map(|right| (left, right.unwrap())));
        }
        assert_eq!(pairs, expected, "{key}");
        assert!(!pairs.is_empty(), "{key}");
    }
    let typed = tables.0.by(Row::GROUP).join(tables.1.by(Row::GROUP)).map(Result::unwrap);
    let by = (any.0.by("group").unwrap(), any.1.by("group").unwrap());
    let row = |pair: pagestone_index::Result<(u64, u64)>| {
        let (left, right) = pair.unwrap();
        (tables.0.row(left).unwrap().unwrap(), tables.1.row(right).unwrap().unwrap())
    };
    assert!(typed.eq(by.0.join(by.1).unwrap().map(row)));
    let error = any.0.by("group").unwrap().join(any.1.by("score").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
