//! Damaged files of an index are refused or answer, and never panic.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
};

use pagestone_heapdump::ErrorKind;
use pagestone_testkit::hprof::{IdSize, Version, gzip, tiny};

use crate::support::{Built, ask_all, open};

/// Which files are compared with a checksum when an index is opened.
const CHECKED: [&str; 1] = ["manifest"];
/// Which are when they are needed.
const LATER: [&str; 27] = [
    "checks.rec",
    "classes.rec",
    "class_orders.rec",
    "class_names.txt",
    "forms.rec",
    "objects.heads",
    "objects.packed",
    "ids.rec",
    "ids.words",
    "roots.rec",
    "outbound.heads",
    "outbound.lists",
    "inbound.heads",
    "inbound.lists",
    "instances.heads",
    "instances.lists",
    "tree.heads",
    "tree.entries",
    "biggest.rec",
    "layouts.rec",
    "traces.rec",
    "strings/manifest",
    "strings/rows.1.rec",
    "strings/rows.1.rec.meta",
    "string_objects.rec",
    "facts.pgs",
    "dump.hprof",
];

/// Changes one byte of a file, opens the index, asks it everything, and changes the byte back.
#[track_caller]
fn check_flipped(index: &Path, (name, place, byte): (&str, usize, u8), ids: &[u64]) {
    let file = OpenOptions::new().write(true).open(index.join(name)).unwrap();
    let flip = if place % 2 == 0 { 0xff } else { 1 << (place / 2 % 8) };
    file.write_all_at(&[byte ^ flip], place as u64).unwrap();
    // Each place asks of some objects, and of all in turn.
    let some: Vec<u64> = ids.iter().skip(place / 2 % 8).step_by(8).copied().collect();
    check_changed(index, name, &some);
    file.write_all_at(&[byte], place as u64).unwrap();
}

#[track_caller]
fn check_changed(index: &Path, name: &str, ids: &[u64]) {
    match open(index) {
        Ok(opened) => {
            assert!(LATER.contains(&name), "{name} opens");
            ask_all(&opened, ids.iter().copied());
            assert_eq!(opened.verify().unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let kind = error.kind();
            let expected = [
                ErrorKind::Corrupt,
                ErrorKind::NotAnIndex,
                ErrorKind::UnknownVersion,
                ErrorKind::Truncated,
            ];
            assert!(expected.contains(&kind), "{name}: {kind:?} {error}");
        }
    }
}

fn built() -> (Built, Vec<u64>) {
    let dump = tiny(IdSize::Eight, Version::V102);
    let ids = dump.objects().iter().map(|object| object.id).collect();
    (Built::new(&gzip(dump.bytes())), ids)
}

/// At most 60 places, of short files all.
fn places(whole: &[u8]) -> Vec<usize> {
    (0..whole.len()).step_by(whole.len().div_ceil(60) | 1).collect()
}

/// Most bytes of a region file are zero: some of the others, and some zeros.
fn places_in_region_file(whole: &[u8]) -> Vec<usize> {
    let used: Vec<usize> = (0..whole.len()).filter(|&place| whole[place] != 0).collect();
    let zeros = (0..whole.len()).step_by((whole.len() / 20) | 1);
    used.into_iter().step_by(19).chain(zeros).collect()
}

#[test]
fn a_byte_of_any_file_may_be_flipped() {
    let (built, ids) = built();
    let index = built.path();
    drop(built.index);
    for name in CHECKED.into_iter().chain(LATER) {
        let whole = fs::read(index.join(name)).unwrap();
        let places =
            if name == "facts.pgs" { places_in_region_file(&whole) } else { places(&whole) };
        for place in places {
            check_flipped(&index, (name, place, whole[place]), &ids);
        }
    }
    open(&index).unwrap().verify().unwrap();
}

#[test]
fn a_file_of_another_length_is_refused() {
    let (built, _) = built();
    let index = built.path();
    drop(built.index);
    for name in CHECKED.into_iter().chain(LATER) {
        let whole = fs::read(index.join(name)).unwrap();
        let longer = [&whole[..], b"\n"].concat();
        let shorter = places(&whole).into_iter().map(|len| whole[..len].to_vec());
        for bytes in shorter.chain([longer]) {
            fs::write(index.join(name), &bytes).unwrap();
            assert!(open(&index).is_err(), "{name} of {} bytes", bytes.len());
        }
        fs::remove_file(index.join(name)).unwrap();
        assert!(open(&index).is_err(), "no {name}");
        fs::write(index.join(name), whole).unwrap();
    }
    open(&index).unwrap();
}

#[test]
fn another_version_is_named() {
    let (built, _) = built();
    let manifest = built.path().join("manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("index 4\n", "index 5\n", 1)).unwrap();
    let error = open(&built.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnknownVersion);
    assert!(error.to_string().contains("version 5"), "{error}");
}

#[test]
fn what_is_no_index_is_told() {
    let folder = crate::support::folder();
    assert_eq!(open(&folder.path().join("x")).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(open(folder.path()).err().unwrap().kind(), ErrorKind::NotAnIndex);
    fs::write(folder.path().join("file"), b"").unwrap();
    let kind = open(&folder.path().join("file")).err().unwrap().kind();
    assert_eq!(kind, ErrorKind::NotAnIndex);
}
