//! The smallest, the longest and the most there can be, and ids that name nothing.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use std::collections::BTreeSet;

use pagestone_heap::{BlockId, ErrorKind};
use proptest::prelude::*;

use crate::support::{Scene, bytes, check_clean, contents, marked, options};

#[test]
fn blocks_of_nothing_of_a_region_and_of_more() {
    let scene = Scene::fast();
    let file = options().region_size(1 << 20).create(scene.at("file.pgs")).unwrap();
    let heap = file.heap("blocks").unwrap();
    let region = 1 << 20;
    let lens = [0, region - 64 - 24, region - 64 - 23, region, region + 1, 5 * region];
    let ids: Vec<BlockId> = lens
        .iter()
        .map(|len| heap.allocate_from(&mut file.writer(), &marked(3, *len)).unwrap())
        .collect();
    check_clean(&file);
    drop(heap);
    file.close().unwrap();
    let file = scene.open();
    let heap = file.heap("blocks").unwrap();
    for (id, len) in ids.iter().zip(lens) {
        heap.read(*id, |found| assert!(found == marked(3, len), "{len}")).unwrap();
    }
    heap.resize(&mut file.writer(), ids[0], 3 * region).unwrap();
    heap.resize(&mut file.writer(), ids[5], 0).unwrap();
    heap.read(ids[0], |found| assert_eq!(found.len(), 3 * region)).unwrap();
    heap.read(ids[5], |found| assert_eq!(found.len(), 0)).unwrap();
    check_clean(&file);
}

#[test]
fn what_the_file_has_no_range_for_changes_nothing() {
    let scene = Scene::fast();
    let small = options().reserve(4 << 20);
    let file = small.create(scene.at("file.pgs")).unwrap();
    let heap = file.heap("blocks").unwrap();
    let kept = heap.allocate_from(&mut file.writer(), b"kept").unwrap();
    file.commit().unwrap();
    let before = contents(&heap);
    for len in [4 << 20, 1 << 30, 1 << 40] {
        let refused = heap.allocate_with(&mut file.writer(), len, |_| ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::OutOfSpace, "{refused}");
        let refused = heap.resize(&mut file.writer(), kept, len).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::OutOfSpace, "{refused}");
        assert_eq!(contents(&heap), before);
    }
    let refused = heap.allocate_with(&mut file.writer(), 1 << 45, |_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    // Small ones until nothing fits: all that went in is there, and room can be made.
    let mut ids = Vec::new();
    let refused = loop {
        match heap.allocate_from(&mut file.writer(), &marked(ids.len() as u64, 1000)) {
            Ok(id) => ids.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::OutOfSpace, "{refused}");
    assert!(refused.to_string().contains("file.pgs"), "{refused}");
    assert!(2000 < ids.len(), "{}", ids.len());
    check_clean(&file);
    for id in ids.drain(..1000) {
        heap.free(&mut file.writer(), id).unwrap();
    }
    file.commit().unwrap();
    for seed in 0..900 {
        heap.allocate_from(&mut file.writer(), &marked(seed, 1000)).unwrap();
    }
    check_clean(&file);
    drop(heap);
    file.close().unwrap();
    assert_eq!(contents(&scene.open().heap("blocks").unwrap()).len(), ids.len() + 901);
}

#[test]
fn a_region_of_very_many_blocks() {
    let file = options().region_size(8 << 20).in_memory().unwrap();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    // The first regions are short: what comes later lies in long ones.
    let ids: Vec<BlockId> = (0..400_000_u64)
        .map(|seed| heap.allocate_from(&mut writer, &seed.to_le_bytes()).unwrap())
        .collect();
    drop(writer);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "every id once");
    let pin = file.pin();
    for (seed, id) in (0_u64..).zip(&ids) {
        assert_eq!(heap.get(&pin, *id).unwrap(), seed.to_le_bytes());
    }
    let alone = options().region_size(4 << 20).in_memory().unwrap();
    let heap = alone.heap("blocks").unwrap();
    // One long block makes the heap long enough for regions of 4 MiB.
    let mut writer = alone.writer();
    for _ in 0..80_000 {
        heap.allocate_from(&mut writer, &[]).unwrap();
    }
    drop(writer);
    assert_eq!(contents(&heap).len(), 80_000);
    check_clean(&alone);
}

#[test]
fn ids_that_name_nothing() {
    let scene = Scene::fast();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), b"gone").unwrap();
    let kept = heap.allocate_from(&mut file.writer(), b"kept").unwrap();
    heap.free(&mut file.writer(), id).unwrap();
    let other = scene.path("other.pgs");
    let second = options().create(scene.at("other.pgs")).unwrap();
    let foreign = second.heap("blocks").unwrap();
    foreign.allocate_from(&mut second.writer(), b"0").unwrap();
    let theirs = foreign.allocate_from(&mut second.writer(), b"1").unwrap();
    let stale = |heap: &pagestone_heap::Heap, id| {
        let mut writer = heap.file().writer();
        for refused in [
            heap.free(&mut writer, id),
            heap.put(&mut writer, id, b""),
            heap.resize(&mut writer, id, 9),
            heap.modify(&mut writer, id, |_| ()),
            heap.set_flags(&mut writer, id, 1),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::StaleId);
        }
        drop(writer);
        assert_eq!(heap.read(id, |_| ()).unwrap_err().kind(), ErrorKind::StaleId);
    };
    stale(&heap, id);
    if theirs != kept {
        stale(&heap, theirs);
        stale(&foreign, kept);
    }
    file.commit().unwrap();
    stale(&heap, id);
    drop(heap);
    file.close().unwrap();
    let file = scene.open();
    let heap = file.heap("blocks").unwrap();
    stale(&heap, id);
    let again = heap.allocate_from(&mut file.writer(), b"again").unwrap();
    assert_ne!(again, id);
    stale(&heap, id);
    assert!(other.exists());
    heap.read(kept, |bytes| assert_eq!(bytes, b"kept")).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Every byte of every block of a region belongs to one block.
    #[test]
    fn blocks_do_not_overlap(lens in proptest::collection::vec(0..9000_usize, 60..200)) {
        let file = options().region_size(1 << 20).in_memory().unwrap();
        let heap = file.heap("blocks").unwrap();
        let mut writer = file.writer();
        let mut all = Vec::new();
        // More than a region, so that blocks lie at both ends of it.
        while all.len() < 2 * lens.len() {
            for len in &lens {
                let seed = all.len() as u64;
                // The whole place of the block is filled, not only what was asked for.
                let id = heap.allocate_from(&mut writer, &[]).unwrap();
                heap.put(&mut writer, id, &vec![0; *len]).unwrap();
                let pin = file.pin();
                let capacity = usize::try_from(heap.capacity(&pin, id).unwrap()).unwrap();
                drop(pin);
                heap.put(&mut writer, id, &bytes(seed, capacity)).unwrap();
                all.push((id, capacity));
            }
        }
        writer.commit().unwrap();
        let pin = file.pin();
        let mut places = Vec::new();
        for (seed, (id, len)) in (0..).zip(&all) {
            let found = heap.get(&pin, *id).unwrap();
            prop_assert!(found == bytes(seed, *len), "block {seed} of {len} bytes");
            places.push((found.as_ptr() as usize, found.len()));
        }
        places.sort_unstable();
        prop_assert!(places.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }
}
