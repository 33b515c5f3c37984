//! One operation at a time, on files and in memory.

use std::os::unix::fs::MetadataExt;

use pagestone_heap::{BlockId, ErrorKind, HeapMut, RegionFile};

use crate::support::{Scene, bytes, check_clean, contents, options};

fn in_memory() -> RegionFile {
    options().in_memory().unwrap()
}

#[test]
fn blocks_of_every_length_are_read_back() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let lens = (0..700).chain([
        4095,
        4096,
        65_511,
        65_512,
        65_513,
        262_119,
        262_120,
        262_121,
        1 << 20,
        (1 << 20) + 1,
        3 << 20,
    ]);
    let mut writer = file.writer();
    let all: Vec<(BlockId, usize)> = lens
        .map(|len| (heap.allocate_from(&mut writer, &bytes(len as u64, len)).unwrap(), len))
        .collect();
    drop(writer);
    let pin = file.pin();
    for (id, len) in &all {
        assert_eq!(heap.get(&pin, *id).unwrap(), bytes(*len as u64, *len), "{len}");
        assert!(*len as u64 <= heap.capacity(&pin, *id).unwrap());
    }
    drop(pin);
    check_clean(&file);
}

#[test]
fn a_stale_id_is_refused_for_ever() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut stale = Vec::new();
    for round in 0..200 {
        let mut writer = file.writer();
        let id = heap.allocate_from(&mut writer, &bytes(round, 40)).unwrap();
        for old in &stale {
            assert_eq!(heap.free(&mut writer, *old).unwrap_err().kind(), ErrorKind::StaleId);
            assert_eq!(heap.put(&mut writer, *old, b"").unwrap_err().kind(), ErrorKind::StaleId);
        }
        heap.free(&mut writer, id).unwrap();
        stale.push(id);
        if round % 7 == 0 {
            writer.commit().unwrap();
        }
    }
    let pin = file.pin();
    for old in stale {
        assert_eq!(heap.get(&pin, old).unwrap_err().kind(), ErrorKind::StaleId);
    }
    for bits in [0, 1, u64::MAX, 1 << 63, 4 << 24] {
        let forged = BlockId::from_bits(bits);
        assert_eq!(heap.get(&pin, forged).unwrap_err().kind(), ErrorKind::StaleId, "{bits}");
    }
}

