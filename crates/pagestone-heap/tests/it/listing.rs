//! Blocks by flags and kind, blocks that nothing reaches, none at all, and no old bytes.

use std::collections::BTreeSet;

use pagestone_heap::{
    BlockId, BlockKind, BlockPlace, ErrorKind, Filter, Heap, HeapMut, HeapOptions, RegionFile,
};
use rstest::rstest;

use crate::support::{Dice, Scene, check_clean, contents, marked, options};

const OVER: usize = 300_000;

fn ids(heap: &Heap, filter: Filter) -> Vec<BlockId> {
    let pin = heap.file().pin();
    heap.list(&pin, filter).map(|block| block.unwrap().id).collect()
}

#[test]
fn blocks_are_listed_by_what_is_known_of_them() {
    let file = options().in_memory().unwrap();
    let heap = file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap();
    let mut writer = file.writer();
    let short = heap.allocate_from(&mut writer, &[1; 100]).unwrap();
    let long = heap.allocate_from(&mut writer, &vec![2; OVER]).unwrap();
    let gone = heap.allocate_from(&mut writer, &[3; 100]).unwrap();
    let direct = heap.allocate_from(&mut writer, &[4; 7]).unwrap();
    heap.free(&mut writer, gone).unwrap();
    heap.set_flags(&mut writer, short, 0b1010).unwrap();
    heap.set_flags(&mut writer, long, 0b0110).unwrap();
    drop((writer, heap));
    let mut heap = HeapMut::new(file, "blocks").unwrap();
    heap.modify_private(direct).unwrap()[0] = 5;
    let heap = heap.into_shared();
    let all = Filter::new();
    assert_eq!(ids(&heap, all), [short, long, direct]);
    assert_eq!(ids(&heap, all.flags(0b1000, 0b1000)), [short]);
    assert_eq!(ids(&heap, all.flags(0b1000, 0)), [long, direct]);
    assert_eq!(ids(&heap, all.flags(0b0010, u32::MAX)), [short, long]);
    assert_eq!(ids(&heap, all.kind(BlockKind::Summed)), [short, long]);
    assert_eq!(ids(&heap, all.kind(BlockKind::Direct)), [direct]);
    assert_eq!(ids(&heap, all.kind(BlockKind::Plain)), []);
    assert_eq!(ids(&heap, all.place(BlockPlace::Own)), [long]);
    assert_eq!(ids(&heap, all.place(BlockPlace::Shared).flags(0b1000, 0)), [direct]);
    let pin = heap.file().pin();
    let block = heap.list(&pin, all.place(BlockPlace::Own)).next().unwrap().unwrap();
    assert_eq!((block.len, block.flags), (OVER as u64, 0b0110));
    assert_eq!(block.capacity, heap.capacity(&pin, long).unwrap());
}

#[test]
fn what_no_id_reaches_is_an_orphan() {
    let file = options().in_memory().unwrap();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let mut dice = Dice::new(3);
    // More than one part of the slot table.
    let all: Vec<_> = (0..9000_u64)
        .map(|number| heap.allocate_from(&mut writer, &number.to_le_bytes()).unwrap())
        .collect();
    let (mut live, mut freed) = (BTreeSet::new(), Vec::new());
    for id in all {
        if dice.below(4) == 0 {
            heap.free(&mut writer, id).unwrap();
            freed.push(id);
        } else {
            live.insert(id);
        }
    }
    let reachable: Vec<_> = live.iter().copied().filter(|_| dice.below(3) != 0).collect();
    let pin = file.pin();
    let given = reachable.iter().chain(&reachable).chain(&freed).copied();
    let orphans = heap.orphans(&pin, given).unwrap();
    assert_eq!(orphans.dangling(), freed.len() as u64);
    let found: BTreeSet<_> = orphans.map(|block| block.unwrap().id).collect();
    for id in &reachable {
        assert!(live.remove(id));
    }
    assert!(found == live, "{} of {}", found.len(), live.len());
    drop(writer);
    let other = file.heap("other").unwrap();
    assert_eq!(other.orphans(&pin, reachable).unwrap().count(), 0);
    assert_eq!(heap.orphans(&pin, found).unwrap().count(), 9000 - freed.len() - live.len());
}

