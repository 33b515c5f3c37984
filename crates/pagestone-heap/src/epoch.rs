//! The open epoch as readers see it, and the two looks at it around the words of a pair.

use std::sync::atomic::Ordering;

#[cfg(all(loom, test))]
use loom::sync::atomic::AtomicU16;

#[cfg(not(all(loom, test)))]
use crate::sync::AtomicU16;
use crate::word::{Pair, View, Word};

/// The tag of the open epoch.
#[derive(Debug)]
pub(crate) struct Epoch(AtomicU16);

impl Epoch {
    pub(crate) fn new(tag: u16) -> Self {
        Self(AtomicU16::new(tag))
    }

    /// For the writer, who alone changes it.
    #[inline]
    pub(crate) fn tag(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }

    /// For a reader who makes sure by other means that it has not changed.
    #[inline]
    pub(crate) fn seen(&self) -> u16 {
        self.0.load(Ordering::Acquire)
    }

    /// Opens the epoch of this tag.
    pub(crate) fn open(&self, tag: u16) {
        self.0.store(tag, Ordering::Release);
    }

    /// The word of a pair that counts: both words are of one epoch. `load` acquires.
    #[inline]
    pub(crate) fn select(&self, view: View, load: impl Fn() -> Pair) -> Word {
        loop {
            let tag = self.0.load(Ordering::Acquire);
            let pair = load();
            // The loads of the pair acquire, so this one comes after them. Without the second
            // look the first word may be two commits older than the second.
            if self.0.load(Ordering::Acquire) == tag {
                return pair.word(tag, view);
            }
        }
    }
}

#[cfg(all(loom, test))]
mod tests {
    use loom::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        thread,
    };

    use super::{Epoch, Pair, View, Word};

    /// A slot that a writer changes once an epoch, as `Engine::publish` does it.
    struct Slot {
        epoch: Epoch,
        words: [AtomicU64; 2],
        /// The body that a reader sees at least who comes from here on.
        least: AtomicU64,
    }

    impl Slot {
        fn load(&self) -> Pair {
            Pair([0, 1].map(|at| Word(self.words[at].load(Ordering::Acquire))))
        }

        fn publish(&self, body: u64) {
            let tag = self.epoch.tag();
            let target = self.load().target(tag);
            self.words[target].store(Word::new(tag, 5, body).0, Ordering::Release);
        }
    }

    fn explore(view: View) {
        loom::model(move || {
            let slot = Arc::new(Slot {
                epoch: Epoch::new(7),
                words: [AtomicU64::new(Word::new(6, 5, 1).0), AtomicU64::new(0)],
                least: AtomicU64::new(1),
            });
            let writing = Arc::clone(&slot);
            let writer = thread::spawn(move || {
                for (tag, body) in (7..).zip(2..5) {
                    writing.epoch.open(tag);
                    if view == View::Committed {
                        writing.least.store(body - 1, Ordering::Release);
                    }
                    writing.publish(body);
                    if view == View::Newest {
                        writing.least.store(body, Ordering::Release);
                    }
                }
            });
            let least = slot.least.load(Ordering::Acquire);
            let seen = slot.epoch.select(view, || slot.load()).body();
            assert!(least <= seen, "older than what was there before: {seen} of {least}");
            writer.join().unwrap();
        });
    }

    #[test]
    fn a_reader_sees_a_state_that_was_there() {
        explore(View::Newest);
    }

    #[test]
    fn a_reader_of_commits_sees_one_that_was_the_last() {
        explore(View::Committed);
    }
}
