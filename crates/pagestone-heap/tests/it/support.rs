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

    /// One in memory where there is such a place.
    pub(crate) fn fast() -> Self {
        Self { dir: fast_dir() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn at(&self, name: &str) -> Location {
        trusted(self.dir.path()).file(name)
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

/// The promise for a temporary directory of a test.
pub(crate) fn trusted(dir: &std::path::Path) -> TrustedDir {
    // SAFETY: only tests of this crate write in their temporary directories, through this library
    // or while nothing is open.
    unsafe { TrustedDir::assert(dir) }
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

/// A number that looks random and is the same for the same seed (splitmix64).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Choices that follow from a seed.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }

    /// A place in something of `len`, which is not 0.
    pub(crate) fn nth(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    /// Lengths as heaps have them: most are short, few need a region of their own.
    pub(crate) fn len(&mut self) -> usize {
        let len = match self.below(1000) {
            0 => 262_000 + self.below(200_000),
            1..20 => self.below(70_000),
            20..150 => self.below(5_000),
            _ => self.below(400),
        };
        usize::try_from(len).unwrap()
    }
}

/// Content that shows whether it is whole: a word of the caller, the length, and what follows from
/// both.
pub(crate) fn marked(word: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 16);
    bytes.extend_from_slice(&word.to_le_bytes());
    bytes.extend_from_slice(&(len as u64).to_le_bytes());
    let mut next = mix(word ^ len as u64);
    while bytes.len() < len {
        bytes.extend_from_slice(&next.to_le_bytes());
        next = next.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
    bytes.truncate(len);
    bytes
}

/// The word of content that [`marked`] made, of at least 16 bytes; `None` where it is not whole.
pub(crate) fn mark_of(bytes: &[u8]) -> Option<u64> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    (marked(word, bytes.len()) == bytes).then_some(word)
}

/// Seconds that a test of random length may take: few, or what `cargo xtask torture` says.
pub(crate) fn budget(seconds: f64) -> std::time::Duration {
    let given = std::env::var("PAGESTONE_TORTURE_SECONDS").ok();
    let given = given.and_then(|given| given.parse().ok());
    std::time::Duration::from_secs_f64(given.unwrap_or(seconds))
}

/// The seed of tests of random length.
pub(crate) fn seed() -> u64 {
    std::env::var("PAGESTONE_TORTURE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Says something of a test that is long enough to be asked about.
pub(crate) fn say(line: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes()).unwrap();
}

/// A directory in memory where there is such a place: for tests with thousands of files.
pub(crate) fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
