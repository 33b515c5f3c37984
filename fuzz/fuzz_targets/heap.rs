//! A region file that is a closed one with words changed as the fuzzer says, asked everything.
#![no_main]

#[path = "../../crates/pagestone-heap/tests/it/hostile/driver.rs"]
mod driver;

use std::{path::Path, sync::OnceLock};

use driver::{Subject, WAYS};
use libfuzzer_sys::fuzz_target;
use pagestone_heap::{BlockId, RegionFile};
use pagestone_storage::TrustedDir;

/// The directory of all cases, a sound file, and its ids.
struct Base {
    dir: tempfile::TempDir,
    bytes: Vec<u8>,
    ids: Vec<BlockId>,
    /// Words that are not zero: what is worth changing.
    places: Vec<usize>,
}

fn trust(path: &Path) -> TrustedDir {
    // SAFETY: only this process writes in its temporary directory.
    unsafe { TrustedDir::assert(path) }
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let location = trust(dir.path()).file("base.pgs");
        let file = RegionFile::options().reserve(1 << 26).create(location).unwrap();
        let heap = file.heap("blocks").unwrap();
        let ids: Vec<BlockId> = (0..20)
            .map(|at| heap.allocate_from(&mut file.writer(), &[7; 400][..20 * at]).unwrap())
            .collect();
        file.writer().set_root("first", ids[0]).unwrap();
        file.commit().unwrap();
        heap.free(&mut file.writer(), ids[3]).unwrap();
        drop(heap);
        file.close().unwrap();
        let bytes = std::fs::read(dir.path().join("base.pgs")).unwrap();
        let places =
            (0..bytes.len()).step_by(8).filter(|at| bytes[*at..at + 8] != [0; 8]).collect();
        Base { dir, bytes, ids, places }
    })
}

// Ten bytes an edit: which word, and what is added to it.
fuzz_target!(|edits: &[u8]| {
    let base = base();
    let mut bytes = base.bytes.clone();
    for edit in edits.chunks_exact(10).take(16) {
        let nth = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let at = base.places[nth % base.places.len()];
        let added = u64::from_le_bytes(*edit[2..].first_chunk().unwrap());
        let word = u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        bytes[at..at + 8].copy_from_slice(&word.wrapping_add(added).to_le_bytes());
    }
    let subject = Subject::new(trust(base.dir.path()), base.dir.path());
    for way in WAYS {
        subject.write(&bytes);
        let _ = subject.run(way, &base.ids);
    }
    subject.write(&bytes);
    subject.run_alone(&base.ids);
});
