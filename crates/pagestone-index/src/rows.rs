//! Rows in the order of a key, or in their own, from both ends.

use std::{fmt, iter::FusedIterator, marker::PhantomData, ops::Range, sync::Arc};

use crate::{
    error::Result,
    files::Order,
    part::{Part, Stretch},
    schema::Record,
};

/// How far ahead of an iterator its rows are asked for.
const AHEAD: u64 = 16;

/// A version that is borrowed from a table, or shared with it.
#[derive(Debug, Clone)]
pub(crate) enum Held<'t> {
    Borrowed(&'t Part),
    Shared(Arc<Part>),
}

impl Held<'_> {
    #[inline]
    pub(crate) fn part(&self) -> &Part {
        match self {
            Held::Borrowed(part) => part,
            Held::Shared(part) => part,
        }
    }
}

/// Rows in the order of a key: equal ones in the order of their indexes.
///
/// Borrowed from a table, or, `Rows<'static, R>`, sharing it. Reads what it yields, nothing ahead but
/// hints.
pub struct Rows<'t, R> {
    held: Held<'t>,
    /// The number of the key; none for the rows' own order.
    number: Option<usize>,
    left: Range<u64>,
    /// The rows that are left, where they are borrowed and lie in this order.
    bytes: Option<&'t [u8]>,
    /// What was learnt of the places near the last one, where there are runs.
    near: Stretch,
    of: PhantomData<fn() -> R>,
}

impl<'t, R: Record> Rows<'t, R> {
    pub(crate) fn of_rows(part: &'t Part, left: Range<u64>) -> Self {
        let bytes = part.files.rows.as_bytes().filter(|_| part.runs().is_empty()).and_then(|all| {
            let size = R::SIZE;
            let (start, end) = (usize::try_from(left.start).ok()?, usize::try_from(left.end).ok()?);
            all.get(start.checked_mul(size)?..end.checked_mul(size)?)
        });
        Self {
            held: Held::Borrowed(part),
            number: None,
            left,
            bytes,
            near: Stretch::default(),
            of: PhantomData,
        }
    }

    pub(crate) fn of_order(part: &'t Part, number: usize, left: Range<u64>) -> Self {
        let is_own = part.files.orders.get(number).is_some_and(|order| order.file().is_none());
        if is_own && part.runs().is_empty() {
            return Self::of_rows(part, left);
        }
        let held = Held::Borrowed(part);
        Self {
            held,
            number: Some(number),
            left,
            bytes: None,
            near: Stretch::default(),
            of: PhantomData,
        }
    }

    /// The same rows, borrowed from nobody.
    #[must_use]
    pub(crate) fn shared(self, part: &Arc<Part>) -> Rows<'static, R> {
        Rows {
            held: Held::Shared(Arc::clone(part)),
            number: self.number,
            left: self.left,
            bytes: None,
            near: self.near,
            of: PhantomData,
        }
    }

    /// Splits what is left in two halves, the second `None` when there is one row or none.
    #[must_use]
    pub fn split(self) -> (Self, Option<Self>) {
        let Range { start, end } = self.left;
        let middle = start + (end - start) / 2;
        if middle == start {
            return (self, None);
        }
        let part = |left: Range<u64>, bytes| Self {
            held: self.held.clone(),
            number: self.number,
            left,
            bytes,
            near: self.near,
            of: PhantomData,
        };
        let bytes = self.bytes.and_then(|bytes| {
            bytes.split_at_checked(usize::try_from(middle - start).ok()?.checked_mul(R::SIZE)?)
        });
        let second = part(middle..end, bytes.map(|(_, second)| second));
        (part(start..middle, bytes.map(|(first, _)| first)), Some(second))
    }

    /// The indexes of the rows instead of the rows.
    #[must_use]
    pub fn indexes(self) -> RowIndexes<'t> {
        RowIndexes { held: self.held, number: self.number, left: self.left }
    }

    #[inline]
    fn order(&self) -> Option<&Order> {
        self.held.part().files.orders.get(self.number?)
    }

    #[inline]
    fn read(&mut self, place: u64) -> Result<R> {
        let part = self.held.part();
        let row = match self.order() {
            Some(order) if part.runs().is_empty() => part.files.row_at(order, place)?,
            Some(order) => {
                let mut near = self.near;
                if near.below(place).is_none() {
                    near = part.stretch(order, place);
                }
                let row = match near.below(place) {
                    Some(below) => part.files.row_at(order, below)?,
                    None => part.row_at(order, place)?,
                };
                let row = part.with_row(row, R::read);
                self.near = near;
                return row;
            }
            None => place,
        };
        part.with_row(row, R::read)
    }

    /// The next row where rows are not borrowed in their order: apart, so that the loop of a scan
    /// that borrows them is compiled into the caller.
    #[inline(never)]
    fn next_otherwise(&mut self) -> Option<Result<R>> {
        let place = self.left.next()?;
        self.ask_for(place.checked_add(AHEAD));
        Some(self.read(place))
    }

    /// As [`next_otherwise`](Self::next_otherwise), from behind.
    #[inline(never)]
    fn next_back_otherwise(&mut self) -> Option<Result<R>> {
        let place = self.left.next_back()?;
        self.ask_for(place.checked_sub(AHEAD));
        Some(self.read(place))
    }

    #[inline]
    fn ask_for(&self, place: Option<u64>) {
        if let (Some(order), Some(place)) = (self.order(), place)
            && self.left.contains(&place)
        {
            self.held.part().prefetch_at(order, place);
        }
    }
}

