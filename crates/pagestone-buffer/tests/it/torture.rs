//! A child with two adders, an updater, three readers and a compaction is killed at any moment;
//! what its calls returned is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use pagestone_buffer::{Budget, Buffers, Compact, EntryBuffer, EntryId};
use pagestone_heap::{ErrorKind, RegionFile};
use pagestone_testkit::{
    child,
    notes::{self, Notes},
};

use crate::support::{Scene, budget, check_clean, content, mix, number_of, options, seed, trusted};

/// Threads that change entries, each its own.
const WORKERS: usize = 3;
/// Entries of one worker, about.
const MANY: usize = 400;
/// Ids that the readers know of.
const WATCHED: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Add,
    Update,
    Remove,
    Commit,
}

impl notes::Act for Act {
    const ALL: &'static [Self] = &[Self::Add, Self::Update, Self::Remove, Self::Commit];
}

type Note = notes::Note<Act>;

/// One thread that changes its entries, and notes before and after what it does; the notes outlive
/// it in the page cache.
struct Worker<'w> {
    which: usize,
    next: u64,
    live: Vec<EntryId>,
    notes: Notes,
    watched: &'w [AtomicU64],
}

impl Worker<'_> {
    fn step(&mut self, (file, buffer): (&RegionFile, &EntryBuffer)) {
        self.next += 1;
        let dice = mix(self.next);
        let at = usize::try_from(dice >> 8).unwrap_or(0) % self.live.len().max(1);
        let act = match (dice % 100, self.live.len()) {
            (0, _) => Act::Commit,
            (_, 0..20) => Act::Add,
            (1..90, _) if self.which == 2 => Act::Update,
            (1..60, len) if len < MANY => Act::Add,
            _ => Act::Remove,
        };
        let id = self.live.get(at).copied();
        let bits = id.map_or(0, EntryId::to_bits);
        let mut note = Note { act, done: false, id: bits, word: self.next };
        self.notes.add(note);
        let mut writer = file.writer();
        match (act, id) {
            (Act::Commit, _) => writer.commit().unwrap(),
            (Act::Update, Some(id)) => {
                buffer.update(&mut writer, id, &content(self.next)).unwrap();
            }
            (Act::Remove, Some(id)) => {
                buffer.remove(&mut writer, id).unwrap();
                self.live.swap_remove(at);
            }
            _ => {
                let id = buffer.add(&mut writer, &content(self.next)).unwrap();
                note.id = id.to_bits();
                self.live.push(id);
                let place = usize::try_from(dice >> 20).unwrap_or(0) % WATCHED;
                self.watched[place].store(note.id, Ordering::Release);
            }
        }
        drop(writer);
        note.done = true;
        self.notes.add(note);
    }
}

/// Every content is whole, or the id is stale.
fn read(file: &RegionFile, (buffer, watched): (&EntryBuffer, &[AtomicU64])) -> ! {
    loop {
        let pin = file.pin();
        for id in watched {
            match buffer.get(&pin, EntryId::from_bits(id.load(Ordering::Acquire))) {
                Ok(bytes) => assert!(number_of(bytes).is_some(), "torn"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::StaleId, "{error}"),
            }
        }
    }
}

