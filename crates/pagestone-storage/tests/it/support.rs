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
    Options::new().backing(backing).reserve(1 << 30)
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
