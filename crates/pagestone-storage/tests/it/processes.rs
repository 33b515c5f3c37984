//! Two processes on one file: who may do what beside whom, and what a reader sees.

use std::os::unix::process::ExitStatusExt;

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind, Mutability, Records, Storage,
};
use pagestone_testkit::child::{self, Child};
use rstest::rstest;

use crate::support::{Dir, Pair, checked_pair, is_whole, mix, options, pairs};

const KEY: Field = Field::new(0, Kind::U64);
const COUNT: u64 = 60_000;

fn backing(name: &str) -> Backing {
    match name {
        "File" => File,
        "Map" => Map,
        _ => Windowed,
    }
}

fn start(test: &str, backing: Backing, dir: &Dir) -> Child {
    Child::start(test, &format!("{backing:?} {}", dir.path("a").to_str().unwrap()))
}

fn parse(errand: &str) -> (Backing, &str) {
    let (name, path) = errand.split_once(' ').unwrap();
    (backing(name), path)
}

/// Appends records in batches, sorts now and then, and tells how many there are.
#[test]
fn child_grows() {
    let Some(errand) = child::errand() else { return };
    let (backing, path) = parse(&errand);
    let options = options(backing).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = options.open(path).unwrap();
    for round in 0u64.. {
        let len = storage.len();
        let batch: Vec<Pair> = (len..COUNT.min(len + mix(len) % 700)).map(checked_pair).collect();
        storage.append(&batch).unwrap();
        if round % 40 == 39 {
            storage.sort_by(Field::new(8, Kind::U32)).run().unwrap();
        }
        child::acknowledge(storage.len());
        if storage.len() == COUNT {
            return;
        }
    }
}

#[rstest]
fn a_reader_follows_a_writer_of_another_process(
    #[values(File, Map, Windowed)] reading: Backing,
    #[values(File, Map, Windowed)] writing: Backing,
) {
    let dir = Dir::new();
    options(writing).create::<Pair>(dir.file("a")).unwrap().close().unwrap();
    let mut reader: Records<Pair> = options(reading).open_read_only(dir.file("a")).unwrap();
    let mut writer = start("processes::child_grows", writing, &dir);
    let mut seen = 0;
    while seen < COUNT {
        let told = writer.told();
        reader.refresh().unwrap();
        let len = reader.len();
        // What was acknowledged before the refresh is seen by it.
        assert!(seen <= len && told.unwrap_or(COUNT) <= len, "{seen}, {told:?} of {len}");
        // What this reader sees for the first time, and something it has seen before.
        for record in reader.range(seen..).chain(reader.range(seen / 2..seen / 2 + 10)) {
            assert!(is_whole(&record.unwrap()));
        }
        seen = len;
    }
    let mut keys: Vec<u64> = pairs(&reader).iter().map(|pair| pair.key.get()).collect();
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..COUNT), "every record once");
    assert_eq!(writer.end(), Some(COUNT));
}

/// Opens the storage for writing, tells whether it could, and holds it until it may end.
#[test]
fn child_holds() {
    let Some(errand) = child::errand() else { return };
    let (backing, path) = parse(&errand);
    let opened = options(backing).open::<Pair>(path);
    child::acknowledge(opened.as_ref().map_or_else(|error| error.kind() as u64, |_| 1_000));
    assert_eq!(child::order(), None);
}

#[rstest]
fn a_second_writer_in_another_process_is_refused(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let first: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    let mut second = start("processes::child_holds", backing, &dir);
    second.wait_for(ErrorKind::Locked as u64);
    second.end();
    drop(first);
    let mut second = start("processes::child_holds", backing, &dir);
    second.wait_for(1_000);
    let error = options(backing).open::<Pair>(dir.file("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    second.end();
    options(backing).open::<Pair>(dir.file("a")).unwrap();
}

#[rstest]
fn a_killed_holder_holds_nothing(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    options(backing).create::<Pair>(dir.file("a")).unwrap();
    for _ in 0..5 {
        let mut holder = start("processes::child_holds", backing, &dir);
        holder.wait_for(1_000);
        assert!(options(backing).open::<Pair>(dir.file("a")).is_err());
        holder.kill(0);
        options(backing).open::<Pair>(dir.file("a")).unwrap();
    }
}

/// Opens the storage for reading and, when told to, reads its last record.
#[test]
fn child_reads() {
    let Some(errand) = child::errand() else { return };
    let (backing, path) = parse(&errand);
    let reader: Records<Pair> = options(backing).open_read_only(path).unwrap();
    child::acknowledge(reader.len());
    while child::order().is_some() {
        let last = reader.get(reader.len() - 1);
        child::acknowledge(last.map_or_else(|error| error.kind() as u64, |last| last.key.get()));
    }
}

#[rstest]
fn a_mapped_reader_keeps_records_in_place(#[values(Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let mut first: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    first.append(&[checked_pair(7)]).unwrap();
    first.close().unwrap();
    let mut reader = start("processes::child_reads", backing, &dir);
    reader.wait_for(1);
    for writing in [File, Map, Windowed] {
        let error = options(writing).open::<Pair>(dir.file("a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        let append_only = options(writing).mutability(Mutability::AppendOnly);
        let mut storage: Storage<Pair> = append_only.open(dir.file("a")).unwrap();
        storage.append(&[checked_pair(8)]).unwrap();
        storage.sort_by(KEY).run().unwrap();
        drop(storage);
        // The sorted copy is another file, which nobody maps.
        options(writing).open::<Pair>(dir.file("a")).unwrap();
        drop(reader);
        reader = start("processes::child_reads", backing, &dir);
        assert!(1 < reader.told().unwrap());
    }
    reader.send(1);
    reader.wait_for(8);
    reader.end();
    options(backing).open::<Pair>(dir.file("a")).unwrap();
}

#[test]
fn a_reader_of_the_file_sees_what_changes_in_place() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(Map).create(dir.file("a")).unwrap();
    storage.append(&[checked_pair(100), checked_pair(200)]).unwrap();
    let mut reader = start("processes::child_reads", File, &dir);
    reader.wait_for(2);
    storage.set(1, &checked_pair(300)).unwrap();
    reader.send(1);
    reader.wait_for(300);
    reader.end();
}

#[test]
fn a_file_that_somebody_cuts_is_an_error_or_a_signal_as_documented() {
    for (backing, is_killed) in [(File, false), (Map, true), (Windowed, true)] {
        let dir = Dir::new();
        let mut storage: Storage<Pair> = options(File).create(dir.file("a")).unwrap();
        storage.append(&(0..50_000).map(checked_pair).collect::<Vec<_>>()).unwrap();
        drop(storage);
        let mut reader = start("processes::child_reads", backing, &dir);
        reader.wait_for(50_000);
        let file = std::fs::OpenOptions::new().write(true).open(dir.path("a")).unwrap();
        file.set_len(5).unwrap();
        reader.send(1);
        if is_killed {
            let status = reader.wait().unwrap();
            // SIGBUS.
            assert_eq!(status.signal(), Some(7), "{status}");
        } else {
            reader.wait_for(ErrorKind::Truncated as u64);
            reader.end();
        }
    }
}
