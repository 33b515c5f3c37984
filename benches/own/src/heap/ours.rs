//! The heap of this workspace.

use pagestone_heap::{BlockId, FileOptions, Heap, Pin, RegionFile, Verify, Writer};

use super::{BlockHeap, BlockReader, BlockWriter, Place};
use crate::{Folder, Result, must};

const NAME: &str = "heap";

/// The heap, as one file `heap` of the folder.
#[derive(Debug)]
pub struct Ours {
    file: RegionFile,
    heap: Heap,
}

/// A pin.
#[derive(Debug)]
pub struct OursReader<'a> {
    heap: &'a Heap,
    pin: Pin<'a>,
}

/// A writer.
#[derive(Debug)]
pub struct OursWriter<'a> {
    heap: &'a Heap,
    writer: Writer<'a>,
}

impl Ours {
    fn new(file: RegionFile) -> Result<Self> {
        let heap = file.heap(NAME)?;
        Ok(Self { file, heap })
    }

    fn create_as(folder: &Folder, options: &FileOptions) -> Result<Self> {
        Self::new(options.create(folder.trusted().file(NAME))?)
    }
}

impl Ours {
    /// Opens the heap for reading, beside the one that writes.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    pub fn open_read_only(folder: &Folder) -> Result<Self> {
        Self::new(RegionFile::options().open_read_only(folder.trusted().file(NAME))?)
    }
}

impl BlockHeap for Ours {
    type Reader<'a> = OursReader<'a>;
    type Writer<'a> = OursWriter<'a>;

    fn create(folder: &Folder) -> Result<Self> {
        Self::create_as(folder, &RegionFile::options())
    }

    fn create_with_regions(folder: &Folder, count: usize) -> Result<Option<Self>> {
        let ours = Self::create_as(folder, &RegionFile::options())?;
        // The shortest block that has a region of its own.
        let mut writer = ours.file.writer();
        for _ in 0..count {
            ours.heap.allocate_with(&mut writer, 257 << 10, |_| ())?;
        }
        writer.commit()?;
        drop(writer);
        Ok(Some(ours))
    }

    fn open(folder: &Folder) -> Result<Self> {
        Self::new(RegionFile::options().open(folder.trusted().file(NAME))?)
    }

    #[inline]
    fn writer(&mut self) -> Result<OursWriter<'_>> {
        Ok(OursWriter { heap: &self.heap, writer: self.file.writer() })
    }

    fn commit(&mut self) -> Result<()> {
        Ok(self.file.writer().commit()?)
    }

    #[inline]
    fn reader(&self) -> Result<OursReader<'_>> {
        Ok(OursReader { heap: &self.heap, pin: self.file.pin() })
    }

    fn verify(&mut self) -> Result<()> {
        let report = self.file.verify(Verify::new())?;
        if report.is_clean() { Ok(()) } else { Err("the file is damaged".into()) }
    }

    fn close(self) -> Result<()> {
        drop(self.heap);
        Ok(self.file.close()?)
    }
}

impl BlockWriter for OursWriter<'_> {
    #[inline]
    fn alloc_fill(&mut self, bytes: &[u8]) -> Result<u64> {
        Ok(self.heap.allocate_from(&mut self.writer, bytes)?.to_bits())
    }

    #[inline]
    fn free(&mut self, id: u64) -> Result<()> {
        Ok(self.heap.free(&mut self.writer, BlockId::from_bits(id))?)
    }

    fn free_many(&mut self, ids: &[u64]) -> Result<()> {
        let ids: Vec<BlockId> = ids.iter().map(|id| BlockId::from_bits(*id)).collect();
        Ok(self.heap.free_many(&mut self.writer, &ids)?)
    }

    #[inline]
    fn write8(&mut self, place: Place, value: u64) -> Result<()> {
        let write = |bytes: &mut [u8]| {
            bytes[place.offset..place.offset + 8].copy_from_slice(&value.to_le_bytes());
        };
        Ok(self.heap.modify(&mut self.writer, BlockId::from_bits(place.id), write)?)
    }
}

impl BlockReader for OursReader<'_> {
    #[inline]
    fn read8(&self, place: Place) -> Result<u64> {
        let bytes = self.heap.get(&self.pin, BlockId::from_bits(place.id))?;
        Ok(word_at(bytes, place.offset))
    }

    fn read_many(&self, places: &[Place]) -> Result<u64> {
        let mut sum = 0;
        let mut ids = [BlockId::from_bits(0); 256];
        for places in places.chunks(ids.len()) {
            for (id, place) in ids.iter_mut().zip(places) {
                *id = BlockId::from_bits(place.id);
            }
            self.heap.get_many(&self.pin, &ids[..places.len()], |index, bytes| {
                sum ^= word_at(must(bytes), places[index].offset);
            });
        }
        Ok(sum)
    }
}

#[inline]
fn word_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(must(bytes[offset..offset + 8].try_into()))
}
