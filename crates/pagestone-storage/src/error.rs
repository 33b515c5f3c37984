//! The one error of the crate: a word wide, a kind to branch on, a private cause to print.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// What went wrong, in a word to branch on.
///
/// The message (`Display`) names the file, the offset, what was expected and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused or broke off a call.
    Io,
    /// `open` found no file.
    NotFound,
    /// `create` found a file.
    AlreadyExists,
    /// The file is shorter than what was published.
    Truncated,
    /// The disk, a quota or the address range is full; nothing was changed.
    OutOfSpace,
    /// An index or a range ends past the last record.
    OutOfRange,
    /// The arguments contradict each other or the file.
    InvalidArgument,
    /// The storage was opened in a way that forbids this change.
    ReadOnly,
    /// Another writer, or a reader that this change would pull bytes from under, holds the file.
    Locked,
    /// An earlier sync failed: what is on the device is unknown until the file is reopened.
    Poisoned,
    /// The caller's progress hook asked to stop.
    Cancelled,
    /// Stored bytes contradict themselves or their checksum.
    Corrupt,
    /// An in-place sort began and never ended; the records may be doubled or lost.
    InterruptedSort,
    /// The file, the file system or the machine does not offer what was asked for.
    Unsupported,
}

/// Any failure of this crate.
///
/// One word wide, so that a `Result` of a lookup stays in registers.
pub struct Error(Box<Cause>);

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("{action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{action} {}", path.display())]
    OutOfSpace { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{}: {found} bytes long, expected at least {expected}", path.display())]
    Truncated { path: PathBuf, expected: u64, found: u64 },
    #[error("{}: record {index} of {len}", path.display())]
    OutOfRange { path: PathBuf, index: u64, len: u64 },
    #[error(
        "{}: {wanted} bytes do not fit the reserved address range of {reserved}; \
         ask for more with Options::reserve",
        path.display()
    )]
    Reserve { path: PathBuf, wanted: u64, reserved: u64 },
    #[error("{}: {what}", path.display())]
    Refused { kind: ErrorKind, path: PathBuf, what: String },
    #[error("{what}")]
    Argument { what: String },
    #[error("cancelled after {done} of {total} records")]
    Cancelled { done: u64, total: u64 },
    #[error("{}: an earlier {action} failed: {cause}; reopen the file", path.display())]
    Poisoned { path: PathBuf, action: &'static str, cause: String },
}

impl Error {
    /// Returns the kind to branch on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Cause::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::ReadOnly
                }
                _ => ErrorKind::Io,
            },
            Cause::OutOfSpace { .. } | Cause::Reserve { .. } => ErrorKind::OutOfSpace,
            Cause::Truncated { .. } => ErrorKind::Truncated,
            Cause::OutOfRange { .. } => ErrorKind::OutOfRange,
            Cause::Refused { kind, .. } => *kind,
            Cause::Argument { .. } => ErrorKind::InvalidArgument,
            Cause::Cancelled { .. } => ErrorKind::Cancelled,
            Cause::Poisoned { .. } => ErrorKind::Poisoned,
        }
    }

    /// Wraps an operating-system error; a full disk or quota gets a kind of its own.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::OutOfMemory => Cause::OutOfSpace { action, path, source }.into(),
            _ => Cause::Io { action, path, source }.into(),
        }
    }

    pub(crate) fn refused(kind: ErrorKind, path: &Path, what: impl Into<String>) -> Self {
        Cause::Refused { kind, path: path.to_path_buf(), what: what.into() }.into()
    }

    pub(crate) fn argument(what: impl Into<String>) -> Self {
        Cause::Argument { what: what.into() }.into()
    }

    pub(crate) fn out_of_range(path: &Path, index: u64, len: u64) -> Self {
        Cause::OutOfRange { path: path.to_path_buf(), index, len }.into()
    }
}

impl From<Cause> for Error {
    #[cold]
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