#[test]
fn ids_of_another_heap_are_refused() {
    let file = in_memory();
    let (first, second) = (file.heap("first").unwrap(), file.heap("second").unwrap());
    let mut writer = file.writer();
    let a = first.allocate_from(&mut writer, b"a").unwrap();
    let b = second.allocate_from(&mut writer, b"b").unwrap();
    let pin = file.pin();
    assert_eq!(first.get(&pin, a).unwrap(), b"a");
    assert_eq!(second.get(&pin, b).unwrap(), b"b");
    assert_eq!(first.get(&pin, b).unwrap_err().kind(), ErrorKind::StaleId);
    assert_eq!(second.get(&pin, a).unwrap_err().kind(), ErrorKind::StaleId);
    let other = in_memory();
    let pin = other.pin();
    assert_eq!(first.get(&pin, a).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let refused = first.allocate_from(&mut other.writer(), b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn the_first_block_is_number_0() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let mut ids = Vec::new();
    for round in 0..9000 {
        ids.push(heap.allocate_from(&mut file.writer(), &bytes(round, 9)).unwrap());
    }
    let pin = file.pin();
    for (nth, id) in (0..).zip(&ids) {
        assert_eq!(heap.nth(&pin, nth).unwrap(), Some(*id));
    }
    assert_eq!(heap.nth(&pin, 9000).unwrap(), None);
    assert_eq!(heap.nth(&pin, u64::MAX).unwrap(), None);
    let found: Vec<BlockId> = heap.blocks(&pin).map(|block| block.unwrap().0).collect();
    assert_eq!(found, ids);
}

#[test]
fn pinned_bytes_stay() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let ids: Vec<BlockId> = (0..100)
        .map(|seed| heap.allocate_from(&mut file.writer(), &bytes(seed, 500)).unwrap())
        .collect();
    file.commit().unwrap();
    let pin = file.pin();
    let slices: Vec<&[u8]> = ids.iter().map(|id| heap.get(&pin, *id).unwrap()).collect();
    for round in 0..20 {
        let mut writer = file.writer();
        for id in &ids {
            heap.put(&mut writer, *id, &bytes(1000 + round, 500)).unwrap();
        }
        writer.commit().unwrap();
    }
    for (seed, slice) in (0..).zip(&slices) {
        assert_eq!(*slice, bytes(seed, 500));
    }
    let held = file.stats();
    drop(pin);
    file.writer().set_root("change", ids[0]).unwrap();
    file.commit().unwrap();
    let after = file.stats();
    assert!(0 < held.pinned && held.pins == 1 && after.pinned == 0, "{held:?} {after:?}");
}

#[test]
fn private_bytes_are_changed_where_they_lie() {
    let scene = Scene::new();
    let mut heap = HeapMut::open(scene.at("file.pgs"), &options()).unwrap();
    let id = heap.allocate_from(&bytes(1, 100)).unwrap();
    heap.commit().unwrap();
    heap.modify_private(id).unwrap().copy_from_slice(&bytes(2, 100));
    assert_eq!(heap.get(id).unwrap(), bytes(2, 100));
    heap.discard().unwrap();
    assert_eq!(heap.get(id).unwrap(), bytes(1, 100), "the committed block was not touched");
    heap.modify_private(id).unwrap()[0] = 9;
    heap.modify_private(id).unwrap()[1] = 8;
    heap.commit().unwrap();
    assert_eq!(heap.get(id).unwrap()[..2], [9, 8]);
    heap.in_place(id).unwrap()[2] = 7;
    heap.close().unwrap();
    let heap = HeapMut::open(scene.at("file.pgs"), &options()).unwrap();
    assert_eq!(heap.get(id).unwrap()[..3], [9, 8, 7]);
    check_clean(heap.into_shared().file());
}

#[test]
fn a_panic_in_a_fill_leaves_everything_as_it_was() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let kept = heap.allocate_from(&mut file.writer(), b"kept").unwrap();
    for len in [10, 1 << 20] {
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            heap.allocate_with(&mut file.writer(), len, |_| panic!("in the fill"))
        }));
        assert!(tried.is_err());
    }
    assert_eq!(contents(&heap).len(), 1);
    check_clean(&file);
    let next = heap.allocate_from(&mut file.writer(), b"next").unwrap();
    assert_eq!(contents(&heap).keys().copied().collect::<Vec<_>>(), [kept, next]);
}

#[test]
fn freed_regions_go_back() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let small: Vec<BlockId> = (0..40_000)
        .map(|seed| heap.allocate_from(&mut writer, &bytes(seed, 200)).unwrap())
        .collect();
    let large = heap.allocate_from(&mut writer, &bytes(0, 5 << 20)).unwrap();
    writer.commit().unwrap();
    // Slot tables never move, so what the file takes counts, not how long it is.
    let taken = || std::fs::metadata(scene.path("file.pgs")).unwrap().blocks() * 512;
    let full = taken();
    for id in small.iter().chain([&large]) {
        heap.free(&mut writer, *id).unwrap();
    }
    writer.commit().unwrap();
    for _ in 0..3 {
        writer.set_root("change", large).unwrap();
        writer.commit().unwrap();
    }
    drop(writer);
    check_clean(&file);
    let empty = taken();
    assert!(empty < full / 4, "{empty} of {full}");
}

#[test]
fn a_get_beside_a_discard_sees_old_or_new() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), &[1; 40]).unwrap();
    file.commit().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for _ in 0..20_000 {
                let pin = file.pin();
                let bytes = heap.get(&pin, id).unwrap();
                assert!(bytes == [1; 40] || bytes == [2; 50], "{bytes:?}");
            }
        });
        while !reader.is_finished() {
            let mut writer = file.writer();
            heap.put(&mut writer, id, &[2; 50]).unwrap();
            writer.discard().unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_pin_holds_what_a_discard_undoes_beside_space_that_waits() {
    let file = in_memory();
    let heap = file.heap("blocks").unwrap();
    file.commit().unwrap();
    let mut writer = file.writer();
    let ids: Vec<_> =
        (0..4).map(|at| heap.allocate_from(&mut writer, &bytes(at, 40)).unwrap()).collect();
    let pin = file.pin();
    let held: Vec<_> = ids.iter().map(|id| heap.get(&pin, *id).unwrap()).collect();
    heap.free(&mut writer, ids[1]).unwrap();
    writer.discard().unwrap();
    for _ in 0..40_000 {
        heap.allocate_from(&mut writer, &[0xee; 40]).unwrap();
    }
    for (at, held) in (0..).zip(held) {
        assert_eq!(held, bytes(at, 40));
    }
}
