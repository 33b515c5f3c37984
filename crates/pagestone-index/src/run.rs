//! Rows that were appended to a table, sorted by each key, in memory.

use std::cmp::Ordering;

use crate::{
    error::{DuplicateKeys, Error, Result},
    files::put_fields,
    key::Image,
    part::Part,
    schema::{NamedKey, Schema},
};

/// Rows in memory above a [`Part`], whose places they move.
#[derive(Debug)]
pub(crate) struct Run {
    first_row: u64,
    record_size: usize,
    rows: Vec<u8>,
    orders: Vec<RunOrder>,
}

/// The rows of a run in the order of one key.
#[derive(Debug)]
struct RunOrder {
    /// The bytes of an image.
    len: usize,
    /// The first 8 bytes of each image, filled with zeros, as numbers.
    heads: Vec<u64>,
    /// The images, where they have more than 8 bytes.
    images: Vec<u8>,
    /// The rows, from 0 in this run.
    rows: Vec<u32>,
    /// The place of each among all that is below this run and in it; ascends.
    places: Vec<u64>,
}

impl Run {
    /// Sorts `rows`, whole ones, to lie above `part`.
    ///
    /// # Errors
    ///
    /// `Duplicate`, when a unique key would be on two rows; as lookups.
    pub(crate) fn new(part: &Part, rows: Vec<u8>) -> Result<Self> {
        let schema = &part.files.schema;
        let mut orders = Vec::with_capacity(schema.keys().len());
        for number in 0..schema.keys().len() {
            orders.push(RunOrder::sorted(part, number, &rows)?);
        }
        let record_size = schema.record_size();
        Ok(Self { first_row: part.len(), record_size, rows, orders })
    }

    /// Both runs as one; `high` lies right above `low`.
    pub(crate) fn joined(low: &Self, high: &Self) -> Self {
        let orders = low.orders.iter().zip(&high.orders);
        Self {
            first_row: low.first_row,
            record_size: low.record_size,
            rows: [low.rows.as_slice(), high.rows.as_slice()].concat(),
            orders: orders.map(|(l, h)| RunOrder::joined(l, h, low.count())).collect(),
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.rows.len() / self.record_size).unwrap_or(u32::MAX)
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.count())
    }

    /// The bytes of the row of this index, if it is one of the run.
    #[inline]
    pub(crate) fn bytes(&self, index: u64) -> Option<&[u8]> {
        let at = usize::try_from(index.checked_sub(self.first_row)?).ok()?;
        let start = at.checked_mul(self.record_size)?;
        self.rows.get(start..start.checked_add(self.record_size)?)
    }

    pub(crate) fn rows(&self) -> &[u8] {
        &self.rows
    }

    /// How many keys are below `image`.
    #[inline]
    pub(crate) fn lower(&self, number: usize, image: &[u8]) -> usize {
        self.orders.get(number).map_or(0, |order| order.partition(image, Ordering::is_lt))
    }

    /// How many keys are not above `image`.
    #[inline]
    pub(crate) fn upper(&self, number: usize, image: &[u8]) -> usize {
        self.orders.get(number).map_or(0, |order| order.partition(image, Ordering::is_le))
    }

    /// The first row that has this key.
    #[inline]
    pub(crate) fn first(&self, number: usize, image: &[u8]) -> Option<u64> {
        let order = self.orders.get(number)?;
        let at = order.partition(image, Ordering::is_lt);
        if order.compare(at, image)?.is_eq() { Some(self.row(number, at)) } else { None }
    }

    /// Where in the run the entry at a place is; else how many entries of it are in front.
    #[inline]
    pub(crate) fn find(&self, number: usize, place: u64) -> Result<usize, u64> {
        let Some(order) = self.orders.get(number) else { return Err(0) };
        order.places.binary_search(&place).map_err(|above| above as u64)
    }

    /// The place of an entry.
    pub(crate) fn place(&self, number: usize, at: u64) -> Option<u64> {
        self.orders.get(number)?.places.get(usize::try_from(at).ok()?).copied()
    }

    /// The row of an entry, by its index in the table.
    #[inline]
    pub(crate) fn row(&self, number: usize, at: usize) -> u64 {
        let row = self.orders.get(number).and_then(|order| order.rows.get(at));
        self.first_row + row.map_or(0, |&row| row.into())
    }

    /// The key of an entry.
    pub(crate) fn image(&self, number: usize, at: usize, into: &mut Image) {
        if let Some(order) = self.orders.get(number) {
            order.image(at, into);
        }
    }

    /// The entries of an order: how many below are in front of each, and its row from 0.
    pub(crate) fn entries(&self, number: usize) -> impl Iterator<Item = (u64, u32)> {
        let order = self.orders.get(number);
        let places = order.map_or(&[][..], |order| &order.places);
        let rows = order.map_or(&[][..], |order| &order.rows);
        (0..).zip(places).zip(rows).map(|((at, &place), &row)| (place.saturating_sub(at), row))
    }
}

