//! What reading processes hold: locks on single bytes of the lock file.
//!
//! Byte `n` locked by a reader says that it may look at generation `n` and all later ones; one
//! byte behind all generations is locked by each reader for as long as it has the file open. They
//! are locks of the open file (`F_OFD_SETLK`): no other descriptor of the process drops them, the
//! system drops them when the process dies, and a reader needs no permission to write.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{Ordering, fence},
    },
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, c_int, flock, off_t},
};

use crate::{
    error::{Error, ErrorKind, Result},
    lock::{WriterLock, lock_path},
    seam::{self, Call},
    sys::{self, Opening, SysFile},
};

/// The byte that each reader locks while it has the file open: behind all generations.
const PRESENCE: u64 = 1 << 62;

/// How often [`Holds::oldest`] asks before it takes what it knows for all there is to know: as many
/// readers, each older than the one before.
const ASKED_MOST: usize = 256;

/// The byte locks of one reader, or a writer's view of them.
#[derive(Debug)]
pub(crate) struct Holds {
    file: SysFile,
    /// How many hold each number: the system counts a byte once.
    counts: Mutex<BTreeMap<u64, u64>>,
    /// The process that locks: a forked child shares the locks and must not give them up.
    process: u32,
}

impl Drop for Holds {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // Closing the descriptor is the second way to the same end.
            self.set(F_UNLCK, 0, 0).ok();
        }
    }
}

impl Holds {
    /// A reader's locks on the file at `path`; `None` where there is no lock file that this
    /// process may open: then there is no writer, and none can come while the reader holds the
    /// data file.
    pub(crate) fn of_reader(path: &Path) -> Result<Option<Self>> {
        let lock_path = lock_path(path);
        loop {
            let file = match SysFile::open(&lock_path, Opening::Read) {
                Ok(file) => file,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ReadOnly) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let holds = Self::new(file);
            match holds.set(F_RDLCK, PRESENCE, 1) {
                Ok(()) => {}
                Err(Errno::EAGAIN | Errno::EACCES) => {
                    let what = "a writer that keeps readers out has it open";
                    return Err(Error::refused(ErrorKind::Locked, path, what));
                }
                Err(errno) => return Err(Error::io("lock", &lock_path, errno.into())),
            }
            // Somebody may have removed the file between our open and our lock.
            if sys::names(&lock_path, holds.file.identity()?) {
                return Ok(Some(holds));
            }
        }
    }

    /// The view of the one writer, with its lock.
    pub(crate) fn of_writer(lock: WriterLock) -> Self {
        Self::new(lock.into_file())
    }

    fn new(file: SysFile) -> Self {
        Self { file, counts: Mutex::new(BTreeMap::new()), process: std::process::id() }
    }

    /// Locks byte `number`, once more where it is locked already.
    pub(crate) fn take(&self, number: u64) -> Result<()> {
        if self.process != std::process::id() {
            let what = "opened by the process that this one was forked from";
            return Err(Error::refused(ErrorKind::Unsupported, self.file.path(), what));
        }
        let mut counts = self.counts();
        let count = counts.entry(number).or_insert(0);
        if *count == 0
            && let Err(errno) = self.set(F_RDLCK, number, 1)
        {
            counts.remove(&number);
            return Err(Error::io("lock", self.file.path(), errno.into()));
        }
        *counts.entry(number).or_insert(0) += 1;
        // What the reader loads from here on comes after its lock is there for others to see; the
        // system promises no such thing.
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Gives a lock of byte `number` back that [`take`](Self::take) took.
    pub(crate) fn give_back(&self, number: u64) {
        let mut counts = self.counts();
        let Some(count) = counts.get_mut(&number) else { return };
        *count -= 1;
        if *count == 0 {
            counts.remove(&number);
            if self.process == std::process::id() {
                // A lock that stays only holds more.
                self.set(F_UNLCK, number, 1).ok();
            }
        }
    }

    /// The lowest byte below `below` that another has locked.
    pub(crate) fn oldest(&self, below: u64) -> Result<Option<u64>> {
        let mut oldest = None;
        let mut end = below;
        // What was published before is there for readers to see whose locks come too late: the
        // system looks without a lock of its own where there seem to be none.
        fence(Ordering::SeqCst);
        for _ in 0..ASKED_MOST {
            if end == 0 {
                return Ok(oldest);
            }
            match self.conflict(end) {
                Ok(Some(found)) if found < end => (oldest, end) = (Some(found), found),
                Ok(_) => return Ok(oldest),
                Err(errno) => {
                    return Err(Error::io("ask for locks of", self.file.path(), errno.into()));
                }
            }
        }
        Ok(Some(0))
    }

    /// Keeps readers out until [`let_readers_in`](Self::let_readers_in).
    pub(crate) fn keep_readers_out(&self) -> Result<()> {
        match self.set(F_WRLCK, PRESENCE, 1) {
            Ok(()) => Ok(()),
            Err(Errno::EAGAIN | Errno::EACCES) => {
                let what = "another process has it open for reading";
                Err(Error::refused(ErrorKind::Locked, self.file.path(), what))
            }
            Err(errno) => Err(Error::io("lock", self.file.path(), errno.into())),
        }
    }

    pub(crate) fn let_readers_in(&self) {
        if self.process == std::process::id() {
            // It stays at worst until the file is closed.
            self.set(F_UNLCK, PRESENCE, 1).ok();
        }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        // Counted before or after, never in between.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the lock of `len` bytes, all behind `start` for 0.
    fn set(&self, kind: c_int, start: u64, len: u64) -> Result<(), Errno> {
        seam::call(Call::Lock).map_err(errno_of)?;
        let wanted = extent(kind, start, len)?;
        loop {
            match fcntl(self.file.file(), FcntlArg::F_OFD_SETLK(&wanted)) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Some byte below `end` that another has locked.
    fn conflict(&self, end: u64) -> Result<Option<u64>, Errno> {
        seam::call(Call::Lock).map_err(errno_of)?;
        let mut found = extent(F_WRLCK, 0, end)?;
        fcntl(self.file.file(), FcntlArg::F_OFD_GETLK(&mut found))?;
        if c_int::from(found.l_type) == F_UNLCK {
            return Ok(None);
        }
        Ok(Some(u64::try_from(found.l_start).unwrap_or(0)))
    }
}

fn extent(kind: c_int, start: u64, len: u64) -> Result<flock, Errno> {
    let offset = |value: u64| off_t::try_from(value).map_err(|_| Errno::EOVERFLOW);
    let short = |value: c_int| i16::try_from(value).map_err(|_| Errno::EINVAL);
    Ok(flock {
        l_type: short(kind)?,
        l_whence: short(SEEK_SET)?,
        l_start: offset(start)?,
        l_len: offset(len)?,
        l_pid: 0,
    })
}

fn errno_of(error: io::Error) -> Errno {
    Errno::try_from(error).unwrap_or(Errno::EIO)
}
