//! Tables whose schema is known when the program runs: for tools, and for other languages.

use std::{
    fmt,
    ops::{Bound, ControlFlow, Range},
    sync::{Arc, Mutex},
};

use pagestone_storage::{Field, Progress, Value};

use crate::{
    builder::{Build, Replaces, Staged, locked},
    directory::Directory,
    error::{Error, Result},
    files::Order,
    key::{Image, KEY_LEN_MAX},
    options::TableOptions,
    part::Part,
    schema::{NamedKey, Schema},
    seal,
};

/// A published table of any schema, read-only; cheap to clone. Rows are bytes, keys are values.
#[derive(Clone)]
pub struct AnyTable {
    part: Arc<Part>,
}

impl TableOptions {
    /// Opens the newest version of a table, whatever its schema is.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for `SchemaMismatch`.
    pub fn open_any(self, directory: impl Into<Directory>) -> Result<AnyTable> {
        Ok(AnyTable::of(Part::open(&directory.into(), &self)?))
    }

    /// Starts a build of a table of any schema where none is yet.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_any(
        self,
        directory: impl Into<Directory>,
        schema: Schema,
    ) -> Result<AnyTableBuilder> {
        AnyTableBuilder::start(directory.into(), schema, (self, Replaces::Nothing))
    }

    /// Starts a build of a table of any schema in the place of the one that may be there.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace).
    pub fn replace_any(
        self,
        directory: impl Into<Directory>,
        schema: Schema,
    ) -> Result<AnyTableBuilder> {
        AnyTableBuilder::start(directory.into(), schema, (self, Replaces::Older))
    }
}

impl AnyTable {
    pub(crate) fn of(part: Part) -> Self {
        Self { part: Arc::new(part) }
    }

    pub(crate) fn shared(part: Arc<Part>) -> Self {
        Self { part }
    }

    pub(crate) fn part(&self) -> &Part {
        &self.part
    }

    /// Returns the schema that the table was built from.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.part.files.schema
    }

    /// Returns the number of the version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.part.files.version
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.part.len()
    }

    /// Returns whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks at the bytes of the row at `index`.
    ///
    /// # Errors
    ///
    /// `OutOfRange`; `Io` where the file is not mapped.
    pub fn with_row<T>(&self, index: u64, look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.part.with_row(index, look)
    }

    /// Returns the values of the row at `index`, one for each column.
    ///
    /// # Errors
    ///
    /// As [`with_row`](Self::with_row).
    pub fn values(&self, index: u64) -> Result<Vec<Value<'static>>> {
        self.with_row(index, |row| {
            let columns = self.schema().columns().iter();
            columns.map(|column| Ok(value_of(column.field(), row)?.into_owned())).collect()
        })?
    }

    /// Returns the lookups by the key of this name.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when there is none.
    pub fn by(&self, name: &str) -> Result<AnyBy<'_>> {
        let number = self.schema().key(name).ok_or_else(|| {
            let names: Vec<&str> = self.schema().keys().iter().map(NamedKey::name).collect();
            Error::argument(format!("there is no key `{name}`; there are {}", names.join(", ")))
        })?;
        Ok(AnyBy { part: &self.part, number })
    }

    /// Reads every file once; see [`Table::verify`](crate::Table::verify).
    ///
    /// # Errors
    ///
    /// `Corrupt`; `Io`.
    pub fn verify(&self, progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<()> {
        self.part.files.verify(progress)
    }
}

impl fmt::Debug for AnyTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AnyTable")
            .field("path", &self.part.files.directory.path())
            .field("schema", &self.schema().name())
            .field("version", &self.version())
            .field("len", &self.len())
            .finish()
    }
}

/// The value of one field of a row.
pub(crate) fn value_of(field: Field, row: &[u8]) -> Result<Value<'_>> {
    let start = field.offset() as usize;
    let bytes = row.get(start..).and_then(|behind| behind.get(..field.size() as usize));
    Ok(field.decode(bytes.unwrap_or_default())?)
}

/// The rows of a table of any schema in the order of one key. A key is given by the values of
/// its first fields, as many as wished: fewer than all find all keys that begin so.
#[derive(Clone, Copy)]
pub struct AnyBy<'t> {
    part: &'t Arc<Part>,
    number: usize,
}

