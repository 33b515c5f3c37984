//! The values of one key.

use std::{fmt, iter::FusedIterator, ops::Range};

use pagestone_storage::le;

use super::{Direction, RowSet, narrow, number, wide};
use crate::error::Result;

/// The values of one key, ascending, made by [`Relation::values`](crate::Relation::values).
///
/// Each is checked to be a row that there can be. [`as_slice`](Self::as_slice) lends them
/// unchecked, where they may be borrowed and have 4 bytes, which is fastest.
#[derive(Clone)]
pub struct Values<'t> {
    direction: &'t Direction,
    left: Range<u64>,
    /// The values that are left, where they may be borrowed.
    bytes: Option<&'t [u8]>,
    size: usize,
}

impl Direction {
    #[inline]
    pub(super) fn values_of(&self, key: u64) -> Result<Values<'_>> {
        Ok(self.values_at(self.list(key)?))
    }

    /// The values at some places.
    #[inline]
    pub(super) fn values_at(&self, left: Range<u64>) -> Values<'_> {
        let size = self.values.records.record_size();
        let bytes = self.values.as_bytes().and_then(|all| {
            let start = usize::try_from(left.start).ok()?.checked_mul(size)?;
            all.get(start..usize::try_from(left.end).ok()?.checked_mul(size)?)
        });
        Values { direction: self, left, bytes, size }
    }
}

impl<'t> Values<'t> {
    /// Returns the values that are left as one slice, where they may be borrowed and take 4 bytes
    /// each. What a damaged file holds is in it as it is.
    #[must_use]
    pub fn as_slice(&self) -> Option<&'t [le::U32]> {
        if self.size == 4 { narrow(self.bytes?) } else { None }
    }

    /// Returns the values that are left as one slice, where they may be borrowed and take 8 bytes
    /// each.
    #[must_use]
    pub fn as_wide_slice(&self) -> Option<&'t [le::U64]> {
        if self.size == 8 { wide(self.bytes?) } else { None }
    }

    /// Adds the values that are left to a set.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a value that is no row; `Io`.
    pub fn load_into(self, set: &mut RowSet) -> Result<()> {
        for value in self {
            set.insert(value?);
        }
        Ok(())
    }

    /// Goes past values below `value`; near ones are found fast.
    pub(super) fn leap(&mut self, value: u64) -> Result<()> {
        let (mut known, mut next, mut step) = (self.left.start, self.left.start, 1);
        while next < self.left.end && self.direction.value(next)? < value {
            known = next + 1;
            next = next.saturating_add(step);
            step *= 2;
        }
        let start = crate::files::partition(known..next.min(self.left.end), |place| {
            Ok(self.direction.value(place)? < value)
        })?;
        let skipped = usize::try_from(start - self.left.start).unwrap_or(usize::MAX);
        self.bytes = self.bytes.and_then(|bytes| bytes.get(skipped.checked_mul(self.size)?..));
        self.left.start = start;
        Ok(())
    }

    #[inline]
    fn checked(&self, place: u64, bytes: &[u8]) -> Result<u64> {
        let value = number(bytes);
        if value < self.direction.value_count {
            Ok(value)
        } else {
            Err(self.direction.no_row(place, value))
        }
    }
}

impl Iterator for Values<'_> {
    type Item = Result<u64>;

    #[inline]
    fn next(&mut self) -> Option<Result<u64>> {
        let place = self.left.next()?;
        if let Some(bytes) = self.bytes {
            let (value, rest) = bytes.split_at_checked(self.size)?;
            self.bytes = Some(rest);
            return Some(self.checked(place, value));
        }
        Some(self.direction.value(place))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let exact = usize::try_from(self.left.end - self.left.start).ok();
        (exact.unwrap_or(usize::MAX), exact)
    }
}

impl DoubleEndedIterator for Values<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Result<u64>> {
        let place = self.left.next_back()?;
        if let Some(bytes) = self.bytes {
            let (rest, value) = bytes.split_at_checked(bytes.len().checked_sub(self.size)?)?;
            self.bytes = Some(rest);
            return Some(self.checked(place, value));
        }
        Some(self.direction.value(place))
    }
}

impl ExactSizeIterator for Values<'_> {}
impl FusedIterator for Values<'_> {}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Values").field("left", &self.left).finish_non_exhaustive()
    }
}
