//! How a raw file comes to be: created, opened, mapped, or made of memory.

use std::{
    ptr::NonNull,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::debug_span;

use super::{Lock, RawFile, Source};
use crate::{
    bytes::{Access, Range},
    error::{Cause, Error, ErrorKind, Result},
    holds::Holds,
    lock::{self, Hold, WriterLock},
    seam,
    sys::{self, Opening as SysOpening, SysFile},
    trust::Location,
};

/// How a [`RawFile`] is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// For writing; must not exist.
    Create,
    /// For writing; must exist.
    Write,
    /// For reading; must exist.
    Read,
}

impl RawFile {
    /// Opens a file without mapping it: the length is what `fstat` tells, 0 for `Create`, and
    /// [`pread`](Self::pread) works.
    ///
    /// `reserve` is the address range that [`map`](Self::map) takes. One writer holds the lock
    /// file `NAME.lock`; any number of readers have the file open beside it, each with a byte of
    /// the lock file locked that says so. Where there is no lock file that a reader may open, it
    /// shares the lock of the file itself, which every writer holds alone: such a reader opens
    /// while there is no writer, and keeps writers out.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a location without the promise of [`TrustedDir`](crate::TrustedDir), for
    /// what is not a regular file, and for writing on a network file system or a file of several
    /// names; `Locked`; `NotFound`; `AlreadyExists`; `ReadOnly`; `InvalidArgument` for a name
    /// that leaves the trusted directory; `Io`.
    pub fn open(location: &Location, opening: Opening, reserve: u64) -> Result<Self> {
        let path = location.path();
        let _span = debug_span!("open", path = %path.display(), ?opening).entered();
        location.check()?;
        if !location.is_trusted() {
            let what = "a raw file needs the promise of a TrustedDir";
            return Err(Error::refused(ErrorKind::Unsupported, path, what));
        }
        let (file, lock) = match opening {
            Opening::Read => open_to_read(location)?,
            Opening::Create => {
                sys::check_local_parent(path)?;
                open_to_write(location, SysOpening::Create)?
            }
            Opening::Write => {
                // Before the lock, so that a name that is not there leaves no lock file.
                SysFile::open(path, SysOpening::Write)?.check_local()?;
                open_to_write(location, SysOpening::Write)?
            }
        };
        let access = if opening == Opening::Read { Access::Read } else { Access::Write };
        let len = file.len().inspect_err(|_| {
            if opening == Opening::Create {
                file.unmake();
            }
        })?;
        Ok(Self {
            base: NonNull::dangling(),
            shown: AtomicU64::new(0),
            len: AtomicU64::new(len),
            capacity: reserve.max(len),
            access,
            range: None,
            source: Source::File { file, lock },
            changes: Mutex::new(()),
        })
    }

    /// Maps the file, once; a second call does nothing.
    ///
    /// Where the system refuses the address range that was asked for, less is taken, but never
    /// less than the file is long. Check what a header says by [`pread`](Self::pread) before.
    ///
    /// For a reader the length is from here on what it is now: a writer may have changed it since
    /// the file was opened.
    ///
    /// # Errors
    ///
    /// `Truncated` when the file is shorter than it was when it was opened for writing;
    /// `OutOfSpace` when there is no address range for it; `Io`.
    pub fn map(&mut self) -> Result<()> {
        let Source::File { file, .. } = &self.source else { return Ok(()) };
        if self.range.is_some() {
            return Ok(());
        }
        let (expected, found) = (self.len(), file.len()?);
        let reads = self.access == Access::Read;
        if found < expected && !reads {
            let path = self.path().to_path_buf();
            return Err(Cause::Truncated { path, expected, found }.into());
        }
        let len = if reads { found } else { expected };
        let capacity = self.capacity.max(len);
        let mut range = Range::of_file(file, len, (capacity, self.access))?;
        range.stay_out_of_children();
        (self.base, self.capacity) = (range.base(), range.capacity());
        self.range = Some(range);
        seam::mapped(self.base.as_ptr() as usize);
        self.len.store(len, Ordering::Release);
        self.shown.store(len, Ordering::Release);
        Ok(())
    }

    /// Reserves anonymous memory of length 0, mapped and gone with the value.
    ///
    /// Where the system refuses `reserve` bytes of address range, less is taken.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when not even a little address range is left.
    pub fn memory(reserve: u64) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let range = Range::anonymous(reserve)?;
        Ok(Self {
            base: range.base(),
            shown: AtomicU64::new(0),
            len: AtomicU64::new(0),
            capacity: range.capacity(),
            access: Access::Write,
            range: Some(range),
            source: Source::Memory { number: NUMBER.fetch_add(1, Ordering::Relaxed) },
            changes: Mutex::new(()),
        })
    }
}

fn open_to_read(location: &Location) -> Result<(SysFile, Lock)> {
    let path = location.path();
    loop {
        let holds = Holds::of_reader(path)?;
        let file = SysFile::open(path, SysOpening::Read)?;
        if holds.is_some() {
            return Ok((file, Lock::Reader { holds }));
        }
        lock::hold(&file, Hold::Shared).map_err(|error| match error.kind() {
            ErrorKind::Locked => {
                let what = "a writer has it open, whose lock file this process may not read";
                Error::refused(ErrorKind::Locked, path, what)
            }
            _ => error,
        })?;
        // A writer may have made its lock file since we looked, and may be gone again.
        if Holds::of_reader(path)?.is_none() {
            return Ok((file, Lock::Reader { holds: None }));
        }
    }
}

fn open_to_write(location: &Location, opening: SysOpening) -> Result<(SysFile, Lock)> {
    let path = location.path();
    let lock = WriterLock::take(path)?;
    let file = SysFile::open(path, opening)?;
    let held = file
        .check_one_name()
        .and_then(|()| lock::hold(&file, Hold::Exclusive))
        .and_then(|_| lock.let_read(&file));
    if let Err(error) = held {
        if opening == SysOpening::Create {
            file.unmake();
        }
        return Err(error);
    }
    Ok((file, Lock::Writer { holds: Holds::of_writer(lock) }))
}
