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
    use super::{fold, push, take, unfold};

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
