//! What the threads of a child were about to do and had done, when it was killed at any moment.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{child::Child, random::mix};

/// The longest life of a child that is killed, in microseconds.
const LIFE_MAX: u64 = 60_000;

/// What a worker can do.
pub trait Act: Copy + Eq + 'static {
    /// All of it; a note holds the place in this list.
    const ALL: &'static [Self];
}

/// What a worker is about to do, or has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note<A> {
    /// What.
    pub act: A,
    /// Whether the call has returned.
    pub done: bool,
    /// To which unit.
    pub id: u64,
    /// What its content is made of.
    pub word: u64,
}

const NOTE: usize = 32;

impl<A: Act> Note<A> {
    fn encode(self) -> [u8; NOTE] {
        let code = A::ALL.iter().position(|act| *act == self.act).unwrap_or(A::ALL.len());
        let head = (code as u64 + 1) << 1 | u64::from(self.done);
        let sum = mix(head ^ self.id.rotate_left(1) ^ self.word.rotate_left(2));
        let mut bytes = [0; NOTE];
        for (to, word) in bytes.chunks_mut(8).zip([head, self.id, self.word, sum]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let &[head, id, word, _] = words else { return None };
        let [head, id, word] = [head, id, word].map(u64::from_le_bytes);
        let code = usize::try_from((head >> 1).checked_sub(1)?).ok()?;
        let note = Self { act: *A::ALL.get(code)?, done: head & 1 == 1, id, word };
        (note.encode() == bytes).then_some(note)
    }
}

fn notes_of(dir: &Path, worker: usize) -> PathBuf {
    dir.join(format!("notes{worker}"))
}

/// Where one worker notes; what is there outlives a kill in the page cache.
#[derive(Debug)]
pub struct Notes {
    file: File,
    len: u64,
}

impl Notes {
    /// An empty list in the child's directory.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test cannot go on without its notes")]
    pub fn create(dir: &Path, worker: usize) -> Self {
        let file = File::create(notes_of(dir, worker)).expect("a file for notes");
        Self { file, len: 0 }
    }

    /// Notes something.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn add<A: Act>(&mut self, note: Note<A>) {
        let written = self.file.write_all_at(&note.encode(), self.len);
        assert!(written.is_ok(), "{written:?}");
        self.len += NOTE as u64;
    }
}

/// What workers of a killed child have noted, one worker after the other.
#[derive(Debug, Clone)]
pub struct Left<A> {
    /// What returned.
    pub done: Vec<Note<A>>,
    /// What was under way, one of each worker at most.
    pub under_way: Vec<Note<A>>,
}

/// Runs a child with the errand `SEED DIR`, kills it some time after its first acknowledgement,
/// and reads what its workers noted.
///
/// # Panics
///
/// When it cannot be started, or fails by itself.
#[must_use]
#[track_caller]
pub fn kill_midway<A: Act>(test: &str, dir: &Path, (workers, seed): (usize, u64)) -> Left<A> {
    for worker in 0..workers {
        std::fs::remove_file(notes_of(dir, worker)).ok();
    }
    let mut child = Child::start(test, &format!("{seed} {}", dir.display()));
    child.wait_for(1);
    let (start, life) = (Instant::now(), Duration::from_micros(mix(seed) % LIFE_MAX));
    while start.elapsed() < life {
        thread::yield_now();
    }
    child.kill(0);
    let mut left = Left { done: Vec::new(), under_way: Vec::new() };
    for worker in 0..workers {
        let bytes = std::fs::read(notes_of(dir, worker)).unwrap_or_default();
        // What the kill cut was not noted.
        let notes: Vec<Note<A>> = bytes.chunks(NOTE).map_while(Note::decode).collect();
        left.under_way.extend(notes.last().filter(|note| !note.done).copied());
        left.done.extend(notes.iter().filter(|note| note.done));
    }
    left
}
