//! Binary search of records that are sorted by a field.

use std::{cmp::Ordering, ops::Range};

use crate::{
    error::Result,
    field::{Cut, Field, Target, Value},
    record::Record,
    records::Records,
};

/// Which record answers a search when no record has the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Bias {
    /// None.
    #[default]
    Exact,
    /// The last one with a lower value.
    Before,
    /// The first one with a higher value.
    After,
    /// The one whose value is nearest by difference, the lower of two; bytes are compared as
    /// numbers, high byte first.
    Nearest,
}

impl<T: Record + ?Sized> Records<T> {
    /// Returns the index of the first record whose field is not below `value`.
    ///
    /// The records are sorted by that field, which is the caller's to know; otherwise the answer
    /// is some index. O(log n), without allocation.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the field does not lie inside a record or cannot be compared with
    /// the value; `Io` when the file is not mapped.
    pub fn lower_bound<'a>(&self, field: Field, value: impl Into<Value<'a>>) -> Result<u64> {
        self.search(field, &value.into())?.lower_bound(0..self.len())
    }

    /// Returns the index of the first record whose field is above `value`.
    ///
    /// # Errors
    ///
    /// As [`lower_bound`](Self::lower_bound).
    pub fn upper_bound<'a>(&self, field: Field, value: impl Into<Value<'a>>) -> Result<u64> {
        self.search(field, &value.into())?.upper_bound(0..self.len())
    }

    /// Returns the indexes of all records whose field is `value`.
    ///
    /// # Errors
    ///
    /// As [`lower_bound`](Self::lower_bound).
    pub fn equal_range<'a>(&self, field: Field, value: impl Into<Value<'a>>) -> Result<Range<u64>> {
        self.search(field, &value.into())?.equal_range()
    }

    /// Returns the index of a record whose field is `value`, the first of equals, or the one
    /// that `bias` chooses when there is none.
    ///
    /// # Errors
    ///
    /// As [`lower_bound`](Self::lower_bound).
    pub fn binary_search<'a>(
        &self,
        field: Field,
        value: impl Into<Value<'a>>,
        bias: Bias,
    ) -> Result<Option<u64>> {
        let value = value.into();
        let search = self.search(field, &value)?;
        let found = search.equal_range()?;
        if !found.is_empty() {
            return Ok(Some(found.start));
        }
        let after = Some(found.start).filter(|&index| index < self.len());
        let before = match found.start.checked_sub(1) {
            Some(last) => Some(search.first_of_equals(last)?),
            None => None,
        };
        match (bias, before, after) {
            (Bias::Exact, ..) => Ok(None),
            (Bias::Before, before, _) => Ok(before),
            (Bias::After, _, after) => Ok(after),
            (Bias::Nearest, Some(before), Some(after)) => {
                search.nearer(&value, before, after).map(Some)
            }
            (Bias::Nearest, before, after) => Ok(before.or(after)),
        }
    }

    fn search<'s>(&'s self, field: Field, value: &'s Value<'s>) -> Result<Search<'s, T>> {
        field.check(self.record_size())?;
        let probe = match value {
            Value::Bytes(bytes) if !field.has_image() => Probe::Bytes(bytes),
            value => Probe::Image(field.target(value)?),
        };
        Ok(Search { records: self, field, probe })
    }
}

/// What is compared with the records' fields.
#[derive(Debug, Clone, Copy)]
enum Probe<'s> {
    Image(Target),
    Bytes(&'s [u8]),
}

/// One search: records, the field they are sorted by, and the place looked for.
#[derive(Debug)]
struct Search<'s, T: Record + ?Sized> {
    records: &'s Records<T>,
    field: Field,
    probe: Probe<'s>,
}

