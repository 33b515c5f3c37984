//! Who may write a file, and whose mapping keeps its bytes in place.
//!
//! Two locks, both `flock`, both gone with the process that held them (a child that was forked
//! and runs no other program keeps them alive):
//!
//! - `NAME.lock`, exclusive: the one writer. The file is created once and never renamed or
//!   removed by a storage, so a sorted copy that replaces `NAME` keeps its writer. Readers of a
//!   file that the layer above lays out lock single bytes of it, see `holds`.
//! - the data file itself: shared by every process that maps it, exclusive by a writer that
//!   changes records in place or cuts the file. It needs no write permission, so readers of a
//!   read-only medium take it too.

use std::{
    ffi::OsString,
    fs::TryLockError,
    io,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, ErrorKind, Result},
    seam::{self, Call},
    sys::{self, Opening, SysFile},
};

/// The right to be a file's only writer, given back on drop.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: SysFile,
}

impl WriterLock {
    /// Takes the lock of the storage at `path`, without waiting.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let lock_path = lock_path(path);
        loop {
            let file = SysFile::open(&lock_path, Opening::CreateOrWrite)?;
            let taken = seam::call(Call::Lock).map_err(TryLockError::Error);
            match taken.and_then(|()| file.try_lock()) {
                // Somebody may have removed the file between our open and our lock.
                Ok(()) if sys::names(&lock_path, file.identity()?) => {
                    return Ok(Self { file });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let what = "another writer, or a reader that keeps writers out, has it open";
                    return Err(Error::refused(ErrorKind::Locked, path, what));
                }
                Err(TryLockError::Error(source)) => {
                    return Err(Error::io("lock", &lock_path, source));
                }
            }
        }
    }

    /// Lets whoever may read `data` read the lock file too, whose bytes its readers lock.
    #[cfg(feature = "raw")]
    pub(crate) fn let_read(&self, data: &SysFile) -> Result<()> {
        let (own, like) = (self.file.metadata()?, data.metadata()?);
        if own.permissions() != like.permissions() {
            // Only the owner may; readers that cannot open it are refused while a writer lives.
            self.file.file().set_permissions(like.permissions()).ok();
        }
        Ok(())
    }

    /// The lock file, whose lock is held for as long as it is open.
    #[cfg(feature = "raw")]
    pub(crate) fn into_file(self) -> SysFile {
        self.file
    }
}

/// Returns the path of the lock file that belongs to the storage at `path`.
pub(crate) fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(".lock");
    name.into()
}

/// What a process holds on the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Others may map it too; nobody changes published records or cuts the file.
    Shared,
    /// Nobody else maps it.
    Exclusive,
}

/// Whether the data file could be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is.
    Yes,
    /// The file system has no such locks.
    Unsupported,
}

/// Takes the lock of the data file itself, without waiting.
pub(crate) fn hold(file: &SysFile, hold: Hold) -> Result<Held> {
    let taken = seam::call(Call::Lock).map_err(TryLockError::Error).and_then(|()| match hold {
        Hold::Shared => file.try_lock_shared(),
        Hold::Exclusive => file.try_lock(),
    });
    match (taken, hold) {
        (Ok(()), _) => Ok(Held::Yes),
        (Err(TryLockError::WouldBlock), Hold::Shared) => {
            let what = "a writer changes its records in place; read it with Backing::File";
            Err(Error::refused(ErrorKind::Locked, file.path(), what))
        }
        (Err(TryLockError::WouldBlock), Hold::Exclusive) => {
            let what = "a reader has it mapped, so records cannot change in place";
            Err(Error::refused(ErrorKind::Locked, file.path(), what))
        }
        (Err(TryLockError::Error(source)), _) if is_unsupported(&source) => Ok(Held::Unsupported),
        (Err(TryLockError::Error(source)), _) => Err(Error::io("lock", file.path(), source)),
    }
}

fn is_unsupported(source: &io::Error) -> bool {
    source.kind() == io::ErrorKind::Unsupported
        || source.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error())
}
