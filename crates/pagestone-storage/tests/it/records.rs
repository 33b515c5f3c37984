//! Append, get, set, swap, cut and iterate over every backing.

use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    ErrorKind, Field, Kind,
    Mutability::{self, AppendOnly, InPlace},
    Options, Storage, Value,
};
use rstest::rstest;

use crate::support::{Dir, Pair, empty, keys, options, pair};

fn filled(backing: Backing, mutability: Mutability, count: u32) -> (Dir, Storage<Pair>) {
    let (dir, mut storage) = empty(backing, mutability);
    let pairs: Vec<Pair> = (0..count).map(|place| pair(u64::from(place) * 10, place)).collect();
    storage.append(&pairs).unwrap();
    (dir, storage)
}

#[rstest]
fn what_was_appended_is_read_back(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(InPlace, AppendOnly)] mutability: Mutability,
) {
    let (_dir, mut storage) = empty(backing, mutability);
    assert!(storage.is_empty() && storage.get(0).is_err());
    assert_eq!(storage.append(&[]).unwrap(), 0);
    assert_eq!(storage.append(&[pair(1, 10), pair(2, 20)]).unwrap(), 0);
    assert_eq!(storage.append(&[pair(3, 30)]).unwrap(), 2);
    storage.extend((4..20_000).map(|key| Box::new(pair(key, 0)))).unwrap();
    assert_eq!(storage.len(), 19_999);
    assert_eq!(*storage.get(1).unwrap(), pair(2, 20));
    assert_eq!(storage.get(19_998).unwrap().key.get(), 19_999);
    assert_eq!(storage.get(19_999).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(storage.get(u64::MAX).unwrap_err().kind(), ErrorKind::OutOfRange);
    let mut bytes = [0; 24];
    storage.read_into(1, &mut bytes).unwrap();
    assert_eq!(bytes[..12], *bytemuck::bytes_of(&pair(2, 20)));
    assert_eq!(bytes[12..], *bytemuck::bytes_of(&pair(3, 30)));
    assert_eq!(storage.read_into(19_998, &mut bytes).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(storage.read_into(0, &mut [0; 5]).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[rstest]
fn borrowed_where_nobody_changes_records_else_copied(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(InPlace, AppendOnly)] mutability: Mutability,
) {
    let (_dir, storage) = filled(backing, mutability, 3);
    let borrows = backing != File && mutability == AppendOnly;
    assert_eq!(storage.get(2).unwrap().is_borrowed(), borrows);
    assert_eq!(storage.as_slice().is_some(), borrows);
    assert!(storage.iter().all(|record| record.unwrap().is_borrowed() == borrows));
}

#[rstest]
fn a_borrow_stays_valid_while_the_file_grows(#[values(Map, Windowed, Memory)] backing: Backing) {
    let (_dir, mut storage) = filled(backing, AppendOnly, 3);
    let records = storage.records();
    let first = records.get(0).unwrap();
    for _ in 0..100 {
        storage.append(&vec![pair(7, 7); 10_000]).unwrap();
    }
    assert!(first.is_borrowed());
    assert_eq!(*first, pair(0, 0));
    assert_eq!(records.len(), 1_000_003);
    assert_eq!(*records.get(1_000_002).unwrap(), pair(7, 7));
    assert!(std::ptr::eq(&raw const *first, &raw const *records.get(0).unwrap()));
    // Only a single mapping shows all records as one slice.
    assert_eq!(records.as_slice().is_some(), backing != Windowed);
}

#[rstest]
fn records_change_in_place(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    let (_dir, mut storage) = filled(backing, InPlace, 10);
    let reader = storage.records();
    storage.set(3, &pair(99, 9)).unwrap();
    assert_eq!(*reader.get(3).unwrap(), pair(99, 9));
    let place = Field::new(8, Kind::U32);
    storage.set_field(3, place, 7).unwrap();
    assert_eq!(storage.field(3, place).unwrap(), Value::Unsigned(7));
    assert_eq!(*reader.get(3).unwrap(), pair(99, 7));
    assert_eq!(*reader.get(2).unwrap(), pair(20, 2));
    assert_eq!(*reader.get(4).unwrap(), pair(40, 4));
    storage.swap(0, 9).unwrap();
    assert_eq!((*reader.get(0).unwrap(), *reader.get(9).unwrap()), (pair(90, 9), pair(0, 0)));
    storage.swap(5, 5).unwrap();
    storage.swap_ranges(1, 6, 2).unwrap();
    assert_eq!(keys(storage.iter()), [90, 60, 70, 99, 40, 50, 10, 20, 80, 0]);
}

#[rstest]
fn long_ranges_are_swapped_block_by_block(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    let (_dir, mut storage) = filled(backing, InPlace, 50_000);
    storage.swap_ranges(30_000, 5, 20_000).unwrap();
    for (index, key) in [(4, 40), (5, 300_000), (20_004, 499_990), (30_000, 50), (49_999, 200_040)]
    {
        assert_eq!(storage.get(index).unwrap().key.get(), key, "{index}");
    }
}

#[rstest]
fn what_must_not_change_does_not(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    let (_dir, mut storage) = filled(backing, InPlace, 4);
    let kind = |result: pagestone_storage::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(storage.set(4, &pair(0, 0))), ErrorKind::OutOfRange);
    assert_eq!(kind(storage.swap(0, 4)), ErrorKind::OutOfRange);
    assert_eq!(kind(storage.swap_ranges(0, 1, 2)), ErrorKind::InvalidArgument);
    assert_eq!(kind(storage.swap_ranges(0, 2, u64::MAX)), ErrorKind::OutOfRange);
    let outside = Field::new(9, Kind::U32);
    assert_eq!(kind(storage.set_field(0, outside, 1)), ErrorKind::InvalidArgument);
    assert_eq!(
        kind(storage.set_field(0, Field::new(8, Kind::U32), -1)),
        ErrorKind::InvalidArgument
    );
    assert_eq!(keys(storage.iter()), [0, 10, 20, 30]);

    let (_dir, mut storage) = filled(backing, AppendOnly, 4);
    assert_eq!(kind(storage.set(0, &pair(9, 9))), ErrorKind::ReadOnly);
    assert_eq!(kind(storage.swap(0, 1)), ErrorKind::ReadOnly);
    assert_eq!(kind(storage.truncate(1)), ErrorKind::ReadOnly);
    assert_eq!(keys(storage.iter()), [0, 10, 20, 30]);
}

#[rstest]
fn a_cut_storage_grows_again_without_old_bytes(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
) {
    let (dir, mut storage) = filled(backing, InPlace, 100_000);
    let reader = storage.records();
    assert_eq!(storage.truncate(10).unwrap_err().kind(), ErrorKind::Locked);
    drop(reader);
    storage.truncate(200_000).unwrap();
    storage.truncate(3).unwrap();
    assert_eq!(keys(storage.iter()), [0, 10, 20]);
    if backing != Memory {
        assert_eq!(std::fs::metadata(dir.path("pairs.rec")).unwrap().len(), 36);
    }
    storage.append(&[pair(5, 5)]).unwrap();
    assert_eq!(keys(storage.iter()), [0, 10, 20, 5]);
}

#[rstest]
fn iterators_go_both_ways_and_know_their_length(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(InPlace, AppendOnly)] mutability: Mutability,
) {
    let (_dir, storage) = filled(backing, mutability, 20_000);
    let forth: Vec<u64> = (0..20_000).map(|place| place * 10).collect();
    let back: Vec<u64> = forth.iter().rev().copied().collect();
    assert_eq!(keys(storage.iter()), forth);
    assert_eq!(keys(storage.iter().rev()), back);
    let mut both = storage.range(5..=9);
    assert_eq!(both.len(), 5);
    let ends =
        (both.next().unwrap().unwrap().key.get(), both.next_back().unwrap().unwrap().key.get());
    assert_eq!((ends, both.len()), ((50, 90), 3));
    assert_eq!(keys(both), [60, 70, 80]);
    assert_eq!(keys(storage.range(19_999..)), [199_990]);
    assert_eq!(keys(storage.range(19_998..1 << 40)), [199_980, 199_990]);
    assert_eq!(keys(storage.range(30_000..)), Vec::<u64>::new());
    assert_eq!(keys(storage.iter().skip(19_999)), [199_990]);
    let places = storage.fields(Field::new(8, Kind::U32), 3..6).unwrap().rev();
    let places: Vec<String> = places.map(|value| value.unwrap().to_string()).collect();
    assert_eq!(places, ["5", "4", "3"]);
    assert!(storage.fields(Field::new(8, Kind::U64), ..).is_err());
}

#[rstest]
fn folds_see_what_is_left(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(InPlace, AppendOnly)] mutability: Mutability,
) {
    let (_dir, storage) = filled(backing, mutability, 20_000);
    let mut left = storage.range(3..19_999);
    assert_eq!((left.next().is_some(), left.next_back().is_some()), (true, true));
    let mut right = storage.range(3..19_999);
    assert_eq!((right.next().is_some(), right.next_back().is_some()), (true, true));
    let expected: Vec<u64> = (4..19_998).map(|place| place * 10).collect();
    let push = |mut keys: Vec<u64>, key: u64| {
        keys.push(key);
        keys
    };
    let forth = left.fold(Vec::new(), |keys, record| push(keys, record.unwrap().key.get()));
    assert_eq!(forth, expected);
    let mut back = right.rfold(Vec::new(), |keys, record| push(keys, record.unwrap().key.get()));
    back.reverse();
    assert_eq!(back, expected);
}

