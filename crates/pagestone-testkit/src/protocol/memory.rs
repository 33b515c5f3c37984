//! The memory under the file: what a kill keeps and what a power loss may leave.

use crate::protocol::{
    place::{CLEAN, FILE, LENGTH, UNIT, UNITS, WORDS},
    random::Random,
};

/// Every word with its value in the page cache, its value at the last completed sync and the
/// stores in between, the length of the file among them.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    device: [u64; WORDS],
    cache: [u64; WORDS],
    stores: Vec<(u32, u64)>,
    synced: usize,
    pub(super) boot: u64,
    pub(super) mount: u64,
}

/// The begin of a sync: stores before it are durable when the sync ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct SyncMark(usize);

/// What a power loss leaves of the stores since the last sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mix {
    Any,
    MostlyNew,
    MostlyOld,
    AllOrNothing,
    AllButOneOrTwo,
    /// Groups of so many words are snapshots of one moment.
    Groups(u32),
}

const SECTOR: u32 = 4;

impl Memory {
    pub(super) fn new() -> Self {
        let mut memory = Self {
            device: [0; WORDS],
            cache: [0; WORDS],
            stores: Vec::new(),
            synced: 0,
            boot: 1,
            mount: 1,
        };
        memory.cache[LENGTH as usize] = 1;
        memory.device[LENGTH as usize] = 1;
        memory
    }

    /// Units of the file.
    pub(super) fn len(&self) -> u32 {
        (self.cache[LENGTH as usize] & 0xff) as u32
    }

    /// The word at `address`, unless it lies beyond the end of the file.
    pub(super) fn load(&self, address: u32) -> Option<u64> {
        let inside = address < self.len() * UNIT || (FILE..=LENGTH).contains(&address);
        inside.then(|| self.cache[address as usize])
    }

    /// The word as the device has it.
    pub(super) fn on_device(&self, address: u32) -> u64 {
        self.device[address as usize]
    }

    /// False where the word lies beyond the end of the file.
    #[must_use]
    pub(super) fn store(&mut self, address: u32, value: u64) -> bool {
        let inside = self.load(address).is_some();
        if inside {
            self.put(address, value);
        }
        inside
    }

    /// Stores a word of the owner page outside every moment of a history.
    pub(super) fn mark(&mut self, address: u32, value: u64) {
        self.put(address, value);
    }

    fn put(&mut self, address: u32, value: u64) {
        self.cache[address as usize] = value;
        self.stores.push((address, value));
    }

    /// Zeroes units of the file as punching does.
    pub(super) fn zero(&mut self, start: u32, len: u32) {
        for address in start * UNIT..(start + len) * UNIT {
            if self.cache[address as usize] | self.device[address as usize] != 0 {
                self.put(address, 0);
            }
        }
    }

    pub(super) fn set_len(&mut self, units: u32) {
        for address in units * UNIT..self.len() * UNIT {
            if self.cache[address as usize] != 0 {
                self.put(address, 0);
            }
        }
        for address in self.len() * UNIT..units * UNIT {
            if self.cache[address as usize] | self.device[address as usize] != 0 {
                self.put(address, 0);
            }
        }
        self.put(LENGTH, u64::from(units));
    }

    /// Whether a program sees the same words in both.
    pub(super) fn same_cache(&self, other: &Self) -> bool {
        self.cache == other.cache
    }

    pub(super) fn begin_sync(&self) -> SyncMark {
        SyncMark(self.synced + self.stores.len())
    }

    pub(super) fn end_sync(&mut self, mark: SyncMark) {
        let count = mark.0.saturating_sub(self.synced);
        for (address, value) in self.stores.drain(..count) {
            self.device[address as usize] = value;
        }
        self.synced += count;
    }

