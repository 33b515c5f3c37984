//! The files of one published version: rows, and orders, each searched by image. Knows no types.

use std::{cmp::Ordering, ops::Range};

use pagestone_storage::Field;

use crate::{
    directory::Directory,
    error::{Error, ErrorKind, Result},
    fixed::Fixed,
    key::{Image, image_field, swap_stored},
    manifest::{self, Manifest, TableFacts},
    options::TableOptions,
    schema::Schema,
    seal,
};

/// How often a manifest is read again because its files were gone.
const TRIES: u32 = 100;

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) directory: Directory,
    pub(crate) version: u64,
    pub(crate) schema: Schema,
    pub(crate) rows: Fixed,
    pub(crate) orders: Vec<Order>,
}

/// The rows in the order of one key.
#[derive(Debug)]
pub(crate) struct Order {
    /// The number of the key.
    pub(crate) number: usize,
    /// The key's fields in a row.
    fields: Vec<Field>,
    /// Keys with positions, unless the rows themselves lie in this order.
    file: Option<KeyFile>,
}

/// Images and row positions, sorted by both.
#[derive(Debug)]
pub(crate) struct KeyFile {
    pub(crate) entries: Fixed,
    pub(crate) field: Field,
    /// The bytes of an image; the position is behind it.
    pub(crate) len: usize,
}

