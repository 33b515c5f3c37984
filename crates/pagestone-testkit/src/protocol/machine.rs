//! The running machine: every store and sync is a moment where it may crash or a reader may run.

use crate::protocol::{
    memory::{Memory, SyncMark},
    place::{Named, REGIONS, Region, TAGS, directory_pair, tag, tag_of},
    random::Random,
    reader::{Reader, ReaderKind},
    rules::{Mutant, Variant},
    state::{Issued, Shared},
};

/// Why an operation did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The machine or the program stopped here.
    Crash,
    /// A sync answered with an error.
    SyncFailed,
    /// A promise was broken.
    Broken(String),
}

pub(super) type Result<T> = std::result::Result<T, Stop>;

pub(super) fn broken<T>(what: &str) -> Result<T> {
    Err(Stop::Broken(what.to_owned()))
}

/// What readers and oracles know of the writer.
#[derive(Debug, Clone)]
pub(super) struct Board {
    /// The open epoch.
    pub(super) epoch: u32,
    /// Counts retirements; a pin holds what was retired after it.
    pub(super) clock: u64,
    /// The newest generation whose second sync has returned.
    pub(super) durable: u32,
    /// Committed states by generation.
    pub(super) published: Vec<(u32, Shared)>,
    /// States since the open, those of the operation under way included.
    pub(super) seen: Vec<Shared>,
    /// Place in `seen` of the state after the last operation that returned.
    pub(super) acked: usize,
    pub(super) issued: Issued,
    /// Set while somebody owns the heap exclusively.
    pub(super) exclusive: bool,
}

/// Who may run between two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    Alone,
    /// Processes that read and outlive the writer.
    Processes,
    Everybody,
}

/// Memory, faults to come, readers and the choices of one history.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) memory: Memory,
    pub(super) rules: Variant,
    pub(super) random: Random,
    /// Moments left until the crash.
    pub(super) fuse: Option<u32>,
    /// Syncs left until one fails.
    pub(super) sync_fuse: Option<u32>,
    pub(super) company: Company,
    pub(super) readers: Vec<Reader>,
    pub(super) board: Board,
}

impl Machine {
    pub(super) fn breaks(&self, mutant: Mutant) -> bool {
        self.rules.breaks(mutant)
    }

    pub(super) fn keeps(&self, mutant: Mutant) -> bool {
        self.rules.keeps(mutant)
    }

    pub(super) fn load(&self, address: u32) -> Result<u64> {
        match self.memory.load(address) {
            Some(word) => Ok(word),
            None => broken("load beyond the end of the file"),
        }
    }

    pub(super) fn store(&mut self, address: u32, value: u64) -> Result<()> {
        self.tick()?;
        if self.memory.store(address, value) {
            return Ok(());
        }
        broken("store beyond the end of the file")
    }

    pub(super) fn zero(&mut self, start: u32, len: u32) -> Result<()> {
        self.tick()?;
        self.memory.zero(start, len);
        self.tick()
    }

    pub(super) fn set_len(&mut self, units: u32) -> Result<()> {
        self.tick()?;
        self.memory.set_len(units);
        self.tick()
    }

    pub(super) fn begin_sync(&mut self) -> Result<SyncMark> {
        self.tick()?;
        Ok(self.memory.begin_sync())
    }

