//! Numbers of as many bytes as they need: seven bits in each, low bits first.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

/// Bytes of the longest number.
pub(crate) const LEN_MAX: usize = 10;

/// Appends a number.
#[inline]
pub(crate) fn push(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            into.push(low);
            return;
        }
        into.push(low | 0x80);
    }
}

/// Takes a number from the front; none, with an unknown rest, where none lies.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    if first < 0x80 {
        return Some(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for place in 1..LEN_MAX {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let shift = u32::try_from(place).ok()?.checked_mul(7)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Numbers below `1 << SHORT_BITS` fit five bytes.
#[cfg(test)]
const SHORT_BITS: u32 = 35;

/// Appends a number below 2^35, the rest of which is lost, without a branch.
#[inline]
pub(crate) fn push_short(into: &mut Vec<u8>, value: u64) {
    let spread = value & 0x7f
        | (value & 0x7f << 7) << 1
        | (value & 0x7f << 14) << 2
        | (value & 0x7f << 21) << 3
        | (value & 0x7f << 28) << 4;
    // The bytes before the highest that is not zero.
    let more = 63_u32.saturating_sub((spread | 1).leading_zeros()) / 8;
    let goes_on = 0x80_8080_8080 & (1_u64 << more.saturating_mul(8)).wrapping_sub(1);
    let end = into.len().saturating_add(usize::try_from(more).unwrap_or(0)).saturating_add(1);
    into.extend_from_slice(&(spread | goes_on).to_le_bytes());
    into.truncate(end);
}

/// The number that begins the bytes, and how many of them it has; none where it is longer than
/// five.
#[inline]
pub(crate) fn first_short(bytes: [u8; 8]) -> Option<(u64, u32)> {
    let word = u64::from_le_bytes(bytes);
    let last = (!word & 0x80_8080_8080).trailing_zeros();
    if 40 <= last {
        return None;
    }
    let word = word & 2_u64.checked_shl(last)?.wrapping_sub(1);
    let value = word & 0x7f
        | (word >> 1) & 0x7f << 7
        | (word >> 2) & 0x7f << 14
        | (word >> 3) & 0x7f << 21
        | (word >> 4) & 0x7f << 28;
    Some((value, (last / 8).saturating_add(1)))
}

/// A signed difference as a number that is small where the difference is.
#[inline]
pub(crate) const fn fold(difference: i64) -> u64 {
    (difference.wrapping_shl(1) ^ difference.wrapping_shr(63)).cast_unsigned()
}

/// The difference that [`fold`] made a number of.
#[inline]
pub(crate) const fn unfold(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::{SHORT_BITS, first_short, fold, push, push_short, take, unfold};

    #[test]
    fn short_numbers_are_as_others() {
        let all = (0..SHORT_BITS).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in all.chain([(1 << SHORT_BITS) - 1]) {
            let (mut bytes, mut short) = (vec![7], vec![7]);
            push(&mut bytes, value);
            push_short(&mut short, value);
            assert_eq!(bytes, short, "{value}");
            let len = u32::try_from(bytes.len() - 1).unwrap();
            for behind in [0, 0xff] {
                let mut begin = [behind; 8];
                begin[..bytes.len() - 1].copy_from_slice(&bytes[1..]);
                assert_eq!(first_short(begin), Some((value, len)));
            }
        }
        assert_eq!(first_short([0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0]), None);
    }

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, 1 << 32, u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            push(&mut bytes, value);
            let mut rest = bytes.as_slice();
            assert_eq!((take(&mut rest), rest), (Some(value), &[][..]));
            let mut cut = &bytes[..bytes.len() - 1];
            assert_eq!(take(&mut cut), None);
            assert_eq!(fold(unfold(value)), value);
        }
        assert_eq!([fold(0), fold(-1), fold(1), fold(-2)], [0, 1, 2, 3]);
        assert_eq!(take(&mut &[0xff; 12][..]), None);
    }
}
