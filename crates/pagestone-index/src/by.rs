//! Lookups by one key.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Bound, Range, RangeBounds},
    sync::Arc,
};

use pagestone_storage::{Field, Records};

use crate::{
    cursor::Cursor,
    error::{Error, Result},
    files::Order,
    key::{self, Image, KeyValue},
    part::Part,
    rows::Rows,
    schema::Record,
};

/// Keys that are looked up together.
const BATCH: usize = 1024;
/// How many rows are asked for ahead of those that are read.
const AHEAD: usize = 128;

/// The rows of a table in the order of one key, made by [`Table::by`](crate::Table::by).
///
/// A place in this order is a *rank*, from 0. Lookups take O(log n) and no memory; errors, beside
/// those that are named, are `Io` where files are not mapped, and `Corrupt` for a position that
/// names no row.
pub struct By<'t, R, K> {
    part: &'t Arc<Part>,
    number: usize,
    of: PhantomData<fn() -> (R, K)>,
}

impl<R, K> Clone for By<'_, R, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, K> Copy for By<'_, R, K> {}

impl<R, K> fmt::Debug for By<'_, R, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.part.files.schema.keys().get(self.number).map(crate::NamedKey::name);
        formatter.debug_struct("By").field("key", &name).finish_non_exhaustive()
    }
}

impl<'t, R: Record, K: KeyValue> By<'t, R, K> {
    pub(crate) fn new(part: &'t Arc<Part>, number: usize) -> Self {
        Self { part, number, of: PhantomData }
    }

    pub(crate) fn number(self) -> usize {
        self.number
    }

