//! Files in temporary directories, and contents that tell which they are.
#![expect(unsafe_code, reason = "the one promise that a test makes for its own directory")]

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use pagestone_heap::{FileOptions, RegionFile, Verify};
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

    /// One in memory where there is such a place.
    pub(crate) fn fast() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self { dir: dir.unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn at(&self, name: &str) -> Location {
        trusted(self.dir.path()).file(name)
    }

    /// Stores bytes over a file that nobody has open.
    pub(crate) fn store(&self, name: &str, offset: u64, bytes: &[u8]) {
        let path = self.dir.path().join(name);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        FileExt::write_all_at(&file, bytes, offset).unwrap();
    }

    /// Copies a file to another inode.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        std::fs::copy(self.dir.path().join(from), self.dir.path().join(to)).unwrap();
    }

    /// Bytes of a file.
    pub(crate) fn load(&self, name: &str, offset: u64, len: usize) -> Vec<u8> {
        let file = std::fs::File::open(self.dir.path().join(name)).unwrap();
        let mut bytes = vec![0; len];
        FileExt::read_exact_at(&file, &mut bytes, offset).unwrap();
        bytes
    }

    pub(crate) fn create(&self) -> RegionFile {
        options().create(self.at("file.pgs")).unwrap()
    }

    /// Changes one byte of a file that is closed.
    pub(crate) fn change(&self, name: &str, at: u64, change: impl FnOnce(u8) -> u8) {
        let file = std::fs::File::options().read(true).write(true).open(self.path(name));
        let file = file.unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[change(byte[0])], at).unwrap();
    }

    pub(crate) fn open(&self) -> RegionFile {
        options().open(self.at("file.pgs")).unwrap()
    }
}

/// The promise for a temporary directory of a test.
pub(crate) fn trusted(dir: &Path) -> TrustedDir {
    // SAFETY: only tests of this crate write in their temporary directories, through this library
    // or while nothing is open.
    unsafe { TrustedDir::assert(dir) }
}

/// Time that a test of random length may take: short, or what `cargo xtask torture` says.
pub(crate) fn budget(seconds: f64) -> Duration {
    let given = std::env::var("PAGESTONE_TORTURE_SECONDS").ok();
    Duration::from_secs_f64(given.and_then(|given| given.parse().ok()).unwrap_or(seconds))
}

/// The seed of tests of random length.
pub(crate) fn seed() -> u64 {
    std::env::var("PAGESTONE_TORTURE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

pub(crate) fn options() -> FileOptions {
    RegionFile::options().reserve(1 << 34)
}

#[track_caller]
pub(crate) fn check_clean(file: &RegionFile) {
    let report = file.verify(Verify::new()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

/// A number that looks random and is the same for the same seed (splitmix64).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Content of 16 to 511 bytes that follows from a number, and shows whether it is whole.
pub(crate) fn content(number: u64) -> Vec<u8> {
    let len = usize::try_from(16 + mix(number) % 496).unwrap();
    let mut bytes = number.to_le_bytes().to_vec();
    let mut next = number;
    while bytes.len() < len {
        next = mix(next);
        bytes.extend_from_slice(&next.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The number of content that [`content`] made; `None` where it is not whole.
pub(crate) fn number_of(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*bytes.first_chunk()?);
    (content(number) == bytes).then_some(number)
}
