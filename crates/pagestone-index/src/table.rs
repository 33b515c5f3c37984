//! The table: rows by index, and the way to lookups by key.

use std::{fmt, marker::PhantomData, ops::ControlFlow, sync::Arc};

use pagestone_storage::{Progress, SidecarStatus};

use crate::{
    builder::{Replaces, TableBuilder},
    by::By,
    directory::Directory,
    error::{Error, ErrorKind, Result},
    files::{Files, Order},
    fixed::Fixed,
    key::{Key, KeyValue},
    options::TableOptions,
    part::Part,
    rows::Rows,
    schema::{Record, Schema},
};

/// A published table of `R` rows, read-only.
///
/// Cheap to clone, and shared by threads. It shows one version for as long as it lives: a build
/// that publishes another one takes nothing away from it.
pub struct Table<R> {
    part: Arc<Part>,
    rows: PhantomData<fn() -> R>,
}

impl<R: Record> Table<R> {
    /// Starts a build where no table is yet, with the default options.
    ///
    /// # Errors
    ///
    /// As [`TableOptions::create`].
    pub fn builder(directory: impl Into<Directory>) -> Result<TableBuilder<R>> {
        TableOptions::new().create(directory)
    }

    /// Opens the newest version with the default options.
    ///
    /// # Errors
    ///
    /// As [`TableOptions::open`].
    pub fn open(directory: impl Into<Directory>) -> Result<Self> {
        TableOptions::new().open(directory)
    }

    pub(crate) fn of(part: Part) -> Self {
        Self { part: Arc::new(part), rows: PhantomData }
    }

    pub(crate) fn shared(part: Arc<Part>) -> Self {
        Self { part, rows: PhantomData }
    }

    pub(crate) fn part(&self) -> &Arc<Part> {
        &self.part
    }

    /// Returns the number of rows.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u64 {
        self.part.len()
    }

    /// Returns whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the schema that the table was built from.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.part.files.schema
    }

    /// Returns the number of the version, which every publish raises.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.part.files.version
    }

    /// Returns the row at `index`, `None` past the last one.
    ///
    /// # Errors
    ///
    /// `Io` where the file is not mapped.
    #[inline]
    pub fn row(&self, index: u64) -> Result<Option<R>> {
        if self.len() <= index {
            return Ok(None);
        }
        self.part.with_row(index, R::read).map(Some)
    }

    /// Iterates all rows in their own order.
    #[must_use]
    pub fn iter(&self) -> Rows<'_, R> {
        Rows::of_rows(&self.part, 0..self.len())
    }

    /// Returns all rows as one slice, where they may be borrowed: in a trusted directory, mapped,
    /// for a struct that `zerocopy` knows too.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[R]>
    where
        R: zerocopy::FromBytes + zerocopy::Immutable + zerocopy::KnownLayout,
    {
        <[R] as zerocopy::FromBytes>::ref_from_bytes(
            self.part.files.rows.as_bytes().filter(|_| self.part.runs().is_empty())?,
        )
        .ok()
    }

    /// Returns the lookups by one key, which its constant names.
    #[must_use]
    #[inline]
    pub fn by<K: KeyValue>(&self, key: Key<R, K>) -> By<'_, R, K> {
        By::new(&self.part, key.number())
    }

    /// Reads every file once and compares it with its checksums, its order and its search tree.
    ///
    /// `progress` is told often, for each file from the start, and may break off.
    ///
    /// # Errors
    ///
    /// `Corrupt`, which names the file and what is wrong with it; `Io`.
    pub fn verify(&self, progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<()> {
        self.part.files.verify(progress)
    }
}

impl Files {
    /// Compares every file with its checksums.
    pub(crate) fn verify(
        &self,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<()> {
        self.rows.verify(&mut progress)?;
        for file in self.orders.iter().filter_map(Order::file) {
            file.entries.verify(&mut progress)?;
            file.entries.check_sorted(file)?;
        }
        Ok(())
    }
}

impl Fixed {
    /// Compares the file with the checksums that lie beside it.
    pub(crate) fn verify(
        &self,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<()> {
        let found = self.records.verify(progress)?;
        let path = self.records.path();
        let covered = match &found.sidecar {
            SidecarStatus::Usable(sidecar) if 0 < sidecar.block_records => sidecar.record_count,
            SidecarStatus::Unusable(why) => {
                return Err(Error::corrupt(path, "sidecar", ("one of this file", why)));
            }
            _ => return Err(Error::corrupt(path, "sidecar", ("checksums", "none"))),
        };
        if covered != self.len() {
            return Err(Error::corrupt(path, "records with checksums", (self.len(), covered)));
        }
        if let Some(block) = found.damaged.first() {
            let what = format!(
                "checksum of records {:?} at offset {}: expected {:#010x}, found {:#010x}",
                block.records, block.offset, block.expected, block.found
            );
            return Err(Error::refused(ErrorKind::Corrupt, path, what));
        }
        if let Some(record) = found.first_unsorted {
            return Err(Error::corrupt(path, "order", ("ascending", format!("record {record}"))));
        }
        if 0 < found.partial_tail {
            let found = format!("{} bytes behind them", found.partial_tail);
            return Err(Error::corrupt(path, "length", ("whole records", found)));
        }
        Ok(())
    }
}

impl TableOptions {
    /// Starts a build of a table where none is yet; makes the directory if it is missing.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where a table or relation was published; `Locked` while somebody builds
    /// here; `Foreign`; `Corrupt`; `OutOfSpace`; `Io`.
    pub fn create<R: Record>(self, directory: impl Into<Directory>) -> Result<TableBuilder<R>> {
        TableBuilder::start(directory.into(), (self, Replaces::Nothing))
    }

    /// Starts a build whose seal takes the place of the table that may be there, whatever its
    /// schema is, and of a damaged one. Whoever has the older one open keeps it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), but for `AlreadyExists` and `Corrupt`.
    pub fn replace<R: Record>(self, directory: impl Into<Directory>) -> Result<TableBuilder<R>> {
        TableBuilder::start(directory.into(), (self, Replaces::Older))
    }

    /// Opens the newest version of a table: reads the manifest and opens its files, whatever
    /// their length. Writes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Foreign`; `UnknownVersion`; `SchemaMismatch`, which names both; `Corrupt` and
    /// `Truncated`; `Io`.
    pub fn open<R: Record>(self, directory: impl Into<Directory>) -> Result<Table<R>> {
        Table::checked(Part::open(&directory.into(), &self)?)
    }
}

impl<R: Record> Table<R> {
    /// The table of these files, if they are of rows like these.
    pub(crate) fn checked(part: Part) -> Result<Self> {
        if part.files.schema.fingerprint() != R::FINGERPRINT {
            let wanted = R::schema();
            let what = format!(
                "a table of {}, opened as {wanted}: {}; `migrate` copies rows by the names of \
                 their fields",
                part.files.schema,
                wanted.difference(&part.files.schema)
            );
            let path = part.files.directory.path();
            return Err(Error::refused(ErrorKind::SchemaMismatch, path, what));
        }
        Ok(Self::of(part))
    }
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self { part: Arc::clone(&self.part), rows: PhantomData }
    }
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Table")
            .field("path", &self.part.files.directory.path())
            .field("schema", &self.part.files.schema.name())
            .field("version", &self.part.files.version)
            .field("len", &self.part.len())
            .finish()
    }
}

impl<'t, R: Record> IntoIterator for &'t Table<R> {
    type Item = Result<R>;
    type IntoIter = Rows<'t, R>;

    fn into_iter(self) -> Rows<'t, R> {
        self.iter()
    }
}