impl RunOrder {
    fn sorted(part: &Part, number: usize, rows: &[u8]) -> Result<Self> {
        let (key, order) = part.order(number)?;
        let (len, size) = (key.len(), part.files.schema.record_size());
        let count = rows.len() / size;
        let mut images = vec![0; len * count];
        for (row, image) in rows.chunks_exact(size).zip(images.chunks_exact_mut(len)) {
            put_fields(&key.fields, row, image)?;
        }
        let image = |row: u32| {
            let start = row as usize * len;
            images.get(start..start + len).unwrap_or_default()
        };
        let mut sorted: Vec<(u64, u32)> =
            (0..).zip(images.chunks_exact(len)).map(|(row, image)| (head(image), row)).collect();
        sorted.sort_unstable_by(|one, other| {
            let heads = one.0.cmp(&other.0);
            let images = heads.then_with(|| image(one.1).cmp(image(other.1)));
            images.then(one.1.cmp(&other.1))
        });
        let mut out = Self::with_capacity(len, count);
        let mut last: Option<(&[u8], u64)> = None;
        for (at, &(_, row)) in (0..).zip(&sorted) {
            let image = image(row);
            let below = match last {
                Some((same, below)) if same == image && !key.order.is_unique() => below,
                Some((same, _)) if same == image => return Err(duplicate(part, key, image)),
                _ if key.order.is_unique() => {
                    let equal = part.equal(order, image)?;
                    if !equal.is_empty() {
                        return Err(duplicate(part, key, image));
                    }
                    equal.start
                }
                _ => part.upper(order, image)?,
            };
            last = Some((image, below));
            out.push(image, row, below + at);
        }
        Ok(out)
    }

    fn with_capacity(len: usize, count: usize) -> Self {
        Self {
            len,
            heads: Vec::with_capacity(count),
            images: Vec::with_capacity(if 8 < len { len * count } else { 0 }),
            rows: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
        }
    }

    fn push(&mut self, image: &[u8], row: u32, place: u64) {
        self.heads.push(head(image));
        if 8 < self.len {
            self.images.extend_from_slice(image);
        }
        self.rows.push(row);
        self.places.push(place);
    }

    /// Both orders as one. The places of the higher one count the lower one, and so say which
    /// comes first: no key is compared.
    fn joined(low: &Self, high: &Self, low_count: u32) -> Self {
        let mut out = Self::with_capacity(low.len, low.rows.len() + high.rows.len());
        let mut lows = low.places.iter().zip(&low.rows).enumerate().peekable();
        for (at, (&place, &row)) in high.places.iter().zip(&high.rows).enumerate() {
            while let Some((low_at, (&low_place, &low_row))) =
                lows.next_if(|(_, (low, _))| **low + (at as u64) < place)
            {
                // So many of the higher one are in front of it.
                out.copy(low, low_at, (low_row, low_place + at as u64));
            }
            out.copy(high, at, (row + low_count, place));
        }
        let above = high.rows.len() as u64;
        for (low_at, (&low_place, &low_row)) in lows {
            out.copy(low, low_at, (low_row, low_place + above));
        }
        out
    }

    /// Appends an entry of another order, with a row and a place of its own.
    fn copy(&mut self, from: &Self, at: usize, (row, place): (u32, u64)) {
        self.heads.push(from.heads.get(at).copied().unwrap_or_default());
        self.images.extend_from_slice(from.long(at));
        self.rows.push(row);
        self.places.push(place);
    }

    /// The image of an entry, where it has more than 8 bytes; else nothing.
    #[inline]
    fn long(&self, at: usize) -> &[u8] {
        self.images.get(at * self.len..(at + 1) * self.len).unwrap_or_default()
    }

    fn image(&self, at: usize, into: &mut Image) {
        let into = into.as_mut();
        if 8 < self.len {
            if let (long, true) = (self.long(at), into.len() == self.len) {
                into.copy_from_slice(long);
            }
            return;
        }
        let head = self.heads.get(at).copied().unwrap_or_default();
        for (to, from) in into.iter_mut().zip(head.swap_bytes().to_le_bytes()) {
            *to = from;
        }
    }

    /// How an entry's key compares with `image`; `None` past the last one.
    #[inline]
    fn compare(&self, at: usize, image: &[u8]) -> Option<Ordering> {
        let heads = self.heads.get(at)?.cmp(&head(image));
        if self.len <= 8 || heads.is_ne() { Some(heads) } else { Some(self.long(at).cmp(image)) }
    }

    /// The number of entries at the front of which `below` holds.
    #[inline]
    fn partition(&self, image: &[u8], below: impl Fn(Ordering) -> bool) -> usize {
        let wanted = head(image);
        if self.len <= 8 {
            return self.heads.partition_point(|head| below(head.cmp(&wanted)));
        }
        let mut start = self.heads.partition_point(|&head| head < wanted);
        let same = self.heads.get(start..).unwrap_or_default();
        let mut end = start + same.partition_point(|&head| head == wanted);
        while start < end {
            let middle = start + (end - start) / 2;
            if below(self.long(middle).cmp(image)) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }
}

/// The first 8 bytes of an image, filled with zeros, as the number that orders them.
#[inline]
fn head(image: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    match image.first_chunk() {
        Some(first) => bytes = *first,
        None => {
            for (to, from) in bytes.iter_mut().zip(image) {
                *to = *from;
            }
        }
    }
    u64::from_le_bytes(bytes).swap_bytes()
}

#[cold]
fn duplicate(part: &Part, key: &NamedKey, image: &[u8]) -> Error {
    let image = Image::padded(image, key.len(), 0);
    let what = format!(
        "index `{}` is unique, and a row has the key of image {image:?} already; nothing is appended",
        key.name
    );
    let keys = DuplicateKeys { key: key.name.clone(), rows: Vec::new() };
    Error::duplicate(part.files.directory.path(), what, keys)
}

/// Errors unless `rows` are whole rows, and few enough for a delta that has `count` of them.
pub(crate) fn check_rows(schema: &Schema, rows: &[u8], count: u64) -> Result<()> {
    let size = schema.record_size();
    if !rows.len().is_multiple_of(size) {
        let what = format!("{} bytes are no whole rows of {size} bytes", rows.len());
        return Err(Error::argument(what));
    }
    if u64::from(u32::MAX) < count + (rows.len() / size) as u64 {
        let what = "more than 4,294,967,295 rows above a table: merge them first";
        return Err(Error::argument(what));
    }
    Ok(())
}
