//! A heap: blocks of any length by id, one store of a region file.

mod exclusive; // the form that needs no pins
mod iter; // live blocks in slot order
mod stream; // blocks in pieces
mod listing; // blocks by flags and kind, blocks that nothing reaches

use std::sync::Arc;

pub use exclusive::{BlockMut, HeapMut};
pub use iter::Blocks;
pub use listing::{BlockKind, BlockPlace, Filter, ListedBlock, Listing, Orphans};
pub use stream::{BlockReader, BlockWriter};

use crate::{
    class::GRAIN,
    engine::{Bytes, Content, Written},
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    id::BlockId,
    layout::BLOCK_HEADER,
    parts,
    pin::Pin,
    region::lifecycle::{self, Keeper},
    shared::{Found, Shared},
    store::Store,
    word::{TOMBSTONE, Word},
    writer::Writer,
};

/// Ids whose memory is fetched together: as many as a core has lines under way.
const BATCH: usize = 32;

/// A heap of a [`RegionFile`]; clones are views of the same heap.
///
/// Reads take a [`Pin`] and no lock; changes take the [`Writer`]. Within the process a read shows
/// the newest content of a block, committed or not. An id whose block was freed is refused with
/// `StaleId`, always; so is, but for one in 2^24, one of another heap or file.
#[derive(Debug, Clone)]
pub struct Heap {
    file: RegionFile,
    store: Arc<Store>,
}

impl Heap {
    pub(crate) fn new(file: &RegionFile, store: Arc<Store>) -> Self {
        Self { file: file.clone(), store }
    }

    /// Returns the file that the heap is in.
    #[must_use]
    pub fn file(&self) -> &RegionFile {
        &self.file
    }

    #[inline]
    fn shared(&self) -> &Shared {
        &self.file.shared
    }

    #[inline]
    fn find(&self, pin: &Pin<'_>, id: BlockId) -> Result<Found> {
        if std::ptr::eq(pin.shared(), self.shared()) {
            return self.shared().find(&self.store, id);
        }
        let what = "the pin is of another file";
        Err(Error::refused(ErrorKind::InvalidArgument, self.shared().path(), what))
    }

    /// Borrows the newest content of a block, for as long as the pin lives.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt` where slot and block contradict each other; `InvalidArgument` for a
    /// pin of another file.
    #[inline]
    pub fn get<'p>(&self, pin: &'p Pin<'_>, id: BlockId) -> Result<&'p [u8]> {
        let found = self.find(pin, id)?;
        let keeper = Keeper::pin(pin.place());
        Ok(lifecycle::published(&pin.shared().raw, keeper, (found.at, found.len)))
    }

