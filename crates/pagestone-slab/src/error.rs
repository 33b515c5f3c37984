//! The one error of the crate: a word wide, a kind to branch on, a private cause to print.

use std::fmt;

use pagestone_heap as heap;
use pagestone_storage as storage;

/// What went wrong, in a word to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The id or symbol names nothing here: what it named was removed, or it is of another store.
    StaleId,
    /// The arguments contradict each other, or the settings cannot work.
    InvalidArgument,
    /// Memory, address range or numbers are used up; nothing was changed.
    OutOfSpace,
    /// A count stands at its limit; it was not changed.
    CountLimit,
    /// The store was made without what was asked of it.
    Unsupported,
    /// Bytes of a file make no sense.
    Corrupt,
    /// The file: the [`source`](std::error::Error::source) is the error of `pagestone-heap`.
    File,
}

/// Any failure of this crate.
///
/// One word wide, so that a `Result` of a lookup stays in registers.
pub struct Error(Box<Cause>);

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{what} {name:#x}: {why}")]
    Stale { what: &'static str, name: u64, why: &'static str },
    #[error("{what}")]
    Refused { kind: ErrorKind, what: String },
    #[error("{0}")]
    Storage(storage::Error),
    #[error("{0}")]
    File(heap::Error),
}

impl Error {
    /// Returns the kind to branch on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Cause::Stale { .. } => ErrorKind::StaleId,
            Cause::Refused { kind, .. } => *kind,
            // Memory is all that is asked of the layer below.
            Cause::Storage(_) => ErrorKind::OutOfSpace,
            Cause::File(error) => match error.kind() {
                heap::ErrorKind::StaleId => ErrorKind::StaleId,
                heap::ErrorKind::InvalidArgument => ErrorKind::InvalidArgument,
                heap::ErrorKind::OutOfSpace => ErrorKind::OutOfSpace,
                heap::ErrorKind::Corrupt => ErrorKind::Corrupt,
                _ => ErrorKind::File,
            },
        }
    }

    #[cold]
    pub(crate) fn stale(what: &'static str, name: u64, why: &'static str) -> Self {
        Self(Box::new(Cause::Stale { what, name, why }))
    }

    #[cold]
    pub(crate) fn refused(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Cause::Refused { kind, what: what.into() }))
    }

    #[cold]
    pub(crate) fn argument(what: impl Into<String>) -> Self {
        Self::refused(ErrorKind::InvalidArgument, what)
    }
}

impl From<storage::Error> for Error {
    #[cold]
    fn from(error: storage::Error) -> Self {
        Self(Box::new(Cause::Storage(error)))
    }
}

impl From<heap::Error> for Error {
    #[cold]
    fn from(error: heap::Error) -> Self {
        Self(Box::new(Cause::File(error)))
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
            Cause::File(error) => Some(error),
            _ => None,
        }
    }
}
