//! Maps: keys to values, across changes, discards, reopens and codecs.

use std::collections::BTreeMap;

use pagestone_buffer::{Compact, Entry, EntryMap, Json, MapError, Postcard, Raw, Serde};
use pagestone_heap::RegionFile;
use serde::{Deserialize, Serialize};

use crate::support::{Scene, content, mix, options};

type Bytes = EntryMap<u64, [u8], Raw>;

fn check(map: &Bytes, expected: &BTreeMap<u64, Vec<u8>>) {
    assert_eq!(map.len().unwrap(), expected.len());
    for key in 0..600 {
        assert_eq!(map.get(&key).unwrap().as_ref(), expected.get(&key), "{key}");
    }
    let pin = map.buffer().file().pin();
    let all = map.iter(&pin).collect::<Result<BTreeMap<_, _>, _>>().unwrap();
    assert_eq!(&all, expected);
}

#[test]
fn a_map_is_a_map() {
    let scene = Scene::new();
    let mut file = scene.create();
    let mut map = Bytes::open(&file, "map").unwrap();
    // Else a discard undoes the map itself.
    file.commit().unwrap();
    let mut now = BTreeMap::new();
    let mut committed = BTreeMap::new();
    for round in 0..60_u64 {
        let mut writer = file.writer();
        for nth in 0..80 {
            let dice = mix(round << 8 | nth);
            let key = dice % 500;
            if (dice >> 32).is_multiple_of(4) {
                assert_eq!(map.remove(&mut writer, &key).unwrap(), now.remove(&key).is_some());
            } else {
                let had = now.insert(key, content(dice)).is_some();
                assert_eq!(map.insert(&mut writer, &key, &content(dice)).unwrap(), had);
            }
        }
        drop(writer);
        match mix(round) % 5 {
            0 => {
                file.writer().discard().unwrap();
                now = committed.clone();
            }
            1 => {
                drop((map, file));
                file = scene.open();
                map = Bytes::open(&file, "map").unwrap();
            }
            2 => drop(map.buffer().compact(Compact::new()).unwrap()),
            _ => {}
        }
        if mix(round) % 5 > 1 {
            file.commit().unwrap();
            committed = now.clone();
        }
        check(&map, &now);
    }
    map.retain(&mut file.writer(), |key, _| key[0] % 2 == 0).unwrap();
    now.retain(|key, _| key % 2 == 0);
    check(&map, &now);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    stars: u8,
    text: String,
}

fn values<C: pagestone_buffer::Codec<Note, Owned = Note>>(file: &RegionFile, name: &str) {
    let map = EntryMap::<str, Note, C>::open(file, name).unwrap();
    let note = Note { stars: 5, text: "good".to_owned() };
    map.insert(&mut file.writer(), "first", &note).unwrap();
    assert_eq!(map.get("first").unwrap(), Some(note));
    assert_eq!(map.get("second").unwrap(), None);
    assert!(map.contains_key("first").unwrap() && !map.is_empty().unwrap());
    // What the codec cannot read is an error with its key, and the rest stays.
    let raw = EntryMap::<str, [u8], Raw>::open(file, name).unwrap();
    raw.insert(&mut file.writer(), "broken", &[0xff; 3]).unwrap();
    map.refresh().unwrap();
    let error = map.get("broken").unwrap_err();
    assert!(matches!(&error, MapError::Value(bad) if bad.key == "\"broken\""), "{error}");
    let pin = file.pin();
    let good = map.iter(&pin).flatten().count();
    assert_eq!(good, 1);
}

#[test]
fn values_have_codecs() {
    let file = options().in_memory().unwrap();
    values::<Postcard>(&file, "postcard");
    values::<Json>(&file, "json");
    let text = EntryMap::<[u8], str, Raw>::open(&file, "text").unwrap();
    text.extend(&mut file.writer(), [(&b"a"[..], "x"), (&b""[..], "")]).unwrap();
    assert_eq!(text.get(b"a").unwrap().as_deref(), Some("x"));
    assert_eq!(text.get(b"").unwrap().as_deref(), Some(""));
    let pairs = EntryMap::<Serde<(u32, String)>, u64>::open(&file, "pairs").unwrap();
    let key = Serde((7, "seven".to_owned()));
    pairs.insert(&mut file.writer(), &key, &77).unwrap();
    assert_eq!(pairs.get(&key).unwrap(), Some(77));
    let pin = file.pin();
    assert_eq!(pairs.iter(&pin).next().unwrap().unwrap(), (key, 77));
    let long = vec![0; 65_536];
    assert!(matches!(text.insert(&mut file.writer(), &long, ""), Err(MapError::Key(_))));
}

#[test]
fn a_map_of_another_process_is_read_anew() {
    let scene = Scene::new();
    let file = scene.create();
    let map = Bytes::open(&file, "map").unwrap();
    map.insert(&mut file.writer(), &1, b"one").unwrap();
    file.commit().unwrap();
    let reading = options().open_read_only(scene.at("file.pgs")).unwrap();
    let seen = Bytes::open(&reading, "map").unwrap();
    assert_eq!(seen.get(&1).unwrap().unwrap(), b"one");
    map.insert(&mut file.writer(), &2, b"two").unwrap();
    file.commit().unwrap();
    seen.refresh().unwrap();
    assert_eq!(seen.get(&2).unwrap().unwrap(), b"two");
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Secret(u32);

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("secret"))
    }
}

#[test]
fn a_key_without_bytes_is_refused() {
    let file = options().in_memory().unwrap();
    let map = EntryMap::<Serde<Secret>, u64>::open(&file, "map").unwrap();
    for number in 0..2 {
        let refused = map.insert(&mut file.writer(), &Serde(Secret(number)), &7);
        assert!(matches!(refused, Err(MapError::Key(_))), "{refused:?}");
    }
    assert!(map.is_empty().unwrap());
}

