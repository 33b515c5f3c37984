//! A region file with slabs and numbers that is a sound one with words changed as the fuzzer says, asked
//! everything.
#![no_main]

#[path = "../../crates/pagestone-heap/tests/it/hostile/driver.rs"]
mod driver;

use std::{path::Path, sync::OnceLock};

use driver::{Subject, WAYS};
use libfuzzer_sys::fuzz_target;
use pagestone_heap::{BlockId, RegionFile, SlabShape};
use pagestone_storage::TrustedDir;

/// The directory of all cases, a closed and an unclean file, and their ids.
struct Base {
    dir: tempfile::TempDir,
    files: [Vec<u8>; 2],
    ids: Vec<BlockId>,
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
        let read = || std::fs::read(dir.path().join("base.pgs")).unwrap();
        let file = RegionFile::options().reserve(1 << 26).create(location).unwrap();
        let (slabs, counts) = (file.slabs("slabs").unwrap(), file.counts("counts").unwrap());
        let mut writer = file.writer();
        let mut ids = Vec::new();
        for (object_len, slots) in [(16, 70), (37, 9), (700, 3)] {
            let shape = SlabShape { object_len, slots, generations: slots != 9, mark: 7 };
            let slab = slabs.create(&mut writer, shape).unwrap();
            let bytes = vec![7; object_len as usize];
            for _ in 0..slots.min(12) - 1 {
                ids.push(slabs.add(&mut writer, slab, &bytes).unwrap().unwrap());
            }
        }
        writer.commit().unwrap();
        for id in ids.iter().step_by(4) {
            slabs.remove(&mut writer, *id).unwrap();
        }
        counts.set(&mut writer, 5, 3).unwrap();
        writer.commit().unwrap();
        counts.set(&mut writer, 4092, 4).unwrap();
        slabs.remove(&mut writer, ids[5]).unwrap();
        let ids = ids.iter().map(|id| BlockId::from_bits(id.to_bits())).collect();
        drop(writer);
        let unclean = read();
        drop((slabs, counts));
        file.close().unwrap();
        Base { files: [read(), unclean], dir, ids }
    })
}

// The first byte chooses the file; then ten bytes an edit: which word of those that are not zero,
// and what is added to it.
fuzz_target!(|edits: &[u8]| {
    let base = base();
    let Some((first, edits)) = edits.split_first() else { return };
    let mut bytes = base.files[usize::from(first % 2)].clone();
    let places: Vec<usize> =
        (0..bytes.len()).step_by(8).filter(|at| bytes[*at..at + 8] != [0; 8]).collect();
    for edit in edits.chunks_exact(10).take(16) {
        let nth = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let at = places[nth % places.len()];
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
