//! The one error of the crate: a word wide, a kind to branch on, a private cause to print.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use pagestone_heap as heap;
use pagestone_index as index;
use pagestone_slab as slab;
use pagestone_storage as storage;

/// What went wrong, in a word to branch on.
///
/// The message (`Display`) names the file, what was expected and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused or broke off a call.
    Io,
    /// There is no such dump or directory.
    NotFound,
    /// The file is no heap dump: empty, of another kind, or cut inside its header.
    NotADump,
    /// Something lies where the index is to be built.
    AlreadyExists,
    /// The directory is no finished index.
    NotAnIndex,
    /// Stored bytes contradict themselves or their checksum.
    Corrupt,
    /// A file of the index has another length than the manifest says.
    Truncated,
    /// The index was written by another version of this crate.
    UnknownVersion,
    /// Another process builds the same index.
    Locked,
    /// The disk, a quota or the address range is full.
    OutOfSpace,
    /// The caller's progress hook asked to stop.
    Cancelled,
    /// A filter is not one, or asks for what its class does not have.
    InvalidFilter,
    /// The dump, the file system or the machine is beyond what this crate handles.
    Unsupported,
}

/// Any failure of this crate, one word wide.
pub struct Error(Box<Cause>);

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Storage(storage::Error),
    #[error(transparent)]
    Heap(heap::Error),
    #[error(transparent)]
    Slab(slab::Error),
    #[error(transparent)]
    Index(index::Error),
    #[error("{}: {what}", path.display())]
    Refused { kind: ErrorKind, path: PathBuf, what: String },
    #[error("{}: {what}: expected {expected}, found {found}", path.display())]
    Corrupt { kind: ErrorKind, path: PathBuf, what: &'static str, expected: String, found: String },
    #[error("column {column}: {what}")]
    Filter { column: usize, what: String },
    #[error("the build was cancelled")]
    Cancelled,
}

impl Error {
    /// Returns the kind to branch on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Cause::Io { source, .. } => kind_of_io(source),
            Cause::Storage(source) => kind_of_storage(source.kind()),
            Cause::Heap(source) => kind_of_heap(source.kind()),
            Cause::Slab(source) => kind_of_slab(source),
            Cause::Index(source) => kind_of_index(source.kind()),
            Cause::Refused { kind, .. } | Cause::Corrupt { kind, .. } => *kind,
            Cause::Filter { .. } => ErrorKind::InvalidFilter,
            Cause::Cancelled => ErrorKind::Cancelled,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Cause::Io { action, path: path.to_path_buf(), source }.into()
    }

    pub(crate) fn refused(kind: ErrorKind, path: &Path, what: impl Into<String>) -> Self {
        Cause::Refused { kind, path: path.to_path_buf(), what: what.into() }.into()
    }

    pub(crate) fn corrupt(
        path: &Path,
        what: &'static str,
        (expected, found): (impl fmt::Display, impl fmt::Display),
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        let kind = ErrorKind::Corrupt;
        Cause::Corrupt { kind, path: path.to_path_buf(), what, expected, found }.into()
    }

    pub(crate) fn truncated(path: &Path, expected: u64, found: u64) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        let (kind, what) = (ErrorKind::Truncated, "length in bytes");
        Cause::Corrupt { kind, path: path.to_path_buf(), what, expected, found }.into()
    }

    #[cold]
    pub(crate) fn filter(column: usize, what: impl Into<String>) -> Self {
        Cause::Filter { column, what: what.into() }.into()
    }

    pub(crate) fn cancelled() -> Self {
        Cause::Cancelled.into()
    }
}

fn kind_of_io(source: &io::Error) -> ErrorKind {
    match source.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::OutOfSpace
        }
        _ => ErrorKind::Io,
    }
}

fn kind_of_storage(kind: storage::ErrorKind) -> ErrorKind {
    match kind {
        storage::ErrorKind::NotFound => ErrorKind::NotFound,
        storage::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        storage::ErrorKind::OutOfRange => ErrorKind::Corrupt,
        storage::ErrorKind::Truncated => ErrorKind::Truncated,
        storage::ErrorKind::OutOfSpace => ErrorKind::OutOfSpace,
        storage::ErrorKind::Locked => ErrorKind::Locked,
        storage::ErrorKind::InvalidArgument | storage::ErrorKind::Unsupported => {
            ErrorKind::Unsupported
        }
        _ => ErrorKind::Io,
    }
}

fn kind_of_heap(kind: heap::ErrorKind) -> ErrorKind {
    match kind {
        heap::ErrorKind::NotFound => ErrorKind::NotFound,
        heap::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        heap::ErrorKind::Truncated => ErrorKind::Truncated,
        heap::ErrorKind::Corrupt | heap::ErrorKind::StaleId => ErrorKind::Corrupt,
        heap::ErrorKind::OutOfSpace => ErrorKind::OutOfSpace,
        heap::ErrorKind::Locked => ErrorKind::Locked,
        heap::ErrorKind::UnknownVersion => ErrorKind::UnknownVersion,
        heap::ErrorKind::Unsupported | heap::ErrorKind::InvalidArgument => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

fn kind_of_index(kind: index::ErrorKind) -> ErrorKind {
    match kind {
        index::ErrorKind::NotFound => ErrorKind::NotFound,
        index::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        index::ErrorKind::Truncated => ErrorKind::Truncated,
        index::ErrorKind::Corrupt
        | index::ErrorKind::Foreign
        | index::ErrorKind::SchemaMismatch
        | index::ErrorKind::OutOfRange => ErrorKind::Corrupt,
        index::ErrorKind::OutOfSpace => ErrorKind::OutOfSpace,
        index::ErrorKind::Locked => ErrorKind::Locked,
        index::ErrorKind::UnknownVersion => ErrorKind::UnknownVersion,
        index::ErrorKind::Unsupported | index::ErrorKind::InvalidArgument => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

fn kind_of_slab(source: &slab::Error) -> ErrorKind {
    match source.kind() {
        slab::ErrorKind::OutOfSpace => ErrorKind::OutOfSpace,
        slab::ErrorKind::Corrupt | slab::ErrorKind::StaleId => ErrorKind::Corrupt,
        slab::ErrorKind::File => {
            let cause = std::error::Error::source(source);
            let cause = cause.and_then(|cause| cause.downcast_ref::<heap::Error>());
            cause.map_or(ErrorKind::Io, |cause| kind_of_heap(cause.kind()))
        }
        _ => ErrorKind::Unsupported,
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
    fn from(source: storage::Error) -> Self {
        Cause::Storage(source).into()
    }
}

impl From<heap::Error> for Error {
    #[cold]
    fn from(source: heap::Error) -> Self {
        Cause::Heap(source).into()
    }
}

impl From<index::Error> for Error {
    #[cold]
    fn from(source: index::Error) -> Self {
        Cause::Index(source).into()
    }
}

impl From<slab::Error> for Error {
    #[cold]
    fn from(source: slab::Error) -> Self {
        Cause::Slab(source).into()
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
