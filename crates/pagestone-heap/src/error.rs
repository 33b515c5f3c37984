//! The one error of the crate: a word wide, a kind to branch on, a private cause to print.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use pagestone_storage as storage;

use crate::id::BlockId;

/// What went wrong, in a word to branch on.
///
/// The message (`Display`) names the file, the offset, what was expected and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused or broke off a call.
    Io,
    /// `open` found no file, a read-only file has no store of this name, or the making of the
    /// store was undone by a discard.
    NotFound,
    /// `create` found a file.
    AlreadyExists,
    /// The file is shorter than what was committed.
    Truncated,
    /// The disk, a quota or the address range is full; nothing was changed.
    OutOfSpace,
    /// The id names no block: it was freed, undone, or is of another store.
    StaleId,
    /// Another process has the file open in a way that excludes this.
    Locked,
    /// An earlier sync failed: what is on the device is unknown until the file is reopened.
    Poisoned,
    /// A commit failed after its superblock was stored: the next open tells whether it happened.
    CommitOutcomeUnknown,
    /// The file was written by a version that this one does not understand.
    UnknownVersion,
    /// Scratch content did not survive its writer; see [`Unclean`](crate::Unclean).
    Unclean,
    /// The file was opened for reading only.
    ReadOnly,
    /// The arguments contradict each other or the file.
    InvalidArgument,
    /// The file, the file system or the machine does not offer what was asked for.
    Unsupported,
    /// The caller's progress hook asked to stop.
    Cancelled,
    /// Stored bytes contradict themselves or their checksum.
    Corrupt,
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
    #[error("{0}")]
    Storage(storage::Error),
    #[error(
        "{}: {what} at offset {offset}: expected {expected:#x}, found {found:#x}",
        path.display()
    )]
    Corrupt { path: PathBuf, what: &'static str, offset: u64, expected: u64, found: u64 },
    #[error("{}: {found} bytes long, expected at least {expected}", path.display())]
    Truncated { path: PathBuf, expected: u64, found: u64 },
    #[error("{}: no block {id}: {what}", path.display())]
    Stale { path: PathBuf, id: BlockId, what: &'static str },
    #[error("{}: {what}", path.display())]
    Refused { kind: ErrorKind, path: PathBuf, what: String },
    #[error("{}: an earlier {action} failed: {cause}; reopen the file", path.display())]
    Poisoned { path: PathBuf, action: &'static str, cause: String },
    #[error(
        "{}: the sync after the superblock of generation {generation} failed: {cause}; reopen the \
         file to learn whether the commit happened",
        path.display()
    )]
    OutcomeUnknown { path: PathBuf, generation: u64, cause: String },
}

impl Error {
    /// Returns the kind to branch on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Cause::Storage(error) => kind_of(error.kind()),
            Cause::Corrupt { .. } => ErrorKind::Corrupt,
            Cause::Truncated { .. } => ErrorKind::Truncated,
            Cause::Stale { .. } => ErrorKind::StaleId,
            Cause::Refused { kind, .. } => *kind,
            Cause::Poisoned { .. } => ErrorKind::Poisoned,
            Cause::OutcomeUnknown { .. } => ErrorKind::CommitOutcomeUnknown,
        }
    }

    #[cold]
    pub(crate) fn refused(kind: ErrorKind, path: &Path, what: impl Into<String>) -> Self {
        Cause::Refused { kind, path: path.to_path_buf(), what: what.into() }.into()
    }

    #[cold]
    pub(crate) fn stale(path: &Path, id: BlockId, what: &'static str) -> Self {
        Cause::Stale { path: path.to_path_buf(), id, what }.into()
    }

    #[cold]
    pub(crate) fn corrupt(
        path: &Path,
        (what, offset): (&'static str, u64),
        expected: u64,
        found: u64,
    ) -> Self {
        Cause::Corrupt { path: path.to_path_buf(), what, offset, expected, found }.into()
    }
}

fn kind_of(kind: storage::ErrorKind) -> ErrorKind {
    match kind {
        storage::ErrorKind::NotFound => ErrorKind::NotFound,
        storage::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        storage::ErrorKind::Truncated => ErrorKind::Truncated,
        storage::ErrorKind::OutOfSpace => ErrorKind::OutOfSpace,
        storage::ErrorKind::InvalidArgument => ErrorKind::InvalidArgument,
        storage::ErrorKind::ReadOnly => ErrorKind::ReadOnly,
        storage::ErrorKind::Locked => ErrorKind::Locked,
        storage::ErrorKind::Poisoned => ErrorKind::Poisoned,
        storage::ErrorKind::Cancelled => ErrorKind::Cancelled,
        storage::ErrorKind::Corrupt => ErrorKind::Corrupt,
        storage::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

impl From<Cause> for Error {
    #[cold]
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

impl From<storage::Error> for Error {
    #[cold]
    fn from(error: storage::Error) -> Self {
        Cause::Storage(error).into()
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
        match &*self.0 {
            Cause::Storage(error) => error.source(),
            _ => None,
        }
    }
}

/// For streams: the error itself is inside, for [`io::Error::downcast`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::OutOfSpace => io::ErrorKind::StorageFull,
            ErrorKind::NotFound | ErrorKind::StaleId => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::InvalidArgument => io::ErrorKind::InvalidInput,
            ErrorKind::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<std::num::TryFromIntError> for Error {
    #[cold]
    fn from(error: std::num::TryFromIntError) -> Self {
        let what = format!("a number that this machine or the format cannot hold: {error}");
        Self::refused(ErrorKind::Unsupported, Path::new("region file"), what)
    }
}