    /// A sync that fails: the kernel forgets what was dirty, whether it reached the device or not.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let stores = std::mem::take(&mut self.stores);
        self.synced += stores.len();
        self.land(&stores, Mix::Any, random);
        for page in 0..u32::try_from(WORDS).unwrap_or(0).div_ceil(UNIT) {
            if random.chance(10) {
                self.evict(page);
            }
        }
    }

    /// A page that the kernel believes clean comes back from the device. Not the owner page, which
    /// the writer holds in memory, nor what lies beyond the end.
    fn evict(&mut self, page: u32) {
        let owner = page == CLEAN / UNIT;
        let beyond = (self.len()..UNITS).contains(&page);
        let end = ((page + 1) * UNIT).min(LENGTH);
        for address in (page * UNIT..end).filter(|_| !owner && !beyond) {
            self.cache[address as usize] = self.device[address as usize];
        }
    }

    /// The machine stops: what is not on the device is gone, wholly or in part.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        let mix = match random.below(7) {
            0 => Mix::Any,
            1 => Mix::MostlyNew,
            2 => Mix::MostlyOld,
            3 => Mix::AllOrNothing,
            4 => Mix::AllButOneOrTwo,
            5 => Mix::Groups(SECTOR),
            _ => Mix::Groups(UNIT),
        };
        let stores = std::mem::take(&mut self.stores);
        self.synced += stores.len();
        self.land(&stores, mix, random);
        self.restart();
    }

    /// Words with stores that are not on the device.
    pub(super) fn dirty(&self) -> Vec<u32> {
        let mut dirty: Vec<u32> = self.stores.iter().map(|store| store.0).collect();
        dirty.sort_unstable();
        dirty.dedup();
        dirty
    }

    /// A power loss that keeps the last value of the dirty words whose bit is set, the old one of
    /// the others.
    pub(super) fn lose_power_keeping(&mut self, kept: u64) {
        let dirty = self.dirty();
        for (address, value) in std::mem::take(&mut self.stores) {
            let place = dirty.binary_search(&address).unwrap_or(0) % 64;
            if kept >> place & 1 == 1 {
                self.device[address as usize] = value;
            }
        }
        self.restart();
    }

    fn restart(&mut self) {
        let end = self.device[LENGTH as usize] & 0xff;
        for address in 0..FILE {
            if end * u64::from(UNIT) <= u64::from(address) {
                self.device[address as usize] = 0;
            }
        }
        self.cache = self.device;
        self.mount += 1;
    }

    fn land(&mut self, stores: &[(u32, u64)], mix: Mix, random: &mut Random) {
        if let Mix::Groups(size) = mix {
            return self.land_groups(stores, size, random);
        }
        let mut counts = [0_u16; WORDS];
        for (address, _) in stores {
            counts[*address as usize] += 1;
        }
        let mut keep = [0_u16; WORDS];
        for (keep, count) in keep.iter_mut().zip(counts) {
            if count != 0 {
                *keep = kept(count, mix, random);
            }
        }
        if mix == Mix::AllButOneOrTwo {
            for _ in 0..random.within(1, 2) {
                if let Some((address, _)) = random.pick(stores) {
                    keep[address as usize] = 0;
                }
            }
        }
        for (address, value) in stores {
            let keep = &mut keep[*address as usize];
            if *keep != 0 {
                *keep -= 1;
                self.device[*address as usize] = *value;
            }
        }
    }

    fn land_groups(&mut self, stores: &[(u32, u64)], size: u32, random: &mut Random) {
        let all = u32::try_from(stores.len()).unwrap_or(u32::MAX);
        let mut moments = [None; WORDS];
        for ((address, value), now) in stores.iter().zip(0..) {
            let moment =
                moments[(address / size) as usize].get_or_insert_with(|| match random.below(4) {
                    0 => 0,
                    1 => random.below(all + 1),
                    _ => all,
                });
            if now < *moment {
                self.device[*address as usize] = *value;
            }
        }
    }
}

/// How many of `count` stores to one word reached the device.
fn kept(count: u16, mix: Mix, random: &mut Random) -> u16 {
    let some = |random: &mut Random| (random.below(u32::from(count) + 1) & 0xffff) as u16;
    match mix {
        Mix::Any => match random.below(3) {
            0 => 0,
            1 => count,
            _ => some(random),
        },
        Mix::MostlyNew if random.chance(85) => count,
        Mix::MostlyOld if random.chance(85) => 0,
        Mix::MostlyNew | Mix::MostlyOld => some(random),
        Mix::AllOrNothing => count * u16::from(random.chance(50)),
        Mix::AllButOneOrTwo | Mix::Groups(_) => count,
    }
}
