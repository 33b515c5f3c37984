//! Random operations on a storage and on a `Vec`, compared after each.

use std::{cmp::Ordering, ops::ControlFlow};

use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    Bias, Field, Kind, Mutability, Records, SORT_MEMORY_MIN, SidecarOptions, SidecarStatus,
    Storage,
};
use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use crate::support::{Dir, Pair, options, pair};

const KEY: Field = Field::new(0, Kind::U64);
const PLACE: Field = Field::new(8, Kind::U32);

#[derive(Debug, Clone)]
enum Op {
    Append(Vec<u64>),
    Set(usize, u64),
    Swap(usize, usize),
    SwapRanges(usize, usize, usize),
    Truncate(usize),
    SetField(usize, u32),
    Sort(Sorting),
    WriteSidecar(Contents),
    Reopen,
    Follow(Vec<u64>),
}

/// How a sort is done; all stable, so that the model knows the outcome.
#[derive(Debug, Clone, Copy)]
struct Sorting {
    by: By,
    place: Where,
    threads: usize,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Key,
    Place,
    Both,
    Function,
    Comparator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Copy,
    Budget,
    InPlace,
}

/// What a sidecar holds.
#[derive(Debug, Clone, Copy)]
enum Contents {
    Nothing,
    Checksums,
    Everything,
}

fn sorting() -> impl Strategy<Value = Sorting> {
    let by = prop_oneof![
        3 => Just(By::Key),
        1 => Just(By::Place),
        1 => Just(By::Both),
        1 => Just(By::Function),
        1 => Just(By::Comparator),
    ];
    let place = prop_oneof![Just(Where::Copy), Just(Where::Budget), Just(Where::InPlace)];
    (by, place, 1usize..3).prop_map(|(by, place, threads)| Sorting { by, place, threads })
}

fn contents() -> impl Strategy<Value = Contents> {
    prop_oneof![Just(Contents::Nothing), Just(Contents::Checksums), Just(Contents::Everything)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => vec(0u64..50, 0..40).prop_map(Op::Append),
        2 => (any::<usize>(), 0u64..50).prop_map(|(index, key)| Op::Set(index, key)),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(left, right)| Op::Swap(left, right)),
        2 => (0usize..60, 0usize..60, 0usize..20).prop_map(|(a, b, n)| Op::SwapRanges(a, b, n)),
        1 => (0usize..80).prop_map(Op::Truncate),
        1 => (any::<usize>(), any::<u32>()).prop_map(|(index, place)| Op::SetField(index, place)),
        3 => sorting().prop_map(Op::Sort),
        2 => contents().prop_map(Op::WriteSidecar),
        1 => Just(Op::Reopen),
        1 => vec(0u64..50, 0..40).prop_map(Op::Follow),
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
            Op::SetField(index, place) if 0 < len => {
                storage.set_field((index % len) as u64, PLACE, *place).unwrap();
                self.model[index % len].place = (*place).into();
            }
            Op::Sort(sorting) => {
                sort(storage, *sorting);
                self.model.sort_by(|left, right| sorting.by.compare(left, right));
            }
            Op::WriteSidecar(contents) if self.backing != Memory => {
                storage.write_sidecar(contents.options()).unwrap();
            }
            Op::Follow(keys) if self.backing != Memory => self.follow(keys),
            Op::Reopen if self.backing != Memory => {
                self.storage.take().unwrap().close().unwrap();
                self.storage = Some(options(self.backing).open(self.dir.file("a")).unwrap());
            }
            _ => {}
        }
    }

    /// Appends what a reader that opened the file itself finds after a refresh.
    fn follow(&mut self, keys: &[u64]) {
        drop(self.storage.take());
        let options = options(self.backing).mutability(Mutability::AppendOnly);
        let mut storage: Storage<Pair> = options.open(self.dir.file("a")).unwrap();
        let mut reader: Records<Pair> = options.open_read_only(self.dir.file("a")).unwrap();
        check_reads(&reader, &self.model);
        let pairs: Vec<Pair> = keys.iter().map(|&key| pair(key, 5)).collect();
        storage.append(&pairs).unwrap();
        check_reads(&reader, &self.model);
        assert_eq!(reader.refresh().unwrap(), !pairs.is_empty());
        self.model.extend(pairs);
        check_reads(&reader, &self.model);
        drop((storage, reader));
        self.storage =
            Some(options.mutability(Mutability::InPlace).open(self.dir.file("a")).unwrap());
    }

    fn compare(&self) {
        let storage = self.storage.as_ref().unwrap();
        check_reads(storage, &self.model);
        let found: Vec<Pair> = storage.iter().map(|record| *record.unwrap()).collect();
        assert_eq!(found, self.model);
        for (index, pair) in self.model.iter().enumerate() {
            assert_eq!(*storage.get(index as u64).unwrap(), *pair);
        }
        assert_eq!(storage.len(), self.model.len() as u64);
    }
}