/// A key given by the values of its first fields.
type Values<'v> = &'v [Value<'v>];

impl<'t> AnyBy<'t> {
    pub(crate) fn part(self) -> &'t Arc<Part> {
        self.part
    }

    pub(crate) fn number(self) -> usize {
        self.number
    }

    pub(crate) fn key(self) -> Result<&'t NamedKey> {
        Ok(self.order()?.0)
    }

    fn order(self) -> Result<(&'t NamedKey, &'t Order)> {
        self.part.order(self.number)
    }

    /// Returns the ranks of the rows that have this key, or begin so.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a value that its field cannot hold, and for more values than fields;
    /// `Io`; `Corrupt`.
    pub fn equal(self, key: Values<'_>) -> Result<Range<u64>> {
        self.ranks((Bound::Included(key), Bound::Included(key)))
    }

    /// Returns the ranks of the rows whose keys lie in a range.
    ///
    /// # Errors
    ///
    /// As [`equal`](Self::equal).
    pub fn ranks(self, range: (Bound<Values<'_>>, Bound<Values<'_>>)) -> Result<Range<u64>> {
        let (key, order) = self.order()?;
        let below = |values| self.part.lower(order, image(key, values, 0)?.as_slice());
        let up_to = |values| self.part.upper(order, image(key, values, 0xff)?.as_slice());
        let start = match range.0 {
            Bound::Included(values) => below(values)?,
            Bound::Excluded(values) => up_to(values)?,
            Bound::Unbounded => 0,
        };
        let end = match range.1 {
            Bound::Included(values) => up_to(values)?,
            Bound::Excluded(values) => below(values)?,
            Bound::Unbounded => self.part.len(),
        };
        Ok(start..end.max(start))
    }

    /// Returns the index of the row of a rank, `None` past the last one.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a position that names no row; `Io`.
    pub fn select(self, rank: u64) -> Result<Option<u64>> {
        if self.part.len() <= rank {
            return Ok(None);
        }
        self.part.row_at(self.order()?.1, rank).map(Some)
    }

    /// Iterates the indexes of the rows of some ranks.
    #[must_use]
    pub fn indexes(
        self,
        ranks: Range<u64>,
    ) -> impl DoubleEndedIterator<Item = Result<u64>> + use<'t> {
        let ranks = ranks.start..ranks.end.min(self.part.len());
        ranks.map(move |rank| self.part.row_at(self.order()?.1, rank))
    }
}

impl fmt::Debug for AnyBy<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.part.files.schema.keys().get(self.number).map(NamedKey::name);
        formatter.debug_struct("AnyBy").field("key", &name).finish()
    }
}

/// The image of a key that these values begin, filled with `fill`.
fn image(key: &NamedKey, values: Values<'_>, fill: u8) -> Result<Image> {
    if key.fields().len() < values.len() {
        let what = format!("{} values for a key of {} fields", values.len(), key.fields().len());
        return Err(Error::argument(what));
    }
    let (mut begin, mut len) = ([0; KEY_LEN_MAX], 0);
    let mut bytes = [0; KEY_LEN_MAX];
    for (field, value) in key.fields().iter().zip(values) {
        let size = field.size() as usize;
        let bytes = bytes.get_mut(..size).unwrap_or_default();
        field.encode(value, bytes)?;
        field.put_image(bytes, begin.get_mut(len..len + size).unwrap_or_default())?;
        len += size;
    }
    Ok(Image::padded(begin.get(..len).unwrap_or_default(), key.len(), fill))
}

/// Builds a table of any schema; see [`TableBuilder`](crate::TableBuilder).
#[derive(Debug)]
pub struct AnyTableBuilder {
    build: Build,
    staged: Arc<Mutex<Staged>>,
}

impl AnyTableBuilder {
    fn start(
        directory: Directory,
        schema: Schema,
        options: (TableOptions, Replaces),
    ) -> Result<Self> {
        Ok(Self::of(Build::start(directory, schema, options)?))
    }

    pub(crate) fn of((build, staged): (Build, Arc<Mutex<Staged>>)) -> Self {
        Self { build, staged }
    }

    /// Appends whole rows. A `write` to the file for each call: append in batches.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless they are whole rows; `OutOfSpace`; `Io`. The table cannot be
    /// sealed then.
    pub fn append(&mut self, rows: &[u8]) -> Result<()> {
        locked(&self.staged).append(rows)
    }

    /// Appends the bytes of a row that has these values, one for each column, to `rows`; what
    /// belongs to no column is zero.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a value that its field cannot hold, and for another number of values
    /// than columns.
    pub fn encode(&self, values: &[Value<'_>], rows: &mut Vec<u8>) -> Result<()> {
        let columns = self.build.schema.columns();
        if columns.len() != values.len() {
            let what = format!("{} values for {} columns", values.len(), columns.len());
            return Err(Error::argument(what));
        }
        let mut row = vec![0; self.build.schema.record_size()];
        for (column, value) in columns.iter().zip(values) {
            let (start, size) = (column.field().offset() as usize, column.field().size() as usize);
            let into = row.get_mut(start..start + size).unwrap_or_default();
            column.field().encode(value, into)?;
        }
        rows.extend_from_slice(&row);
        Ok(())
    }

    /// Publishes the table; see [`TableBuilder::seal`](crate::TableBuilder::seal).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn seal(self) -> Result<AnyTable> {
        let (build, staged) = self.into_parts()?;
        let (directory, options) = (build.directory.clone(), build.options);
        let facts = seal::seal(build, staged)?;
        Ok(AnyTable::of(Part::of(directory, facts, &options)?))
    }

    pub(crate) fn into_parts(self) -> Result<(Build, Staged)> {
        Ok((self.build, Staged::of_all(self.staged)?))
    }
}