#[test]
fn integers_of_all_widths_are_keys() {
    fn check<K: pagestone_buffer::Key<Owned = K> + PartialEq + std::fmt::Debug>(keys: &[K; 3]) {
        let file = options().in_memory().unwrap();
        let map = EntryMap::<K, u8>::open(&file, "map").unwrap();
        for (key, value) in keys.iter().zip(0..) {
            assert!(!map.insert(&mut file.writer(), key, &value).unwrap());
        }
        for (key, value) in keys.iter().zip(0..) {
            assert_eq!(map.get(key).unwrap(), Some(value), "{key:?}");
        }
        let pin = file.pin();
        let found: Vec<K> = map.keys(&pin).map(Result::unwrap).collect();
        assert_eq!(found[..], keys[..]);
        assert_eq!(map.values(&pin).map(Result::unwrap).sum::<u8>(), 3);
    }
    check(&[0_u8, 1, u8::MAX]);
    check(&[0_u16, 1, u16::MAX]);
    check(&[0_u32, 1, u32::MAX]);
    check(&[0_u64, 1, u64::MAX]);
    check(&[0_u128, 1 << 64, u128::MAX]);
    check(&[0_i8, i8::MIN, i8::MAX]);
    check(&[0_i16, i16::MIN, i16::MAX]);
    check(&[0_i32, i32::MIN, i32::MAX]);
    check(&[0_i64, i64::MIN, i64::MAX]);
    check(&[0_i128, i128::MIN, i128::MAX]);
    check(&[Serde((0, String::new())), Serde((1, String::new())), Serde((0, "x".repeat(1_000)))]);
}

#[test]
fn an_entry_is_looked_at_and_changed() {
    let file = options().in_memory().unwrap();
    let map = EntryMap::<str, u32>::open(&file, "map").unwrap();
    let mut writer = file.writer();
    let made = map.entry(&mut writer, "a").unwrap().or_insert_with(|| 1).unwrap();
    assert_eq!(made.get().unwrap(), 1);
    made.remove().unwrap();
    assert!(!map.contains_key("a").unwrap());
    match map.entry(&mut writer, "a").unwrap() {
        Entry::Vacant(vacant) => {
            let mut occupied = vacant.insert(&2).unwrap();
            occupied.insert(&3).unwrap();
            assert_eq!(occupied.get().unwrap(), 3);
        }
        Entry::Occupied(_) => panic!("it was removed"),
    }
    map.entry(&mut writer, "a").unwrap().and_modify(|value| *value *= 2).unwrap();
    map.entry(&mut writer, "b").unwrap().and_modify(|value| *value *= 2).unwrap();
    assert_eq!((map.get("a").unwrap(), map.take(&mut writer, "b").unwrap()), (Some(6), None));
    assert_eq!((map.take(&mut writer, "a").unwrap(), map.is_empty().unwrap()), (Some(6), true));
    let long = "x".repeat(65_536);
    assert!(matches!(map.entry(&mut writer, &long), Err(MapError::Key(_))));
}

#[test]
fn a_batch_is_done_or_not() {
    let scene = Scene::new();
    let file = scene.create();
    let map = EntryMap::<str, u32>::open(&file, "map").unwrap();
    map.insert(&mut file.writer(), "before", &1).unwrap();
    let refused = map.batch(&mut file.writer(), |writer| {
        map.insert(writer, "before", &2)?;
        map.insert(writer, "new", &2)?;
        Err::<(), _>(MapError::Key("no".to_owned()))
    });
    assert!(refused.is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        map.batch(&mut file.writer(), |writer| {
            map.remove(writer, "before")?;
            if map.is_empty()? { panic!("in the middle") } else { Ok(()) }
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((map.get("before").unwrap(), map.len().unwrap()), (Some(1), 1));
    map.batch(&mut file.writer(), |writer| {
        map.insert(writer, "new", &3)?;
        map.remove(writer, "before")
    })
    .unwrap();
    file.writer().discard().unwrap();
    assert_eq!((map.get("new").unwrap(), map.len().unwrap()), (Some(3), 1));
    assert_eq!(file.roots(), []);
}

#[test]
fn a_batch_that_was_killed_is_undone() {
    let scene = Scene::new();
    let file = scene.create();
    let map = EntryMap::<str, u32>::open(&file, "map").unwrap();
    map.insert(&mut file.writer(), "before", &1).unwrap();
    let path = file.path().to_path_buf();
    let mut killed = Vec::new();
    map.batch(&mut file.writer(), |writer| {
        map.insert(writer, "before", &2)?;
        map.insert(writer, "new", &2)?;
        // What a kill leaves is what the file is at this moment.
        killed = std::fs::read(&path).unwrap();
        Ok(())
    })
    .unwrap();
    assert_eq!(map.get("new").unwrap(), Some(2));
    drop((map, file));
    std::fs::write(&path, &killed).unwrap();
    let file = scene.open();
    assert_eq!(file.roots().len(), 1, "as after a kill, not as after power loss");
    let map = EntryMap::<str, u32>::open(&file, "map").unwrap();
    assert_eq!((map.get("before").unwrap(), map.get("new").unwrap()), (Some(1), None));
    assert_eq!((file.roots(), map.len().unwrap()), (Vec::new(), 1));
    map.insert(&mut file.writer(), "new", &4).unwrap();
    file.commit().unwrap();
    assert_eq!(map.get("new").unwrap(), Some(4));
}
