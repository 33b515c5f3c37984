//! Readers: state machines of single loads, stepped between any two stores of the writer.

use crate::protocol::{
    engine::Source,
    machine::{Machine, Regions, Result, broken},
    place::{
        BOOT, EntryKind, HEADER, Key, Kind, LOGGED, MOUNT, PUBLISHED, SLOTS, Store, TOMBSTONE,
        block_size, class, offset,
    },
    rules::Mutant,
    state::Value,
};

/// Where a reader runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReaderKind {
    /// In the writer's process, under a pin; sees the newest version.
    Thread,
    /// In a process of its own, with its lock; sees the committed version.
    Process,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Start,
    Lock(u32),
    Choose,
    Look,
    First,
    Second,
    Block(u64),
    Slab,
    TagFirst,
    TagSecond,
    Bit,
    Generation,
    Object,
    Hold(u32),
}

/// One reader with what it borrows.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) kind: ReaderKind,
    /// The lock byte, for a process.
    pub(super) lock: Option<u32>,
    /// The clock when the pin was taken, for a thread.
    pub(super) stamp: u64,
    pub(super) borrowed: Vec<(u32, u64)>,
    phase: Phase,
    gets: u32,
    tries: u32,
    key: Key,
    /// Where the oracle's list stood when the get began.
    since: usize,
    /// Ages count back from here.
    epoch: u32,
    words: [u64; 2],
    base: u32,
    bit: u64,
    generations: u64,
}

impl Reader {
    pub(super) fn new(kind: ReaderKind, clock: u64) -> Self {
        Self {
            kind,
            lock: None,
            stamp: clock,
            borrowed: Vec::new(),
            phase: Phase::Start,
            gets: 0,
            tries: 0,
            key: Key::ROOT,
            since: 0,
            epoch: 0,
            words: [0; 2],
            base: 0,
            bit: 0,
            generations: 0,
        }
    }

    fn now(&self, machine: &Machine) -> Result<u32> {
        match self.kind {
            ReaderKind::Thread => Ok(machine.board.epoch),
            ReaderKind::Process => Ok(announced(machine)? + 1),
        }
    }

    fn age_min(&self) -> i32 {
        i32::from(self.kind == ReaderKind::Process)
    }

    /// Makes one step; false when the reader goes away.
    pub(super) fn step(&mut self, machine: &mut Machine) -> Result<bool> {
        self.phase = match self.phase {
            Phase::Start => self.start(machine)?,
            Phase::Lock(published) => {
                self.lock = Some(published);
                Phase::Choose
            }
            Phase::Choose => match self.choose(machine)? {
                Some(phase) => phase,
                None => return Ok(false),
            },
            Phase::Look => match self.look(machine)? {
                Some(phase) => phase,
                None => return Ok(false),
            },
            Phase::First => self.first(machine)?,
            Phase::Second => self.second(machine)?,
            Phase::Block(word) => self.block(machine, word)?,
            Phase::Slab
            | Phase::TagFirst
            | Phase::TagSecond
            | Phase::Bit
            | Phase::Generation
            | Phase::Object => self.slab(machine)?,
            Phase::Hold(0) => return Ok(false),
            Phase::Hold(left) => Phase::Hold(left - 1),
        };
        Ok(true)
    }

    fn start(&mut self, machine: &mut Machine) -> Result<Phase> {
        self.gets = machine.random.within(1, 3);
        match self.kind {
            ReaderKind::Thread => Ok(Phase::Choose),
            ReaderKind::Process => Ok(Phase::Lock(announced(machine)?)),
        }
    }

    fn choose(&mut self, machine: &mut Machine) -> Result<Option<Phase>> {
        if self.gets == 0 {
            return Ok(Some(Phase::Hold(machine.random.below(60))));
        }
        self.gets -= 1;
        self.tries = 0;
        let mut keys: Vec<Key> = match self.kind {
            ReaderKind::Thread => {
                self.since = machine.board.acked;
                let early = self.since.saturating_sub(4);
                let states = [&machine.board.seen[self.since], &machine.board.seen[early]];
                states.iter().flat_map(|state| state.all_keys()).collect()
            }
            ReaderKind::Process => {
                let published = announced(machine)?;
                let list = &machine.board.published;
                let Some(place) = list.iter().position(|entry| entry.0 == published) else {
                    return broken("a reading process sees a generation that is not committed");
                };
                if machine.board.durable < published {
                    return broken("a reading process sees a generation before its sync");
                }
                self.since = place;
                list[place].1.all_keys().collect()
            }
        };
        keys.extend(machine.board.issued.slab_keys());
        keys.retain(|key| key.store != Store::Root && !key.is_loose());
        let Some(key) = machine.random.pick(&keys) else { return Ok(None) };
        self.key = key;
        Ok(Some(Phase::Look))
    }

    fn look(&mut self, machine: &Machine) -> Result<Option<Phase>> {
        self.tries += 1;
        self.epoch = self.now(machine)?;
        let phase = if self.key.store == Store::Slab { Phase::Slab } else { Phase::First };
        Ok(Some(phase).filter(|_| self.tries < 60))
    }

    fn moved(&self, machine: &Machine) -> Result<bool> {
        let twice = self.kind == ReaderKind::Thread || machine.keeps(Mutant::ReaderLooksOnce);
        Ok(twice && self.now(machine)? != self.epoch)
    }

    fn first(&mut self, machine: &Machine) -> Result<Phase> {
        let regions = machine.regions(self.epoch, self.age_min())?;
        let Some(pair) = table_pair(self.key, &regions) else {
            return if self.now(machine)? == self.epoch {
                self.found(machine, None)
            } else {
                Ok(Phase::Look)
            };
        };
        self.base = pair;
        self.words[0] = machine.load(pair)?;
        Ok(Phase::Second)
    }

