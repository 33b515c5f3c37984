//! Random operations against a map, ended by close, kill and power loss.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use std::{collections::BTreeMap, time::Duration};

use pagestone_heap::{BlockId, Heap, HeapOptions, RegionFile, Shrink};
use proptest::prelude::*;

use crate::support::{Scene, bytes, check_clean, contents, options};

#[derive(Debug, Clone)]
enum Op {
    Allocate(u64, usize),
    Put(usize, u64, usize),
    Modify(usize, u64),
    Resize(usize, usize),
    Free(usize),
    Root(usize),
    Commit,
    Discard,
    Close,
    Kill,
    PowerLoss,
    Verify,
    Steps(usize),
    Shrink,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..600_usize,
        3 => 600..20_000_usize,
        1 => 60_000..70_000_usize,
        1 => 250_000..300_000_usize,
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (any::<u64>(), len()).prop_map(|(seed, len)| Op::Allocate(seed, len)),
        6 => (any::<usize>(), any::<u64>(), len()).prop_map(|(at, seed, len)| Op::Put(at, seed, len)),
        2 => (any::<usize>(), any::<u64>()).prop_map(|(at, seed)| Op::Modify(at, seed)),
        2 => (any::<usize>(), len()).prop_map(|(at, len)| Op::Resize(at, len)),
        9 => any::<usize>().prop_map(Op::Free),
        1 => any::<usize>().prop_map(Op::Root),
        3 => Just(Op::Commit),
        1 => Just(Op::Discard),
        1 => Just(Op::Close),
        1 => Just(Op::Kill),
        1 => Just(Op::PowerLoss),
        1 => Just(Op::Verify),
        3 => (1..6_usize).prop_map(Op::Steps),
        1 => Just(Op::Shrink),
    ]
}

type State = (BTreeMap<BlockId, Vec<u8>>, Option<BlockId>);

struct Run {
    scene: Scene,
    open: Option<(RegionFile, Heap)>,
    newest: State,
    committed: State,
    copies: u32,
    name: String,
}

impl Run {
    fn new() -> Self {
        let scene = Scene::new();
        let file = scene.create();
        let heap = file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap();
        file.commit().unwrap();
        let name = "file.pgs".to_owned();
        let empty = State::default();
        Self {
            scene,
            open: Some((file, heap)),
            newest: empty.clone(),
            committed: empty,
            copies: 0,
            name,
        }
    }

    fn pick(&self, at: usize) -> Option<BlockId> {
        let count = self.newest.0.len();
        (count != 0).then(|| *self.newest.0.keys().nth(at % count).unwrap())
    }

    fn reopen(&mut self) {
        let file = options().open(self.scene.at(&self.name)).unwrap();
        let heap = file.heap("blocks").unwrap();
        self.open = Some((file, heap));
    }

    fn apply(&mut self, op: &Op) {
        let (file, heap) = self.open.clone().unwrap();
        let mut writer = file.writer();
        match op {
            Op::Allocate(seed, len) => {
                let id = heap.allocate_from(&mut writer, &bytes(*seed, *len)).unwrap();
                assert!(self.newest.0.insert(id, bytes(*seed, *len)).is_none(), "{id} twice");
            }
            Op::Put(at, seed, len) => {
                if let Some(id) = self.pick(*at) {
                    heap.put(&mut writer, id, &bytes(*seed, *len)).unwrap();
                    self.newest.0.insert(id, bytes(*seed, *len));
                }
            }
            Op::Modify(at, seed) => {
                if let Some(id) = self.pick(*at) {
                    let mask = seed.to_le_bytes()[0];
                    let change = |bytes: &mut [u8]| {
                        for byte in bytes {
                            *byte ^= mask;
                        }
                    };
                    heap.modify(&mut writer, id, change).unwrap();
                    change(self.newest.0.get_mut(&id).unwrap());
                }
            }
            Op::Resize(at, len) => {
                if let Some(id) = self.pick(*at) {
                    heap.resize(&mut writer, id, *len).unwrap();
                    self.newest.0.get_mut(&id).unwrap().resize(*len, 0);
                }
            }
            Op::Free(at) => {
                if let Some(id) = self.pick(*at) {
                    heap.free(&mut writer, id).unwrap();
                    self.newest.0.remove(&id);
                }
            }
            Op::Root(at) => {
                if let Some(id) = self.pick(*at) {
                    writer.set_root("root", id).unwrap();
                    self.newest.1 = Some(id);
                }
            }
            Op::Commit => {
                writer.commit().unwrap();
                self.committed = self.newest.clone();
            }
            Op::Discard => {
                writer.discard().unwrap();
                self.newest = self.committed.clone();
            }
            Op::Verify => {
                drop(writer);
                check_clean(&file);
            }
            Op::Steps(_) | Op::Shrink => {
                drop(writer);
                self.shrink(op, &file);
            }
            Op::Close | Op::Kill | Op::PowerLoss => {
                drop((writer, heap));
                self.open = None;
                self.end(op, file);
                self.reopen();
            }
        }
        self.check();
    }

    fn shrink(&mut self, op: &Op, file: &RegionFile) {
        let before = file.stats().file_len;
        if let Op::Steps(count) = op {
            for _ in 0..*count {
                file.shrink_step(Duration::ZERO).unwrap();
            }
        } else {
            let after = file.shrink(Shrink::new()).unwrap().file_len;
            assert!(after <= before, "{before} bytes became {after}");
            self.committed = self.newest.clone();
        }
        check_clean(file);
    }

    fn end(&mut self, op: &Op, file: RegionFile) {
        match op {
            Op::Close => {
                file.close().unwrap();
                self.committed = self.newest.clone();
            }
            Op::PowerLoss => {
                drop(file);
                self.copies += 1;
                let to = format!("copy{}", self.copies);
                std::fs::copy(self.scene.path(&self.name), self.scene.path(&to)).unwrap();
                std::fs::remove_file(self.scene.path(&self.name)).unwrap();
                self.name = to;
                self.newest = self.committed.clone();
            }
            _ => drop(file),
        }
    }

    fn check(&self) {
        let (file, heap) = self.open.as_ref().unwrap();
        let found = contents(heap);
        assert_eq!(found.keys().collect::<Vec<_>>(), self.newest.0.keys().collect::<Vec<_>>());
        assert!(found == self.newest.0, "contents differ");
        assert_eq!(file.root("root"), self.newest.1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_heap_is_a_map_with_commits(ops in proptest::collection::vec(op(), 1..120)) {
        let mut run = Run::new();
        for op in &ops {
            run.apply(op);
        }
        let (file, _) = run.open.take().unwrap();
        check_clean(&file);
    }
}
