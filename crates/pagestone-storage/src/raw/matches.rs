//! The words of a cache line that are alike in some of their bits.
#![expect(unsafe_code, reason = "vector code, which every x86-64 machine has")]

/// Returns a bit for each word of a line that is `wanted` where `mask` has bits, the lowest for the
/// first.
///
/// ```
/// use pagestone_storage::raw::matches;
///
/// let line = [7, 9, 0x107, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
/// assert_eq!(matches(&line, !0, 7), 1 | 1 << 15);
/// assert_eq!(matches(&line, 0xff, 7), 1 | 1 << 2 | 1 << 15);
/// ```
#[inline]
#[must_use]
pub fn matches(line: &[u32; 16], mask: u32, wanted: u32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 belongs to the x86-64 architecture.
        unsafe { matches_sse2(line, mask, wanted) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        one_by_one(line, mask, wanted)
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn matches_sse2(line: &[u32; 16], mask: u32, wanted: u32) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_packs_epi16,
        _mm_packs_epi32, _mm_set1_epi32,
    };

    let mask = _mm_set1_epi32(mask.cast_signed());
    let wanted = _mm_set1_epi32(wanted.cast_signed());
    let [first, second, third, fourth] = bytemuck::cast::<[u32; 16], [__m128i; 4]>(*line);
    let alike = |four| _mm_cmpeq_epi32(_mm_and_si128(four, mask), wanted);
    let low = _mm_packs_epi32(alike(first), alike(second));
    let high = _mm_packs_epi32(alike(third), alike(fourth));
    _mm_movemask_epi8(_mm_packs_epi16(low, high)).cast_unsigned()
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn one_by_one(line: &[u32; 16], mask: u32, wanted: u32) -> u32 {
    let mut bits = 0;
    for (at, entry) in line.iter().enumerate() {
        bits |= u32::from(entry & mask == wanted) << at;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::{matches, one_by_one};

    #[test]
    fn every_word_of_a_line_is_compared() {
        let words = [0, 1, 7, 0x8000_0000, 0x8000_0007, u32::MAX, 0xffff_0000, 0x7fff_ffff];
        for at in 0..16 {
            for word in words {
                let mut line = [0; 16];
                line[at] = word;
                line[(at + 5) % 16] = word ^ 1;
                for (mask, wanted) in words.iter().flat_map(|&mask| words.map(|word| (mask, word)))
                {
                    let expected = one_by_one(&line, mask, wanted);
                    assert_eq!(matches(&line, mask, wanted), expected, "{line:?} {mask} {wanted}");
                }
            }
        }
    }
}
