//! Sorted copies: their order, their place, and what is left of them.

use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    ErrorKind, Field, Kind, Storage,
};
use rstest::rstest;

use crate::support::{Dir, Pair, empty, keys, options, pair};

const KEY: Field = Field::new(0, Kind::U64);

#[rstest]
fn a_sorted_copy_takes_the_place(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    let (dir, mut storage) = empty(backing, pagestone_storage::Mutability::default());
    storage.sort_by(KEY).run().unwrap();
    assert!(storage.is_empty());
    let mut pairs: Vec<Pair> =
        (0..30_000).map(|place| pair(u64::from(place) * 7919 % 10_007, place)).collect();
    storage.append(&pairs).unwrap();
    storage.sort_by(KEY).run().unwrap();
    let found = keys(storage.iter());
    assert!(found.is_sorted());
    let mut sorted: Vec<Pair> = storage.iter().map(|record| *record.unwrap()).collect();
    sorted.sort_by_key(|pair| pair.place.get());
    pairs.sort_by_key(|pair| pair.place.get());
    assert_eq!(sorted, pairs, "the same records, each once");
    storage.append(&[pair(0, 0)]).unwrap();
    storage.set(0, &pair(1, 1)).unwrap();
    storage.sync().unwrap();
    drop(storage);
    if backing == Memory {
        return;
    }
    let reopened: Storage<Pair> = options(backing).open(dir.file("pairs.rec")).unwrap();
    assert_eq!(reopened.len(), 30_001);
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["pairs.rec", "pairs.rec.lock"]);
}

#[rstest]
fn every_record_size_is_sorted(
    #[values(Map, Windowed, Memory)] backing: Backing,
    #[values(1, 2, 3, 8, 9, 16, 17, 24, 40, 64, 100)] size: usize,
    #[values("u8@0", "bytes17@0")] field: &str,
) {
    let field: Field = field.parse().unwrap();
    let dir = Dir::new();
    let mut storage: Storage = options(backing).record_size(size).create(dir.file("a")).unwrap();
    let bytes: Vec<u8> = (0..=250u8).cycle().step_by(31).take(1_000 * size).collect();
    storage.append(&bytes).unwrap();
    let sorted = storage.sort_by(field).run();
    if size < field.size() as usize {
        assert_eq!(sorted.unwrap_err().kind(), ErrorKind::InvalidArgument);
        return;
    }
    sorted.unwrap();
    let mut expected: Vec<&[u8]> = bytes.chunks_exact(size).collect();
    let records: Vec<Vec<u8>> = storage.iter().map(|record| record.unwrap().to_vec()).collect();
    let key = |record: &[u8]| record[..field.size() as usize].to_vec();
    assert!(records.is_sorted_by_key(|record| key(record)));
    let mut found: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_left_over_of_a_killed_sort_is_replaced() {
    let (dir, mut storage) = empty(Map, pagestone_storage::Mutability::default());
    storage.append(&[pair(2, 0), pair(1, 0)]).unwrap();
    std::fs::write(dir.path(".pairs.rec.new"), [1; 1000]).unwrap();
    storage.sort_by(KEY).run().unwrap();
    assert_eq!(keys(storage.iter()), [1, 2]);
    assert!(!dir.path(".pairs.rec.new").exists());
}