    fn second(&mut self, machine: &Machine) -> Result<Phase> {
        self.words[1] = machine.load(self.base + 1)?;
        if self.moved(machine)? {
            return Ok(Phase::Look);
        }
        match machine.choose(self.words, self.epoch, self.age_min()) {
            None if self.words == [0; 2] => self.found(machine, None),
            None if self.kind == ReaderKind::Thread => self.found(machine, None),
            None => Ok(Phase::Look),
            Some(which) => {
                let word = self.words[which as usize & 1];
                if class(word) == TOMBSTONE {
                    return self.found(machine, None);
                }
                Ok(Phase::Block(word))
            }
        }
    }

    fn block(&mut self, machine: &Machine, word: u64) -> Result<Phase> {
        let at = offset(word);
        let (header, size) = match (class(word), block_size(class(word))) {
            (LOGGED, _) => (self.key.first_word(EntryKind::Value), 4),
            (_, Some(size)) => (self.key.header(size), size),
            _ => return broken("a reader finds a block of no class"),
        };
        if machine.load(at)? != header {
            return self.found(machine, None);
        }
        let mut value = [0; 3];
        for (word, place) in (at..at + size).zip(0..) {
            let found = machine.load(word)?;
            self.borrowed.push((word, found));
            if class_is_log(self.key) {
                value[0] = found;
            } else if 0 < place {
                value[place - 1] = found;
            }
        }
        self.found(machine, Some(value))
    }

    fn slab(&mut self, machine: &Machine) -> Result<Phase> {
        let slot = self.key.index % SLOTS;
        match self.phase {
            Phase::Slab => {
                let regions = machine.regions(self.epoch, self.age_min())?;
                let number = u64::from(self.key.index / SLOTS);
                let slab = regions.iter().find(|(_, region)| {
                    region.kind == Kind::Slab
                        && machine.load(region.base()) == Ok(slab_header(number))
                });
                let Some((_, slab)) = slab else {
                    return if self.now(machine)? == self.epoch {
                        self.found(machine, None)
                    } else {
                        Ok(Phase::Look)
                    };
                };
                self.base = slab.base();
                if machine.breaks(Mutant::ReaderGenerationFirst) {
                    self.generations = machine.load(self.base + 7)?;
                }
                Ok(Phase::TagFirst)
            }
            Phase::TagFirst => {
                self.words[0] = machine.load(self.base + 1)?;
                Ok(Phase::TagSecond)
            }
            Phase::TagSecond => {
                self.words[1] = machine.load(self.base + 4)?;
                let moved = self.kind == ReaderKind::Thread && self.moved(machine)?;
                Ok(if moved { Phase::Look } else { Phase::Bit })
            }
            Phase::Bit => {
                self.bit = match machine.choose(self.words, self.epoch, self.age_min()) {
                    None => 0,
                    Some(which) => {
                        let word = machine.load(self.base + 2 + 3 * which + slot / 2)?;
                        word >> (slot % 2) & 1
                    }
                };
                Ok(Phase::Generation)
            }
            Phase::Generation => {
                if machine.keeps(Mutant::ReaderGenerationFirst) {
                    self.generations = machine.load(self.base + 7)?;
                }
                Ok(Phase::Object)
            }
            _ => {
                let object = machine.load(self.base + 8 + slot)?;
                if self.kind == ReaderKind::Process && self.moved(machine)? {
                    return Ok(Phase::Look);
                }
                let generation = self.generations >> (8 * slot) & 0xff;
                if self.bit == 0 || generation != u64::from(self.key.generation) {
                    return self.found(machine, None);
                }
                self.borrowed.push((self.base + 8 + slot, object));
                self.found(machine, Some([object, 0, 0]))
            }
        }
    }

    /// A get ends: what it found must have been true at some time since it began.
    fn found(&mut self, machine: &Machine, value: Option<Value>) -> Result<Phase> {
        let board = &machine.board;
        let (key, since) = (self.key, self.since);
        let right = match self.kind {
            ReaderKind::Thread => board.seen[since..].iter().any(|state| state.get(key) == value),
            ReaderKind::Process => {
                board.published[since..].iter().any(|entry| entry.1.get(key) == value)
            }
        };
        if right {
            return Ok(Phase::Choose);
        }
        broken(&format!("a reader ({:?}) got {value:?} for {key:?}", self.kind))
    }
}

/// The committed generation as another process finds it: what the writer announced, unless it was
/// announced in an earlier life of the machine or the device.
fn announced(machine: &Machine) -> Result<u32> {
    let boot = machine.load(BOOT)? == machine.memory.boot;
    let stale = !boot || machine.load(MOUNT)? != machine.memory.mount;
    match machine.superblock(Source::Cache) {
        Some(found) if stale && machine.keeps(Mutant::ReaderTrustsOldAnnouncement) => {
            Ok(found.generation)
        }
        _ => Ok(offset(machine.load(PUBLISHED)?)),
    }
}

fn class_is_log(key: Key) -> bool {
    key.store == Store::Log
}

/// The header of a slab.
pub(super) fn slab_header(number: u64) -> u64 {
    0x5ab << 48 | number
}

/// The pair of an id in the table, whose further parts are regions.
pub(super) fn table_pair(key: Key, regions: &Regions) -> Option<u32> {
    if key.index < key.store.fixed() {
        return Some(key.store.fixed_pair(key.index));
    }
    let (beyond, part) = (key.index - key.store.fixed(), (key.index - key.store.fixed()) / 4);
    let kind = Kind::Table(u8::try_from(part).ok()?);
    let (_, table) = regions.iter().find(|(_, region)| region.kind == kind)?;
    Some(table.base() + HEADER + 2 * (beyond % 4))
}
