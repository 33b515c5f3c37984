//! What other processes and other people do to a storage's files and names.

use std::{
    fs, io,
    ops::ControlFlow,
    os::unix::fs::{FileExt, PermissionsExt},
};

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind, Mutability, Records, SidecarOptions, SidecarStatus, Storage,
    seam::{Call, Plan, watch},
};
use rstest::rstest;

use crate::support::{Dir, Pair, keys, options, pair};

const KEY: Field = Field::new(0, Kind::U64);

#[rstest]
fn a_file_that_is_followed_is_not_cut_by_a_failed_append(
    #[values(File, Map, Windowed)] backing: Backing,
) {
    let dir = Dir::new();
    let options = options(backing).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
    storage.append(&[pair(1, 0)]).unwrap();
    let mut reader: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    // The write that breaks off has written two records, which a reader follows at once.
    let other = fs::OpenOptions::new().write(true).open(dir.path("a")).unwrap();
    other.write_all_at(bytemuck::bytes_of(&[pair(2, 0), pair(3, 0)]), 12).unwrap();
    assert!(reader.refresh().unwrap());
    // Reserving blocks goes well, writing does not.
    let plan = Plan::fail_from(0, io::ErrorKind::Other).only(Call::Write);
    let (appended, trace) = watch(plan, || storage.append(&[pair(9, 0)]));
    assert!(trace.failed && appended.is_err());
    assert_eq!(keys(reader.iter()), [1, 2, 3], "what was followed is there");
    assert_eq!(storage.append(&[pair(9, 0)]).unwrap_err().kind(), ErrorKind::Poisoned);
    drop(storage);
    let reopened: Storage<Pair> = options.open(dir.file("a")).unwrap();
    assert_eq!(keys(reopened.iter()), [1, 2, 3]);
}

#[test]
fn a_sorted_copy_has_reserved_nothing_yet() {
    let dir = Dir::new();
    let append_only = options(Map).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = append_only.create(dir.file("a")).unwrap();
    for _ in 0..20 {
        storage.append(&vec![pair(1, 1); 1_000]).unwrap();
    }
    storage.sort_by(KEY).run().unwrap();
    // A full disk must be found before the file grows.
    let plan = Plan::fail_from(0, io::ErrorKind::StorageFull).only(Call::Allocate);
    let (appended, trace) = watch(plan, || storage.append(&[pair(9, 9)]));
    assert!(trace.failed);
    assert_eq!(appended.unwrap_err().kind(), ErrorKind::OutOfSpace);
    assert_eq!(fs::metadata(dir.path("a")).unwrap().len(), 240_000);
    storage.append(&[pair(9, 9)]).unwrap();
}

#[test]
fn blocks_reserved_ahead_are_given_back() {
    let dir = Dir::new();
    let options = options(Map).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
    for _ in 0..100 {
        storage.append(&vec![pair(1, 1); 10_000]).unwrap();
    }
    storage.close().unwrap();
    let metadata = fs::metadata(dir.path("a")).unwrap();
    let blocks = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
    assert!(metadata.len() == 12_000_000 && blocks < 12_100_000, "{blocks} bytes of blocks");
}

#[rstest]
fn no_reader_joins_while_records_move(#[values(Map, Backing::Memory)] backing: Backing) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&vec![pair(2, 0); 100_000]).unwrap();
    storage.append(&[pair(1, 0)]).unwrap();
    let mut reader = storage.records();
    storage.sort_by(KEY).run().unwrap();
    let mut looks = 0;
    let progress = |_| {
        looks += 1;
        assert!(!reader.refresh().unwrap(), "a reader of the old file stays there");
        ControlFlow::Continue(())
    };
    storage.sort_by(Field::new(8, Kind::U32)).in_place().progress(progress).run().unwrap();
    assert!(0 < looks);
    assert!(reader.refresh().unwrap());
}

#[rstest]
fn a_file_of_two_names_is_refused(#[values(File, Map)] backing: Backing) {
    let dir = Dir::new();
    options(backing).create::<Pair>(dir.file("a")).unwrap();
    fs::hard_link(dir.path("a"), dir.path("b")).unwrap();
    let error = options(backing).open::<Pair>(dir.file("b")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("2 names"), "{error}");
}

#[rstest]
fn a_file_that_lost_its_name_is_noticed_at_sync(#[values(File, Map)] backing: Backing) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    fs::remove_file(dir.path("a")).unwrap();
    storage.append(&[pair(1, 1)]).unwrap();
    let error = storage.sync().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(storage.append(&[pair(1, 1)]).unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn clones_that_refresh_at_once_agree() {
    let dir = Dir::new();
    let append_only = options(Map).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = append_only.create(dir.file("a")).unwrap();
    let reader: Records<Pair> = append_only.open_read_only(dir.file("a")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let mut reader = reader.clone();
            scope.spawn(move || {
                let mut last = 0;
                while reader.len() < 3_000 {
                    reader.refresh().unwrap();
                    assert!(last <= reader.len());
                    last = reader.len();
                }
            });
        }
        for key in 0..3_000 {
            storage.append(&[pair(key, 0)]).unwrap();
        }
    });
}

#[test]
fn a_sidecar_that_is_none_is_left_alone() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(File).create(dir.file("a")).unwrap();
    storage.append(&[pair(2, 0), pair(1, 0)]).unwrap();
    fs::write(dir.path("a.meta"), b"my notes").unwrap();
    storage.sort_by(KEY).run().unwrap();
    storage.set(0, &pair(1, 1)).unwrap();
    assert_eq!(fs::read(dir.path("a.meta")).unwrap(), b"my notes");
    fs::remove_file(dir.path("a.meta")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path("a.meta")).unwrap();
    drop(storage);
    let storage: Storage<Pair> = options(File).open(dir.file("a")).unwrap();
    assert!(matches!(storage.sidecar(), SidecarStatus::Unusable(_)));
}

#[test]
fn a_sorted_copy_and_its_sidecar_keep_the_mode() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(Map).create(dir.file("a")).unwrap();
    storage.append(&[pair(2, 0), pair(1, 0)]).unwrap();
    fs::set_permissions(dir.path("a"), fs::Permissions::from_mode(0o644)).unwrap();
    storage.sort_by(KEY).run().unwrap();
    storage.write_sidecar(SidecarOptions::new()).unwrap();
    for name in ["a", "a.meta"] {
        let mode = fs::metadata(dir.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{name}");
    }
}

#[test]
fn a_name_that_is_not_there_leaves_nothing() {
    let dir = Dir::new();
    options(File).open::<Pair>(dir.file("typo")).unwrap_err();
    assert_eq!(fs::read_dir(dir.path("")).unwrap().count(), 0);
}

#[test]
fn a_tail_that_was_cut_is_no_finding() {
    let dir = Dir::new();
    fs::write(dir.path("a"), [1; 15]).unwrap();
    let mut storage: Storage<Pair> = options(File).open(dir.file("a")).unwrap();
    let tail = |storage: &Storage<Pair>| {
        storage.verify(|_| ControlFlow::Continue(())).unwrap().partial_tail
    };
    assert_eq!(tail(&storage), 3);
    storage.append(&[pair(1, 1)]).unwrap();
    assert_eq!(tail(&storage), 0);
}
