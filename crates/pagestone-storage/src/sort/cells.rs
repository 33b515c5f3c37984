//! Monotone maps from words to a small number of cells, and the choice among them by a sample.

use crate::sort::order::WordKey;

/// Words read to choose a map.
const SAMPLE: usize = 1024;

/// Maps words to cells so that `a <= b` implies `cell(a) <= cell(b)`.
pub(super) trait CellMap: Copy {
    /// The cell of `word`, below [`CellMap::count`].
    fn cell(&self, word: u64) -> usize;
    /// Number of cells.
    fn count(&self) -> usize;
}

/// Cells of equal width over a range; words outside go to the first and last cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linear {
    low: u64,
    span: u64,
    shift: u32,
    scale: u64,
    count: usize,
}

impl Linear {
    fn new(low: u64, high: u64, count: usize) -> Self {
        let span = high - low;
        // The distance from `low` is brought to the leading bits, so that the high half of the
        // product with `scale` keeps all precision: cell = distance * count / (span + 1).
        let shift = span.leading_zeros().min(63);
        let width = u128::from(span << shift) + 1;
        let scale = u64::try_from(((count as u128) << 64) / width).unwrap_or(u64::MAX);
        Self { low, span, shift, scale, count }
    }
}

impl CellMap for Linear {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below `count` by construction")]
    fn cell(&self, word: u64) -> usize {
        let distance = word.saturating_sub(self.low).min(self.span) << self.shift;
        let cell = (u128::from(distance) * u128::from(self.scale)) >> 64;
        (cell as usize).min(self.count - 1)
    }

    fn count(&self) -> usize {
        self.count
    }
}

/// Cells that double in width every [`Octaves::PER_OCTAVE`] cells, for words of all magnitudes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Octaves {
    low: u64,
}

impl Octaves {
    const MANTISSA: u32 = 4;
    const PER_OCTAVE: usize = 1 << Self::MANTISSA;
    /// Leading bits of the first cell above zero: the image of 1.0.
    const ONE: u64 = 1023 << Self::MANTISSA;
}

impl CellMap for Octaves {
    #[inline]
    #[expect(
        clippy::cast_precision_loss,
        reason = "only the leading bits matter; rounding is monotone"
    )]
    #[expect(clippy::cast_possible_wrap, reason = "the sign bit is shifted out")]
    fn cell(&self, word: u64) -> usize {
        // The exponent and leading mantissa bits of a float are a scale by octaves; the signed
        // conversion is one instruction, hence the shift.
        let magnitude = (word.saturating_sub(self.low) >> 1) as i64 as f64;
        let leading = magnitude.to_bits() >> (52 - Self::MANTISSA);
        (leading.saturating_sub(Self::ONE - 1) as usize).min(self.count() - 1)
    }

    fn count(&self) -> usize {
        // Zero, 63 octaves, and 2^63 by rounding.
        63 * Self::PER_OCTAVE + 2
    }
}

/// The map that suits some records.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    Linear(Linear),
    Octaves(Octaves),
    /// All sampled words are this one.
    Constant(u64),
    /// Neither map spreads the records: sort them by comparison.
    Uneven,
}

/// Chooses a map that cuts `records` into `count` cells or more.
pub(super) fn choose<const N: usize, K: WordKey>(
    records: &[[u8; N]],
    key: K,
    count: usize,
) -> Choice {
    let mut words = sample(records, key);
    words.sort_unstable();
    let (Some(&low), Some(&high)) = (words.first(), words.last()) else { return Choice::Uneven };
    if low == high {
        return Choice::Constant(low);
    }
    let linear = Linear::new(low, high, count);
    let heavy = (words.len() / 16).max(words.len() * 4 / count);
    let linear_crowd = crowd(&words, linear, heavy);
    if linear_crowd <= words.len() / 8 {
        return Choice::Linear(linear);
    }
    let octaves = Octaves { low };
    let octaves_crowd = crowd(&words, octaves, heavy);
    if octaves_crowd <= words.len() / 4 && octaves_crowd < linear_crowd {
        return Choice::Octaves(octaves);
    }
    // A linear map that leaves most records in a smaller range still pays after rescaling.
    if linear_crowd <= words.len() / 2 { Choice::Linear(linear) } else { Choice::Uneven }
}

/// How many sampled words share a cell with at least `heavy` others that are not all equal.
fn crowd<M: CellMap>(sorted: &[u64], map: M, heavy: usize) -> usize {
    sorted
        .chunk_by(|a, b| map.cell(*a) == map.cell(*b))
        .filter(|cell| heavy < cell.len() && cell.first() != cell.last())
        .map(<[u64]>::len)
        .sum()
}

/// Words from all over `records`, at places without a period.
pub(super) fn sample<const N: usize, K: WordKey>(records: &[[u8; N]], key: K) -> Vec<u64> {
    let stride = records.len().div_ceil(SAMPLE).max(1);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    records
        .chunks(stride)
        .map(|part| {
            state = state.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(1);
            #[expect(clippy::cast_possible_truncation, reason = "below the length of the part")]
            let at = ((u128::from(state) * part.len() as u128) >> 64) as usize;
            key.word(&part[at])
        })
        .collect()
}
