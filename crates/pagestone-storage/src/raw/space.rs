//! Space of a raw file: longer, shorter, zeroed, given back, on the device.
#![expect(unsafe_code, reason = "memory is cleared in place")]

use std::sync::{MutexGuard, PoisonError, atomic::Ordering};

use super::RawFile;
use crate::{
    bytes::{Advice, Range, UNIT, ZEROS},
    error::{Cause, Error, Result},
    seam,
    sys::SysFile,
};

impl RawFile {
    /// Makes the file `len` bytes long, by zeros with blocks of their own; does nothing when it
    /// is not shorter.
    ///
    /// On an error nothing has changed.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when the device, a quota, a limit or [`capacity`](Self::capacity) is full;
    /// `ReadOnly`; `Io`.
    pub fn grow(&self, len: u64) -> Result<()> {
        self.check_writable()?;
        let _guard = self.change();
        let old = self.len();
        if len <= old {
            return Ok(());
        }
        let reserved = self.capacity();
        if reserved < len {
            let path = self.path().to_path_buf();
            return Err(Cause::Reserve { path, wanted: len, reserved }.into());
        }
        match self.file() {
            Some(file) => grow(file, old, len).inspect_err(|_| {
                // The first error is the one to report; what stays behind the end is zeros.
                drop(file.truncate(old));
            })?,
            None => seam::length(len),
        }
        if self.range.is_some() {
            self.shown.store(len, Ordering::Release);
        }
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    /// Makes the file `len` bytes long; does nothing when it is not longer. What it grows by
    /// later is zeros.
    ///
    /// Nobody may look past `len` any more: who has seen the old length and then touches a byte
    /// that is gone is killed by `SIGBUS`.
    ///
    /// # Errors
    ///
    /// `ReadOnly`; `Io`, with the length unchanged.
    pub fn cut(&self, len: u64) -> Result<()> {
        self.check_writable()?;
        let _guard = self.change();
        let (old, shown) = (self.len(), self.shown.load(Ordering::Relaxed));
        if old <= len {
            return Ok(());
        }
        self.len.store(len, Ordering::Release);
        self.shown.store(shown.min(len), Ordering::Release);
        let Some(file) = self.file() else {
            self.clear(len, old - len);
            seam::length(len);
            return Ok(());
        };
        file.truncate(len).inspect_err(|_| {
            self.shown.store(shown, Ordering::Release);
            self.len.store(old, Ordering::Release);
        })
    }

    /// Makes bytes zero and keeps, or takes, blocks for them, so that a later store finds its
    /// block; nobody may borrow them.
    ///
    /// On an error some may be zero already and some without a block.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when blocks were missing and there are none; `ReadOnly`; `Io`.
    ///
    /// # Panics
    ///
    /// When `offset` or `len` is not a multiple of 64 KiB, or the bytes end past
    /// [`len`](Self::len).
    pub fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.check_writable()?;
        let _guard = self.change();
        self.assert_units(offset, len);
        match self.file() {
            _ if len == 0 => {}
            Some(file) if file.zero(offset, len)? => {}
            Some(file) => write_zeros(file, (offset, offset + len), ZEROS.len())?,
            None => {
                self.clear(offset, len);
                seam::zeroed(offset, len);
            }
        }
        Ok(())
    }

    /// Writes zeros over bytes that nobody uses, in system calls of `piece` bytes each, so that
    /// their pages are in the cache before a store to the mapping wants them.
    ///
    /// A store to a page that is not there costs a fault, and how large the folios of the page
    /// cache become is decided by the length of the writes that make them: a dirty byte costs its
    /// folio at the next sync. Anonymous memory needs none of this: nothing happens.
    ///
    /// # Errors
    ///
    /// `ReadOnly`; `OutOfSpace` where a copy-on-write file system is full; `Io`.
    ///
    /// # Panics
    ///
    /// When the bytes end past [`len`](Self::len).
    pub fn prepare(&self, offset: u64, len: u64, piece: usize) -> Result<()> {
        self.check_writable()?;
        let end = offset.saturating_add(len);
        assert!(end <= self.len(), "bytes to prepare end past the file");
        match self.file() {
            Some(file) => write_zeros(file, (offset, end), piece),
            None => Ok(()),
        }
    }

