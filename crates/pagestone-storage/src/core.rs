//! One opened file and how its published records are reached; shared by writer and readers.
#![expect(unsafe_code, reason = "borrows records from the mapping, under its invariant M3")]

use std::{path::Path, ptr::NonNull, sync::OnceLock};

use crate::{
    bytes::{Advice, Bytes, Range},
    error::{Cause, Error, Result},
    field::{Field, Kind, Value},
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
    /// What records may be borrowed from.
    borrows: Lender,
    poison: OnceLock<(&'static str, String)>,
}

/// The first byte of a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base(NonNull<u8>);

/// What records may be borrowed from.
#[derive(Debug, Clone, Copy)]
enum Lender {
    /// One mapping.
    Base(Base),
    /// The windows of `Core::bytes`.
    Windows,
    /// Nothing: they are copied.
    None,
}

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
            Reads::Borrow => match (bytes.range(), bytes.windows()) {
                (Some(range), _) => Lender::Base(Base(range.base())),
                (None, Some(_)) => Lender::Windows,
                (None, None) => Lender::None,
            },
            Reads::Copy => Lender::None,
        };
        // The file may have grown since it was mapped.
        let shown = bytes.range().map_or(len, |range| len.min(range.capacity()));
        let published = Published::new(shown / size);
        let poison = OnceLock::new();
        Ok(Self { bytes, record_size, published, tail: len % size, borrows, poison })
    }

    /// Whether the first `len` bytes of the file can be shown.
    pub(crate) fn shows(&self, len: u64) -> bool {
        self.bytes.range().is_none_or(|range| len <= range.capacity())
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

    /// Makes `count` records visible unless more are.
    pub(crate) fn publish_more(&self, count: u64) {
        self.published.raise(count);
    }

    /// The byte at which record `index` starts; `index` is at most the published length.
    #[inline]
    pub(crate) fn offset(&self, index: u64) -> u64 {
        index * self.record_size as u64
    }

    /// Whether records may be borrowed.
    pub(crate) fn borrows(&self) -> bool {
        !matches!(self.borrows, Lender::None)
    }

    /// The first byte of the one mapping that published records may be borrowed from, if any.
    pub(crate) fn base(&self) -> Option<Base> {
        match self.borrows {
            Lender::Base(base) => Some(base),
            Lender::Windows | Lender::None => None,
        }
    }

    /// Borrows a published record where that is allowed.
    #[inline]
    pub(crate) fn record(&self, index: u64) -> Option<&[u8]> {
        if self.len() <= index {
            return None;
        }
        match self.borrows {
            // SAFETY: the record is published, so the file has its bytes, which nobody changes
            // or cuts while there is a lender (`Reads::Borrow`).
            Lender::Base(base) => Some(unsafe { base.slice(self.offset(index), self.record_size) }),
            Lender::Windows => self.windowed(index, 1),
            Lender::None => None,
        }
    }

    /// Borrows `count` published records that lie in one window.
    fn windowed(&self, index: u64, count: u64) -> Option<&[u8]> {
        let (range, inside) = self.bytes.windows()?.at(self.offset(index))?;
        let len = self.offset(count);
        if range.capacity() < inside.checked_add(len)? {
            return None;
        }
        // SAFETY: the records are published, so the file has their bytes, which nobody changes
        // or cuts while there is a lender (`Reads::Borrow`).
        Some(unsafe { range.slice(inside, usize::try_from(len).ok()?) })
    }

    /// Borrows published records where that is allowed; the range ends at the length or before.
    pub(crate) fn slice(&self, range: std::ops::Range<u64>) -> Option<&[u8]> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let len = usize::try_from(self.offset(end - start)).ok()?;
        match self.borrows {
            // SAFETY: as in `record`.
            Lender::Base(base) => Some(unsafe { base.slice(self.offset(start), len) }),
            Lender::Windows if 0 < len => self.windowed(start, end - start),
            Lender::Windows => Some(&[]),
            Lender::None => None,
        }
    }

    /// Copies bytes out of published records, from byte `skip` of record `index` on.
    #[inline]
    pub(crate) fn read(&self, index: u64, skip: usize, into: &mut [u8]) -> Result<()> {
        self.bytes.read_at(self.offset(index) + skip as u64, into)
    }

    /// Reads a field, which lies inside a record, of a published record.
    pub(crate) fn field(&self, index: u64, field: Field) -> Result<Value<'static>> {
        let (size, skip) = (field.size() as usize, field.offset() as usize);
        if let Kind::Bytes(_) = field.kind() {
            let mut bytes = vec![0; size];
            self.read(index, skip, &mut bytes)?;
            return Ok(Value::Bytes(bytes.into()));
        }
        let mut number = [0; 16];
        self.read(index, skip, &mut number[..size])?;
        Ok(field.decode(&number[..size])?.into_owned())
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
        self.each_range(|range, len| range.advise(len, advice))
            .map_err(|source| Error::io("advise", self.path(), source))
    }

    pub(crate) fn populate(&self) -> Result<()> {
        self.each_range(Range::populate)
            .map_err(|source| Error::io("populate", self.path(), source))
    }

    /// Calls `visit` with each mapping and how many of its bytes are published.
    fn each_range(
        &self,
        visit: impl Fn(&Range, u64) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let end = self.offset(self.len());
        if let Some(range) = self.bytes.range() {
            return visit(range, end);
        }
        let Some(windows) = self.bytes.windows() else { return Ok(()) };
        let mut offset = 0;
        while let Some((range, _)) = windows.at(offset).filter(|_| offset < end) {
            visit(range, range.capacity().min(end - offset))?;
            offset += range.capacity();
        }
        Ok(())
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
    /// Whether the first byte lies at a multiple of `align`.
    pub(crate) fn is_aligned(self, align: usize) -> bool {
        (self.0.as_ptr() as usize).is_multiple_of(align)
    }

    /// # Safety
    ///
    /// The bytes lie in the mapping, below the length of its file, and nobody changes or cuts
    /// them while the slice lives; the `Core` that owns the mapping outlives `'a`.
    #[inline]
    pub(crate) unsafe fn slice<'a>(self, offset: u64, len: usize) -> &'a [u8] {
        #[expect(clippy::cast_possible_truncation, reason = "an offset inside a mapping")]
        let offset = offset as usize;
        // SAFETY: the first byte lies in the mapping, says the contract.
        let from = unsafe { self.0.add(offset) };
        // SAFETY: mapped, unchanged and alive, says the contract.
        unsafe { NonNull::slice_from_raw_parts(from, len).as_ref() }
    }
}
