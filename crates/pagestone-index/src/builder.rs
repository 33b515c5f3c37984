//! Building a table: rows from several threads, then a seal.

use std::{
    collections::BTreeSet,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pagestone_storage::{Field, Options};

use crate::{
    directory::{self, BuildLock, Directory, Unpublished},
    error::{Error, ErrorKind, Result},
    files::put_fields,
    manifest,
    options::TableOptions,
    output::Output,
    part::Part,
    schema::{Record, Schema},
    seal,
    table::Table,
};

/// Bytes that a writer collects before it hands them over.
const BATCH: usize = 256 << 10;

/// Builds a table of `R` rows: appends, from any number of threads, then a seal, which publishes
/// the table whole.
///
/// Rows go to a file at once, so a table may be larger than memory. Nothing of it is seen before
/// [`seal`](Self::seal) has renamed the manifest into place, durably; what a build that was
/// killed or dropped leaves behind is removed by the next one.
#[derive(Debug)]
pub struct TableBuilder<R> {
    build: Build,
    staged: Arc<Mutex<Staged>>,
    writer: RowWriter<R>,
}

/// The part of a build that knows no types.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) directory: Directory,
    pub(crate) options: TableOptions,
    pub(crate) schema: Schema,
    pub(crate) version: u64,
    pub(crate) unpublished: Unpublished,
    #[cfg_attr(not(feature = "region"), expect(dead_code, reason = "there is one way"))]
    pub(crate) publishes: Publishes,
    /// Given back last.
    pub(crate) _lock: Arc<BuildLock>,
}

/// What makes the version of a build current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Publishes {
    /// The rename of a manifest.
    Manifest,
    /// A commit of the region file of these facts.
    #[cfg(feature = "region")]
    Region(manifest::RegionFacts),
}

/// The rows that were handed over.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) rows: Output,
    /// Whether the rows came in the order of the canonical key so far.
    pub(crate) ascends: Ascends,
    /// Why rows are missing, if some are.
    lost: Option<String>,
}

/// Whether rows come in the order of the canonical key.
#[derive(Debug)]
pub(crate) struct Ascends {
    fields: Vec<Field>,
    last: Vec<u8>,
    image: Vec<u8>,
    pub(crate) holds: bool,
}

/// What is there already where a table is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replaces {
    Nothing,
    Older,
}

impl Build {
    pub(crate) fn start(
        directory: Directory,
        schema: Schema,
        (options, replaces): (TableOptions, Replaces),
    ) -> Result<(Self, Arc<Mutex<Staged>>)> {
        directory.make()?;
        let lock = Arc::new(directory.lock()?);
        let older = match manifest::find(&directory) {
            // A damaged one is replaced; somebody else's is not.
            Err(error) if error.kind() == ErrorKind::Corrupt && replaces == Replaces::Older => None,
            found => found?,
        };
        if older.is_some() && replaces == Replaces::Nothing {
            let what = "a table or relation was published here already";
            return Err(Error::refused(ErrorKind::AlreadyExists, directory.path(), what));
        }
        let keep = older.as_ref().map_or_else(BTreeSet::new, manifest::Manifest::names);
        let highest = directory.remove_left_overs(&keep)?;
        let highest = older.as_ref().map_or(highest, |older| highest.max(older.version()));
        Self::begin(directory, schema, (options, lock, highest + 1))
    }

    /// A build of this version, by whoever holds the lock.
    pub(crate) fn begin(
        directory: Directory,
        schema: Schema,
        (options, lock, version): (TableOptions, Arc<BuildLock>, u64),
    ) -> Result<(Self, Arc<Mutex<Staged>>)> {
        let mut unpublished = Unpublished::new(&directory);
        let name = directory::name("rows", version, "rec");
        unpublished.add(&name);
        let rows =
            Options::new().record_size(schema.record_size()).create(directory.file(&name))?;
        let fields = schema.canonical().map_or_else(Vec::new, |(_, key)| key.fields.clone());
        let image = vec![0; schema.canonical().map_or(0, |(_, key)| key.len())];
        let ascends = Ascends { fields, last: Vec::new(), image, holds: true };
        let staged = Arc::new(Mutex::new(Staged { rows: Output::new(rows), ascends, lost: None }));
        let publishes = Publishes::Manifest;
        let build =
            Self { directory, options, schema, version, unpublished, publishes, _lock: lock };
        Ok((build, staged))
    }

    /// Errors for a build whose version a region file is to name.
    #[cfg(feature = "region")]
    pub(crate) fn check_publishes_itself(&self) -> Result<()> {
        match &self.publishes {
            Publishes::Manifest => Ok(()),
            Publishes::Region(_) => {
                let what = "a build for a region file: `seal_unpublished`, then `publish_in`";
                Err(Error::refused(ErrorKind::InvalidArgument, self.directory.path(), what))
            }
        }
    }
}

