//! A reader of another process beside the writer: every interleaving of the loads, stores and locks
//! that decide which version is shown, and when its space is used again.

use std::io::Write;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, fence},
    },
    thread,
};

use super::settle;
use crate::{
    epoch::Epoch,
    ranges::Range,
    retired::{Retired, Waste},
    word::{Pair, View, Word, tag_of},
};

/// No lock: behind all generations.
const NONE: u64 = u64::MAX;
/// Places that a block can have.
const PLACES: usize = 3;

/// What the file holds of one block, and the lock file of one byte lock.
struct File {
    published: AtomicU64,
    words: [AtomicU64; 2],
    places: [AtomicU64; PLACES],
    /// The byte that the reader has locked. The system asks for locks without a lock of its own
    /// where there seem to be none, so this is not ordered with what comes before or after.
    locked: AtomicU64,
}

/// The content of a version.
fn content(version: u64) -> u64 {
    10 * version
}

impl File {
    /// Version 1 in place 0, committed as generation 1.
    fn new() -> Self {
        Self {
            published: AtomicU64::new(1),
            words: [AtomicU64::new(Word::new(tag_of(1), 5, PLACES as u64).0), AtomicU64::new(0)],
            places: [content(1), 0, 0].map(AtomicU64::new),
            locked: AtomicU64::new(NONE),
        }
    }

    fn pair(&self) -> Pair {
        Pair([0, 1].map(|at| Word(self.words[at].load(Ordering::Acquire))))
    }

    /// As `Holds::take`.
    fn lock(&self, generation: u64) {
        self.locked.store(generation, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// As `Holds::oldest`.
    fn oldest_lock(&self, below: u64) -> u64 {
        fence(Ordering::SeqCst);
        let locked = self.locked.load(Ordering::Relaxed);
        if locked < below { locked } else { NONE }
    }
}

/// The writer with its lists.
struct Writing {
    file: Arc<File>,
    retired: Retired,
    free: Vec<u64>,
}

impl Writing {
    /// Puts the next version into free space and commits it, as `Engine` does.
    fn commit(&mut self, generation: u64) {
        let (epoch, file) = (generation + 1, &self.file);
        let (tag, before) = (tag_of(epoch), self.file.pair());
        let place = self.free.pop().unwrap();
        file.places[usize::try_from(place).unwrap()].store(content(epoch), Ordering::Relaxed);
        let word = Word::new(tag, 5, epoch * PLACES as u64 + place).0;
        file.words[before.target(tag)].store(word, Ordering::Release);
        let old = before.word(tag, View::Committed).body() % PLACES as u64;
        self.retired.quarantine(Waste::Range(Range { start: old, len: 1 }));
        file.published.store(epoch, Ordering::Release);
        self.retired.committed(0, epoch);
        let held = file.oldest_lock(epoch);
        let free = &mut self.free;
        self.retired.reclaim((1, held), |waste| match waste {
            Waste::Range(range) => free.push(range.start),
            Waste::Run(_) => {}
        });
    }
}

/// A reader with what it has chosen.
struct Reading {
    file: Arc<File>,
    epoch: Epoch,
    chosen: AtomicU64,
}

impl Reading {
    fn says(&self) -> u64 {
        self.file.published.load(Ordering::Acquire)
    }

    fn choose(&self) -> bool {
        let published = self.says();
        self.epoch.open(tag_of(published + 1));
        self.chosen.store(published, Ordering::Relaxed);
        true
    }

    /// Version and place of the block.
    fn get(&self) -> (u64, usize) {
        let word = settle(
            || self.chosen.load(Ordering::Relaxed),
            |chosen| self.says() == *chosen,
            || self.file.pair().word(self.epoch.seen(), View::Committed),
            || self.choose(),
        );
        let body = word.unwrap().body();
        (body / PLACES as u64, usize::try_from(body % PLACES as u64).unwrap())
    }

    fn load(&self, place: usize) -> u64 {
        self.file.places[place].load(Ordering::Relaxed)
    }
}

#[test]
fn what_a_reader_got_was_committed_and_stays() {
    let orders = std::sync::atomic::AtomicU64::new(0);
    let orders = std::sync::Arc::new(orders);
    let counted = std::sync::Arc::clone(&orders);
    let mut model = loom::model::Builder::new();
    // All orders take minutes and show no more; each mistake that was tried shows at three.
    model.preemption_bound = model.preemption_bound.or(Some(4));
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let file = Arc::new(File::new());
        let writing =
            Writing { file: Arc::clone(&file), retired: Retired::default(), free: vec![2, 1] };
        let writer = thread::spawn(move || {
            let mut writing = writing;
            for generation in 1..4 {
                writing.commit(generation);
                if writing.free.is_empty() {
                    break;
                }
            }
        });
        let reading = Reading { file, epoch: Epoch::new(0), chosen: AtomicU64::new(0) };
        reading.choose();
        let least = reading.says();
        reading.file.lock(reading.chosen.load(Ordering::Relaxed));
        let (version, place) = reading.get();
        assert_eq!(reading.load(place), content(version), "another block in its place");
        let most = reading.says();
        assert!((least..=most).contains(&version), "{version} of {least}..={most}");
        assert_eq!(reading.load(place), content(version), "used again under a hold");
        writer.join().unwrap();
        assert_eq!(reading.load(place), content(version), "used again later");
    });
    let orders = orders.load(Ordering::Relaxed);
    writeln!(std::io::stdout(), "readers of other processes: {orders} orders, 0 wrong").unwrap();
}
