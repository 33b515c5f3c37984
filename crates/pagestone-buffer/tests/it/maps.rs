//! Maps: keys to values, across changes, discards, reopens and codecs.

use std::collections::BTreeMap;

use pagestone_buffer::{Compact, EntryMap, Json, MapError, Postcard, Raw, Serde};
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
    let all = map.entries(&pin).unwrap().collect::<Result<BTreeMap<_, _>, _>>().unwrap();
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
    assert!(map.contains("first").unwrap() && !map.is_empty().unwrap());
    // What the codec cannot read is an error with its key, and the rest stays.
    let raw = EntryMap::<str, [u8], Raw>::open(file, name).unwrap();
    raw.insert(&mut file.writer(), "broken", &[0xff; 3]).unwrap();
    map.refresh().unwrap();
    let error = map.get("broken").unwrap_err();
    assert!(matches!(&error, MapError::Value(bad) if bad.key == "\"broken\""), "{error}");
    let pin = file.pin();
    let good = map.entries(&pin).unwrap().flatten().count();
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
    assert_eq!(pairs.entries(&pin).unwrap().next().unwrap().unwrap(), (key, 77));
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
