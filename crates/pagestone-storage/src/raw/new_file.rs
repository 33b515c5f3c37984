//! A file that is written beside its place and takes it when it is whole: what a backup is.

use std::path::PathBuf;

use super::RawFile;
use crate::{
    error::{Error, ErrorKind, Result},
    lock::WriterLock,
    sys,
    temporary::{Role, Temporary},
    trust::Location,
};

/// A file under a temporary name (`.NAME.new`), which is removed on drop unless it was
/// [published](Self::publish).
///
/// It holds the writer's lock of the place that it shall take. It is written by system calls alone,
/// so it needs no [`TrustedDir`](crate::TrustedDir) and may lie on any file system.
#[derive(Debug)]
pub struct NewFile {
    temporary: Temporary,
    path: PathBuf,
    _lock: WriterLock,
}

impl NewFile {
    /// Creates an empty file for a place where none is, with the mode of `like`.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; `Locked`; `InvalidArgument` for a name that leaves the trusted directory;
    /// `OutOfSpace`; `Io`.
    pub fn create(location: &Location, like: &RawFile) -> Result<Self> {
        location.check()?;
        let path = location.path().to_path_buf();
        check_vacant(&path)?;
        let lock = WriterLock::take(&path)?;
        let temporary = Temporary::create(&path, Role::Successor)?;
        if !like.is_memory() {
            temporary.file.take_after(like.path())?;
        }
        Ok(Self { temporary, path, _lock: lock })
    }

    /// Writes bytes; the file becomes longer where they end beyond it, and what is between is a
    /// hole.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`; `Io`.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.temporary.file.write_at(offset, bytes)
    }

    /// Gives the file this length.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` for one that the file system cannot have; `Io`.
    pub fn set_len(&self, len: u64) -> Result<()> {
        self.temporary.file.truncate(len)
    }

    /// Waits until the file is on the device, then gives it its name, durably.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where somebody has made a file of this name meanwhile; `OutOfSpace`; `Io`.
    /// After an error of the last step, the sync of the directory, the name may be there.
    pub fn publish(self) -> Result<()> {
        self.temporary.file.sync()?;
        check_vacant(&self.path)?;
        self.temporary.publish(&self.path).map(drop)
    }
}

fn check_vacant(path: &std::path::Path) -> Result<()> {
    if sys::exists(path)? {
        return Err(Error::refused(ErrorKind::AlreadyExists, path, "is there already"));
    }
    Ok(())
}
