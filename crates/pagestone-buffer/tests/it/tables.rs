//! The tables of maps in the file: used as they lie, stale, damaged, beside a writer.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use pagestone_buffer::{Buffers, Compact, EntryMap, Raw};
use pagestone_heap::RegionFile;

use crate::support::{Scene, check_clean, content, mix, options};

type Bytes = EntryMap<u64, [u8], Raw>;

fn value_of(key: u64) -> Vec<u8> {
    content(key * 7)
}

/// A file that was closed, with a map of so many keys whose table was saved.
fn saved(keys: u64) -> Scene {
    let scene = Scene::new();
    let file = scene.create();
    let map = Bytes::open(&file, "map").unwrap();
    let mut writer = file.writer();
    for key in 0..keys {
        map.insert(&mut writer, &key, &value_of(key)).unwrap();
    }
    drop(writer);
    map.close().unwrap();
    file.close().unwrap();
    scene
}

#[track_caller]
fn check(map: &Bytes, keys: std::ops::Range<u64>) {
    assert_eq!(map.len().unwrap() as u64, keys.end - keys.start);
    for key in keys.start.saturating_sub(20)..keys.end + 20 {
        let expected = keys.contains(&key).then(|| value_of(key));
        assert_eq!(map.get(&key).unwrap(), expected, "{key}");
    }
}

/// Changes one byte of a file that nobody has open.
fn change(scene: &Scene, at: u64, change: impl FnOnce(u8) -> u8) {
    let path = scene.at("file.pgs").path().to_path_buf();
    let mut bytes = fs::read(&path).unwrap();
    let at = usize::try_from(at).unwrap();
    bytes[at] = change(bytes[at]);
    fs::write(&path, bytes).unwrap();
}

/// Where the bytes of the entry of a key lie.
fn place_of(scene: &Scene, key: u64) -> u64 {
    let file = scene.open();
    let buffer = file.buffer("map").unwrap();
    let pin = file.pin();
    let of_key = |id| {
        let entry = buffer.get(&pin, id).unwrap();
        entry[2..10] == key.to_le_bytes()
    };
    let id = buffer.ids(&pin).find(|id| of_key(*id)).unwrap();
    buffer.header(&pin, id).unwrap().offset + 32
}

#[test]
fn a_saved_table_is_used_as_it_lies() {
    let scene = saved(3_000);
    // The table does not know what a key became behind its back; the entry is compared.
    let at = place_of(&scene, 5);
    change(&scene, at + 2 + 3, |_| 1);
    let other = 5 + (1 << 24);
    let file = scene.open();
    let map = Bytes::open(&file, "map").unwrap();
    assert_eq!((map.get(&5).unwrap(), map.get(&other).unwrap()), (None, None));
    let pin = file.pin();
    assert!(map.keys(&pin).any(|key| key.unwrap() == other));
    // Made anew it does.
    map.refresh().unwrap();
    assert_eq!(map.get(&other).unwrap(), Some(value_of(5)));
}

#[test]
fn a_table_is_used_over_and_over_and_changed_in_memory() {
    let scene = saved(2_000);
    for round in 0..3 {
        let file = scene.open();
        let map = Bytes::open(&file, "map").unwrap();
        let from = 100 * round;
        check(&map, from..2_000);
        let mut writer = file.writer();
        map.save(&mut writer).unwrap();
        for key in from..from + 100 {
            assert!(map.remove(&mut writer, &key).unwrap());
        }
        drop(writer);
        check(&map, from + 100..2_000);
        map.close().unwrap();
        check_clean(&file);
        file.close().unwrap();
    }
}

/// Opens the file, does something without a save, and closes it or not.
#[track_caller]
fn check_stale(use_it: impl Fn(&RegionFile), keys: std::ops::Range<u64>) {
    for close in [true, false] {
        let scene = saved(500);
        let file = scene.open();
        use_it(&file);
        if close {
            file.close().unwrap();
        } else {
            drop(file);
        }
        let file = scene.open();
        let map = Bytes::open(&file, "map").unwrap();
        check(&map, keys.clone());
    }
}

