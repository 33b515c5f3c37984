//! Open for writing: which state is kept, what is rolled back, and what space is free then.

use crate::protocol::{
    engine::{
        Cells, Engine, Superblock, Tail, Waiting, in_file,
        log::Entry,
        region::{Sealed, end_body},
        space::slot_bit,
        view::{View, table},
    },
    machine::{Regions, Result, broken},
    place::{
        BOOT, CLEAN, COUNTER, DISCARDING, ENTRY, HEADER, Key, Kind, LENGTH, MOUNT, POISONED,
        PUBLISHED, REGIONS, ROOT, Region, SLOTS, SUPERBLOCK, Store, UNIT, class, directory_pair,
        end_pair, superblock, tag, tag_of,
    },
    random::mix,
    rules::Mutant,
};

/// Which rebuild of the volatile lists this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rebuild {
    /// Of a file that was closed.
    Clean([u64; 2]),
    Unclean,
    /// After a discard, without an open.
    Discarded,
}

/// Who may still look at space that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Onlookers {
    None,
    /// Reading processes that outlive a killed writer.
    Processes,
}

/// Whether the file was last written in this life of machine and device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Same,
    Another,
}

impl Engine {
    /// Opens the file for writing.
    pub(in crate::protocol) fn open(&mut self) -> Result<()> {
        let (boot, mount) = (self.machine.memory.boot, self.machine.memory.mount);
        let same_mount = self.load(MOUNT)? == mount || self.breaks(Mutant::MountIgnored);
        let same = self.load(BOOT)? == boot && same_mount;
        if self.breaks(Mutant::BootFirst) {
            self.store(MOUNT, mount)?;
            self.store(BOOT, boot)?;
        }
        let poisoned = self.load(POISONED)? != 0;
        self.distrust = poisoned && (same || self.keeps(Mutant::PoisonAsksBootId));
        let Some(found) = self.superblock() else {
            return broken("no superblock is valid");
        };
        let clean = self.load(CLEAN)? == u64::from(found.generation) && !poisoned;
        if poisoned && self.keeps(Mutant::PoisonTrustsCleanMark) {
            self.store(CLEAN, 0)?;
        }
        if !clean && self.keeps(Mutant::NoSyncAtOpen) {
            self.machine.sync()?;
        }
        self.generation = found.generation;
        self.opened_at = found.generation;
        self.root = found.root;
        self.machine.board.epoch = self.epoch();
        self.machine.board.durable = self.generation;
        let discarding = self.load(DISCARDING)?;
        let undo = !same || poisoned || discarding == u64::from(self.epoch());
        if !clean && undo {
            self.roll_back(&found, if same { Life::Same } else { Life::Another })?;
        }
        if self.machine.memory.len() < found.len {
            return broken("the file is shorter than the committed length");
        }
        self.dirty = !clean;
        self.finish_open(&found, clean)
    }

    fn roll_back(&mut self, found: &Superblock, life: Life) -> Result<()> {
        if life == Life::Another && found.len < self.machine.memory.len() {
            self.machine.set_len(found.len)?;
        }
        if self.machine.memory.len() < found.len {
            return broken("the file is shorter than the committed length");
        }
        self.scrub()?;
        if self.distrust && self.keeps(Mutant::PoisonTrustsCache) {
            self.store_again()?;
        }
        if self.distrust && self.keeps(Mutant::PoisonLeavesCachedSuperblock) {
            self.settle_superblock(found)?;
        }
        self.tail = Tail::RolledBack;
        Ok(())
    }

    fn finish_open(&mut self, found: &Superblock, clean: bool) -> Result<()> {
        let discarding = self.load(DISCARDING)? != 0;
        if discarding && self.breaks(Mutant::DiscardUnmarksFirst) {
            self.store(DISCARDING, 0)?;
        }
        let generation = u64::from(self.generation);
        if self.keeps(Mutant::PublishedNotSetAtOpen) && self.load(PUBLISHED)? != generation {
            self.store(PUBLISHED, generation)?;
        }
        self.rebuild(if clean { Rebuild::Clean(found.snapshot) } else { Rebuild::Unclean })?;
        if discarding && self.keeps(Mutant::DiscardUnmarksFirst) {
            self.store(DISCARDING, 0)?;
        }
        if self.load(POISONED)? != 0 {
            self.store(POISONED, 0)?;
        }
        self.distrust = false;
        if clean && self.breaks(Mutant::NoBootIdAfterClean) {
            return Ok(());
        }
        for (place, now) in [(MOUNT, self.machine.memory.mount), (BOOT, self.machine.memory.boot)] {
            if self.load(place)? != now {
                self.store(place, now)?;
            }
        }
        Ok(())
    }

