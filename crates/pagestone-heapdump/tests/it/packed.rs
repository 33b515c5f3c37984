//! Packed dumps are those they were packed from.

use std::fs;

use pagestone_heapdump::{DamageKind, ErrorKind, Packing};
use pagestone_testkit::hprof::{Dump, IdSize, Version, gzip, gzip_members, tiny};

use crate::support::{Built, small, step};

#[test]
fn members_are_unpacked_into_the_index() {
    let dump = tiny(IdSize::Eight, Version::V102);
    for packed in [gzip(dump.bytes()), gzip_members(dump.bytes(), 700)] {
        let built = Built::new(&packed);
        built.check_objects(dump.objects());
        let summary = built.index.summary();
        assert_eq!(summary.damages, []);
        assert_eq!((summary.packing, summary.file_len), (Packing::Gzip, packed.len() as u64));
        assert_eq!(fs::read(built.path().join("dump.hprof")).unwrap(), dump.bytes());
        built.index.verify().unwrap();
    }
}

#[test]
fn a_packed_dump_cut_anywhere_is_read_up_to_there() {
    check_cuts(&tiny(IdSize::Eight, Version::V102), (400, step(13)));
    check_cuts(&small(), (300, 1));
}

/// Cuts after every so many bytes of members of so many.
#[track_caller]
fn check_cuts(dump: &Dump, (member_len, step): (usize, usize)) {
    let packed = gzip_members(dump.bytes(), member_len);
    for cut in (0..packed.len()).step_by(step) {
        match Built::try_new(&packed[..cut]) {
            Ok(built) => {
                let summary = built.index.summary();
                let end = summary.truncation().unwrap();
                assert!(end.offset <= summary.dump_len, "cut {cut}");
                let unpacked = fs::read(built.path().join("dump.hprof")).unwrap();
                assert_eq!(unpacked, dump.bytes()[..unpacked.len()]);
                assert_eq!(unpacked.len() as u64, summary.dump_len);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotADump, "cut {cut}: {error}"),
        }
    }
}

#[test]
fn a_packed_dump_with_a_byte_flipped_is_read_or_refused() {
    check_flips(&tiny(IdSize::Four, Version::V102), (900, step(11)));
    check_flips(&small(), (300, 1));
}

#[track_caller]
fn check_flips(dump: &Dump, (member_len, step): (usize, usize)) {
    let packed = gzip_members(dump.bytes(), member_len);
    let (mut told, mut flips) = (0, 0);
    for place in (0..packed.len()).step_by(step) {
        flips += 1;
        let mut bytes = packed.clone();
        bytes[place] ^= 1 << (place % 8);
        match Built::try_new(&bytes) {
            Ok(built) => told += built.index.summary().damage_count.min(1),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotADump, "{place}: {error}"),
        }
    }
    // All but those in the fields of a member's head that nothing depends on.
    assert!(flips < 2 * told, "{told} of {flips}");
}

#[test]
fn a_wrong_checksum_is_told() {
    let dump = tiny(IdSize::Eight, Version::V102);
    let mut packed = gzip(dump.bytes());
    let place = packed.len() - 8;
    packed[place] ^= 1;
    let built = Built::new(&packed);
    built.check_objects(dump.objects());
    let found: Vec<_> = built.report.summary.damages.iter().map(|damage| damage.kind).collect();
    assert_eq!(found, [DamageKind::Compression]);
}
