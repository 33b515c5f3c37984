//! Rows that have several keys at once: the sorted intersection of their indexes.

use std::{fmt, iter::FusedIterator, marker::PhantomData, ops::Range, sync::Arc};

use crate::{
    error::{Error, Result},
    files::{Order, partition},
    key::{Image, Key, KeyValue},
    part::Part,
    schema::Record,
    table::Table,
};

/// The most keys of one [`Find`].
pub const FIND_KEYS_MAX: usize = 8;

/// The rows that have every one of some keys, by index, made by [`Table::find`].
///
/// The rows of equal keys lie in row order in every index, so the lists are leapt through, the
/// shortest one leading; nothing is collected.
pub struct Find<'t, R> {
    part: &'t Arc<Part>,
    /// The number of a key, and the places of its rows that are left; shortest first.
    lists: [(usize, Range<u64>); FIND_KEYS_MAX],
    count: usize,
    /// The rows that are left, where no key was given.
    all: Range<u64>,
    rows: PhantomData<fn() -> R>,
}

impl<R: Record> Table<R> {
    /// Starts a search for rows that have several keys at once; without any it finds all rows.
    #[must_use]
    pub fn find(&self) -> Find<'_, R> {
        Find {
            part: self.part(),
            lists: std::array::from_fn(|_| (0, 0..0)),
            count: 0,
            all: 0..self.len(),
            rows: PhantomData,
        }
    }
}

impl<R: Record> Find<'_, R> {
    /// Leaves the rows that have this key too.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for more than [`FIND_KEYS_MAX`] keys; `Io` where files are not mapped.
    pub fn and<K: KeyValue>(mut self, key: Key<R, K>, value: K) -> Result<Self> {
        let (_, order) = self.part.order(key.number())?;
        let places = self.part.equal(order, Image::of(value).as_slice())?;
        let Some(free) = self.lists.get_mut(self.count) else {
            return Err(Error::argument(format!("more than {FIND_KEYS_MAX} keys at once")));
        };
        *free = (key.number(), places);
        self.count += 1;
        if let Some(lists) = self.lists.get_mut(..self.count) {
            lists.sort_unstable_by_key(|(_, left)| left.end - left.start);
        }
        Ok(self)
    }

    /// The indexes of the rows instead of the rows.
    pub fn indexes(mut self) -> impl Iterator<Item = Result<u64>> {
        std::iter::from_fn(move || self.step())
    }

    /// The next row; nothing is left behind an error, which would come again.
    fn step(&mut self) -> Option<Result<u64>> {
        let found = self.next_index();
        if found.is_err() {
            (self.count, self.all) = (0, 0..0);
        }
        found.transpose()
    }

    fn next_index(&mut self) -> Result<Option<u64>> {
        let Some(lists) = self.lists.get_mut(..self.count).filter(|lists| !lists.is_empty()) else {
            return Ok(self.all.next());
        };
        let mut wanted = 0;
        // How many lists in a row have the wanted row.
        let mut agreed = 0;
        for at in (0..lists.len()).cycle() {
            let Some((number, left)) = lists.get_mut(at) else { break };
            let (_, order) = self.part.order(*number)?;
            left.start = leap(self.part, order, (left.clone(), wanted))?;
            if left.is_empty() {
                // Empties this one for good, so that the end stays the end.
                return Ok(None);
            }
            let row = self.part.row_at(order, left.start)?;
            agreed = if row == wanted { agreed + 1 } else { 1 };
            wanted = row;
            if agreed == self.count {
                break;
            }
        }
        for (_, left) in lists {
            left.start += 1;
        }
        Ok(Some(wanted))
    }
}

/// The first place of `left` whose row is not below `wanted`; near ones are found fast.
fn leap(part: &Part, order: &Order, (left, wanted): (Range<u64>, u64)) -> Result<u64> {
    let (mut known, mut step) = (left.start, 1);
    let mut next = left.start;
    while next < left.end && part.row_at(order, next)? < wanted {
        known = next + 1;
        next = next.saturating_add(step);
        step *= 2;
    }
    partition(known..next.min(left.end), |place| Ok(part.row_at(order, place)? < wanted))
}

impl<R: Record> Iterator for Find<'_, R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        let row = self.step()?;
        Some(row.and_then(|row| self.part.with_row(row, R::read)))
    }
}

impl<R: Record> FusedIterator for Find<'_, R> {}

impl<R> fmt::Debug for Find<'_, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Find")
            .field("lists", &self.lists.get(..self.count))
            .finish_non_exhaustive()
    }
}
