//! Dense copies: the same ids, names and contents in another file, or nothing.

use std::{collections::BTreeMap, io};

use pagestone_heap::{BlockId, ErrorKind, HeapOptions, RegionFile};
use pagestone_storage::seam::{Plan, watch};

use crate::support::{Dice, Scene, check_clean, contents, marked, options};

/// A file with two heaps, a root, long blocks and many that were freed.
fn full_of_holes(scene: &Scene) -> (RegionFile, Vec<BlockId>) {
    let file = scene.create();
    let blocks = file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap();
    let others = file.heap("others").unwrap();
    let mut writer = file.writer();
    let mut dice = Dice::new(3);
    let mut ids = Vec::new();
    for seed in 0..9000 {
        let heap = if seed % 3 == 0 { &others } else { &blocks };
        let bytes = marked(seed, dice.len().min(300_000));
        ids.push((heap, heap.allocate_from(&mut writer, &bytes).unwrap()));
    }
    let mut freed = Vec::new();
    for (nth, (heap, id)) in ids.iter().enumerate() {
        if nth % 10 != 0 {
            heap.free(&mut writer, *id).unwrap();
            freed.push(*id);
        } else if nth % 20 == 0 {
            heap.set_flags(&mut writer, *id, 77).unwrap();
        }
    }
    writer.set_root("some root", ids[0].1).unwrap();
    writer.commit().unwrap();
    drop(writer);
    (file, freed)
}

type Shown = BTreeMap<String, BTreeMap<BlockId, (Vec<u8>, u32)>>;

fn shown(file: &RegionFile) -> Shown {
    let pin = file.pin();
    let all = file.stores().into_iter().map(|name| {
        let heap = file.heap(&name).unwrap();
        let flags = |id| heap.flags(&pin, id).unwrap();
        let blocks = contents(&heap).into_iter().map(|(id, bytes)| (id, (bytes, flags(id))));
        (name, blocks.collect())
    });
    all.collect()
}

#[test]
fn a_copy_has_the_same_ids_and_no_holes() {
    let scene = Scene::new();
    let (file, freed) = full_of_holes(&scene);
    let before = shown(&file);
    file.copy_compact(scene.at("copy.pgs"), &options()).unwrap();
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    assert!(copy.is_clean() && copy.uuid() != file.uuid());
    assert!(shown(&copy) == before && copy.roots() == file.roots());
    let (ours, theirs) = (copy.stats(), file.stats());
    let free = ours.free + ours.free_ranges;
    assert!(ours.file_len * 2 < theirs.file_len, "{} of {}", ours.file_len, theirs.file_len);
    assert!(free * 16 < ours.file_len, "{free} of {}", ours.file_len);
    check_clean(&copy);
    // Ids of freed blocks stay refused, and their indices are used under new ids.
    let heap = copy.heap("blocks").unwrap();
    let mut writer = copy.writer();
    for _ in 0..1000 {
        let id = heap.allocate_from(&mut writer, b"new").unwrap();
        assert!(!freed.contains(&id), "{id} again");
    }
    let pin = copy.pin();
    let stale = freed.iter().map(|id| heap.get(&pin, *id).unwrap_err().kind());
    assert!(stale.into_iter().all(|kind| kind == ErrorKind::StaleId));
    drop((writer, pin));
    check_clean(&copy);
    assert_eq!(left_over(&scene), ["copy.pgs", "copy.pgs.lock", "file.pgs", "file.pgs.lock"]);
}

fn left_over(scene: &Scene) -> Vec<String> {
    let entries = std::fs::read_dir(scene.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_copy_of_a_file_open_for_reading_is_its_last_commit() {
    let scene = Scene::new();
    let (file, _) = full_of_holes(&scene);
    let before = shown(&file);
    let heap = file.heap("blocks").unwrap();
    heap.allocate_from(&mut file.writer(), b"not committed").unwrap();
    drop((heap, file));
    let file = options().open_read_only(scene.at("file.pgs")).unwrap();
    file.copy_compact(scene.at("copy.pgs"), &options()).unwrap();
    assert!(shown(&options().open_read_only(scene.at("copy.pgs")).unwrap()) == before);
}

#[test]
fn a_copy_never_takes_the_place_of_a_file_and_leaves_nothing_where_it_fails() {
    let scene = Scene::fast();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    heap.allocate_from(&mut file.writer(), &[1; 5000]).unwrap();
    file.commit().unwrap();
    let error = file.copy_compact(scene.at("file.pgs"), &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    for nth in 0.. {
        let plan = Plan::fail_from(nth, io::ErrorKind::StorageFull);
        let (done, trace) = watch(plan, || file.copy_compact(scene.at("copy.pgs"), &options()));
        let names = left_over(&scene);
        if !trace.failed {
            break;
        }
        let there = names.iter().any(|name| name == "copy.pgs");
        assert!(names.len() <= 3, "call {nth}: {names:?}, {done:?}");
        assert!(done.is_err() || there, "call {nth}: {names:?}");
        if there {
            check_clean(&options().open(scene.at("copy.pgs")).unwrap());
            std::fs::remove_file(scene.path("copy.pgs")).unwrap();
            std::fs::remove_file(scene.path("copy.pgs.lock")).unwrap();
        }
    }
    check_clean(&file);
}

#[test]
fn a_reader_makes_a_copy_of_one_commit() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), b"committed").unwrap();
    file.commit().unwrap();
    heap.put(&mut file.writer(), id, b"not yet").unwrap();
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    reader.copy_compact(scene.at("copy.pgs"), &options()).unwrap();
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    copy.heap("blocks").unwrap().read(id, |bytes| assert_eq!(bytes, b"committed")).unwrap();
}