#[rstest]
fn records_sized_at_run_time(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(1, 3, 8, 13, 100_000)] size: usize,
) {
    let dir = Dir::new();
    let options = options(backing).record_size(size);
    let mut storage: Storage = options.create(dir.file("raw")).unwrap();
    let record = |seed: u8| vec![seed; size];
    storage.append(&[record(1), record(2), record(3)].concat()).unwrap();
    assert_eq!((storage.len(), storage.record_size()), (3, size));
    assert_eq!(*storage.get(1).unwrap(), *record(2));
    storage.set(1, &record(9)).unwrap();
    storage.swap(0, 2).unwrap();
    let all: Vec<u8> = storage.iter().map(|record| record.unwrap()[0]).collect();
    assert_eq!(all, [3, 9, 1]);
    let options = options.mutability(AppendOnly);
    let mut storage: Storage = options.create(dir.file("appended")).unwrap();
    storage.append(&[record(1), record(2), record(3)].concat()).unwrap();
    let digits = |number: usize, record: &[u8]| number * 10 + usize::from(record[size - 1]);
    assert_eq!(storage.iter().fold(0, |number, record| digits(number, &record.unwrap())), 123);
    assert_eq!(storage.iter().rfold(0, |number, record| digits(number, &record.unwrap())), 321);
    if 1 < size {
        assert_eq!(storage.append(&[0]).unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(storage.set(0, &[0]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_file_is_its_records_and_nothing_else() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = Options::new().create(dir.file("plain.rec")).unwrap();
    assert_eq!(std::fs::metadata(dir.path("plain.rec")).unwrap().len(), 0);
    storage.append(&[pair(0x0102, 0x0304), pair(5, 6)]).unwrap();
    storage.close().unwrap();
    // Positions by hand: record 1 starts at 1 × 12, its second field 8 bytes further.
    let bytes = std::fs::read(dir.path("plain.rec")).unwrap();
    assert_eq!(bytes.len(), 24);
    assert_eq!(bytes[..12], [2, 1, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0]);
    assert_eq!((bytes[12], bytes[20]), (5, 6));
}
