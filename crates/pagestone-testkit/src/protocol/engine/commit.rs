//! Commit in three parts, so that others may run in its unlocked sync, and the sweep of old tags.

use crate::protocol::{
    engine::{Engine, Superblock, Sweep, view::table},
    machine::Result,
    memory::SyncMark,
    place::{
        CLEAN, COUNTER, Kind, POISONED, PUBLISHED, REGIONS, ROOT, SUPERBLOCK, SWEEP, TOMBSTONE,
        body_of, class, directory_pair, end_pair, superblock, tag, tag_of, tagged,
    },
    rules::Mutant,
};

/// Whether the first sync of a commit runs beside other writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum FirstSync {
    Unlocked,
    None,
}

/// Pairs that one step of the sweep covers.
const SWEEP_STEP: usize = 12;

impl Engine {
    /// Before the first mutation after open: the clean mark goes, durably.
    pub(in crate::protocol) fn touch(&mut self) -> Result<()> {
        if !self.dirty {
            self.store(CLEAN, 0)?;
            if self.keeps(Mutant::CleanMarkUnsynced) {
                self.machine.sync()?;
            }
            self.dirty = true;
        }
        Ok(())
    }

    /// After a failed sync: no more mutation until the file is opened again.
    pub(in crate::protocol) fn poison(&mut self) {
        if self.keeps(Mutant::PoisonNotStored) {
            self.machine.memory.mark(POISONED, 1);
        }
    }

    pub(in crate::protocol) fn commit_begin(
        &mut self,
        first: FirstSync,
    ) -> Result<Option<SyncMark>> {
        self.touch()?;
        if self.breaks(Mutant::EndsUnlocked) {
            self.store_ends()?;
        }
        match first {
            FirstSync::Unlocked => Ok(Some(self.machine.begin_sync()?)),
            FirstSync::None => Ok(None),
        }
    }

    /// Under the lock: sweep, ends, old checksum, data sync.
    pub(in crate::protocol) fn commit_prepare(&mut self, mark: Option<SyncMark>) -> Result<()> {
        if let Some(mark) = mark {
            self.machine.end_sync(mark)?;
        }
        self.touch()?;
        let halfway = matches!(self.swept, Some((at, Sweep::Step(_))) if at == self.generation);
        if !(halfway && self.breaks(Mutant::SweepStopsHalfway)) {
            while self.sweep_step()? {}
        }
        if self.keeps(Mutant::EndsUnlocked) {
            self.store_ends()?;
        }
        self.appended = [false; REGIONS];
        if self.keeps(Mutant::OldChecksumStays) {
            self.store(superblock(self.epoch() & 1) + SUPERBLOCK - 1, 0)?;
        }
        let skipped =
            self.breaks(Mutant::OneSync) || self.breaks(Mutant::OnlyUnlockedSync) && mark.is_some();
        if skipped { Ok(()) } else { self.machine.sync() }
    }

    /// Superblock, second sync, announcement.
    pub(in crate::protocol) fn commit_seal(&mut self, snapshot: [u64; 2]) -> Result<()> {
        let next = self.epoch();
        let len = self.regions.len();
        let rooted = self.breaks(Mutant::RootInSuperblock);
        let counter = if self.breaks(Mutant::CounterInSuperblock) {
            self.volatile_slab_counter()?
        } else {
            0
        };
        let root = if rooted { self.root } else { 0 };
        let sealed = Superblock { generation: next, len, snapshot, root, counter };
        if self.breaks(Mutant::PublishedEarly) {
            self.store(PUBLISHED, u64::from(next))?;
        }
        self.store_superblock(&sealed)?;
        if self.keeps(Mutant::NoSecondSync) {
            self.machine.sync()?;
        }
        self.machine.board.durable = next;
        self.store(PUBLISHED, u64::from(next))?;
        self.generation = next;
        self.machine.board.epoch = self.epoch();
        self.reclaim();
        self.cut_tail(len)
    }

    fn cut_tail(&mut self, len: u32) -> Result<()> {
        let (_, units, _) = self.waiting();
        let now = self.machine.random.chance(50);
        if units >> len == 0 && now || self.breaks(Mutant::CutUnderPin) {
            self.cut(len)?;
        }
        Ok(())
    }

    /// Every pair that a sweep covers.
    fn swept_pairs(&self) -> Result<Vec<[u32; 2]>> {
        let committed = self.directory(1)?;
        let all = table(&committed);
        let mut pairs: Vec<u32> = all.iter().map(|(_, pair)| *pair).collect();
        pairs.extend([ROOT, COUNTER]);
        if self.keeps(Mutant::SweepSkipsDirectory) {
            pairs
                .extend((0..REGIONS).flat_map(|number| [directory_pair(number), end_pair(number)]));
        }
        let mut pairs: Vec<[u32; 2]> = pairs.into_iter().map(|pair| [pair, pair + 1]).collect();
        if self.keeps(Mutant::SweepSkipsBitmaps) {
            let slabs = committed.iter().filter(|(_, region)| region.kind == Kind::Slab);
            pairs.extend(slabs.map(|(_, slab)| [slab.base() + 1, slab.base() + 4]));
        }
        Ok(pairs)
    }

    /// One step of the sweep that is due; false when none is left.
    pub(in crate::protocol) fn sweep_step(&mut self) -> Result<bool> {
        if self.breaks(Mutant::NoSweep) || !self.generation.is_multiple_of(SWEEP) {
            return Ok(false);
        }
        let first = match self.swept {
            Some((at, Sweep::Done)) if at == self.generation => return Ok(false),
            Some((at, Sweep::Step(first))) if at == self.generation => first,
            _ => 0,
        };
        let pairs = self.swept_pairs()?;
        for pair in pairs.iter().skip(first).take(SWEEP_STEP) {
            self.sweep_pair(*pair)?;
        }
        let next = first + SWEEP_STEP;
        let left = next < pairs.len();
        let progress = if left { Sweep::Step(next) } else { Sweep::Done };
        self.swept = Some((self.generation, progress));
        Ok(left)
    }

    /// Clears the older word, and tags the committed one G.
    fn sweep_pair(&mut self, pair: [u32; 2]) -> Result<()> {
        let words = [self.load(pair[0])?, self.load(pair[1])?];
        let Some(which) = self.machine.choose(words, self.epoch(), 1) else { return Ok(()) };
        let (which, beside) = (which as usize & 1, (which as usize + 1) & 1);
        let (committed, other) = (words[which], words[beside]);
        if class(committed) == TOMBSTONE && self.breaks(Mutant::SweepSkipsTombstones) {
            return Ok(());
        }
        let old = other != 0 && 1 <= self.machine.age(tag_of(other), self.epoch());
        if old && self.keeps(Mutant::SweepKeepsOther) {
            self.store(pair[beside], 0)?;
        }
        let now = if self.breaks(Mutant::SweepWithOpenTag) {
            tag(self.epoch())
        } else {
            tag(self.generation)
        };
        if tag_of(committed) != now {
            self.store(pair[which], tagged(now, body_of(committed)))?;
        }
        Ok(())
    }

    /// Sets the root.
    pub(in crate::protocol) fn set_root(&mut self, value: u64) -> Result<()> {
        if self.breaks(Mutant::RootInSuperblock) {
            self.root = value;
            return self.machine.tick();
        }
        self.publish(ROOT, value)
    }
}