    pub(super) fn end_sync(&mut self, mark: SyncMark) -> Result<()> {
        self.tick()?;
        match &mut self.sync_fuse {
            Some(0) => {
                self.sync_fuse = None;
                self.memory.fail_sync(&mut self.random);
                if self.rules.keeps(Mutant::FailedSyncIgnored) {
                    return Err(Stop::SyncFailed);
                }
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.memory.end_sync(mark);
        self.tick()
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        let mark = self.begin_sync()?;
        self.end_sync(mark)
    }

    /// One moment between two stores.
    pub(super) fn tick(&mut self) -> Result<()> {
        if let Some(left) = &mut self.fuse {
            if *left == 0 {
                return Err(Stop::Crash);
            }
            *left -= 1;
        }
        if self.company == Company::Alone {
            return Ok(());
        }
        let choice = self.random.below(100);
        if choice < 3 {
            self.admit(ReaderKind::Process);
        } else if choice < 6 && self.company == Company::Everybody && !self.board.exclusive {
            self.admit(ReaderKind::Thread);
        }
        if choice < 50 && !self.readers.is_empty() {
            return self.step_reader();
        }
        Ok(())
    }

    fn admit(&mut self, kind: ReaderKind) {
        if self.readers.iter().filter(|reader| reader.kind == kind).count() < 2 {
            self.readers.push(Reader::new(kind, self.board.clock));
        }
    }

    fn step_reader(&mut self) -> Result<()> {
        let count = u32::try_from(self.readers.len()).unwrap_or(0);
        let place = self.random.below(count) as usize;
        let mut reader = self.readers.swap_remove(place);
        if self.company == Company::Processes && reader.kind == ReaderKind::Thread
            || reader.step(self)?
        {
            self.readers.push(reader);
        }
        Ok(())
    }

    pub(super) fn dismiss(&mut self, kind: ReaderKind) {
        self.readers.retain(|reader| reader.kind != kind);
    }

    pub(super) fn has_threads(&self) -> bool {
        self.readers.iter().any(|reader| reader.kind == ReaderKind::Thread)
    }

    /// Borrowed bytes are there and unchanged.
    pub(super) fn check_pins(&self) -> Result<()> {
        for reader in &self.readers {
            for (address, value) in &reader.borrowed {
                match self.memory.load(*address) {
                    Some(word) if word == *value => {}
                    Some(_) => return broken("pinned bytes changed"),
                    None => return broken("pinned bytes cut off"),
                }
            }
        }
        Ok(())
    }

    /// The age of a tag counted back from `epoch`; 0 is uncommitted.
    pub(super) fn age(&self, tag_found: u32, epoch: u32) -> i32 {
        let all = TAGS.cast_signed();
        let age = (tag(epoch).cast_signed() - tag_found.cast_signed()).rem_euclid(all);
        if self.breaks(Mutant::HalfWindow) && all / 2 < age {
            return age - all;
        }
        age
    }

    /// Which of two words counts at `epoch`: the youngest of at least `age_min`.
    pub(super) fn choose(&self, words: [u64; 2], epoch: u32, age_min: i32) -> Option<u32> {
        let aged = |word: u64| Some(self.age(tag_of(word), epoch)).filter(|_| word != 0);
        let [first, second] = words.map(|word| aged(word).filter(|age| age_min <= *age));
        match (first, second) {
            (Some(first), Some(second)) => Some(u32::from(second < first)),
            (Some(_), None) => Some(0),
            (None, Some(_)) => Some(1),
            (None, None) => None,
        }
    }

    pub(super) fn pair(&self, at: u32) -> Result<[u64; 2]> {
        Ok([self.load(at)?, self.load(at + 1)?])
    }

    /// The word of the pair at `at` that counts.
    pub(super) fn select(&self, at: u32, epoch: u32, age_min: i32) -> Result<Option<u64>> {
        let words = self.pair(at)?;
        Ok(self.choose(words, epoch, age_min).map(|which| words[which as usize & 1]))
    }

    /// The directory as seen at `epoch`.
    pub(super) fn regions(&self, epoch: u32, age_min: i32) -> Result<Regions> {
        let mut regions = [None; REGIONS];
        for (number, region) in regions.iter_mut().enumerate() {
            if let Some(word) = self.select(directory_pair(number), epoch, age_min)? {
                *region = match Region::decode(word) {
                    Named::Region(found) => Some(found),
                    Named::Free => None,
                    Named::Nothing => return broken("a directory word names no region"),
                };
            }
        }
        Ok(Regions(regions))
    }
}

/// A directory: the region of each number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Regions(pub(super) [Option<Region>; REGIONS]);

impl Regions {
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Region)> {
        self.0.iter().enumerate().filter_map(|(number, region)| Some((number, (*region)?)))
    }

    /// Units of all regions as bits.
    pub(super) fn units(&self) -> u32 {
        self.iter().fold(0, |units, (_, region)| units | region.units())
    }

    /// End of the last region in units.
    pub(super) fn len(&self) -> u32 {
        self.iter().map(|(_, region)| region.start + region.len).max().unwrap_or(1)
    }

    pub(super) fn holding(&self, address: u32) -> Option<(usize, Region)> {
        self.iter().find(|(_, region)| region.holds(address))
    }
}
