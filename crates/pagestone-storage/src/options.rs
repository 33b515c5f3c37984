//! How a storage is opened: one immutable builder for every backing.

use std::{path::Path, sync::Arc};

use tracing::debug_span;

use crate::{
    bytes::{Access, Appending, Backing, Bytes, FileBytes, MapBytes, MemoryBytes, WindowedBytes},
    core::{Core, Reads},
    error::{Cause, Error, ErrorKind, Result},
    lock::{self, Held, Hold, WriterLock},
    record::Record,
    records::{Records, Source},
    search::count::Simd,
    sidecar::{Loaded, SidecarStatus, build, sidecar_path},
    storage::Storage,
    sys::{Opening, SysFile},
    temporary,
    trust::Location,
};

/// The largest record, in bytes.
pub const RECORD_SIZE_MAX: usize = 1 << 24;

const RESERVE: u64 = 1 << 40;
/// The alignment that every mapping has.
const PAGE: usize = 4096;
const WINDOW: u64 = 64 << 20;

/// Whether published records of a storage may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mutability {
    /// Records may be set, swapped and cut. Readers of this process copy; other processes read
    /// through [`Backing::File`].
    #[default]
    InPlace,
    /// A record never changes once appended. Readers borrow, in this process and in others. A
    /// sorted copy may still take the place of the whole file.
    AppendOnly,
}

/// How to create or open a storage.
///
/// A value that is set once and used as often as wished; every method returns a changed copy.
///
/// ```
/// use pagestone_storage::{Backing, Options, Storage};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("visits.rec");
/// let options = Options::new().backing(Backing::Map);
/// let mut visits: Storage<u64> = options.create(&path)?;
/// visits.append(&[3, 1, 2])?;
/// visits.close()?;
/// assert_eq!(options.open_read_only::<u64>(&path)?.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Options {
    backing: Backing,
    mutability: Mutability,
    record_size: Option<usize>,
    reserve: u64,
    window_size: u64,
    accepts_interrupted_sort: bool,
    searches_portably: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backing: Backing::default(),
            mutability: Mutability::default(),
            record_size: None,
            reserve: RESERVE,
            window_size: WINDOW,
            accepts_interrupted_sort: false,
            searches_portably: false,
        }
    }
}

impl Options {
    /// The defaults: [`Backing::File`], [`Mutability::InPlace`], the record's own size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses what holds the bytes.
    #[must_use]
    pub fn backing(self, backing: Backing) -> Self {
        Self { backing, ..self }
    }

    /// Chooses whether published records may change.
    #[must_use]
    pub fn mutability(self, mutability: Mutability) -> Self {
        Self { mutability, ..self }
    }

    /// Sets the bytes of a record, needed for `[u8]` records; a typed record must agree.
    #[must_use]
    pub fn record_size(self, record_size: usize) -> Self {
        Self { record_size: Some(record_size), ..self }
    }

    /// Sets how many bytes of address range a mapping takes at most, 1 TiB by default.
    ///
    /// Where the system refuses, less is taken. A mapped storage cannot grow beyond it.
    #[must_use]
    pub fn reserve(self, reserve: u64) -> Self {
        Self { reserve, ..self }
    }

    /// Sets the bytes of one mapping of [`Backing::Windowed`], 64 MiB by default; it is cut to
    /// a whole number of records, at least one.
    #[must_use]
    pub fn window_size(self, window_size: u64) -> Self {
        Self { window_size, ..self }
    }

    /// Searches without SIMD instructions even where the processor has them; the answers are the
    /// same. For comparing.
    #[must_use]
    pub fn portable_search(self) -> Self {
        Self { searches_portably: true, ..self }
    }

    /// Opens a storage even though an in-place sort of it never ended, which otherwise is an
    /// `InterruptedSort` error: records may be there twice or not at all.
    #[must_use]
    pub fn accept_interrupted_sort(self) -> Self {
        Self { accepts_interrupted_sort: true, ..self }
    }

    /// Creates an empty storage.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; `Locked` by another writer; `InvalidArgument` for a record of no bytes,
    /// of more than [`RECORD_SIZE_MAX`], or of two sizes; `Io`.
    pub fn create<T: Record + ?Sized>(&self, location: impl Into<Location>) -> Result<Storage<T>> {
        self.writer(&location.into(), Opening::Create)
    }