    pub(crate) fn part(self) -> &'t Arc<Part> {
        self.part
    }

    #[inline]
    pub(crate) fn order(self) -> Result<&'t Order> {
        Ok(self.part.order(self.number)?.1)
    }

    /// Returns the row with this key, the first one of several.
    ///
    /// # Errors
    ///
    /// See [`By`].
    #[inline]
    pub fn get(self, key: K) -> Result<Option<R>> {
        match self.index_of(key)? {
            Some(row) => self.part.with_row(row, R::read).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the index of the row with this key, the first one of several.
    ///
    /// # Errors
    ///
    /// See [`By`].
    #[inline]
    pub fn index_of(self, key: K) -> Result<Option<u64>> {
        let order = self.order()?;
        let Some((records, field)) = self.numbers(order) else {
            return self.part.first(order, Image::of(key).as_slice());
        };
        match records.find_image(field, key::word(key))? {
            Some(place) => self.part.files.row_at(order, place).map(Some),
            None if self.part.runs().is_empty() => Ok(None),
            None => Ok(self.part.first_in_runs(order, Image::of(key).as_slice())),
        }
    }

    /// The records that lie in this order and their field, where keys are numbers of at most 8
    /// bytes.
    #[inline]
    fn numbers(self, order: &'t Order) -> Option<(&'t Records, Field)> {
        if self.part.files.is_checked() {
            // Blocks are compared with their checksums as a search meets them.
            return None;
        }
        match (order.file(), order.fields()) {
            (Some(file), _) if K::LEN <= 8 && is_number(file.field) => {
                Some((&file.entries.records, file.field))
            }
            (None, &[field]) if K::LEN <= 8 => Some((&self.part.files.rows.records, field)),
            _ => None,
        }
    }

    /// Returns whether a row has this key.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn contains(self, key: K) -> Result<bool> {
        Ok(self.index_of(key)?.is_some())
    }

    /// Looks up many keys and puts the row of each, the first one of several, into `found`, in
    /// the order of the keys.
    ///
    /// Cache misses of many lookups overlap where the key has at most 8 bytes: each costs a
    /// fraction of one alone.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless there is one place in `found` for each key; else see [`By`].
    pub fn get_many(self, keys: &[K], found: &mut [Option<R>]) -> Result<()> {
        check_places(keys.len(), found.len())?;
        let mut rows = [None; BATCH];
        for (keys, found) in keys.chunks(BATCH).zip(found.chunks_mut(BATCH)) {
            let rows = rows.get_mut(..keys.len()).unwrap_or_default();
            let lies = self.find_places(keys, rows)?;
            // While some rows are on their way from memory, those before are read.
            let mut blocks = keys.chunks(AHEAD).zip(rows.chunks_mut(AHEAD));
            let mut before: &[Option<u64>] = &[];
            let mut places = found.iter_mut();
            loop {
                let next = blocks.next();
                let mut asked: &[Option<u64>] = &[];
                if let Some((keys, rows)) = next {
                    self.find_rows(keys, (lies, rows))?;
                    rows.iter().flatten().for_each(|&row| self.part.prefetch(row));
                    asked = rows;
                }
                for (row, found) in before.iter().zip(places.by_ref()) {
                    *found = match *row {
                        Some(row) => Some(self.part.with_row(row, R::read)?),
                        None => None,
                    };
                }
                if asked.is_empty() {
                    break;
                }
                before = asked;
            }
        }
        Ok(())
    }

    /// Looks up many keys and puts the index of the row of each into `found`; see
    /// [`get_many`](Self::get_many).
    ///
    /// # Errors
    ///
    /// As [`get_many`](Self::get_many).
    pub fn indexes_of(self, keys: &[K], found: &mut [Option<u64>]) -> Result<()> {
        check_places(keys.len(), found.len())?;
        for (keys, found) in keys.chunks(BATCH).zip(found.chunks_mut(BATCH)) {
            let lies = self.find_places(keys, found)?;
            self.find_rows(keys, (lies, found))?;
        }
        Ok(())
    }

    /// Looks up at most [`BATCH`] keys: what is put into `found` is said by the answer.
    fn find_places(self, keys: &[K], found: &mut [Option<u64>]) -> Result<Lies> {
        let Some((records, field)) = self.numbers(self.order()?) else {
            for (&key, found) in keys.iter().zip(found) {
                *found = self.index_of(key)?;
            }
            return Ok(Lies::Row);
        };
        let mut words = [0; BATCH];
        let words = words.get_mut(..keys.len()).unwrap_or_default();
        for (word, &key) in words.iter_mut().zip(keys) {
            *word = key::word(key);
        }
        records.get_many_images(field, words, found)?;
        Ok(Lies::Place)
    }

    /// Puts rows where [`find_places`](Self::find_places) has put places.
    #[inline]
    fn find_rows(self, keys: &[K], (lies, found): (Lies, &mut [Option<u64>])) -> Result<()> {
        let order = self.order()?;
        if lies == Lies::Row {
            return Ok(());
        }
        for (found, &key) in found.iter_mut().zip(keys) {
            if let Some(place) = *found {
                *found = Some(self.part.files.row_at(order, place)?);
            } else if !self.part.runs().is_empty() {
                *found = self.part.first_in_runs(order, Image::of(key).as_slice());
            }
        }
        Ok(())
    }

    /// Returns the rows whose keys lie in a range, in key order.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn range(self, range: impl RangeBounds<K>) -> Result<Rows<'t, R>> {
        Ok(Rows::of_order(self.part, self.number, self.ranks(range)?))
    }

    /// As [`range`](Self::range), sharing the table rather than borrowing from it.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn into_range(self, range: impl RangeBounds<K>) -> Result<Rows<'static, R>> {
        Ok(self.range(range)?.shared(self.part))
    }

    /// Returns the rows with this key, by index.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn equal(self, key: K) -> Result<Rows<'t, R>> {
        Ok(Rows::of_order(self.part, self.number, self.equal_ranks(key)?))
    }

    pub(crate) fn equal_ranks(self, key: K) -> Result<Range<u64>> {
        self.part.equal(self.order()?, Image::of(key).as_slice())
    }

    /// Returns the ranks of the rows whose keys lie in a range; empty where it is upside down.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn ranks(self, range: impl RangeBounds<K>) -> Result<Range<u64>> {
        let order = self.order()?;
        let start = match range.start_bound() {
            Bound::Included(&key) => self.part.lower(order, Image::of(key).as_slice())?,
            Bound::Excluded(&key) => self.part.upper(order, Image::of(key).as_slice())?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&key) => self.part.upper(order, Image::of(key).as_slice())?,
            Bound::Excluded(&key) => self.part.lower(order, Image::of(key).as_slice())?,
            Bound::Unbounded => self.part.len(),
        };
        Ok(start..end.max(start))
    }

    /// Returns how many rows have a key below this one.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn rank(self, key: K) -> Result<u64> {
        self.part.lower(self.order()?, Image::of(key).as_slice())
    }

    /// Returns how many rows have a key in a range, without visiting them.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn count(self, range: impl RangeBounds<K>) -> Result<u64> {
        let ranks = self.ranks(range)?;
        Ok(ranks.end - ranks.start)
    }

    /// Returns the row of a rank, `None` past the last one.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn select(self, rank: u64) -> Result<Option<R>> {
        if self.part.len() <= rank {
            return Ok(None);
        }
        let row = self.part.row_at(self.order()?, rank)?;
        self.part.with_row(row, R::read).map(Some)
    }

    /// Returns the row whose key is nearest by difference, the lower of two; of equal keys the
    /// first row. Keys of bytes and of several fields count as the numbers that their images are.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn nearest(self, key: K) -> Result<Option<R>> {
        let (order, image, count) = (self.order()?, Image::of(key), self.part.len());
        let above = self.part.lower(order, image.as_slice())?;
        let mut high = Image::padded(&[], K::LEN, 0);
        if above < count {
            self.part.image_at(order, above, &mut high)?;
            if high.as_slice() == image.as_slice() {
                return self.select(above);
            }
        }
        let Some(below) = above.checked_sub(1) else { return self.select(above) };
        let mut low = Image::padded(&[], K::LEN, 0);
        self.part.image_at(order, below, &mut low)?;
        let is_low =
            count <= above || K::is_low_nearer(image.as_slice(), low.as_slice(), high.as_slice());
        // The first of the rows that have the lower key.
        if is_low {
            self.select(self.part.lower(order, low.as_slice())?)
        } else {
            self.select(above)
        }
    }

    /// Returns a cursor in front of the first row.
    #[must_use]
    pub fn cursor(self) -> Cursor<'t, R, K> {
        Cursor::new(self)
    }

    /// Iterates the rows whose keys lie in a range on rayon's threads, in no order.
    ///
    /// # Errors
    ///
    /// See [`By`].
    #[cfg(feature = "rayon")]
    pub fn par_range(
        self,
        range: impl RangeBounds<K>,
    ) -> Result<impl rayon::iter::ParallelIterator<Item = Result<R>>> {
        Ok(self.range(range)?.into_parallel())
    }
}

