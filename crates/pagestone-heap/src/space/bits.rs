//! One bit per grain of the file, set where it is free.

use super::Run;

/// The bitmap; grains outside heap regions are not free.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

fn index(grain: u64) -> usize {
    usize::try_from(grain / 64).unwrap_or(usize::MAX)
}

/// The bits of `from..end`, both inside one word's 64 grains.
fn mask(from: u64, end: u64) -> u64 {
    let len = end - from;
    if len == 64 { u64::MAX } else { ((1 << len) - 1) << (from % 64) }
}

/// Calls `visit` with each word of `from..end` and its bits.
fn each(from: u64, end: u64, mut visit: impl FnMut(usize, u64)) {
    let mut at = from;
    while at < end {
        let stop = ((at / 64 + 1) * 64).min(end);
        visit(index(at), mask(at, stop));
        at = stop;
    }
}

impl Bits {
    pub(super) fn cover(&mut self, grains: u64) {
        let words = usize::try_from(grains.div_ceil(64)).unwrap_or(usize::MAX);
        if self.0.len() < words {
            // Zeroed by the allocator, so that only the parts in use take memory and time.
            let mut longer = vec![0; words.saturating_mul(2)];
            longer[..self.0.len()].copy_from_slice(&self.0);
            self.0 = longer;
        }
    }

    pub(super) fn set(&mut self, run: Run) {
        self.set_all(run.grain, run.grain + u64::from(run.grains));
    }

    pub(super) fn set_all(&mut self, from: u64, end: u64) {
        each(from, end, |word, bits| self.0[word] |= bits);
    }

    pub(super) fn clear_all(&mut self, from: u64, end: u64) {
        each(from, end, |word, bits| self.0[word] &= !bits);
    }

    /// Clears a run; false, with nothing changed, when part of it is not set or not there.
    pub(super) fn take(&mut self, run: Run) -> bool {
        let end = run.grain + u64::from(run.grains);
        // Most runs lie in one word.
        if run.grain / 64 == (end - 1) / 64 {
            let bits = mask(run.grain, end);
            return match self.0.get_mut(index(run.grain)) {
                Some(word) if *word & bits == bits => {
                    *word &= !bits;
                    true
                }
                _ => false,
            };
        }
        let mut all = true;
        each(run.grain, end, |word, bits| {
            all &= self.0.get(word).is_some_and(|word| word & bits == bits);
        });
        if all {
            self.clear_all(run.grain, end);
        }
        all
    }

    pub(super) fn count(&self, from: u64, end: u64) -> u64 {
        let mut count = 0;
        each(from, end, |word, bits| {
            let word = self.0.get(word).copied().unwrap_or(0);
            count += u64::from((word & bits).count_ones());
        });
        count
    }

    /// The first bit of `from..end` that is not set.
    pub(super) fn next_clear(&self, from: u64, end: u64) -> Option<u64> {
        let mut at = from;
        while at < end {
            let word = self.0.get(index(at)).copied().unwrap_or(0);
            let ones = (word >> (at % 64)).trailing_ones();
            if u64::from(ones) < 64 - at % 64 {
                return Some(at + u64::from(ones)).filter(|at| *at < end);
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }

    /// The runs of set bits in `grains` grains from `first` on, a multiple of 64, in order.
    pub(super) fn runs(&self, first: u64, grains: u64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let end = index(first + grains).min(self.0.len());
        for (word, bits) in self.0.iter().enumerate().take(end).skip(index(first)) {
            let base = word as u64 * 64;
            let mut bits = *bits;
            let mut at = 0;
            while bits != 0 {
                let gap = bits.trailing_zeros();
                bits >>= gap;
                at += gap;
                let len = bits.trailing_ones();
                let grain = base + u64::from(at);
                match runs.last_mut() {
                    Some(last) if last.grain + u64::from(last.grains) == grain => {
                        last.grains += len;
                    }
                    _ => runs.push(Run { grain, grains: len }),
                }
                at += len;
                bits = if len == 64 { 0 } else { bits >> len };
            }
        }
        runs
    }

    /// The runs of bits that are set here and not in `other`.
    pub(super) fn without(&self, other: &Self) -> Vec<Run> {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        let bits = self.0.iter().zip(others).map(|(bits, other)| bits & !other).collect();
        let bits = Self(bits);
        // Runs that cross a MiB are two: no run is longer than a list can name.
        let words = bits.0.len() as u64 * 64;
        (0..words).step_by(1 << 16).flat_map(|first| bits.runs(first, 1 << 16)).collect()
    }

    pub(super) fn words(&self, from: u64, end: u64) -> &[u64] {
        &self.0[index(from)..index(end)]
    }

    pub(super) fn load(&mut self, from: u64, words: impl Iterator<Item = u64>) {
        for (word, bits) in self.0.iter_mut().skip(index(from)).zip(words) {
            *word = bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, Run};

    #[test]
    fn runs_are_found_across_words() {
        let mut bits = Bits::default();
        bits.cover(640);
        let runs = [(3, 1), (60, 10), (127, 2), (192, 128), (321, 63), (448, 192)];
        for (grain, grains) in runs {
            bits.set(Run { grain, grains });
        }
        let found: Vec<_> = bits.runs(0, 640).iter().map(|run| (run.grain, run.grains)).collect();
        assert_eq!(found, runs);
        assert_eq!(bits.count(0, 640), 1 + 10 + 2 + 128 + 63 + 192);
        assert!(!bits.take(Run { grain: 60, grains: 11 }));
        assert!(bits.take(Run { grain: 60, grains: 10 }));
        assert!(!bits.take(Run { grain: 60, grains: 1 }));
        assert!(!bits.take(Run { grain: 639, grains: 2 }), "past the end");
        assert_eq!(bits.runs(64, 64).len(), 1);
        for (from, end, clear) in [(192, 640, 320), (448, 640, 640), (448, 700, 640), (3, 4, 4)] {
            assert_eq!(bits.next_clear(from, end), Some(clear).filter(|clear| *clear < end));
        }
    }
}
