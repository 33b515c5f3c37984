//! The writer's steps, in the store orders of docs/durability.md.

pub(crate) mod adopt; // regions: adopt, give back
mod block; // blocks: space, write, publish, retire
mod stretch; // blocks of unknown length: space that grows, publish
mod commit; // sync, superblock, sync; sweep
mod log; // entries, segments and their ends
mod discard; // undo the open epoch
mod evacuate; // blocks move, regions are given back
pub(crate) mod index; // indices of ids
pub(crate) mod open; // which state is kept
mod rebuild; // volatile state from the file
mod slab; // slabs: slots taken and emptied
mod count; // numbers in slots
mod zero; // zeros over freed space

use std::{sync::atomic::Ordering, time::Instant};

pub(crate) use crate::engine::{
    block::{Bytes, Content, LEN_MAX, Summed, Written},
    log::{Draft, Drafted, Given, Tail},
    rebuild::Found,
    stretch::{Payload, Stretch},
};

use crate::{
    class::GRAIN,
    error::Result,
    layout::owner,
    options::Durability,
    retired::Waste,
    shared::Shared,
    space::Run,
    state::State,
    word::{COUNT, ENTRY, Pair, TOMBSTONE, View, Word},
};

/// The file and the one writer's state, for the length of an operation.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) state: &'a mut State,
}

impl Engine<'_> {
    /// Before each change: errors where none is allowed; the first one after open takes the clean
    /// mark off the device.
    pub(crate) fn touch(&mut self) -> Result<()> {
        if self.state.changed {
            return self.shared.check_poison();
        }
        self.shared.check_writable()?;
        if !self.state.touched {
            let scratch = self.shared.options.durability == Durability::Scratch;
            let raw = &self.shared.raw;
            raw.store(owner::SCRATCH, u64::from(scratch), Ordering::Relaxed);
            raw.store(owner::CLEAN, 0, Ordering::Relaxed);
            self.sync("sync of the clean mark")?;
            self.state.touched = true;
            self.prove_lists()?;
        }
        self.state.changed = true;
        self.state.last_commit.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Waits for the device; a failure poisons.
    pub(crate) fn sync(&mut self, action: &'static str) -> Result<()> {
        match self.shared.raw.sync() {
            Ok(()) => Ok(()),
            Err(error) => Err(self.poison(action, error.into())),
        }
    }

    /// Refuses all changes until the file is opened again, and says so in the file.
    pub(crate) fn poison(&mut self, action: &'static str, error: crate::Error) -> crate::Error {
        self.shared.raw.store(owner::POISONED, 1, Ordering::Release);
        self.shared.poison(action, error)
    }

    /// Publishes `class` and `body` in the pair at `at`; returns what counted before.
    pub(crate) fn publish(&mut self, at: u64, class: u8, body: u64) -> Word {
        let (pair, tag) = (self.shared.pair(at), self.shared.tag());
        let target = at + 8 * pair.target(tag) as u64;
        self.shared.raw.store(target, Word::new(tag, class, body).0, Ordering::Release);
        pair.word(tag, View::Newest)
    }

    pub(crate) fn newest(&self, at: u64) -> Word {
        let pair: Pair = self.shared.pair(at);
        pair.word(self.shared.tag(), View::Newest)
    }

    /// Puts the space of a word aside that counts no more.
    pub(crate) fn retire_word(&mut self, word: Word) -> Result<()> {
        // An entry goes with its segment.
        if word.is_empty() || matches!(word.class(), TOMBSTONE | ENTRY | COUNT) {
            return Ok(());
        }
        let at = word.body() * GRAIN;
        if word.is_alone() {
            return match self.state.holding(at) {
                Some((number, _)) => self.give_back(number),
                None => Ok(()),
            };
        }
        let private = word.tag() == self.shared.tag();
        self.retire(private, Waste::Run(Run::of(at, word.class())));
        Ok(())
    }

    /// Puts space aside: it is free when no pin can see it and, unless it is private to the open
    /// epoch, when the epoch is committed.
    pub(crate) fn retire(&mut self, private: bool, waste: Waste) {
        if private || self.shared.options.durability == Durability::Scratch {
            let stamp = self.shared.pins.stamp();
            self.state.retired.retire_private(stamp, waste);
        } else {
            self.state.retired.quarantine(waste);
        }
    }

    /// Frees what waited long enough; false when nothing did.
    pub(crate) fn reclaim(&mut self) -> bool {
        if !self.state.retired.is_waiting() {
            return false;
        }
        let oldest = self.shared.pins.oldest();
        let held = match self.state.retired.next_epoch(oldest) {
            Some(_) => self.oldest_hold(self.state.generation),
            None => 0,
        };
        let mut freed = Vec::new();
        self.state.retired.reclaim((oldest, held), |waste| freed.push(waste));
        for waste in &freed {
            match *waste {
                Waste::Run(run) => self.free_run(run),
                Waste::Range(range) => self.free_range(range),
                Waste::Slots { batch, .. } => self.state.slabs.free(batch),
            }
        }
        !freed.is_empty()
    }

    /// The oldest generation below `generation` that a reader in another process holds; all ones
    /// where there is none.
    ///
    /// Asked after the commit of an epoch it decides about all that the epoch retired: a reader
    /// that comes later sees that the epoch is committed, and looks at nothing of before.
    pub(crate) fn oldest_hold(&self, generation: u64) -> u64 {
        match self.shared.raw.oldest_hold(generation) {
            Ok(held) => held.unwrap_or(u64::MAX),
            Err(error) => {
                tracing::warn!(%error, "as if a reader held all generations");
                0
            }
        }
    }

    fn free_run(&mut self, run: Run) {
        self.zero_run(run);
        self.free_zeroed(run);
    }

    fn free_zeroed(&mut self, run: Run) {
        let number = match self.state.holding(run.at()) {
            Some((number, region)) if region.loaded => {
                region.free += u64::from(run.grains);
                (region.free == region.grains()).then_some(number)
            }
            Some((number, _)) => {
                // Its bitmap is in the snapshot still.
                self.load_region(number);
                return self.free_zeroed(run);
            }
            None => return,
        };
        self.state.empties.extend(number);
        self.state.space.free(run);
    }
}
