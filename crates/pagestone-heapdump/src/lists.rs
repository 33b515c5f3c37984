//! Lists of object ordinals, one for each key, packed one behind the other.
//!
//! A list is its length in bytes, then its first number as the difference from the key, then the
//! gaps between neighbours. Every sixteenth list has an entry in the table of heads; the lengths
//! lead to those between.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::varint;

/// One list in so many has a head.
pub(crate) const STRIDE: u32 = 16;

/// The bytes are no lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The numbers of one list, ascending.
#[derive(Debug, Clone)]
pub(crate) struct List<'a> {
    key: u32,
    last: Option<u32>,
    bytes: &'a [u8],
    value_count: u32,
}

impl<'a> List<'a> {
    /// The list of a key from its bytes, without their length.
    pub(crate) fn new(key: u32, bytes: &'a [u8], value_count: u32) -> Self {
        Self { key, last: None, bytes, value_count }
    }

    #[inline]
    fn take(&mut self) -> Option<u32> {
        let number = varint::take(&mut self.bytes)?;
        let value = match self.last {
            None => u64::from(self.key).checked_add_signed(varint::unfold(number))?,
            Some(last) => u64::from(last).checked_add(number)?.checked_add(1)?,
        };
        let value = u32::try_from(value).ok().filter(|value| *value < self.value_count)?;
        self.last = Some(value);
        Some(value)
    }
}

impl Iterator for List<'_> {
    type Item = Result<u32, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Result<u32, Malformed>> {
        if self.bytes.is_empty() {
            return None;
        }
        let value = self.take().ok_or(Malformed);
        if value.is_err() {
            self.bytes = &[];
        }
        Some(value)
    }
}

/// Calls `look` with each number of a list that begins `bytes` and ends at `len` of them. Reads
/// as far as eight bytes behind each number; where these are not there, gives false, having told
/// nothing.
#[inline]
pub(crate) fn each(
    (key, bytes, len): (u32, &[u8], usize),
    value_count: u32,
    mut look: impl FnMut(u32),
) -> Result<bool, Malformed> {
    if bytes.len() < len.saturating_add(8) {
        return Ok(false);
    }
    let mut at = 0;
    let mut value = 0;
    while at < len {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).ok_or(Malformed)?;
        let (number, taken) = varint::first_short(*word).ok_or(Malformed)?;
        value = if at == 0 {
            u64::from(key).wrapping_add_signed(varint::unfold(number))
        } else {
            number.wrapping_add(value).wrapping_add(1)
        };
        at = at.saturating_add(usize::try_from(taken).map_err(|_| Malformed)?);
        let value = u32::try_from(value).ok().filter(|value| *value < value_count);
        look(value.ok_or(Malformed)?);
    }
    if at == len { Ok(true) } else { Err(Malformed) }
}

/// Appends the list of a key, ascending and each number once, without its length.
pub(crate) fn encode(key: u32, values: &[u32], into: &mut Vec<u8>) {
    let mut last: Option<u32> = None;
    for &value in values {
        let number = match last {
            None => varint::fold(i64::from(value).wrapping_sub(i64::from(key))),
            Some(last) => u64::from(value.wrapping_sub(last).wrapping_sub(1)),
        };
        // The difference of two numbers of 32 bits, with its sign, has no more than 33.
        varint::push_short(into, number);
        last = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::{List, Malformed, each, encode};

    #[track_caller]
    fn check(key: u32, values: &[u32]) {
        let mut bytes = Vec::new();
        encode(key, values, &mut bytes);
        let found: Result<Vec<u32>, _> = List::new(key, &bytes, u32::MAX).collect();
        assert_eq!(found.as_deref(), Ok(values));
        let len = bytes.len();
        bytes.extend([0xff; 8]);
        let mut found = Vec::new();
        assert_eq!(each((key, &bytes, len), u32::MAX, |value| found.push(value)), Ok(true));
        assert_eq!(found, values);
        assert_eq!(each((key, &bytes[1..], len), u32::MAX, |_| ()), Ok(false));
    }

    #[test]
    fn lists_come_back() {
        check(5, &[]);
        check(0, &[0]);
        check(7, &[0, 1, 2, 900, u32::MAX - 1]);
        check(u32::MAX - 1, &[u32::MAX - 1]);
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let mut bytes = Vec::new();
        encode(3, &[2, 9], &mut bytes);
        assert_eq!(List::new(3, &bytes, 9).collect::<Vec<_>>(), [Ok(2), Err(Malformed)]);
        assert_eq!(List::new(0, &bytes, 9).next(), Some(Err(Malformed)));
        let len = bytes.len();
        bytes.extend([0; 8]);
        assert_eq!(each((3, &bytes, len), 9, |_| ()), Err(Malformed));
        assert_eq!(each((0, &bytes, len), 9, |_| ()), Err(Malformed));
        assert_eq!(each((3, &[0x80; 9], 1), 9, |_| ()), Err(Malformed));
        assert_eq!(List::new(3, &[0x80], 9).next(), Some(Err(Malformed)));
    }
}
