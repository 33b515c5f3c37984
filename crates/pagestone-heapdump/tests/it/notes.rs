//! Notes stay.

use pagestone_heapdump::{BuildOptions, ErrorKind, Existing, Notes};
use pagestone_testkit::hprof::IdSize;

use crate::{
    shop::{Era, shop},
    support::{Built, folder, open, trusted},
};

#[test]
fn notes_are_kept_in_their_order() {
    let built = Built::new(&shop(Era::Compact, IdSize::Eight, &[]));
    let dir = trusted(&built.path());
    let notes = Notes::of(&dir).unwrap();
    assert_eq!(notes.list().unwrap(), []);
    let first = notes.add(None, "looks like a leak").unwrap();
    let second = Notes::of(&dir).unwrap().add(Some(0x30), "\u{3b1}\n\"quoted\"").unwrap();

    let found = notes.list().unwrap();
    let seen: Vec<_> = found.iter().map(|it| (it.number, it.object, it.text.as_str())).collect();
    let expected =
        [(first, None, "looks like a leak"), (second, Some(0x30), "\u{3b1}\n\"quoted\"")];
    assert_eq!(seen, expected);
    assert!(1_700_000_000_000 < found[0].timestamp_ms);
    // The index is one as before, and a build may replace it.
    open(&built.path()).unwrap().verify().unwrap();
    let dump = built.folder.path().join("dump");
    BuildOptions::new().existing(Existing::Replace).build(dump, built.path()).unwrap();
}

#[test]
fn what_is_no_index_has_no_notes() {
    let folder = folder();
    assert_eq!(Notes::of(&trusted(folder.path())).unwrap_err().kind(), ErrorKind::NotAnIndex);
}
