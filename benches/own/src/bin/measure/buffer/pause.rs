//! How long a writer and readers wait beside a compaction in steps of a millisecond.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use bench_own::{
    Clock, Folder, Random, Result, Scale,
    entries::{Change, EntryStore as _, OursById, Promise, Told, Work},
    must, waits_of_thread,
};
use pagestone_buffer::{Budget, EntryId, State};

const ENTRIES: usize = 1_000_000;
const UNIT: usize = 1_000;
const BUDGET: Duration = Duration::from_millis(1);
const READERS: u64 = 2;
const GETS_OF_A_PIN: usize = 64;

/// What the threads share.
#[derive(Default)]
struct Watched {
    is_over: AtomicBool,
    /// Odd while a commit is on.
    commits: AtomicU64,
    /// How often the other thread has had the writer.
    turns: AtomicU64,
    /// The longest wait for the writer in nanoseconds: outside of commits, and in them.
    longest: [AtomicU64; 2],
    /// How often readers waited, and what they read.
    waits: AtomicU64,
    gets: AtomicU64,
}

/// A buffer of which half was removed is compacted, while one thread takes the writer over and
/// over and two read.
pub(super) fn pause(scale: Scale) -> Result<Vec<Told>> {
    let folder = Folder::new()?;
    let mut store = OursById::create(&folder, Promise::Process)?;
    let mut work = Work::new(45, scale.count(ENTRIES));
    let all: Vec<u32> = work.numbers().collect();
    for unit in all.chunks(UNIT) {
        store.change(unit.iter().map(|number| work.put(*number)))?;
    }
    let numbers = work.shuffled();
    let (removed, kept) = numbers.split_at(numbers.len() / 2);
    for unit in removed.chunks(UNIT) {
        store.change(unit.iter().map(|number| Change::Remove(*number)))?;
    }
    store.commit()?;
    let ids = store.ids_of(kept);
    let watched = Watched::default();
    let (held, commit) = thread::scope(|scope| {
        let (watched, store) = (&watched, &store);
        scope.spawn(move || take_writer(store, watched));
        for seed in 0..READERS {
            let ids = &ids;
            scope.spawn(move || must(read(store, (ids, seed), watched)));
        }
        let done = compact(store, watched);
        watched.is_over.store(true, Ordering::Release);
        done
    })?;
    let gets = watched.gets.into_inner();
    if gets == 0 {
        return Err("no reader read anything".into());
    }
    let [step, in_commit] = watched.longest.map(AtomicU64::into_inner);
    Ok(vec![
        Told::new("writer", millis(step), "ms"),
        Told::new("writer_commit", millis(in_commit), "ms"),
        Told::new("step", held.as_secs_f64() * 1e3, "ms"),
        Told::new("commit", commit.as_secs_f64() * 1e3, "ms"),
        #[expect(clippy::cast_precision_loss, reason = "a count for a table")]
        Told::new("readers", watched.waits.into_inner() as f64, "waits"),
    ])
}

/// Compacts to the end; the most CPU time that a step took with the writer held, and the longest
/// commit by the wall.
fn compact(store: &OursById, watched: &Watched) -> Result<(Duration, Duration)> {
    let buffer = store.buffer();
    let (mut held, mut commit) = (Duration::ZERO, Duration::ZERO);
    loop {
        let mut writer = buffer.file().writer();
        let (time, step) =
            Clock::Thread.time(|| buffer.compact_step(&mut writer, Budget::time(BUDGET)));
        let turns = watched.turns.load(Ordering::SeqCst);
        drop(writer);
        held = held.max(time);
        // Whoever waits comes first, so that a wait is for a step or for a commit.
        while watched.turns.load(Ordering::SeqCst) == turns {
            thread::yield_now();
        }
        let state = step?.state;
        if state != State::Running {
            watched.commits.fetch_add(1, Ordering::SeqCst);
            let (time, committed) = Clock::Wall.time(|| buffer.file().commit());
            watched.commits.fetch_add(1, Ordering::SeqCst);
            committed?;
            commit = commit.max(time);
        }
        if state == State::Done {
            return Ok((held, commit));
        }
    }
}

/// Takes the writer now and then, as a thread does that changes an entry.
fn take_writer(store: &OursById, watched: &Watched) {
    while !watched.is_over.load(Ordering::Acquire) {
        let before = watched.commits.load(Ordering::SeqCst);
        let (time, writer) = Clock::Wall.time(|| store.buffer().file().writer());
        drop(writer);
        let after = watched.commits.load(Ordering::SeqCst);
        let is_commit = before % 2 == 1 || before != after;
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        watched.longest[usize::from(is_commit)].fetch_max(nanos, Ordering::Relaxed);
        watched.turns.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_micros(50));
    }
}

/// Reads at random until the end. A thread that finds a lock taken, or waits for another to be
/// done, gives its core away of itself: the kernel counts that.
fn read(store: &OursById, (ids, seed): (&[EntryId], u64), watched: &Watched) -> Result<()> {
    let mut random = Random::new(seed);
    let (mut gets, mut sum) = (0, 0_usize);
    // Whatever the thread waits for before its first get is over.
    let before = waits_of_thread()?;
    while !watched.is_over.load(Ordering::Acquire) {
        let pin = store.buffer().file().pin();
        for _ in 0..GETS_OF_A_PIN {
            sum += store.buffer().get(&pin, ids[random.below(ids.len())])?.len();
        }
        gets += GETS_OF_A_PIN as u64;
    }
    let waits = waits_of_thread()? - before;
    std::hint::black_box(sum);
    watched.waits.fetch_add(waits, Ordering::Relaxed);
    watched.gets.fetch_add(gets, Ordering::Relaxed);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a time for a table")]
const fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
