//! Files laid out as the Java predecessor's, files read by arithmetic alone, and its defects.
#![expect(clippy::big_endian_bytes, reason = "what the Java predecessor wrote")]

use std::fs;

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    Bias, ErrorKind, Field, Mutability, Options, Records, Storage, Value,
};
use rstest::rstest;

use crate::support::{Dir, Pair, checked_pair, keys, mix, options, pair, pairs};

/// Record of an index file: sequence number, then fields; all big-endian, no header.
const JAVA: usize = 4 + 8 + 8;

fn field(text: &str) -> Field {
    text.parse().unwrap()
}

/// What a Java program would write for these rows.
fn java_file(rows: &[(i32, i64, i64)]) -> Vec<u8> {
    let record = |&(sequence, start, end): &(i32, i64, i64)| {
        [&sequence.to_be_bytes()[..], &start.to_be_bytes(), &end.to_be_bytes()].concat()
    };
    rows.iter().flat_map(record).collect()
}

#[rstest]
fn a_java_index_is_opened_searched_and_sorted(#[values(File, Map, Windowed)] backing: Backing) {
    let (sequence, start, end) = (field("i32be@0"), field("i64be@4"), field("i64be@12"));
    let mut rows: Vec<(i32, i64, i64)> = (0..5_000)
        .map(|row| {
            let start = i64::from(row - 2_500) * 1_000_003;
            (row, start, mix(start.cast_unsigned()).cast_signed())
        })
        .collect();
    let dir = Dir::new();
    fs::write(dir.path("index.offsets"), java_file(&rows)).unwrap();
    let options = options(backing).record_size(JAVA);
    let mut storage: Storage = options.open(dir.file("index.offsets")).unwrap();
    assert_eq!((storage.len(), storage.partial_tail()), (5_000, 0));
    for row in rows.iter().step_by(7) {
        let found = storage.binary_search(start, row.1, Bias::Exact).unwrap().unwrap();
        assert_eq!(storage.field(found, sequence).unwrap(), Value::from(row.0));
        assert_eq!(storage.field(found, end).unwrap(), Value::from(row.2));
    }
    // FORWARD, BACKWARD and NEAREST between two rows.
    let between = rows[9].1 + 1;
    let search = |bias| storage.binary_search(start, between, bias).unwrap();
    assert_eq!(
        [search(Bias::After), search(Bias::Before), search(Bias::Nearest)],
        [Some(10), Some(9), Some(9)]
    );
    storage.set_field(3, end, i64::MIN).unwrap();
    rows[3].2 = i64::MIN;
    storage.sort_by(end).run().unwrap();
    rows.sort_by_key(|row| row.2);
    storage.close().unwrap();
    assert!(fs::read(dir.path("index.offsets")).unwrap() == java_file(&rows), "as Java reads it");
}

#[test]
fn a_file_written_here_is_read_by_arithmetic() {
    let dir = Dir::new();
    for backing in [File, Map, Windowed] {
        let name = format!("{backing:?}");
        let mut storage: Storage<Pair> = options(backing).create(dir.file(&name)).unwrap();
        storage.append(&(0..1_000).rev().map(checked_pair).collect::<Vec<_>>()).unwrap();
        storage.sort_by(field("u64le@0")).run().unwrap();
        storage.append(&[checked_pair(1_000)]).unwrap();
        storage.close().unwrap();
        let bytes = fs::read(dir.path(&name)).unwrap();
        assert_eq!(bytes.len(), 12 * 1_001);
        for index in 0..1_001usize {
            let record = &bytes[12 * index..12 * (index + 1)];
            let expected = checked_pair(index as u64);
            assert_eq!(record[..8], (index as u64).to_le_bytes());
            assert_eq!(record[8..], expected.place.get().to_le_bytes());
        }
    }
}

