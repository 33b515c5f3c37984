//! A file that takes another's place whole, or is removed.

use std::path::{Path, PathBuf};

use crate::{
    error::Result,
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

/// What a temporary is for; decides its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// It shall take the storage's place: `.NAME.new`.
    Successor,
    /// Parts of an external sort: `.NAME.part0`.
    Parts,
    /// What such parts are merged into, if there are many: `.NAME.part1`.
    MergedParts,
}

impl Temporary {
    /// Creates an empty temporary of the storage at `path`.
    pub(crate) fn create(path: &Path, role: Role) -> Result<Self> {
        let temporary = temporary_path(path, role);
        sys::remove(&temporary)?;
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
    for role in [Role::Successor, Role::Parts, Role::MergedParts] {
        sys::remove(&temporary_path(path, role))?;
    }
    Ok(())
}

fn temporary_path(path: &Path, role: Role) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(match role {
        Role::Successor => ".new",
        Role::Parts => ".part0",
        Role::MergedParts => ".part1",
    });
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
