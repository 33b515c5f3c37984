//! Pins: who in this process may still look at bytes that are used no more.
//!
//! Epoch-based reclamation (Fraser 2004): a pin stores the value of a clock that every retirement
//! advances; space that was retired at or after the oldest pin's value waits.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, atomic::Ordering},
};

#[cfg(all(loom, test))]
use loom::sync::{
    Mutex,
    atomic::{AtomicU64, fence},
};

use crate::shared::Shared;
#[cfg(not(all(loom, test)))]
use crate::sync::{AtomicU64, Mutex, fence};

/// A scheduler of tests runs all threads on one, and each run has to be like the one before.
const SCHEDULED: bool = cfg!(any(all(loom, test), shuttle));

/// Pins that cost no lock. More are kept in a list under one.
const SLOTS: usize = if SCHEDULED { 2 } else { 64 };
const VACANT: u64 = u64::MAX;

/// A word alone on its cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Slot(AtomicU64);

/// The pins of one file and the clock they read.
#[derive(Debug)]
pub(crate) struct Pins {
    clock: AtomicU64,
    slots: [Slot; SLOTS],
    /// How many pins each clock value beyond the slots has.
    others: Mutex<BTreeMap<u64, u64>>,
}

/// Keeps blocks that are got with it as they are; see [`RegionFile::pin`](crate::RegionFile::pin).
///
/// While it lives, space freed after it was taken is not used again.
#[derive(Debug)]
pub struct Pin<'f> {
    shared: &'f Shared,
    place: Place,
    /// The generation that is held against the writer of another process.
    held: Option<u64>,
}

impl<'f> Pin<'f> {
    pub(crate) fn new(shared: &'f Shared) -> Self {
        Self { shared, place: shared.pins.take(), held: shared.hold() }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &'f Shared {
        self.shared
    }

    #[inline]
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.shared.pins.give_back(self.place);
        if let Some(held) = self.held {
            self.shared.release(held);
        }
    }
}

/// Where a pin stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Slot(usize),
    Other(u64),
}

std::thread_local! {
    /// Where this thread looks for a vacant slot first.
    static HINT: std::cell::Cell<usize> = std::cell::Cell::new(first_hint());
}

fn first_hint() -> usize {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    usize::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(0) % SLOTS
}

impl Pins {
    pub(crate) fn new() -> Self {
        Self {
            clock: AtomicU64::new(1),
            slots: std::array::from_fn(|_| Slot(AtomicU64::new(VACANT))),
            others: Mutex::new(BTreeMap::new()),
        }
    }

