//! The ids of all objects on their way into their files, and back.

use std::path::Path;

use pagestone_storage as storage;
use storage::{Backing, Options, le::U64};

use super::{batch::Batch, staging::Staging};
use crate::{
    error::{Error, ErrorKind, Result},
    ids::{self, PackedBlock},
    layout::{ID_BLOCK_LEN, IdBlockRecord},
    manifest::file,
    summary::TableFacts,
};

/// Takes ascending ids and packs them.
pub(super) struct IdPacker {
    blocks: Batch<IdBlockRecord>,
    words: Batch<U64>,
    waiting: Vec<u64>,
    packed: Vec<U64>,
}

impl IdPacker {
    pub(super) fn create(staging: &Staging) -> Result<Self> {
        Ok(Self {
            blocks: Batch::create(&staging.file(file::ID_BLOCKS))?,
            words: Batch::create(&staging.file(file::ID_WORDS))?,
            waiting: Vec::with_capacity(ID_BLOCK_LEN),
            packed: Vec::with_capacity(ID_BLOCK_LEN),
        })
    }

    #[inline]
    pub(super) fn push(&mut self, id: u64) -> Result<()> {
        self.waiting.push(id);
        if self.waiting.len() < ID_BLOCK_LEN {
            return Ok(());
        }
        self.pack()
    }

    fn pack(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.packed.clear();
        let block = ids::pack(&self.waiting, self.words.len(), &mut self.packed);
        let block = block.ok_or_else(|| {
            Error::refused(ErrorKind::Unsupported, Path::new(file::ID_WORDS), "too many ids")
        })?;
        self.waiting.clear();
        self.words.extend(&self.packed)?;
        self.blocks.push(block)
    }

    /// Syncs both files and says what they are.
    pub(super) fn close(mut self) -> Result<[TableFacts; 2]> {
        self.pack()?;
        Ok([self.blocks.close()?, self.words.close()?])
    }
}

/// Calls `each` with the ids of all `count` objects, ascending.
pub(super) fn for_each(
    staging: &Staging,
    count: u32,
    mut each: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let options = Options::new().backing(Backing::File);
    let blocks = options.open_read_only::<IdBlockRecord>(staging.file(file::ID_BLOCKS))?;
    let words = options.open_read_only::<U64>(staging.file(file::ID_WORDS))?;
    let corrupt = || {
        let path = staging.file(file::ID_BLOCKS);
        Error::corrupt(&path, "ids", (format!("{count} of them"), "others"))
    };
    let mut some: Vec<IdBlockRecord> = vec![bytemuck::Zeroable::zeroed(); 1 << 10];
    let mut packed: Vec<U64> = Vec::new();
    let (mut index, mut left) = (0, count);
    while 0 < left {
        let len = usize::try_from(blocks.len().saturating_sub(index)).unwrap_or(some.len());
        let len = len.min(some.len());
        blocks.read_into(index, bytemuck::cast_slice_mut(&mut some[..len]))?;
        index += len as u64;
        let (Some(first), Some(last)) = (some[..len].first(), some[..len].last()) else {
            return Err(corrupt());
        };
        let (start, (last_word, _, width)) = (first.place().0, last.place());
        let word_count = (last_word + u64::from(width)).checked_sub(start).ok_or_else(corrupt)?;
        let word_count = usize::try_from(word_count).map_err(|_| corrupt())?;
        // A block has as many words as ids have bits.
        if len * 64 < word_count {
            return Err(corrupt());
        }
        packed.resize(word_count, U64::new(0));
        words.read_into(start, bytemuck::cast_slice_mut(&mut packed))?;
        for &block in &some[..len] {
            let range = block.words().and_then(|words| {
                let start = usize::try_from(start).ok()?;
                Some(words.start.checked_sub(start)?..words.end.checked_sub(start)?)
            });
            let words = range.and_then(|range| packed.get(range)).ok_or_else(corrupt)?;
            let in_block = left.min(64);
            let ids = PackedBlock { block, words, len: in_block as usize };
            for index in 0..ids.len {
                each(ids.id(index).ok_or_else(corrupt)?)?;
            }
            left -= in_block;
        }
    }
    Ok(())
}
