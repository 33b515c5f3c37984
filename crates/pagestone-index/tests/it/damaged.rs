//! Manifests and files that are damaged, missing, foreign or of another schema.

use std::{ops::ControlFlow, path::Path};

use pagestone_index::{ErrorKind, Record, Table};

use crate::support::{Dir, Row, build, rows};

#[derive(Debug, Record)]
#[repr(C)]
struct Other {
    #[index(canonical)]
    place: u64,
    id: u64,
}

#[track_caller]
fn check(dir: &Dir, kind: ErrorKind, text: &str) {
    let error = Table::<Row>::open(dir.trusted()).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

/// The text of a manifest with its checksum.
fn sealed(body: &str) -> String {
    format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes()))
}

fn body(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    format!("{body}\n")
}

#[test]
fn a_changed_schema_is_refused_and_both_are_named() {
    let dir = Dir::new();
    build(&dir, &rows(3));
    let error = Table::<Other>::open(dir.trusted()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    for part in [Row::schema().to_string(), Other::schema().to_string(), "migrate".to_owned()] {
        assert!(error.to_string().contains(&part), "{error}");
    }
}

#[test]
fn a_manifest_that_is_missing_or_foreign() {
    let dir = Dir::new();
    check(&dir, ErrorKind::NotFound, "no manifest");
    build(&dir, &rows(3));
    let path = dir.table().join("manifest");
    let text = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    check(&dir, ErrorKind::NotFound, "no manifest");
    for foreign in [&b"<html>"[..], b"", b"\xff\xfe\n", b"\n\n"] {
        std::fs::write(&path, foreign).unwrap();
        check(&dir, ErrorKind::Foreign, "not the manifest");
    }
    std::fs::write(&path, "pagestone-index 99\n{}\ncrc32 0\n").unwrap();
    check(&dir, ErrorKind::UnknownVersion, "99");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    check(&dir, ErrorKind::Io, "manifest");
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, text).unwrap();
    assert_eq!(Table::<Row>::open(dir.trusted()).unwrap().len(), 3);
}

#[test]
fn every_byte_of_a_manifest_counts() {
    let dir = Dir::new();
    build(&dir, &rows(3));
    let path = dir.table().join("manifest");
    let text = std::fs::read(&path).unwrap();
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        assert!(Table::<Row>::open(dir.trusted()).is_err(), "byte {at}");
        std::fs::write(&path, &text[..at]).unwrap();
        assert!(Table::<Row>::open(dir.trusted()).is_err(), "cut at {at}");
    }
}

#[test]
fn a_manifest_that_lies_under_a_right_checksum() {
    let dir = Dir::new();
    build(&dir, &rows(3));
    let path = dir.table().join("manifest");
    let body = body(&path);
    let lies = [
        ("rows.1.rec", "../rows.1.rec", ErrorKind::Corrupt),
        ("rows.1.rec", "/etc/passwd", ErrorKind::Corrupt),
        ("rows.1.rec", "rows.1.rec/x", ErrorKind::Corrupt),
        ("rows.1.rec", "rows.2.rec", ErrorKind::NotFound),
        ("rows.1.rec", "key-1.1.idx", ErrorKind::Truncated),
        ("\"record_count\": 3", "\"record_count\": 4", ErrorKind::Truncated),
        ("\"record_count\": 3", "\"record_count\": 2", ErrorKind::Corrupt),
        ("\"record_count\": 3", "\"record_count\": 18446744073709551615", ErrorKind::Truncated),
        ("\"record_size\": 56", "\"record_size\": 55", ErrorKind::Corrupt),
        ("\"record_size\": 12", "\"record_size\": 0", ErrorKind::Corrupt),
        ("\"canonical\"", "\"multi\"", ErrorKind::Corrupt),
        ("u64le@0", "u64le@90", ErrorKind::Corrupt),
        ("\"table\"", "\"stool\"", ErrorKind::Corrupt),
    ];
    for (from, to, kind) in lies {
        assert!(body.contains(from), "{from}");
        std::fs::write(&path, sealed(&body.replacen(from, to, 1))).unwrap();
        let error = Table::<Row>::open(dir.trusted()).unwrap_err();
        assert_eq!(error.kind(), kind, "{from} -> {to}: {error}");
    }
    std::fs::write(&path, sealed(&body)).unwrap();
    assert_eq!(Table::<Row>::open(dir.trusted()).unwrap().len(), 3);
}

#[test]
fn files_that_are_cut_grown_or_gone() {
    let dir = Dir::new();
    build(&dir, &rows(30));
    for name in ["rows.1.rec", "key-1.1.idx", "key-5.1.idx"] {
        let path = dir.table().join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        check(&dir, ErrorKind::Truncated, name);
        std::fs::write(&path, []).unwrap();
        check(&dir, ErrorKind::Truncated, name);
        std::fs::write(&path, [bytes.as_slice(), bytes.as_slice()].concat()).unwrap();
        check(&dir, ErrorKind::Corrupt, name);
        std::fs::remove_file(&path).unwrap();
        check(&dir, ErrorKind::NotFound, name);
        std::fs::write(&path, bytes).unwrap();
        Table::<Row>::open(dir.trusted()).unwrap();
    }
}

/// Looks up everything; whatever is found, what fails names what is damaged, and nothing panics.
fn visit(table: &Table<Row>) -> u64 {
    let mut errors = 0;
    let mut look = |found: pagestone_index::Result<()>| {
        if let Err(error) = found {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            errors += 1;
        }
    };
    for row in rows(30) {
        look(table.by(Row::ID).get(row.id.get()).map(drop));
        look(table.by(Row::NAME).get(row.name).map(drop));
        look(table.by(Row::GROUP).nearest(row.group).map(drop));
        look(table.by(Row::BY_GROUP).get((row.group, row.score)).map(drop));
        look(table.by(Row::ID).get_many(&[row.id.get()], &mut [None]));
    }
    table.by(Row::SCORE).range(..).unwrap().for_each(|row| look(row.map(drop)));
    errors
}

#[test]
fn every_flipped_byte_is_found_by_verify_and_none_panics() {
    let dir = Dir::new();
    build(&dir, &rows(30));
    let go_on = |_| ControlFlow::Continue(());
    let mut refused = 0;
    for name in ["rows.1.rec", "key-1.1.idx", "key-2.1.idx", "key-5.1.idx", "key-6.1.idx"] {
        let path = dir.table().join(name);
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(3) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x80;
            std::fs::write(&path, &changed).unwrap();
            let table = Table::<Row>::open(dir.trusted()).unwrap();
            refused += visit(&table);
            let error = table.verify(go_on).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(0 < refused, "positions that name no row are errors");
    Table::<Row>::open(dir.trusted()).unwrap().verify(go_on).unwrap();
    std::fs::remove_file(dir.table().join("key-1.1.idx.meta")).unwrap();
    let error = Table::<Row>::open(dir.trusted()).unwrap().verify(go_on).unwrap_err();
    assert!(error.to_string().contains("expected checksums, found none"), "{error}");
}
