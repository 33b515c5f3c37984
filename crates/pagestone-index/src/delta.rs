//! Rows appended to a published table: found at once, merged into a new version later.

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    thread::JoinHandle,
};

use crate::{
    any::AnyTable,
    builder::{Build, Publishes},
    directory::{BuildLock, Directory, Unpublished},
    error::Result,
    files::Files,
    manifest, merge,
    options::TableOptions,
    part::Part,
    run::{Run, check_rows},
    schema::Record,
    table::Table,
};

/// How many times longer a run stays than the one above it: joins are as rare as runs are few.
const RATIO: u64 = 8;

/// Appends rows to a published table.
///
/// Rows are found by every lookup of the tables that [`table`](Self::table) returns from the
/// append on. They are kept in memory, sorted by each key, until [`merge`](Self::merge) writes
/// them and the older rows into a new version and publishes it, durably.
///
/// **Durability**: none before a merge has returned. Whatever ends the process leaves the version
/// that was published last, whole; rows appended since are gone. Other processes see a row when
/// it was merged.
///
/// It is the directory's one builder for as long as it lives. Share it between threads by
/// reference or `Arc`: appends wait for each other, not for a merge; lookups wait for nobody.
pub struct Delta<R> {
    inner: Appender,
    rows: PhantomData<fn() -> R>,
}

/// Appends rows to a published table of any schema; see [`Delta`], which it is in all else.
pub struct AnyDelta {
    inner: Appender,
}

/// The part of a delta that knows no types.
struct Appender {
    directory: Directory,
    options: TableOptions,
    /// What a reader that comes sees.
    seen: RwLock<Arc<Part>>,
    /// Held by whoever changes `seen`. How many of its runs are being merged.
    frozen: Mutex<usize>,
    /// Held by the merge. The version that it publishes.
    next_version: Mutex<u64>,
    /// Given back last.
    lock: Arc<BuildLock>,
}

impl TableOptions {
    /// Opens the newest version of a table to append rows to it.
    ///
    /// # Errors
    ///
    /// `Locked` while somebody builds here; else as [`open`](Self::open).
    pub fn append_to<R: Record>(self, directory: impl Into<Directory>) -> Result<Delta<R>> {
        let inner = Appender::start(directory.into(), self, |part| {
            Table::<R>::checked(part).map(|table| Arc::clone(table.part()))
        })?;
        Ok(Delta { inner, rows: PhantomData })
    }

    /// As [`append_to`](Self::append_to), whatever the schema is.
    ///
    /// # Errors
    ///
    /// As there, but for `SchemaMismatch`.
    pub fn append_to_any(self, directory: impl Into<Directory>) -> Result<AnyDelta> {
        let inner = Appender::start(directory.into(), self, |part| Ok(Arc::new(part)))?;
        Ok(AnyDelta { inner })
    }
}

impl<R: Record> Delta<R> {
    /// Returns the table with every row that was appended so far. It stays as it is: rows that
    /// are appended later are found by the tables that are asked for later. Costs no look at a
    /// file.
    #[must_use]
    pub fn table(&self) -> Table<R> {
        Table::shared(self.inner.part())
    }

    /// Returns the number of appended rows that no merge has published yet.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.inner.added()
    }

    /// Appends a row; see [`extend`](Self::extend), which costs less for several.
    ///
    /// # Errors
    ///
    /// As [`extend`](Self::extend).
    pub fn append(&self, row: &R) -> Result<()> {
        self.extend([row])
    }

    /// Appends the rows of an iterator, all or none: a lookup for each row and key, and a sort.
    /// Their indexes follow the last one there is.
    ///
    /// # Errors
    ///
    /// `Duplicate` when a unique key would be on two rows; `InvalidArgument` past 2³² rows
    /// since the last merge; else as lookups. Nothing is appended then.
    pub fn extend<B: std::borrow::Borrow<R>>(
        &self,
        rows: impl IntoIterator<Item = B>,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        for row in rows {
            let start = bytes.len();
            bytes.resize(start + R::SIZE, 0);
            row.borrow().write(bytes.get_mut(start..).unwrap_or_default());
        }
        self.inner.append(bytes)
    }

    /// Writes the rows that were appended before the call, and the older ones, into a new
    /// version, and publishes it, durably; returns it, with what was appended meanwhile.
    ///
    /// Nothing is sorted anew: one pass over each file. Appends and lookups go on. Whoever has
    /// an older version open keeps it until it is dropped. Rows are numbered anew.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` and `Io`, after which all rows are still here and found, and a merge may be
    /// tried again; the older version stays published then, but for an error of the last step,
    /// the sync of the directory.
    pub fn merge(&self) -> Result<Table<R>> {
        self.inner.merge().map(Table::shared)
    }

    /// [`merge`](Self::merge) in a thread of its own.
    ///
    /// # Panics
    ///
    /// When the system has no thread.
    pub fn merge_in_background(self: &Arc<Self>) -> JoinHandle<Result<Table<R>>> {
        let delta = Arc::clone(self);
        std::thread::spawn(move || delta.merge())
    }
}

