//! Files that were recorded once, in `testdata/vN`: what they hold follows from a seed, and every
//! later version opens them.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use pagestone_heap::{HeapOptions, RegionFile};
use pagestone_testkit::testdata;
use rstest::rstest;

use crate::support::{Scene, bytes, check_clean, contents, options};

/// What one store holds: payload and flags by the number of the slot.
pub(crate) type Blocks = BTreeMap<u64, (Vec<u8>, u32)>;

/// The blocks of `plain`, one for each slot of the first part and some of the second.
const PLAIN: u64 = 4200;
/// The blocks of `summed`, which have checksums.
const SUMMED: u64 = 20;

/// Fills a file and commits: two stores, blocks of every kind, freed ones, roots.
pub(crate) fn fill(file: &RegionFile) -> [(&'static str, Blocks); 2] {
    let mut writer = file.writer();
    let plain = writer.heap("plain").unwrap();
    let summed = writer.heap_with("summed", HeapOptions::new().checksums(true)).unwrap();
    let mut held = [("plain", Blocks::new()), ("summed", Blocks::new())];
    let mut ids = Vec::new();
    for seed in 0..PLAIN {
        let len = if seed == 33 { 300_000 } else { seed * seed % 47 };
        let content = bytes(seed, usize::try_from(len).unwrap());
        ids.push(plain.allocate_from(&mut writer, &content).unwrap());
        held[0].1.insert(seed, (content, 0));
        if seed == PLAIN / 2 {
            writer.commit().unwrap();
        }
    }
    for seed in 0..SUMMED {
        let content = bytes(seed, usize::try_from(seed * 100).unwrap());
        let id = summed.allocate_from(&mut writer, &content).unwrap();
        held[1].1.insert(seed, (content, 0));
        writer.set_root(&format!("summed ä {seed}"), id).unwrap();
    }
    for (nth, id) in (0..).zip(&ids) {
        if nth % 11 == 4 {
            plain.put(&mut writer, *id, &bytes(nth + 1, 60)).unwrap();
            plain.set_flags(&mut writer, *id, u32::MAX - 7).unwrap();
            held[0].1.insert(nth, (bytes(nth + 1, 60), u32::MAX - 7));
        }
    }
    writer.commit().unwrap();
    for (nth, id) in (0..).zip(&ids) {
        if nth % 7 == 3 {
            plain.free(&mut writer, *id).unwrap();
            held[0].1.remove(&nth);
        }
    }
    writer.set_root("first", ids[0]).unwrap();
    writer.commit().unwrap();
    held
}

/// What no commit has, and an open on another machine undoes.
fn spoil(file: &RegionFile) {
    let mut writer = file.writer();
    let plain = writer.heap("plain").unwrap();
    for seed in 0..100 {
        plain.allocate_from(&mut writer, &bytes(seed, 500)).unwrap();
    }
    let first = file.root("first").unwrap();
    plain.put(&mut writer, first, b"undone").unwrap();
    writer.remove_root("first").unwrap();
    writer.heap("undone").unwrap();
}

#[track_caller]
fn check(file: &RegionFile, expected: &[(&str, Blocks)]) {
    for (name, blocks) in expected {
        let heap = file.heap(name).unwrap();
        let pin = file.pin();
        let mut found = Blocks::new();
        for nth in 0..PLAIN + 99 {
            if let Some(id) = heap.nth(&pin, nth).unwrap() {
                let bytes = heap.get(&pin, id).unwrap().to_vec();
                found.insert(nth, (bytes, heap.flags(&pin, id).unwrap()));
            }
        }
        assert!(found == *blocks, "{name}");
        assert_eq!(contents(&heap).len(), blocks.len());
    }
    let first = file.root("first").unwrap();
    file.heap("plain").unwrap().read(first, |bytes| assert_eq!(bytes, b"")).unwrap();
    assert_eq!(file.stores(), ["plain", "summed"]);
    assert_eq!(file.roots().len(), 21);
    check_clean(file);
}

fn unpack(name: &str, to: &Path) {
    let packed = fs::read(testdata(name)).unwrap();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    fs::write(to, unpacked).unwrap();
}

#[rstest]
fn version_1_opens(#[values("closed", "unclean")] name: &str) {
    let expected = fill(&options().in_memory().unwrap());
    let scene = Scene::new();
    unpack(&format!("v1/{name}.pgs.gz"), &scene.path("file.pgs"));
    let file = options().open_read_only(scene.at("file.pgs")).unwrap();
    assert_eq!((file.version(), file.is_clean()), (1, name == "closed"));
    check(&file, &expected);
    drop(file);
    let file = scene.open();
    check(&file, &expected);
    let more = file.heap("more").unwrap();
    let id = more.allocate_from(&mut file.writer(), b"written by a later version").unwrap();
    drop(more);
    file.close().unwrap();
    let file = scene.open();
    let (more, pin) = (file.heap("more").unwrap(), file.pin());
    assert_eq!(more.get(&pin, id).unwrap(), b"written by a later version");
    assert_eq!(file.heap("plain").unwrap().blocks(&pin).count(), expected[0].1.len());
}

/// Writes the recorded files anew where the environment says so, after a change of version.
#[test]
fn files_are_recorded_as_they_are_checked() {
    let scene = Scene::new();
    let file = scene.create();
    let expected = fill(&file);
    check(&file, &expected);
    scene.copy("unclean.pgs");
    file.close().unwrap();
    let file = options().open(scene.at("unclean.pgs")).unwrap();
    spoil(&file);
    drop(file);
    if let Some(folder) = std::env::var_os("PAGESTONE_RECORD") {
        for (from, to) in [("file.pgs", "closed.pgs"), ("unclean.pgs", "unclean.pgs")] {
            fs::copy(scene.path(from), Path::new(&folder).join(to)).unwrap();
        }
    }
    // A copy is on another inode: what no commit has is undone, as after a power loss.
    fs::copy(scene.path("unclean.pgs"), scene.path("moved.pgs")).unwrap();
    check(&options().open(scene.at("moved.pgs")).unwrap(), &expected);
}
