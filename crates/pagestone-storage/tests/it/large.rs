//! More than 2^32 records and more than 2 GiB, on files with holes.

use std::{fs, os::unix::fs::FileExt};

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    Bias, ErrorKind, Field, Kind,
    Mutability::{self, AppendOnly},
    Options, Records, Storage,
};
use rstest::rstest;

use crate::support::Dir;

const BYTE: Field = Field::new(0, Kind::U8);
/// 5 GiB of records of one byte.
const COUNT: u64 = 5 << 30;

fn options(backing: Backing) -> Options {
    Options::new().backing(backing).reserve(16 << 30).window_size(512 << 20).record_size(1)
}

/// A file of zeros with a few other bytes at its end.
fn sparse(len: u64, end: &[u8]) -> Dir {
    let dir = Dir::new();
    let file = fs::File::create(dir.path("a")).unwrap();
    file.set_len(len).unwrap();
    file.write_all_at(end, len - end.len() as u64).unwrap();
    dir
}

#[rstest]
fn far_records_are_read(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = sparse(COUNT, &[1, 1, 1, 7, 9]);
    let records: Records = options(backing).open_read_only(dir.file("a")).unwrap();
    assert_eq!(records.len(), COUNT);
    assert_eq!(records.iter().len(), usize::try_from(COUNT).unwrap());
    assert_eq!(*records.get(COUNT - 2).unwrap(), [7]);
    assert_eq!(*records.get(1 << 32).unwrap(), [0]);
    assert_eq!(records.get(COUNT).unwrap_err().kind(), ErrorKind::OutOfRange);
    let mut bytes = [5; 6];
    records.read_into(COUNT - 6, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 1, 1, 1, 7, 9]);
    let end: Vec<u8> = records.range(COUNT - 5..).map(|record| record.unwrap()[0]).collect();
    assert_eq!(end, [1, 1, 1, 7, 9]);
    let back: Vec<u8> = records.iter().rev().take(3).map(|record| record.unwrap()[0]).collect();
    assert_eq!(back, [9, 7, 1]);
    let skipped = records.iter().nth(usize::try_from(COUNT).unwrap() - 2).unwrap().unwrap()[0];
    assert_eq!(skipped, 7);
}

#[rstest]
fn far_records_are_found(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = sparse(COUNT, &[1, 1, 1, 7, 9]);
    let records: Records = options(backing).open_read_only(dir.file("a")).unwrap();
    assert_eq!(records.lower_bound(BYTE, 1).unwrap(), COUNT - 5);
    assert_eq!(records.equal_range(BYTE, 0).unwrap(), 0..COUNT - 5);
    assert_eq!(records.equal_range(BYTE, 1).unwrap(), COUNT - 5..COUNT - 2);
    assert_eq!(records.upper_bound(BYTE, 9).unwrap(), COUNT);
    assert_eq!(records.binary_search(BYTE, 5, Bias::Before).unwrap(), Some(COUNT - 5));
    assert_eq!(records.binary_search(BYTE, 5, Bias::Nearest).unwrap(), Some(COUNT - 2));
    let mut found = [None; 4];
    records.get_many(BYTE, &[9, 0, 7, 8], &mut found).unwrap();
    assert_eq!(found, [Some(COUNT - 1), Some(0), Some(COUNT - 2), None]);
    assert_eq!(records.partition_point(|record| record[0] < 7).unwrap(), COUNT - 2);
}

#[rstest]
fn far_records_are_written(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = sparse(COUNT, &[3]);
    // A mapped writer in place would give all 5 GiB their blocks.
    let mutability = if backing == File { Mutability::InPlace } else { AppendOnly };
    let options = options(backing).mutability(mutability);
    let mut storage: Storage = options.open(dir.file("a")).unwrap();
    assert_eq!(storage.append(&[4, 5]).unwrap(), COUNT);
    assert_eq!(*storage.get(COUNT + 1).unwrap(), [5]);
    if backing == File {
        storage.set(1 << 32, &[8]).unwrap();
        storage.swap(0, COUNT + 1).unwrap();
        storage.swap_ranges(COUNT - 1, 1, 2).unwrap();
        storage.truncate(COUNT + 1).unwrap();
        let found: Vec<u8> = [0, 1, 2, 1 << 32, COUNT - 1, COUNT]
            .into_iter()
            .map(|index| storage.get(index).unwrap()[0])
            .collect();
        assert_eq!(found, [5, 3, 4, 8, 0, 0]);
        assert_eq!(storage.len(), COUNT + 1);
    }
}

#[rstest]
fn two_gibibytes_and_records_of_a_power_of_two(#[values(File, Map, Windowed)] backing: Backing) {
    // A single map of exactly 2^31 bytes, and one beyond it.
    for len in [1u64 << 31, (1 << 31) + 16] {
        let dir = sparse(len, &[7; 16]);
        let options = options(backing).record_size(16).mutability(AppendOnly);
        let mut storage: Storage = options.open(dir.file("a")).unwrap();
        assert_eq!(storage.len(), len / 16);
        assert_eq!(*storage.get(len / 16 - 1).unwrap(), [7; 16]);
        storage.append(&[8; 16]).unwrap();
        assert_eq!(*storage.get(len / 16).unwrap(), [8; 16]);
    }
}

#[rstest]
fn a_reader_with_a_small_range_follows_beyond_it(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = sparse(1, &[1]);
    let writing = options(backing).mutability(AppendOnly);
    let mut storage: Storage = writing.open(dir.file("a")).unwrap();
    let reading = writing.reserve(64 << 10).window_size(64 << 10);
    let mut reader: Records = reading.open_read_only(dir.file("a")).unwrap();
    storage.append(&vec![2; 10 << 20]).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.len(), 1 + (10 << 20));
    assert_eq!(*reader.get(10 << 20).unwrap(), [2]);
    assert_eq!(reader.lower_bound(BYTE, 2).unwrap(), 1);
}