#[test]
fn a_table_is_stale_after_any_change() {
    check_stale(
        |file| {
            let map = Bytes::open(file, "map").unwrap();
            map.insert(&mut file.writer(), &500, &value_of(500)).unwrap();
        },
        0..501,
    );
    check_stale(
        |file| {
            let map = Bytes::open(file, "map").unwrap();
            map.remove(&mut file.writer(), &0).unwrap();
        },
        1..500,
    );
    // By id, without the map.
    check_stale(
        |file| {
            let buffer = file.buffer("map").unwrap();
            let of_last = |id: &_| buffer.read(*id).unwrap()[2..10] == 499_u64.to_le_bytes();
            let id = buffer.ids(&file.pin()).find(of_last).unwrap();
            buffer.remove(&mut file.writer(), id).unwrap();
        },
        0..499,
    );
    // Moved, committed, undone.
    check_stale(
        |file| {
            file.buffer("map").unwrap().compact(Compact::new()).unwrap();
        },
        0..500,
    );
    check_stale(
        |file| {
            let map = Bytes::open(file, "map").unwrap();
            let mut writer = file.writer();
            map.insert(&mut writer, &500, b"never there").unwrap();
            map.save(&mut writer).unwrap();
            writer.discard().unwrap();
            drop(writer);
            check(&map, 0..500);
            map.insert(&mut file.writer(), &500, &value_of(500)).unwrap();
        },
        0..501,
    );
}

#[test]
fn a_save_leaves_one_table_for_each_map() {
    let scene = saved(100);
    let file = scene.open();
    let other = Bytes::open(&file, "other").unwrap();
    let map = Bytes::open(&file, "map").unwrap();
    let tables = file.heap("pagestone.tables").unwrap();
    let mut writer = file.writer();
    // As a kill inside a save leaves it.
    tables.allocate_from(&mut writer, b"nobody's").unwrap();
    other.insert(&mut writer, &1, b"one").unwrap();
    other.save(&mut writer).unwrap();
    map.insert(&mut writer, &100, &value_of(100)).unwrap();
    map.save(&mut writer).unwrap();
    drop(writer);
    let named: BTreeSet<_> = file.roots().into_iter().map(|(_, id)| id).collect();
    let all: BTreeSet<_> = tables.blocks(&file.pin()).map(|block| block.unwrap().0).collect();
    assert_eq!((all.len(), all), (2, named));
}

#[test]
fn a_dense_copy_has_the_map() {
    let scene = saved(600);
    let file = scene.open();
    let map = Bytes::open(&file, "map").unwrap();
    map.remove(&mut file.writer(), &0).unwrap();
    file.commit().unwrap();
    file.copy_compact(scene.at("dense.pgs"), &options()).unwrap();
    let dense = options().open(scene.at("dense.pgs")).unwrap();
    check(&Bytes::open(&dense, "map").unwrap(), 1..600);
}

#[test]
fn a_damaged_table_is_made_anew() {
    let scene = saved(400);
    let path = scene.at("file.pgs").path().to_path_buf();
    let (start, len) = {
        let file = scene.open();
        let tables = file.heap("pagestone.tables").unwrap();
        let id = file.root("pagestone.tables/map").unwrap();
        let pin = file.pin();
        (tables.offset(&pin, id).unwrap(), tables.len(&pin, id).unwrap())
    };
    let good = fs::read(&path).unwrap();
    let mut bytes = good.clone();
    for bit in (0..len * 8).step_by(211) {
        let at = usize::try_from(start + bit / 8).unwrap();
        bytes[at] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let file = scene.open();
        let map = Bytes::open(&file, "map").unwrap();
        if bit.is_multiple_of(2) {
            map.remove(&mut file.writer(), &399).unwrap();
            map.insert(&mut file.writer(), &399, &value_of(399)).unwrap();
        }
        check(&map, 0..400);
        bytes[at] = good[at];
    }
}

