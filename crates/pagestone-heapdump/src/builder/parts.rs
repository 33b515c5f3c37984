//! Pairs of key and value, sorted by key in parts: keys near each other wait together.
//!
//! A part is small enough for the processor's caches, so no pair costs a look at far memory. A
//! pair takes a word: the key's place in its part, and how much its value is above the last one
//! in the part; where that is too much, the value has a word of its own.

use crate::error::Result;

/// Keys of a part.
const PART_BITS: u32 = 14;

/// Words that a part gets at once.
const BLOCK_LEN: usize = 1 << 10;

/// No block.
const NONE: u32 = u32::MAX;

/// In the place of a difference: the value follows.
const FAR: u32 = u32::MAX >> PART_BITS;

/// Pairs, whose values come ascending.
pub(super) struct Parts {
    all: Vec<Part>,
    key_count: u32,
    /// Blocks of all parts, in the order in which they were needed.
    words: Vec<u32>,
    /// For each block, the next one of its part.
    next: Vec<u32>,
    /// Blocks that there may be.
    block_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    first_block: u32,
    block: u32,
    /// Where in `words` the next word goes, and the block's end.
    at: usize,
    end: usize,
    last: u32,
    count: u32,
}

impl Parts {
    /// No pairs of keys below `key_count`, in at most `memory` bytes.
    pub(super) fn new(key_count: u32, memory: u64) -> Self {
        let part = Part { first_block: NONE, block: NONE, at: 0, end: 0, last: 0, count: 0 };
        let parts = vec![part; (key_count as usize >> PART_BITS) + 1];
        let block_len = (BLOCK_LEN * size_of::<u32>()) as u64;
        let block_max = usize::try_from(memory / block_len).unwrap_or(NONE as usize);
        let block_max = block_max.min(NONE as usize / BLOCK_LEN);
        Self { all: parts, key_count, words: Vec::new(), next: Vec::new(), block_max }
    }

    /// Adds a pair; says whether there was room.
    #[inline]
    pub(super) fn push(&mut self, key: u32, value: u32) -> bool {
        let part = &mut self.all[(key >> PART_BITS) as usize];
        let place = key & ((1 << PART_BITS) - 1);
        let above = value.wrapping_sub(part.last);
        if part.at < part.end && above < FAR {
            self.words[part.at] = above << PART_BITS | place;
            part.at += 1;
            part.last = value;
            part.count += 1;
            return true;
        }
        self.push_far(key, value)
    }

    #[cold]
    fn push_far(&mut self, key: u32, value: u32) -> bool {
        let number = (key >> PART_BITS) as usize;
        let place = key & ((1 << PART_BITS) - 1);
        let above = value.wrapping_sub(self.all[number].last);
        let is_there = if above < FAR {
            self.push_word(number, above << PART_BITS | place)
        } else {
            self.push_word(number, FAR << PART_BITS | place) && self.push_word(number, value)
        };
        let part = &mut self.all[number];
        part.last = value;
        part.count = part.count.saturating_add(1);
        is_there
    }

    fn push_word(&mut self, number: usize, word: u32) -> bool {
        let part = &mut self.all[number];
        if part.at == part.end {
            if self.block_max <= self.next.len() {
                return false;
            }
            let block = u32::try_from(self.next.len()).unwrap_or(NONE);
            match part.block {
                NONE => part.first_block = block,
                last => self.next[last as usize] = block,
            }
            self.next.push(NONE);
            part.block = block;
            part.at = self.words.len();
            self.words.resize(part.at + BLOCK_LEN, 0);
            part.end = self.words.len();
        }
        self.words[part.at] = word;
        part.at += 1;
        true
    }

    /// Bytes that the pairs take, and those of one part once more.
    pub(super) fn memory(&self) -> u64 {
        let most = self.all.iter().map(|part| part.count).max().unwrap_or(0);
        (self.words.len() as u64 + u64::from(most)) * size_of::<u32>() as u64
    }

    /// Calls `look` with the values of each key, ascending.
    pub(super) fn for_each(&self, mut look: impl FnMut(&[u32]) -> Result<()>) -> Result<()> {
        let mut ends = Vec::new();
        let mut values = Vec::new();
        for (number, part) in self.all.iter().enumerate() {
            let first_key = number << PART_BITS;
            let key_count = (self.key_count as usize - first_key).min(1 << PART_BITS);
            ends.clear();
            ends.resize(key_count, 0_u32);
            self.for_each_pair(part, |place, _| ends[place] += 1);
            let mut total = 0;
            for end in &mut ends {
                let begin = total;
                total += *end;
                *end = begin;
            }
            values.clear();
            values.resize(total as usize, 0);
            self.for_each_pair(part, |place, value| {
                let end = &mut ends[place];
                values[*end as usize] = value;
                *end += 1;
            });
            let mut begin = 0;
            for &end in &ends {
                look(&values[begin as usize..end as usize])?;
                begin = end;
            }
        }
        Ok(())
    }

    #[inline]
    fn for_each_pair(&self, part: &Part, mut look: impl FnMut(usize, u32)) {
        let (mut block, mut last) = (part.first_block, 0_u32);
        let mut far = None;
        while block != NONE {
            let start = block as usize * BLOCK_LEN;
            let end = if block == part.block { part.at } else { start + BLOCK_LEN };
            for &word in &self.words[start..end] {
                if let Some(place) = far.take() {
                    last = word;
                    look(place, last);
                    continue;
                }
                let (above, place) = (word >> PART_BITS, word & ((1 << PART_BITS) - 1));
                if above == FAR {
                    far = Some(place as usize);
                } else {
                    last = last.wrapping_add(above);
                    look(place as usize, last);
                }
            }
            block = self.next[block as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_LEN, Parts};

    #[track_caller]
    fn check(key_count: u32, pairs: &[(u32, u32)]) {
        let mut parts = Parts::new(key_count, 1 << 24);
        let mut expected = vec![Vec::new(); key_count as usize];
        for &(key, value) in pairs {
            assert!(parts.push(key, value));
            expected[key as usize].push(value);
        }
        let mut found = Vec::new();
        let told = parts.for_each(|values| {
            found.push(values.to_vec());
            Ok(())
        });
        told.expect("no error");
        assert!(found == expected);
    }

    #[test]
    fn values_come_back_by_key() {
        check(0, &[]);
        check(1, &[(0, 0), (0, 1), (0, u32::MAX - 2)]);
        check(70_000, &[(69_999, 0), (3, 0), (16_384, 1 << 18), (3, (1 << 19) - 1), (3, 1 << 31)]);
        let many: Vec<_> = (0..20_000).map(|value| (value * 7919 % 40_000, value * 70)).collect();
        check(40_000, &many);
        let far: Vec<_> = (0..3_000).map(|value| (value % 3, value << 19)).collect();
        check(3, &far);
    }

    #[test]
    fn more_than_fits_is_refused() {
        let mut parts = Parts::new(5, BLOCK_LEN as u64 * 4);
        assert!((0..1 << 10).all(|value| parts.push(1, value)));
        assert_eq!(BLOCK_LEN, 1 << 10);
        assert!(!parts.push(1, 5_000));
    }
}
