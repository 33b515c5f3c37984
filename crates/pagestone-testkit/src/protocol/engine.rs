//! The store engine: one writer's volatile state over the machine, word for word after §3.

pub(super) mod commit; // sync, superblock, sync; sweep
pub(super) mod discard; // undo the open epoch; close
mod heap; // put, remove, modify_private, in_place, evacuation
mod log; // entries, segments, compaction, salvage
mod recovery; // open, scrub, rebuild
mod region; // adopt, give back
mod slab; // two bitmaps, generations
mod space; // free, retired, reusable
mod view; // the whole content as one state

pub(super) use crate::protocol::engine::{
    heap::Target,
    space::{Cells, Retired, Waiting},
};

use crate::protocol::{
    machine::{Machine, Regions, Result},
    place::{
        BOOT, CLEAN, COUNTER, FILE, Key, Kind, MOUNT, PUBLISHED, REGIONS, SUPERBLOCK, UNIT,
        body_of, superblock, tag, tag_of, tagged,
    },
    random::checksum,
    reader::{ReaderKind, table_pair},
    rules::Mutant,
};

/// What a superblock slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) generation: u32,
    pub(super) len: u32,
    /// Eight bits per region: the unit cell of its free-space record.
    pub(super) snapshot: [u64; 2],
    pub(super) root: u64,
    pub(super) counter: u64,
}

impl Superblock {
    fn words(&self) -> [u64; 6] {
        [
            u64::from(self.generation),
            u64::from(self.len),
            self.snapshot[0],
            self.snapshot[1],
            self.root,
            self.counter,
        ]
    }
}

/// Where a superblock is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Cache,
    Device,
}

impl Machine {
    /// The newest superblock whose checksum is right.
    pub(super) fn superblock(&self, source: Source) -> Option<Superblock> {
        let found = [0, 1].map(|slot| self.superblock_in(slot, source));
        found.into_iter().flatten().max_by_key(|found| found.generation)
    }

    fn superblock_in(&self, slot: u32, source: Source) -> Option<Superblock> {
        let at = superblock(slot);
        let mut words = [0; SUPERBLOCK as usize];
        for (word, address) in words.iter_mut().zip(at..) {
            *word = match source {
                Source::Device => self.memory.on_device(address),
                Source::Cache => self.memory.load(address)?,
            };
        }
        let [generation, len, first, second, root, counter, sum] = words;
        let found = Superblock {
            generation: (generation & 0xffff_ffff) as u32,
            len: (len & 0xff) as u32,
            snapshot: [first, second],
            root,
            counter,
        };
        (generation != 0 && sum == checksum(&found.words())).then_some(found)
    }
}

/// What happens to segments with room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Open,
    /// Bytes of rolled-back entries may lie behind the end.
    RolledBack,
}

/// The one writer of a file.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub(super) machine: Machine,
    /// The committed generation; the open epoch is the next.
    pub(super) generation: u32,
    pub(super) regions: Regions,
    pub(super) free: Cells,
    pub(super) free_units: u32,
    /// Vacant slab slots, four bits per unit.
    pub(super) free_slots: u64,
    pub(super) retired: Vec<Retired>,
    /// Per segment the place of the next entry.
    ends: [u32; REGIONS],
    pub(super) appending: Option<usize>,
    appended: [bool; REGIONS],
    sequence: u64,
    /// The first mutation after open has cleared the clean mark.
    dirty: bool,
    tail: Tail,
    swept: Option<(u32, Sweep)>,
    /// Regions whose free space is loaded at the first allocation; the cell of the record.
    lazy: [Option<u32>; REGIONS],
    opened_at: u32,
    root: u64,
    /// Every place the user was told of.
    pub(super) offsets: Vec<(Key, u32)>,
    /// The cache may show what is not on the device.
    distrust: bool,
}

/// How far the sweep of an epoch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Step(usize),
    Done,
}