/// Changes a buffer until it is killed; the errand is `seed, directory`.
#[test]
fn child_changes() {
    let Some(errand) = child::errand() else { return };
    let (seed, dir) = errand.split_once(' ').unwrap();
    let (seed, dir): (u64, &Path) = (seed.parse().unwrap(), Path::new(dir));
    let file = options().open_or_create(trusted(dir).file("file.pgs")).unwrap();
    let buffer = file.buffer("buffer").unwrap();
    let watched: Vec<AtomicU64> = (0..WATCHED).map(|_| AtomicU64::new(1)).collect();
    let ids: Vec<EntryId> = buffer.ids(&file.pin()).collect();
    thread::scope(|scope| {
        let (file, buffer, watched) = (&file, &buffer, &watched[..]);
        for which in 0..WORKERS {
            let live: Vec<EntryId> = ids.iter().copied().skip(which).step_by(WORKERS).collect();
            let notes = Notes::create(dir, which);
            let next = mix(seed) << 20 & u64::MAX >> 2 | (which as u64) << 62;
            let mut worker = Worker { which, next, live, notes, watched };
            scope.spawn(move || {
                loop {
                    worker.step((file, buffer));
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(move || read(file, (buffer, watched)));
        }
        child::acknowledge(1);
        loop {
            let compact = Compact::new().budget(Budget::bytes(20_000)).least_garbage(0.1);
            buffer.compact(compact).unwrap();
        }
    });
}

/// What the buffer holds: the number of the content of each id.
type State = BTreeMap<u64, u64>;

/// The parent's side.
struct Torture {
    scene: Scene,
    state: State,
    removed: Vec<u64>,
    kills: u64,
    steps: u64,
}

impl Torture {
    fn round(&mut self, seed: u64) {
        let dir = self.scene.path("");
        let left = notes::kill_midway("torture::child_changes", &dir, (WORKERS, seed));
        self.kills += 1;
        left.done.iter().for_each(|note| self.follow(*note));
        self.look(&left.under_way, seed);
    }

    fn follow(&mut self, note: Note) {
        self.steps += 1;
        match note.act {
            Act::Add | Act::Update => drop(self.state.insert(note.id, note.word)),
            Act::Remove => {
                self.state.remove(&note.id);
                self.removed.push(note.id);
            }
            Act::Commit => {}
        }
    }

    /// Opens the file after a kill: all that returned is there, and of what was under way all or
    /// nothing.
    fn look(&mut self, under_way: &[Note], how: u64) {
        let file = options().open_or_create(self.scene.at("file.pgs")).unwrap();
        let buffer = file.buffer("buffer").unwrap();
        check_clean(&file);
        let pin = file.pin();
        let ids: Vec<EntryId> = buffer.ids(&pin).collect();
        let shown =
            |id: &EntryId| (id.to_bits(), number_of(buffer.get(&pin, *id).unwrap()).unwrap());
        let found: State = ids.iter().map(shown).collect();
        let known: BTreeSet<u64> = self.state.keys().chain(found.keys()).copied().collect();
        let mut added: Vec<u64> =
            under_way.iter().filter(|note| note.act == Act::Add).map(|note| note.word).collect();
        for id in known {
            let (now, before) = (found.get(&id).copied(), self.state.get(&id).copied());
            let of = |act| under_way.iter().find(|note| note.act == act && note.id == id);
            let right = now == before
                || now.is_some() && now == of(Act::Update).map(|note| note.word)
                || now.is_none() && of(Act::Remove).is_some()
                || before.is_none() && added.iter().any(|number| Some(*number) == now);
            assert!(right, "{id:#x}: {before:x?} was acknowledged, {now:x?} found; {under_way:x?}");
            if before.is_none() {
                // Each add that was under way may be there once.
                added.retain(|number| Some(*number) != now);
            }
        }
        for id in self.removed.iter().rev().take(300) {
            let refused = buffer.get(&pin, EntryId::from_bits(*id)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StaleId, "{refused}");
        }
        drop(pin);
        let mut writer = file.writer();
        let counters = buffer.counters(&mut writer).unwrap();
        let stride = |number: &u64| (32 + content(*number).len() as u64).next_multiple_of(16);
        assert_eq!(counters.entries, found.len() as u64);
        assert_eq!(counters.live, found.values().map(stride).sum::<u64>());
        drop((writer, buffer));
        self.state = found;
        match how % 3 {
            0 => file.close().unwrap(),
            1 => file.commit().unwrap(),
            _ => {}
        }
    }
}

#[test]
fn acknowledged_changes_are_there() {
    let (budget, seed, start) = (budget(3.0), seed(), Instant::now());
    let scene = Scene::fast();
    let mut torture =
        Torture { scene, state: State::new(), removed: Vec::new(), kills: 0, steps: 0 };
    while start.elapsed() < budget || torture.kills < 8 {
        torture.round(mix(seed).wrapping_add(torture.kills));
    }
    let Torture { kills, steps, .. } = torture;
    let line = format!("torture: seed {seed}, {kills} kills, {steps} steps, 0 torn, 0 lost\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