    /// Opens a storage for writing.
    ///
    /// A tail shorter than a record, left by a writer that was killed, is not a record: it is
    /// kept until the first change and reported by [`Storage::partial_tail`].
    ///
    /// # Errors
    ///
    /// `NotFound`; `ReadOnly`; `Unsupported` for what is not a regular file or has several names;
    /// `InterruptedSort` when an in-place sort of it never ended; `Locked` by another writer, or, where records may change in place, by a reader that maps the file;
    /// else as [`create`](Self::create).
    pub fn open<T: Record + ?Sized>(&self, location: impl Into<Location>) -> Result<Storage<T>> {
        self.writer(&location.into(), Opening::Write)
    }

    /// Opens a storage for writing and creates it when it is not there.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for `NotFound`.
    pub fn open_or_create<T: Record + ?Sized>(
        &self,
        location: impl Into<Location>,
    ) -> Result<Storage<T>> {
        self.writer(&location.into(), Opening::CreateOrWrite)
    }

    /// Opens a storage for reading; needs no write permission and no lock file.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Unsupported` for what is not a regular file; `InterruptedSort` when an
    /// in-place sort of it never ended; `Locked` when a writer changes
    /// records in place and this reader would map them; `InvalidArgument`; `Io`.
    pub fn open_read_only<T: Record + ?Sized>(
        &self,
        location: impl Into<Location>,
    ) -> Result<Records<T>> {
        let record_size = self.size_of::<T>()?;
        let reopen = Reopen { options: *self, location: location.into(), record_size };
        let opened = reopen.open()?;
        Ok(Records::new(opened, Source::Path(Arc::new(reopen))))
    }

    /// Creates a storage without a file, gone when it is dropped.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` as for [`create`](Self::create); `OutOfSpace`.
    pub fn in_memory<T: Record + ?Sized>(&self) -> Result<Storage<T>> {
        let record_size = self.size_of::<T>()?;
        let core = self.memory_core(record_size)?;
        Ok(Storage::new((core, Loaded::absent()), None, *self))
    }

    pub(crate) fn memory_core(&self, record_size: usize) -> Result<Core> {
        let (reads, appending) = match self.mutability {
            Mutability::AppendOnly => (Reads::Borrow, Appending::Bytes),
            Mutability::InPlace => (Reads::Copy, Appending::Words),
        };
        let bytes = MemoryBytes::new(self.reserve.min(RESERVE), appending)?;
        Core::new(Box::new(bytes), record_size, reads)
    }

    pub(crate) fn is_append_only(&self) -> bool {
        self.mutability == Mutability::AppendOnly
    }

    fn writer<T: Record + ?Sized>(
        &self,
        location: &Location,
        opening: Opening,
    ) -> Result<Storage<T>> {
        let record_size = self.size_of::<T>()?;
        let _span = debug_span!("open", path = %location.path().display(), record_size).entered();
        location.check()?;
        if self.backing == Backing::Memory {
            let core = self.memory_core(record_size)?;
            return Ok(Storage::new((core, Loaded::absent()), None, *self));
        }
        if opening == Opening::Write {
            // Before the lock, so that a name that is not there leaves no lock file.
            drop(SysFile::open(location.path(), opening)?);
        }
        let writer_lock = WriterLock::take(location.path())?;
        temporary::remove_left_over(location.path())?;
        temporary::remove_left_over(&sidecar_path(location.path()))?;
        if opening == Opening::Create {
            // One without records is of a file that is gone.
            build::remove_at(&sidecar_path(location.path()))?;
        }
        let file = SysFile::open(location.path(), opening)?;
        file.check_one_name()?;
        let core = self.writer_core(file, location, record_size)?;
        let loaded = self.load(&core)?;
        Ok(Storage::new((core, loaded), Some((writer_lock, location.clone())), *self))
    }

    /// Takes `file`, which lies at `location`, as the storage's file.
    pub(crate) fn writer_core(
        &self,
        file: SysFile,
        location: &Location,
        record_size: usize,
    ) -> Result<Core> {
        let held = self.hold(&file)?;
        let in_place = self.mutability == Mutability::InPlace;
        if in_place && self.backing.is_mapped() {
            // A store into a hole of a full disk would be a signal; here it is an error. Asking
            // how many blocks there are would not tell where they lie.
            file.allocate(0, file.len()?)?;
        }
        let may_borrow = !in_place && location.is_trusted() && held == Held::Yes;
        self.core(file, record_size, (may_borrow, Access::Write))
    }

    /// Takes the writer's lock on the data file; once more does no harm.
    pub(crate) fn hold(&self, file: &SysFile) -> Result<Held> {
        match (self.mutability, self.backing.is_mapped()) {
            (Mutability::InPlace, _) => lock::hold(file, Hold::Exclusive),
            (Mutability::AppendOnly, true) => lock::hold(file, Hold::Shared),
            (Mutability::AppendOnly, false) => Ok(Held::Unsupported),
        }
    }

