//! Values of one type in one piece of address range, found by index alone.

use std::fmt;

use bytemuck::Pod;
use pagestone_storage::raw::Flat;

use crate::{
    bits,
    error::{Error, ErrorKind, Result},
    growth::Growth,
    stats::{PoolStats, Stats},
};

/// Slabs from here on ask for huge pages; the rest of one is little beside all others.
const HUGE_FROM: usize = 16 << 20;
const HUGE: usize = 2 << 20;
const PAGE: usize = 4 << 10;
/// Most slots: the index of the last one, raised by 1, is a word.
const SLOTS_MAX: u64 = (1 << 32) - 64;

/// Slots that follow each other, in slabs of equal length; pages are used as slots are.
pub struct FlatValues<T> {
    slots: Option<Flat<T>>,
    /// The word of the bitmap that is looked at first; none below it has a slot to take.
    from: usize,
    /// A bit for each word of the bitmap that may have a slot to take.
    summary: Vec<u64>,
    /// A bit for each slab that may have one.
    room: Vec<u64>,
    slabs: Vec<Slab>,
    /// Values of each slab.
    live: Vec<u32>,
    /// Slots of a slab are 2 to the power of this.
    slab_bits: u32,
    growth: Growth,
}

/// What is counted for each slab.
#[derive(Debug, Clone, Copy, Default)]
struct Slab {
    /// Slots of words from here on were not used since the slab was made.
    used_words: u32,
    /// Whether the slab is there; one that was released may be made again.
    is_there: bool,
}

impl<T> fmt::Debug for FlatValues<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FlatValues").field("slabs", &self.slabs).finish_non_exhaustive()
    }
}