impl Files {
    /// Opens the newest version in `directory`, whatever its schema is.
    pub(crate) fn open(directory: &Directory, options: &TableOptions) -> Result<Self> {
        for _ in 0..TRIES {
            let Manifest::Table(facts) = manifest::read(directory)? else {
                let what = "a relation, not a table";
                return Err(Error::refused(ErrorKind::Foreign, directory.path(), what));
            };
            let version = facts.version;
            match Self::of(directory.clone(), facts, options) {
                // A builder has published another version, and removed the files of this one.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if manifest::read(directory)?.version() == version {
                        return Err(error);
                    }
                }
                opened => return opened,
            }
        }
        let what = "other versions were published faster than they could be opened";
        Err(Error::refused(ErrorKind::NotFound, directory.path(), what))
    }

    /// Opens the files that `facts` name.
    pub(crate) fn of(
        directory: Directory,
        facts: TableFacts,
        options: &TableOptions,
    ) -> Result<Self> {
        let path = directory.manifest();
        let schema = facts
            .schema
            .check()
            .map_err(|error| Error::corrupt(&path, "schema", ("one that holds", error)))?;
        let size = schema.record_size() as u64;
        if facts.rows.record_size != size {
            let found = facts.rows.record_size;
            return Err(Error::corrupt(&path, "record size", (size, found)));
        }
        if facts.keys.len() != schema.keys().len() {
            let counts = (schema.keys().len(), facts.keys.len());
            return Err(Error::corrupt(&path, "number of keys", counts));
        }
        let rows = Fixed::open(&directory, &facts.rows, options)?;
        let mut orders = Vec::with_capacity(facts.keys.len());
        for (number, (key, facts)) in schema.keys().iter().zip(&facts.keys).enumerate() {
            let file = match (key.order.is_canonical(), facts) {
                (true, None) => None,
                (false, Some(facts)) => {
                    if facts.record_count != rows.len() {
                        let counts = (rows.len(), facts.record_count);
                        return Err(Error::corrupt(&path, "number of keys in a file", counts));
                    }
                    let size = facts.record_size;
                    if ![4, 8].contains(&size.saturating_sub(key.len() as u64)) {
                        let what = "record size of a file of keys";
                        return Err(Error::corrupt(&path, what, (key.len() + 4, size)));
                    }
                    let entries = Fixed::open(&directory, facts, options)?;
                    let len = key.len();
                    Some(KeyFile { entries, field: image_field(len), len })
                }
                (_, found) => {
                    let (what, found) = ("files of keys", found.is_some());
                    return Err(Error::corrupt(&path, what, (!found, found)));
                }
            };
            orders.push(Order { number, fields: key.fields.clone(), file });
        }
        Ok(Self { directory, version: facts.version, schema, rows, orders })
    }

    /// The first place in the order whose key is not below `image`.
    #[inline]
    pub(crate) fn lower(&self, order: &Order, image: &[u8]) -> Result<u64> {
        match (&order.file, order.fields.as_slice()) {
            (Some(file), _) => Ok(file.entries.records.lower_bound_image(file.field, image)?),
            (None, &[field]) => Ok(self.rows.records.lower_bound_image(field, image)?),
            (None, _) => Ok(self.composite(order, image)?.start),
        }
    }

    /// The first place in the order whose key is above `image`.
    pub(crate) fn upper(&self, order: &Order, image: &[u8]) -> Result<u64> {
        match (&order.file, order.fields.as_slice()) {
            (Some(file), _) => Ok(file.entries.records.upper_bound_image(file.field, image)?),
            (None, &[field]) => Ok(self.rows.records.upper_bound_image(field, image)?),
            (None, _) => Ok(self.composite(order, image)?.end),
        }
    }

    /// The places in the order that have this key.
    pub(crate) fn equal(&self, order: &Order, image: &[u8]) -> Result<Range<u64>> {
        match (&order.file, order.fields.as_slice()) {
            (Some(file), _) => Ok(file.entries.records.equal_range_image(file.field, image)?),
            (None, &[field]) => Ok(self.rows.records.equal_range_image(field, image)?),
            (None, _) => self.composite(order, image),
        }
    }

    /// The rows that have this key of several fields, by which they lie.
    fn composite(&self, order: &Order, image: &[u8]) -> Result<Range<u64>> {
        let mut rest = image;
        let mut range = 0..self.rows.len();
        for (number, &field) in order.fields.iter().enumerate() {
            let Some((part, behind)) = rest.split_at_checked(field.size() as usize) else {
                return Err(Error::argument("a key of another length"));
            };
            rest = behind;
            range = if number == 0 {
                self.rows.records.equal_range_image(field, part)?
            } else {
                let compare = |row| self.compare_field(row, field, part);
                let start = partition(range.clone(), |row| Ok(compare(row)?.is_lt()))?;
                start..partition(start..range.end, |row| Ok(compare(row)?.is_le()))?
            };
            if range.is_empty() {
                return Ok(range.start..range.start);
            }
        }
        Ok(range)
    }

    fn compare_field(&self, row: u64, field: Field, part: &[u8]) -> Result<Ordering> {
        let mut image = Image::padded(&[], part.len(), 0);
        self.rows.with(row, |bytes| put_field(field, bytes, image.as_mut()))??;
        Ok(image.as_slice().cmp(part))
    }

    /// The row at a place in the order.
    #[inline]
    pub(crate) fn row_at(&self, order: &Order, place: u64) -> Result<u64> {
        let Some(file) = &order.file else { return Ok(place) };
        let row = file.entries.with(place, |entry| file.position(entry))?;
        self.check_row(file, place, row)
    }

    /// The row at a place in the order, if the place has this key.
    #[inline]
    pub(crate) fn row_if(&self, order: &Order, place: u64, image: &[u8]) -> Result<Option<u64>> {
        let Some(file) = &order.file else {
            let mut found = Image::padded(&[], image.len(), 0);
            self.image_at(order, place, &mut found)?;
            return Ok((found.as_slice() == image).then_some(place));
        };
        let row = file
            .entries
            .with(place, |entry| file.has_image(entry, image).then(|| file.position(entry)))?;
        row.map(|row| self.check_row(file, place, row)).transpose()
    }

    #[inline]
    fn check_row(&self, file: &KeyFile, place: u64, row: u64) -> Result<u64> {
        if row < self.rows.len() {
            return Ok(row);
        }
        let path = file.entries.records.path();
        let expected = format!("below {}", self.rows.len());
        let found = format!("{row} in entry {place}");
        Err(Error::corrupt(path, "position of a row", (expected, found)))
    }

    /// The key at a place in the order.
    pub(crate) fn image_at(&self, order: &Order, place: u64, into: &mut Image) -> Result<()> {
        let Some(file) = &order.file else {
            return self.rows.with(place, |row| put_fields(&order.fields, row, into.as_mut()))?;
        };
        file.entries.with(place, |entry| {
            let image = into.as_mut();
            if let Some(stored) = entry.get(..file.len)
                && stored.len() == image.len()
            {
                image.copy_from_slice(stored);
                swap_stored(image);
            }
        })
    }

    /// Hints that the row at a place in the order is needed soon.
    #[inline]
    pub(crate) fn prefetch_at(&self, order: &Order, place: u64) {
        if let Some(file) = &order.file
            && place < file.entries.len()
            && let Ok(row) = file.entries.with(place, |entry| file.position(entry))
        {
            self.rows.prefetch(row);
        }
    }
}