    /// Empties every word and bitmap tagged E.
    pub(super) fn scrub(&mut self) -> Result<()> {
        if self.breaks(Mutant::NoScrub) {
            return Ok(());
        }
        for address in self.control_words()? {
            let word = self.load(address)?;
            if word != 0 && tag_of(word) == tag(self.epoch()) {
                self.store(address, 0)?;
            }
        }
        Ok(())
    }

    /// Lets the cache show the superblock that the device has, and no other.
    fn settle_superblock(&mut self, found: &Superblock) -> Result<()> {
        let other = superblock((found.generation + 1) & 1);
        self.store(other + SUPERBLOCK - 1, 0)?;
        self.store_superblock(found)
    }

    /// Stores every control word again: the device may not have what the cache shows.
    fn store_again(&mut self) -> Result<()> {
        let mut words = self.control_words()?;
        words.push(LENGTH);
        for address in words {
            let word = self.load(address)?;
            self.store(address, word)?;
        }
        Ok(())
    }

    /// Every word that carries a tag, the directory last.
    fn control_words(&self) -> Result<Vec<u32>> {
        let committed = self.directory(1)?;
        let mut words = Vec::with_capacity(80);
        words.extend(table(&committed).iter().flat_map(|(_, pair)| [*pair, pair + 1]));
        words.extend([ROOT, ROOT + 1, COUNTER, COUNTER + 1]);
        if self.keeps(Mutant::NoScrubOfBitmaps) {
            let slabs = committed.iter().filter(|(_, region)| region.kind == Kind::Slab);
            words.extend(slabs.flat_map(|(_, slab)| [slab.base() + 1, slab.base() + 4]));
        }
        let pairs = (0..REGIONS).map(end_pair).chain((0..REGIONS).map(directory_pair));
        words.extend(pairs.flat_map(|pair| [pair, pair + 1]));
        Ok(words)
    }

    /// Works out anew what is free, what waits and where the log ends.
    pub(super) fn rebuild(&mut self, kind: Rebuild) -> Result<()> {
        let (newest, committed) = (self.directory(0)?, self.directory(1)?);
        let (new, mut old) = (self.view(0)?, self.view(1)?);
        if self.breaks(Mutant::KeepOnlyNewest) {
            old = new.clone();
        }
        check_overlap(&new, &old)?;
        self.regions = newest.clone();
        self.free = Cells::default();
        self.free_units = 0;
        self.free_slots = 0;
        self.retired.clear();
        self.ends = [0; REGIONS];
        self.appending = None;
        self.appended = [false; REGIONS];
        self.sequence = 1;
        self.swept = None;
        self.lazy = [None; REGIONS];
        let pinned = kind != Rebuild::Discarded
            && self.locked_below(self.generation)
            && self.keeps(Mutant::LocksIgnoredAtOpen);
        let onlookers = if pinned { Onlookers::Processes } else { Onlookers::None };
        let waiting = committed.units() & !newest.units();
        self.quarantine(Waiting::Units(waiting));
        let all = (1_u32 << self.machine.memory.len()) - 2;
        self.vacate(Waiting::Units(all & !newest.units() & !waiting), onlookers);
        for (number, region) in newest.iter() {
            match region.kind {
                Kind::Heap => {
                    let cells = Cells::of(region);
                    if let Rebuild::Clean(snapshot) = kind
                        && !pinned
                        && let Some(record) = record_of(snapshot, number)
                    {
                        self.lazy[number] = Some(record);
                        continue;
                    }
                    let waiting = cells.and(old.used).without(new.used);
                    self.quarantine(Waiting::Cells(waiting));
                    self.vacate(
                        Waiting::Cells(cells.without(new.used).without(waiting)),
                        onlookers,
                    );
                }
                Kind::Slab => {
                    let earlier = committed.0[number].filter(|committed| *committed == region);
                    self.rebuild_slab(region, earlier, onlookers)?;
                }
                Kind::Segment | Kind::Oversize | Kind::Table(_) => {}
            }
        }
        self.rebuild_log(&newest, &committed, kind)
    }

    /// What only the committed state uses.
    fn quarantine(&mut self, what: Waiting) {
        if self.keeps(Mutant::QuarantineForgotten) {
            self.retire(what, Some(self.epoch()));
        }
    }

    /// What nobody uses; a reading process may still look at it.
    fn vacate(&mut self, what: Waiting, onlookers: Onlookers) {
        if onlookers == Onlookers::Processes {
            self.retire(what, Some(self.generation));
        } else {
            self.give_free(what);
        }
    }

