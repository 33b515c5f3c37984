//! A file that takes another's place whole, or is removed.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Result},
    sys::{self, Opening, SysFile},
};

/// A file beside a storage that is removed on drop unless it was published.
///
/// Its name is fixed: only the holder of the storage's writer lock makes one, so one that is
/// found there was left by a writer that was killed.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) file: SysFile,
    armed: Armed,
}

/// Removes a path on drop, unless it was disarmed.
#[derive(Debug)]
struct Armed(Option<PathBuf>);

impl Temporary {
    /// Creates the empty temporary of the storage at `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let temporary = temporary_path(path);
        remove_left_over(path)?;
        let file = SysFile::open(&temporary, Opening::Create)?;
        Ok(Self { file, armed: Armed(Some(temporary)) })
    }

    /// Puts the synced file in the place of the storage at `path`, durably.
    ///
    /// After a crash in here `path` names the old file or this one.
    pub(crate) fn publish(self, path: &Path) -> Result<SysFile> {
        let Self { mut file, mut armed } = self;
        file.rename(path)?;
        armed.0 = None;
        sys::sync_parent(path)?;
        Ok(file)
    }
}

/// Removes what a killed writer of the storage at `path` left; the caller holds its lock.
pub(crate) fn remove_left_over(path: &Path) -> Result<()> {
    let temporary = temporary_path(path);
    match std::fs::remove_file(&temporary) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", &temporary, source))
        }
        _ => Ok(()),
    }
}

fn temporary_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(".new");
    path.with_file_name(temporary)
}

impl Drop for Armed {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed here is removed before the next temporary is made.
            drop(std::fs::remove_file(path));
        }
    }
}
