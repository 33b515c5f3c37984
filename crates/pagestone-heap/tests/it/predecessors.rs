//! What was wrong in the stores that people used before, tried here; see docs/defects-heap.md.

use std::{collections::BTreeSet, fs};

use pagestone_heap::{BlockId, ErrorKind, Heap, Pin, RegionFile};

use crate::support::{Scene, bytes, check_clean, contents, options};

const MIB: usize = 1 << 20;

fn in_memory() -> RegionFile {
    options().region_size(1 << 20).in_memory().unwrap()
}

/// Asserts that each block holds the bytes of its seed.
#[track_caller]
fn check_all(heap: &Heap, all: &[(BlockId, u64, usize)]) {
    let pin: Pin<'_> = heap.file().pin();
    for (id, seed, len) in all {
        assert!(heap.get(&pin, *id).unwrap() == bytes(*seed, *len), "{id}, seed {seed}");
    }
    drop(pin);
    check_clean(heap.file());
}

#[test]
fn seventy_thousand_blocks_have_seventy_thousand_ids() {
    let file = options().in_memory().unwrap();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let ids: Vec<BlockId> = (0..70_000_u64)
        .map(|seed| heap.allocate_from(&mut writer, &[seed.to_le_bytes(); 4].concat()).unwrap())
        .collect();
    drop(writer);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 70_000);
    let pin = file.pin();
    for (seed, id) in (0..70_000_u64).zip(&ids) {
        assert_eq!(heap.get(&pin, *id).unwrap()[24..], seed.to_le_bytes());
    }
    let found: Vec<BlockId> = heap.blocks(&pin).map(|block| block.unwrap().0).collect();
    assert_eq!(found, ids);
}

#[test]
fn every_byte_of_a_block_can_be_used() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let mut all = Vec::new();
    // Regions filled to their last byte with blocks of one class, then of all.
    let lens = std::iter::repeat_n(488, 4100).chain((1..900).flat_map(|len| [len, 7 * len]));
    for (seed, len) in (0..).zip(lens) {
        let id = heap.allocate_from(&mut writer, &bytes(seed, len)).unwrap();
        let capacity = usize::try_from(heap.capacity(&file.pin(), id).unwrap()).unwrap();
        heap.put(&mut writer, id, &bytes(seed, capacity)).unwrap();
        assert_eq!(heap.capacity(&file.pin(), id).unwrap(), capacity as u64);
        all.push((id, seed, capacity));
    }
    drop(writer);
    check_all(&heap, &all);
}

#[test]
fn a_block_of_a_regions_size_needs_one_region() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    heap.allocate_from(&mut writer, b"slot tables and a first region").unwrap();
    let mut all = Vec::new();
    for base in [256 << 10, MIB, 2 * MIB] {
        for len in (base - 90..base + 40).step_by(31) {
            let before = writer.stats();
            all.push((heap.allocate_from(&mut writer, &bytes(7, len)).unwrap(), 7, len));
            let after = writer.stats();
            let regions = |stats: &pagestone_heap::Stats| stats.region_counts.iter().sum::<u64>();
            assert!(regions(&after) <= regions(&before) + 1, "{len}");
            let grown = after.file_len - before.file_len;
            assert!(grown <= (len + len / 8 + (64 << 10)).max(MIB) as u64, "{len}: {grown}");
        }
    }
    drop(writer);
    check_all(&heap, &all);
}

#[test]
fn lengths_of_zero_and_of_nonsense() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let empty: Vec<BlockId> =
        (0..100).map(|_| heap.allocate_from(&mut writer, b"").unwrap()).collect();
    assert_eq!(empty.iter().collect::<BTreeSet<_>>().len(), 100);
    for len in [usize::MAX, usize::MAX - 23, 1 << 44] {
        let refused = heap.allocate_with(&mut writer, len, |_| ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{len}");
        let refused = heap.resize(&mut writer, empty[0], len).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{len}");
    }
    drop(writer);
    assert!(contents(&heap).into_values().all(|bytes| bytes.is_empty()));
    assert_eq!(contents(&heap).len(), 100);
    check_clean(&file);
}

#[test]
fn ids_that_name_nothing_are_refused() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let forged = (0..64).flat_map(|bit| [1 << bit, u64::MAX << bit, u64::MAX >> bit]);
    let forged: Vec<BlockId> = forged.map(BlockId::from_bits).collect();
    let check = |heap: &Heap| {
        let pin = heap.file().pin();
        for id in &forged {
            assert_eq!(heap.get(&pin, *id).unwrap_err().kind(), ErrorKind::StaleId, "{id}");
            assert!(!heap.contains(&pin, *id));
            heap.prefetch(*id);
        }
        assert_eq!(heap.blocks(&pin).count(), 0);
    };
    check(&heap);
    let mut writer = file.writer();
    for id in &forged {
        assert_eq!(heap.free(&mut writer, *id).unwrap_err().kind(), ErrorKind::StaleId);
        assert_eq!(heap.put(&mut writer, *id, b"").unwrap_err().kind(), ErrorKind::StaleId);
    }
    drop((writer, heap));
    file.close().unwrap();
    let file = options().open_read_only(scene.at("file.pgs")).unwrap();
    check(&file.heap("blocks").unwrap());
}