impl AnyDelta {
    /// Returns the table with every row that was appended so far; see [`Delta::table`].
    #[must_use]
    pub fn table(&self) -> AnyTable {
        AnyTable::shared(self.inner.part())
    }

    /// Returns the number of appended rows that no merge has published yet.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.inner.added()
    }

    /// Appends whole rows, all or none; see [`Delta::extend`].
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless they are whole rows; else as there.
    pub fn append(&self, rows: &[u8]) -> Result<()> {
        self.inner.append(rows.to_vec())
    }

    /// Publishes what was appended, durably; see [`Delta::merge`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn merge(&self) -> Result<AnyTable> {
        self.inner.merge().map(AnyTable::shared)
    }
}

impl Appender {
    fn start(
        directory: Directory,
        options: TableOptions,
        check: impl FnOnce(Part) -> Result<Arc<Part>>,
    ) -> Result<Self> {
        // Makes no directory where none is: the manifest is missed first.
        manifest::read(&directory)?;
        let lock = Arc::new(directory.lock()?);
        let part = check(Part::open(&directory, &options)?)?;
        let names = manifest::read(&directory)?.names();
        let highest = directory.remove_left_overs(&names)?.max(part.files.version);
        Ok(Self {
            directory,
            options,
            seen: RwLock::new(part),
            frozen: Mutex::new(0),
            next_version: Mutex::new(highest + 1),
            lock,
        })
    }

    fn part(&self) -> Arc<Part> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn show(&self, part: Part) {
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(part);
    }

    fn added(&self) -> u64 {
        let part = self.part();
        part.len() - part.files.rows.len()
    }

    /// Appends whole rows, all or none.
    fn append(&self, rows: Vec<u8>) -> Result<()> {
        let frozen = locked(&self.frozen);
        let part = self.part();
        check_rows(&part.files.schema, &rows, part.len() - part.files.rows.len())?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut run = Run::new(&part, rows)?;
        let mut runs = part.runs().to_vec();
        // Few runs are asked by each lookup, and each row is copied few times.
        while *frozen < runs.len()
            && let Some(below) = runs.pop_if(|below| below.len() <= run.len() * RATIO)
        {
            run = Run::joined(&below, &run);
        }
        runs.push(Arc::new(run));
        self.show(Part::above(Arc::clone(&part.files), runs));
        Ok(())
    }

    fn merge(&self) -> Result<Arc<Part>> {
        let mut version = locked(&self.next_version);
        let part = {
            let mut frozen = locked(&self.frozen);
            let part = self.part();
            *frozen = part.runs().len();
            part
        };
        let merged = self.write(&part, *version);
        *version += 1;
        let mut frozen = locked(&self.frozen);
        *frozen = 0;
        if let Some(files) = merged? {
            let later = self.part().runs().get(part.runs().len()..).unwrap_or_default().to_vec();
            self.show(Part::above(Arc::new(files), later));
        }
        Ok(self.part())
    }

    /// Publishes the rows of `part` as one version; none when there is nothing to merge.
    fn write(&self, part: &Part, version: u64) -> Result<Option<Files>> {
        let Some((first, others)) = part.runs().split_first() else { return Ok(None) };
        let mut joined: Option<Run> = None;
        for run in others {
            joined = Some(Run::joined(joined.as_ref().unwrap_or(first), run));
        }
        let mut build = Build {
            directory: self.directory.clone(),
            options: self.options,
            schema: part.files.schema.clone(),
            version,
            unpublished: Unpublished::new(&self.directory),
            publishes: Publishes::Manifest,
            _lock: Arc::clone(&self.lock),
        };
        let run = joined.as_ref().unwrap_or(first);
        // A copy of damage would have right checksums.
        part.files.check_all()?;
        let facts = merge::merge(&mut build, (&part.files, run))?;
        Files::of(self.directory.clone(), facts, &self.options).map(Some)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Appender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Delta")
            .field("path", &self.directory.path())
            .finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Delta<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

impl fmt::Debug for AnyDelta {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}
