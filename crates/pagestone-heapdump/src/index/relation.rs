//! Which objects belong to each object or class.

use pagestone_storage::{TrustedDir, le::U64};

use super::mapped::Mapped;
use crate::{
    error::Result,
    lists::{List, Lists},
    manifest::{ListFiles, Manifest},
};

/// The lists of one relation.
pub(super) struct Relation {
    heads: Mapped<U64>,
    bytes: Mapped<u8>,
    key_count: u32,
    value_count: u32,
}

impl Relation {
    pub(super) fn open(
        dir: &TrustedDir,
        manifest: &Manifest,
        (files, key_count, value_count): (&ListFiles, u32, u32),
    ) -> Result<Self> {
        Ok(Self {
            heads: Mapped::open(dir, manifest, files.heads)?,
            bytes: Mapped::open(dir, manifest, files.bytes)?,
            key_count,
            value_count,
        })
    }

    /// The list of a key.
    pub(super) fn list(&self, key: u32) -> Result<List<'_>> {
        let lists = Lists {
            heads: self.heads.slice(),
            bytes: self.bytes.slice(),
            key_count: self.key_count,
            value_count: self.value_count,
        };
        lists.list(key).map_err(|malformed| self.bytes.malformed(malformed))
    }

    /// The numbers of the list of a key, ascending.
    pub(super) fn numbers(&self, key: u32) -> Result<impl Iterator<Item = Result<u32>>> {
        let list = self.list(key)?;
        Ok(list.map(|number| number.map_err(|malformed| self.bytes.malformed(malformed))))
    }
}