    /// Takes a pin.
    ///
    /// The clock may move between its load and the store of the pin; the pin then only holds
    /// more. What matters is the fence: the loads of the reader come after its pin is there, and
    /// the writer's look at the pins comes after its publishes.
    pub(crate) fn take(&self) -> Place {
        let now = self.clock.load(Ordering::Relaxed);
        let hint = if SCHEDULED { 0 } else { HINT.get() };
        for step in 0..SLOTS {
            let at = (hint + step) % SLOTS;
            let slot = &self.slots[at].0;
            let vacant = slot.load(Ordering::Relaxed) == VACANT;
            // SeqCst: a full barrier on every machine, so that no load of the reader overtakes it.
            let swap = || slot.compare_exchange(VACANT, now, Ordering::SeqCst, Ordering::Relaxed);
            if vacant && swap().is_ok() {
                if step != 0 {
                    HINT.set(at);
                }
                fence(Ordering::SeqCst);
                return Place::Slot(at);
            }
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        *others.entry(now).or_insert(0) += 1;
        fence(Ordering::SeqCst);
        Place::Other(now)
    }

    /// Gives a pin back.
    pub(crate) fn give_back(&self, place: Place) {
        match place {
            Place::Slot(at) => self.slots[at].0.store(VACANT, Ordering::Release),
            Place::Other(value) => {
                let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(count) = others.get_mut(&value) {
                    *count -= 1;
                    if *count == 0 {
                        others.remove(&value);
                    }
                }
            }
        }
    }

    /// The stamp of what is retired at this moment, after the publish that replaced it.
    pub(crate) fn stamp(&self) -> u64 {
        // Only the writer advances the clock.
        let now = self.clock.load(Ordering::Relaxed);
        self.clock.store(now + 1, Ordering::Release);
        now
    }

    /// The smallest stamp that a pin holds; what was retired before it is looked at by nobody.
    pub(crate) fn oldest(&self) -> u64 {
        fence(Ordering::SeqCst);
        let oldest = self.slots.iter().map(|slot| slot.0.load(Ordering::Acquire)).min();
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let other = others.keys().next().copied().unwrap_or(VACANT);
        oldest.unwrap_or(VACANT).min(other)
    }

    /// Pins that are held, and how many retirements ago the oldest was taken.
    pub(crate) fn count(&self) -> (u64, u64) {
        let held = self.slots.iter().filter(|slot| slot.0.load(Ordering::Relaxed) != VACANT);
        let held = held.count() as u64;
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let others: u64 = others.values().sum();
        let oldest = self.oldest_unlocked();
        (held + others, oldest)
    }

    fn oldest_unlocked(&self) -> u64 {
        let now = self.clock.load(Ordering::Relaxed);
        let oldest = self.slots.iter().map(|slot| slot.0.load(Ordering::Acquire)).min();
        oldest.filter(|oldest| *oldest != VACANT).map_or(0, |oldest| now.saturating_sub(oldest))
    }
}

#[cfg(all(loom, test))]
mod interleavings {
    use loom::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        thread,
    };

    use super::Pins;

    /// A block that is replaced: its place and what lies at both places.
    struct Replaced {
        pins: Pins,
        word: AtomicU64,
        places: [AtomicU64; 2],
    }

    /// A reader with a pin, and a writer that replaces the block and uses its space again as soon
    /// as the pins let it.
    fn explore(held: usize) {
        loom::model(move || {
            let shared = Arc::new(Replaced {
                pins: Pins::new(),
                word: AtomicU64::new(0),
                places: [AtomicU64::new(10), AtomicU64::new(11)],
            });
            // So many pins that the one to come finds no slot and goes behind the lock.
            let others: Vec<_> = (0..held).map(|_| shared.pins.take()).collect();
            let writing = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                writing.word.store(1, Ordering::Release);
                let stamp = writing.pins.stamp();
                for other in others {
                    writing.pins.give_back(other);
                }
                if stamp < writing.pins.oldest() {
                    writing.places[0].store(99, Ordering::Relaxed);
                }
            });
            let pin = shared.pins.take();
            let place = shared.word.load(Ordering::Acquire);
            let at = usize::try_from(place).unwrap();
            let seen = shared.places[at].load(Ordering::Relaxed);
            assert_eq!(seen, 10 + place, "used again under a pin");
            shared.pins.give_back(pin);
            writer.join().unwrap();
        });
    }

    #[test]
    fn space_waits_for_a_pin_in_a_slot() {
        explore(0);
    }

    #[test]
    fn space_waits_for_a_pin_beyond_the_slots() {
        explore(super::SLOTS);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::{Pins, SLOTS, VACANT};

    #[test]
    fn the_oldest_pin_counts_and_there_is_no_most() {
        let pins = Pins::new();
        assert_eq!(pins.oldest(), VACANT);
        let first = pins.take();
        let retired = pins.stamp();
        assert!(pins.oldest() <= retired, "the pin came before");
        let many: Vec<_> = (0..3 * SLOTS).map(|_| pins.take()).collect();
        assert_eq!(pins.count().0, 3 * SLOTS as u64 + 1);
        pins.give_back(first);
        assert!(retired < pins.oldest(), "all pins left came after");
        let later = pins.stamp();
        assert!(pins.oldest() <= later);
        for pin in many {
            pins.give_back(pin);
        }
        assert_eq!((pins.oldest(), pins.count().0), (VACANT, 0));
    }
}
