//! The exclusive writer of a storage.

use std::{cmp::Ordering, fmt, ops::Deref, sync::Arc};

use tracing::trace_span;

use crate::{
    core::Core,
    error::{Error, ErrorKind, Result},
    field::{Field, Value},
    lock::WriterLock,
    options::Options,
    record::Record,
    records::{Current, Records, Source},
    sidecar::{Loaded, SidecarOptions, SidecarStatus, build},
    sort::{Order, Sort},
    sys,
    trust::Location,
};

/// How many bytes a copy inside the storage moves at once.
const BLOCK: usize = 64 << 10;
/// The most bytes for which blocks are reserved ahead.
const RESERVE_MOST: u64 = 64 << 20;

/// Fixed-size records in a headerless file, and the one right to change them.
///
/// Record `i` lies at byte `i × record_size`, and nothing else is in the file. Reading is done
/// through the [`Records`] that a storage dereferences to; [`records`](Self::records) hands out
/// clones of it.
///
/// # Durability
///
/// Appends that returned survive a kill of the program. After power loss the records since the
/// last [`sync`](Self::sync) may be absent, zero or mixed. A failed sync poisons the storage:
/// every later change answers `Poisoned` until it is reopened. Dropping a storage syncs
/// nothing; [`close`](Self::close) does.
pub struct Storage<T: Record + ?Sized = [u8]> {
    records: Records<T>,
    current: Arc<Current>,
    home: Option<(WriterLock, Location)>,
    options: Options,
    /// Bytes behind the last whole record.
    tail: u64,
    /// Whether the directory is known to name the file after a power loss.
    named: bool,
    /// What the records are sorted by, as far as this storage knows.
    order: Vec<Field>,
    /// Up to where blocks are reserved, of an append-only file.
    reserved: u64,
}

impl<T: Record + ?Sized> Storage<T> {
    pub(crate) fn new(
        (core, loaded): (Core, Loaded),
        home: Option<(WriterLock, Location)>,
        options: Options,
    ) -> Self {
        let current = Arc::new(Current::default());
        let (core, loaded) = (Arc::new(core), Arc::new(loaded));
        current.set(&core, &loaded);
        let tail = core.tail();
        let order = match loaded.status() {
            SidecarStatus::Usable(sidecar) if sidecar.record_count == core.len() => {
                sidecar.sorted_by.clone()
            }
            _ => Vec::new(),
        };
        let records = Records::new((core, loaded), Source::Storage(Arc::clone(&current)));
        Self { records, current, home, options, tail, named: false, order, reserved: 0 }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        self.records.core()
    }

    pub(crate) fn current(&self) -> &Arc<Current> {
        &self.current
    }

    /// Whether a reader of this storage is alive.
    pub(crate) fn is_read(&self) -> bool {
        1 < Arc::strong_count(self.records.core())
    }

    pub(crate) fn set_order(&mut self, order: &[Field]) {
        self.order = order.to_vec();
    }

    pub(crate) fn options(&self) -> Options {
        self.options
    }

    pub(crate) fn location(&self) -> Option<&Location> {
        self.home.as_ref().map(|(_, location)| location)
    }

    /// Takes a sorted file as the storage's own.
    pub(crate) fn replace(&mut self, core: Core) {
        self.set_opened(Arc::new(core), Loaded::absent());
        self.tail = 0;
        // What was reserved belongs to the old file.
        self.reserved = 0;
    }

    fn set_opened(&mut self, core: Arc<Core>, loaded: Loaded) {
        let loaded = Arc::new(loaded);
        self.current.set(&core, &loaded);
        self.records = Records::new((core, loaded), Source::Storage(Arc::clone(&self.current)));
    }

    /// Goes on without the sidecar that was there.
    pub(crate) fn forget_sidecar(&mut self) {
        self.set_opened(Arc::clone(self.core()), Loaded::absent());
    }

    /// Goes on without a sidecar that may still be there.
    pub(crate) fn doubt_sidecar(&mut self, why: &Error) {
        self.set_opened(Arc::clone(self.core()), Loaded::unusable(why));
    }