#[test]
fn a_wiped_heap_refuses_its_ids_and_the_other_one_does_not() {
    let scene = Scene::fast();
    let file = scene.create();
    let (heap, other) = (file.heap("blocks").unwrap(), file.heap("other").unwrap());
    let kept = other.allocate_from(&mut file.writer(), b"kept").unwrap();
    let make = |seed: u64| -> Vec<BlockId> {
        let mut dice = Dice::new(seed);
        let mut writer = file.writer();
        (0..3000)
            .map(|n| heap.allocate_from(&mut writer, &marked(n, dice.len())).unwrap())
            .collect()
    };
    let ids = make(1);
    file.commit().unwrap();
    assert_eq!(heap.wipe(&mut file.writer()).unwrap(), 3000);
    assert_eq!(heap.wipe(&mut file.writer()).unwrap(), 0);
    for id in &ids {
        let error = heap.get(&file.pin(), *id).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StaleId);
    }
    file.writer().discard().unwrap();
    assert_eq!(contents(&heap).len(), 3000, "undone as a whole");
    heap.wipe(&mut file.writer()).unwrap();
    file.commit().unwrap();
    let len = file.stats().file_len;
    make(2);
    file.commit().unwrap();
    assert!(file.stats().file_len <= len + (8 << 20), "space is used again");
    assert_eq!(other.get(&file.pin(), kept).unwrap(), b"kept");
    assert_eq!(contents(&heap).len(), 3000);
    check_clean(&file);
}

/// Words that nothing else in a file is made of.
const SECRET: [u8; 16] = *b"old bytes, gone?";

fn secret(len: usize) -> Vec<u8> {
    SECRET.iter().copied().cycle().take(len).collect()
}

/// How often the words stand in a file.
fn count(scene: &Scene) -> usize {
    let bytes = std::fs::read(scene.path("file.pgs")).unwrap();
    // Blocks are aligned to 8, their headers have 24 bytes.
    bytes.chunks_exact(8).filter(|word| *word == &SECRET[..8]).count()
}

/// How space comes to be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Free,
    Wipe,
    Put,
    Resize,
    Discard,
    Drop,
    Kill,
    Close,
}

#[rstest]
fn old_bytes_do_not_stay(
    #[values(
        End::Free,
        End::Wipe,
        End::Put,
        End::Resize,
        End::Discard,
        End::Drop,
        End::Kill,
        End::Close
    )]
    end: End,
    #[values(100, 20_000, 2_000_000)] len: usize,
) {
    let scene = Scene::fast();
    let zeroing = options().zero_on_free(true);
    let mut file = scene.create_with(&zeroing);
    let mut heap = file.heap("blocks").unwrap();
    // A neighbour that keeps the region alive.
    heap.allocate_from(&mut file.writer(), b"neighbour").unwrap();
    if end == End::Discard {
        file.commit().unwrap();
    }
    let id = heap.allocate_from(&mut file.writer(), &secret(len)).unwrap();
    assert!(count(&scene) != 0);
    if end != End::Discard {
        file.commit().unwrap();
    }
    let pin = file.pin();
    let mut writer = file.writer();
    match end {
        End::Free | End::Kill | End::Close => heap.free(&mut writer, id).unwrap(),
        End::Wipe => assert_eq!(heap.wipe(&mut writer).unwrap(), 2),
        End::Put => heap.put(&mut writer, id, b"short").unwrap(),
        End::Resize => heap.resize(&mut writer, id, 3).unwrap(),
        End::Discard => writer.discard().unwrap(),
        End::Drop => {
            heap.free(&mut writer, id).unwrap();
            let mut stream = heap.allocate_stream(&mut writer).unwrap();
            std::io::Write::write_all(&mut stream, &secret(len)).unwrap();
            drop(stream);
        }
    }
    if end != End::Discard {
        assert!(count(&scene) != 0, "it may come back, and a pin sees it");
    }
    drop(pin);
    match end {
        End::Kill => {
            drop((writer, heap));
            drop(file);
            // As a kill: the free is there, the commit is not.
            file = zeroing.open(scene.at("file.pgs")).unwrap();
            assert!(count(&scene) != 0, "it may come back still");
            file.commit().unwrap();
            heap = file.heap("blocks").unwrap();
        }
        End::Close => {
            drop((writer, heap));
            file.close().unwrap();
            assert_eq!(count(&scene), 0);
            file = zeroing.open(scene.at("file.pgs")).unwrap();
            heap = file.heap("blocks").unwrap();
        }
        _ => {
            writer.commit().unwrap();
            drop(writer);
        }
    }
    let left = count(&scene);
    assert_eq!(left, 0, "{left} words are left");
    check_clean(&file);
    assert!(contents(&heap).len() <= 2);
}