#[test]
fn a_length_that_lies_is_found() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), b"a block of some bytes").unwrap();
    drop(heap);
    file.close().unwrap();
    let mut image = fs::read(scene.path("file.pgs")).unwrap();
    let at = image.windows(21).position(|found| found == b"a block of some bytes").unwrap() - 24;
    for lie in [41_u64, 1 << 20, (1 << 48) - 1] {
        image[at + 8..at + 14].copy_from_slice(&lie.to_le_bytes()[..6]);
        fs::write(scene.path("file.pgs"), &image).unwrap();
        let file = options().open_read_only(scene.at("file.pgs")).unwrap();
        let heap = file.heap("blocks").unwrap();
        assert_eq!(heap.read(id, |_| ()).unwrap_err().kind(), ErrorKind::Corrupt, "{lie}");
        let report = file.verify(pagestone_heap::Verify::new()).unwrap();
        assert_eq!(report.problem_count, 1, "{:?}", report.problems);
    }
}

/// Maps and files below a directory, and bytes of address range in TiB.
fn held(scene: &Scene) -> (usize, usize, u64) {
    let path = scene.path("").into_os_string().into_string().unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let maps = maps.lines().filter(|line| line.contains(&path)).count();
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let files = files
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().starts_with(&path))
        .count();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    (maps, files, size >> 30)
}

#[test]
fn maps_and_files_are_released() {
    let scene = Scene::new();
    let before = held(&scene);
    assert_eq!((before.0, before.1), (0, 0));
    let options = RegionFile::options().reserve(1 << 40);
    options.create(scene.at("file.pgs")).unwrap().close().unwrap();
    for round in 0..100 {
        let file = match round % 3 {
            0 => options.open_read_only(scene.at("file.pgs")).unwrap(),
            _ => options.open(scene.at("file.pgs")).unwrap(),
        };
        let (maps, files, _) = held(&scene);
        assert!(0 < maps && 0 < files, "{maps} maps, {files} files");
        if round % 3 == 1 {
            file.close().unwrap();
        } else {
            drop(file);
        }
        // What could not be made holds nothing either.
        assert!(options.create(scene.at("file.pgs")).is_err());
        let after = held(&scene);
        assert_eq!((after.0, after.1), (0, 0), "{round}");
    }
    // Other tests reserve some GiB meanwhile; a leak would be of a TiB each time.
    let after = held(&scene).2;
    assert!(after <= before.2 + 1, "{} TiB before, {after} after", before.2);
}

#[test]
fn freed_space_is_used_again() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let lens = (0..12_000).map(|nth| 100 + nth * 37 % 900);
    let mut ids: Vec<BlockId> =
        lens.clone().map(|len| heap.allocate_from(&mut writer, &bytes(1, len)).unwrap()).collect();
    writer.commit().unwrap();
    let full = writer.stats().file_len;
    for round in 0..4 {
        // Two of three, oldest first, not the newest last.
        for (nth, len) in lens.clone().enumerate().filter(|(nth, _)| nth % 3 != round % 3) {
            heap.free(&mut writer, ids[nth]).unwrap();
            ids[nth] = BlockId::from_bits(len as u64);
        }
        writer.commit().unwrap();
        for (nth, len) in lens.clone().enumerate().filter(|(nth, _)| nth % 3 != round % 3) {
            ids[nth] = heap.allocate_from(&mut writer, &bytes(round as u64, len)).unwrap();
        }
        writer.commit().unwrap();
        let now = writer.stats().file_len;
        assert!(now <= full + full / 8, "{now} after {full} in round {round}");
    }
    drop(writer);
    assert_eq!(contents(&heap).len(), ids.len());
    check_clean(&file);
}

#[test]
fn mixed_sizes_stop_growing() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut writer = file.writer();
    let mut ids: Vec<BlockId> =
        (0..3000).map(|_| heap.allocate_from(&mut writer, &[1; 500]).unwrap()).collect();
    let mut lens = Vec::new();
    for _ in 0..20 {
        for _ in 0..3000 {
            let at = usize::try_from(next() % 3000).unwrap();
            // From 16 bytes to 8 KiB, every power of two as often as the next.
            let len = usize::try_from(next() % (16 << (next() % 10))).unwrap();
            heap.free(&mut writer, ids[at]).unwrap();
            ids[at] = heap.allocate_from(&mut writer, &vec![2; len]).unwrap();
        }
        writer.commit().unwrap();
        lens.push(writer.stats().file_len);
    }
    let (early, late) = (lens[7], lens[19]);
    assert!(late <= early + (1 << 20), "{lens:?}");
    drop(writer);
    let live: usize = contents(&heap).values().map(Vec::len).sum();
    assert!(late < 3 * live as u64 + (2 << 20), "{late} for {live} bytes");
    check_clean(&file);
}

