//! A child with two adders, a remover and three readers of slabs is killed at any moment; what its
//! calls returned is there.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use pagestone_heap::{Counts, ErrorKind, RegionFile, SlabShape, Slabs, SlotId, Writer};
use pagestone_testkit::{
    child,
    notes::{self, Notes},
};

use crate::support::{
    Scene, budget, check_clean, mark_of, marked, mix, options, say, seed, trusted,
};

/// The adders and the remover.
const WORKERS: usize = 3;
const REMOVER: usize = 2;
/// Objects, about.
const MANY: usize = 600;
/// Ids that the readers know of.
const WATCHED: usize = 256;
/// Numbers that are set.
const NUMBERS: u64 = 64;
/// Every other object ends in the middle of a word.
const SHAPE: SlabShape = SlabShape { object_len: 44, slots: 100, generations: true, mark: 0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Add,
    Remove,
    Set,
    Commit,
}

impl notes::Act for Act {
    const ALL: &'static [Self] = &[Self::Add, Self::Remove, Self::Set, Self::Commit];
}

/// The id is an index for a number.
type Note = notes::Note<Act>;

/// What the threads of a child share.
struct Shared {
    file: RegionFile,
    slabs: Slabs,
    counts: Counts,
    live: Mutex<Vec<SlotId>>,
    watched: Vec<AtomicU64>,
}

impl Shared {
    fn open(dir: &Path) -> Self {
        let file = options().open_or_create(trusted(dir).file("file.pgs")).unwrap();
        let (slabs, counts) = (file.slabs("slabs").unwrap(), file.counts("counts").unwrap());
        let pin = file.pin();
        let list = slabs.list(&pin).unwrap();
        let live = list.iter().flat_map(|facts| slabs.ids(&pin, facts.slab)).collect();
        drop(pin);
        let watched = (0..WATCHED).map(|_| AtomicU64::new(1)).collect();
        Self { file, slabs, counts, live: Mutex::new(live), watched }
    }

    fn add(&self, writer: &mut Writer<'_>, bytes: &[u8]) -> SlotId {
        let list = self.slabs.list(&self.file.pin()).unwrap();
        for facts in list {
            if let Some(id) = self.slabs.add(writer, facts.slab, bytes).unwrap() {
                return id;
            }
        }
        let slab = self.slabs.create(writer, SHAPE).unwrap();
        self.slabs.add(writer, slab, bytes).unwrap().unwrap()
    }

    /// Every object is whole, or its id is stale.
    fn read(&self) -> ! {
        loop {
            let pin = self.file.pin();
            for id in &self.watched {
                let id = SlotId::from_bits(id.load(Ordering::Acquire));
                match self.slabs.get(&pin, id) {
                    Ok(bytes) => assert!(mark_of(bytes).is_some(), "torn: {id:?}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::StaleId, "{error}"),
                }
            }
        }
    }
}

/// One thread that changes objects, and notes before and after what it does.
struct Worker<'w> {
    which: usize,
    next: u64,
    notes: Notes,
    shared: &'w Shared,
}

impl Worker<'_> {
    fn step(&mut self) {
        self.next += 1;
        let (dice, shared) = (mix(self.next), self.shared);
        let removes = self.which == REMOVER;
        let (count, picked) = {
            let mut live = shared.live.lock().unwrap();
            let count = live.len();
            let at = usize::try_from(dice >> 8).unwrap_or(0) % count.max(1);
            let goes = removes && dice % 100 < 90 && 20 < count;
            (count, goes.then(|| live.swap_remove(at)))
        };
        let act = match (dice % 100, picked) {
            (_, Some(_)) => Act::Remove,
            (0..4, _) => Act::Commit,
            _ if removes || MANY < count => Act::Set,
            _ => Act::Add,
        };
        let index = dice >> 8 & (NUMBERS - 1);
        let id = picked.map_or(index, SlotId::to_bits);
        let word = if act == Act::Set { self.next & Counts::MAX } else { self.next };
        let mut note = Note { act, done: false, id, word };
        let mut writer = shared.file.writer();
        // Inside, so that what is noted of a number is in the order of the changes.
        self.notes.add(note);
        match (act, picked) {
            (Act::Commit, _) => writer.commit().unwrap(),
            (Act::Set, _) => {
                // Each worker sets its own.
                note.id = index * WORKERS as u64 + self.which as u64;
                let index = u32::try_from(note.id).unwrap();
                self.notes.add(note);
                shared.counts.set(&mut writer, index, word).unwrap();
            }
            (_, Some(id)) => shared.slabs.remove(&mut writer, id).unwrap(),
            _ => note.id = shared.add(&mut writer, &marked(word, 44)).to_bits(),
        }
        drop(writer);
        note.done = true;
        self.notes.add(note);
        if act == Act::Add {
            shared.live.lock().unwrap().push(SlotId::from_bits(note.id));
            let place = usize::try_from(dice >> 20).unwrap_or(0) % WATCHED;
            shared.watched[place].store(note.id, Ordering::Release);
        }
    }
}