impl Order {
    pub(crate) fn file(&self) -> Option<&KeyFile> {
        self.file.as_ref()
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl KeyFile {
    /// The row of an entry.
    #[inline]
    pub(crate) fn position(&self, entry: &[u8]) -> u64 {
        let position = entry.get(self.len..).unwrap_or_default();
        match (position.first_chunk(), position.first_chunk()) {
            (Some(&wide), _) => u64::from_le_bytes(wide),
            (None, Some(&narrow)) => u64::from(u32::from_le_bytes(narrow)),
            (None, None) => u64::MAX,
        }
    }

    #[inline]
    fn has_image(&self, entry: &[u8], image: &[u8]) -> bool {
        let stored = entry.get(..self.len).unwrap_or_default();
        match stored.len() {
            1 | 2 | 4 | 8 | 16 => stored.iter().rev().eq(image),
            _ => stored == image,
        }
    }
}

impl Fixed {
    /// Errors unless the entries of a key's file ascend by key, and equal ones by row.
    pub(crate) fn check_sorted(&self, file: &KeyFile) -> Result<()> {
        let (mut last, mut this, mut last_row, mut index) = (Vec::new(), Vec::new(), 0, 0u64);
        seal::each_block(&self.records, |block| {
            for entry in block.chunks_exact(self.records.record_size()) {
                this.clear();
                this.extend_from_slice(entry.get(..file.len).unwrap_or_default());
                swap_stored(&mut this);
                let row = file.position(entry);
                if 0 < index && (this.as_slice(), row) <= (last.as_slice(), last_row) {
                    let found = format!("entry {index} not above the one before");
                    let path = self.records.path();
                    return Err(Error::corrupt(path, "order", ("ascending keys", found)));
                }
                std::mem::swap(&mut last, &mut this);
                (last_row, index) = (row, index + 1);
            }
            Ok(())
        })
    }
}

/// Writes the image of one field of a row.
#[inline]
fn put_field(field: Field, row: &[u8], into: &mut [u8]) -> Result<()> {
    let (start, size) = (field.offset() as usize, field.size() as usize);
    let bytes = row.get(start..).and_then(|behind| behind.get(..size)).unwrap_or_default();
    Ok(field.put_image(bytes, into)?)
}

/// Writes the image of a key of a row.
#[inline]
pub(crate) fn put_fields(fields: &[Field], row: &[u8], into: &mut [u8]) -> Result<()> {
    let mut rest = into;
    for &field in fields {
        let Some((part, behind)) = rest.split_at_mut_checked(field.size() as usize) else {
            return Err(Error::argument("a key of another length"));
        };
        put_field(field, row, part)?;
        rest = behind;
    }
    Ok(())
}

/// The first index of the range for which `below` no longer holds.
pub(crate) fn partition(
    range: Range<u64>,
    mut below: impl FnMut(u64) -> Result<bool>,
) -> Result<u64> {
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
