//! A mark for each node: one bit.

/// A set of numbers below a bound.
#[derive(Debug)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of numbers below `bound`.
    pub(super) fn new(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    /// The set of all numbers below `bound`.
    pub(super) fn full(bound: usize) -> Self {
        let mut words = vec![u64::MAX; bound.div_ceil(64)];
        if let (1.., Some(last)) = (bound % 64, words.last_mut()) {
            *last = (1 << (bound % 64)) - 1;
        }
        Self(words)
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    #[inline]
    pub(super) fn contains(&self, number: u32) -> bool {
        self.0[number as usize / 64] >> (number % 64) & 1 != 0
    }

    #[inline]
    pub(super) fn insert(&mut self, number: u32) {
        self.0[number as usize / 64] |= 1 << (number % 64);
    }

    #[inline]
    pub(super) fn remove(&mut self, number: u32) {
        self.0[number as usize / 64] &= !(1 << (number % 64));
    }

    /// Sorts many different numbers, by way of the set, which is empty and stays so. A few are
    /// left as they are.
    pub(super) fn sort(&mut self, numbers: &mut Vec<u32>) {
        if numbers.len() < self.0.len() / 4 {
            return;
        }
        for number in numbers.drain(..) {
            self.insert(number);
        }
        for (word, start) in self.0.iter_mut().zip((0..).step_by(64)) {
            while *word != 0 {
                numbers.push(start + word.trailing_zeros());
                *word &= *word - 1;
            }
        }
    }
}
