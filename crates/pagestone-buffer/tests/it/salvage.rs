//! Buffers and maps from the segments of a damaged file.

use std::{collections::BTreeMap, fs};

use pagestone_buffer::{
    Buffers, Compact, EntryBuffer, EntryId, EntryMap, Salvage, Salvaged, salvage,
};
use pagestone_heap::RegionFile;

use crate::support::{Scene, check_clean, content, mix, options};

fn contents(buffer: &EntryBuffer) -> BTreeMap<EntryId, Vec<u8>> {
    let pin = buffer.file().pin();
    buffer.ids(&pin).map(|id| (id, buffer.get(&pin, id).unwrap().to_vec())).collect()
}

/// Salvages `file.pgs` after its first `damaged` bytes were overwritten.
fn salvaged(scene: &Scene, damaged: usize) -> (Salvaged, RegionFile) {
    let path = scene.at("file.pgs").path().to_path_buf();
    let mut bytes = fs::read(&path).unwrap();
    bytes[..damaged].fill(0xee);
    fs::write(path, bytes).unwrap();
    fs::remove_file(scene.at("new.pgs").path()).ok();
    let made = Salvage::new().file_options(options());
    let report = salvage(scene.at("file.pgs"), scene.at("new.pgs"), made).unwrap();
    let file = options().open(scene.at("new.pgs")).unwrap();
    check_clean(&file);
    (report, file)
}

#[test]
fn a_compacted_buffer_comes_back_and_nothing_more() {
    let scene = Scene::new();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let mut ids = Vec::new();
    let mut removed = Vec::new();
    for round in 0..6 {
        let mut writer = file.writer();
        buffer.add_many(&mut writer, (0..3000).map(content), &mut ids).unwrap();
        for nth in 0..4000 {
            let place = usize::try_from(mix(round << 32 | nth)).unwrap() % ids.len();
            if nth % 2 == 0 {
                buffer.update(&mut writer, ids[place], &content(nth)).unwrap();
            } else {
                let id = ids.swap_remove(place);
                buffer.remove(&mut writer, id).unwrap();
                removed.push(id);
            }
        }
        drop(writer);
        file.commit().unwrap();
        buffer.compact(Compact::new()).unwrap();
    }
    let expected = contents(&buffer);
    drop(buffer);
    file.close().unwrap();
    // Without superblocks; then without the directory too.
    for damaged in [8192, 2 << 16] {
        let (report, new) = salvaged(&scene, damaged);
        let again = new.buffer(&report.logs[0].name).unwrap();
        assert!(contents(&again) == expected, "{damaged}");
        let mut fresh = Vec::new();
        let many = std::iter::repeat_n(b"fresh", removed.len() + 10);
        again.add_many(&mut new.writer(), many, &mut fresh).unwrap();
        assert!(fresh.iter().all(|id| !expected.contains_key(id) && !removed.contains(id)));
    }
}

#[test]
fn a_map_comes_back_with_its_buffer() {
    let scene = Scene::new();
    let file = scene.create();
    let map: EntryMap<str, u64> = EntryMap::open(&file, "stars").unwrap();
    let mut writer = file.writer();
    for nth in 0..500_u64 {
        map.insert(&mut writer, &format!("key {nth}"), &nth).unwrap();
    }
    map.insert(&mut writer, "key 7", &70).unwrap();
    map.remove(&mut writer, "key 8").unwrap();
    drop((writer, map));
    file.close().unwrap();
    let (report, new) = salvaged(&scene, 8192);
    assert_eq!((report.entries, report.removed), (499, 1));
    let map: EntryMap<str, u64> = EntryMap::open(&new, "stars").unwrap();
    assert_eq!(map.get("key 7").unwrap(), Some(70));
    assert_eq!(map.get("key 8").unwrap(), None);
    assert_eq!(map.get("key 499").unwrap(), Some(499));
}

#[test]
fn a_file_that_is_open_for_reading_counts_its_segments() {
    let scene = Scene::new();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let mut ids = Vec::new();
    buffer.add_many(&mut file.writer(), (0..9000).map(content), &mut ids).unwrap();
    buffer.remove(&mut file.writer(), ids[3]).unwrap();
    file.commit().unwrap();
    let counted = buffer.counters(&mut file.writer()).unwrap();
    // What is not committed does not count there, beside the writer and after a kill.
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let check = || {
        let seen = reader.buffer("buffer").unwrap();
        assert_eq!(seen.counters(&mut reader.writer()).unwrap(), counted);
    };
    check();
    buffer.add(&mut file.writer(), b"more").unwrap();
    buffer.update(&mut file.writer(), ids[0], b"less").unwrap();
    check();
    drop((buffer, file));
    check();
    assert!(1 < counted.segments && 0.0 < counted.garbage_share());
}
