//! The system calls, each with its path in the error and its announcement at the seam.
//!
//! Linux is what is tested. What memmap2 and std lack comes through rustix.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::fs::{FallocateFlags, OFlags};

use crate::{
    error::{Error, ErrorKind, Result},
    seam::{self, Call},
};

/// A file with the path it was opened by, and its lock.
///
/// A lock is given up on drop, and not only by closing: a child between fork and exec holds a
/// copy of the descriptor for a moment. A forked child that drops its copy gives up nothing.
#[derive(Debug)]
pub(crate) struct SysFile {
    file: File,
    path: PathBuf,
    /// The process that locked the file, 0 for none.
    locked_by: AtomicU32,
}

impl Drop for SysFile {
    fn drop(&mut self) {
        if self.locked_by.load(Ordering::Relaxed) == std::process::id() {
            // Closing the descriptor is the second way to the same end.
            self.file.unlock().ok();
        }
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Must not exist.
    Create,
    /// Must exist.
    Write,
    /// Must exist and is not changed.
    Read,
    /// May exist.
    CreateOrWrite,
}

impl SysFile {
    /// Opens a regular file, without following a symbolic link at the end of the path.
    pub(crate) fn open(path: &Path, opening: Opening) -> Result<Self> {
        let action = match opening {
            Opening::Create => "create",
            _ => "open",
        };
        let open = || {
            seam::call(Call::Open)?;
            // O_NONBLOCK: opening a FIFO must not wait for its other end.
            let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
            OpenOptions::new()
                .read(true)
                .write(opening != Opening::Read)
                .create_new(opening == Opening::Create)
                .create(opening == Opening::CreateOrWrite)
                .mode(0o600)
                .custom_flags(flags)
                .open(path)
        };
        let file = open().map_err(|source| Error::io(action, path, source))?;
        let file = Self { file, path: path.to_path_buf(), locked_by: AtomicU32::new(0) };
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(Error::refused(ErrorKind::Unsupported, path, "not a regular file"))
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Takes the exclusive lock of the file, without waiting.
    pub(crate) fn try_lock(&self) -> Result<(), TryLockError> {
        self.locked(self.file.try_lock())
    }

    /// Takes a shared lock of the file, without waiting.
    pub(crate) fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.locked(self.file.try_lock_shared())
    }

    fn locked(&self, taken: Result<(), TryLockError>) -> Result<(), TryLockError> {
        if taken.is_ok() {
            self.locked_by.store(std::process::id(), Ordering::Relaxed);
        }
        taken
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = self.path.clone();
        move |source| Error::io(action, &path, source)
    }

    pub(crate) fn metadata(&self) -> Result<std::fs::Metadata> {
        seam::call(Call::Stat).and_then(|()| self.file.metadata()).map_err(self.failed("stat"))
    }

    pub(crate) fn len(&self) -> Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// Reads all of `into`; an end of file inside it is `Truncated`.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let read = seam::call(Call::Read).and_then(|()| self.file.read_exact_at(into, offset));
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => crate::error::Cause::Truncated {
                path: self.path.clone(),
                expected: offset.saturating_add(into.len() as u64),
                found: self.file.metadata().map_or(0, |metadata| metadata.len()),
            }
            .into(),
            _ => Error::io("read", &self.path, source),
        })
    }

    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        seam::call(Call::Write)
            .and_then(|()| self.file.write_all_at(bytes, offset))
            .map_err(self.failed("write"))
    }

    /// Reserves blocks for `offset..offset + len` without changing the length of the file.
    ///
    /// Where the file system offers no reservation this does nothing.
    pub(crate) fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        seam::call(Call::Allocate).map_err(self.failed("allocate"))?;
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, len) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(errno) => Err(Error::io("allocate", &self.path, errno.into())),
        }
    }

    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        seam::call(Call::Truncate)
            .and_then(|()| self.file.set_len(len))
            .map_err(self.failed("truncate"))
    }

    /// Waits until the file's bytes and length are on the device.
    pub(crate) fn sync(&self) -> Result<()> {
        seam::call(Call::Sync).and_then(|()| self.file.sync_data()).map_err(self.failed("sync"))
    }

    /// Errors when the file has other names, by which another writer would find another lock.
    pub(crate) fn check_one_name(&self) -> Result<()> {
        let names = self.metadata()?.nlink();
        if names == 1 {
            return Ok(());
        }
        let what = format!("a file of {names} names has no single writer");
        Err(Error::refused(ErrorKind::Unsupported, &self.path, what))
    }

    /// Gives the file the mode, and where that is allowed the owner, of the file at `path`.
    pub(crate) fn take_after(&self, path: &Path) -> Result<()> {
        let Ok(like) = std::fs::symlink_metadata(path) else { return Ok(()) };
        let own = self.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            // Only root may; anybody else's copy is his own.
            std::os::unix::fs::fchown(&self.file, Some(like.uid()), Some(like.gid())).ok();
        }
        self.file.set_permissions(like.permissions()).map_err(self.failed("set mode of"))
    }

    /// Device and inode: what a path names.
    pub(crate) fn identity(&self) -> Result<(u64, u64)> {
        let metadata = self.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Renames the file over `to`, which then names this file or, after a crash, the old one.
    pub(crate) fn rename(&mut self, to: &Path) -> Result<()> {
        seam::call(Call::Rename)
            .and_then(|()| std::fs::rename(&self.path, to))
            .map_err(self.failed("rename"))?;
        self.path = to.to_path_buf();
        Ok(())
    }
}

/// Waits until the entry of `path` in its directory is on the device.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    seam::call(Call::SyncDirectory)
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(|source| Error::io("sync directory", parent, source))
}

/// Removes a file; returns whether it was there.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    match seam::call(Call::Remove).and_then(|()| std::fs::remove_file(path)) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::io("remove", path, source)),
    }
}

/// Whether opening failed because the name is a symbolic link.
pub(crate) fn is_link(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<io::Error>());
    source.and_then(io::Error::raw_os_error) == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Whether `path` still names the file with this identity.
pub(crate) fn names(path: &Path, identity: (u64, u64)) -> bool {
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == identity)
}