impl<'t, R: Record, const N: usize> By<'t, R, [u8; N]> {
    /// Returns the rows whose keys begin with these bytes, in key order.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn prefix(self, prefix: &[u8]) -> Result<Rows<'t, R>> {
        let ranks = self.image_prefix(prefix)?;
        Ok(Rows::of_order(self.part, self.number, ranks))
    }
}

impl<R: Record, K: KeyValue> By<'_, R, K> {
    fn image_prefix(self, prefix: &[u8]) -> Result<Range<u64>> {
        if K::LEN < prefix.len() {
            return Ok(0..0);
        }
        let order = self.order()?;
        let low = Image::padded(prefix, K::LEN, 0);
        let high = Image::padded(prefix, K::LEN, 0xff);
        let start = self.part.lower(order, low.as_slice())?;
        Ok(start..self.part.upper(order, high.as_slice())?.max(start))
    }
}

macro_rules! leading_parts {
    ($($first:ident: ($($name:ident)*);)*) => {$(
        impl<'t, R: Record, $first: KeyValue, $($name: KeyValue),*> By<'t, R, ($first, $($name),*)> {
            /// Returns the rows whose key has this first part, in key order.
            ///
            /// # Errors
            ///
            /// See [`By`].
            pub fn leading(self, first: $first) -> Result<Rows<'t, R>> {
                let ranks = self.image_prefix(Image::of(first).as_slice())?;
                Ok(Rows::of_order(self.part, self.number, ranks))
            }
        }
    )*};
}

leading_parts! { A: (B); A: (B C); A: (B C D); }

/// What a batch of lookups has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// Places in the order, of the files alone.
    Place,
    /// Rows.
    Row,
}

/// Whether the images of a field are numbers of at most 8 bytes.
fn is_number(field: Field) -> bool {
    matches!(field.size(), 1 | 2 | 4 | 8)
}

fn check_places(keys: usize, places: usize) -> Result<()> {
    if keys == places {
        return Ok(());
    }
    Err(Error::argument(format!("{keys} keys, {places} places for answers")))
}
