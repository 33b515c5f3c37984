//! Directories, backings and records that the tests share.

use pagestone_storage::{Backing, Location, Mutability, Options, Storage, TrustedDir, le};

/// The record of the tests: a key and where it stood before sorting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Pair {
    pub(crate) key: le::U64,
    pub(crate) place: le::U32,
}

pub(crate) fn pair(key: u64, place: u32) -> Pair {
    Pair { key: key.into(), place: place.into() }
}

/// A directory of its own for one test.
pub(crate) struct Dir {
    dir: tempfile::TempDir,
}

impl Dir {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// One in memory where there is such a place: for tests that sync a thousand times.
    pub(crate) fn fast() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self { dir: dir.unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn trusted(&self) -> TrustedDir {
        #[expect(unsafe_code, reason = "the directory is this test's own")]
        // SAFETY: nobody else knows the temporary directory.
        unsafe {
            TrustedDir::assert(self.dir.path())
        }
    }

    pub(crate) fn file(&self, name: &str) -> Location {
        self.trusted().file(name)
    }
}

pub(crate) fn options(backing: Backing) -> Options {
    // A small range, so that many tests at once fit the address space of small machines.
    Options::new().backing(backing).reserve(1 << 30).window_size(64 << 10)
}

/// An empty storage in a directory that lives as long as it does.
pub(crate) fn empty(backing: Backing, mutability: Mutability) -> (Dir, Storage<Pair>) {
    let dir = Dir::new();
    let storage = options(backing).mutability(mutability).create(dir.file("pairs.rec")).unwrap();
    (dir, storage)
}

pub(crate) fn keys<'a>(
    iter: impl Iterator<Item = pagestone_storage::Result<pagestone_storage::RecordRef<'a, Pair>>>,
) -> Vec<u64> {
    iter.map(|record| record.unwrap().key.get()).collect()
}

/// The names of what lies in the directory, sorted.
pub(crate) fn names(dir: &Dir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A number that looks random and is the same for the same seed (splitmix64).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// A record whose bytes show whether it is whole: the place is made from the key.
pub(crate) fn checked_pair(key: u64) -> Pair {
    pair(key, u32::try_from(mix(key) >> 32).unwrap())
}

/// Whether a record made by [`checked_pair`] is what was written.
pub(crate) fn is_whole(pair: &Pair) -> bool {
    *pair == checked_pair(pair.key.get())
}

pub(crate) fn pairs(storage: &pagestone_storage::Records<Pair>) -> Vec<Pair> {
    storage.iter().map(|record| *record.unwrap()).collect()
}
