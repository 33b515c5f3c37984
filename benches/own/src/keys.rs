//! Keys in the orders that sorts are measured on, the same in every run.

/// Numbers by seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts the numbers of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    #[inline]
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below a usize")]
    pub const fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Puts them in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// How the keys of an input are spread and ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// All 64 bits random.
    Random,
    /// Sorted but for 1 % of random swaps.
    Nearly,
    /// A thousand different keys.
    Few,
    /// Addresses 8 bytes apart, shuffled.
    Ids,
    /// Every order of magnitude as often as any other.
    Skewed,
    /// Sorted.
    Sorted,
    /// Sorted the wrong way round.
    Reversed,
    /// Two sorted halves.
    TwoRuns,
}

impl Distribution {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Random,
        Self::Nearly,
        Self::Few,
        Self::Ids,
        Self::Skewed,
        Self::Sorted,
        Self::Reversed,
        Self::TwoRuns,
    ];

    /// The name in benchmark ids.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Nearly => "nearly",
            Self::Few => "few",
            Self::Ids => "ids",
            Self::Skewed => "skewed",
            Self::Sorted => "sorted",
            Self::Reversed => "reversed",
            Self::TwoRuns => "two_runs",
        }
    }

    /// The distribution of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|distribution| distribution.name() == name)
    }

    /// So many keys.
    #[must_use]
    pub fn keys(self, count: usize) -> Vec<u64> {
        let mut random = Random::new(42);
        let any = |random: &mut Random| (0..count).map(|_| random.next()).collect::<Vec<_>>();
        match self {
            Self::Random => any(&mut random),
            Self::Nearly => {
                let mut keys = any(&mut random);
                keys.sort_unstable();
                for _ in 0..count / 100 {
                    keys.swap(random.below(count), random.below(count));
                }
                keys
            }
            Self::Few => {
                let kinds: Vec<u64> = (0..1000).map(|_| random.next()).collect();
                (0..count).map(|_| kinds[random.below(kinds.len())]).collect()
            }
            Self::Ids => {
                let mut keys: Vec<u64> = (0x7f00_0000_0000..).step_by(8).take(count).collect();
                random.shuffle(&mut keys);
                keys
            }
            Self::Skewed => (0..count).map(|_| skewed(&mut random)).collect(),
            Self::Sorted | Self::Reversed | Self::TwoRuns => {
                let mut keys = any(&mut random);
                let cut = if self == Self::TwoRuns { count / 2 } else { 0 };
                keys[..cut].sort_unstable();
                keys[cut..].sort_unstable();
                if self == Self::Reversed {
                    keys.reverse();
                }
                keys
            }
        }
    }
}

/// A power of two with an exponent spread evenly over 0 to 64.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "rounded on purpose, between 1 and 2^64"
)]
fn skewed(random: &mut Random) -> u64 {
    let unit = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
    (unit * 64.0).exp2() as u64
}
