//! Stacks of free runs, one per size class, and which of them are not empty.

use super::Run;
use crate::class::BINS;

/// A run with the sweep that listed it, in one word: `grain 40 | grains 17 | stamp 7`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    pub(super) run: Run,
    pub(super) stamp: u8,
}

const STAMPS: u8 = 128;

impl Listed {
    fn pack(self) -> u64 {
        self.run.grain << 24 | u64::from(self.run.grains) << 7 | u64::from(self.stamp)
    }

    fn unpack(word: u64) -> Self {
        let grains = u32::try_from(word >> 7 & 0x1_ffff).unwrap_or(0);
        let stamp = u8::try_from(word & 0x7f).unwrap_or(0);
        Self { run: Run { grain: word >> 24, grains }, stamp }
    }

    pub(super) fn next_stamp(stamp: u8) -> u8 {
        (stamp + 1) % STAMPS
    }
}

/// The stacks.
#[derive(Debug)]
pub(crate) struct Bins {
    stacks: Vec<Vec<u64>>,
    filled: [u64; 4],
    entries: u64,
    void: u64,
}

impl Default for Bins {
    fn default() -> Self {
        Self { stacks: vec![Vec::new(); BINS], filled: [0; 4], entries: 0, void: 0 }
    }
}

impl Bins {
    #[inline]
    pub(super) fn push(&mut self, class: u8, listed: Listed) {
        self.stacks[usize::from(class)].push(listed.pack());
        self.filled[usize::from(class) / 64] |= 1 << (class % 64);
        self.entries += 1;
    }

    /// Whether a run of a class from `class` on and below `end` is listed.
    #[inline]
    pub(super) fn has_between(&self, class: u8, end: u8) -> bool {
        let (mut word, last) = (usize::from(class) / 64, usize::from(end) / 64);
        let mut bits = self.filled[word] & (u64::MAX << (class % 64));
        while bits == 0 && word < last {
            word += 1;
            bits = self.filled[word];
        }
        bits != 0 && word * 64 + (bits.trailing_zeros() as usize) < usize::from(end)
    }

    /// Takes the newest run of the smallest class that is at least `class`.
    #[inline]
    pub(super) fn pop(&mut self, class: u8) -> Option<Listed> {
        let mut word = usize::from(class) / 64;
        let mut bits = self.filled[word] & u64::MAX << (class % 64);
        while bits == 0 {
            word += 1;
            bits = *self.filled.get(word)?;
        }
        let bin = word * 64 + bits.trailing_zeros() as usize;
        let stack = &mut self.stacks[bin];
        let popped = stack.pop();
        if stack.is_empty() {
            self.filled[word] &= !(bits & bits.wrapping_neg());
        }
        self.entries -= u64::from(popped.is_some());
        popped.map(Listed::unpack)
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Counts runs that are void from now on.
    pub(super) fn forget(&mut self, runs: u32) {
        self.void += u64::from(runs);
    }

    pub(super) fn is_mostly_void(&self) -> bool {
        self.entries < 2 * self.void && 4096 < self.void
    }

    /// Keeps only runs that still count.
    pub(super) fn purge(&mut self, mut counts: impl FnMut(Listed) -> bool) {
        self.entries = 0;
        for (bin, stack) in self.stacks.iter_mut().enumerate() {
            stack.retain(|word| counts(Listed::unpack(*word)));
            self.entries += stack.len() as u64;
            if stack.is_empty() {
                self.filled[bin / 64] &= !(1 << (bin % 64));
            }
        }
        self.void = 0;
    }
}
