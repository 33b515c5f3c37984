//! The directory of a table or relation: names of files, the lock of the builder, left-overs.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use pagestone_storage::{Location, TrustedDir};

use crate::error::{Error, ErrorKind, Result};

pub(crate) const MANIFEST: &str = "manifest";
const LOCK: &str = "lock";

/// Where a table or relation lies: a path, or a [`TrustedDir`], which unlocks mappings that rows
/// are read from without copies.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    trusted: Option<TrustedDir>,
}

impl From<&Path> for Directory {
    fn from(path: &Path) -> Self {
        Self { path: path.to_path_buf(), trusted: None }
    }
}

impl From<PathBuf> for Directory {
    fn from(path: PathBuf) -> Self {
        Self { path, trusted: None }
    }
}

impl From<&PathBuf> for Directory {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<&str> for Directory {
    fn from(path: &str) -> Self {
        Path::new(path).into()
    }
}

impl From<TrustedDir> for Directory {
    fn from(trusted: TrustedDir) -> Self {
        Self { path: trusted.path().to_path_buf(), trusted: Some(trusted) }
    }
}

impl From<&TrustedDir> for Directory {
    fn from(trusted: &TrustedDir) -> Self {
        trusted.clone().into()
    }
}

impl Directory {
    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted.is_some()
    }

    /// A file of the directory.
    pub(crate) fn file(&self, name: &str) -> Location {
        match &self.trusted {
            Some(trusted) => trusted.file(name),
            None => self.path.join(name).into(),
        }
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    /// Makes the directory where there is none, durably.
    pub(crate) fn make(&self) -> Result<()> {
        match std::fs::create_dir(&self.path) {
            Ok(()) => Ok(pagestone_storage::sync_directory_of(self.path.as_path())?),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(Error::io("create", &self.path, source)),
        }
    }

    /// Becomes the one builder of the directory.
    pub(crate) fn lock(&self) -> Result<BuildLock> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| Error::io("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(BuildLock { file }),
            Err(TryLockError::WouldBlock) => {
                let what = "somebody else builds here";
                Err(Error::refused(ErrorKind::Locked, &self.path, what))
            }
            Err(TryLockError::Error(source)) => Err(Error::io("lock", &path, source)),
        }
    }

    /// Removes a file; one that cannot be removed is left to the next builder.
    fn remove(&self, name: &str) {
        drop(pagestone_storage::remove_file(self.file(name)));
    }

    /// The names of our files that `keep` does not name, with the highest version among all.
    pub(crate) fn left_overs(&self, keep: &BTreeSet<String>) -> Result<(Vec<PathBuf>, u64)> {
        let failed = |source| Error::io("list", &self.path, source);
        let (mut found, mut highest) = (Vec::new(), 0);
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let Some(version) = version_of(name) else { continue };
            highest = highest.max(version);
            let is_kept = |kept: &String| {
                name.strip_prefix(kept.as_str()).is_some_and(|rest| matches!(rest, "" | ".meta"))
            };
            if !keep.iter().any(is_kept) {
                found.push(self.path.join(name));
            }
        }
        Ok((found, highest))
    }

    /// Removes what killed builders and older versions left; returns the highest version seen.
    ///
    /// A file that cannot be removed is left for the next builder: nothing names it.
    pub(crate) fn remove_left_overs(&self, keep: &BTreeSet<String>) -> Result<u64> {
        let (found, highest) = self.left_overs(keep)?;
        for path in found {
            if let Err(error) = pagestone_storage::remove_file(path) {
                tracing::warn!(%error, "a left-over stays");
            }
        }
        Ok(highest)
    }
}

/// The right to build in a directory; given back when it is dropped, or the process ends.
#[derive(Debug)]
pub(crate) struct BuildLock {
    file: File,
}

impl Drop for BuildLock {
    fn drop(&mut self) {
        // A child that this process is just starting may have the file open still: closing it
        // here would leave the lock with the child until it runs its own program.
        drop(self.file.unlock());
    }
}

/// The name of a file of one version: `STEM.VERSION.EXTENSION`.
pub(crate) fn name(stem: &str, version: u64, extension: &str) -> String {
    format!("{stem}.{version}.{extension}")
}

/// The version in the name of one of our files, of what storages leave beside them too.
pub(crate) fn version_of(name: &str) -> Option<u64> {
    let mut parts = name.strip_prefix('.').unwrap_or(name).split('.');
    let stem = parts.next()?;
    let is_ours = matches!(stem, "rows" | "forward" | "inverse" | "turned")
        || stem.strip_prefix("key-").is_some_and(|number| number.parse::<u32>().is_ok());
    let version = parts.next()?;
    let is_plain = version.bytes().all(|byte| byte.is_ascii_digit());
    let is_kind = matches!(parts.next()?, "rec" | "idx" | "keys" | "ends" | "values");
    if is_ours && is_plain && is_kind { version.parse().ok() } else { None }
}

/// Errors unless `name`, from a manifest, is a plain name of one of our files.
pub(crate) fn check_name(path: &Path, name: &str) -> Result<()> {
    let is_plain =
        version_of(name).is_some() && !name.starts_with('.') && name.split('.').count() == 3;
    if is_plain {
        return Ok(());
    }
    let name: String = name.chars().take(80).collect();
    Err(Error::corrupt(path, "name of a file", ("STEM.VERSION.KIND of this directory", name)))
}

/// Files that are removed when this is dropped, unless they were published.
#[derive(Debug)]
pub(crate) struct Unpublished {
    directory: Directory,
    names: Vec<String>,
}

impl Unpublished {
    pub(crate) fn new(directory: &Directory) -> Self {
        Self { directory: directory.clone(), names: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// Keeps the files, but for the lock files of their storages.
    pub(crate) fn keep(&mut self) {
        for name in self.names.drain(..) {
            self.directory.remove(&format!("{name}.lock"));
        }
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        for name in &self.names {
            for suffix in ["", ".meta", ".lock"] {
                self.directory.remove(&format!("{name}{suffix}"));
            }
        }
    }
}
