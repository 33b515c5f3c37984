//! Blocks of mimalloc behind a table: the limit of a heap that keeps nothing.

use super::{BlockHeap, BlockReader, BlockWriter, Place};
use crate::{Folder, MiBlock, Result, must};

const GONE: &str = "the block was freed";

/// Blocks by number, and numbers to use again.
#[derive(Debug, Default)]
pub struct Volatile {
    blocks: Vec<Option<MiBlock>>,
    vacant: Vec<u64>,
}

/// The blocks.
#[derive(Debug)]
pub struct VolatileReader<'a>(&'a [Option<MiBlock>]);

impl BlockHeap for Volatile {
    const DURABLE: bool = false;
    type Reader<'a> = VolatileReader<'a>;
    type Writer<'a> = &'a mut Self;

    fn create(_folder: &Folder) -> Result<Self> {
        Ok(Self::default())
    }

    fn open(_folder: &Folder) -> Result<Self> {
        Err("memory does not outlive its process".into())
    }

    #[inline]
    fn writer(&mut self) -> Result<&mut Self> {
        Ok(self)
    }

    fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn reader(&self) -> Result<VolatileReader<'_>> {
        Ok(VolatileReader(&self.blocks))
    }

    fn verify(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

impl BlockWriter for &mut Volatile {
    #[inline]
    fn alloc_fill(&mut self, bytes: &[u8]) -> Result<u64> {
        let block = Some(MiBlock::filled(bytes));
        if let Some(id) = self.vacant.pop() {
            self.blocks[index(id)] = block;
            return Ok(id);
        }
        self.blocks.push(block);
        Ok(self.blocks.len() as u64 - 1)
    }

    #[inline]
    fn free(&mut self, id: u64) -> Result<()> {
        self.blocks[index(id)] = None;
        self.vacant.push(id);
        Ok(())
    }

    #[inline]
    fn write8(&mut self, place: Place, value: u64) -> Result<()> {
        let block = self.blocks[index(place.id)].as_mut().ok_or(GONE)?;
        block.bytes_mut()[place.offset..place.offset + 8].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

impl BlockReader for VolatileReader<'_> {
    #[inline]
    fn read8(&self, place: Place) -> Result<u64> {
        let bytes = self.0[index(place.id)].as_ref().ok_or(GONE)?.bytes();
        Ok(u64::from_le_bytes(must(bytes[place.offset..place.offset + 8].try_into())))
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an index of a vector")]
const fn index(id: u64) -> usize {
    id as usize
}
