//! Sidecars with every byte flipped, cut anywhere and filled with garbage: answers stay right.

use std::{fs, ops::ControlFlow};

use pagestone_storage::{
    Backing::{File, Map},
    Bias, ErrorKind, Field, Kind, Records, SidecarStatus,
};

use crate::{
    sidecar::{reseal, written},
    support::{Dir, Pair, mix, options},
};

const KEY: Field = Field::new(0, Kind::U64);

/// Opens `a` with this sidecar, mapped and not, and compares its answers with those of the even
/// numbers below 1000. Returns whether the sidecar was usable.
#[track_caller]
fn check(dir: &Dir, sidecar: &[u8], what: &str) -> bool {
    fs::write(dir.path("a.meta"), sidecar).unwrap();
    let mut is_usable = false;
    for backing in [File, Map] {
        let opened = options(backing).open_read_only::<Pair>(dir.file("a"));
        let records: Records<Pair> = match opened {
            Ok(records) => records,
            Err(error) => {
                // The one mark that stops an open, and only where its bit is set.
                assert_eq!(error.kind(), ErrorKind::InterruptedSort, "{what}: {error}");
                assert_eq!(sidecar[32] & 1, 1, "{what}");
                continue;
            }
        };
        is_usable |= matches!(records.sidecar(), SidecarStatus::Usable(_));
        check_answers(&records, what);
        // Damage that only a full check can see is an answer of it, never a panic.
        records.verify(|_| ControlFlow::Continue(())).unwrap();
    }
    is_usable
}

#[track_caller]
fn check_answers(records: &Records<Pair>, what: &str) {
    let probes = [0, 1, 2, 254, 255, 256, 511, 768, 900, 998, 999, 1_000];
    let probes = probes.into_iter().chain([u64::MAX]);
    let probes: Vec<u64> = probes.collect();
    let mut found = vec![None; probes.len()];
    records.get_many(KEY, &probes, &mut found).unwrap();
    for (&probe, found) in probes.iter().zip(found) {
        let lower = probe.div_ceil(2).min(500);
        let is_there = probe.is_multiple_of(2) && probe < 1_000;
        let upper = lower + u64::from(is_there);
        let exact = is_there.then_some(lower);
        assert_eq!(records.lower_bound(KEY, probe).unwrap(), lower, "{what}: {probe}");
        assert_eq!(records.upper_bound(KEY, probe).unwrap(), upper, "{what}: {probe}");
        assert_eq!(records.equal_range(KEY, probe).unwrap(), lower..upper, "{what}: {probe}");
        let search = records.binary_search(KEY, probe, Bias::Exact).unwrap();
        assert_eq!((search, found), (exact, exact), "{what}: {probe}");
    }
    // The same bytes as another kind: a damaged field name may claim a tree for it.
    let signed = Field::new(0, Kind::I64);
    assert_eq!(records.lower_bound(signed, 501).unwrap(), 251, "{what}");
}

/// The bytes that mean something: header, checksum table, accelerator; of the rest a sample.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(|place| match place {
        0..256 | 4096..4104 | 8192.. => true,
        _ => place % 211 == 0,
    })
}

#[test]
fn every_byte_flipped() {
    let dir = written(0);
    let good = fs::read(dir.path("a.meta")).unwrap();
    assert_eq!(good.len(), 8192 + 64 + 5 * 64, "the ends, five lines of counts");
    assert!(check(&dir, &good, "undamaged"));
    for place in places(good.len()) {
        for mask in [0x01, 0xff] {
            let mut bad = good.clone();
            bad[place] ^= mask;
            let is_usable = check(&dir, &bad, &format!("byte {place} ^ {mask:#x}"));
            assert_eq!(is_usable, 256 <= place, "byte {place}: the header has a checksum");
        }
    }
}

