//! The files of an index: mapped when they are first needed, their blocks compared with their
//! checksums when they are met.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytemuck::Pod;
use pagestone_storage as storage;
use storage::{Backing, Options, Records, TrustedDir};

use crate::{
    checks::{BlockChecks, Checks},
    error::{Error, ErrorKind, Result},
    lists::Malformed,
    manifest::Manifest,
    summary::TableFacts,
};

/// Something that is made when it is first needed.
pub(super) struct Lazy<T>(OnceLock<T>);

impl<T> Lazy<T> {
    pub(super) fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What was known, or what `make` makes; where it fails, the next call tries again.
    #[inline]
    pub(super) fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        match self.0.get() {
            Some(known) => Ok(known),
            None => self.make(make),
        }
    }

    #[cold]
    fn make(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        let known = make()?;
        Ok(self.0.get_or_init(|| known))
    }
}

/// What files are opened with.
pub(super) struct Files {
    pub(super) dir: TrustedDir,
    pub(super) manifest: Manifest,
    /// Opened with the manifest, so that files of an index that took this one's place meanwhile
    /// are told from its own.
    checks: Arc<Checks>,
}

impl Files {
    pub(super) fn open(dir: &TrustedDir, manifest: Manifest) -> Result<Arc<Self>> {
        let checks = Checks::open(dir, &manifest)?;
        Ok(Arc::new(Self { dir: dir.clone(), manifest, checks }))
    }

    /// The path of a file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the manifest says of a file.
    pub(super) fn facts(&self, name: &str) -> Result<&TableFacts> {
        self.manifest.table(self.dir.path(), name)
    }

    /// The checksums of the blocks of a file.
    pub(super) fn checks(&self, name: &str) -> Result<BlockChecks> {
        self.checks.of(&self.manifest, (name, &self.path(name)))
    }
}

/// The records of one file, borrowed from its mapping.
pub(super) struct Mapped<T: Pod + fmt::Debug> {
    files: Arc<Files>,
    path: PathBuf,
    facts: TableFacts,
    open: Lazy<Open<T>>,
}

/// A mapped file.
struct Open<T: Pod + fmt::Debug> {
    records: Records<T>,
    checks: BlockChecks,
    /// Whether every block was compared.
    is_right: AtomicBool,
}

impl<T: Pod + fmt::Debug> Mapped<T> {
    /// A file that the manifest names.
    pub(super) fn new(files: &Arc<Files>, name: &str) -> Result<Self> {
        let (path, facts) = (files.path(name), files.facts(name)?.clone());
        Ok(Self { files: Arc::clone(files), path, facts, open: Lazy::new() })
    }

    #[inline]
    fn open(&self) -> Result<&Open<T>> {
        self.open.get(|| self.map())
    }

    fn map(&self) -> Result<Open<T>> {
        let options = Options::new().backing(Backing::Map).reserve(self.facts.byte_len);
        let records = options.open_read_only::<T>(self.files.dir.file(&self.facts.name))?;
        if records.len() != self.facts.record_count {
            let counts = (self.facts.record_count, records.len());
            return Err(Error::corrupt(&self.path, "number of records", counts));
        }
        if !records.is_empty() && records.as_slice().is_none() {
            let what = "cannot be mapped into memory";
            return Err(Error::refused(ErrorKind::Unsupported, &self.path, what));
        }
        let checks = self.files.checks(&self.facts.name)?;
        Ok(Open { records, checks, is_right: AtomicBool::new(false) })
    }

    /// How many records the manifest says there are.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.facts.record_count).unwrap_or(usize::MAX)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The record at an index that another file gives.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Result<T> {
        self.at(index as usize)
    }

    /// The record at an index.
    #[inline]
    pub(super) fn at(&self, index: usize) -> Result<T> {
        let open = self.open()?;
        let Some(record) = open.slice().get(index) else { return Err(self.outside(index)) };
        open.check(index..index + 1)?;
        Ok(*record)
    }

    /// The records of a range that another file gives.
    #[inline]
    pub(super) fn range(&self, range: Range<usize>) -> Result<&[T]> {
        let open = self.open()?;
        let Some(records) = open.slice().get(range.clone()) else {
            return Err(self.outside(range.end));
        };
        open.check(range)?;
        Ok(records)
    }

    /// All records; after the first time as cheap as one.
    #[inline]
    pub(super) fn all(&self) -> Result<&[T]> {
        let open = self.open()?;
        // Relaxed: the flag says of bytes on which nobody stores that they were right.
        if !open.is_right.load(Ordering::Relaxed) {
            open.check(0..open.slice().len())?;
            open.is_right.store(true, Ordering::Relaxed);
        }
        Ok(open.slice())
    }

    /// The first index from which on records are not `is_before`.
    #[inline]
    pub(super) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> Result<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(&self.at(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    #[cold]
    fn outside(&self, index: usize) -> Error {
        let expected = format!("below {}", self.len());
        Error::corrupt(self.path(), "number of a record", (expected, index))
    }

    /// Says that a list of this file is none.
    #[cold]
    pub(super) fn malformed(&self, Malformed: Malformed) -> Error {
        Error::corrupt(self.path(), "list", ("numbers of objects", "others"))
    }
}

impl<T: Pod + fmt::Debug> Open<T> {
    /// The records, of which those that are used must be checked.
    #[inline]
    fn slice(&self) -> &[T] {
        self.records.as_slice().unwrap_or_default()
    }

    #[inline]
    fn check(&self, range: Range<usize>) -> Result<()> {
        let bytes = bytemuck::cast_slice(self.slice());
        self.checks.check(bytes, (range.start * size_of::<T>(), range.end * size_of::<T>()))
    }
}