#[test]
fn an_unclean_file_is_cleaned_of_what_was_undone() {
    let scene = Scene::fast();
    let zeroing = options().zero_on_free(true);
    let file = scene.create_with(&zeroing);
    let heap = file.heap("blocks").unwrap();
    heap.allocate_from(&mut file.writer(), b"neighbour").unwrap();
    file.commit().unwrap();
    for len in [100, 70_000] {
        heap.allocate_from(&mut file.writer(), &secret(len)).unwrap();
    }
    drop((heap, file));
    // To an open a copy is what a power loss leaves.
    scene.copy("copy.pgs");
    std::fs::rename(scene.path("copy.pgs"), scene.path("file.pgs")).unwrap();
    assert!(count(&scene) != 0);
    let file = zeroing.open(scene.at("file.pgs")).unwrap();
    assert_eq!(count(&scene), 0);
    check_clean(&file);
}

#[test]
fn a_discard_that_no_pin_sees_leaves_no_bytes() {
    let scene = Scene::fast();
    let file = scene.create_with(&options().zero_on_free(true));
    let heap = file.heap("blocks").unwrap();
    heap.allocate_from(&mut file.writer(), b"neighbour").unwrap();
    file.commit().unwrap();
    for len in [100, 70_000, 2_000_000] {
        heap.allocate_from(&mut file.writer(), &secret(len)).unwrap();
    }
    assert!(count(&scene) != 0);
    file.writer().discard().unwrap();
    assert_eq!(count(&scene), 0);
    check_clean(&file);
}

#[test]
fn a_panic_in_a_closure_leaves_no_bytes() {
    let scene = Scene::fast();
    let file = scene.create_with(&options().zero_on_free(true));
    let heap = file.heap("blocks").unwrap();
    let broken = |bytes: &mut [u8]| {
        bytes.copy_from_slice(&secret(bytes.len()));
        std::panic::resume_unwind(Box::new("broken"));
    };
    let mut writer = file.writer();
    let work = || heap.allocate_with(&mut writer, 1000, broken);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_err();
    drop(writer);
    assert_eq!(count(&scene), 0);
    check_clean(&file);
}

#[test]
fn without_the_option_bytes_stay() {
    let scene = Scene::fast();
    let file: RegionFile = scene.create();
    let heap = file.heap("blocks").unwrap();
    heap.allocate_from(&mut file.writer(), b"neighbour").unwrap();
    let id = heap.allocate_from(&mut file.writer(), &secret(100)).unwrap();
    heap.free(&mut file.writer(), id).unwrap();
    file.commit().unwrap();
    file.commit().unwrap();
    assert!(count(&scene) != 0, "or the tests above show nothing");
}