    /// Shows the newest content of a block to `read`, under a pin of its own.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn read<R>(&self, id: BlockId, read: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let pin = self.file.pin();
        self.get(&pin, id).map(read)
    }

    /// Shows the newest content of many blocks to `each`, with their places in `ids`, in order.
    ///
    /// Slots and blocks are fetched from memory for 32 ids together, where [`get`](Self::get)
    /// waits for each: several times faster where they are not in the processor's caches.
    pub fn get_many<'p>(
        &self,
        pin: &'p Pin<'_>,
        ids: &[BlockId],
        mut each: impl FnMut(usize, Result<&'p [u8]>),
    ) {
        let mut words = [Word::EMPTY; BATCH];
        for (batch, ids) in ids.chunks(BATCH).enumerate() {
            self.fetch(ids, &mut words);
            for (place, (id, word)) in ids.iter().zip(words).enumerate() {
                // A word that changed meanwhile is looked for again.
                let found = match self.found(pin, *id, word) {
                    Ok(found) => Ok(found),
                    Err(_) => self.find(pin, *id),
                };
                let bytes = found.map(|found| {
                    let keeper = Keeper::pin(pin.place());
                    lifecycle::published(&pin.shared().raw, keeper, (found.at, found.len))
                });
                each(batch * BATCH + place, bytes);
            }
        }
    }

    #[inline]
    fn found(&self, pin: &Pin<'_>, id: BlockId, word: Word) -> Result<Found> {
        if std::ptr::eq(pin.shared(), self.shared()) {
            return self.shared().found(&self.store, id, word);
        }
        self.find(pin, id)
    }

    /// Asks the processor for slots, then for the blocks that they name; leaves the words of the
    /// slots in `words`.
    #[inline]
    fn fetch(&self, ids: &[BlockId], words: &mut [Word; BATCH]) {
        let (shared, parts) = (self.shared(), &self.store.parts);
        for id in ids {
            shared.raw.prefetch(parts.quick(id.index()));
        }
        for (id, word) in ids.iter().zip(words) {
            *word = shared.select(parts.quick(id.index()));
            let at = word.body() * GRAIN;
            shared.raw.prefetch(at);
            // The first bytes behind the header lie in the next line for every other block.
            shared.raw.prefetch(at + BLOCK_HEADER + 8);
        }
    }

    /// Bytes of a block.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn len(&self, pin: &Pin<'_>, id: BlockId) -> Result<u64> {
        self.find(pin, id).map(|found| found.len as u64)
    }

    /// Bytes that the block's place has room for.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn capacity(&self, pin: &Pin<'_>, id: BlockId) -> Result<u64> {
        self.find(pin, id).map(|found| found.capacity)
    }

    /// Where the payload of a block starts, in bytes from the start of the file: until it is
    /// replaced, freed, undone or moved. [`RegionFile::set_relocation_hook`] tells of moves.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn offset(&self, pin: &Pin<'_>, id: BlockId) -> Result<u64> {
        self.find(pin, id).map(|found| found.at + BLOCK_HEADER)
    }

    /// The 32 bits that are kept with a block for the caller; 0 at first.
    ///
    /// # Errors
    ///
    /// As `get`.
    pub fn flags(&self, pin: &Pin<'_>, id: BlockId) -> Result<u32> {
        self.find(pin, id).map(|found| self.shared().header(found.at).flags.get())
    }

    /// Whether the id names a block.
    #[must_use]
    pub fn contains(&self, pin: &Pin<'_>, id: BlockId) -> bool {
        self.find(pin, id).is_ok()
    }

    /// Asks the processor for the slot of an id that will be read soon.
    pub fn prefetch(&self, id: BlockId) {
        if let Some(at) = self.store.parts.pair(id.index()) {
            self.shared().raw.prefetch(at);
        }
    }

    /// Makes a block with these bytes.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`, with nothing changed; `ReadOnly`; `Poisoned`; `InvalidArgument` for a writer
    /// of another file; `NotFound` where a discard undid the making of the heap; `Io` where the
    /// first change after an open cannot be synced.
    pub fn allocate_from(&self, writer: &mut Writer<'_>, bytes: &[u8]) -> Result<BlockId> {
        writer.check(self.shared())?;
        writer.engine().allocate(&self.store, Bytes::Bytes(bytes), 0)
    }

    /// Makes a block of `len` zeros that `fill` changes; it is there when `fill` has returned.
    ///
    /// # Errors
    ///
    /// As `allocate_from`.
    pub fn allocate_with(
        &self,
        writer: &mut Writer<'_>,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<BlockId> {
        writer.check(self.shared())?;
        writer.engine().allocate(&self.store, Content::Filled(len, fill), 0)
    }

    /// Replaces the content of a block, of any length; whoever reads sees old or new.
    ///
    /// # Errors
    ///
    /// `StaleId`, and as `allocate_from`.
    pub fn put(&self, writer: &mut Writer<'_>, id: BlockId, bytes: &[u8]) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().put(&self.store, id, Written::new(Bytes::Bytes(bytes)))
    }

    /// Replaces the content of a block by a changed copy of it.
    ///
    /// # Errors
    ///
    /// As `put`.
    pub fn modify(
        &self,
        writer: &mut Writer<'_>,
        id: BlockId,
        change: impl FnOnce(&mut [u8]),
    ) -> Result<()> {
        self.copy((writer, id), (None, None), change)
    }

    /// Replaces the content of a block by its first `len` bytes, or by all and zeros behind.
    ///
    /// # Errors
    ///
    /// As `put`.
    pub fn resize(&self, writer: &mut Writer<'_>, id: BlockId, len: usize) -> Result<()> {
        self.copy((writer, id), (Some(len), None), |_| ())
    }

    /// Sets the 32 bits that are kept with a block for the caller. The block is copied.
    ///
    /// # Errors
    ///
    /// As `put`.
    pub fn set_flags(&self, writer: &mut Writer<'_>, id: BlockId, flags: u32) -> Result<()> {
        self.copy((writer, id), (None, Some(flags)), |_| ())
    }

    fn copy(
        &self,
        (writer, id): (&mut Writer<'_>, BlockId),
        (len, flags): (Option<usize>, Option<u32>),
        change: impl FnOnce(&mut [u8]),
    ) -> Result<()> {
        writer.check(self.shared())?;
        let pin = self.file.pin();
        let old = self.get(&pin, id)?;
        let content = Content::Filled(len.unwrap_or(old.len()), |bytes: &mut [u8]| {
            for (to, from) in bytes.chunks_mut(4096).zip(old.chunks(4096)) {
                let len = to.len().min(from.len());
                to[..len].copy_from_slice(&from[..len]);
            }
            change(bytes);
        });
        let written = Written { flags, ..Written::new(content) };
        writer.engine().put(&self.store, id, written)
    }

    /// Frees a block. Its id is refused from here on; its space is used again after the next
    /// commit, when no pin is left from before.
    ///
    /// # Errors
    ///
    /// `StaleId`, also for a block that was freed already; as `allocate_from`.
    pub fn free(&self, writer: &mut Writer<'_>, id: BlockId) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().free(&self.store, id)
    }

    /// Frees many blocks; as [`free`](Self::free) for each, but their slots and headers are
    /// fetched from memory for 32 together.
    ///
    /// # Errors
    ///
    /// As `free`, at the first block that cannot be freed; those before it are.
    pub fn free_many(&self, writer: &mut Writer<'_>, ids: &[BlockId]) -> Result<()> {
        writer.check(self.shared())?;
        let mut engine = writer.engine();
        for ids in ids.chunks(BATCH) {
            self.fetch(ids, &mut [Word::EMPTY; BATCH]);
            for id in ids {
                engine.free(&self.store, *id)?;
            }
        }
        Ok(())
    }

    /// All live blocks in slot order, each with its content at the moment it is reached.
    #[must_use]
    pub fn blocks<'p>(&'p self, pin: &'p Pin<'_>) -> Blocks<'p> {
        Blocks::new(self, pin)
    }

    /// The id in the `nth` slot: the first block of a fresh heap is in slot 0. `None` where the
    /// slot is vacant.
    ///
    /// # Errors
    ///
    /// `Corrupt` where slot and block contradict each other; `InvalidArgument` for a pin of
    /// another file.
    pub fn nth(&self, pin: &Pin<'_>, nth: u64) -> Result<Option<BlockId>> {
        match parts::nth(nth) {
            Some(index) => self.live_at(pin, index).map(|found| found.map(|found| found.id)),
            None => Ok(None),
        }
    }

    /// The block of an index, whatever its generation.
    fn live_at(&self, pin: &Pin<'_>, index: u64) -> Result<Option<Found>> {
        if !std::ptr::eq(pin.shared(), self.shared()) {
            let what = "the pin is of another file";
            return Err(Error::refused(ErrorKind::InvalidArgument, self.shared().path(), what));
        }
        let mut place = self.store.parts.pair(index);
        if place.is_none() && self.shared().scan_if_behind() {
            // Of a table that another process made longer since.
            place = self.store.parts.pair(index);
        }
        let Some(at) = place else { return Ok(None) };
        let mut word = self.shared().select(at);
        if self.shared().place(word).is_none() && self.shared().scan_if_behind() {
            // Of a region that another process made since.
            word = self.shared().select(at);
        }
        if word.is_empty() || word.class() == TOMBSTONE {
            return Ok(None);
        }
        let Some((start, _)) = self.shared().place(word) else {
            return Err(Error::corrupt(self.shared().path(), ("place in a slot", at), 0, word.0));
        };
        let id = BlockId::from_bits(self.shared().header(start).id.get());
        if id.index() != index {
            let what = ("id in a block header", start);
            return Err(Error::corrupt(self.shared().path(), what, index, id.index()));
        }
        self.shared().found(&self.store, id, word).map(Some)
    }
}