#[test]
fn payloads_are_aligned() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    for len in (0..300).chain([4096, 65_536, 300_000]) {
        let id = heap.allocate_from(&mut writer, &bytes(1, len)).unwrap();
        let pin = file.pin();
        let lent = heap.get(&pin, id).unwrap();
        assert_eq!(lent.as_ptr().align_offset(8), 0, "{len}");
    }
}

#[test]
fn region_sizes_that_cannot_work_are_refused() {
    let scene = Scene::new();
    for size in [0, 1, 65_536, 3 << 20, (1 << 20) - 1, 1 << 31, u64::MAX] {
        let refused = options().region_size(size).create(scene.at("file.pgs")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{size}");
        assert!(!scene.path("file.pgs").exists());
    }
}

#[test]
fn freeing_a_neighbour_harms_nobody() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let ids: Vec<BlockId> =
        (0..3).map(|seed| heap.allocate_from(&mut writer, &bytes(seed, 90)).unwrap()).collect();
    heap.free(&mut writer, ids[0]).unwrap();
    let next = heap.allocate_from(&mut writer, &bytes(9, 90)).unwrap();
    heap.set_flags(&mut writer, ids[1], 5).unwrap();
    heap.free(&mut writer, ids[2]).unwrap();
    let last = heap.allocate_from(&mut writer, &bytes(10, 900)).unwrap();
    drop(writer);
    check_all(&heap, &[(next, 9, 90), (ids[1], 1, 90), (last, 10, 900)]);
    assert_eq!(contents(&heap).len(), 3);
}

#[test]
fn a_full_file_is_an_error_and_harms_nobody() {
    let file = RegionFile::options().reserve(8 << 20).in_memory().unwrap();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let mut all = Vec::new();
    let refused =
        (0..).find_map(|seed| match heap.allocate_from(&mut writer, &bytes(seed, 70_000)) {
            Ok(id) => {
                all.push((id, seed, 70_000));
                None
            }
            Err(error) => Some(error),
        });
    assert_eq!(refused.unwrap().kind(), ErrorKind::OutOfSpace);
    let refused = heap.allocate_from(&mut writer, &bytes(0, 9 * MIB)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfSpace);
    writer.commit().unwrap();
    drop(writer);
    check_all(&heap, &all);
    // What is freed can be had again.
    let mut writer = file.writer();
    for (id, ..) in all.drain(..10) {
        heap.free(&mut writer, id).unwrap();
    }
    writer.commit().unwrap();
    for seed in 100..108 {
        let id = heap.allocate_from(&mut writer, &bytes(seed, 70_000)).unwrap();
        all.push((id, seed, 70_000));
    }
    drop(writer);
    check_all(&heap, &all);
}

/// A heap whose free space holds bytes and flags of others.
fn used_before() -> (RegionFile, Heap) {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let old: Vec<BlockId> =
        (0..1000).map(|_| heap.allocate_from(&mut writer, &[0xaa; 400]).unwrap()).collect();
    for id in old {
        heap.set_flags(&mut writer, id, 77).unwrap();
        heap.free(&mut writer, id).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    (file, heap)
}

#[test]
fn a_new_block_shows_nothing_of_its_predecessor() {
    let (file, heap) = used_before();
    let before = file.stats().file_len;
    let mut writer = file.writer();
    for _ in 0..1800 {
        let id = heap
            .allocate_with(&mut writer, 400, |bytes| assert!(bytes.iter().all(|byte| *byte == 0)))
            .unwrap();
        assert_eq!(heap.flags(&file.pin(), id).unwrap(), 0);
    }
    drop(writer);
    assert_eq!(file.stats().file_len, before, "the space of others was used");
}

#[test]
fn a_block_that_grows_shows_zeros() {
    let (file, heap) = used_before();
    let before = file.stats().file_len;
    let mut writer = file.writer();
    for len in (0..300).cycle().take(1500) {
        let id = heap.allocate_from(&mut writer, &vec![0xbb; len]).unwrap();
        heap.resize(&mut writer, id, 390).unwrap();
        let pin = file.pin();
        let found = heap.get(&pin, id).unwrap();
        assert!(found[..len].iter().all(|byte| *byte == 0xbb));
        assert!(found[len..].iter().all(|byte| *byte == 0), "{len}");
    }
    drop(writer);
    assert_eq!(file.stats().file_len, before, "the space of others was used");
}

#[test]
fn freed_regions_are_used_again() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let lens = [300_000, 1_000_000, 400_000, 2_000_000, 350_000, 700_000];
    let mut ids: Vec<BlockId> =
        lens.map(|len| heap.allocate_from(&mut writer, &vec![1; len]).unwrap()).to_vec();
    // Something small at the end, so that no region of theirs is the tail.
    for _ in 0..5000 {
        heap.allocate_from(&mut writer, &[2; 400]).unwrap();
    }
    writer.commit().unwrap();
    let mut file_lens = Vec::new();
    for round in 0..12 {
        let at = round % lens.len();
        heap.free(&mut writer, ids[at]).unwrap();
        writer.commit().unwrap();
        ids[at] = heap.allocate_from(&mut writer, &vec![3; lens[at]]).unwrap();
        writer.commit().unwrap();
        file_lens.push(writer.stats().file_len);
    }
    assert!(file_lens.iter().all(|len| *len == file_lens[0]), "{file_lens:?}");
    drop(writer);
    check_clean(&file);
}

