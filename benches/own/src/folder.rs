//! A folder for the files of one run, on the device that the build is on.

use std::{
    env, fs,
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use pagestone_storage::TrustedDir;
use rustix::fs::{Advice, fadvise};
use tempfile::TempDir;

use crate::{Device, Result};

/// A folder that is gone when the value that made it is.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _made: Option<TempDir>,
}

impl Folder {
    /// Makes one below the `tmp` of cargo's target folder; `/tmp` is often no device at all.
    ///
    /// # Errors
    ///
    /// When there is no place or no right.
    pub fn new() -> Result<Self> {
        let program = env::current_exe()?;
        let profiles = ["release", "debug", "bench"];
        let profile = program.ancestors().find(|folder| {
            folder.file_name().is_some_and(|name| profiles.iter().any(|profile| name == *profile))
        });
        let home = profile.and_then(Path::parent).map_or_else(env::temp_dir, |t| t.join("tmp"));
        fs::create_dir_all(&home)?;
        let made = tempfile::Builder::new().prefix("bench-").tempdir_in(home)?;
        Ok(Self { path: made.path().to_owned(), _made: Some(made) })
    }

    /// The folder that a parent process made for this child of it.
    #[must_use]
    pub fn of_parent(path: &str) -> Self {
        Self { path: path.into(), _made: None }
    }

    /// The path of the folder itself, to hand to a child.
    ///
    /// # Errors
    ///
    /// When it is no text.
    pub fn as_text(&self) -> Result<&str> {
        Ok(self.path.to_str().ok_or("a path that is no text")?)
    }

    /// A path inside.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The bytes that the files inside have, or have taken from the device if that is more.
    ///
    /// # Errors
    ///
    /// When they cannot be asked.
    pub fn files_len(&self) -> Result<u64> {
        let mut len = 0;
        for entry in fs::read_dir(&self.path)? {
            let metadata = entry?.metadata()?;
            len += metadata.len().max(metadata.blocks() * 512);
        }
        Ok(len)
    }

    /// The bytes that the files inside have taken from the device, and their lengths, those of
    /// folders in the folder with them.
    ///
    /// # Errors
    ///
    /// When they cannot be asked.
    pub fn files_taken(&self) -> Result<[u64; 2]> {
        let mut taken = [0, 0];
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                // An engine at work may take a file away in between.
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else {
                    taken = [taken[0] + metadata.blocks() * 512, taken[1] + metadata.len()];
                }
            }
        }
        Ok(taken)
    }

    /// The device that the folder is on.
    ///
    /// # Errors
    ///
    /// When it is on no block device.
    pub fn device(&self) -> Result<Device> {
        Device::of(&self.path)
    }

    /// Drops the pages of the files inside, which nobody has mapped, from memory.
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub fn drop_pages(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path)? {
            drop_pages(&entry?.path())?;
        }
        Ok(())
    }

    /// The folder, with the promise that lets storages lend out slices.
    #[must_use]
    pub fn trusted(&self) -> TrustedDir {
        promised(&self.path)
    }

    /// A directory in the folder, with the same promise.
    #[must_use]
    pub fn trusted_at(&self, name: &str) -> TrustedDir {
        promised(&self.path(name))
    }
}

/// The folder of a run, or a directory in it.
#[expect(unsafe_code, reason = "the one line that asserts the trusted directory")]
fn promised(path: &Path) -> TrustedDir {
    // SAFETY: this run made the folder under a random name, tells nobody of it, and while
    // a storage of it is open, writes and cuts the files in it by storages alone.
    unsafe { TrustedDir::assert(path) }
}

/// Drops the pages of a file, which nobody has mapped, from memory. Its inode stays there.
///
/// # Errors
///
/// Those of the device.
pub fn drop_pages(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}
