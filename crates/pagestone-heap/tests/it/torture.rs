//! A child that changes a heap is killed at any moment; what it acknowledged is there.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use pagestone_heap::{BlockId, BlockWriter, ErrorKind, Heap, HeapOptions, RegionFile, ShrinkState};
use pagestone_testkit::child::{self, Child};

use crate::support::{
    Dice, Scene, budget, check_clean, contents, mark_of, marked, mix, options, say, seed, trusted,
};

/// Blocks by which a child frees more than it makes.
const MANY: usize = 2500;
/// Ids that the readers of a child know of.
const WATCHED: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Act {
    Allocate = 1,
    Put,
    Modify,
    Free,
    Commit,
    Discard,
    Close,
    /// Steps of a shrink up to the commit that it wants.
    Shrink,
}

const ACTS: [Act; 8] = [
    Act::Allocate,
    Act::Put,
    Act::Modify,
    Act::Free,
    Act::Commit,
    Act::Discard,
    Act::Close,
    Act::Shrink,
];

/// What a child is about to do, or has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    act: Act,
    done: bool,
    id: u64,
    word: u64,
    len: u64,
}

const NOTE: usize = 40;

impl Note {
    fn encode(self) -> [u8; NOTE] {
        let head = (self.act as u64) << 1 | u64::from(self.done);
        let sum = mix(head ^ self.id.rotate_left(1) ^ self.word.rotate_left(2) ^ self.len);
        let mut bytes = [0; NOTE];
        for (to, word) in bytes.chunks_mut(8).zip([head, self.id, self.word, self.len, sum]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes[8 * at..].first_chunk().map(|word| u64::from_le_bytes(*word));
        let head = word(0)?;
        let act = *ACTS.iter().find(|act| (**act as u64) == head >> 1)?;
        let note = Self { act, done: head & 1 == 1, id: word(1)?, word: word(2)?, len: word(3)? };
        (bytes.len() == NOTE && note.encode() == bytes).then_some(note)
    }
}

/// The notes of a child, which outlive it in the page cache.
#[derive(Debug)]
struct Notes {
    file: File,
    len: u64,
}

impl Notes {
    fn write(&mut self, note: Note) {
        self.file.write_all_at(&note.encode(), self.len).unwrap();
        self.len += NOTE as u64;
    }

    fn read(path: &Path) -> Vec<Note> {
        let bytes = std::fs::read(path).unwrap_or_default();
        // What the kill cut was not acknowledged.
        bytes.chunks(NOTE).map_while(Note::decode).collect()
    }
}

type State = BTreeMap<u64, (u64, u64)>;

/// Whether the content is what the model says; short content has no room for all of its mark.
fn is(bytes: &[u8], (word, len): (u64, u64)) -> bool {
    bytes.len() as u64 == len && marked(word, bytes.len()) == bytes
}

/// The life of a child between two kills.
struct Life<'l> {
    dice: Dice,
    notes: Notes,
    location: pagestone_storage::Location,
    live: Vec<BlockId>,
    committed: Option<Vec<BlockId>>,
    watched: &'l [AtomicU64],
}

