//! Bytes behind positioned reads and writes.

use std::path::Path;

use super::Bytes;
use crate::{error::Result, sys::SysFile};

/// The backing that never maps.
#[derive(Debug)]
pub(crate) struct FileBytes {
    file: SysFile,
}

impl FileBytes {
    pub(crate) const fn new(file: SysFile) -> Self {
        Self { file }
    }
}

impl Bytes for FileBytes {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        append(&self.file, offset, bytes)
    }

    fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.file.truncate(len)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    fn file(&self) -> Option<&SysFile> {
        Some(&self.file)
    }
}

/// Writes at the end of the file and cuts what a failed write left there.
///
/// Pages that `write` makes have their blocks, so a mapping of them never meets a full disk; and
/// it fills pages several times faster than stores to a sparse mapping do.
pub(super) fn append(file: &SysFile, offset: u64, bytes: &[u8]) -> Result<()> {
    file.write_at(offset, bytes).inspect_err(|_| {
        // The first error is the one to report; a tail that stays is cut at the next open.
        drop(file.truncate(offset));
    })
}