    fn rebuild_slab(
        &mut self,
        slab: Region,
        committed: Option<Region>,
        onlookers: Onlookers,
    ) -> Result<()> {
        let base = slab.base();
        for slot in 0..SLOTS {
            if self.slot_used(base, slot, 0)? {
                continue;
            }
            let place = Waiting::Slots(slot_bit(base, slot));
            if committed.is_some() && self.slot_used(base, slot, 1)? {
                self.retire(place, Some(self.epoch()));
            } else {
                self.vacate(place, onlookers);
            }
        }
        Ok(())
    }

    fn rebuild_log(&mut self, newest: &Regions, committed: &Regions, kind: Rebuild) -> Result<()> {
        let mut last: Option<(usize, Entry)> = None;
        let mut to_seal = Vec::new();
        for (number, region) in newest.iter().filter(|(_, region)| region.kind == Kind::Segment) {
            let mut at = if committed.0[number] == Some(region) {
                self.committed_end(number, region)?
            } else {
                region.base() + HEADER
            };
            for entry in self.entries_until(region, at)? {
                self.sequence = self.sequence.max(entry.sequence + 1);
            }
            let sealed = self.select(end_pair(number), 0)?.is_some_and(|word| class(word) == 1);
            if kind == Rebuild::Unclean && self.tail == Tail::Open && !sealed {
                while let Some(entry) = self.entry(region, at)? {
                    if last.is_none_or(|last| last.1.sequence <= entry.sequence) {
                        last = Some((number, entry));
                    }
                    self.sequence = self.sequence.max(entry.sequence + 1);
                    at += ENTRY;
                    self.appended[number] = true;
                }
            }
            self.ends[number] = at;
            if at + ENTRY <= region.end() && !sealed {
                if self.tail == Tail::RolledBack {
                    to_seal.push(number);
                } else {
                    self.appending = Some(number);
                }
            }
        }
        if let Some((number, entry)) = last
            && self.keeps(Mutant::OrphanStays)
            && !self.slot_agrees(&entry)?
        {
            self.ends[number] = entry.at;
            self.appending = Some(number);
        }
        if self.keeps(Mutant::NoSealedBit) {
            for number in to_seal {
                self.publish(end_pair(number), end_body(self.ends[number], Sealed::Yes))?;
            }
        }
        Ok(())
    }

    /// Loads the free cells of a region from its record, or works them out.
    pub(super) fn load_free(&mut self, number: usize) -> Result<()> {
        let Some(record) = self.lazy[number].take() else { return Ok(()) };
        let Some(region) = self.regions.0[number] else { return Ok(()) };
        let word = self.load(record)?;
        let cells = if let Some(cells) = free_record(word, self.opened_at, (number, region)) {
            cells
        } else {
            let (new, old) = (self.view(0)?, self.view(1)?);
            let used = new.used.or(old.used).or(self.waiting().0);
            Cells::of(region).without(used)
        };
        self.free = self.free.or(cells);
        Ok(())
    }

    /// Whether the free space of a region waits for its first allocation.
    pub(in crate::protocol) fn is_lazy(&self, number: usize) -> bool {
        self.lazy[number].is_some()
    }

    pub(super) fn load_all_free(&mut self) -> Result<()> {
        for number in self.numbers(Kind::Heap) {
            self.load_free(number)?;
        }
        Ok(())
    }
}

/// No newest block lies in the committed block of another id.
fn check_overlap(new: &View, old: &View) -> Result<()> {
    for (key, at) in new.places() {
        if !old.used.contains(*at) {
            continue;
        }
        let same = |other| old_id(other) == (key.store, key.index);
        if !old.begins_at(*at).is_some_and(same) {
            return broken("a newest block lies in a committed one");
        }
    }
    Ok(())
}

fn old_id(key: Key) -> (Store, u32) {
    (key.store, key.index)
}

fn record_of(snapshot: [u64; 2], number: usize) -> Option<u32> {
    let byte = snapshot.get(number / 8)? >> (8 * (number % 8)) & 0xff;
    let cell = (byte & 0xff) as u32;
    in_file(cell).then_some(cell)
}

const RECORD: u64 = 0xa5;

/// The record of a region's free cells, true after the commit of `generation`.
pub(super) fn pack_record(generation: u32, number: usize, region: Region, free: Cells) -> u64 {
    let bits = free.iter().fold(0_u64, |bits, cell| bits | 1 << (cell - region.base()));
    let place = u64::try_from(number).unwrap_or(0);
    let body = u64::from(generation & 0xffff) << 28 | place << 24 | bits;
    RECORD << 56 | (mix(body) & 0xfff) << 44 | body
}

fn free_record(word: u64, generation: u32, home: (usize, Region)) -> Option<Cells> {
    let (number, region) = home;
    let mut cells = Cells::default();
    for bit in 0..2 * UNIT {
        if word >> bit & 1 == 1 {
            cells.insert(region.base() + bit);
        }
    }
    (word == pack_record(generation, number, region, cells)).then_some(cells)
}