impl<T: Record + ?Sized> Search<'_, T> {
    fn lower_bound(&self, range: Range<u64>) -> Result<u64> {
        match self.probe {
            Probe::Image(target) => self.partition_image(range, target.lower),
            Probe::Bytes(probe) => self.partition_bytes(range, |field| field < probe),
        }
    }

    fn upper_bound(&self, range: Range<u64>) -> Result<u64> {
        match self.probe {
            Probe::Image(target) => self.partition_image(range, target.upper),
            Probe::Bytes(probe) => self.partition_bytes(range, |field| field <= probe),
        }
    }

    fn equal_range(&self) -> Result<Range<u64>> {
        let start = self.lower_bound(0..self.records.len())?;
        let end = self.upper_bound(start..self.records.len())?;
        Ok(start..end)
    }

    /// The first record whose field equals that of the record at `index`.
    fn first_of_equals(&self, index: u64) -> Result<u64> {
        if self.field.has_image() {
            let cut = Some(self.image(index)?);
            return self.partition_image(0..index, cut);
        }
        let mut bytes = vec![0; self.field.size() as usize];
        let skip = self.field.offset() as usize;
        self.records.core().read(index, skip, &mut bytes)?;
        self.partition_bytes(0..index, |field| field < bytes.as_slice())
    }

    /// The number of records whose image lies below the cut; the images ascend.
    fn partition_image(&self, range: Range<u64>, cut: Cut) -> Result<u64> {
        let Some(cut) = cut else { return Ok(range.end) };
        partition(range, |index| Ok(self.image(index)? < cut))
    }

    fn partition_bytes(&self, range: Range<u64>, below: impl Fn(&[u8]) -> bool) -> Result<u64> {
        let mut copy = Vec::new();
        partition(range, |index| {
            if let Some(record) = self.records.core().record(index) {
                return Ok(below(self.field.bytes(record)));
            }
            // One allocation, and only for byte fields of more than 16 bytes that are copied.
            copy.resize(self.field.size() as usize, 0);
            self.records.core().read(index, self.field.offset() as usize, &mut copy)?;
            Ok(below(&copy))
        })
    }

    #[inline]
    fn image(&self, index: u64) -> Result<u128> {
        if let Some(record) = self.records.core().record(index) {
            return Ok(self.field.image(self.field.bytes(record)));
        }
        let mut copy = [0; 16];
        let copy = &mut copy[..self.field.size() as usize];
        self.records.core().read(index, self.field.offset() as usize, copy)?;
        Ok(self.field.image(copy))
    }

    /// Which of two neighbours of a value that lies between them is nearer.
    fn nearer(&self, value: &Value<'_>, before: u64, after: u64) -> Result<u64> {
        let low = self.records.field(before, self.field)?;
        let high = self.records.field(after, self.field)?;
        let below = distance(&low, value);
        let above = distance(value, &high);
        Ok(if below.compare(&above) == Ordering::Greater { after } else { before })
    }
}

/// The first index of the range for which `below` no longer holds.
fn partition(range: Range<u64>, below: impl FnMut(u64) -> Result<bool>) -> Result<u64> {
    let mut below = below;
    let Range { mut start, mut end } = range;
    while start < end {
        let middle = start + (end - start) / 2;
        if below(middle)? {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(start)
}

/// How far two values are apart.
#[derive(Debug)]
enum Distance {
    Whole(u128),
    Float(f64),
    Bytes(Vec<u8>),
}

impl Distance {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => left.cmp(right),
            (Self::Bytes(left), Self::Bytes(right)) => left.cmp(right),
            (Self::Float(left), Self::Float(right)) => left.total_cmp(right),
            _ => Ordering::Equal,
        }
    }
}

/// `high - low`, both of one field, `low` not above `high`.
fn distance(low: &Value<'_>, high: &Value<'_>) -> Distance {
    match (low, high) {
        (Value::Float(low), Value::Float(high)) => Distance::Float(high - low),
        (Value::Float(low), high) => Distance::Float(as_float(high) - low),
        (low, Value::Float(high)) => Distance::Float(high - as_float(low)),
        (Value::Bytes(low), Value::Bytes(high)) => Distance::Bytes(subtract(high, low)),
        (low, high) => Distance::Whole(whole(high).wrapping_sub(whole(low))),
    }
}

/// A whole number modulo 2^128: differences come out right whatever the signs.
fn whole(value: &Value<'_>) -> u128 {
    match value {
        Value::Unsigned(value) => *value,
        Value::Signed(value) => value.cast_unsigned(),
        Value::Float(_) | Value::Bytes(_) => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "distances to a float are floats")]
fn as_float(value: &Value<'_>) -> f64 {
    match value {
        Value::Unsigned(value) => *value as f64,
        Value::Signed(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bytes(_) => f64::NAN,
    }
}

/// Long subtraction of byte strings, the shorter padded with zeros behind.
fn subtract(high: &[u8], low: &[u8]) -> Vec<u8> {
    let len = high.len().max(low.len());
    let at = |bytes: &[u8], index: usize| i16::from(bytes.get(index).copied().unwrap_or(0));
    let mut borrow = 0;
    let mut difference = vec![0; len];
    for index in (0..len).rev() {
        let digit = at(high, index) - at(low, index) - borrow;
        borrow = i16::from(digit < 0);
        difference[index] = digit.rem_euclid(256).to_le_bytes()[0];
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::subtract;

    #[test]
    fn long_subtraction_borrows() {
        assert_eq!(subtract(&[1, 0, 0], &[0, 0, 1]), [0, 255, 255]);
        assert_eq!(subtract(&[5], &[4, 1]), [0, 255]);
    }
}
