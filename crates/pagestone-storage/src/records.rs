//! The reader of a storage: cheap to clone, follows what the writer publishes.

use std::{
    fmt,
    ops::{Bound, RangeBounds},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    bytes::Advice,
    core::Core,
    error::Result,
    field::{Field, Value},
    iter::{FieldValues, Iter},
    lending::Lending,
    options::Reopen,
    record::{Record, RecordRef},
    sidecar::{Loaded, SidecarStatus},
};

/// A reader of fixed-size records.
///
/// Holding one means: the records below [`len`](Self::len) are there, whatever a writer does
/// meanwhile. A clone shares the same open file. Beside a writer of the same process the length
/// follows every append at once; a reader that opened the file itself, in this process or
/// another, follows with [`refresh`](Self::refresh).
///
/// Records are borrowed from the mapping when the storage is append-only or has no writer, its
/// directory is trusted and it is mapped; otherwise they are copied. Reads never allocate, but
/// for copies of `[u8]` records.
pub struct Records<T: Record + ?Sized = [u8]> {
    lending: Lending<T>,
    loaded: Arc<Loaded>,
    source: Source,
}

/// Where a refreshed reader finds the newest file.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A storage of this process.
    Storage(Arc<Current>),
    /// The file's path.
    Path(Arc<Reopen>),
}

/// The file that a storage has open, replaced when a sorted copy takes its place.
#[derive(Debug, Default)]
pub(crate) struct Current(Mutex<Newest>);

/// What a refresh finds.
#[derive(Debug, Default)]
struct Newest {
    core: Weak<Core>,
    loaded: Weak<Loaded>,
    /// How many changes that must be alone go on; nobody may join meanwhile.
    pauses: u32,
}

impl Current {
    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, core: &Arc<Core>, loaded: &Arc<Loaded>) {
        let mut newest = self.newest();
        (newest.core, newest.loaded) = (Arc::downgrade(core), Arc::downgrade(loaded));
    }

    fn get(&self) -> Option<(Arc<Core>, Arc<Loaded>)> {
        let newest = self.newest();
        if 0 < newest.pauses {
            return None;
        }
        Some((newest.core.upgrade()?, newest.loaded.upgrade()?))
    }

    /// Lets no reader join until the guard is dropped: whoever then counts readers, counts all.
    pub(crate) fn pause(self: &Arc<Self>) -> Pause {
        self.newest().pauses += 1;
        Pause(Arc::clone(self))
    }
}

/// While it lives, a refresh finds nothing newer.
pub(crate) struct Pause(Arc<Current>);

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.newest().pauses -= 1;
    }
}

impl<T: Record + ?Sized> Records<T> {
    pub(crate) fn new((core, loaded): (Arc<Core>, Arc<Loaded>), source: Source) -> Self {
        Self { lending: Lending::new(core), loaded, source }
    }

