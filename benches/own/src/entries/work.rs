//! Keys, lengths and contents of workload E, the same for all contenders and in every run.

use super::Change;
use crate::Random;

/// The bytes that entries are made of; it stays in the processor's caches.
const POOL: usize = 64 << 10;
const LEN_MIN: usize = 16;
const LEN_MAX: usize = 512;
/// By how much an entry may grow.
const GROWTH: usize = 256;
/// No entry becomes longer than this.
const LEN_LIMIT: usize = 4096;

/// The key of the entry of this number: numbers in order are keys in random order.
#[must_use]
#[inline]
pub const fn key_of(number: u32) -> u64 {
    Random::new(number as u64).next()
}

/// The entries as they should be.
#[derive(Debug, Clone)]
pub struct Work {
    pool: Vec<u8>,
    random: Random,
    /// The length of each entry, 0 of one that is not there: none is that short.
    lens: Vec<u16>,
    /// How often each was changed, which its content follows from.
    versions: Vec<u8>,
}

impl Work {
    /// So many entries of 16 to 512 bytes.
    #[must_use]
    pub fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let pool = (0..POOL / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        let mut work = Self { pool, random, lens: vec![], versions: vec![] };
        work.add(count);
        work
    }

    /// Numbers so many new entries.
    pub fn add(&mut self, count: usize) -> Vec<u32> {
        let first = self.lens.len();
        let span = LEN_MAX - LEN_MIN + 1;
        self.lens.extend((0..count).map(|_| short(LEN_MIN + self.random.below(span))));
        self.versions.resize(self.lens.len(), 0);
        (first..self.lens.len()).map(number).collect()
    }

    /// All entries that are there, in random order.
    pub fn shuffled(&mut self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.numbers().collect();
        for last in (1..numbers.len()).rev() {
            numbers.swap(last, self.random.below(last + 1));
        }
        numbers
    }

    /// All entries that are there, in their order.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.lens.len()).map(number).filter(|number| self.len(*number) != 0)
    }

    /// So many of the entries, each as likely as any other, over and over.
    pub fn drawn(&mut self, count: usize) -> Vec<u32> {
        let numbers: Vec<u32> = self.numbers().collect();
        (0..count).map(|_| numbers[self.random.below(numbers.len())]).collect()
    }

    /// Gives these entries another content of the same length.
    pub fn change(&mut self, numbers: &[u32]) {
        for number in numbers {
            let version = &mut self.versions[*number as usize];
            *version = version.wrapping_add(1);
        }
    }

    /// Gives these entries another content, 1 to 256 bytes longer.
    pub fn grow(&mut self, numbers: &[u32]) {
        self.change(numbers);
        for number in numbers {
            let longer = self.len(*number) + 1 + self.random.below(GROWTH);
            self.lens[*number as usize] = short(longer.min(LEN_LIMIT));
        }
    }

    /// Gives these entries another content of any length from 16 to 512.
    pub fn renew(&mut self, numbers: &[u32]) {
        self.change(numbers);
        for number in numbers {
            self.lens[*number as usize] = short(LEN_MIN + self.random.below(LEN_MAX - LEN_MIN + 1));
        }
    }

    /// Says that these entries are gone.
    pub fn remove(&mut self, numbers: &[u32]) {
        for number in numbers {
            self.lens[*number as usize] = 0;
        }
    }

    /// What the entry of this number holds.
    #[must_use]
    #[inline]
    pub fn bytes(&self, number: u32) -> &[u8] {
        let version = usize::from(self.versions[number as usize]);
        let start = (number as usize * 64 + version * 8) % (POOL - LEN_LIMIT);
        &self.pool[start..start + self.len(number)]
    }

    /// The change that makes the entry of this number what it should be.
    #[must_use]
    #[inline]
    pub fn put(&self, number: u32) -> Change<'_> {
        Change::Put(number, self.bytes(number))
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.numbers().count()
    }

    /// Their bytes, 8 for the key of each.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.numbers().map(|number| 8 + self.len(number) as u64).sum()
    }

    #[inline]
    fn len(&self, number: u32) -> usize {
        usize::from(self.lens[number as usize])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lengths of this file are small")]
const fn short(len: usize) -> u16 {
    len as u16
}

#[expect(clippy::cast_possible_truncation, reason = "there are a few million entries")]
const fn number(index: usize) -> u32 {
    index as u32
}
