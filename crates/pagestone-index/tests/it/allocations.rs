//! Lookups take no memory.

use allocation_counter::measure;

use crate::support::{Dir, Row, build, rows};

#[track_caller]
fn check(what: &str, mut work: impl FnMut()) {
    work();
    let counted = measure(work);
    assert_eq!(counted.count_total, 0, "{what}: {counted:?}");
}

#[test]
fn lookups() {
    let (dir, rows) = (Dir::new(), rows(2_000));
    let table = build(&dir, &rows);
    let untrusted: pagestone_index::Table<Row> =
        pagestone_index::Table::open(dir.table().as_path()).unwrap();
    let ids: Vec<u64> = rows.iter().map(|row| row.id.get()).collect();
    let mut found = vec![None; ids.len()];
    for table in [&table, &untrusted] {
        check("get", || {
            for row in &rows {
                assert!(table.by(Row::ID).get(row.id.get()).unwrap().is_some());
                assert!(table.by(Row::PLACE).get(row.place.get()).unwrap().is_some());
                assert!(table.by(Row::BY_GROUP).get((row.group, row.score)).unwrap().is_some());
            }
        });
        check("get_many", || table.by(Row::ID).get_many(&ids, &mut found).unwrap());
        check("range", || {
            let found = table.by(Row::GROUP).range(-2..=2).unwrap().filter_map(Result::ok);
            assert!(found.count() < rows.len());
        });
        check("nearest, rank, cursor", || {
            let by = table.by(Row::SCORE);
            assert!(by.nearest(0.3).unwrap().is_some());
            assert!(by.rank(0.3).unwrap() > 0);
            let mut cursor = by.cursor();
            cursor.seek(0.3).unwrap();
            assert!(cursor.next().unwrap().is_some());
        });
    }
    check("long byte keys, mapped", || {
        assert!(table.by(Row::NAME).get(rows[5].name).unwrap().is_some());
    });
}
