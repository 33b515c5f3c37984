//! Bytes in anonymous memory.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Bytes, Range};
use crate::error::{Cause, Result};

/// The backing without a file.
#[derive(Debug)]
pub(crate) struct MemoryBytes {
    range: Range,
    len: AtomicU64,
    appending: Appending,
}

/// How bytes behind the last record are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appending {
    /// By whole words, whose other bytes stay: readers copy by words too.
    Words,
    /// Byte by byte: readers hold slices of all that was published, next to which not even an
    /// unchanged byte may be stored.
    Bytes,
}

impl MemoryBytes {
    /// Reserves up to `reserve` bytes of address range; memory is used as it is written.
    pub(crate) fn new(reserve: u64, appending: Appending) -> Result<Self> {
        Ok(Self { range: Range::anonymous(reserve)?, len: AtomicU64::new(0), appending })
    }
}

impl Bytes for MemoryBytes {
    fn path(&self) -> &Path {
        Path::new("(memory)")
    }

    fn len(&self) -> Result<u64> {
        Ok(self.len.load(Ordering::Relaxed))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        match self.appending {
            Appending::Words => self.range.copy_out(offset, into),
            Appending::Bytes => self.range.copy_out_bytes(offset, into),
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        let reserved = self.range.capacity();
        if reserved < end {
            return Err(
                Cause::Reserve { path: self.path().to_path_buf(), wanted: end, reserved }.into()
            );
        }
        match self.appending {
            Appending::Words => self.range.copy_in(offset, bytes),
            Appending::Bytes => self.range.fill(offset, bytes),
        }
        self.len.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.range.copy_in(offset, bytes);
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.len.store(len, Ordering::Relaxed);
        self.range.release_from(len);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn range(&self) -> Option<&Range> {
        Some(&self.range)
    }
}
