//! The one promise that this program makes about files.

use std::path::Path;

use pagestone_storage::{Location, TrustedDir};

/// The directory of an index, or the one that a region file lies in.
#[expect(unsafe_code, reason = "files are mapped, and only their user knows who writes them")]
pub(crate) fn directory(path: &Path) -> TrustedDir {
    // SAFETY: this program never writes the files of a published index, a new one takes its place
    // by a rename; it opens region files through the library alone, under a lock that keeps every
    // other writer of these libraries out. That no other program writes them is what the help and the README of
    // the command ask of its user.
    unsafe { TrustedDir::assert(path) }
}

/// A file that will be mapped.
pub(crate) fn file(path: &Path) -> Location {
    match path.file_name() {
        Some(name) => directory(path.parent().unwrap_or(Path::new(""))).file(name),
        // A directory, or nothing; whoever opens it says so.
        None => path.into(),
    }
}