    pub(crate) fn simd(&self) -> Simd {
        if self.searches_portably { Simd::Portable } else { Simd::detect() }
    }

    /// Looks for the sidecar of an opened file.
    fn load(&self, core: &Core) -> Result<Loaded> {
        match Loaded::of(core, self.simd()) {
            Err(error)
                if error.kind() == ErrorKind::InterruptedSort && self.accepts_interrupted_sort =>
            {
                Ok(Loaded::unusable(error))
            }
            loaded => loaded,
        }
    }

    fn core(
        &self,
        file: SysFile,
        record_size: usize,
        (may_borrow, access): (bool, Access),
    ) -> Result<Core> {
        let reads = if may_borrow { Reads::Borrow } else { Reads::Copy };
        let bytes: Box<dyn Bytes> = match self.backing {
            Backing::Map => Box::new(MapBytes::new(file, self.reserve, access)?),
            Backing::Windowed => {
                let sizes = (self.window_size, record_size);
                Box::new(WindowedBytes::new(file, sizes, access)?)
            }
            _ => Box::new(FileBytes::new(file)),
        };
        Core::new(bytes, record_size, reads)
    }

    fn size_of<T: Record + ?Sized>(&self) -> Result<usize> {
        let size = match (T::SIZE, self.record_size) {
            (Some(size), None) => size,
            (Some(size), Some(asked)) if size == asked => size,
            (Some(size), Some(asked)) => {
                return Err(Error::argument(format!(
                    "records of this type have {size} bytes, Options::record_size says {asked}"
                )));
            }
            (None, Some(asked)) => asked,
            (None, None) => {
                return Err(Error::argument("[u8] records need Options::record_size"));
            }
        };
        if PAGE < T::ALIGN {
            let what = format!("records of alignment {}, mappings have {PAGE}", T::ALIGN);
            return Err(Error::argument(what));
        }
        if (1..=RECORD_SIZE_MAX).contains(&size) {
            return Ok(size);
        }
        Err(Error::argument(format!("a record has 1 to {RECORD_SIZE_MAX} bytes, not {size}")))
    }
}

/// What a reader needs to open its file again.
#[derive(Debug)]
pub(crate) struct Reopen {
    options: Options,
    location: Location,
    record_size: usize,
}

impl Reopen {
    fn open(&self) -> Result<(Arc<Core>, Arc<Loaded>)> {
        let path = self.location.path();
        let _span = debug_span!("open", path = %path.display(), read_only = true).entered();
        self.location.check()?;
        if self.options.backing == Backing::Memory {
            return Err(Error::refused(ErrorKind::Unsupported, path, "memory has no file to open"));
        }
        let file = SysFile::open(path, Opening::Read)?;
        let mapped = self.options.backing.is_mapped();
        let held = if mapped { lock::hold(&file, Hold::Shared)? } else { Held::Unsupported };
        let may_borrow = self.location.is_trusted() && held == Held::Yes;
        let identity = file.identity()?;
        let core = self.options.core(file, self.record_size, (may_borrow, Access::Read))?;
        let loaded = self.options.load(&core)?;
        if matches!(loaded.status(), SidecarStatus::Usable(_)) && !crate::sys::names(path, identity)
        {
            // A sorted copy took the place meanwhile, so the sidecar may be of that.
            return Ok((Arc::new(core), Arc::new(Loaded::absent())));
        }
        Ok((Arc::new(core), Arc::new(loaded)))
    }

    /// Follows the file that `core` shows: returns it with its newest length, or the file that
    /// has taken its place.
    pub(crate) fn refresh(&self, core: &Arc<Core>) -> Result<Option<(Arc<Core>, Arc<Loaded>)>> {
        let Some(file) = core.bytes().file() else { return Ok(None) };
        if !crate::sys::names(self.location.path(), file.identity()?) {
            return Ok(Some(self.open()?));
        }
        // In this order: a clone may publish more meanwhile.
        let expected = core.offset(core.len());
        let found = core.bytes().len()?;
        if found < expected {
            return Err(truncated(core.path(), expected, found));
        }
        if !core.shows(found) {
            // It has outgrown the address range that was reserved here.
            return Ok(Some(self.open()?));
        }
        let count = found / self.record_size as u64;
        if count <= core.len() {
            return Ok(None);
        }
        core.publish_more(count);
        Ok(Some((Arc::clone(core), Arc::new(self.options.load(core)?))))
    }
}

pub(crate) fn truncated(path: &Path, expected: u64, found: u64) -> Error {
    Cause::Truncated { path: path.to_path_buf(), expected, found }.into()
}