#[test]
fn a_fresh_block_lies_in_the_file() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    for len in [1, 100_000, 3 * MIB] {
        let id = heap.allocate_with(&mut file.writer(), len, |_| ()).unwrap();
        let len_now = fs::metadata(scene.path("file.pgs")).unwrap().len();
        assert_eq!(len_now, file.stats().file_len);
        assert!(len as u64 <= len_now);
        heap.read(id, |bytes| assert!(bytes.len() == len && bytes.iter().all(|byte| *byte == 0)))
            .unwrap();
    }
}

#[test]
fn damaged_bytes_are_errors_not_panics() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    for (seed, len) in (0..30).zip((0..600).step_by(20)) {
        heap.allocate_from(&mut file.writer(), &bytes(seed, len)).unwrap();
    }
    heap.allocate_from(&mut file.writer(), &bytes(1, 300_000)).unwrap();
    drop(heap);
    file.close().unwrap();
    let image = fs::read(scene.path("file.pgs")).unwrap();
    // Control bytes that say something, and bytes of the rest here and there.
    let said = (0..image.len()).filter(|at| image[*at] != 0);
    let places: Vec<usize> =
        said.enumerate().filter(|(nth, _)| nth % 4099 == 7).map(|at| at.1).collect();
    let control = (0..image.len().min(400_000)).filter(|at| image[*at] != 0).step_by(5).take(150);
    for (nth, at) in places.iter().copied().chain(control).enumerate() {
        let mut damaged = image.clone();
        damaged[at] ^= 1 << (nth % 8);
        fs::write(scene.path("damaged.pgs"), &damaged).unwrap();
        for read_only in [true, false] {
            let opened = if read_only {
                options().open_read_only(scene.at("damaged.pgs"))
            } else {
                options().untrusted(nth % 2 == 0).open(scene.at("damaged.pgs"))
            };
            let Ok(file) = opened else { continue };
            let Some(heap) = file.stores().first().and_then(|name| file.heap(name).ok()) else {
                continue;
            };
            drop(file.verify(pagestone_heap::Verify::new()).unwrap());
            let pin = file.pin();
            let read: usize = heap.blocks(&pin).flatten().map(|(_, bytes)| bytes.len()).sum();
            assert!(read <= 2 * image.len());
        }
    }
}

#[test]
fn a_block_costs_its_header_and_its_slot() {
    let file = options().in_memory().unwrap();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    heap.allocate_from(&mut writer, &[1; 40]).unwrap();
    let before = writer.stats();
    for _ in 1..65_536 {
        heap.allocate_from(&mut writer, &[1; 40]).unwrap();
    }
    let after = writer.stats();
    let used = |stats: &pagestone_heap::Stats| stats.region_lens[2] - stats.free;
    let headers = 64 * (after.region_counts[2] - before.region_counts[2]);
    assert_eq!(used(&after) - used(&before), 65_535 * (40 + 24) + headers);
    // A slot table doubles, so up to half of it waits for blocks that are not there yet.
    assert!(after.region_lens[1] - before.region_lens[1] <= 2 * 16 * 65_536);
}

#[test]
fn growth_moves_nothing() {
    let file = options().in_memory().unwrap();
    let heap = file.heap("blocks").unwrap();
    let first = heap.allocate_from(&mut file.writer(), b"first").unwrap();
    let pin = file.pin();
    let before = heap.get(&pin, first).unwrap();
    for _ in 0..40 {
        heap.allocate_with(&mut file.writer(), MIB, |_| ()).unwrap();
    }
    assert!(std::ptr::eq(heap.get(&pin, first).unwrap(), before));
    assert_eq!(before, b"first");
}