#[rstest]
fn sorts_of_whole_windows_and_one_more(#[values(File, Map, Windowed)] backing: Backing) {
    // A window holds 64 KiB / 8 = 8192 records.
    for count in [8_191, 8_192, 8_193, 16_384, 24_576, 24_577] {
        for is_in_place in [false, true] {
            let dir = Dir::fast();
            let mut storage: Storage<u64> = options(backing).create(dir.file("a")).unwrap();
            let numbers: Vec<u64> = (0..count).map(mix).collect();
            storage.append(&numbers).unwrap();
            let sort = storage.sort_by(field("u64le@0"));
            let sort = if is_in_place { sort.in_place() } else { sort };
            sort.run().unwrap();
            let mut sorted = numbers;
            sorted.sort_unstable();
            assert!(storage.iter().map(|record| *record.unwrap()).eq(sorted), "{count}");
        }
    }
}

#[rstest]
fn ranges_that_straddle_windows_are_swapped(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    let mut model: Vec<Pair> = (0..30_000).map(checked_pair).collect();
    storage.append(&model).unwrap();
    // A window holds 5461 records of 12 bytes.
    for (left, right, count) in [(5_460, 10_921, 5), (5_459, 16_383, 2), (0, 15_000, 12_000)] {
        storage.swap_ranges(left, right, count).unwrap();
        let (left, right) = (usize::try_from(left).unwrap(), usize::try_from(right).unwrap());
        (0..usize::try_from(count).unwrap()).for_each(|step| model.swap(left + step, right + step));
    }
    assert!(pairs(&storage) == model);
}

#[test]
fn options_are_values() {
    let dir = Dir::new();
    let shared = options(Map);
    let changed = shared.backing(File).mutability(Mutability::AppendOnly).record_size(99);
    let reader = shared.open_or_create::<Pair>(dir.file("a")).map(drop);
    reader.unwrap();
    let records: Records<Pair> = shared.open_read_only(dir.file("a")).unwrap();
    assert!(records.is_empty());
    let error = changed.open_read_only::<Pair>(dir.file("a")).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "only the copy was changed");
}

#[rstest]
fn maps_and_files_are_released(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let held = || {
        let path = dir.path("").into_os_string().into_string().unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let maps = maps.lines().filter(|line| line.contains(&path)).count();
        let files = fs::read_dir("/proc/self/fd").unwrap();
        let files = files
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .filter(|target| target.to_string_lossy().starts_with(&path))
            .count();
        (maps, files)
    };
    assert_eq!(held(), (0, 0));
    for _ in 0..3 {
        let mut storage: Storage<Pair> = options(backing).open_or_create(dir.file("a")).unwrap();
        storage.append(&vec![pair(2, 2); 20_000]).unwrap();
        let reader = storage.records();
        storage.sort_by(field("u64le@0")).run().unwrap();
        storage
            .write_sidecar(pagestone_storage::SidecarOptions::new().accelerate(field("u64le@0")))
            .unwrap();
        assert_eq!(storage.lower_bound(field("u64le@0"), 2).unwrap(), 0);
        let (maps, files) = held();
        assert!(2 <= files && (backing == File || 0 < maps), "{maps} maps, {files} files");
        drop(reader);
        drop(storage);
        assert_eq!(held(), (0, 0));
        // What could not be opened holds nothing either.
        assert!(
            Options::new().backing(backing).record_size(5).open::<Pair>(dir.file("a")).is_err()
        );
        assert!(options(backing).create::<Pair>(dir.file("a")).is_err());
        assert_eq!(held(), (0, 0));
    }
}

#[test]
fn a_shorter_rewrite_keeps_no_old_tail() {
    for backing in [File, Map, Windowed] {
        let dir = Dir::new();
        let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        storage.append(&vec![pair(1, 1); 100]).unwrap();
        storage.close().unwrap();
        let mut storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        storage.truncate(0).unwrap();
        storage.append(&[pair(2, 2); 10]).unwrap();
        storage.close().unwrap();
        let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        assert_eq!(keys(storage.iter()), [2; 10]);
    }
}