#[test]
fn a_damaged_entry_hides_no_other() {
    let scene = saved(300);
    let at = place_of(&scene, 7);
    change(&scene, at + 1, |_| 0xff);
    // Without its table: the key of the entry cannot be read any more.
    let file = scene.open();
    let map = Bytes::open(&file, "map").unwrap();
    map.refresh().unwrap();
    assert_eq!((map.unreadable(), map.len().unwrap()), (1, 299));
    for key in (0..300).filter(|key| *key != 7) {
        assert_eq!(map.get(&key).unwrap(), Some(value_of(key)));
    }
    assert_eq!(map.get(&7).unwrap(), None);
    let pin = file.pin();
    assert_eq!(map.iter(&pin).filter(Result::is_err).count(), 1);
}

#[test]
fn a_buffer_of_other_entries_is_no_map() {
    let file = options().in_memory().unwrap();
    let buffer = file.buffer("buffer").unwrap();
    buffer.add(&mut file.writer(), &[0xff]).unwrap();
    assert!(Bytes::open(&file, "buffer").is_err());
}

#[test]
fn maps_of_one_name_follow_each_other() {
    let file = options().in_memory().unwrap();
    let (one, two) = (Bytes::open(&file, "map").unwrap(), Bytes::open(&file, "map").unwrap());
    let third = one.clone();
    for key in 0..50 {
        let map = if key % 2 == 0 { &one } else { &two };
        assert!(!map.insert(&mut file.writer(), &key, &value_of(key)).unwrap());
        for map in [&one, &two, &third] {
            check(map, 0..key + 1);
        }
    }
}

#[test]
fn a_follower_reads_beside_the_writer() {
    let scene = saved(1_000);
    let file = scene.open();
    let map = Bytes::open(&file, "map").unwrap();
    let reading = options().open_read_only(scene.at("file.pgs")).unwrap();
    let seen = Bytes::open(&reading, "map").unwrap();
    check(&seen, 0..1_000);
    for round in 1..=3 {
        let mut writer = file.writer();
        for key in 1_000 * round..1_000 * round + 1_000 {
            map.insert(&mut writer, &key, &value_of(key)).unwrap();
        }
        map.save(&mut writer).unwrap();
        // What is not committed is not there.
        seen.refresh().unwrap();
        check(&seen, 0..1_000 * round);
        writer.commit().unwrap();
        drop(writer);
        // The table that it began with is gone; what it knew is found all the same.
        assert_eq!(seen.get(&17).unwrap(), Some(value_of(17)));
        seen.refresh().unwrap();
        check(&seen, 0..1_000 * round + 1_000);
        // One that comes now finds the table that was saved.
        check(&Bytes::open(&reading, "map").unwrap(), 0..1_000 * round + 1_000);
    }
    assert!(seen.insert(&mut reading.writer(), &1, b"no").is_err());
    assert_eq!(seen.get(&1).unwrap(), Some(value_of(1)));
}

#[test]
fn readers_find_what_stays_beside_a_writer() {
    let scene = saved(1_000);
    let file = scene.open();
    let map = Bytes::open(&file, "map").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (map, file, done) = (&map, &file, &done);
            scope.spawn(move || {
                let mut round = seed;
                while !done.load(Ordering::Acquire) {
                    round += 2;
                    let key = mix(round) % 1_000;
                    let pin = file.pin();
                    let found = map.get_raw(&pin, &key).unwrap();
                    assert_eq!(found, Some(&value_of(key)[..]), "{key}");
                    let keys = [key, 5_000_000, (key + 1) % 1_000];
                    let mut hits = 0;
                    map.get_many(&pin, &keys, |_, found| {
                        hits += usize::from(found.unwrap().is_some());
                    })
                    .unwrap();
                    assert_eq!(hits, 2);
                }
            });
        }
        let mut there = BTreeSet::new();
        for round in 0..12_000 {
            let key = 1_000 + mix(round) % 3_000;
            let mut writer = file.writer();
            if there.remove(&key) {
                assert!(map.remove(&mut writer, &key).unwrap());
            } else {
                assert!(!map.insert(&mut writer, &key, b"comes and goes").unwrap());
                there.insert(key);
            }
            if round % 4_000 == 0 {
                map.save(&mut writer).unwrap();
            }
        }
        done.store(true, Ordering::Release);
    });
}
