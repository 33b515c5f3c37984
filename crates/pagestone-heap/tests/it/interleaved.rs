//! The whole store with its threads run one at a time, in orders that a scheduler picks.
//!
//! Threads change places at each lock and atomic word of this crate, and before each store of the
//! writer to the file. `cargo xtask loom` runs it.

mod entries; // of a log, and commits of several threads
mod slots; // of slabs

use std::{collections::BTreeMap, io::Write};

use pagestone_heap::{BlockId, ErrorKind, FileOptions, Heap, Pin, RegionFile, Verify, Writer};
use pagestone_storage::seam::{Plan, set_observer, watch};
use pagestone_testkit::random::mix;
use shuttle::{
    Runner,
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
    sync::{Arc, Mutex},
    thread,
};

use crate::support::Scene;

/// Blocks that are there all the time.
const BLOCKS: usize = 3;
/// Length of a block that has a region of its own.
const LONG: usize = 262_500;

fn options() -> FileOptions {
    RegionFile::options().reserve(16 << 20).region_size(1 << 20)
}

fn below(end: u64) -> u64 {
    thread_rng().gen_range(0..end)
}

/// Content that shows its word and whether it is whole; most of it is zeros.
fn marked(word: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[..8].copy_from_slice(&word.to_le_bytes());
    bytes[len - 8..].copy_from_slice(&mix(word).to_le_bytes());
    bytes
}

fn mark_of(bytes: &[u8]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(word(bytes.len() - 8), mix(word(0)), "torn");
    word(0)
}

fn len() -> usize {
    // Few lengths, so that freed space is soon used again.
    match below(20) {
        0 => LONG,
        1 => 3000,
        _ => 32,
    }
}

/// A slice, and what it was.
type Kept<'p> = (&'p [u8], Vec<u8>);

/// A get that may find its block freed or not made yet.
fn get<'p>(heap: &Heap, pin: &'p Pin<'_>, id: BlockId, kept: &mut Vec<Kept<'p>>) -> Option<u64> {
    match heap.get(pin, id) {
        Ok(bytes) => {
            kept.push((bytes, bytes.to_vec()));
            Some(mark_of(bytes))
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::StaleId, "{error}");
            None
        }
    }
}

