//! Commit: data and control words on the device, then the superblock; and the sweep of old tags.

use std::{sync::atomic::Ordering, time::Instant};

use zerocopy::IntoBytes;

use crate::{
    engine::Engine,
    error::{Cause, Result},
    header::Committed,
    layout::{SUPERBLOCKS, owner},
    options::Durability,
    ranges::Range,
    word::{Pair, SWEEP_EVERY, View, Word, tag_of},
};

/// Where the checksum of a superblock lies, in the word that is stored last.
const SUM_WORD: u64 = 504;

impl Engine<'_> {
    /// Makes everything since the last commit survive power loss.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.shared.check_poison()?;
        let scratch = self.shared.options.durability == Durability::Scratch;
        if !self.state.changed || scratch {
            if self.shared.options.zero_on_free {
                self.reclaim();
            }
            return Ok(());
        }
        self.give_empties_back()?;
        self.seal(Range::EMPTY)?;
        self.reclaim();
        self.cut_tail();
        Ok(())
    }

    /// The commit itself; `snapshot` is what a close has to name.
    pub(crate) fn seal(&mut self, snapshot: Range) -> Result<()> {
        let next = self.state.generation + 1;
        let slot = SUPERBLOCKS[usize::from(next & 1 == 1)];
        self.sweep_tags();
        self.tell_ends();
        let raw = &self.shared.raw;
        // Words of a torn earlier attempt at this generation must not add up with new ones.
        raw.store(slot + SUM_WORD, 0, Ordering::Release);
        self.sync("sync of a commit")?;
        self.check_file()?;
        let len = self.state.end().max(snapshot.end());
        self.store_superblock(next, (len, snapshot));
        if let Err(error) = self.shared.raw.sync() {
            let cause = Cause::OutcomeUnknown {
                path: self.shared.path().to_path_buf(),
                generation: next,
                cause: error.to_string(),
            };
            return Err(self.poison("sync of a superblock", cause.into()));
        }
        self.shared.raw.store(owner::PUBLISHED, next, Ordering::Release);
        self.state.generation = next;
        self.state.committed_len = len;
        self.shared.set_generation(next);
        self.retire_slots();
        let stamp = self.shared.pins.stamp();
        self.state.retired.committed(stamp, next);
        self.state.changed = false;
        self.state.written = 0;
        self.state.adoptions = 0;
        self.state.last_commit = Some(Instant::now());
        Ok(())
    }

    /// Errors, and poisons, when the file is not the one that was opened, or was cut.
    fn check_file(&mut self) -> Result<()> {
        let raw = &self.shared.raw;
        if raw.is_memory() {
            return Ok(());
        }
        let found = match raw.refresh_len() {
            Ok(found) => found,
            Err(error) => return Err(self.poison("stat", error.into())),
        };
        let expected = raw.len();
        if found < expected || !raw.names_this() {
            let found = if found < expected { found } else { 0 };
            let cause =
                Cause::Truncated { path: self.shared.path().to_path_buf(), expected, found };
            return Err(self.poison("look at the file's length and name", cause.into()));
        }
        Ok(())
    }

    /// Stores the superblock of a generation, its checksum last.
    pub(crate) fn store_superblock(&mut self, generation: u64, (len, snapshot): (u64, Range)) {
        let committed = Committed {
            generation,
            len,
            snapshot,
            region_count: self.state.by_start.len() as u64,
            region_size: self.shared.options.region_size,
            uuid: self.shared.uuid,
            read_compatible: 0,
        };
        self.store_superblock_of(&committed);
    }

    /// Stores a superblock, its checksum last.
    pub(crate) fn store_superblock_of(&mut self, committed: &Committed) {
        let slot = SUPERBLOCKS[usize::from(committed.generation & 1 == 1)];
        let superblock = committed.encode();
        let words = superblock.as_bytes().chunks_exact(8);
        for (word, at) in words.zip((slot..).step_by(8)) {
            let value = u64::from_le_bytes(word.try_into().unwrap_or_default());
            let last = at == slot + SUM_WORD;
            let order = if last { Ordering::Release } else { Ordering::Relaxed };
            self.shared.raw.store(at, value, order);
        }
    }

    /// Rewrites old tags before they can wrap, where that is due.
    fn sweep_tags(&mut self) {
        let generation = self.state.generation;
        if generation == 0 || !generation.is_multiple_of(SWEEP_EVERY) {
            return;
        }
        let _span = tracing::info_span!("sweep", generation).entered();
        let tag = tag_of(generation);
        self.for_each_pair(|engine, at| engine.sweep_pair(at, tag));
    }

    /// Clears what is older than the committed word, and tags the committed one G.
    fn sweep_pair(&mut self, at: u64, tag: u16) {
        let open = self.shared.tag();
        let Pair(words) = self.shared.pair(at);
        let Some(which) = Pair(words).which(open, View::Committed) else { return };
        let (committed, other) = (words[which], words[1 - which]);
        // The word of the open epoch, age 0, stays as it is.
        if !other.is_empty() && other.age(open) != 0 {
            self.set_word(at + 8 * (1 - which) as u64, Word::EMPTY.0);
        }
        if committed.tag() != tag {
            self.set_word(at + 8 * which as u64, committed.retagged(tag).0);
        }
    }

    /// Writes the record of free space, commits, and says that nothing followed.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.shared.check_poison()?;
        if !self.shared.raw.is_writable() || self.shared.raw.is_memory() || !self.state.touched {
            return Ok(());
        }
        self.state.changed = true;
        self.give_empties_back()?;
        // Without the record the next open reads all slots; that is no reason not to commit.
        let snapshot = self.write_snapshot().unwrap_or_else(|error| {
            tracing::warn!(%error, "no record of free space");
            Range::EMPTY
        });
        self.seal(snapshot)?;
        // In the open epoch nobody needs it; a writer that goes on has it back with a commit.
        if snapshot.len != 0 {
            self.retire(false, crate::retired::Waste::Range(snapshot));
        }
        if self.shared.options.zero_on_free {
            self.reclaim();
        }
        self.shared.raw.store(owner::SCRATCH, 0, Ordering::Relaxed);
        self.set_word(owner::CLEAN, self.state.generation);
        self.sync("sync of a close")?;
        self.state.touched = false;
        Ok(())
    }
}