    /// Writes the sidecar `NAME.meta` anew: count, order, and what `options` ask for.
    ///
    /// It is written beside the old one, synced, and put in its place by a rename. The first
    /// change in place removes it, durably; appends leave it, and are not covered by it. The
    /// order that it names is that of the last sort, where nothing has changed since.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the field to accelerate does not lie inside a record;
    /// `Unsupported` in memory; `OutOfSpace`; `Io`; `Poisoned`. The old sidecar stays then.
    pub fn write_sidecar(&mut self, options: SidecarOptions) -> Result<()> {
        self.core().check_poison()?;
        let written = build::write(self.core(), options, &self.order);
        // After an error too: the new one may be in place, and the first change must remove it.
        let (loaded, read) = match Loaded::of(self.core(), self.options.simd()) {
            Ok(loaded) => (loaded, Ok(())),
            Err(error) => (Loaded::unusable(&error), Err(error)),
        };
        self.set_opened(Arc::clone(self.core()), loaded);
        written.and(read)
    }

    /// Returns a reader that follows this storage.
    #[must_use]
    pub fn records(&self) -> Records<T> {
        self.records.clone()
    }

    /// Returns the bytes behind the last whole record, which the next change cuts.
    #[must_use]
    pub fn partial_tail(&self) -> u64 {
        self.tail
    }

    /// Appends records and returns the index of the first.
    ///
    /// One `write` per call, whatever the backing: append in batches. What has returned
    /// survives a kill of the program.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` and `Io`, with nothing appended, but for a write to an append-only file that
    /// broke off: other processes may follow what it wrote, so that stays, and the storage is
    /// poisoned. `Poisoned`; `InvalidArgument` when bytes are not a whole number of records.
    pub fn append(&mut self, records: &[T::Unit]) -> Result<u64> {
        self.append_bytes(bytemuck::cast_slice(records))
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<u64> {
        let count = self.records.whole_records(bytes.len())?;
        self.cut_tail()?;
        let core = self.core();
        let first = core.len();
        if count == 0 {
            return Ok(first);
        }
        let _span =
            trace_span!("grow", path = %core.path().display(), from = first, count).entered();
        let end = core.offset(first);
        if self.options.is_append_only() {
            self.append_followed(end, bytes)?;
        } else if let Err(error) = core.bytes().write_at(end, bytes) {
            // Should cutting what the write left have failed too, the next change cuts it.
            self.tail = core.bytes().len().map_or(1, |len| len.saturating_sub(end));
            return Err(error);
        }
        let core = self.core();
        core.publish(first + count);
        self.order.clear();
        Ok(first)
    }

    /// Appends to a file that readers of other processes follow, and so must not shrink.
    ///
    /// Blocks are reserved first, so that a full disk is found before the file has grown. A write
    /// that breaks off all the same has grown it, perhaps under the eyes of a reader: the storage
    /// is poisoned then, and what was written is there when it is opened again.
    fn append_followed(&mut self, end: u64, bytes: &[u8]) -> Result<()> {
        let core = Arc::clone(self.core());
        let Some(file) = core.bytes().file() else { return core.bytes().write_at(end, bytes) };
        let len = bytes.len() as u64;
        if self.reserved < end + len {
            let ahead = (end / 8).clamp(len, len.max(RESERVE_MOST));
            let reserved = match file.allocate(end, ahead) {
                Ok(()) => end + ahead,
                Err(_) => file.allocate(end, len).map(|()| end + len)?,
            };
            self.reserved = reserved;
        }
        core.bytes().write_followed(end, bytes).inspect_err(|error| {
            let is_unchanged = core.bytes().len().is_ok_and(|found| found == end);
            if !is_unchanged {
                core.poison("append", error);
            }
        })
    }

    /// Appends every record of an iterator, in batches of 64 KiB.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the batches before the failed one stay.
    pub fn extend<R: AsRef<T>>(&mut self, records: impl IntoIterator<Item = R>) -> Result<()> {
        let mut batch = Vec::with_capacity(BLOCK);
        for record in records {
            batch.extend_from_slice(record.as_ref().bytes());
            if BLOCK <= batch.len() {
                self.append_bytes(&batch)?;
                batch.clear();
            }
        }
        self.append_bytes(&batch)?;
        Ok(())
    }

    /// Replaces the record at `index`.
    ///
    /// After a kill the record may mix old and new 8-byte words, after power loss too.
    ///
    /// # Errors
    ///
    /// `OutOfRange`; `ReadOnly` for append-only storages; `InvalidArgument` when bytes are not
    /// one record; `Poisoned`; `Io`.
    pub fn set(&mut self, index: u64, record: &T) -> Result<()> {
        let bytes = record.bytes();
        if bytes.len() != self.record_size() {
            let size = self.record_size();
            return Err(Error::argument(format!("{} bytes for a record of {size}", bytes.len())));
        }
        self.overwrite(index, 0, bytes)
    }

    /// Replaces one field of the record at `index`.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); `InvalidArgument` when the field cannot hold the value.
    pub fn set_field<'a>(
        &mut self,
        index: u64,
        field: Field,
        value: impl Into<Value<'a>>,
    ) -> Result<()> {
        field.check(self.record_size())?;
        let mut bytes = vec![0; field.size() as usize];
        field.encode(&value.into(), &mut bytes)?;
        self.overwrite(index, field.offset() as usize, &bytes)
    }

