//! Two tables side by side, in the order of a key of each.

use std::{fmt, iter::FusedIterator, ops::Range, sync::Arc};

use crate::{
    by::By,
    error::Result,
    files::{Order, partition},
    key::{Image, KeyValue},
    part::Part,
    schema::Record,
};

/// The pairs of rows of two tables that have the same key, in key order, made by [`By::join`].
///
/// Both indexes are walked once; where one has keys that the other does not, they are leapt over.
/// Of equal keys every row of the one comes with every row of the other.
pub struct Join<'l, 'r, L, R, K> {
    left: By<'l, L, K>,
    right: By<'r, R, K>,
    /// The place of the left row, and the places that are left behind it.
    lefts: Range<u64>,
    /// The places of the right rows that have the key of the left one.
    equals: Range<u64>,
    /// The place among them of the next pair.
    next: u64,
    key: Image,
    is_over: bool,
}

impl<'l, L: Record, K: KeyValue> By<'l, L, K> {
    /// Returns the pairs of rows of this table and `other` that have the same key.
    #[must_use]
    pub fn join<'r, R: Record>(self, other: By<'r, R, K>) -> Join<'l, 'r, L, R, K> {
        Join {
            left: self,
            right: other,
            lefts: 0..self.part().len(),
            equals: 0..0,
            next: 0,
            key: Image::padded(&[], K::LEN, 0),
            is_over: false,
        }
    }
}

impl<L: Record, R: Record, K: KeyValue> Join<'_, '_, L, R, K> {
    fn next_pair(&mut self) -> Result<Option<(L, R)>> {
        while !self.is_over {
            if self.next < self.equals.end {
                let pair = (self.left.select(self.lefts.start)?, self.right.select(self.next)?);
                self.next += 1;
                if let (Some(left), Some(right)) = pair {
                    return Ok(Some((left, right)));
                }
            }
            self.is_over = !self.advance()?;
        }
        Ok(None)
    }

    /// Goes to the next left row that has a partner; `false` when there is none.
    fn advance(&mut self) -> Result<bool> {
        let (left, right) = (Side::of(self.left)?, Side::of(self.right)?);
        let had_equals = !self.equals.is_empty();
        if had_equals {
            self.lefts.start += 1;
        }
        let mut key = self.key;
        while !self.lefts.is_empty() {
            left.image(self.lefts.start, &mut key)?;
            if had_equals && key.as_slice() == self.key.as_slice() {
                self.next = self.equals.start;
                return Ok(true);
            }
            let start = right.leap(self.equals.end..right.len(), &key, Past::Lower)?;
            if right.len() <= start {
                return Ok(false);
            }
            let mut found = key;
            right.image(start, &mut found)?;
            if found.as_slice() == key.as_slice() {
                let end = right.leap(start..right.len(), &key, Past::Equal)?;
                (self.equals, self.next, self.key) = (start..end, start, key);
                return Ok(true);
            }
            self.equals = start..start;
            self.lefts.start = left.leap(self.lefts.clone(), &found, Past::Lower)?;
        }
        Ok(false)
    }
}

/// Which keys a leap goes past.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    Lower,
    Equal,
}

/// One table in its order.
struct Side<'t> {
    part: &'t Arc<Part>,
    order: &'t Order,
}

impl<'t> Side<'t> {
    fn of<R: Record, K: KeyValue>(by: By<'t, R, K>) -> Result<Self> {
        Ok(Self { part: by.part(), order: by.order()? })
    }

    fn len(&self) -> u64 {
        self.part.len()
    }

    fn image(&self, place: u64, into: &mut Image) -> Result<()> {
        self.part.image_at(self.order, place, into)
    }

    /// The first place of `range` whose key is not below `key`, or not even equal to it.
    fn leap(&self, range: Range<u64>, key: &Image, past: Past) -> Result<u64> {
        let mut image = *key;
        let mut is_past = |place: u64| {
            self.image(place, &mut image)?;
            let order = image.as_slice().cmp(key.as_slice());
            Ok(order.is_lt() || past == Past::Equal && order.is_eq())
        };
        let (mut known, mut next, mut step) = (range.start, range.start, 1);
        while next < range.end && is_past(next)? {
            known = next + 1;
            next = next.saturating_add(step);
            step *= 2;
        }
        partition(known..next.min(range.end), is_past)
    }
}

impl<L: Record, R: Record, K: KeyValue> Iterator for Join<'_, '_, L, R, K> {
    type Item = Result<(L, R)>;

    fn next(&mut self) -> Option<Result<(L, R)>> {
        let pair = self.next_pair();
        // Nothing is left behind an error, which would come again.
        self.is_over |= pair.is_err();
        pair.transpose()
    }
}

impl<L: Record, R: Record, K: KeyValue> FusedIterator for Join<'_, '_, L, R, K> {}

impl<L, R, K> fmt::Debug for Join<'_, '_, L, R, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Join").field("lefts", &self.lefts).finish_non_exhaustive()
    }
}
