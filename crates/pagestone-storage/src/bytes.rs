//! The bytes of one file behind one trait, whatever holds them.

use std::{fmt, path::Path};

mod advice;
mod file;
mod map;
mod memory;
mod windowed;

pub use advice::Advice;
pub(crate) use file::FileBytes;
pub(crate) use map::{Access, MapBytes, Range, UNIT, ZEROS};
pub(crate) use memory::{Appending, MemoryBytes};
pub(crate) use windowed::{WindowedBytes, Windows};

use crate::error::Result;

/// What holds a storage's bytes and how they are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Backing {
    /// Positioned reads and writes. Safe against everybody: the choice for files that others may
    /// cut or write. Every read is a copy and a system call.
    #[default]
    File,
    /// One mapping. The address range is reserved beyond the end of the file, so that it grows
    /// without moving: borrowed records stay valid, and other processes see the growth. A file
    /// that another program cuts while it is mapped kills the process that touches the missing
    /// page (`SIGBUS`).
    Map,
    /// Many mappings of one size (`Options::window_size`), added as the file grows: for
    /// processes with little address space. No record straddles two. Otherwise as `Map`, but
    /// that records of several windows are not one slice.
    Windowed,
    /// Anonymous memory, gone with the storage: for scratch and tests.
    Memory,
}

impl Backing {
    /// Whether the backing maps a file.
    pub(crate) fn is_mapped(self) -> bool {
        matches!(self, Self::Map | Self::Windowed)
    }
}

/// The bytes of one file: a length, positioned reads and writes, a sync.
///
/// Lengths and offsets are bytes. All methods take `&self`; a storage's one writer is what
/// keeps two writes apart.
pub(crate) trait Bytes: fmt::Debug + Send + Sync {
    /// The path that errors name.
    fn path(&self) -> &Path;

    /// The length at this moment, asked from the system.
    fn len(&self) -> Result<u64>;

    /// Copies `into.len()` bytes from `offset`, all inside the length.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()>;

    /// Writes `bytes` at `offset`, which is at most the length; the file grows as needed.
    ///
    /// On an error nothing below the old length has changed, unless it was written over, and
    /// the length is the old one.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Writes `bytes` at the end, `offset`, of a file that others follow: what a failed write left
    /// there stays, since they may look at it already.
    ///
    /// The error says by its kind what is left: `OutOfSpace` leaves nothing.
    fn write_followed(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(file) = self.file() else { return self.write_at(offset, bytes) };
        self.prepare(offset.saturating_add(bytes.len() as u64))?;
        file.write_at(offset, bytes)
    }

    /// Makes sure that bytes up to `end` can be shown once they are there.
    fn prepare(&self, _end: u64) -> Result<()> {
        Ok(())
    }

    /// Overwrites bytes inside the length.
    fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Cuts the file. No reader of it may still look past `len`.
    fn truncate(&self, len: u64) -> Result<()>;

    /// Waits until everything written is on the device; nothing to wait for in memory.
    fn sync(&self) -> Result<()>;

    /// The mapping that shows the bytes, where there is one.
    fn range(&self) -> Option<&Range> {
        None
    }

    /// The mappings that show the bytes, where there are many.
    fn windows(&self) -> Option<&Windows> {
        None
    }

    /// The file behind the bytes, where there is one.
    fn file(&self) -> Option<&crate::sys::SysFile> {
        None
    }
}