impl<T: Pod> FlatValues<T> {
    pub(crate) fn new(growth: Growth) -> Result<Self> {
        let growth = growth.checked()?;
        let slots = growth.slots_max(size_of::<T>()).max(64);
        let slab_bits = slots.ilog2();
        let (summary, room, slabs, live) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { slots: None, from: 0, summary, room, slabs, live, slab_bits, growth })
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.slots.as_ref()?.get(index)
    }

    /// Puts a value into the lowest vacant slot.
    #[inline]
    pub(crate) fn add(&mut self, value: &T) -> Result<u32> {
        if let Some(slots) = &mut self.slots
            && let Some(index) = slots.put_in_word(self.from, value)
        {
            self.live[(index >> self.slab_bits) as usize] += 1;
            return Ok(index);
        }
        self.add_elsewhere(value)
    }

    /// Adds where the word that is looked at first has no slot to take.
    #[inline(never)]
    fn add_elsewhere(&mut self, value: &T) -> Result<u32> {
        self.from = self.vacant_word()?;
        let words = 1 << (self.slab_bits - 6);
        let slab = &mut self.slabs[self.from / words];
        #[expect(clippy::cast_possible_truncation, reason = "a slab has 2^17 slots")]
        let used = (self.from % words) as u32 + 1;
        slab.used_words = slab.used_words.max(used);
        let index = self.slots.as_mut().and_then(|slots| slots.put_in_word(self.from, value));
        let index = index.ok_or_else(out_of_slots)?;
        self.live[(index >> self.slab_bits) as usize] += 1;
        Ok(index)
    }

    /// Removes a value; returns false where there is none.
    #[inline]
    pub(crate) fn remove(&mut self, index: u32) -> bool {
        let Some(slots) = &mut self.slots else { return false };
        let Some(before) = slots.remove(index) else { return false };
        let (word, slab) = (index as usize / 64, (index >> self.slab_bits) as usize);
        if before == !0 {
            bits::set(&mut self.summary, word);
            bits::set(&mut self.room, slab);
        }
        if word < self.from {
            self.from = word;
        }
        let live = &mut self.live[slab];
        *live -= 1;
        if *live == 0 {
            self.emptied(slab);
        }
        true
    }

    /// Puts another value into an occupied slot; returns false where it is vacant.
    pub(crate) fn replace(&mut self, index: u32, value: &T) -> bool {
        let is_there = self.get(index).is_some();
        is_there && self.slots.as_mut().is_some_and(|slots| slots.put(index, value))
    }

    pub(crate) fn len(&self) -> u64 {
        self.live.iter().map(|&live| u64::from(live)).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.slots = None;
        self.from = 0;
        self.summary = Vec::new();
        self.room = Vec::new();
        self.slabs = Vec::new();
        self.live = Vec::new();
    }

    pub(crate) fn release_empty(&mut self) -> u64 {
        let is_empty = |&slab: &usize| self.slabs[slab].is_there && self.live[slab] == 0;
        let empty: Vec<usize> = (0..self.slabs.len()).filter(is_empty).collect();
        for &slab in &empty {
            self.release(slab);
        }
        empty.len() as u64
    }

    /// The slabs that have values.
    pub(crate) fn slabs(&self) -> impl Iterator<Item = usize> {
        let slabs = self.live.iter().enumerate();
        slabs.filter(|&(_, &live)| live != 0).map(|(at, _)| at)
    }

    /// The values of a slab with their indexes.
    pub(crate) fn values_of(&self, slab: usize) -> impl Iterator<Item = (u32, &T)> {
        let words = 1 << (self.slab_bits - 6);
        let slots = self.slots.iter();
        slots
            .flat_map(move |slots| (slab * words..(slab + 1) * words).map(move |at| (slots, at)))
            .flat_map(|(slots, at)| {
                #[expect(clippy::cast_possible_truncation, reason = "below 2^32 slots")]
                let indexes = bits::each(slots.word(at), at as u32 * 64);
                indexes.filter_map(|index| Some((index, slots.get(index)?)))
            })
    }

    pub(crate) fn pool_stats(&self) -> PoolStats {
        let all = self.slabs.iter().enumerate();
        let there = all.filter(|(_, slab)| slab.is_there).map(|(at, _)| (self.used(at), at));
        let size = size_of::<T>() as u64;
        let (slabs, live) = (there.clone().count() as u64, self.len());
        let mapped: usize = there.clone().map(|(used, at)| self.mapped_of(used, at)).sum();
        PoolStats {
            slot_size: size,
            slabs,
            live,
            vacant: there.map(|(used, _)| used as u64).sum::<u64>() - live,
            mapped: mapped as u64,
            payload: live * size,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let pool = self.pool_stats();
        let directory = (self.summary.capacity() + self.room.capacity()) * 8
            + self.slabs.capacity() * size_of::<Slab>()
            + self.live.capacity() * 4;
        Stats {
            live: pool.live,
            vacant: pool.vacant,
            mapped: pool.mapped + directory as u64,
            payload: pool.payload,
            spare: 0,
            directory_len: directory as u64,
            index_len: 0,
            pools: if pool.slabs == 0 { Vec::new() } else { vec![pool] },
        }
    }

    /// How many slots of a slab are used, or were and have used ones behind them.
    fn used(&self, at: usize) -> usize {
        let Some(last) = (self.slabs[at].used_words as usize).checked_sub(1) else { return 0 };
        let word = (at << (self.slab_bits - 6)) + last;
        let bits = self.slots.as_ref().map_or(0, |slots| slots.word(word));
        last * 64 + 64 - bits.leading_zeros() as usize
    }

    /// Bytes of the pages that a slab uses, for values and bits; all slabs before it are whole.
    fn mapped_of(&self, used: usize, at: usize) -> usize {
        let size = size_of::<T>();
        let first = (at * size) << self.slab_bits;
        let page = if HUGE_FROM <= first { HUGE } else { PAGE };
        let end = (first + used * size).next_multiple_of(page);
        let bits = (used.div_ceil(8)).next_multiple_of(PAGE.min(1 << (self.slab_bits - 3)));
        end.saturating_sub(first.next_multiple_of(page)) + bits
    }

    /// The lowest word of the bitmap that has a slot to take, in a new slab if need be.
    #[cold]
    #[inline(never)]
    fn vacant_word(&mut self) -> Result<usize> {
        let words = 1usize << (self.slab_bits - 6);
        let mut at = self.from / words;
        let mut first = self.from;
        loop {
            let end = ((at + 1) * words).div_ceil(64).min(self.summary.len());
            while let Some(word) = bits::lowest(&self.summary[..end], first)
                && word < (at + 1) * words
            {
                if self.slots.as_ref().is_some_and(|slots| slots.word(word) != !0) {
                    return Ok(word);
                }
                bits::clear(&mut self.summary, word);
                first = word;
            }
            if at < self.slabs.len() {
                bits::clear(&mut self.room, at);
            }
            let Some(next) = bits::lowest(&self.room, at) else { return self.grow() };
            at = next;
            first = next * words;
        }
    }

    /// Makes the lowest slab that is not there, and returns its first word.
    fn grow(&mut self) -> Result<usize> {
        if self.slots.is_none() {
            self.slots = Some(Flat::reserve(SLOTS_MAX)?);
        }
        let Some(slots) = &mut self.slots else { return Err(out_of_slots()) };
        let missing = self.slabs.iter().position(|slab| !slab.is_there);
        let at = missing.unwrap_or(self.slabs.len());
        let end = (at + 1) << self.slab_bits;
        if SLOTS_MAX < end as u64 || !slots.open(end) {
            return Err(out_of_slots());
        }
        let first = at << self.slab_bits;
        if first * size_of::<T>() < HUGE_FROM && HUGE_FROM <= end * size_of::<T>() {
            slots.advise_huge(HUGE_FROM.div_ceil(size_of::<T>()));
        }
        if missing.is_none() {
            self.slabs.push(Slab::default());
            self.live.push(0);
            self.room.resize(self.slabs.len().div_ceil(64), 0);
            self.summary.resize(end.div_ceil(64 * 64), 0);
        }
        self.slabs[at] = Slab { used_words: 0, is_there: true };
        bits::set(&mut self.room, at);
        for word in first / 64..end / 64 {
            bits::set(&mut self.summary, word);
        }
        Ok(first / 64)
    }

    /// Looks at a slab that lost its last value.
    #[cold]
    #[inline(never)]
    fn emptied(&mut self, at: usize) {
        let slots = 1u64 << self.slab_bits;
        let there = self.slabs.iter().filter(|slab| slab.is_there).count() as u64;
        let others = (there - 1) * slots - self.len();
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        if self.growth.releases(slots, others) {
            self.release(at);
        }
    }

    /// Gives the pages of an empty slab back.
    fn release(&mut self, at: usize) {
        let (first, count) = (at << self.slab_bits, 1 << self.slab_bits);
        if let Some(slots) = &mut self.slots {
            slots.give_back(first, count);
        }
        for word in first / 64..(first + count) / 64 {
            bits::clear(&mut self.summary, word);
        }
        bits::clear(&mut self.room, at);
        self.slabs[at] = Slab::default();
        let words = 1 << (self.slab_bits - 6);
        if self.from / words == at {
            let next = self.slabs[at..].iter().position(|slab| slab.is_there);
            self.from = next.map_or(self.slabs.len(), |skipped| at + skipped) * words;
        }
    }
}

#[cold]
fn out_of_slots() -> Error {
    Error::refused(ErrorKind::OutOfSpace, "every plain id was given, or no address range is left")
}