    /// Gives the blocks of bytes back, which then read as zeros; nobody may borrow them.
    ///
    /// Where the file system cannot do that nothing happens, and the bytes stay. A store to a
    /// punched byte on a full device is a `SIGBUS`: [`zero`](Self::zero) the range before it is
    /// used again.
    ///
    /// # Errors
    ///
    /// `ReadOnly`; `Io`.
    ///
    /// # Panics
    ///
    /// As [`zero`](Self::zero).
    pub fn punch(&self, offset: u64, len: u64) -> Result<()> {
        self.check_writable()?;
        let _guard = self.change();
        self.assert_units(offset, len);
        match self.file() {
            _ if len == 0 => {}
            Some(file) => drop(file.punch(offset, len)?),
            None => {
                self.clear(offset, len);
                seam::zeroed(offset, len);
            }
        }
        Ok(())
    }

    /// Waits until everything stored and written is on the device, the length too; nothing to
    /// wait for in memory.
    ///
    /// # Errors
    ///
    /// `Io`, `OutOfSpace`: what is on the device is then unknown, and a second sync that succeeds
    /// does not change that.
    pub fn sync(&self) -> Result<()> {
        self.file().map_or(Ok(()), SysFile::sync)
    }

    /// Tells the system how bytes will be read; nothing while the file is not mapped.
    ///
    /// # Errors
    ///
    /// `Io` when the system does not take the hint.
    pub fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<()> {
        let Some(range) = &self.range else { return Ok(()) };
        range
            .advise_part(offset, len, advice)
            .map_err(|source| Error::io("advise", self.path(), source))
    }

    /// Makes the pages of bytes present and writable, so that stores to them are no faults, and
    /// what would be a signal (no block, an unreadable page) is an error.
    ///
    /// Does nothing where the system cannot do it, and while the file is not mapped.
    ///
    /// # Errors
    ///
    /// `ReadOnly`; `OutOfSpace` when memory is short; `Io`, also when the device is full.
    pub fn populate_write(&self, offset: u64, len: u64) -> Result<()> {
        self.check_writable()?;
        let Some(range) = &self.range else { return Ok(()) };
        range
            .populate_write(offset, len)
            .map_err(|source| Error::io("populate", self.path(), source))
    }

    /// Keeps other changes of space out.
    fn change(&self) -> MutexGuard<'_, ()> {
        // Nothing is left half done: what a panic interrupts is an assertion before the change.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assert_units(&self, offset: u64, len: u64) {
        assert!(offset.is_multiple_of(UNIT) && len.is_multiple_of(UNIT), "not whole 64 KiB");
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len()), "bytes past the end of the file");
    }

    /// Makes memory zero; callers hold `changes`.
    fn clear(&self, offset: u64, len: u64) {
        let clear = |range: &Range| {
            // SAFETY: who borrows bytes, or stores to them otherwise than by words, has promised
            // that nobody zeroes or cuts them meanwhile.
            unsafe { range.clear(offset, len) }
        };
        self.range.iter().for_each(clear);
    }
}

/// Makes the file longer by blocks of zeros.
fn grow(file: &SysFile, old: u64, len: u64) -> Result<()> {
    // Not posix_fallocate, which emulates: it would write to what another file system reserved.
    if file.extend(old, len)? { Ok(()) } else { write_zeros(file, (old, len), ZEROS.len()) }
}

fn write_zeros(file: &SysFile, (from, to): (u64, u64), piece: usize) -> Result<()> {
    let most = piece.clamp(1, ZEROS.len());
    let mut at = from;
    while at < to {
        // Up to the next multiple: a folio starts at a multiple of its length.
        let left = most - usize::try_from(at % most as u64).unwrap_or(0);
        let piece = usize::try_from(to - at).unwrap_or(left).min(left);
        file.write_at(at, &ZEROS[..piece])?;
        at += piece as u64;
    }
    Ok(())
}
