//! A mapped file of an index.

use std::{fmt, path::Path};

use bytemuck::Pod;
use pagestone_storage as storage;
use storage::{Backing, Options, Records, TrustedDir};

use crate::{
    error::{Error, ErrorKind, Result},
    lists::Malformed,
    manifest::Manifest,
};

/// The records of one file, borrowed from its mapping.
pub(super) struct Mapped<T: Pod + fmt::Debug>(Records<T>);

impl<T: Pod + fmt::Debug> Mapped<T> {
    /// Maps a file that the manifest names.
    pub(super) fn open(dir: &TrustedDir, manifest: &Manifest, name: &str) -> Result<Self> {
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
        Ok(Self(records))
    }

    #[inline]
    pub(super) fn slice(&self) -> &[T] {
        self.0.as_slice().unwrap_or_default()
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The record at an index that another file gives.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Result<T> {
        self.slice().get(index as usize).copied().ok_or_else(|| self.outside(index))
    }

    #[cold]
    fn outside(&self, index: u32) -> Error {
        let expected = format!("below {}", self.0.len());
        Error::corrupt(self.path(), "number of a record", (expected, index))
    }

    /// Says that a list of this file is none.
    #[cold]
    pub(super) fn malformed(&self, Malformed: Malformed) -> Error {
        Error::corrupt(self.path(), "list", ("numbers of objects", "others"))
    }
}
