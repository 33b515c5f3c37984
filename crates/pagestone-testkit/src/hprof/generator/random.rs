//! Owns the numbers that look random (`SplitMix64`).

/// Scatters a number over all 64 bits; the same number always to the same place.
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A sequence of numbers fixed by its seed.
#[derive(Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: mix(seed ^ 0x5851_f42d_4c95_7f2d) }
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `limit`, which is at least 1 and less than 2^32.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((self.bits() >> 32) * limit) >> 32
    }
}