impl Engine {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            generation: 0,
            regions: Regions([None; REGIONS]),
            free: Cells::default(),
            free_units: 0,
            free_slots: 0,
            retired: Vec::new(),
            ends: [0; REGIONS],
            appending: None,
            appended: [false; REGIONS],
            sequence: 1,
            dirty: false,
            tail: Tail::Open,
            swept: None,
            lazy: [None; REGIONS],
            opened_at: 0,
            root: 0,
            offsets: Vec::new(),
            distrust: false,
        }
    }

    pub(super) fn breaks(&self, mutant: Mutant) -> bool {
        self.machine.breaks(mutant)
    }

    pub(super) fn keeps(&self, mutant: Mutant) -> bool {
        self.machine.keeps(mutant)
    }

    /// E, the one uncommitted epoch.
    pub(super) fn epoch(&self) -> u32 {
        self.generation + 1
    }

    pub(super) fn load(&self, address: u32) -> Result<u64> {
        self.machine.load(address)
    }

    pub(super) fn store(&mut self, address: u32, value: u64) -> Result<()> {
        self.machine.store(address, value)
    }

    /// The word that counts: `age_min` 0 is the newest, 1 the committed one.
    pub(super) fn select(&self, pair: u32, age_min: i32) -> Result<Option<u64>> {
        self.machine.select(pair, self.epoch(), age_min)
    }

    pub(super) fn directory(&self, age_min: i32) -> Result<Regions> {
        self.machine.regions(self.epoch(), age_min)
    }

    /// Publishes `body` in the word of the pair that the committed version does not use.
    pub(super) fn publish(&mut self, pair: u32, body: u64) -> Result<()> {
        let words = self.machine.pair(pair)?;
        let open = tag(self.epoch());
        let committed = self.machine.choose(words, self.epoch(), 1);
        let private = (0..2).rev().find(|which| {
            let word = words[*which as usize & 1];
            word != 0 && tag_of(word) == open
        });
        let which = match (private, committed) {
            (Some(which), _) => which,
            (None, Some(which)) if self.breaks(Mutant::OverwriteCommitted) => which,
            (None, Some(which)) => 1 - which,
            (None, None) => 0,
        };
        self.store(pair + which, tagged(open, body))
    }

    /// The pair of an id.
    pub(super) fn pair_of(&self, key: Key) -> Option<u32> {
        table_pair(key, &self.regions)
    }

    /// Whether the word was stored in the open epoch.
    pub(super) fn is_private(&self, word: u64) -> bool {
        tag_of(word) == tag(self.epoch())
    }

    pub(super) fn numbers(&self, kind: Kind) -> Vec<usize> {
        let of_kind = self.regions.iter().filter(|(_, region)| region.kind == kind);
        of_kind.map(|(number, _)| number).collect()
    }

    /// The newest superblock whose checksum is right.
    fn superblock(&self) -> Option<Superblock> {
        let device = self.distrust && self.keeps(Mutant::PoisonReadsCachedSuperblock);
        self.machine.superblock(if device { Source::Device } else { Source::Cache })
    }

    fn store_superblock(&mut self, found: &Superblock) -> Result<()> {
        let mut slot = found.generation & 1;
        if self.breaks(Mutant::SameSuperblock) {
            slot = 1 - slot;
        }
        let at = superblock(slot);
        let words = found.words();
        for (word, address) in words.into_iter().zip(at..) {
            self.store(address, word)?;
        }
        self.store(at + SUPERBLOCK - 1, checksum(&words))
    }

    /// Writes an empty file of one unit, generation 1.
    pub(super) fn create(&mut self) -> Result<()> {
        let first = Superblock { generation: 1, len: 1, snapshot: [0; 2], root: 0, counter: 0 };
        self.machine.set_len(1)?;
        self.store_superblock(&first)?;
        self.store(CLEAN, 1)?;
        self.store(PUBLISHED, 1)?;
        let (boot, mount) = (self.machine.memory.boot, self.machine.memory.mount);
        self.store(BOOT, boot)?;
        self.store(MOUNT, mount)?;
        self.machine.sync()
    }

    /// Whether a reading process holds a lock below `epoch`.
    fn locked_below(&self, epoch: u32) -> bool {
        self.machine.readers.iter().any(|reader| {
            reader.kind == ReaderKind::Process && reader.lock.is_some_and(|lock| lock < epoch)
        })
    }

    /// The body of the newest word of the counter that numbers slabs.
    fn slab_counter(&self) -> Result<u64> {
        let word = self.select(COUNTER, 0)?;
        Ok(word.map_or(0, body_of))
    }
}

/// Whether a place in the file is a cell.
pub(super) fn in_file(address: u32) -> bool {
    (UNIT..FILE).contains(&address)
}
