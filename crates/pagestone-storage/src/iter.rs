//! Iteration over records and over one field of them, from both ends.

use std::{fmt, iter::FusedIterator, ops::Range};

use crate::{
    error::Result,
    field::{Field, Value},
    record::{Record, RecordRef},
    records::Records,
};

/// How many bytes a copying iterator reads at once.
const BLOCK: usize = 64 << 10;

/// Records in index order, made by [`Records::iter`] and [`Records::range`].
///
/// The range was fixed when the iterator was made: later appends are not seen. Where records
/// are copied, they are read in blocks of 64 KiB; an I/O error is one item, and the iterator
/// goes on behind it.
pub struct Iter<'a, T: Record + ?Sized> {
    records: &'a Records<T>,
    left: Range<u64>,
    /// The bytes of all that is left, where they may be borrowed as one slice.
    borrowed: Option<&'a [u8]>,
    size: usize,
    block: Vec<u8>,
    block_from: u64,
}

impl<'a, T: Record + ?Sized> Iter<'a, T> {
    pub(crate) fn new(records: &'a Records<T>, left: Range<u64>) -> Self {
        let borrowed = records.core().slice(left.clone());
        let size = records.record_size();
        Self { records, left, borrowed, size, block: Vec::new(), block_from: 0 }
    }

    /// Splits what is left in two halves, the second `None` when there is one record or none.
    #[must_use]
    pub fn split(self) -> (Self, Option<Self>) {
        let Range { start, end } = self.left;
        let middle = start + (end - start) / 2;
        if middle == start {
            return (self, None);
        }
        (Self::new(self.records, start..middle), Some(Self::new(self.records, middle..end)))
    }

    /// The bytes of a record; known when the code is compiled where the type decides them.
    #[inline]
    fn size(&self) -> usize {
        T::SIZE.unwrap_or(self.size)
    }

    /// The record at `index`, which is not part of one borrowed slice.
    #[inline(never)]
    fn read(&mut self, index: u64, end: End) -> Result<RecordRef<'a, T>> {
        let size = self.size();
        if let Some(bytes) = self.records.core().record(index) {
            return Ok(RecordRef::borrowed(T::view(bytes)));
        }
        let in_block = self.block.len() as u64 / size as u64;
        if index < self.block_from || self.block_from + in_block <= index {
            self.fill(index, end)?;
        }
        let bytes = nth(&self.block, index - self.block_from, size);
        let record = T::read(size, |into| {
            into.copy_from_slice(bytes);
            Ok(())
        })?;
        Ok(RecordRef::copied(record))
    }

    /// Reads the block that starts, or from behind ends, with `index`.
    fn fill(&mut self, index: u64, end: End) -> Result<()> {
        let size = self.size();
        let most = (BLOCK / size).max(1) as u64;
        let range = match end {
            End::Front => index..self.left.end.max(index + 1).min(index + most),
            End::Back => (index + 1).saturating_sub(most).max(self.left.start)..index + 1,
        };
        let len = size * usize::try_from(range.end - range.start).unwrap_or(1);
        // Grows to one block and stays.
        self.block.resize(len, 0);
        self.block_from = range.start;
        let filled = self.records.core().read(range.start, 0, &mut self.block);
        if filled.is_err() {
            self.block.clear();
        }
        filled
    }
}

#[derive(Clone, Copy)]
enum End {
    Front,
    Back,
}

fn nth(bytes: &[u8], index: u64, size: usize) -> &[u8] {
    #[expect(clippy::cast_possible_truncation, reason = "an index into bytes in memory")]
    let start = index as usize * size;
    &bytes[start..start + size]
}

impl<'a, T: Record + ?Sized> Iterator for Iter<'a, T> {
    type Item = Result<RecordRef<'a, T>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(rest) = self.borrowed {
            let (record, rest) = rest.split_at_checked(self.size())?;
            self.borrowed = Some(rest);
            self.left.start += 1;
            return Some(Ok(RecordRef::borrowed(T::view(record))));
        }
        let index = self.left.next()?;
        Some(self.read(index, End::Front))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.left.end - self.left.start;
        let exact = usize::try_from(left).ok();
        (exact.unwrap_or(usize::MAX), exact)
    }

    #[inline]
    fn fold<A, F: FnMut(A, Self::Item) -> A>(self, start: A, mut visit: F) -> A {
        if let Some(rest) = self.borrowed {
            let each = T::each(rest, self.size());
            return each
                .fold(start, |folded, record| visit(folded, Ok(RecordRef::borrowed(record))));
        }
        let mut folded = start;
        for record in self {
            folded = visit(folded, record);
        }
        folded
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        let start = self.left.start.saturating_add(n as u64).min(self.left.end);
        if let Some(rest) = self.borrowed {
            let skipped =
                usize::try_from(start - self.left.start).ok()?.checked_mul(self.size())?;
            self.borrowed = rest.get(skipped..);
        }
        self.left.start = start;
        self.next()
    }
}

impl<T: Record + ?Sized> DoubleEndedIterator for Iter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if let Some(rest) = self.borrowed {
            let (rest, record) = rest.split_at_checked(rest.len().checked_sub(self.size())?)?;
            self.borrowed = Some(rest);
            self.left.end -= 1;
            return Some(Ok(RecordRef::borrowed(T::view(record))));
        }
        let index = self.left.next_back()?;
        Some(self.read(index, End::Back))
    }

    #[inline]
    fn rfold<A, F: FnMut(A, Self::Item) -> A>(self, start: A, mut visit: F) -> A {
        if let Some(rest) = self.borrowed {
            let each = T::each(rest, self.size());
            return each
                .rfold(start, |folded, record| visit(folded, Ok(RecordRef::borrowed(record))));
        }
        let mut folded = start;
        for record in self.rev() {
            folded = visit(folded, record);
        }
        folded
    }
}

impl<T: Record + ?Sized> ExactSizeIterator for Iter<'_, T> {}
impl<T: Record + ?Sized> FusedIterator for Iter<'_, T> {}

impl<T: Record + ?Sized> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Iter").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The values of one field, made by [`Records::fields`].
#[derive(Debug)]
pub struct FieldValues<'a, T: Record + ?Sized> {
    iter: Iter<'a, T>,
    field: Field,
}

impl<'a, T: Record + ?Sized> FieldValues<'a, T> {
    pub(crate) fn new(iter: Iter<'a, T>, field: Field) -> Self {
        Self { iter, field }
    }

    fn value(field: Field, record: Result<RecordRef<'_, T>>) -> Result<Value<'static>> {
        let record = record?;
        Ok(field.decode(field.bytes(record.bytes()))?.into_owned())
    }
}

impl<T: Record + ?Sized> Iterator for FieldValues<'_, T> {
    type Item = Result<Value<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.iter.next()?;
        Some(Self::value(self.field, record))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.iter.size_hint()
    }
}

impl<T: Record + ?Sized> DoubleEndedIterator for FieldValues<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let record = self.iter.next_back()?;
        Some(Self::value(self.field, record))
    }
}

impl<T: Record + ?Sized> ExactSizeIterator for FieldValues<'_, T> {}
impl<T: Record + ?Sized> FusedIterator for FieldValues<'_, T> {}
