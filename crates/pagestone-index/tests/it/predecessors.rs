//! Defects of the Java predecessor's indexes that no other test looks at.

use std::{fs::File, os::unix::fs::FileExt};

use pagestone_index::{Record, Relation, Table, TableOptions};

use crate::support::{Dir, Row, build, rows};

#[derive(Debug, PartialEq, Record)]
#[repr(C)]
struct Byte {
    #[index(multi)]
    key: u8,
}

#[test]
fn more_rows_than_32_bits_count() {
    const COUNT: u64 = (1 << 32) + 10;
    let dir = Dir::new();
    let options = TableOptions::new().wide_positions().without_accelerators();
    let mut builder = options.create::<Byte>(dir.trusted()).unwrap();
    builder.append(&Byte { key: 0 }).unwrap();
    drop(builder.seal().unwrap());
    // Files of holes, in which only the last row and its entry are not zero.
    let file = |name: &str| File::options().write(true).open(dir.table().join(name)).unwrap();
    let (rows, keys) = (file("rows.1.rec"), file("key-0.1.idx"));
    rows.set_len(COUNT).unwrap();
    rows.write_all_at(&[9], COUNT - 1).unwrap();
    keys.set_len(9 * COUNT).unwrap();
    keys.write_all_at(&[9], 9 * (COUNT - 1)).unwrap();
    keys.write_all_at(&(COUNT - 1).to_le_bytes(), 9 * (COUNT - 1) + 1).unwrap();
    let path = dir.table().join("manifest");
    let text = std::fs::read_to_string(&path).unwrap();
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    let count = format!("\"record_count\": {COUNT}");
    let body = format!("{}\n", body.replace("\"record_count\": 1", &count));
    std::fs::write(&path, format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes())))
        .unwrap();
    let table = Table::<Byte>::open(dir.trusted()).unwrap();
    assert_eq!(table.len(), COUNT);
    assert_eq!(table.by(Byte::KEY).index_of(9).unwrap(), Some(COUNT - 1));
    assert_eq!(table.by(Byte::KEY).get(9).unwrap(), Some(Byte { key: 9 }));
    assert_eq!(table.by(Byte::KEY).count(0..9).unwrap(), COUNT - 1);
    assert_eq!(table.by(Byte::KEY).range(..).unwrap().next_back().unwrap().unwrap().key, 9);
    assert_eq!(table.row(COUNT - 1).unwrap(), Some(Byte { key: 9 }));
    assert_eq!(table.iter().rev().nth(1).unwrap().unwrap().key, 0);
}

#[test]
fn a_key_costs_its_own_bytes_and_a_position() {
    let (dir, count) = (Dir::new(), 20_000);
    drop(build(&dir, &rows(count)));
    let len = |name: &str| std::fs::metadata(dir.table().join(name)).unwrap().len();
    for (name, key_len) in [("key-1", 8), ("key-3", 4), ("key-5", 24), ("key-6", 12)] {
        let (file, sidecar) = (len(&format!("{name}.1.idx")), len(&format!("{name}.1.idx.meta")));
        assert_eq!(file, count * (key_len + 4));
        // 0.6 bytes, and two pages that a small file notices.
        assert!(sidecar <= count * 6 / 10 + 2 * 4096, "{name}: {sidecar}");
    }
    // The canonical key has no file at all.
    assert!(!dir.names().iter().any(|name| name.starts_with("key-0")));
}

#[test]
fn a_relation_costs_by_the_pair_not_by_the_square() {
    let (dir, count) = (Dir::new(), 1_000_000);
    let mut builder = TableOptions::new().create_relation(dir.trusted(), (count, count)).unwrap();
    builder.extend((0..1000).map(|row| (row * 1000, row * 999))).unwrap();
    drop(builder.seal().unwrap());
    let sizes = dir
        .names()
        .into_iter()
        .map(|name| std::fs::metadata(dir.table().join(name)).unwrap().len());
    assert!(sizes.sum::<u64>() < 100_000);
    assert_eq!(Relation::open(dir.trusted()).unwrap().inverse().values(999).unwrap().len(), 1);
}

#[test]
fn a_shorter_rewrite_keeps_no_old_tail() {
    let dir = Dir::new();
    build(&dir, &rows(100));
    assert_eq!(build(&dir, &rows(10)).len(), 10);
    let table = Table::<Row>::open(dir.trusted()).unwrap();
    assert_eq!((table.len(), table.by(Row::ID).count(..).unwrap()), (10, 10));
}
