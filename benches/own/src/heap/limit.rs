//! The limit: a mapped table of slots, and free lists by classes of 16 bytes in a mapped file.
//!
//! No checks, no generations, no crash safety: what a heap in a file costs at least.

use super::{BlockHeap, BlockReader, BlockWriter, Place};
use crate::{Folder, Mapping, Result, must};

/// Length of classes, and of what blocks start at multiples of.
const CLASS: usize = 16;
/// Address space for blocks and slots; pages of it are taken as they are used.
const RESERVED: usize = 32 << 30;
const BLOCKS_STEP: usize = 16 << 20;
const SLOTS_STEP: usize = 1 << 20;
/// Words before the slots: where the next block starts, the next slot, the first free slot, and
/// the first free block of each class.
const NEXT_BLOCK: usize = 0;
const NEXT_SLOT: usize = 1;
const FREE_SLOT: usize = 2;
const FREE_BLOCKS: usize = 3;
const FIRST_SLOT: u64 = 64;
/// A slot: the offset of the block in these bits, its class above them.
const OFFSET_BITS: u32 = 48;

/// Slots and blocks, each in a mapped file.
#[derive(Debug)]
pub struct Limit {
    slots: Mapping,
    blocks: Mapping,
}

/// The slots and the blocks.
#[derive(Debug)]
pub struct LimitReader<'a> {
    slots: &'a [u64],
    blocks: &'a [u8],
}

impl Limit {
    #[inline]
    fn words(&mut self) -> &mut [u64] {
        bytemuck::cast_slice_mut(self.slots.bytes_mut())
    }

    /// The first free block of a class, or the next one.
    #[inline]
    fn block(&mut self, class: usize) -> Result<usize> {
        let head = index(self.words()[FREE_BLOCKS + class]);
        if head != 0 {
            self.words()[FREE_BLOCKS + class] = word_at(self.blocks.bytes(), head);
            return Ok(head);
        }
        let offset = index(self.words()[NEXT_BLOCK]);
        let end = offset + class * CLASS;
        self.words()[NEXT_BLOCK] = end as u64;
        if self.blocks.bytes().len() < end {
            self.blocks.grow(end.next_multiple_of(BLOCKS_STEP))?;
        }
        Ok(offset)
    }

    /// A slot that holds `word`.
    #[inline]
    fn slot(&mut self, word: u64) -> Result<u64> {
        let words = self.words();
        let head = words[FREE_SLOT];
        if head != 0 {
            words[FREE_SLOT] = words[index(head)];
            words[index(head)] = word;
            return Ok(head);
        }
        let slot = words[NEXT_SLOT];
        words[NEXT_SLOT] = slot + 1;
        let end = 8 * (index(slot) + 1);
        if self.slots.bytes().len() < end {
            self.slots.grow(end.next_multiple_of(SLOTS_STEP))?;
        }
        self.words()[index(slot)] = word;
        Ok(slot)
    }
}

impl BlockHeap for Limit {
    type Reader<'a> = LimitReader<'a>;
    type Writer<'a> = &'a mut Self;

    fn create(folder: &Folder) -> Result<Self> {
        let mut slots = Mapping::create(&folder.path("slots"), RESERVED)?;
        let mut blocks = Mapping::create(&folder.path("blocks"), RESERVED)?;
        slots.grow(SLOTS_STEP)?;
        blocks.grow(SLOTS_STEP)?;
        let mut limit = Self { slots, blocks };
        // No block starts at 0, which ends the lists.
        limit.words()[NEXT_BLOCK] = CLASS as u64;
        limit.words()[NEXT_SLOT] = FIRST_SLOT;
        limit.commit()?;
        Ok(limit)
    }

    fn open(folder: &Folder) -> Result<Self> {
        let slots = Mapping::open(&folder.path("slots"), RESERVED)?;
        Ok(Self { slots, blocks: Mapping::open(&folder.path("blocks"), RESERVED)? })
    }

    #[inline]
    fn writer(&mut self) -> Result<&mut Self> {
        Ok(self)
    }

    fn commit(&mut self) -> Result<()> {
        self.blocks.sync()?;
        self.slots.sync()
    }

    #[inline]
    fn reader(&self) -> Result<LimitReader<'_>> {
        let slots = bytemuck::cast_slice(self.slots.bytes());
        Ok(LimitReader { slots, blocks: self.blocks.bytes() })
    }

    /// One pass over both files: there is nothing to check.
    fn verify(&mut self) -> Result<()> {
        let lines = self.slots.bytes().chunks(64).chain(self.blocks.bytes().chunks(64));
        std::hint::black_box(lines.fold(0_u8, |sum, line| sum ^ line[0]));
        Ok(())
    }

    fn close(mut self) -> Result<()> {
        self.commit()
    }
}

impl BlockWriter for &mut Limit {
    #[inline]
    fn alloc_fill(&mut self, bytes: &[u8]) -> Result<u64> {
        let class = bytes.len().div_ceil(CLASS);
        let offset = self.block(class)?;
        self.blocks.bytes_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.slot((class as u64) << OFFSET_BITS | offset as u64)
    }

    #[inline]
    fn free(&mut self, id: u64) -> Result<()> {
        let words = self.words();
        let slot = words[index(id)];
        words[index(id)] = words[FREE_SLOT];
        words[FREE_SLOT] = id;
        let list = FREE_BLOCKS + index(slot >> OFFSET_BITS);
        let next = words[list];
        let offset = offset(slot);
        words[list] = offset as u64;
        self.blocks.bytes_mut()[offset..offset + 8].copy_from_slice(&next.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn write8(&mut self, place: Place, value: u64) -> Result<()> {
        let start = offset(self.words()[index(place.id)]) + place.offset;
        self.blocks.bytes_mut()[start..start + 8].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

impl BlockReader for LimitReader<'_> {
    #[inline]
    fn read8(&self, place: Place) -> Result<u64> {
        let slot = self.slots[index(place.id)];
        Ok(word_at(self.blocks, offset(slot) + place.offset))
    }
}

#[inline]
const fn offset(slot: u64) -> usize {
    index(slot & ((1 << OFFSET_BITS) - 1))
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an index or offset in a mapping that exists")]
const fn index(word: u64) -> usize {
    word as usize
}

#[inline]
fn word_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(must(bytes[offset..offset + 8].try_into()))
}
