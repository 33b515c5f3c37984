//! Random operations on a storage and on a `Vec`, compared after each.

use pagestone_storage::{
    Backing::{self, File, Map, Memory},
    Field, Kind, Storage,
};
use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use crate::support::{Dir, Pair, options, pair};

const KEY: Field = Field::new(0, Kind::U64);

#[derive(Debug, Clone)]
enum Op {
    Append(Vec<u64>),
    Set(usize, u64),
    Swap(usize, usize),
    SwapRanges(usize, usize, usize),
    Truncate(usize),
    Sort,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => vec(0u64..50, 0..40).prop_map(Op::Append),
        2 => (any::<usize>(), 0u64..50).prop_map(|(index, key)| Op::Set(index, key)),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(left, right)| Op::Swap(left, right)),
        2 => (0usize..60, 0usize..60, 0usize..20).prop_map(|(a, b, n)| Op::SwapRanges(a, b, n)),
        1 => (0usize..80).prop_map(Op::Truncate),
        1 => Just(Op::Sort),
        1 => Just(Op::Reopen),
    ]
}

struct Run {
    backing: Backing,
    dir: Dir,
    storage: Option<Storage<Pair>>,
    model: Vec<Pair>,
}

impl Run {
    fn apply(&mut self, op: &Op) {
        let len = self.model.len();
        let storage = self.storage.as_mut().unwrap();
        match op {
            Op::Append(keys) => {
                let pairs: Vec<Pair> =
                    keys.iter().zip(0..).map(|(&key, place)| pair(key, place)).collect();
                storage.append(&pairs).unwrap();
                self.model.extend(pairs);
            }
            Op::Set(index, key) if 0 < len => {
                storage.set((index % len) as u64, &pair(*key, 0)).unwrap();
                self.model[index % len] = pair(*key, 0);
            }
            Op::Swap(left, right) if 0 < len => {
                storage.swap((left % len) as u64, (right % len) as u64).unwrap();
                self.model.swap(left % len, right % len);
            }
            Op::SwapRanges(left, right, count) => {
                let fits = left.max(right) + count <= len;
                let apart = left == right || left.min(right) + count <= *left.max(right);
                let swapped = storage.swap_ranges(*left as u64, *right as u64, *count as u64);
                assert_eq!(swapped.is_ok(), fits && (apart || *count == 0));
                if swapped.is_ok() && left != right {
                    (0..*count).for_each(|step| self.model.swap(left + step, right + step));
                }
            }
            Op::Truncate(to) => {
                storage.truncate(*to as u64).unwrap();
                self.model.truncate(*to);
            }
            Op::Sort => {
                storage.sort_by(KEY).run().unwrap();
                // Equal keys come out in any order: take the storage's, once it is a permutation.
                let sorted: Vec<Pair> = storage.iter().map(|record| *record.unwrap()).collect();
                let whole = |pair: &Pair| (pair.key.get(), pair.place.get());
                let (mut left, mut right) = (sorted.clone(), self.model.clone());
                left.sort_by_key(whole);
                right.sort_by_key(whole);
                assert_eq!(left, right);
                assert!(sorted.is_sorted_by_key(|pair| pair.key.get()));
                self.model = sorted;
            }
            Op::Reopen if self.backing != Memory => {
                self.storage.take().unwrap().close().unwrap();
                self.storage = Some(options(self.backing).open(self.dir.file("a")).unwrap());
            }
            _ => {}
        }
    }

    fn compare(&self) {
        let storage = self.storage.as_ref().unwrap();
        let found: Vec<Pair> = storage.iter().map(|record| *record.unwrap()).collect();
        assert_eq!(found, self.model);
        for (index, pair) in self.model.iter().enumerate() {
            assert_eq!(*storage.get(index as u64).unwrap(), *pair);
        }
        assert_eq!(storage.len(), self.model.len() as u64);
    }
}

#[rstest]
fn a_storage_is_a_vec(#[values(File, Map, Memory)] backing: Backing) {
    run_all(backing);
}

#[expect(clippy::result_large_err, reason = "the error is proptest's own")]
fn run_all(backing: Backing) {
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() };
    proptest!(config, |(ops in vec(op(), 1..25))| {
        let dir = Dir::new();
        let storage = options(backing).create(dir.file("a")).unwrap();
        let mut run = Run { backing, dir, storage: Some(storage), model: Vec::new() };
        for op in &ops {
            run.apply(op);
            run.compare();
        }
    });
}
