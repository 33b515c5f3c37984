//! Two tables side by side, in the order of a key of each.

use std::{fmt, iter::FusedIterator, ops::Range, sync::Arc};

use pagestone_storage::Kind;

use crate::{
    any::AnyBy,
    by::By,
    error::{Error, Result},
    files::partition,
    key::{Image, KeyValue},
    part::Part,
    schema::{NamedKey, Record},
};

/// The pairs of rows of two tables that have the same key, in key order, made by [`By::join`].
///
/// Both indexes are walked once; where one has keys that the other does not, they are leapt over.
/// Of equal keys every row of the one comes with every row of the other.
pub struct Join<'l, 'r, L, R, K> {
    left: By<'l, L, K>,
    right: By<'r, R, K>,
    places: Places<'l, 'r>,
}

/// The pairs of row indexes of two tables of any schemas that have the same key, in key order,
/// made by [`AnyBy::join`]; see [`Join`].
pub struct AnyJoin<'l, 'r> {
    places: Places<'l, 'r>,
}

/// The pairs of places that have the same key.
struct Places<'l, 'r> {
    left: Side<'l>,
    right: Side<'r>,
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
        let sides = (
            Side { part: self.part(), number: self.number() },
            Side { part: other.part(), number: other.number() },
        );
        Join { left: self, right: other, places: Places::new(sides, K::LEN) }
    }
}

impl<'l> AnyBy<'l> {
    /// Returns the pairs of row indexes of this table and `other` that have the same key. Both
    /// indexes are walked once.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for keys whose fields are not of the same kinds, in whatever byte order:
    /// look each key up then.
    pub fn join<'r>(self, other: AnyBy<'r>) -> Result<AnyJoin<'l, 'r>> {
        let (left, right) = (self.key()?, other.key()?);
        let kinds = |key: &NamedKey| key.fields().iter().map(|field| field.kind()).collect();
        let (left_kinds, right_kinds): (Vec<Kind>, Vec<Kind>) = (kinds(left), kinds(right));
        if left_kinds != right_kinds {
            let what = format!(
                "key `{}` is of {left_kinds:?}, key `{}` of {right_kinds:?}",
                left.name(),
                right.name()
            );
            return Err(Error::argument(what));
        }
        let sides = (
            Side { part: self.part(), number: self.number() },
            Side { part: other.part(), number: other.number() },
        );
        Ok(AnyJoin { places: Places::new(sides, left.len()) })
    }
}

impl<'l, 'r> Places<'l, 'r> {
    fn new((left, right): (Side<'l>, Side<'r>), len: usize) -> Self {
        let (lefts, key) = (0..left.len(), Image::padded(&[], len, 0));
        Self { left, right, lefts, equals: 0..0, next: 0, key, is_over: false }
    }

    /// The next pair; nothing is left behind an error, which would come again.
    fn step(&mut self) -> Option<Result<(u64, u64)>> {
        while !self.is_over {
            if self.next < self.equals.end {
                self.next += 1;
                return Some(Ok((self.lefts.start, self.next - 1)));
            }
            match self.advance() {
                Ok(is_there) => self.is_over = !is_there,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// Goes to the next left row that has a partner; `false` when there is none.
    fn advance(&mut self) -> Result<bool> {
        let (left, right) = (&self.left, &self.right);
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

/// One table in the order of one of its keys.
struct Side<'t> {
    part: &'t Arc<Part>,
    number: usize,
}

impl Side<'_> {
    fn len(&self) -> u64 {
        self.part.len()
    }

    fn row(&self, place: u64) -> Result<u64> {
        self.part.row_at(self.part.order(self.number)?.1, place)
    }

    fn image(&self, place: u64, into: &mut Image) -> Result<()> {
        self.part.image_at(self.part.order(self.number)?.1, place, into)
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
        loop {
            let (left, right) = match self.places.step()? {
                Ok(places) => places,
                Err(error) => return Some(Err(error)),
            };
            match (self.left.select(left), self.right.select(right)) {
                (Ok(Some(left)), Ok(Some(right))) => return Some(Ok((left, right))),
                (Ok(_), Ok(_)) => {}
                (Err(error), _) | (_, Err(error)) => {
                    self.places.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Iterator for AnyJoin<'_, '_> {
    type Item = Result<(u64, u64)>;

    fn next(&mut self) -> Option<Result<(u64, u64)>> {
        let found = self.places.step()?.and_then(|(left, right)| {
            Ok((self.places.left.row(left)?, self.places.right.row(right)?))
        });
        self.places.is_over |= found.is_err();
        Some(found)
    }
}

impl FusedIterator for AnyJoin<'_, '_> {}

impl fmt::Debug for AnyJoin<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AnyJoin").field("lefts", &self.places.lefts).finish_non_exhaustive()
    }
}

impl<L: Record, R: Record, K: KeyValue> FusedIterator for Join<'_, '_, L, R, K> {}

impl<L, R, K> fmt::Debug for Join<'_, '_, L, R, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Join").field("lefts", &self.places.lefts).finish_non_exhaustive()
    }
}