    fn overwrite(&mut self, index: u64, skip: usize, bytes: &[u8]) -> Result<()> {
        self.check_in_place()?;
        self.core().check(index)?;
        let core = self.core();
        core.bytes().overwrite(core.offset(index) + skip as u64, bytes)
    }

    /// Swaps two records.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn swap(&mut self, left: u64, right: u64) -> Result<()> {
        self.swap_ranges(left, right, 1)
    }

    /// Swaps `count` records from `left` on with as many from `right` on.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); `InvalidArgument` when the ranges overlap.
    pub fn swap_ranges(&mut self, left: u64, right: u64, count: u64) -> Result<()> {
        self.check_in_place()?;
        let (low, high) = (left.min(right), left.max(right));
        if high.checked_add(count).is_none_or(|end| self.len() < end) {
            return Err(self.core().out_of_range(high.saturating_add(count).saturating_sub(1)));
        }
        if left == right || count == 0 {
            return Ok(());
        }
        if high < low + count {
            let what = format!("ranges of {count} records at {left} and {right} overlap");
            return Err(Error::argument(what));
        }
        let core = self.core();
        let len = core.offset(count);
        let (low, high) = (core.offset(low), core.offset(high));
        let (mut first, mut second) = (vec![0; BLOCK], vec![0; BLOCK]);
        let mut done = 0;
        while done < len {
            let step = usize::try_from(len - done).unwrap_or(BLOCK).min(BLOCK);
            core.bytes().read_at(low + done, &mut first[..step])?;
            core.bytes().read_at(high + done, &mut second[..step])?;
            core.bytes().overwrite(low + done, &second[..step])?;
            core.bytes().overwrite(high + done, &first[..step])?;
            done += step as u64;
        }
        Ok(())
    }

    /// Cuts the storage to `len` records; does nothing when it has no more.
    ///
    /// # Errors
    ///
    /// `ReadOnly` for append-only storages; `Locked` while a reader of this storage is alive,
    /// from under which a page could be pulled; `Poisoned`; `Io`.
    pub fn truncate(&mut self, len: u64) -> Result<()> {
        self.check_in_place()?;
        if self.len() <= len {
            return Ok(());
        }
        // From here on no reader of before a sort can refresh to this file.
        let _alone = self.current.pause();
        if self.is_read() {
            let what = "a reader of this storage is alive, so it cannot be cut";
            return Err(Error::refused(ErrorKind::Locked, self.path(), what));
        }
        let core = self.core();
        // First the file: a cut that failed leaves a storage whose length is that of its file.
        core.bytes().truncate(core.offset(len))?;
        core.publish(len);
        self.tail = 0;
        Ok(())
    }

    /// Starts a sort by a field or a composite key; [`Sort::run`] does it.
    pub fn sort_by(&mut self, order: impl Into<Order>) -> Sort<'_, T> {
        Sort::by_fields(self, order.into())
    }

    /// Starts a sort by what a function makes of each record; it is called for every comparison.
    pub fn sort_by_key<'s, K: Ord>(
        &'s mut self,
        key: impl Fn(&T) -> K + Send + Sync + 's,
    ) -> Sort<'s, T> {
        Sort::by_comparator(self, move |left, right| key(left).cmp(&key(right)))
    }

    /// Starts a sort by a comparator. One that contradicts itself leaves some order, or panics.
    pub fn sort_with<'s>(
        &'s mut self,
        compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 's,
    ) -> Sort<'s, T> {
        Sort::by_comparator(self, compare)
    }

    /// Hands all bytes to the operating system. Every change has done that when it returns, so
    /// this checks only for poison.
    ///
    /// # Errors
    ///
    /// `Poisoned`.
    pub fn flush(&mut self) -> Result<()> {
        self.core().check_poison()
    }

    /// Waits until every record is on the device, and the file's name with the first sync.
    ///
    /// # Errors
    ///
    /// `Io` when the device failed: the storage is poisoned then. `Truncated` when somebody cut
    /// the file, which poisons it too. `Poisoned` by an earlier failure.
    pub fn sync(&mut self) -> Result<()> {
        self.core().check_poison()?;
        let synced = self.sync_all();
        if let Err(error) = &synced {
            self.core().poison("sync", error);
        }
        synced?;
        self.named = true;
        Ok(())
    }

    fn sync_all(&self) -> Result<()> {
        let core = self.core();
        core.bytes().sync()?;
        if core.bytes().file().is_none() {
            return Ok(());
        }
        let (expected, found) = (core.offset(core.len()), core.bytes().len()?);
        if found < expected {
            return Err(crate::options::truncated(core.path(), expected, found));
        }
        if let Some(file) = core.bytes().file()
            && !sys::names(core.path(), file.identity()?)
        {
            let what = "removed or replaced while it was open; what was written has no name";
            return Err(Error::refused(ErrorKind::NotFound, core.path(), what));
        }
        if self.named { Ok(()) } else { sys::sync_parent(core.path()) }
    }

    /// Syncs and closes the storage.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync); the storage is closed all the same.
    pub fn close(mut self) -> Result<()> {
        self.give_back_reserve()?;
        self.sync()
    }

    /// Gives blocks that were reserved behind the end back: cutting a file to its own length does
    /// that, and nobody looks past it.
    fn give_back_reserve(&mut self) -> Result<()> {
        self.core().check_poison()?;
        let core = self.core();
        let end = core.offset(core.len());
        if let Some(file) = core.bytes().file()
            && end < self.reserved
            && file.len()? == end
        {
            file.truncate(end)?;
        }
        self.reserved = 0;
        Ok(())
    }

    pub(crate) fn check_in_place(&mut self) -> Result<()> {
        if self.options.is_append_only() {
            let what = "opened append-only, its records do not change";
            return Err(Error::refused(ErrorKind::ReadOnly, self.path(), what));
        }
        self.cut_tail()?;
        self.order.clear();
        if *self.sidecar() != SidecarStatus::Absent {
            // Before the records change: a sidecar must never call good what it did not see.
            build::remove(self.core())?;
            self.forget_sidecar();
        }
        Ok(())
    }

    /// Cuts what a killed writer left of a record, before the first change.
    fn cut_tail(&mut self) -> Result<()> {
        self.core().check_poison()?;
        if 0 < self.tail {
            let core = self.core();
            core.bytes().truncate(core.offset(core.len()))?;
            self.tail = 0;
        }
        Ok(())
    }
}

impl<T: Record + ?Sized> Deref for Storage<T> {
    type Target = Records<T>;

    fn deref(&self) -> &Records<T> {
        &self.records
    }
}

impl<T: Record + ?Sized> fmt::Debug for Storage<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Storage")
            .field("records", &self.records)
            .field("options", &self.options)
            .field("partial_tail", &self.tail)
            .finish_non_exhaustive()
    }
}