    pub(crate) fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }

    /// Returns what the sidecar `NAME.meta` said when the storage was opened or refreshed.
    #[must_use]
    pub fn sidecar(&self) -> &SidecarStatus {
        self.loaded.status()
    }

    #[inline]
    pub(crate) fn core(&self) -> &Arc<Core> {
        self.lending.core()
    }

    /// Returns how many searches the sidecar's accelerator led astray; they were answered
    /// without it. More than 0: it is not of these records, and `write_sidecar` makes a better
    /// one.
    #[must_use]
    pub fn accelerator_misses(&self) -> u64 {
        self.loaded.miss_count()
    }

    /// Returns the number of records.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u64 {
        self.core().len()
    }

    /// Returns whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of a record.
    #[must_use]
    pub fn record_size(&self) -> usize {
        self.core().record_size()
    }

    /// Returns the path of the file; `(memory)` where there is none.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.core().path()
    }

    /// Returns the record at `index`, borrowed where mapped, copied where not.
    ///
    /// # Errors
    ///
    /// `OutOfRange`; `Io` and `Truncated` when the file is not mapped.
    #[inline]
    pub fn get(&self, index: u64) -> Result<RecordRef<'_, T>> {
        match self.lending.record(index) {
            Some(bytes) => Ok(RecordRef::borrowed(T::view(bytes))),
            None => self.get_otherwise(index),
        }
    }

    /// The record at `index`, in a window or copied.
    #[cold]
    #[inline(never)]
    fn get_otherwise(&self, index: u64) -> Result<RecordRef<'_, T>> {
        if let Some(bytes) = self.core().record(index) {
            return Ok(RecordRef::borrowed(T::view(bytes)));
        }
        self.core().check(index)?;
        let record = T::read(self.record_size(), |into| self.core().read(index, 0, into))?;
        Ok(RecordRef::copied(record))
    }

    /// Copies the bytes of consecutive records, from record `index` on, into `into`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when `into` is not a whole number of records, else as [`get`](Self::get).
    pub fn read_into(&self, index: u64, into: &mut [u8]) -> Result<()> {
        let count = self.whole_records(into.len())?;
        let end = index.saturating_add(count);
        if self.len() < end {
            return Err(self.core().out_of_range(end.saturating_sub(1)));
        }
        self.core().read(index, 0, into)
    }

    /// Reads one field of the record at `index`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the field does not lie inside a record, else as [`get`](Self::get).
    pub fn field(&self, index: u64, field: Field) -> Result<Value<'static>> {
        field.check(self.record_size())?;
        self.core().check(index)?;
        self.core().field(index, field)
    }

    /// Returns the bytes of all records as one slice, where they may be borrowed.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.core().slice(0..self.len())
    }

    /// Iterates all records, from both ends if wished.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        self.range(..)
    }

    /// Iterates the records of an index range, cut to the records there are.
    #[must_use]
    pub fn range(&self, range: impl RangeBounds<u64>) -> Iter<'_, T> {
        Iter::new(self, self.clamp(&range))
    }

    /// Iterates one field of the records of an index range.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the field does not lie inside a record.
    pub fn fields(&self, field: Field, range: impl RangeBounds<u64>) -> Result<FieldValues<'_, T>> {
        field.check(self.record_size())?;
        Ok(FieldValues::new(self.range(range), field))
    }

    /// Tells the system how the records will be read; a file that is not mapped ignores it.
    ///
    /// # Errors
    ///
    /// `Io` when the system refuses the hint.
    pub fn advise(&self, advice: Advice) -> Result<()> {
        self.core().advise(advice)
    }

    /// Reads all records of a mapped file into memory ahead of use.
    ///
    /// A page that cannot be read is an error here and a signal when it is touched later.
    ///
    /// # Errors
    ///
    /// `Io` with what the device or the file system says.
    pub fn populate(&self) -> Result<()> {
        self.core().populate()
    }

    /// Follows the writer: takes over its appends, and its newest sorted copy.
    ///
    /// Returns whether the records changed. Beside a writer of this process only a sorted copy
    /// needs it.
    ///
    /// # Errors
    ///
    /// `Truncated` when somebody cut the file below what this reader has seen; what it holds
    /// must not be read any more then. Otherwise as opening the file.
    pub fn refresh(&mut self) -> Result<bool> {
        let newest = match &self.source {
            Source::Storage(current) => current.get(),
            Source::Path(reopen) => reopen.refresh(self.core())?,
        };
        let Some((core, loaded)) = newest else { return Ok(false) };
        let is_other = !Arc::ptr_eq(&core, self.core());
        (self.lending, self.loaded) = (Lending::new(core), loaded);
        // A path is looked up again only to find more records or other ones.
        Ok(is_other || matches!(self.source, Source::Path(_)))
    }

    /// How many records `len` bytes are.
    pub(crate) fn whole_records(&self, len: usize) -> Result<u64> {
        let size = self.record_size();
        if len.is_multiple_of(size) {
            return Ok((len / size) as u64);
        }
        Err(crate::Error::argument(format!(
            "{len} bytes are not a whole number of records of {size} bytes"
        )))
    }

    pub(crate) fn clamp(&self, range: &impl RangeBounds<u64>) -> std::ops::Range<u64> {
        let len = self.len();
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => len,
        };
        let end = end.min(len);
        start.min(end)..end
    }
}

impl<T: bytemuck::Pod + fmt::Debug> Records<T> {
    /// Returns all records as one slice, where they may be borrowed.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[T]> {
        self.as_bytes().map(bytemuck::cast_slice)
    }
}

impl<T: Record + ?Sized> Clone for Records<T> {
    fn clone(&self) -> Self {
        let opened = (Arc::clone(self.core()), Arc::clone(&self.loaded));
        Self::new(opened, self.source.clone())
    }
}

impl<T: Record + ?Sized> fmt::Debug for Records<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Records")
            .field("path", &self.path())
            .field("record_size", &self.record_size())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a, T: Record + ?Sized> IntoIterator for &'a Records<T> {
    type Item = Result<RecordRef<'a, T>>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
