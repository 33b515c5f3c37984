//! Readers that opened the file themselves and follow its writer.

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind, Mutability, Records, Storage,
};
use rstest::rstest;

use crate::support::{Dir, Pair, keys, options, pair};

#[rstest]
fn a_reader_follows_appends_and_sorted_copies(
    #[values(File, Map, Windowed)] writing: Backing,
    #[values(File, Map, Windowed)] reading: Backing,
) {
    let dir = Dir::new();
    let writing = options(writing).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = writing.create(dir.file("a")).unwrap();
    let mut reader: Records<Pair> = options(reading).open_read_only(dir.file("a")).unwrap();
    assert!(!reader.refresh().unwrap());
    storage.append(&[pair(3, 0), pair(1, 1)]).unwrap();
    assert!(reader.is_empty() && reader.refresh().unwrap());
    assert_eq!(keys(reader.iter()), [3, 1]);
    storage.append(&vec![pair(2, 2); 100_000]).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!((reader.len(), reader.get(100_001).unwrap().key.get()), (100_002, 2));

    storage.sort_by(Field::new(0, Kind::U64)).run().unwrap();
    assert_eq!(reader.get(0).unwrap().key.get(), 3, "stays on the old file");
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.get(0).unwrap().key.get(), 1);
    storage.append(&[pair(9, 9)]).unwrap();
    assert!(reader.refresh().unwrap() && !reader.refresh().unwrap());
    assert_eq!(reader.get(100_002).unwrap().key.get(), 9);
}

#[rstest]
fn a_file_that_somebody_cut_is_noticed(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let options = options(backing).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
    storage.append(&[pair(1, 1), pair(2, 2)]).unwrap();
    let mut reader: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    let other = std::fs::OpenOptions::new().write(true).open(dir.path("a")).unwrap();
    other.set_len(13).unwrap();
    let error = reader.refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert!(error.to_string().contains("13 bytes long, expected at least 24"), "{error}");
    assert_eq!(storage.sync().unwrap_err().kind(), ErrorKind::Truncated);
    assert_eq!(storage.append(&[pair(3, 3)]).unwrap_err().kind(), ErrorKind::Poisoned);
    if backing == File {
        assert_eq!(storage.get(1).unwrap_err().kind(), ErrorKind::Truncated);
    }
}

#[test]
fn a_reader_of_the_same_process_sees_a_sorted_copy_when_it_refreshes() {
    for backing in [Backing::Memory, Map, File] {
        let dir = Dir::new();
        let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        storage.append(&[pair(2, 0), pair(1, 1)]).unwrap();
        let mut reader = storage.records();
        storage.sort_by(Field::new(0, Kind::U64)).run().unwrap();
        assert_eq!(keys(reader.iter()), [2, 1]);
        assert!(reader.refresh().unwrap() && !reader.refresh().unwrap());
        assert_eq!(keys(reader.iter()), [1, 2]);
        drop(storage);
        assert!(!reader.refresh().unwrap());
        assert_eq!(keys(reader.iter()), [1, 2]);
    }
}

#[test]
fn threads_read_while_the_writer_appends() {
    let dir = Dir::new();
    let options = options(Map).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let reader = storage.records();
            scope.spawn(move || {
                while reader.len() < 50_000 {
                    let len = reader.len();
                    if let Some(last) = len.checked_sub(1) {
                        assert_eq!(reader.get(last).unwrap().key.get(), last);
                    }
                    assert!(len <= reader.as_slice().unwrap().len() as u64);
                }
            });
        }
        for first in (0..50_000).step_by(10) {
            let batch: Vec<Pair> = (first..first + 10).map(|key| pair(key, 0)).collect();
            storage.append(&batch).unwrap();
        }
    });
}
