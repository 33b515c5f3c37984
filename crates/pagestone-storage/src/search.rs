//! Binary search of records that are sorted by a field.

use std::ops::Range;

use crate::{
    error::Result,
    field::{Field, Value},
    record::Record,
    records::Records,
};
pub(crate) use keys::Keys;
use one::Search;

mod one; // one search, compiled once for all record types
mod many; // many searches at once, likewise
mod image; // searches by the place of a value in its field's order
mod distance; // how far two values are apart
pub(crate) mod keys; // where a search takes its keys from
mod bound; // lower bounds with nothing but the records; many at once
pub(crate) mod count; // how much of a tree node is below a probe: SIMD and portable
pub(crate) mod tree; // the sampled static tree

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
        self.search(field, &value.into())?.lower_bound()
    }

    /// Returns the index of the first record whose field is above `value`.
    ///
    /// # Errors
    ///
    /// As [`lower_bound`](Self::lower_bound).
    pub fn upper_bound<'a>(&self, field: Field, value: impl Into<Value<'a>>) -> Result<u64> {
        self.search(field, &value.into())?.upper_bound()
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
        self.search(field, &value.into())?.answer(bias)
    }

    /// Looks up many values at once and puts into `found`, for each in the order given, the index
    /// of the first record whose field has it.
    ///
    /// Cache misses of many searches overlap, so that each costs a fraction of one alone. Without
    /// allocation.
    ///
    /// # Errors
    ///
    /// As [`lower_bound`](Self::lower_bound); `InvalidArgument` unless there is one place in
    /// `found` for each value.
    pub fn get_many<'a, V: Copy + Into<Value<'a>>>(
        &self,
        field: Field,
        values: &[V],
        found: &mut [Option<u64>],
    ) -> Result<()> {
        field.check(self.record_size())?;
        if values.len() != found.len() {
            let what = format!("{} values, {} places for answers", values.len(), found.len());
            return Err(crate::Error::argument(what));
        }
        if 8 < field.size() {
            for (&value, found) in values.iter().zip(found) {
                *found = self.binary_search(field, value, Bias::Exact)?;
            }
            return Ok(());
        }
        let most = field.unsigned_max();
        let mut probes = [0; many::BATCH];
        for (values, found) in values.chunks(many::BATCH).zip(found.chunks_mut(many::BATCH)) {
            for ((&value, found), probe) in values.iter().zip(&mut *found).zip(&mut probes) {
                let value = value.into();
                // Most values are small enough for the field, and most fields are unsigned.
                *found = match value {
                    Value::Unsigned(number) if most.is_some_and(|most| number <= most) => {
                        low_64(number)
                    }
                    value => field.target(&value)?.exact_word(),
                };
                *probe = found.unwrap_or(0);
            }
            let opened = (&**self.core(), &**self.loaded());
            many::replace(opened, field, &probes[..values.len()], found)?;
        }
        Ok(())
    }

    /// Returns the first index for which `below` does not hold; it holds for a prefix of the
    /// records. For orders that no field has.
    ///
    /// # Errors
    ///
    /// `Io` when the file is not mapped.
    pub fn partition_point(&self, mut below: impl FnMut(&T) -> bool) -> Result<u64> {
        partition(0..self.len(), |index| Ok(below(&*self.get(index)?)))
    }

    fn search<'s>(&'s self, field: Field, value: &'s Value<'s>) -> Result<Search<'s>> {
        Search::new((self.core(), self.loaded()), field, value)
    }
}

fn low_64(number: u128) -> Option<u64> {
    u64::try_from(number).ok()
}

/// The first index of the range for which `below` no longer holds.
fn partition(range: Range<u64>, mut below: impl FnMut(u64) -> Result<bool>) -> Result<u64> {
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
