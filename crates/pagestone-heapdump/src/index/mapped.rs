//! A mapped file of an index, whose blocks are compared with their checksums when they are met.

use std::{fmt, ops::Range, path::Path, sync::Arc};

use bytemuck::Pod;
use pagestone_storage as storage;
use storage::{Backing, Options, Records, TrustedDir};

use crate::{
    checks::{BlockChecks, Checks},
    error::{Error, ErrorKind, Result},
    lists::Malformed,
    manifest::Manifest,
};

/// What files are opened with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opener<'o> {
    pub(super) dir: &'o TrustedDir,
    pub(super) manifest: &'o Manifest,
    pub(super) checks: &'o Arc<Checks>,
}

/// The records of one file, borrowed from its mapping.
pub(super) struct Mapped<T: Pod + fmt::Debug> {
    records: Records<T>,
    checks: BlockChecks,
}

impl<T: Pod + fmt::Debug> Mapped<T> {
    /// Maps a file that the manifest names.
    pub(super) fn open(opener: Opener<'_>, name: &str) -> Result<Self> {
        let Opener { dir, manifest, checks } = opener;
        let facts = manifest.table(dir.path(), name)?;
        let options = Options::new().backing(Backing::Map).reserve(facts.byte_len);
        let records = options.open_read_only::<T>(dir.file(&facts.name))?;
        if records.len() != facts.record_count {
            let counts = (facts.record_count, records.len());
            return Err(Error::corrupt(records.path(), "number of records", counts));
        }
        if !records.is_empty() && records.as_slice().is_none() {
            let what = "cannot be mapped into memory";
            return Err(Error::refused(ErrorKind::Unsupported, records.path(), what));
        }
        let checks = checks.of(manifest, records.path())?;
        Ok(Self { records, checks })
    }

    /// The records, of which those that are used must be asked for by one of the other functions.
    #[inline]
    fn slice(&self) -> &[T] {
        self.records.as_slice().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.slice().len()
    }

    pub(super) fn path(&self) -> &Path {
        self.records.path()
    }

    /// The record at an index that another file gives.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Result<T> {
        self.at(index as usize)
    }

    /// The record at an index.
    #[inline]
    pub(super) fn at(&self, index: usize) -> Result<T> {
        let Some(record) = self.slice().get(index) else { return Err(self.outside(index)) };
        self.check(index..index + 1)?;
        Ok(*record)
    }

    /// The records of a range that another file gives.
    #[inline]
    pub(super) fn range(&self, range: Range<usize>) -> Result<&[T]> {
        let Some(records) = self.slice().get(range.clone()) else {
            return Err(self.outside(range.end));
        };
        self.check(range)?;
        Ok(records)
    }

    /// All records.
    pub(super) fn all(&self) -> Result<&[T]> {
        self.range(0..self.len())
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

    /// The first record of those of a key, if there is one; `key` ascends.
    #[inline]
    pub(super) fn find(&self, key: u32, key_of: impl Fn(&T) -> u32) -> Result<Option<T>> {
        let place = self.partition_point(|record| key_of(record) < key)?;
        let found = if place < self.len() { Some(self.at(place)?) } else { None };
        Ok(found.filter(|record| key_of(record) == key))
    }

    #[inline]
    fn check(&self, range: Range<usize>) -> Result<()> {
        let bytes = bytemuck::cast_slice(self.slice());
        self.checks.check(bytes, (range.start * size_of::<T>(), range.end * size_of::<T>()))
    }

    #[cold]
    fn outside(&self, index: usize) -> Error {
        let expected = format!("below {}", self.records.len());
        Error::corrupt(self.path(), "number of a record", (expected, index))
    }

    /// Says that a list of this file is none.
    #[cold]
    pub(super) fn malformed(&self, Malformed: Malformed) -> Error {
        Error::corrupt(self.path(), "list", ("numbers of objects", "others"))
    }
}
