//! The one error of the crate: a word wide, a kind to branch on, a private cause to print.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use pagestone_storage as storage;

/// What went wrong, in a word to branch on.
///
/// The message (`Display`) names the file, what was expected and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused or broke off a call.
    Io,
    /// There is no such directory, or nothing was published in it.
    NotFound,
    /// A table or relation is there already.
    AlreadyExists,
    /// The directory holds something else.
    Foreign,
    /// Stored bytes contradict themselves or their checksum.
    Corrupt,
    /// A file has another length than the manifest says.
    Truncated,
    /// The manifest was written by another version of this crate.
    UnknownVersion,
    /// The table was built from another schema.
    SchemaMismatch,
    /// Rows have the same key in a unique index.
    Duplicate,
    /// The arguments contradict each other or the table.
    InvalidArgument,
    /// Another process or thread builds here.
    Locked,
    /// The region file was opened for reading only.
    ReadOnly,
    /// A sync of the region file failed: it takes no change until it is opened again.
    Poisoned,
    /// The disk, a quota or the address range is full; nothing was published.
    OutOfSpace,
    /// An index ends past the last row.
    OutOfRange,
    /// The file, the file system or the machine does not offer what was asked for.
    Unsupported,
}

/// Any failure of this crate, one word wide.
pub struct Error(Box<Cause>);

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

/// The first keys that were found on several rows; see [`Error::duplicate_keys`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DuplicateKeys {
    /// The name of the unique key.
    pub key: String,
    /// A row of each, as bytes; none where rows are appended to a table.
    pub rows: Vec<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Storage(storage::Error),
    #[cfg(feature = "region")]
    #[error(transparent)]
    Region(pagestone_heap::Error),
    #[error("{}: {what}", path.display())]
    Refused { kind: ErrorKind, path: PathBuf, what: String },
    #[error("{}: {what}", path.display())]
    Duplicate { path: PathBuf, what: String, keys: DuplicateKeys },
    #[error("{}: {what}: expected {expected}, found {found}", path.display())]
    Corrupt { path: PathBuf, what: &'static str, expected: String, found: String },
    #[error("{what}")]
    Argument { kind: ErrorKind, what: String },
}

impl Error {
    /// Returns the kind to branch on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Cause::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::OutOfSpace,
                _ => ErrorKind::Io,
            },
            Cause::Storage(source) => kind_of_storage(source.kind()),
            #[cfg(feature = "region")]
            Cause::Region(source) => kind_of_region(source.kind()),
            Cause::Refused { kind, .. } | Cause::Argument { kind, .. } => *kind,
            Cause::Corrupt { .. } => ErrorKind::Corrupt,
            Cause::Duplicate { .. } => ErrorKind::Duplicate,
        }
    }

    /// Returns which keys are on several rows, where a build or an append was refused for that.
    #[must_use]
    pub fn duplicate_keys(&self) -> Option<&DuplicateKeys> {
        match &*self.0 {
            Cause::Duplicate { keys, .. } => Some(keys),
            _ => None,
        }
    }

    pub(crate) fn duplicate(path: &Path, what: String, keys: DuplicateKeys) -> Self {
        Cause::Duplicate { path: path.to_path_buf(), what, keys }.into()
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Cause::Io { action, path: path.to_path_buf(), source }.into()
    }

    pub(crate) fn refused(kind: ErrorKind, path: &Path, what: impl Into<String>) -> Self {
        Cause::Refused { kind, path: path.to_path_buf(), what: what.into() }.into()
    }

    #[cold]
    pub(crate) fn corrupt(
        path: &Path,
        what: &'static str,
        (expected, found): (impl ToString, impl ToString),
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Cause::Corrupt { path: path.to_path_buf(), what, expected, found }.into()
    }

    pub(crate) fn argument(what: impl Into<String>) -> Self {
        Cause::Argument { kind: ErrorKind::InvalidArgument, what: what.into() }.into()
    }

    #[cold]
    pub(crate) fn out_of_range(what: String) -> Self {
        Cause::Argument { kind: ErrorKind::OutOfRange, what }.into()
    }
}

fn kind_of_storage(kind: storage::ErrorKind) -> ErrorKind {
    match kind {
        storage::ErrorKind::NotFound => ErrorKind::NotFound,
        storage::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        storage::ErrorKind::Truncated => ErrorKind::Truncated,
        storage::ErrorKind::OutOfSpace => ErrorKind::OutOfSpace,
        storage::ErrorKind::OutOfRange => ErrorKind::OutOfRange,
        storage::ErrorKind::InvalidArgument => ErrorKind::InvalidArgument,
        storage::ErrorKind::Locked => ErrorKind::Locked,
        storage::ErrorKind::Corrupt => ErrorKind::Corrupt,
        storage::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

#[cfg(feature = "region")]
fn kind_of_region(kind: pagestone_heap::ErrorKind) -> ErrorKind {
    use pagestone_heap::ErrorKind as Region;
    match kind {
        Region::NotFound => ErrorKind::NotFound,
        Region::Truncated => ErrorKind::Truncated,
        Region::OutOfSpace => ErrorKind::OutOfSpace,
        Region::Locked => ErrorKind::Locked,
        Region::Poisoned | Region::CommitOutcomeUnknown => ErrorKind::Poisoned,
        Region::ReadOnly => ErrorKind::ReadOnly,
        Region::UnknownVersion => ErrorKind::UnknownVersion,
        Region::InvalidArgument => ErrorKind::InvalidArgument,
        Region::Unsupported => ErrorKind::Unsupported,
        Region::Corrupt | Region::StaleId => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    }
}

#[cfg(feature = "region")]
impl From<pagestone_heap::Error> for Error {
    #[cold]
    fn from(source: pagestone_heap::Error) -> Self {
        Cause::Region(source).into()
    }
}

impl From<storage::Error> for Error {
    #[cold]
    fn from(source: storage::Error) -> Self {
        Cause::Storage(source).into()
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
