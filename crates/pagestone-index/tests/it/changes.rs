//! Tables without a struct, and tables whose struct has changed.

use std::ops::{Bound, ControlFlow};

use pagestone_index::{ErrorKind, KeyOrder, Record, Schema, Table, TableOptions};
use pagestone_storage::Value;
use zerocopy::big_endian;

use crate::support::{Dir, Row, build, rows};

/// A later struct for the same rows.
#[derive(Debug, PartialEq, Record)]
#[repr(C)]
struct Later {
    #[index(canonical, unique)]
    id: u64,
    #[index(multi)]
    group: big_endian::I64,
    #[record(since = 2)]
    color: u64,
    score: f64,
}

/// One with a field that nobody has and that is not marked.
#[derive(Debug, Record)]
#[repr(C)]
struct Unmarked {
    id: u64,
    color: u64,
}

/// One whose field is too small for some.
#[derive(Debug, Record)]
#[repr(C)]
struct Small {
    id: u16,
}

#[test]
fn migrate_copies_by_name_in_place() {
    let (dir, rows) = (Dir::new(), rows(500));
    let old = build(&dir, &rows);
    let table: Table<Later> = TableOptions::new().migrate(dir.trusted(), dir.trusted()).unwrap();
    assert_eq!((table.len(), table.version()), (500, 2));
    for row in &rows {
        let found = table.by(Later::ID).get(row.id.get()).unwrap().unwrap();
        let group = big_endian::I64::new(row.group.into());
        let expected = Later { id: row.id.get(), group, color: 0, score: row.score };
        assert_eq!(found, expected);
    }
    assert_eq!(old.len(), 500);
    table.verify(|_| ControlFlow::Continue(())).unwrap();
}

#[test]
fn migrate_refuses_what_would_be_made_up_or_lost() {
    let dir = Dir::new();
    build(&dir, &rows(50));
    let options = TableOptions::new();
    let error = options.migrate::<Unmarked>(dir.trusted(), dir.trusted()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    assert!(error.to_string().contains("no field `color`"), "{error}");
    let error = options.migrate::<Small>(dir.trusted(), dir.trusted()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    assert!(error.to_string().contains("field `id`"), "{error}");
    assert_eq!(Table::<Row>::open(dir.trusted()).unwrap().len(), 50);
}

#[test]
fn a_table_without_a_struct() {
    let dir = Dir::new();
    let schema = Schema::builder("reading", 12)
        .column("sensor", "u16be@0".parse().unwrap())
        .column("time", "u32be@2".parse().unwrap())
        .column("value", "f32le@8".parse().unwrap())
        .key("at", KeyOrder::CanonicalUnique, &["sensor", "time"])
        .key("value", KeyOrder::Multi, &["value"])
        .build()
        .unwrap();
    let mut builder = TableOptions::new().create_any(dir.trusted(), schema.clone()).unwrap();
    let mut rows = Vec::new();
    for number in (0..100u32).rev() {
        let values = [Value::from(number % 5), number.into(), Value::Float((number % 3).into())];
        builder.encode(&values, &mut rows).unwrap();
    }
    let refused = builder.encode(&[Value::from(70_000), 1.into(), 1.into()], &mut rows);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
    builder.append(&rows).unwrap();
    let table = builder.seal().unwrap();
    assert_eq!(*table.schema(), schema);
    let by = table.by("at").unwrap();
    let sensor = [Value::from(3)];
    assert_eq!(by.equal(&sensor).unwrap(), 60..80);
    let at = [Value::from(3), Value::from(8)];
    assert_eq!(by.equal(&at).unwrap(), 61..62);
    assert_eq!(table.values(61).unwrap()[1], Value::Unsigned(8));
    assert_eq!(by.ranks((Bound::Excluded(&sensor), Bound::Unbounded)).unwrap(), 80..100);
    let one = [Value::Float(1.0)];
    let by = table.by("value").unwrap();
    let ranks = by.equal(&one).unwrap();
    assert_eq!(ranks, 34..67);
    for index in by.indexes(ranks) {
        assert_eq!(table.values(index.unwrap()).unwrap()[2], Value::Float(1.0));
    }
    assert_eq!(by.select(100).unwrap(), None);
    assert!(table.by("time").unwrap_err().to_string().contains("there are at, value"));
}

#[test]
fn the_struct_opens_what_was_built_without_it() {
    let dir = Dir::new();
    let mut builder = TableOptions::new().create_any(dir.trusted(), Row::schema()).unwrap();
    let rows = rows(20);
    builder.append(&rows.iter().flat_map(Row::bytes).collect::<Vec<u8>>()).unwrap();
    builder.seal().unwrap();
    crate::lookups::check_table(&Table::open(dir.trusted()).unwrap(), &rows);
}
