//! A file system without room: an error with nothing changed, no signal.

use std::{io::Write, path::Path, process::Command};

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind,
    Mutability::{self, AppendOnly, InPlace},
    Options, SORT_MEMORY_MIN, SidecarOptions, Storage,
};
use rstest::rstest;

use crate::support::{Dir, Pair, checked_pair, is_whole, options, pair, pairs};

const KEY: Field = Field::new(0, Kind::U64);

/// A directory that is a file system of 2 MiB, unmounted when dropped.
pub(crate) struct Small {
    pub(crate) dir: Dir,
}

impl Small {
    /// `None` where this process may not mount, which is said on standard error.
    pub(crate) fn mount() -> Option<Self> {
        let dir = Dir::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "none"])
            .arg(dir.path(""))
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { dir });
        }
        let line = b"full_disk: skipped, a tmpfs of limited size cannot be mounted here\n";
        std::io::stderr().write_all(line).unwrap();
        None
    }

    /// Fills what is left, up to the last page.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.dir.path("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let path = self.dir.path("");
        let unmount = |path: &Path| Command::new("umount").arg("-l").arg(path).status();
        assert!(unmount(&path).is_ok_and(|status| status.success()));
    }
}

/// Expects `OutOfSpace`, in words that name the file.
#[track_caller]
fn check<T: std::fmt::Debug>(result: pagestone_storage::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{error}");
}

fn filled(small: &Small, options: Options) -> Storage<Pair> {
    let mut storage: Storage<Pair> = options.create(small.dir.file("a")).unwrap();
    // Batches that end in the middle of a page, so that some are written in part.
    loop {
        let len = storage.len();
        let batch: Vec<Pair> = (len..len + 3_001).rev().map(checked_pair).collect();
        match storage.append(&batch) {
            Ok(first) => assert_eq!(first, len),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{error}");
                assert_eq!(storage.len(), len, "nothing was appended");
                assert_eq!(std::fs::metadata(small.dir.path("a")).unwrap().len(), 12 * len);
                return storage;
            }
        }
    }
}

#[rstest]
fn nothing_changes_when_there_is_no_room(
    #[values(File, Map, Windowed)] backing: Backing,
    #[values(InPlace, AppendOnly)] mutability: Mutability,
) {
    let Some(small) = Small::mount() else { return };
    let options = options(backing).mutability(mutability);
    let mut storage = filled(&small, options);
    small.fill();
    let before = pairs(&storage);
    check(storage.sort_by(KEY).run());
    check(storage.sort_by(KEY).memory(SORT_MEMORY_MIN).run());
    check(storage.write_sidecar(SidecarOptions::new().checksums()));
    if mutability == InPlace {
        check(storage.sort_by(KEY).in_place().run());
        let last = storage.len() - 1;
        storage.set(last, &before[before.len() - 1]).unwrap();
        storage.swap(0, last).unwrap();
        storage.swap(0, last).unwrap();
    }
    assert!(pairs(&storage) == before, "unchanged");
    storage.close().unwrap();
    let mut storage: Storage<Pair> = options.open(small.dir.file("a")).unwrap();
    assert!(pairs(&storage) == before);
    assert!(before.iter().all(is_whole));
    std::fs::remove_file(small.dir.path("filler")).unwrap();
    if mutability == InPlace {
        storage.truncate(1_000).unwrap();
        storage.sort_by(KEY).run().unwrap();
        storage.sort_by(KEY).in_place().run().unwrap();
        storage.append(&[pair(1, 1)]).unwrap();
        assert_eq!(storage.len(), 1_001);
    }
}

#[rstest]
fn holes_are_given_blocks_before_they_are_written(#[values(Map, Windowed)] backing: Backing) {
    let Some(small) = Small::mount() else { return };
    let file = std::fs::File::create(small.dir.path("a")).unwrap();
    file.set_len(12 * 100_000).unwrap();
    let mut storage: Storage<Pair> = options(backing).open(small.dir.file("a")).unwrap();
    small.fill();
    for index in (0..100_000).step_by(300) {
        storage.set(index, &checked_pair(index)).unwrap();
    }
    drop(storage);
    // No room for the blocks: an error at open, where a store would be a signal.
    std::fs::remove_file(small.dir.path("a")).unwrap();
    let file = std::fs::File::create(small.dir.path("a")).unwrap();
    file.set_len(12 * 300_000).unwrap();
    check(options(backing).open::<Pair>(small.dir.file("a")));
    // Who does not change records in place needs no blocks.
    let append_only = options(backing).mutability(AppendOnly);
    assert_eq!(append_only.open::<Pair>(small.dir.file("a")).unwrap().len(), 300_000);
}

#[test]
fn a_file_with_holes_is_not_sorted_in_place_without_room() {
    let Some(small) = Small::mount() else { return };
    let file = std::fs::File::create(small.dir.path("a")).unwrap();
    file.set_len(12 * 300_000).unwrap();
    let mut storage: Storage<Pair> = options(File).open(small.dir.file("a")).unwrap();
    storage.set(0, &pair(9, 9)).unwrap();
    check(storage.sort_by(KEY).in_place().run());
    assert_eq!(*storage.get(0).unwrap(), pair(9, 9));
    drop(storage);
    // It says so before it marks the file as being sorted.
    let storage: Storage<Pair> = options(File).open(small.dir.file("a")).unwrap();
    assert_eq!(storage.len(), 300_000);
}

#[test]
fn not_even_room_for_a_lock_file() {
    let Some(small) = Small::mount() else { return };
    small.fill();
    let created = options(File).create::<Pair>(small.dir.file("a"));
    // An inode may still be had, a block not.
    if let Ok(mut storage) = created {
        check(storage.append(&[pair(1, 1)]));
        assert!(storage.is_empty());
    }
}