/// Changes slabs until it is killed; the errand is `seed, directory`.
#[test]
fn child_changes() {
    let Some(errand) = child::errand() else { return };
    let (seed, dir) = errand.split_once(' ').unwrap();
    let (seed, dir): (u64, &Path) = (seed.parse().unwrap(), Path::new(dir));
    let shared = Shared::open(dir);
    thread::scope(|scope| {
        let shared = &shared;
        for which in 0..WORKERS {
            let notes = Notes::create(dir, which);
            let next = mix(seed) << 20 & u64::MAX >> 2 | (which as u64) << 62;
            let mut worker = Worker { which, next, notes, shared };
            scope.spawn(move || {
                loop {
                    worker.step();
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(move || shared.read());
        }
        child::acknowledge(1);
    });
}

/// The parent's side.
struct Torture {
    scene: Scene,
    objects: BTreeMap<u64, u64>,
    numbers: BTreeMap<u64, u64>,
    removed: Vec<u64>,
    kills: u64,
    steps: u64,
}

impl Torture {
    fn round(&mut self, seed: u64) {
        let dir = self.scene.path("");
        // The remover comes last: what it removed was noted by who added it.
        let left = notes::kill_midway("slab_torture::child_changes", &dir, (WORKERS, seed));
        self.kills += 1;
        left.done.iter().for_each(|note| self.follow(*note));
        self.look(&left.under_way, seed);
    }

    fn follow(&mut self, note: Note) {
        self.steps += 1;
        match note.act {
            Act::Add => {
                let before = self.objects.insert(note.id, note.word);
                assert!(before.is_none() && !self.removed.contains(&note.id), "an id of before");
            }
            Act::Remove => {
                self.objects.remove(&note.id);
                self.removed.push(note.id);
            }
            Act::Set => drop(self.numbers.insert(note.id, note.word)),
            Act::Commit => {}
        }
    }

    /// Opens the file after a kill: all that returned is there, and of what was under way all or
    /// nothing.
    fn look(&mut self, under_way: &[Note], how: u64) {
        let Shared { file, slabs, counts, live, .. } = Shared::open(&self.scene.path(""));
        check_clean(&file);
        let pin = file.pin();
        let live = live.into_inner().unwrap();
        let shown = |id: &SlotId| (id.to_bits(), mark_of(slabs.get(&pin, *id).unwrap()).unwrap());
        let found: BTreeMap<u64, u64> = live.iter().map(shown).collect();
        let mut added: Vec<u64> =
            under_way.iter().filter(|note| note.act == Act::Add).map(|note| note.word).collect();
        for (id, word) in &found {
            if let Some(before) = self.objects.get(id) {
                assert_eq!(before, word, "{id:#x} changed");
                continue;
            }
            // Each add that was under way may be there once.
            let nth = added.iter().position(|added| added == word);
            added.remove(nth.unwrap_or_else(|| panic!("{id:#x}: {word:#x} came up")));
        }
        for id in self.objects.keys().filter(|id| !found.contains_key(id)) {
            let goes = |note: &Note| note.act == Act::Remove && note.id == *id;
            assert!(under_way.iter().any(goes), "{id:#x} was acknowledged and is lost");
            self.removed.push(*id);
        }
        for id in self.removed.iter().rev().take(500) {
            let refused = slabs.get(&pin, SlotId::from_bits(*id)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StaleId, "{refused}");
        }
        for index in 0..NUMBERS * WORKERS as u64 {
            let now = counts.get(&pin, u32::try_from(index).unwrap()).unwrap();
            let known = self.numbers.get(&index).copied().unwrap_or(0);
            let sets = |note: &Note| (note.act, note.id, note.word) == (Act::Set, index, now);
            assert!(now == known || under_way.iter().any(sets), "{index}: {known} became {now}");
            self.numbers.insert(index, now);
        }
        drop((pin, slabs, counts));
        self.objects = found;
        match how % 3 {
            0 => file.close().unwrap(),
            1 => file.commit().unwrap(),
            _ => {}
        }
    }
}

#[test]
fn acknowledged_changes_are_there() {
    let (budget, seed, start) = (budget(2.0), seed(), Instant::now());
    let mut torture = Torture {
        scene: Scene::fast(),
        objects: BTreeMap::new(),
        numbers: BTreeMap::new(),
        removed: Vec::new(),
        kills: 0,
        steps: 0,
    };
    while start.elapsed() < budget || torture.kills < 5 {
        torture.round(mix(seed).wrapping_add(torture.kills));
    }
    let Torture { kills, steps, .. } = torture;
    say(&format!("torture of slabs: seed {seed}, {kills} kills, {steps} steps, 0 torn, 0 lost"));
}