impl<R: Record> Iterator for Rows<'_, R> {
    type Item = Result<R>;

    #[inline]
    fn next(&mut self) -> Option<Result<R>> {
        if let Some(bytes) = self.bytes {
            let (row, rest) = bytes.split_at_checked(R::SIZE)?;
            self.bytes = Some(rest);
            self.left.start += 1;
            return Some(Ok(R::read(row)));
        }
        self.next_otherwise()
    }

    #[inline]
    fn fold<A, F: FnMut(A, Self::Item) -> A>(self, start: A, mut visit: F) -> A {
        if let Some(bytes) = self.bytes {
            return bytes
                .chunks_exact(R::SIZE)
                .fold(start, |folded, row| visit(folded, Ok(R::read(row))));
        }
        let mut folded = start;
        for row in self {
            folded = visit(folded, row);
        }
        folded
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let exact = usize::try_from(self.left.end - self.left.start).ok();
        (exact.unwrap_or(usize::MAX), exact)
    }

    fn nth(&mut self, n: usize) -> Option<Result<R>> {
        let skipped = (n as u64).min(self.left.end - self.left.start);
        if let Some(bytes) = self.bytes {
            self.bytes = bytes.get(usize::try_from(skipped).ok()?.checked_mul(R::SIZE)?..);
        }
        self.left.start += skipped;
        self.next()
    }
}

impl<R: Record> DoubleEndedIterator for Rows<'_, R> {
    #[inline]
    fn next_back(&mut self) -> Option<Result<R>> {
        if let Some(bytes) = self.bytes {
            let (rest, row) = bytes.split_at_checked(bytes.len().checked_sub(R::SIZE)?)?;
            self.bytes = Some(rest);
            self.left.end -= 1;
            return Some(Ok(R::read(row)));
        }
        self.next_back_otherwise()
    }
}

impl<R: Record> ExactSizeIterator for Rows<'_, R> {}
impl<R: Record> FusedIterator for Rows<'_, R> {}

impl<R> fmt::Debug for Rows<'_, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rows").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Indexes of rows in the order of a key, made by [`Rows::indexes`].
#[derive(Debug)]
pub struct RowIndexes<'t> {
    held: Held<'t>,
    number: Option<usize>,
    left: Range<u64>,
}

impl RowIndexes<'_> {
    #[inline]
    fn index(&self, place: u64) -> Result<u64> {
        let part = self.held.part();
        match self.number.and_then(|number| part.files.orders.get(number)) {
            Some(order) => part.row_at(order, place),
            None => Ok(place),
        }
    }
}

impl Iterator for RowIndexes<'_> {
    type Item = Result<u64>;

    #[inline]
    fn next(&mut self) -> Option<Result<u64>> {
        let place = self.left.next()?;
        Some(self.index(place))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let exact = usize::try_from(self.left.end - self.left.start).ok();
        (exact.unwrap_or(usize::MAX), exact)
    }
}

impl DoubleEndedIterator for RowIndexes<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Result<u64>> {
        let place = self.left.next_back()?;
        Some(self.index(place))
    }
}

impl ExactSizeIterator for RowIndexes<'_> {}
impl FusedIterator for RowIndexes<'_> {}
