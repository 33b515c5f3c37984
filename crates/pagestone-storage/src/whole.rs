//! A small file that is replaced whole, a file that is removed, the names in a directory.

use crate::{
    error::Result,
    sys,
    temporary::{Role, Temporary},
    trust::Location,
};

/// Puts a file of these bytes at `location`, durably, in the place of one that may be there.
///
/// It is written beside it (`.NAME.new`), synced, renamed, and the directory is synced: after a
/// kill or a power loss there is the old file or this one. One caller at a time, which is the
/// callers' to see to.
///
/// # Errors
///
/// `InvalidArgument` for a name that leaves the trusted directory; `OutOfSpace`; `Io`. After an
/// error of the last step, the sync of the directory, the file may be there.
pub fn replace_file(location: impl Into<Location>, bytes: &[u8]) -> Result<()> {
    let location = location.into();
    location.check()?;
    let temporary = Temporary::create(location.path(), Role::Successor)?;
    temporary.file.write_at(0, bytes)?;
    temporary.file.sync()?;
    temporary.publish(location.path()).map(drop)
}

/// Waits until the names in the directory that holds `location` are on the device: files that were
/// made, renamed or removed there before.
///
/// # Errors
///
/// `InvalidArgument` for a name that leaves the trusted directory; `Io`.
pub fn sync_directory_of(location: impl Into<Location>) -> Result<()> {
    let location = location.into();
    location.check()?;
    sys::sync_parent(location.path())
}

/// Removes the file at `location`; returns whether it was there. A power loss may bring it back.
///
/// # Errors
///
/// `InvalidArgument` for a name that leaves the trusted directory; `Io`.
pub fn remove_file(location: impl Into<Location>) -> Result<bool> {
    let location = location.into();
    location.check()?;
    sys::remove(location.path())
}
