//! Manifests and files that are damaged, missing, foreign or of another schema.

use std::{ops::ControlFlow, path::Path};

use pagestone_index::{Column as _, ErrorKind, Record, Table, TableOptions};
use pagestone_storage::Backing;

use crate::support::{Dir, Row, build, build_with, rows};

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

/// What a table answers, or that something in it is damaged.
fn answers(table: &Table<Row>) -> Vec<pagestone_index::Result<String>> {
    let told = |answer: &dyn std::fmt::Debug| format!("{answer:?}");
    let mut answers = Vec::new();
    for id in [0, 1, 700, 1500, 2998, 2999, 5000] {
        let row = Row::new(id, id);
        answers.push(table.by(Row::ID).get(id).map(|found| told(&found)));
        answers.push(table.by(Row::ID).rank(id).map(|found| told(&found)));
        answers.push(table.by(Row::PLACE).get(id).map(|found| told(&found)));
        answers.push(table.by(Row::NAME).contains(row.name).map(|found| told(&found)));
        answers.push(table.by(Row::NAME).prefix(&row.name[..7]).map(|found| told(&found.len())));
        let mut found = [None, None];
        let many = table.by(Row::ID).get_many(&[id, id + 1], &mut found);
        answers.push(many.map(|()| told(&found)));
        answers.push(table.row(id).map(|found| told(&found)));
    }
    answers.push(table.by(Row::BY_GROUP).equal((0, 0.0)).map(|found| told(&found.len())));
    answers.push(table.by(Row::GROUP).nearest(5).map(|found| told(&found)));
    let order: pagestone_index::Result<Vec<Row>> =
        table.by(Row::SCORE).range(..).unwrap().rev().step_by(30).collect();
    answers.push(order.map(|rows| told(&rows)));
    answers
}