impl Life<'_> {
    fn open(&mut self) -> (RegionFile, Heap) {
        let file = options().open_or_create(self.location.clone()).unwrap();
        let heap = file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap();
        self.live = contents(&heap).into_keys().collect();
        (file, heap)
    }

    fn act(&mut self) -> Act {
        let more = self.live.len() < MANY;
        match self.dice.below(100) {
            0..4 => Act::Commit,
            4 if self.committed.is_some() => Act::Discard,
            5 => Act::Close,
            6..9 => Act::Shrink,
            9..15 => Act::Modify,
            15..40 => Act::Put,
            40..60 => Act::Free,
            60..70 if !more => Act::Free,
            _ if more => Act::Allocate,
            _ => Act::Free,
        }
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.live.len() as u64;
        (count != 0).then(|| usize::try_from(self.dice.below(count)).unwrap())
    }

    /// One change, noted before and after.
    fn step(&mut self, file: &RegionFile, heap: &Heap) -> Act {
        let mut act = self.act();
        let mut at = 0;
        if matches!(act, Act::Put | Act::Modify | Act::Free) {
            match self.pick() {
                Some(found) => at = found,
                None => act = Act::Allocate,
            }
        }
        let id = self.live.get(at).copied();
        let (word, mut len) = (self.dice.word(), self.dice.len());
        if let (Act::Modify, Some(id)) = (act, id) {
            len = heap.read(id, <[u8]>::len).unwrap();
        }
        let streams = word % 4 == 1;
        if matches!(act, Act::Put | Act::Allocate) && word % 64 == 1 {
            len = 300_000 + usize::try_from(word >> 40 & 0xf_ffff).unwrap();
        }
        let bits = id.map_or(0, BlockId::to_bits);
        let mut note = Note { act, done: false, id: bits, word, len: len as u64 };
        self.notes.write(note);
        let mut writer = file.writer();
        match (act, id) {
            (Act::Allocate, _) => {
                let content = marked(word, len);
                let id = if streams {
                    heap.allocate_by(&mut writer, |out| write(out, &content)).unwrap()
                } else {
                    heap.allocate_from(&mut writer, &content).unwrap()
                };
                note.id = id.to_bits();
                self.live.push(id);
                self.watched[usize::try_from(word % WATCHED as u64).unwrap()]
                    .store(note.id, Ordering::Release);
            }
            (Act::Put, Some(id)) if streams => {
                let content = marked(word, len);
                heap.put_by(&mut writer, id, |out| write(out, &content)).unwrap();
            }
            (Act::Put, Some(id)) => heap.put(&mut writer, id, &marked(word, len)).unwrap(),
            (Act::Modify, Some(id)) => {
                let change = |bytes: &mut [u8]| bytes.copy_from_slice(&marked(word, len));
                heap.modify(&mut writer, id, change).unwrap();
            }
            (Act::Free, Some(id)) => {
                heap.free(&mut writer, id).unwrap();
                self.live.swap_remove(at);
            }
            (Act::Commit, _) => {
                writer.commit().unwrap();
                self.committed = Some(self.live.clone());
            }
            (Act::Discard, _) => {
                writer.discard().unwrap();
                self.live = self.committed.clone().unwrap();
            }
            (Act::Close, _) => {
                drop(writer);
                file.clone().close().unwrap();
                self.committed = Some(self.live.clone());
            }
            (Act::Shrink, _) => {
                drop(writer);
                let step = || file.shrink_step(Duration::from_micros(50)).unwrap();
                let _more = (0..20).any(|_| step().state != ShrinkState::Moving);
            }
            (act, None) => panic!("{act:?} of nothing"),
        }
        note.done = true;
        self.notes.write(note);
        act
    }
}

/// Writes a content in pieces, so that a kill comes between two.
fn write(out: &mut BlockWriter<'_, '_>, content: &[u8]) -> std::io::Result<()> {
    content.chunks(60_000).try_for_each(|piece| out.write_all(piece))
}

/// Reads what is watched until told to end: every content is whole, or the id is stale.
fn watch(file: &RegionFile, heap: &Heap, (watched, end): (&[AtomicU64], &AtomicBool)) {
    while !end.load(Ordering::Relaxed) {
        let pin = file.pin();
        for id in watched {
            let id = id.load(Ordering::Acquire);
            match heap.get(&pin, BlockId::from_bits(id)) {
                Ok(bytes) => assert!(
                    bytes.len() < 16 || mark_of(bytes).is_some(),
                    "torn: {id:#x}, {} bytes",
                    bytes.len()
                ),
                Err(error) => assert_eq!(error.kind(), ErrorKind::StaleId, "{error}"),
            }
        }
    }
}

/// Changes a heap for ever; the errand is `path of notes, readers, seed, path of heap`.
#[test]
fn child_changes() {
    let Some(errand) = child::errand() else { return };
    let mut parts = errand.splitn(4, ' ');
    let mut part = || parts.next().unwrap();
    let (notes, readers, seed, path) = (part(), part(), part(), Path::new(part()));
    let location = trusted(path.parent().unwrap()).file(path.file_name().unwrap());
    let file = File::options().write(true).create(true).truncate(true).open(notes).unwrap();
    let watched: Vec<AtomicU64> = (0..WATCHED).map(|_| AtomicU64::new(1)).collect();
    let mut life = Life {
        dice: Dice::new(seed.parse().unwrap()),
        notes: Notes { file, len: 0 },
        location,
        live: Vec::new(),
        committed: None,
        watched: &watched,
    };
    child::acknowledge(1);
    loop {
        let (file, heap) = life.open();
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..readers.parse().unwrap() {
                scope.spawn(|| watch(&file, &heap, (&watched, &end)));
            }
            while life.step(&file, &heap) != Act::Close || life.dice.below(2) == 0 {}
            end.store(true, Ordering::Relaxed);
        });
    }
}

/// The parent's side.
struct Torture {
    scene: Scene,
    /// Each state that the file may have: with and without the step that was under way.
    states: Vec<State>,
    stale: Vec<u64>,
    kills: u64,
    steps: u64,
}

fn apply(state: &mut State, note: &Note) {
    match note.act {
        Act::Allocate | Act::Put | Act::Modify => {
            state.insert(note.id, (note.word, note.len));
        }
        Act::Free => {
            state.remove(&note.id);
        }
        Act::Commit | Act::Discard | Act::Close | Act::Shrink => {}
    }
}

impl Torture {
    fn new() -> Self {
        let states = vec![State::new()];
        Self { scene: Scene::fast(), states, stale: Vec::new(), kills: 0, steps: 0 }
    }

