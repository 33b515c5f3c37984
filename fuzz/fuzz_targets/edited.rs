//! What every target does: words of a sound file are changed as the fuzzer says, and the file is
//! asked everything.

#[path = "../../crates/pagestone-heap/tests/it/hostile/driver.rs"]
mod driver;

use std::path::Path;

use driver::{Subject, WAYS};
use pagestone_heap::{BlockId, RegionFile};
use pagestone_storage::TrustedDir;

/// The directory of all cases, a closed and an unclean file, and their ids.
pub struct Base {
    dir: tempfile::TempDir,
    files: [Vec<u8>; 2],
    ids: Vec<BlockId>,
}

fn trust(path: &Path) -> TrustedDir {
    // SAFETY: only this process writes in its temporary directory.
    unsafe { TrustedDir::assert(path) }
}

impl Base {
    /// The files as `fill` leaves them, which answers the ids that are asked for.
    pub fn new(fill: impl FnOnce(&RegionFile) -> Vec<BlockId>) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let location = trust(dir.path()).file("base.pgs");
        let read = || std::fs::read(dir.path().join("base.pgs")).unwrap();
        let file = RegionFile::options().reserve(1 << 26).create(location).unwrap();
        let ids = fill(&file);
        let unclean = read();
        file.close().unwrap();
        Self { files: [read(), unclean], dir, ids }
    }

    /// The first byte chooses the file; then ten bytes an edit: which word of those that are not
    /// zero, and what is added to it.
    pub fn ask(&self, edits: &[u8]) {
        let Some((first, edits)) = edits.split_first() else { return };
        let mut bytes = self.files[usize::from(first % 2)].clone();
        let places: Vec<usize> =
            (0..bytes.len()).step_by(8).filter(|at| bytes[*at..at + 8] != [0; 8]).collect();
        for edit in edits.chunks_exact(10).take(16) {
            let nth = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
            let at = places[nth % places.len()];
            let added = u64::from_le_bytes(*edit[2..].first_chunk().unwrap());
            let word = u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
            bytes[at..at + 8].copy_from_slice(&word.wrapping_add(added).to_le_bytes());
        }
        let subject = Subject::new(trust(self.dir.path()), self.dir.path());
        for way in WAYS {
            subject.write(&bytes);
            let _ = subject.run(way, &self.ids);
        }
        subject.write(&bytes);
        subject.run_alone(&self.ids);
    }
}