impl Ascends {
    /// Looks at rows that follow those it has seen.
    fn look(&mut self, rows: &[u8], record_size: usize) -> Result<()> {
        if self.fields.is_empty() || !self.holds {
            return Ok(());
        }
        for row in rows.chunks_exact(record_size) {
            put_fields(&self.fields, row, &mut self.image)?;
            if self.image < self.last {
                self.holds = false;
                return Ok(());
            }
            self.last.clone_from(&self.image);
        }
        Ok(())
    }
}

impl Staged {
    /// Takes over a batch of rows. Should it fail, the table cannot be sealed any more.
    pub(crate) fn append(&mut self, rows: &[u8]) -> Result<()> {
        let looked = self.ascends.look(rows, self.rows.record_size());
        let appended = looked.and_then(|()| self.rows.put(rows));
        if let Err(error) = &appended {
            self.lost.get_or_insert_with(|| error.to_string());
        }
        appended
    }

    /// The rows of all writers, when there is none any more.
    pub(crate) fn of_all(staged: Arc<Mutex<Self>>) -> Result<Self> {
        let Some(staged) = Arc::into_inner(staged) else {
            return Err(Error::argument("a writer of the table has not finished"));
        };
        let staged = staged.into_inner().unwrap_or_else(PoisonError::into_inner);
        match &staged.lost {
            Some(why) => Err(Error::argument(format!("rows are missing: {why}"))),
            None => Ok(staged),
        }
    }
}

pub(crate) fn locked(staged: &Mutex<Staged>) -> MutexGuard<'_, Staged> {
    staged.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R: Record> TableBuilder<R> {
    pub(crate) fn start(directory: Directory, options: (TableOptions, Replaces)) -> Result<Self> {
        Ok(Self::of(Build::start(directory, R::schema(), options)?))
    }

    pub(crate) fn of((build, staged): (Build, Arc<Mutex<Staged>>)) -> Self {
        let writer = RowWriter::of(&staged);
        Self { build, staged, writer }
    }

    /// Appends a row.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`; `Io`.
    pub fn append(&mut self, row: &R) -> Result<()> {
        self.writer.append(row)
    }

    /// Appends the rows of an iterator.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the rows before the failed one stay.
    pub fn extend<B: std::borrow::Borrow<R>>(
        &mut self,
        rows: impl IntoIterator<Item = B>,
    ) -> Result<()> {
        self.writer.extend(rows)
    }

    /// Returns a writer for another thread. Among rows of equal canonical keys, or without such
    /// a key, those of one writer keep their order.
    #[must_use]
    pub fn writer(&self) -> RowWriter<R> {
        RowWriter::of(&self.staged)
    }

    /// Sorts and numbers the rows, builds the indexes, and publishes the table, durably.
    ///
    /// Rows lie in the order of the canonical key, those of equal keys as they were appended;
    /// without such a key, as they were appended.
    ///
    /// # Errors
    ///
    /// `Duplicate`, with the first keys and rows; `InvalidArgument` when a writer has not
    /// finished; `OutOfSpace` and `Io`. Nothing is published then, but for an error of the last
    /// step, the sync of the directory, after which the table may be there.
    pub fn seal(self) -> Result<Table<R>> {
        let (build, staged) = self.into_parts()?;
        let (directory, options) = (build.directory.clone(), build.options);
        let facts = seal::seal(build, staged)?;
        Ok(Table::of(Part::of(directory, facts, &options)?))
    }

    pub(crate) fn into_parts(self) -> Result<(Build, Staged)> {
        let Self { build, staged, writer } = self;
        writer.finish()?;
        Ok((build, Staged::of_all(staged)?))
    }
}

/// Appends rows to a table that is being built, from one thread.
#[derive(Debug)]
pub struct RowWriter<R> {
    staged: Arc<Mutex<Staged>>,
    batch: Vec<u8>,
    rows: PhantomData<fn(R)>,
}

impl<R: Record> RowWriter<R> {
    fn of(staged: &Arc<Mutex<Staged>>) -> Self {
        Self { staged: Arc::clone(staged), batch: Vec::new(), rows: PhantomData }
    }

    /// Appends a row.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`; `Io`.
    #[inline]
    pub fn append(&mut self, row: &R) -> Result<()> {
        let start = self.batch.len();
        self.batch.resize(start + R::SIZE, 0);
        row.write(self.batch.get_mut(start..).unwrap_or_default());
        if BATCH <= self.batch.len() { self.flush() } else { Ok(()) }
    }

    /// Appends the rows of an iterator.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the rows before the failed one stay.
    pub fn extend<B: std::borrow::Borrow<R>>(
        &mut self,
        rows: impl IntoIterator<Item = B>,
    ) -> Result<()> {
        rows.into_iter().try_for_each(|row| self.append(row.borrow()))
    }

    /// Hands over the last rows.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn finish(mut self) -> Result<()> {
        self.flush()
    }
}

impl<R> RowWriter<R> {
    fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let appended = locked(&self.staged).append(&self.batch);
        self.batch.clear();
        appended
    }
}

impl<R> Drop for RowWriter<R> {
    fn drop(&mut self) {
        // The rows of a writer that was dropped rather than finished count. That they could not
        // be kept is written down, and answered by the seal.
        drop(self.flush());
    }
}
