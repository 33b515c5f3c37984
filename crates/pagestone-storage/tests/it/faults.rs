//! Every system call of a scripted scenario failed in turn: old or new, never a mix, no panic.

use std::io;

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind, Storage,
    seam::{Call, Plan, watch},
};
use pagestone_testkit::faults::Scenario;
use rstest::rstest;

use crate::support::{Dir, Pair, keys, options, pair};

const KEY: Field = Field::new(0, Kind::U64);

/// Runs `work` on a fresh storage of keys 3, 1, 2 with the n-th call failed, for every n, and
/// hands what the reopened file holds to `check`.
fn each_call(
    backing: Backing,
    kind: io::ErrorKind,
    work: fn(&mut Storage<Pair>) -> pagestone_storage::Result<()>,
    check: fn(bool, Vec<u64>),
) {
    let prepare = || {
        let dir = Dir::new();
        let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        storage.append(&[pair(3, 0), pair(1, 0), pair(2, 0)]).unwrap();
        (dir, storage)
    };
    let scenario = Scenario {
        prepare,
        work: |(_dir, storage): &mut (Dir, Storage<Pair>)| work(storage),
        check: |(dir, storage): (Dir, Storage<Pair>), done: pagestone_storage::Result<()>| {
            drop(storage);
            let reopened: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
            check(done.is_ok(), keys(reopened.iter()));
        },
    };
    scenario.fail_each_call(kind);
}

#[rstest]
fn append(
    #[values(File, Map, Windowed)] backing: Backing,
    #[values(io::ErrorKind::StorageFull, io::ErrorKind::Other)] kind: io::ErrorKind,
) {
    let work = |storage: &mut Storage<Pair>| {
        let appended = storage.append(&[pair(9, 0)]).map(drop);
        if appended.is_err() {
            assert_eq!(storage.len(), 3, "nothing changed");
        }
        appended
    };
    each_call(backing, kind, work, |ok, keys| {
        assert!(!ok);
        assert_eq!(keys, [3, 1, 2]);
    });
}

#[rstest]
fn sort(
    #[values(File, Map, Windowed)] backing: Backing,
    #[values(io::ErrorKind::StorageFull, io::ErrorKind::Other)] kind: io::ErrorKind,
) {
    each_call(
        backing,
        kind,
        |storage| storage.sort_by(KEY).run(),
        |_, keys| {
            assert!(keys == [3, 1, 2] || keys == [1, 2, 3], "{keys:?}");
        },
    );
}

#[rstest]
fn a_failed_sync_poisons(#[values(File, Map, Windowed)] backing: Backing) {
    for call in [Call::Sync, Call::SyncDirectory] {
        let dir = Dir::new();
        let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        storage.append(&[pair(1, 0)]).unwrap();
        let plan = Plan::fail(0, io::ErrorKind::Other).only(call);
        let (synced, trace) = watch(plan, || storage.sync());
        assert!(trace.failed);
        assert_eq!(synced.unwrap_err().kind(), ErrorKind::Io);
        let poisoned = |result: pagestone_storage::Result<()>| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned);
            assert!(error.to_string().contains("earlier sync failed"), "{error}");
        };
        poisoned(storage.sync());
        poisoned(storage.append(&[pair(2, 0)]).map(drop));
        poisoned(storage.set(0, &pair(2, 0)));
        poisoned(storage.truncate(0));
        poisoned(storage.sort_by(KEY).run());
        poisoned(storage.flush());
        assert_eq!(keys(storage.iter()), [1], "reads go on");
        drop(storage);
        let mut storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        storage.append(&[pair(2, 0)]).unwrap();
        storage.close().unwrap();
    }
}

#[rstest]
fn opening(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    options(backing).create::<Pair>(dir.file("a")).unwrap().append(&[pair(1, 0)]).unwrap();
    for nth in 0.. {
        let plan = Plan::fail(nth, io::ErrorKind::Other);
        let (opened, trace) = watch(plan, || options(backing).open::<Pair>(dir.file("a")));
        if !trace.failed {
            assert_eq!(keys(opened.unwrap().iter()), [1]);
            return;
        }
        // Mapping less than was reserved is the one failure that is made good.
        assert!(opened.is_err() || backing == Map, "call {nth}");
    }
}

#[test]
fn every_change_in_place_is_seen_at_the_seam() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(Map).create(dir.file("a")).unwrap();
    storage.append(&[pair(1, 0), pair(2, 0)]).unwrap();
    let (set, trace) = watch(Plan::record(), || storage.set(1, &pair(7, 8)));
    set.unwrap();
    let stores: Vec<_> = trace
        .events
        .iter()
        .filter_map(|event| match event {
            pagestone_storage::seam::Event::Store { bytes, .. } => Some(bytes.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(stores, [bytemuck::bytes_of(&pair(7, 8)).to_vec()]);
}

#[rstest]
fn what_a_failed_write_left_is_cut_although_cutting_failed(
    #[values(File, Map, Windowed)] backing: Backing,
) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&[pair(1, 0)]).unwrap();
    // The write that fails has written 30 bytes, and the device gives no second chance.
    let half = [0xee; 30];
    std::os::unix::fs::FileExt::write_all_at(&open(&dir), &half, 12).unwrap();
    let plan = Plan::fail_from(0, io::ErrorKind::Other);
    let (appended, trace) = watch(plan, || storage.append(&[pair(2, 0); 5]));
    assert!(trace.failed && appended.is_err());
    storage.append(&[pair(3, 0)]).unwrap();
    drop(storage);
    let reopened: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
    assert_eq!((keys(reopened.iter()), reopened.partial_tail()), (vec![1, 3], 0));
}

fn open(dir: &Dir) -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open(dir.path("a")).unwrap()
}
