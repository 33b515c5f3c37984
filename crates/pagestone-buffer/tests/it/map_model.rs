//! A map against one of the standard library, over changes, commits, discards, kills and reopens.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use std::collections::HashMap;

use pagestone_buffer::{Compact, EntryMap, MapError, Raw};
use pagestone_heap::RegionFile;
use proptest::prelude::*;

use crate::support::{Scene, check_clean, content};

type Bytes = EntryMap<[u8], [u8], Raw>;
type Model = HashMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
enum Op {
    Insert(u8, u16),
    Remove(u8),
    Take(u8),
    OrInsert(u8, u16),
    Batch(Vec<(u8, u16)>, bool),
    Retain(u8),
    Load(u8),
    Save,
    Commit,
    Discard,
    Compact,
    Close,
    Kill,
}

fn op() -> impl Strategy<Value = Op> {
    let pair = || (any::<u8>(), any::<u16>());
    prop_oneof![
        12 => pair().prop_map(|(key, value)| Op::Insert(key, value)),
        4 => any::<u8>().prop_map(Op::Remove),
        1 => any::<u8>().prop_map(Op::Take),
        2 => pair().prop_map(|(key, value)| Op::OrInsert(key, value)),
        2 => (proptest::collection::vec(pair(), 0..8), any::<bool>())
            .prop_map(|(pairs, whole)| Op::Batch(pairs, whole)),
        1 => any::<u8>().prop_map(Op::Retain),
        1 => any::<u8>().prop_map(Op::Load),
        2 => Just(Op::Save),
        2 => Just(Op::Commit),
        1 => Just(Op::Discard),
        1 => Just(Op::Compact),
        1 => Just(Op::Close),
        1 => Just(Op::Kill),
    ]
}

/// Keys of many lengths: none, the longest, and short ones that begin alike.
fn key_of(number: u8) -> Vec<u8> {
    match number {
        0 => Vec::new(),
        1 => vec![7; 65_535],
        2 => vec![7; 65_534],
        _ => vec![0; usize::from(number)],
    }
}

struct Session {
    scene: Scene,
    file: RegionFile,
    map: Bytes,
    now: Model,
    committed: Model,
}

impl Session {
    fn new() -> Self {
        let scene = Scene::new();
        let file = scene.create();
        let map = Bytes::open(&file, "map").unwrap();
        // Else a discard undoes the map itself.
        file.commit().unwrap();
        Self { scene, file, map, now: Model::new(), committed: Model::new() }
    }

    fn reopen(self, close: bool) -> Self {
        let Self { scene, file, map, now, mut committed } = self;
        drop(map);
        if close {
            file.close().unwrap();
            committed.clone_from(&now);
        } else {
            drop(file);
        }
        let file = scene.open();
        let map = Bytes::open(&file, "map").unwrap();
        Self { scene, file, map, now, committed }
    }

    fn batch(&mut self, pairs: &[(u8, u16)], whole: bool) {
        self.committed.clone_from(&self.now);
        let done = self.map.batch(&mut self.file.writer(), |writer| {
            for (key, value) in pairs {
                self.map.insert(writer, &key_of(*key), &content(u64::from(*value)))?;
            }
            if whole { Ok(()) } else { Err(MapError::Key("no".to_owned())) }
        });
        assert_eq!(done.is_ok(), whole);
        if whole {
            let pairs = pairs.iter().map(|(key, value)| (key_of(*key), content((*value).into())));
            self.now.extend(pairs);
            self.committed.clone_from(&self.now);
        }
    }

    fn run(mut self, op: &Op) -> Self {
        match op {
            Op::Insert(key, value) => {
                let (key, value) = (key_of(*key), content(u64::from(*value)));
                let had = self.map.insert(&mut self.file.writer(), &key, &value).unwrap();
                assert_eq!(had, self.now.insert(key, value).is_some());
            }
            Op::Remove(key) => {
                let had = self.map.remove(&mut self.file.writer(), &key_of(*key)).unwrap();
                assert_eq!(had, self.now.remove(&key_of(*key)).is_some());
            }
            Op::Take(key) => {
                let had = self.map.take(&mut self.file.writer(), &key_of(*key)).unwrap();
                assert_eq!(had, self.now.remove(&key_of(*key)));
            }
            Op::OrInsert(key, value) => {
                let (key, value) = (key_of(*key), content(u64::from(*value)));
                let mut writer = self.file.writer();
                let entry = self.map.entry(&mut writer, &key).unwrap();
                let entry = entry.and_modify(|value| value.push(9)).unwrap();
                let found = entry.or_insert(&value).unwrap().get().unwrap();
                let mine = self.now.entry(key).and_modify(|value| value.push(9)).or_insert(value);
                assert_eq!(&found, mine);
            }
            Op::Batch(pairs, whole) => self.batch(pairs, *whole),
            Op::Retain(most) => {
                let keep = |key: &[u8]| key.len() <= usize::from(*most) * 4;
                self.map.retain(&mut self.file.writer(), |key, _| keep(key)).unwrap();
                self.now.retain(|key, _| keep(key));
            }
            Op::Load(from) => {
                let keys: Vec<Vec<u8>> = (*from..=255).take(60).map(key_of).collect();
                let pairs = keys.iter().map(|key| (&key[..], &b"loaded"[..]));
                self.map.extend(&mut self.file.writer(), pairs).unwrap();
                self.now.extend(keys.iter().map(|key| (key.clone(), b"loaded".to_vec())));
            }
            Op::Save => self.map.save(&mut self.file.writer()).unwrap(),
            Op::Commit => {
                self.file.commit().unwrap();
                self.committed.clone_from(&self.now);
            }
            Op::Discard => {
                self.file.writer().discard().unwrap();
                self.now.clone_from(&self.committed);
            }
            Op::Compact => {
                self.map.buffer().compact(Compact::new()).unwrap();
                // It commits where it moved something; so that the model knows.
                self.file.commit().unwrap();
                self.committed.clone_from(&self.now);
            }
            Op::Close => self = self.reopen(true),
            Op::Kill => self = self.reopen(false),
        }
        self
    }

    fn check(&self) {
        assert_eq!(self.map.len().unwrap(), self.now.len());
        let pin = self.file.pin();
        let keys: Vec<Vec<u8>> = (0..=255).map(key_of).collect();
        let mut many = Vec::new();
        let each = |_, found: Result<Option<&[u8]>, _>| {
            many.push(found.unwrap().map(<[u8]>::to_vec));
        };
        self.map
            .get_many(&pin, &keys.iter().map(|key| &key[..]).collect::<Vec<_>>(), each)
            .unwrap();
        for (key, found) in keys.iter().zip(&many) {
            let expected = self.now.get(key);
            assert_eq!(found.as_ref(), expected, "get_many of {} bytes", key.len());
            let found = self.map.get_raw(&pin, key).unwrap();
            assert_eq!(found, expected.map(|value| &value[..]), "get of {} bytes", key.len());
        }
        let all: Model = self.map.iter(&pin).map(Result::unwrap).collect();
        assert_eq!(all, self.now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_map_is_one_of_the_standard_library(ops in proptest::collection::vec(op(), 1..60)) {
        let mut session = Session::new();
        for op in &ops {
            session = session.run(op);
            session.check();
        }
        check_clean(&session.file);
    }
}
