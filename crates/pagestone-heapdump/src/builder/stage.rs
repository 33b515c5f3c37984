//! What the steps behind the scan work with: the finished files, the dump, and how much memory.

use std::path::PathBuf;

use super::{reporter::Reporter, staging::Staging};
use crate::{
    error::{Error, ErrorKind, Result},
    manifest::file,
    pages::Pages,
    summary::{Packing, Summary, TableFacts},
};

/// Objects between two calls of the caller's hook.
const STEP: u32 = 1 << 14;

/// The state of a build whose objects are known.
pub(super) struct Stage<'s, 'h> {
    pub(super) staging: &'s Staging,
    pub(super) summary: &'s Summary,
    pub(super) tables: &'s [TableFacts],
    pub(super) reporter: &'s mut Reporter<'h>,
}

impl<'h> Stage<'_, 'h> {
    pub(super) fn object_count(&self) -> u32 {
        // The object table is never longer.
        u32::try_from(self.summary.object_count).unwrap_or(u32::MAX)
    }

    pub(super) fn class_count(&self) -> Result<u32> {
        let facts = self.tables.iter().find(|facts| facts.name == file::CLASSES);
        let count = facts.and_then(|facts| u32::try_from(facts.record_count).ok());
        count.ok_or_else(|| {
            let path = self.staging.file(file::CLASSES);
            Error::refused(ErrorKind::Corrupt, &path, "no classes")
        })
    }

    pub(super) fn id_size(&self) -> u8 {
        if self.summary.id_size == 4 { 4 } else { 8 }
    }

    /// Bytes that a step may take beside what it keeps for each object.
    pub(super) fn memory(&self) -> u64 {
        self.summary.dump_len / 8
    }

    /// Bytes that the graph of references may take.
    pub(super) fn graph_memory(&self) -> u64 {
        self.summary.dump_len / 24 * 5
    }

    /// The unpacked dump.
    pub(super) fn pages(&self) -> Result<Pages> {
        pages(self.summary, self.staging)
    }

    /// Tells of a pass over the objects.
    pub(super) fn progress(&mut self) -> Steps<'_, 'h> {
        Steps { reporter: &mut *self.reporter, step: 0 }
    }
}

/// Calls the caller's hook now and then.
pub(super) struct Steps<'r, 'h> {
    reporter: &'r mut Reporter<'h>,
    step: u32,
}

impl Steps<'_, '_> {
    /// An object was looked at.
    #[inline]
    pub(super) fn next(&mut self) -> Result<()> {
        self.step += 1;
        if self.step.is_multiple_of(STEP) { self.reporter.again() } else { Ok(()) }
    }
}

/// The unpacked dump.
pub(super) fn pages(summary: &Summary, staging: &Staging) -> Result<Pages> {
    Pages::open(&dump_path(summary, staging), summary.dump_len)
}

/// Where the unpacked dump lies.
pub(super) fn dump_path(summary: &Summary, staging: &Staging) -> PathBuf {
    match summary.packing {
        Packing::Plain => PathBuf::from(&summary.dump_path),
        Packing::Gzip => staging.file(file::UNPACKED),
    }
}
