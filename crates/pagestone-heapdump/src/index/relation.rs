//! Which objects belong to each object or class.

use std::sync::Arc;

use pagestone_storage::le::U64;

use super::mapped::{Files, Mapped};
use crate::{
    error::Result,
    lists::{List, Malformed, STRIDE},
    manifest::ListFiles,
    varint,
};

/// The lists of one relation.
pub(super) struct Relation {
    heads: Mapped<U64>,
    bytes: Mapped<u8>,
    key_count: u32,
    value_count: u32,
}

impl Relation {
    pub(super) fn new(
        files: &Arc<Files>,
        (names, key_count, value_count): (&ListFiles, u32, u32),
    ) -> Result<Self> {
        Ok(Self {
            heads: Mapped::new(files, names.heads)?,
            bytes: Mapped::new(files, names.bytes)?,
            key_count,
            value_count,
        })
    }

    /// The list of a key; empty for one that is not there.
    pub(super) fn list(&self, key: u32) -> Result<List<'_>> {
        if self.key_count <= key {
            return Ok(List::new(key, &[], self.value_count));
        }
        let head = self.heads.get(key / STRIDE)?.get();
        let mut place = usize::try_from(head).unwrap_or(usize::MAX);
        for _ in 0..key % STRIDE {
            let (start, len) = self.begin(place)?;
            place = start.saturating_add(len);
        }
        let (start, len) = self.begin(place)?;
        let bytes = self.bytes.range(start..start.saturating_add(len))?;
        Ok(List::new(key, bytes, self.value_count))
    }

    /// Where the numbers of the list at a place begin, and their length in bytes.
    #[inline]
    fn begin(&self, place: usize) -> Result<(usize, usize)> {
        let end = place.saturating_add(varint::LEN_MAX).min(self.bytes.len());
        let mut rest = self.bytes.range(place..end)?;
        let len = varint::take(&mut rest).and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or_else(|| self.bytes.malformed(Malformed))?;
        Ok((end - rest.len(), len))
    }

    /// The numbers of the list of a key, ascending.
    pub(super) fn numbers(&self, key: u32) -> Result<impl Iterator<Item = Result<u32>>> {
        let list = self.list(key)?;
        Ok(list.map(|number| number.map_err(|malformed| self.bytes.malformed(malformed))))
    }
}
