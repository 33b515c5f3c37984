//! Bits in words, and the lowest of them.

/// The lowest bit that is set at `from` or above.
pub(crate) fn lowest(words: &[u64], from: usize) -> Option<usize> {
    let mut index = from / 64;
    let mut word = words.get(index)? & (!0 << (from % 64));
    while word == 0 {
        index += 1;
        word = *words.get(index)?;
    }
    Some(index * 64 + word.trailing_zeros() as usize)
}

#[inline]
pub(crate) fn set(words: &mut [u64], at: usize) {
    words[at / 64] |= 1 << (at % 64);
}

#[inline]
pub(crate) fn clear(words: &mut [u64], at: usize) {
    words[at / 64] &= !(1 << (at % 64));
}

/// The bits of `word` that are set, lowest first, counted from `first`.
pub(crate) fn each(mut word: u64, first: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros();
        word &= word - 1;
        Some(first + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::{clear, each, lowest, set};

    #[test]
    fn the_lowest_bit_is_found() {
        let mut words = [0u64; 3];
        assert_eq!(lowest(&words, 0), None);
        for at in [3, 63, 64, 190] {
            set(&mut words, at);
        }
        let cases = [(0, 3), (3, 3), (4, 63), (64, 64), (65, 190), (190, 190)];
        for (from, at) in cases {
            assert_eq!(lowest(&words, from), Some(at), "from {from}");
        }
        assert_eq!(lowest(&words, 191), None);
        assert_eq!(lowest(&words, 192), None);
        clear(&mut words, 63);
        assert_eq!(lowest(&words, 4), Some(64));
        assert_eq!(each(0b1001, 64).collect::<Vec<_>>(), [64, 67]);
    }
}
