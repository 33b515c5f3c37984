//! A folder for the files of one run, on the device that the build is on.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use pagestone_storage::TrustedDir;
use tempfile::TempDir;

use crate::Result;

/// A folder that is gone when this value is.
#[derive(Debug)]
pub struct Folder(TempDir);

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
        Ok(Self(tempfile::Builder::new().prefix("bench-").tempdir_in(home)?))
    }

    /// A path inside.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The folder, with the promise that lets storages lend out slices.
    #[must_use]
    #[expect(unsafe_code, reason = "the one line that asserts the trusted directory")]
    pub fn trusted(&self) -> TrustedDir {
        // SAFETY: this process made the folder under a random name, tells nobody of it, and while
        // a storage of it is open, writes and cuts the files in it by storages alone.
        unsafe { TrustedDir::assert(self.0.path()) }
    }
}