impl By {
    fn compare(self, left: &Pair, right: &Pair) -> Ordering {
        let (key, place) =
            (left.key.get().cmp(&right.key.get()), left.place.get().cmp(&right.place.get()));
        match self {
            Self::Key => key,
            Self::Place => place,
            Self::Both => place.then(key),
            Self::Function => (left.key.get() % 7).cmp(&(right.key.get() % 7)),
            Self::Comparator => key.reverse(),
        }
    }
}

fn sort(storage: &mut Storage<Pair>, Sorting { by, place, threads }: Sorting) {
    let sort = match by {
        By::Key => storage.sort_by(KEY),
        By::Place => storage.sort_by(PLACE),
        By::Both => storage.sort_by([PLACE, KEY]),
        By::Function => storage.sort_by_key(|pair| pair.key.get() % 7),
        By::Comparator => storage.sort_with(|left, right| right.key.get().cmp(&left.key.get())),
    };
    let sort = sort.stable().threads(threads);
    match place {
        Where::Copy => sort.run().unwrap(),
        Where::Budget => sort.memory(SORT_MEMORY_MIN).run().unwrap(),
        Where::InPlace => sort.in_place().run().unwrap(),
    }
}

impl Contents {
    fn options(self) -> SidecarOptions {
        match self {
            Self::Nothing => SidecarOptions::new(),
            Self::Checksums => SidecarOptions::new().checksums(),
            Self::Everything => SidecarOptions::new().checksums().accelerate(KEY).fingerprint(9),
        }
    }
}

/// Compares records and, where they are sorted, searches with those of the model.
fn check_reads(records: &Records<Pair>, model: &[Pair]) {
    let found: Vec<Pair> = records.iter().map(|record| *record.unwrap()).collect();
    assert_eq!(found, model);
    // No sidecar ever contradicts the records that it lies beside.
    let is_unusable = matches!(records.sidecar(), SidecarStatus::Unusable(_));
    assert!(!is_unusable, "{:?}", records.sidecar());
    assert!(records.verify(|_| ControlFlow::Continue(())).unwrap().is_clean());
    if !model.is_sorted_by_key(|pair| pair.key.get()) {
        return;
    }
    let probes: Vec<u64> = (0..51).step_by(5).chain([u64::MAX]).collect();
    let mut many = vec![None; probes.len()];
    records.get_many(KEY, &probes, &mut many).unwrap();
    for (&probe, many) in probes.iter().zip(many) {
        let lower = model.partition_point(|pair| pair.key.get() < probe) as u64;
        let upper = model.partition_point(|pair| pair.key.get() <= probe) as u64;
        assert_eq!(records.equal_range(KEY, probe).unwrap(), lower..upper);
        let exact = (lower < upper).then_some(lower);
        assert_eq!(many, exact);
        assert_eq!(records.binary_search(KEY, probe, Bias::Exact).unwrap(), exact);
    }
}

#[rstest]
fn a_storage_is_a_vec(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    run_all(backing);
}

#[expect(clippy::result_large_err, reason = "the error is proptest's own")]
fn run_all(backing: Backing) {
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() };
    proptest!(config, |(ops in vec(op(), 1..25))| {
        let dir = Dir::fast();
        let storage = options(backing).create(dir.file("a")).unwrap();
        let mut run = Run { backing, dir, storage: Some(storage), model: Vec::new() };
        for op in &ops {
            run.apply(op);
            run.compare();
        }
    });
}