    /// Follows the notes of a child from the state it found.
    fn follow(&mut self, notes: &[Note]) {
        let mut state = self.states.pop().unwrap();
        let mut committed = state.clone();
        let mut done = true;
        self.states.clear();
        for note in notes {
            done = note.done;
            if !done {
                continue;
            }
            self.steps += 1;
            match note.act {
                Act::Free => self.stale.push(note.id),
                Act::Commit | Act::Close => committed.clone_from(&state),
                Act::Discard => {
                    state.clone_from(&committed);
                    // Ids of the undone epoch may come again, and freed ones are back.
                    self.stale.clear();
                }
                _ => {}
            }
            apply(&mut state, note);
        }
        let under_way = notes.last().filter(|_| !done);
        if let Some(note) = under_way {
            let mut other = state.clone();
            match note.act {
                Act::Discard => other = committed,
                Act::Allocate => {
                    other.insert(0, (note.word, note.len));
                }
                _ => apply(&mut other, note),
            }
            self.states.push(other);
            if note.act == Act::Free || note.act == Act::Discard {
                self.stale.clear();
            }
        }
        self.states.push(state);
    }

    /// Opens the file after a kill and compares it with what it may be.
    fn look(&mut self, notes: &[Note], how: u64) {
        let file = options().open_or_create(self.scene.at("file.pgs")).unwrap();
        let heap = file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap();
        check_clean(&file);
        let found = contents(&heap);
        let Some(known) = self.states.iter().find_map(|state| settled(state, &found)) else {
            let latest = &notes[notes.len().saturating_sub(5)..];
            let lost: Vec<String> =
                self.states.iter().map(|state| difference(state, &found)).collect();
            panic!("acknowledged and lost, or torn, after {latest:?}: {lost:#?}");
        };
        self.stale.retain(|id| !known.contains_key(id));
        let pin = file.pin();
        for id in self.stale.iter().rev().take(300) {
            let refused = heap.get(&pin, BlockId::from_bits(*id)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StaleId, "{refused}");
        }
        drop((pin, heap));
        self.states = vec![known];
        match how % 3 {
            0 => file.close().unwrap(),
            1 => file.commit().unwrap(),
            _ => {}
        }
    }

    fn round(&mut self, seed: u64) {
        let mut dice = Dice::new(seed);
        let (notes, path) = (self.scene.path("notes"), self.scene.path("file.pgs"));
        let readers = if dice.below(3) == 0 { 2 } else { 0 };
        let (notes, path) = (notes.to_str().unwrap(), path.to_str().unwrap());
        let errand = format!("{notes} {readers} {seed} {path}");
        let mut child = Child::start("torture::child_changes", &errand);
        child.wait_for(1);
        let start = Instant::now();
        let longest = if dice.below(4) == 0 { 80_000 } else { 15_000 };
        let life = Duration::from_micros(dice.below(longest));
        while start.elapsed() < life {
            std::thread::yield_now();
        }
        child.kill(0);
        self.kills += 1;
        let notes = Notes::read(Path::new(notes));
        self.follow(&notes);
        self.look(&notes, dice.word());
    }
}

/// The state with the id that a new block got whose allocation was under way; `None` where it is
/// not what was found.
fn settled(state: &State, found: &BTreeMap<BlockId, Vec<u8>>) -> Option<State> {
    let mut settled = state.clone();
    let mut new = settled.remove(&0);
    for (id, bytes) in found {
        let expected = match settled.get(&id.to_bits()) {
            Some(expected) => *expected,
            None => new.take()?,
        };
        if !is(bytes, expected) {
            return None;
        }
        settled.insert(id.to_bits(), expected);
    }
    (settled.len() == found.len()).then_some(settled)
}

fn difference(state: &State, found: &BTreeMap<BlockId, Vec<u8>>) -> String {
    let missing: Vec<u64> =
        state.keys().filter(|id| !found.contains_key(&BlockId::from_bits(**id))).copied().collect();
    let other: Vec<u64> = found
        .iter()
        .filter(|(id, bytes)| !state.get(&id.to_bits()).is_some_and(|known| is(bytes, *known)))
        .map(|(id, _)| id.to_bits())
        .collect();
    format!("{} known, {} found; missing {missing:x?}; other {other:x?}", state.len(), found.len())
}

#[test]
fn acknowledged_changes_are_there() {
    let (budget, seed) = (budget(4.0), seed());
    let start = Instant::now();
    let mut torture = Torture::new();
    let mut round = 0;
    while start.elapsed() < budget || round < 10 {
        // A fresh file now and then: creation is killed too.
        if round % 64 == 63 {
            let fresh = Torture { kills: torture.kills, steps: torture.steps, ..Torture::new() };
            torture = fresh;
        }
        torture.round(mix(seed).wrapping_add(round));
        round += 1;
    }
    let Torture { kills, steps, .. } = torture;
    say(&format!("torture: seed {seed}, {kills} kills, {steps} steps, 0 torn, 0 lost"));
}
