//! Dumps that are cut, damaged or none at all: what is told, and what is kept.
#![expect(clippy::result_large_err, reason = "the error of proptest's macro")]

use std::{collections::BTreeSet, fs};

use pagestone_heapdump::{BuildOptions, DamageKind, ErrorKind};
use pagestone_testkit::hprof::{Dump, IdSize, Version, tiny};
use proptest::prelude::*;

use crate::support::{Built, ask_all, folder, names, small, step};

#[track_caller]
fn check_cut(dump: &Dump, cut: u64) {
    let bytes = &dump.bytes()[..usize::try_from(cut).unwrap()];
    let header_end = dump.boundaries()[0].end;
    if cut < header_end {
        let refused = Built::try_new(bytes).err().map(|error| error.kind());
        assert_eq!(refused, Some(ErrorKind::NotADump), "cut {cut}");
        return;
    }
    let built = Built::new(bytes);
    let kept: Vec<_> = dump.objects_before(cut).copied().collect();
    built.check_objects(&kept);
    let found = built.index.summary().truncation();
    assert_eq!(found.map(|damage| damage.offset), dump.stop_of(cut), "cut {cut}");
    assert_eq!(built.index.summary().is_complete(), found.is_none());
}

/// Some ends of parts, and some bytes within: every byte by `cargo xtask large heapdump`.
fn cuts(dump: &Dump, step: usize) -> BTreeSet<u64> {
    let ends = dump.boundaries().iter().map(|part| part.end).step_by(3);
    (0..=dump.bytes().len() as u64).step_by(step).chain(ends).collect()
}

#[test]
fn a_small_dump_cut_at_any_byte_is_read_up_to_there() {
    let dump = small();
    for cut in 0..=dump.bytes().len() as u64 {
        check_cut(&dump, cut);
    }
}

#[test]
fn a_dump_cut_somewhere_is_read_up_to_there() {
    let dump = tiny(IdSize::Eight, Version::V102);
    for cut in cuts(&dump, step(13)) {
        check_cut(&dump, cut);
    }
}

#[test]
fn other_formats_cut_are_read_up_to_there() {
    for (id_size, version) in [(IdSize::Four, Version::V101), (IdSize::Four, Version::V103)] {
        let dump = tiny(id_size, version);
        for cut in cuts(&dump, step(37)) {
            check_cut(&dump, cut);
        }
    }
}

/// The buffers and batches of a build, and some for its small tables.
const ALLOCATED_MAX: u64 = 6 << 20;

/// Builds of a damaged dump end, with an index that answers or with an error of these kinds, and
/// never allocate for more than is there.
#[track_caller]
fn check_flipped(bytes: &[u8], ids: &[u64]) {
    let mut built = None;
    let allocated = allocation_counter::measure(|| built = Some(Built::try_new(bytes)));
    assert!(allocated.bytes_max < ALLOCATED_MAX, "{} bytes allocated", allocated.bytes_max);
    match built.unwrap() {
        Ok(built) => {
            ask_all(&built.index, ids.iter().copied());
            built.index.verify().unwrap();
            let len = built.index.summary().dump_len;
            assert!(built.index.summary().damages.iter().all(|damage| damage.offset <= len));
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotADump, "{error}"),
    }
}

#[track_caller]
fn check_flips(dump: &Dump, step: usize) {
    let ids: Vec<u64> = dump.objects().iter().map(|object| object.id).collect();
    for place in (0..dump.bytes().len()).step_by(step) {
        let mut bytes = dump.bytes().to_vec();
        bytes[place] ^= if place % 2 == 0 { 0xff } else { 1 << (place / 2 % 8) };
        check_flipped(&bytes, &ids);
    }
}

#[test]
fn a_small_dump_with_any_byte_flipped_is_read() {
    check_flips(&small(), 1);
}

#[test]
fn a_dump_with_a_byte_flipped_is_read() {
    check_flips(&tiny(IdSize::Four, Version::V103), step(11));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_dump_with_several_bytes_changed_is_read(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let dump = tiny(IdSize::Eight, Version::V102);
        let ids: Vec<u64> = dump.objects().iter().map(|object| object.id).collect();
        let mut bytes = dump.into_bytes();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.extend(tail);
        check_flipped(&bytes, &ids);
    }
}

#[track_caller]
fn check_refused(bytes: &[u8], says: &str) {
    let error = Built::try_new(bytes).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotADump);
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn what_is_no_dump_is_refused_with_the_reason() {
    check_refused(b"", "empty");
    check_refused(b"PK\x03\x04 an archive of something, long enough for a header", "JAVA PROFILE");
    check_refused(b"JAVA", "inside its header");
    check_refused(b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0", "inside its header");
    check_refused(b"JAVA PROFILE 1.0.2\0\0\0\0\x05\0\0\0\0\0\0\0\0", "5 bytes");
    check_refused(&[&b"JAVA PROFILE 1.0.2"[..], &[b'x'; 60]].concat(), "does not end");
    check_refused(b"\x1f\x8b\x08", "empty");
}

#[test]
fn paths_that_are_no_file_are_refused() {
    let folder = folder();
    let out = folder.path().join("index");
    let kind = |dump: &str| BuildOptions::new().build(folder.path().join(dump), &out).err();
    assert_eq!(kind("absent").unwrap().kind(), ErrorKind::NotFound);
    fs::create_dir(folder.path().join("directory")).unwrap();
    let error = kind("directory").unwrap();
    assert_eq!(error.kind(), ErrorKind::NotADump);
    assert!(error.to_string().contains("directory"), "{error}");
    assert_eq!(names(folder.path()), ["directory"]);
}

#[test]
fn the_end_is_told_when_the_list_of_damages_is_full() {
    use pagestone_testkit::hprof::{DumpOptions, DumpWriter};
    let mut writer = DumpWriter::new(DumpOptions::default());
    (0..500).for_each(|_| {
        writer.raw_record(0x02, &[]);
    });
    let bytes = writer.finish().into_bytes();
    let built = Built::new(&bytes[..bytes.len() - 1]);
    let summary = built.index.summary();
    assert_eq!((summary.damage_count, summary.damages.len()), (500, 64));
    let last = summary.truncation().unwrap();
    assert_eq!((last.kind, last.offset), (DamageKind::Truncated, bytes.len() as u64 - 9));
}
