//! Files in temporary directories, and what a heap holds.
#![expect(unsafe_code, reason = "the one promise that a test makes for its own directory")]

use std::{collections::BTreeMap, path::PathBuf};

use pagestone_heap::{BlockId, FileOptions, Heap, RegionFile, Verify};
use pagestone_storage::{Location, TrustedDir};

/// A directory of one test.
#[derive(Debug)]
pub(crate) struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn at(&self, name: &str) -> Location {
        // SAFETY: only this test writes in its temporary directory, through this library or while
        // nothing is open.
        let dir = unsafe { TrustedDir::assert(self.dir.path()) };
        dir.file(name)
    }

    pub(crate) fn create(&self) -> RegionFile {
        self.create_with(&options())
    }

    pub(crate) fn create_with(&self, options: &FileOptions) -> RegionFile {
        options.create(self.at("file.pgs")).unwrap()
    }

    pub(crate) fn open(&self) -> RegionFile {
        options().open(self.at("file.pgs")).unwrap()
    }

    /// The file as a new one: to an open this is what a power loss leaves.
    pub(crate) fn copy(&self, to: &str) {
        std::fs::copy(self.path("file.pgs"), self.path(to)).unwrap();
    }
}

pub(crate) fn options() -> FileOptions {
    RegionFile::options().reserve(1 << 32)
}

/// All live blocks.
pub(crate) fn contents(heap: &Heap) -> BTreeMap<BlockId, Vec<u8>> {
    let pin = heap.file().pin();
    heap.blocks(&pin).map(|block| block.map(|(id, bytes)| (id, bytes.to_vec())).unwrap()).collect()
}

#[track_caller]
pub(crate) fn check_clean(file: &RegionFile) {
    let report = file.verify(Verify::new()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

/// Bytes that tell which they are.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (seed.wrapping_mul(31) ^ at ^ at >> 8).to_le_bytes()[0]).collect()
}
