//! Damaged files of an index are refused or answer, and never panic.

use std::{fs, path::Path};

use pagestone_heapdump::ErrorKind;
use pagestone_testkit::hprof::{IdSize, Version, gzip, tiny};

use crate::support::{Built, ask_all, open};

/// Which files are checked when an index is opened.
const CHECKED: [&str; 4] = ["manifest", "classes.rec", "class_orders.rec", "class_names.txt"];
const LATER: [&str; 18] = [
    "objects.rec",
    "long_payloads.rec",
    "ids.rec",
    "ids.words",
    "roots.rec",
    "outbound.heads",
    "outbound.lists",
    "inbound.heads",
    "inbound.lists",
    "instances.heads",
    "instances.lists",
    "dominators.rec",
    "long_distances.rec",
    "retained.rec",
    "biggest.rec",
    "layouts.rec",
    "traces.rec",
    "dump.hprof",
];

/// Opens the index with a file changed, and asks it everything.
#[track_caller]
fn check_changed(index: &Path, (name, bytes): (&str, &[u8]), ids: &[u64]) {
    fs::write(index.join(name), bytes).unwrap();
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

#[test]
fn any_byte_of_any_file_may_be_flipped() {
    let (built, ids) = built();
    let index = built.path();
    drop(built.index);
    for name in CHECKED.into_iter().chain(LATER) {
        let whole = fs::read(index.join(name)).unwrap();
        let step = if name == "dump.hprof" { 97 } else { 1 };
        for place in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[place] ^= if place % 2 == 0 { 0xff } else { 1 << (place / 2 % 8) };
            check_changed(&index, (name, &bytes), &ids);
        }
        fs::write(index.join(name), whole).unwrap();
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
        let shorter = (0..whole.len()).step_by(13).map(|len| whole[..len].to_vec());
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
    fs::write(&manifest, text.replacen("index 2\n", "index 3\n", 1)).unwrap();
    let error = open(&built.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnknownVersion);
    assert!(error.to_string().contains("version 3"), "{error}");
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
