//! One opened file and how its published records are reached; shared by writer and readers.
#![expect(unsafe_code, reason = "borrows records from the mapping, under its invariant M3")]

use std::{path::Path, ptr::NonNull, sync::OnceLock};

use crate::{
    bytes::{Advice, Bytes},
    error::{Cause, Error, Result},
    published::Published,
};

/// How published records may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// By slices of the mapping: nobody changes or cuts published records while this `Core` is
    /// open. That holds for append-only storages and for files without a writer, when the lock
    /// on the data file is held and the directory is trusted; it makes M3 of `Range` true.
    Borrow,
    /// By copies.
    Copy,
}

/// The state that a storage shares with its readers.
#[derive(Debug)]
pub(crate) struct Core {
    bytes: Box<dyn Bytes>,
    record_size: usize,
    published: Published,
    /// Bytes behind the last whole record when the file was opened.
    tail: u64,
    /// The first byte of the mapping when records may be borrowed.
    borrows: Option<Base>,
    poison: OnceLock<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy)]
struct Base(NonNull<u8>);

// SAFETY: the pointer is an address of a mapping that belongs to no thread; `Core` owns it.
unsafe impl Send for Base {}
// SAFETY: as above.
unsafe impl Sync for Base {}

impl Core {
    /// Takes over `bytes`, whose whole records are published.
    ///
    /// # Errors
    ///
    /// `Io` when the length cannot be asked for.
    pub(crate) fn new(bytes: Box<dyn Bytes>, record_size: usize, reads: Reads) -> Result<Self> {
        let len = bytes.len()?;
        let size = record_size as u64;
        let borrows = match reads {
            Reads::Borrow => bytes.range().map(|range| Base(range.base())),
            Reads::Copy => None,
        };
        let published = Published::new(len / size);
        let poison = OnceLock::new();
        Ok(Self { bytes, record_size, published, tail: len % size, borrows, poison })
    }

    pub(crate) fn bytes(&self) -> &dyn Bytes {
        &*self.bytes
    }

    pub(crate) fn path(&self) -> &Path {
        self.bytes.path()
    }

    #[inline]
    pub(crate) fn record_size(&self) -> usize {
        self.record_size
    }

    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.published.get()
    }

    /// Makes `count` records visible; their bytes are written, and the file has them.
    pub(crate) fn publish(&self, count: u64) {
        self.published.publish(count);
    }

    /// The byte at which record `index` starts; `index` is at most the published length.
    #[inline]
    pub(crate) fn offset(&self, index: u64) -> u64 {
        index * self.record_size as u64
    }

    /// Borrows a published record where that is allowed.
    #[inline]
    pub(crate) fn record(&self, index: u64) -> Option<&[u8]> {
        let base = self.borrows?;
        if self.len() <= index {
            return None;
        }
        // SAFETY: the record is published, so the file has its bytes, which nobody changes or
        // cuts while `borrows` is set (`Reads::Borrow`).
        Some(unsafe { base.slice(self.offset(index), self.record_size) })
    }

    /// Borrows published records where that is allowed; the range ends at the length or before.
    pub(crate) fn slice(&self, range: std::ops::Range<u64>) -> Option<&[u8]> {
        let base = self.borrows?;
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let len = usize::try_from(self.offset(end - start)).ok()?;
        // SAFETY: as in `record`.
        Some(unsafe { base.slice(self.offset(start), len) })
    }

    /// Copies bytes out of published records, from byte `skip` of record `index` on.
    #[inline]
    pub(crate) fn read(&self, index: u64, skip: usize, into: &mut [u8]) -> Result<()> {
        self.bytes.read_at(self.offset(index) + skip as u64, into)
    }

    /// Errors unless `index` names a published record.
    #[inline]
    pub(crate) fn check(&self, index: u64) -> Result<()> {
        if index < self.len() { Ok(()) } else { Err(self.out_of_range(index)) }
    }

    #[cold]
    pub(crate) fn out_of_range(&self, index: u64) -> Error {
        Error::out_of_range(self.path(), index, self.len())
    }

    pub(crate) fn advise(&self, advice: Advice) -> Result<()> {
        let Some(range) = self.bytes.range() else { return Ok(()) };
        let len = self.offset(self.len());
        range.advise(len, advice).map_err(|source| Error::io("advise", self.path(), source))
    }

    pub(crate) fn populate(&self) -> Result<()> {
        let Some(range) = self.bytes.range() else { return Ok(()) };
        let len = self.offset(self.len());
        range.populate(len).map_err(|source| Error::io("populate", self.path(), source))
    }

    /// Errors after a failed sync, until the file is reopened.
    pub(crate) fn check_poison(&self) -> Result<()> {
        let Some((action, cause)) = self.poison.get() else { return Ok(()) };
        let path = self.path().to_path_buf();
        Err(Cause::Poisoned { path, action, cause: cause.clone() }.into())
    }

    /// Remembers that what is on the device is unknown from here on.
    pub(crate) fn poison(&self, action: &'static str, cause: &Error) {
        // Only the first failure counts.
        drop(self.poison.set((action, cause.to_string())));
    }
}

impl Base {
    /// # Safety
    ///
    /// The bytes lie in the mapping, below the length of its file, and nobody changes or cuts
    /// them while the slice lives; the `Core` that owns the mapping outlives `'a`.
    #[inline]
    unsafe fn slice<'a>(self, offset: u64, len: usize) -> &'a [u8] {
        #[expect(clippy::cast_possible_truncation, reason = "an offset inside a mapping")]
        let from = self.0.as_ptr().wrapping_add(offset as usize);
        // SAFETY: mapped, unchanged and alive, says the contract.
        unsafe { std::slice::from_raw_parts(from, len) }
    }
}
