//! The promise that unlocks borrowed slices of mapped files, and where a storage lies.
#![expect(unsafe_code, reason = "the promise cannot be checked, so making it is unsafe")]

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// A directory whose files nobody cuts or writes but this library.
///
/// Holding one is holding that promise. Files opened through it may lend out slices of their
/// mappings; files opened by a bare path are read by copying.
#[derive(Debug, Clone)]
pub struct TrustedDir {
    path: PathBuf,
}

impl TrustedDir {
    /// Takes the promise for the directory at `path`, which need not exist.
    ///
    /// # Safety
    ///
    /// While a storage of this directory is open, and while anything borrowed from it lives, no
    /// one truncates or writes a file in this directory except through this library: neither
    /// this program by other means nor any other program.
    #[must_use]
    pub unsafe fn assert(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns where a storage named `name` lies, with the promise.
    ///
    /// A name that is not a plain file name is refused when the location is opened.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> Location {
        let name = name.as_ref();
        let mut parts = name.components();
        let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        Location {
            path: self.path.join(name),
            trust: if plain { Trust::Full } else { Trust::Escape },
        }
    }

    /// Returns a directory inside this one, to which the promise extends.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when `name` is not a plain name.
    pub fn subdirectory(&self, name: impl AsRef<Path>) -> Result<Self> {
        let location = self.file(name);
        location.check()?;
        Ok(Self { path: location.path })
    }

    /// Returns the directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where a storage's file lies, and whether the promise of [`TrustedDir`] covers it.
///
/// Made from any path with `into()`, without the promise, or by [`TrustedDir::file`].
#[derive(Debug, Clone)]
pub struct Location {
    path: PathBuf,
    trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Covered by a promise.
    Full,
    /// A bare path.
    None,
    /// A name that would leave the trusted directory.
    Escape,
}

impl Location {
    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns another file of the same directory, to which the promise extends.
    ///
    /// A name that is not a plain file name is refused when the location is opened.
    #[must_use]
    pub fn beside(&self, name: impl AsRef<Path>) -> Self {
        let dir = self.path.parent().unwrap_or(Path::new(""));
        let trusted = TrustedDir { path: dir.to_path_buf() }.file(name);
        match self.trust {
            Trust::Full => trusted,
            Trust::None | Trust::Escape => Self { trust: self.trust, ..trusted },
        }
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.trust == Trust::Full
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.trust != Trust::Escape {
            return Ok(());
        }
        Err(Error::argument(format!(
            "{}: a file of a trusted directory is named by a plain name",
            self.path.display()
        )))
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self { path, trust: Trust::None }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        path.to_path_buf().into()
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        path.clone().into()
    }
}

impl From<&str> for Location {
    fn from(path: &str) -> Self {
        PathBuf::from(path).into()
    }
}

impl From<String> for Location {
    fn from(path: String) -> Self {
        PathBuf::from(path).into()
    }
}
