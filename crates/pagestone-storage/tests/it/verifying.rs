//! `verify`: damage is found and named, what is whole is called clean.

use std::{fs, ops::ControlFlow, os::unix::fs::FileExt};

use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    ErrorKind, Field, Kind, Mutability, Options, Progress, Records, SidecarOptions, SidecarStatus,
    Storage, Verification,
};
use rstest::rstest;

use crate::support::{Dir, Pair, options, pair};

const KEY: Field = Field::new(0, Kind::U64);
const COUNT: u64 = 20_000;
/// Records under one checksum: as many as fit 64 KiB.
const BLOCK: u64 = (64 << 10) / 12;

fn verify(records: &Records<Pair>) -> Verification {
    records.verify(|_| ControlFlow::Continue(())).unwrap()
}

/// A storage `a` of sorted records, with checksums.
fn written(backing: Backing) -> (Dir, Options) {
    let dir = Dir::new();
    let options = options(backing).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
    let all: Vec<Pair> = (0..COUNT).rev().map(|key| pair(key, 0)).collect();
    storage.append(&all).unwrap();
    storage.sort_by(KEY).run().unwrap();
    storage.write_sidecar(SidecarOptions::new().checksums().accelerate(KEY)).unwrap();
    storage.close().unwrap();
    (dir, options)
}

fn flip(dir: &Dir, name: &str, offset: u64, mask: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(dir.path(name)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ mask], offset).unwrap();
}

#[rstest]
fn what_is_whole_is_clean(#[values(File, Map, Windowed)] backing: Backing) {
    let (dir, options) = written(backing);
    let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    let found = verify(&records);
    assert!(found.is_clean(), "{found:?}");
    assert_eq!((found.records, found.records_checked), (COUNT, COUNT));
    assert_eq!((found.damaged_count, found.damaged.len(), found.partial_tail), (0, 0, 0));
    drop(records);
    // What was appended since is not covered, and not wrong.
    let mut storage: Storage<Pair> = options.open(dir.file("a")).unwrap();
    storage.append(&[pair(3, 3)]).unwrap();
    let found = verify(&storage);
    assert!(found.is_clean(), "{found:?}");
    assert_eq!((found.records, found.records_checked), (COUNT + 1, COUNT));
}

#[test]
fn without_a_sidecar_there_is_nothing_to_find() {
    for backing in [File, Map, Windowed, Memory] {
        let dir = Dir::new();
        let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        assert!(verify(&storage).is_clean());
        storage.append(&[pair(2, 2), pair(1, 1)]).unwrap();
        let found = verify(&storage);
        assert!(found.is_clean());
        assert_eq!((found.records, found.records_checked), (2, 0));
    }
}

#[rstest]
fn a_flipped_byte_is_found_in_its_block(#[values(File, Map, Windowed)] backing: Backing) {
    let (dir, options) = written(backing);
    let ends = [0, 12 * BLOCK - 1, 12 * BLOCK, 12 * COUNT - 1, 12 * 3 * BLOCK + 9];
    for offset in ends {
        flip(&dir, "a", offset, 0x10);
        let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
        let found = verify(&records);
        assert!(!found.is_clean());
        // Ends of the file tell files apart: damage there makes the sidecar another file's.
        let is_at_end = offset < 12 || COUNT <= offset / 12 + 1;
        if is_at_end {
            assert!(matches!(found.sidecar, SidecarStatus::Unusable(_)));
        } else {
            let block = offset / 12 / BLOCK;
            assert_eq!(found.damaged_count, 1);
            let damaged = &found.damaged[0];
            assert_eq!(damaged.records, block * BLOCK..((block + 1) * BLOCK).min(COUNT));
            assert_eq!(damaged.offset, block * BLOCK * 12);
            let bytes = fs::read(dir.path("a")).unwrap();
            let start = usize::try_from(damaged.offset).unwrap();
            let end = usize::try_from(damaged.records.end * 12).unwrap();
            assert_eq!(damaged.found, crc32fast::hash(&bytes[start..end]));
            assert_ne!(damaged.found, damaged.expected);
        }
        flip(&dir, "a", offset, 0x10);
    }
    let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    assert!(verify(&records).is_clean());
}

#[test]
fn every_damaged_block_counts() {
    let (dir, options) = written(File);
    for block in 0..3 {
        flip(&dir, "a", 12 * (block * BLOCK + 7), 1);
    }
    let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    let found = verify(&records);
    assert_eq!((found.damaged_count, found.records_checked), (3, COUNT));
    assert_eq!(
        found.damaged.iter().map(|block| block.records.start / BLOCK).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[rstest]
fn a_record_below_the_one_before_it_is_found(#[values(File, Map, Windowed)] backing: Backing) {
    for unsorted in [1, 5_460, 5_461, 10_000, COUNT - 2] {
        let dir = Dir::new();
        let options = options(backing).mutability(Mutability::AppendOnly);
        let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
        let all: Vec<Pair> = (0..COUNT).map(|key| pair(1 << 32 | key, 0)).collect();
        storage.append(&all).unwrap();
        storage.sort_by(KEY).run().unwrap();
        storage.write_sidecar(SidecarOptions::new()).unwrap();
        drop(storage);
        flip(&dir, "a", 12 * unsorted + 4, 1);
        let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
        let found = verify(&records);
        assert_eq!(found.first_unsorted, Some(unsorted));
        assert!(!found.is_clean());
        assert_eq!(found.damaged_count, 0, "no checksums were asked for");
    }
}

#[test]
fn a_partial_tail_is_reported() {
    let (dir, options) = written(File);
    let file = fs::OpenOptions::new().append(true).open(dir.path("a")).unwrap();
    std::io::Write::write_all(&mut &file, &[1; 5]).unwrap();
    let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    let found = verify(&records);
    assert_eq!((found.partial_tail, found.records), (5, COUNT));
    assert!(!found.is_clean());
}

#[test]
fn a_damaged_sidecar_is_reported_by_section() {
    let (dir, options) = written(File);
    for (offset, words) in [(4096, "checksum table"), (8192, "accelerator"), (8500, "accelerator")]
    {
        flip(&dir, "a.meta", offset, 0x40);
        let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
        let found = verify(&records);
        let SidecarStatus::Unusable(reason) = &found.sidecar else { unreachable!("{offset}") };
        assert!(reason.contains(words), "{reason}");
        assert!(!found.is_clean());
        flip(&dir, "a.meta", offset, 0x40);
    }
}

#[rstest]
fn progress_is_told_and_may_break_off(#[values(File, Map, Windowed)] backing: Backing) {
    let (dir, options) = written(backing);
    let records: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    let mut told: Vec<Progress> = Vec::new();
    let collect = |progress| {
        told.push(progress);
        ControlFlow::Continue(())
    };
    assert!(records.verify(collect).unwrap().is_clean());
    assert!(told.is_sorted_by_key(|progress| progress.done) && 4 <= told.len());
    assert!(told.iter().all(|progress| progress.total == COUNT));
    assert_eq!(told.last().unwrap().done, COUNT);
    for stop in 0..told.len() {
        let mut calls = 0;
        let breaking = |_| {
            calls += 1;
            if calls == stop + 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert_eq!(records.verify(breaking).unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(calls, stop + 1);
    }
}
