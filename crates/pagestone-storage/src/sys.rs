//! The system calls, each with its path in the error and its announcement at the seam.
//!
//! Linux is what is tested. What memmap2 and std lack comes through rustix.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::fd::AsRawFd,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::fs::{AtFlags, FallocateFlags, OFlags, StatxFlags};

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
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(file),
            Ok(_) => Err(Error::refused(ErrorKind::Unsupported, path, "not a regular file")),
            Err(error) => {
                if opening == Opening::Create {
                    file.unmake();
                }
                Err(error)
            }
        }
    }

    /// Takes the name of a file away that was just created and came to nothing.
    pub(crate) fn unmake(&self) {
        // The first error is the one to report; an empty file that stays is in the way of nothing
        // but the same creation.
        std::fs::remove_file(&self.path).ok();
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

    /// Reads past the page cache, from the device, where the file system offers that; else as
    /// [`read_at`](Self::read_at). All of `into` lies in one page of 4 KiB.
    pub(crate) fn read_device(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        const PAGE: usize = 4096;
        let skip = usize::try_from(offset % PAGE as u64).unwrap_or(0);
        let mut memory = vec![0; 2 * PAGE];
        let aligned = memory.as_ptr().align_offset(PAGE);
        let page = memory.get_mut(aligned..aligned + PAGE);
        let read = || {
            seam::call(Call::Read)?;
            let page = page.ok_or(io::ErrorKind::InvalidInput)?;
            let again = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let flags = OFlags::DIRECT.bits().cast_signed();
            let direct = OpenOptions::new().read(true).custom_flags(flags).open(again)?;
            direct.read_exact_at(page, offset - skip as u64)?;
            let found = page.get(skip..skip + into.len()).ok_or(io::ErrorKind::InvalidInput)?;
            into.copy_from_slice(found);
            Ok::<(), io::Error>(())
        };
        // A file system in memory has no device to read from.
        if read().is_ok() { Ok(()) } else { self.read_at(offset, into) }
    }

    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        seam::call(Call::Write)
            .and_then(|()| self.file.write_all_at(bytes, offset))
            .map_err(self.failed("write"))?;
        seam::written(offset, bytes);
        Ok(())
    }

    /// Reserves blocks for `offset..offset + len` without changing the length of the file.
    ///
    /// Where the file system offers no reservation this does nothing.
    pub(crate) fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        self.fallocate(Call::Allocate, FallocateFlags::KEEP_SIZE, (offset, len)).map(drop)
    }

    /// Makes the file longer, from `from` to `to`, by blocks that show zeros; returns whether the
    /// file system offers that.
    ///
    /// On an error the file may be longer than before.
    pub(crate) fn extend(&self, from: u64, to: u64) -> Result<bool> {
        let extent = (from, to - from);
        let offered = self.fallocate(Call::Allocate, FallocateFlags::empty(), extent)?;
        if offered {
            seam::length(to);
        }
        Ok(offered)
    }

    /// Makes bytes inside the file zero, with blocks of their own; returns whether the file
    /// system offers that.
    pub(crate) fn zero(&self, offset: u64, len: u64) -> Result<bool> {
        let flags = FallocateFlags::ZERO_RANGE.union(FallocateFlags::KEEP_SIZE);
        let offered = self.fallocate(Call::Allocate, flags, (offset, len))?;
        if offered {
            seam::zeroed(offset, len);
        }
        Ok(offered)
    }

    /// Gives blocks back, whose bytes then read as zeros; returns whether the file system offers
    /// that.
    pub(crate) fn punch(&self, offset: u64, len: u64) -> Result<bool> {
        let flags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);
        let offered = self.fallocate(Call::Punch, flags, (offset, len))?;
        if offered {
            seam::zeroed(offset, len);
        }
        Ok(offered)
    }

    /// Returns whether the file system offers the form of `fallocate` that `flags` ask for.
    fn fallocate(
        &self,
        call: Call,
        flags: FallocateFlags,
        (offset, len): (u64, u64),
    ) -> Result<bool> {
        let action = if call == Call::Punch { "punch" } else { "allocate" };
        let made = seam::call(call).and_then(|()| {
            let make = || rustix::fs::fallocate(&self.file, flags, offset, len);
            Ok(rustix::io::retry_on_intr(make)?)
        });
        match made {
            Ok(()) => Ok(true),
            Err(source) if is_unsupported(&source) => Ok(false),
            Err(source) => Err(Error::io(action, &self.path, source)),
        }
    }

    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        seam::call(Call::Truncate)
            .and_then(|()| self.file.set_len(len))
            .map_err(self.failed("truncate"))?;
        seam::length(len);
        Ok(())
    }

    /// Waits until the file's bytes and length are on the device.
    pub(crate) fn sync(&self) -> Result<()> {
        seam::call(Call::Sync).and_then(|()| self.file.sync_data()).map_err(self.failed("sync"))?;
        seam::synced();
        Ok(())
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

    /// Device, inode and how many names it has.
    pub(crate) fn numbers(&self) -> Result<(u64, u64, u64)> {
        let metadata = self.metadata()?;
        Ok((metadata.dev(), metadata.ino(), metadata.nlink()))
    }

    /// The id of the mount that shows the file, 0 where the system does not tell.
    ///
    /// Unique for the life of the system since Linux 6.8; before, an id may be used again.
    pub(crate) fn mount(&self) -> u64 {
        const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
        let ask = |wanted: StatxFlags| {
            let found = rustix::fs::statx(&self.file, c"", AtFlags::EMPTY_PATH, wanted).ok()?;
            let told = StatxFlags::from_bits_retain(found.stx_mask).contains(wanted);
            told.then_some(found.stx_mnt_id)
        };
        let told = seam::call(Call::Stat).ok();
        told.and_then(|()| ask(UNIQUE).or_else(|| ask(StatxFlags::MNT_ID))).unwrap_or(0)
    }

    /// Errors when the file lies on another machine, where locks and mappings are not shared.
    pub(crate) fn check_local(&self) -> Result<()> {
        let found = seam::call(Call::Stat).and_then(|()| Ok(rustix::fs::fstatfs(&self.file)?));
        refuse_remote(&self.path, found)
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

fn is_unsupported(source: &io::Error) -> bool {
    source.kind() == io::ErrorKind::Unsupported
        || source.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error())
}

/// Errors when a file made at `path` would lie on another machine.
pub(crate) fn check_local_parent(path: &Path) -> Result<()> {
    let parent = parent(path);
    let found = seam::call(Call::Stat).and_then(|()| Ok(rustix::fs::statfs(parent)?));
    refuse_remote(parent, found)
}

fn refuse_remote(path: &Path, found: io::Result<rustix::fs::StatFs>) -> Result<()> {
    /// NFS, SMB, SMB 2, CIFS, 9p.
    const REMOTE: [u32; 5] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42, 0x0102_1997];
    let found = found.map_err(|source| Error::io("stat file system of", path, source))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the system's numbers have 32 bits, in a word of whatever sign and size"
    )]
    let magic = found.f_type as u32;
    if REMOTE.contains(&magic) {
        let what = "a network file system keeps no mapping and no lock as they should be";
        return Err(Error::refused(ErrorKind::Unsupported, path, what));
    }
    Ok(())
}

/// The number that this boot of this machine has, zeros where the system does not tell.
pub(crate) fn boot() -> [u64; 2] {
    let text = seam::call(Call::Read)
        .and_then(|()| std::fs::read_to_string("/proc/sys/kernel/random/boot_id"));
    let digits = text.unwrap_or_default().trim().replace('-', "");
    let number = u128::from_str_radix(&digits, 16).unwrap_or(0);
    let half = |shift: u32| u64::try_from(number >> shift & u128::from(u64::MAX)).unwrap_or(0);
    [half(64), half(0)]
}

/// The directory in which `path` is a name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Waits until the entry of `path` in its directory is on the device.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let parent = parent(path);
    seam::call(Call::SyncDirectory)
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(|source| Error::io("sync directory", parent, source))
}

/// Whether anything has this name.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    match seam::call(Call::Stat).and_then(|()| std::fs::symlink_metadata(path)) {
        Ok(_) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::io("stat", path, source)),
    }
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