#[track_caller]
fn check_kept(kept: &[Kept<'_>]) {
    for (now, then) in kept {
        assert!(**now == **then, "a slice of {} bytes changed", then.len());
    }
}

/// What the threads of a run share beside the file.
struct Run {
    file: RegionFile,
    heap: Heap,
    /// Blocks of which the first two are always changed together.
    ids: [BlockId; BLOCKS],
    /// Ids that come and go; none of an epoch that a discard may undo.
    passing: Mutex<Vec<BlockId>>,
    /// The word of the first block in each generation that is known.
    committed: Mutex<BTreeMap<u64, u64>>,
    /// What followers saw of it, and the generations before and after.
    seen: Mutex<Vec<(u64, u64, u64)>>,
}

impl Run {
    fn new(file: RegionFile) -> Self {
        let heap = file.heap("blocks").unwrap();
        let mut writer = file.writer();
        let ids = [(); BLOCKS].map(|()| heap.allocate_from(&mut writer, &marked(1, 32)).unwrap());
        writer.commit().unwrap();
        drop(writer);
        let committed = Mutex::new(BTreeMap::from([(file.generation(), 1)]));
        let (passing, seen) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        Self { file, heap, ids, passing, committed, seen }
    }

    /// Commits and notes what.
    fn commit_with(&self, writer: &mut Writer<'_>) {
        let word = self.heap.read(self.ids[0], mark_of).unwrap();
        writer.commit().unwrap();
        self.committed.lock().unwrap().insert(self.file.generation(), word);
    }

    /// Each get of a follower showed what was committed between its begin and its end.
    fn check_seen(&self) {
        let committed = self.committed.lock().unwrap();
        for (before, after, mark) in self.seen.lock().unwrap().iter() {
            let known = (*before..=*after).map(|generation| committed.get(&generation));
            let right = known.into_iter().any(|word| word.is_none_or(|word| word == mark));
            assert!(right, "{mark} in {before}..={after} of {committed:?}");
        }
    }

    /// Changes of all kinds, and commits of its own now and then.
    fn write(&self, changes: u64) {
        for word in 2..2 + changes {
            let mut writer = self.file.writer();
            match below(4) {
                0 => {
                    let id = self.heap.allocate_from(&mut writer, &marked(word, len())).unwrap();
                    self.heap.free(&mut writer, id).unwrap();
                }
                1 => {
                    let id = self.heap.allocate_from(&mut writer, &marked(word, len())).unwrap();
                    self.commit_with(&mut writer);
                    self.passing.lock().unwrap().push(id);
                }
                2 => {
                    if let Some(id) = self.passing.lock().unwrap().pop() {
                        self.heap.free(&mut writer, id).unwrap();
                        self.commit_with(&mut writer);
                    }
                }
                _ => {
                    self.heap.put(&mut writer, self.ids[2], &marked(word, len())).unwrap();
                }
            }
            for id in &self.ids[..2] {
                self.heap.put(&mut writer, *id, &marked(word, len())).unwrap();
            }
        }
    }

    fn commit(&self, times: u64) {
        for nth in 0..times {
            if nth == 1 {
                self.file.commit().unwrap();
            } else {
                self.commit_with(&mut self.file.writer());
            }
        }
    }

    fn discard(&self) {
        self.file.writer().discard().unwrap();
    }

    /// Reads in the writer's process.
    fn read(&self, gets: u64) {
        let pin = self.file.pin();
        let mut kept = Vec::new();
        for _ in 0..gets {
            let at = usize::try_from(below(BLOCKS as u64)).unwrap();
            get(&self.heap, &pin, self.ids[at], &mut kept).expect("a block that is always there");
            let passing = self.passing.lock().unwrap().last().copied();
            if let Some(id) = passing {
                get(&self.heap, &pin, id, &mut kept);
            }
        }
        check_kept(&kept);
    }

    /// Reads as another process does it.
    fn follow(&self, file: &RegionFile, rounds: u64) {
        let heap = file.heap("blocks").unwrap();
        let mut latest = 0;
        for _ in 0..rounds {
            let pin = file.pin();
            let mut kept = Vec::new();
            for _ in 0..3 {
                let before = file.sequence();
                let marks = [self.ids[0], self.ids[1]].map(|id| {
                    get(&heap, &pin, id, &mut kept).expect("a block that is always there")
                });
                assert!(latest <= before, "sequence went from {latest} to {before}");
                latest = file.sequence();
                assert!(before != latest || marks[0] == marks[1], "{marks:?} at {before}");
                let seen = marks.map(|mark| (before, latest, mark));
                self.seen.lock().unwrap().extend(seen);
                let passing = self.passing.lock().unwrap().last().copied();
                if let Some(id) = passing {
                    get(&heap, &pin, id, &mut kept);
                }
            }
            check_kept(&kept);
        }
    }
}

/// Runs `threads` with a chance to change places before each store.
fn together(threads: Vec<Box<dyn FnOnce() + Send>>) {
    set_observer(Some(Box::new(thread::yield_now)));
    let ((), _) = watch(Plan::record(), || together_at_locks(threads));
    set_observer(None);
}

/// Runs `threads` with a chance to change places at locks and atomic words alone: one that is held
/// up stays so while others do all their work.
fn together_at_locks(threads: Vec<Box<dyn FnOnce() + Send>>) {
    let all: Vec<_> = threads.into_iter().map(thread::spawn).collect();
    for thread in all {
        thread.join().unwrap();
    }
}

fn in_one_process() {
    let run = Arc::new(Run::new(options().in_memory().unwrap()));
    let with = |work: fn(&Run)| {
        let run = Arc::clone(&run);
        Box::new(move || work(&run)) as Box<dyn FnOnce() + Send>
    };
    together(vec![
        with(|run| run.write(4)),
        with(|run| run.read(4)),
        with(|run| run.read(4)),
        with(Run::discard),
        with(|run| run.commit(3)),
    ]);
    let report = run.file.verify(Verify::new()).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

fn in_other_processes(at: pagestone_storage::Location) {
    std::fs::remove_file(at.path()).ok();
    let run = Arc::new(Run::new(options().create(at.clone()).unwrap()));
    let follower = options().open_read_only(at).unwrap();
    let with = |work: fn(&Run)| {
        let run = Arc::clone(&run);
        Box::new(move || work(&run)) as Box<dyn FnOnce() + Send>
    };
    let follow = |file: RegionFile| {
        let run = Arc::clone(&run);
        Box::new(move || run.follow(&file, 2)) as Box<dyn FnOnce() + Send>
    };
    together(vec![
        with(|run| run.write(9)),
        follow(follower.clone()),
        follow(follower),
        with(Run::discard),
        with(|run| run.commit(5)),
    ]);
    run.check_seen();
    let report = run.file.verify(Verify::new()).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

/// How many orders are tried of each kind.
fn orders() -> usize {
    let given = std::env::var("PAGESTONE_ORDERS").ok().and_then(|orders| orders.parse().ok());
    given.unwrap_or(1000)
}

fn explore(name: &str, run: impl Fn() + Send + Sync + Clone + 'static) {
    fn with(scheduler: impl Scheduler + 'static, run: impl Fn() + Send + Sync + 'static) -> usize {
        let mut config = shuttle::Config::new();
        config.stack_size = 256 << 10;
        config.max_steps = shuttle::MaxSteps::FailAfter(10_000_000);
        Runner::new(scheduler, config).run(run)
    }
    let random = with(RandomScheduler::new(orders()), run.clone());
    let depth = 3;
    let pct = with(PctScheduler::new(depth, orders()), run);
    writeln!(
        std::io::stdout(),
        "{name}: {random} random orders, {pct} of {depth} priority changes, 0 wrong"
    )
    .unwrap();
}

#[test]
fn writer_readers_discard_and_commit_of_one_process() {
    explore("one process", in_one_process);
}

#[test]
fn a_writer_and_readers_of_another_process() {
    let scene = Scene::fast();
    let at = scene.at("file.pgs");
    explore("readers of another process", move || in_other_processes(at.clone()));
}
