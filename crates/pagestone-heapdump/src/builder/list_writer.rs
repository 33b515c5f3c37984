//! Lists of ordinals on their way into their two files, key by key.

use pagestone_storage::le::U64;

use super::{batch::Batch, staging::Staging};
use crate::{
    error::Result,
    lists::{self, STRIDE},
    manifest::ListFiles,
    summary::TableFacts,
    varint,
};

/// The lists of one relation, written in the order of their keys.
pub(super) struct ListWriter {
    heads: Batch<U64>,
    bytes: Batch<u8>,
    next_key: u32,
    list: Vec<u8>,
    len: Vec<u8>,
}

impl ListWriter {
    pub(super) fn create(staging: &Staging, files: &ListFiles) -> Result<Self> {
        Ok(Self {
            heads: Batch::create(&staging.file(files.heads))?,
            bytes: Batch::create(&staging.file(files.bytes))?,
            next_key: 0,
            list: Vec::new(),
            len: Vec::new(),
        })
    }

    /// Appends the list of the next key: ascending, each number once.
    pub(super) fn push(&mut self, values: &[u32]) -> Result<()> {
        if self.next_key.is_multiple_of(STRIDE) {
            self.heads.push(self.bytes.len().into())?;
        }
        if values.is_empty() {
            self.next_key += 1;
            return self.bytes.push(0);
        }
        self.list.clear();
        // Room for the length of most lists.
        self.list.push(0);
        lists::encode(self.next_key, values, &mut self.list);
        self.next_key += 1;
        let len = self.list.len() - 1;
        if let (Ok(short @ 0..0x80), Some(first)) = (u8::try_from(len), self.list.first_mut()) {
            *first = short;
            return self.bytes.extend(&self.list);
        }
        self.len.clear();
        varint::push(&mut self.len, len as u64);
        self.bytes.extend(&self.len)?;
        self.bytes.extend(&self.list[1..])
    }

    /// Syncs both files and says what they are.
    pub(super) fn close(self) -> Result<[TableFacts; 2]> {
        Ok([self.heads.close()?, self.bytes.close()?])
    }
}
