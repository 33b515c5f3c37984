//! Buffers from the segments of a damaged file.

use pagestone_heap::{RegionFile, Result, Salvage, Salvaged};
use pagestone_storage::Location;

/// Makes a file at `to` from the buffers of the file at `from`, of which slot tables, directory or
/// superblocks may be damaged: from the entries alone, under the same ids, as of the last commit.
///
/// It is [`RegionFile::salvage`], which says what is taken, what cannot be known, and what comes
/// back then. The keys of an [`EntryMap`](crate::EntryMap) are in its entries, so maps come back with
/// their buffers.
///
/// ```
/// use pagestone_buffer::{Buffers, Salvage, salvage};
/// use pagestone_heap::RegionFile;
/// # use pagestone_storage::TrustedDir;
/// # let temporary = tempfile::tempdir()?;
/// # // SAFETY: nobody else writes or cuts files in this directory.
/// # let dir = unsafe { TrustedDir::assert(temporary.path()) };
///
/// let file = RegionFile::options().create(dir.file("notes.pgs"))?;
/// let note = file.buffer("notes")?.add(&mut file.writer(), b"stars: 5")?;
/// file.close()?;
///
/// let report = salvage(dir.file("notes.pgs"), dir.file("again.pgs"), Salvage::new())?;
/// assert!(report.is_clean() && report.entries == 1);
/// let file = RegionFile::options().open(dir.file("again.pgs"))?;
/// assert_eq!(file.buffer("notes")?.read(note)?, b"stars: 5");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`RegionFile::salvage`]; damage is no error, it is in the report.
pub fn salvage(
    from: impl Into<Location>,
    to: impl Into<Location>,
    options: Salvage<'_>,
) -> Result<Salvaged> {
    RegionFile::salvage(from, to, options)
}