#[test]
fn with_checked_blocks_a_flipped_byte_is_an_error_or_changes_no_answer() {
    let dir = Dir::new();
    // Three blocks of rows, two and more of names.
    let rows: Vec<Row> = (0..3000).rev().map(|id| Row::new(id, id)).collect();
    let right: Vec<String> =
        answers(&build(&dir, &rows)).into_iter().collect::<Result<_, _>>().unwrap();
    let mut random = pagestone_testkit::random::Random::new(3);
    let mut below = |len: usize| random.below(u32::try_from(len).unwrap()) as usize;
    let (mut refused, mut opened, mut right_beside) = (0, 0, 0);
    let names = dir.names();
    for name in &names {
        let path = dir.table().join(name);
        let bytes = std::fs::read(&path).unwrap();
        for nth in 0..12 {
            let mut changed = bytes.clone();
            let at = if nth == 0 { 0 } else { below(bytes.len()) };
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            for backing in [Backing::File, Backing::Map] {
                let options = TableOptions::new().backing(backing).check_blocks();
                let Ok(table) = options.open::<Row>(dir.trusted()) else {
                    refused += 1;
                    continue;
                };
                opened += 1;
                for (found, right) in answers(&table).into_iter().zip(&right) {
                    match found {
                        Ok(found) => {
                            assert_eq!(found, *right, "byte {at} of {name}");
                            right_beside += 1;
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
                    }
                }
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(10 < refused && 50 < opened && 1000 < right_beside, "{refused} {opened}");
}

#[test]
fn a_block_is_compared_when_it_is_first_needed_and_once() {
    let dir = Dir::new();
    let rows: Vec<Row> = (0..3000).map(|id| Row::new(id, id)).collect();
    build(&dir, &rows);
    let open = || TableOptions::new().check_blocks().open::<Row>(dir.trusted()).unwrap();
    let path = dir.table().join("rows.1.rec");
    let bytes = std::fs::read(&path).unwrap();
    let before = open();
    assert_eq!(before.row(0).unwrap(), Some(rows[0]));
    let mut changed = bytes.clone();
    // Row 5 by its name, of which nothing else depends: no length and no end changes.
    changed[5 * Row::SIZE + 40] ^= 4;
    std::fs::write(&path, &changed).unwrap();
    assert_ne!(before.row(5).unwrap(), Some(rows[5]), "its block was right before");
    let table = open();
    assert_eq!(table.row(2500).unwrap(), Some(rows[2500]), "another block");
    let error = table.row(7).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    for part in ["rows.1.rec", "records 0..1170", "offset 0", "found 0x"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(table.iter().any(|row| row.is_err()), "a scan");
    // A merge would give the damage a right checksum.
    let delta = TableOptions::new().check_blocks().append_to::<Row>(dir.trusted()).unwrap();
    delta.append(&Row::new(9999, 9999)).unwrap();
    assert_eq!(delta.merge().unwrap_err().kind(), ErrorKind::Corrupt);
    drop(delta);
    std::fs::write(&path, bytes).unwrap();
    std::fs::remove_file(dir.table().join("rows.1.rec.meta")).unwrap();
    let opened = TableOptions::new().check_blocks().open::<Row>(dir.trusted());
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt);
    Table::<Row>::open(dir.trusted()).unwrap();
}

#[test]
fn relations_are_checked_by_blocks_too() {
    let dir = Dir::new();
    let options = TableOptions::new();
    // Few keys of many: they are listed.
    let pairs = || (0..20_000u64).map(|pair| (pair / 3 * 50, pair * 7 % 9_000));
    let mut builder = options.create_relation(dir.trusted(), (1_000_000, 9_000)).unwrap();
    builder.extend(pairs()).unwrap();
    builder.seal().unwrap();
    let told = |relation: &pagestone_index::Relation| -> Vec<pagestone_index::Result<Vec<u64>>> {
        let keys = [0, 50, 51, 100_000, 100_001, 333_300, 999_999];
        let values = keys.map(|key| relation.values(key)?.collect());
        let inverse = [0, 1, 4_500, 8_999].map(|value| relation.inverse().values(value)?.collect());
        values.into_iter().chain(inverse).collect()
    };
    let open = || options.check_blocks().open_relation(dir.trusted());
    let right: Vec<Vec<u64>> = told(&open().unwrap()).into_iter().map(Result::unwrap).collect();
    let mut random = pagestone_testkit::random::Random::new(5);
    let mut below = |len: usize| random.below(u32::try_from(len).unwrap()) as usize;
    let mut errors = 0;
    for name in &dir.names() {
        let path = dir.table().join(name);
        let bytes = std::fs::read(&path).unwrap();
        for _ in 0..20 {
            let mut changed = bytes.clone();
            let at = below(bytes.len());
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            let Ok(relation) = open() else { continue };
            for (found, right) in told(&relation).into_iter().zip(&right) {
                match found {
                    Ok(found) => assert_eq!(found, *right, "{name}"),
                    Err(_) => errors += 1,
                }
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(20 < errors, "{errors}");
}

#[test]
fn a_search_that_damage_leads_astray_is_an_error() {
    let dir = Dir::new();
    let rows: Vec<Row> = (0..20_000).map(|id| Row::new(id, id)).collect();
    let plain = TableOptions::new().without_accelerators();
    build_with(&dir, &rows, plain);
    // Four blocks of entries of 12 bytes.
    let path = dir.table().join("key-1.1.idx");
    let bytes = std::fs::read(&path).unwrap();
    let mut astray = 0;
    for block in 0..4 {
        for fill in [0, 0xff] {
            let mut changed = bytes.clone();
            let end = bytes.len().min((block + 1) * 65_532);
            // Not the ends of the file, which an open looks at.
            changed[(block * 65_532).max(12)..end.min(bytes.len() - 12)].fill(fill);
            std::fs::write(&path, &changed).unwrap();
            let table = TableOptions::new().check_blocks().open::<Row>(dir.trusted()).unwrap();
            for id in (3..20_000).step_by(997) {
                match table.by(Row::ID).ranks(id..=id) {
                    Ok(ranks) => assert_eq!(ranks, id..id + 1),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                        let own = id * 12 / 65_532;
                        astray += u32::from(own != block as u64);
                    }
                }
                match table.by(Row::ID).get(id) {
                    Ok(found) => assert_eq!(found, Some(rows[usize::try_from(id).unwrap()])),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
                }
            }
        }
    }
    assert!(10 < astray, "keys of blocks that are right: {astray}");
}