#[test]
fn every_header_byte_changed_by_somebody_who_knows_the_checksum() {
    let dir = written(0);
    let good = fs::read(dir.path("a.meta")).unwrap();
    for place in 0..252 {
        for value in [0, 1, 13, 0xff] {
            let mut bad = good.clone();
            bad[place] = value;
            reseal(&mut bad);
            check(&dir, &bad, &format!("byte {place} = {value:#x}"));
        }
    }
}

#[test]
fn words_of_the_header_that_overflow() {
    let dir = written(0);
    let good = fs::read(dir.path("a.meta")).unwrap();
    // Count, block, extents of the sections: alone and together.
    let words: [&[usize]; 8] =
        [&[16], &[40], &[48], &[56], &[64], &[72], &[48, 56], &[16, 40, 48, 56, 64, 72]];
    for places in words {
        for value in [0, 1, 255, 4095, 8576, 1 << 32, u64::MAX / 4, u64::MAX - 7, u64::MAX] {
            let mut bad = good.clone();
            for &place in places {
                bad[place..place + 8].copy_from_slice(&value.to_le_bytes());
            }
            reseal(&mut bad);
            check(&dir, &bad, &format!("words {places:?} = {value:#x}"));
        }
    }
}

#[test]
fn arbitrary_accelerators() {
    let dir = written(0);
    let good = fs::read(dir.path("a.meta")).unwrap();
    let fill = |with: &dyn Fn(usize) -> u8| {
        let mut bad = good.clone();
        (8192..bad.len()).for_each(|place| bad[place] = with(place));
        bad
    };
    // Counts; one node and the marks of four groups have the same length.
    for (seed, form) in (0..60).flat_map(|seed| [(seed, 0), (seed, 1)]) {
        let noise = |place: usize| mix(seed << 32 | place as u64).to_le_bytes()[0];
        // Behind a true checksum of the accelerator, so that nothing but the records can tell.
        let mut bad = fill(&noise);
        let crc = crc32fast::hash(&bad[8192..]).to_le_bytes();
        bad[84..88].copy_from_slice(&crc);
        bad[200] = form;
        // Now and then with ends that could be.
        if seed % 3 == 0 && form == 1 {
            bad[8192..8208].copy_from_slice(&good[8192..8208]);
        }
        reseal(&mut bad);
        assert!(check(&dir, &bad, &format!("noise {seed} of form {form}")));
    }
    for (byte, form) in [0, 1, 0x7f, 0x80, 0xff].into_iter().flat_map(|byte| [(byte, 0), (byte, 1)])
    {
        let mut bad = fill(&|_| byte);
        bad[200] = form;
        reseal(&mut bad);
        assert!(check(&dir, &bad, &format!("all {byte:#x} of form {form}")));
        bad[8192..8208].copy_from_slice(&good[8192..8208]);
        assert!(check(&dir, &bad, &format!("all {byte:#x} behind the ends, of form {form}")));
    }
    let reversed: Vec<u8> = good[8192..].iter().rev().copied().collect();
    assert!(check(&dir, &fill(&|place| reversed[place - 8192]), "reversed"));
}

#[test]
fn cut_at_every_byte() {
    let dir = written(0);
    let good = fs::read(dir.path("a.meta")).unwrap();
    for len in places(good.len()) {
        assert!(!check(&dir, &good[..len], &format!("{len} bytes")));
    }
}

#[test]
fn halves_of_two_sidecars_joined() {
    let (dir, other) = (written(0), written(2));
    let (left, right) =
        (fs::read(dir.path("a.meta")).unwrap(), fs::read(other.path("a.meta")).unwrap());
    for cut in [8, 64, 128, 256, 4096, 4100, 8192, 8300, 8500] {
        let joined = [&left[..cut], &right[cut..]].concat();
        check(&dir, &joined, &format!("left until {cut}"));
        let joined = [&right[..cut], &left[cut..]].concat();
        check(&dir, &joined, &format!("right until {cut}"));
    }
}
