//! How far a build is, as the next one finds it when this one is killed.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use serde::{Deserialize, Serialize};

use super::{Step, staging::Staging};
use crate::{
    error::{Error, Result},
    layout::OBJECT_BLOCK_LEN,
    manifest::{self, Manifest, file},
    samples,
};

/// The finished steps of a build, with their tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    dump: Identity,
    /// The steps behind the first pass that are finished.
    pub(super) steps: Vec<Step>,
    pub(super) manifest: Manifest,
}

/// What tells a dump from another, and from itself when it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    path: String,
    len: u64,
    modified: (i64, i64),
    sample_crc32: Option<u32>,
}

impl Identity {
    pub(super) fn of(dump: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(dump).map_err(|source| Error::io("stat", dump, source))?;
        Ok(Self {
            path: dump.to_string_lossy().into_owned(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            sample_crc32: samples::checksum(dump, metadata.len())?,
        })
    }
}

impl Done {
    /// The state behind the first pass.
    pub(super) fn new(dump: Identity, manifest: Manifest) -> Self {
        Self { dump, steps: Vec::new(), manifest }
    }

    /// What a killed build of the same dump left, if all of it is whole.
    pub(super) fn find(staging: &Staging, dump: &Identity) -> Option<Self> {
        let path = staging.file(file::PROGRESS);
        let done: Self = manifest::read_checked(&path).ok()?;
        let is_whole = |facts: &crate::TableFacts| {
            let name = facts.name.as_str();
            (manifest::is_file_name(name) || file::OF_SYMBOLS.contains(&name))
                && manifest::checksum(&staging.file(&facts.name))
                    .is_ok_and(|found| found == (facts.byte_len, facts.crc32))
        };
        let Manifest { summary, tables } = &done.manifest;
        let heads = tables.iter().find(|facts| facts.name == file::OBJECT_HEADS)?;
        let object_count_max = heads.record_count.saturating_mul(OBJECT_BLOCK_LEN as u64);
        let is_counted = summary.object_count <= object_count_max;
        (done.dump == *dump && is_counted && tables.iter().all(is_whole)).then_some(done)
    }

    /// Makes the state durable, behind the tables that it names.
    pub(super) fn save(&self, staging: &Staging) -> Result<()> {
        let path = staging.file(file::PROGRESS);
        let text = manifest::checked_text(self, &path)?;
        Ok(pagestone_storage::replace_file(path.as_path(), text.as_bytes())?)
    }
}
