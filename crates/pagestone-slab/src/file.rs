//! Objects and strings in a region file: they survive the process, and commit with all else in it.

mod interner; // strings that are stored once
mod known; // what the writer knows of slabs
mod store; // byte objects by id
mod table; // strings by hash, in memory or as a close left them

use pagestone_heap::RegionFile;

pub use self::{
    interner::{FileInterner, Resolver},
    store::{FileStats, FileStore},
};
use crate::{error::Result, growth::Growth};

/// Slab stores of a region file, by name.
pub trait SlabFile {
    /// Returns the object store of this name, which is made where there is none.
    ///
    /// Making one takes the writer, for which a thread that holds it would wait for ever.
    ///
    /// # Errors
    ///
    /// `File` with what the file can fail with: `NotFound` for one opened for reading that has no
    /// such store; `InvalidArgument` for the name of a store of another kind.
    fn objects(&self, name: &str) -> Result<FileStore> {
        self.objects_with(name, Growth::for_files())
    }

    /// As [`objects`](Self::objects), with settings for slabs that are made from here on.
    ///
    /// # Errors
    ///
    /// As `objects`; `InvalidArgument` for settings that cannot work.
    fn objects_with(&self, name: &str, growth: Growth) -> Result<FileStore>;

    /// Returns the interner of this name, which is made, without counts, where there is none.
    ///
    /// # Errors
    ///
    /// As [`objects`](Self::objects).
    fn interner(&self, name: &str) -> Result<FileInterner>;

    /// As [`interner`](Self::interner); one that is made counts how often each string is held.
    ///
    /// # Errors
    ///
    /// As `interner`; `InvalidArgument` for one that is there and keeps no counts.
    fn counted_interner(&self, name: &str) -> Result<FileInterner>;
}

impl SlabFile for RegionFile {
    fn objects_with(&self, name: &str, growth: Growth) -> Result<FileStore> {
        FileStore::open(self, name, growth)
    }

    fn interner(&self, name: &str) -> Result<FileInterner> {
        FileInterner::open(self, name, false)
    }

    fn counted_interner(&self, name: &str) -> Result<FileInterner> {
        FileInterner::open(self, name, true)
    }
}
