//! The tree of dominators, entry by entry.

use std::sync::Arc;

use pagestone_storage::le::U64;

use super::mapped::{Files, Mapped};
use crate::{
    error::Result,
    manifest::file,
    tree::{self, Entry, STRIDE},
};

/// The packed tree.
pub(super) struct Entries {
    heads: Mapped<U64>,
    bytes: Mapped<u8>,
    object_count: u32,
}

impl Entries {
    pub(super) fn new(files: &Arc<Files>, object_count: u32) -> Result<Self> {
        Ok(Self {
            heads: Mapped::new(files, file::TREE_HEADS)?,
            bytes: Mapped::new(files, file::TREE)?,
            object_count,
        })
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.bytes.path()
    }

    /// The entry of an object; none for one that cannot be reached.
    pub(super) fn get(&self, object: u32) -> Result<Option<Entry>> {
        let group = object / STRIDE;
        let place = |head: U64| usize::try_from(head.get()).unwrap_or(usize::MAX);
        let start = place(self.heads.get(group)?);
        let is_last = self.heads.len() <= group as usize + 1;
        let end = if is_last { self.bytes.len() } else { place(self.heads.get(group + 1)?) };
        let mut rest = self.bytes.range(start..end.max(start))?;
        let mut entry = None;
        for object in group * STRIDE..=object {
            entry = tree::take(object, &mut rest, self.object_count)
                .map_err(|malformed| self.bytes.malformed(malformed))?;
        }
        Ok(entry)
    }
}
