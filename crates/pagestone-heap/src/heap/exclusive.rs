//! A heap that is owned alone: reads need no pin, and bytes can be changed where they lie.

use std::{
    io,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use pagestone_storage::Location;

use super::{BlockWriter, Blocks, Heap};
use crate::{
    engine::{Content, Engine, Summed, Written},
    error::{Error, ErrorKind, Result},
    file::{HeapOptions, RegionFile},
    id::BlockId,
    layout::KIND_SUMMED,
    options::{Durability, FileOptions},
    pin::Pin,
    region::lifecycle::{Keeper, private_mut, published},
    shared::Found,
    shrink::{Shrink, ShrinkProgress},
};

/// A heap with its file, owned by one holder: no view of the file is alive beside it.
///
/// So a read is two loads and no pin, and [`modify_private`](Self::modify_private) and
/// [`in_place`](Self::in_place) lend the bytes themselves.
///
/// ```
/// use pagestone_heap::{FileOptions, HeapMut, RegionFile};
///
/// let mut heap = HeapMut::new(RegionFile::options().in_memory()?, "counters")?;
/// let id = heap.allocate_from(&[0; 8])?;
/// heap.modify_private(id)?[0] = 7;
/// assert_eq!(heap.get(id)?[0], 7);
/// heap.commit()?;
/// # Ok::<(), pagestone_heap::Error>(())
/// ```
#[derive(Debug)]
pub struct HeapMut {
    heap: Heap,
}

/// The bytes of a block, lent to be changed.
#[derive(Debug)]
pub struct BlockMut<'h> {
    bytes: &'h mut [u8],
    raw: Raw,
    at: u64,
    /// Whether readers of other processes are kept out meanwhile.
    alone: bool,
}

/// What has to be told when the bytes were changed.
#[derive(Debug)]
struct Raw(RegionFile);

impl Deref for BlockMut<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl DerefMut for BlockMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes
    }
}

impl Drop for BlockMut<'_> {
    fn drop(&mut self) {
        let raw = &self.raw.0.shared.raw;
        raw.stored(self.at, self.bytes.len() as u64);
        if self.alone {
            raw.let_readers_in();
        }
    }
}

impl HeapMut {
    /// Takes a file over; the heap of this name is made where there is none.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` while another clone of the file is alive; `ReadOnly` for a file opened
    /// for reading; as [`RegionFile::heap`].
    pub fn new(file: RegionFile, name: &str) -> Result<Self> {
        Self::with(file, name, HeapOptions::new())
    }

    /// As [`new`](Self::new), with options for a heap that is made.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn with(file: RegionFile, name: &str, options: HeapOptions) -> Result<Self> {
        if !file.shared.raw.is_writable() {
            let what = "opened for reading: what another process writes is nobody's alone";
            return Err(Error::refused(ErrorKind::ReadOnly, file.path(), what));
        }
        if Arc::strong_count(&file.shared) != 1 {
            let what = "another view of the file is alive";
            return Err(Error::refused(ErrorKind::InvalidArgument, file.path(), what));
        }
        // Nobody else has the file, and from here on nobody can get it: it is not lent out.
        let heap = file.heap_with(name, options)?;
        drop(file);
        Ok(Self { heap })
    }

    /// Opens a file with the heap `heap` in it, or creates both.
    ///
    /// # Errors
    ///
    /// As [`FileOptions::open_or_create`].
    pub fn open(location: impl Into<Location>, options: &FileOptions) -> Result<Self> {
        Self::new(options.open_or_create(location)?, "heap")
    }

    fn find(&self, id: BlockId) -> Result<Found> {
        self.heap.shared().find(&self.heap.store, id)
    }

    /// Borrows the content of a block.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt`.
    #[inline]
    pub fn get(&self, id: BlockId) -> Result<&[u8]> {
        let found = self.find(id)?;
        let keeper = Keeper::owner(self);
        Ok(published(&self.heap.shared().raw, keeper, (found.at, found.len)))
    }

    /// Makes a block with these bytes.
    ///
    /// # Errors
    ///
    /// As [`Heap::allocate_from`].
    pub fn allocate_from(&mut self, bytes: &[u8]) -> Result<BlockId> {
        self.heap.allocate_from(&mut self.heap.file.writer(), bytes)
    }

    /// Makes a block of `len` zeros that `fill` changes.
    ///
    /// # Errors
    ///
    /// As [`Heap::allocate_from`].
    pub fn allocate_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<BlockId> {
        self.heap.allocate_with(&mut self.heap.file.writer(), len, fill)
    }

    /// Replaces the content of a block.
    ///
    /// # Errors
    ///
    /// As [`Heap::put`].
    pub fn put(&mut self, id: BlockId, bytes: &[u8]) -> Result<()> {
        self.heap.put(&mut self.heap.file.writer(), id, bytes)
    }

    /// Makes a block of what `write` writes, in constant memory.
    ///
    /// # Errors
    ///
    /// As [`Heap::allocate_by`].
    pub fn allocate_by(
        &mut self,
        write: impl FnOnce(&mut BlockWriter<'_, '_>) -> io::Result<()>,
    ) -> io::Result<BlockId> {
        self.heap.allocate_by(&mut self.heap.file.writer(), write)
    }

    /// Replaces the content of a block by what `write` writes, in constant memory.
    ///
    /// # Errors
    ///
    /// As [`Heap::put_by`].
    pub fn put_by(
        &mut self,
        id: BlockId,
        write: impl FnOnce(&mut BlockWriter<'_, '_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.heap.put_by(&mut self.heap.file.writer(), id, write)
    }

    /// Writes all of a block to `out`, in constant memory; returns its length.
    ///
    /// # Errors
    ///
    /// As [`Heap::copy_to`].
    pub fn copy_to(&self, id: BlockId, out: &mut impl io::Write) -> io::Result<u64> {
        self.heap.copy_to(&self.heap.file.pin(), id, out)
    }

    /// Replaces the content by its first `len` bytes, or by all and zeros behind.
    ///
    /// # Errors
    ///
    /// As [`Heap::resize`].
    pub fn resize(&mut self, id: BlockId, len: usize) -> Result<()> {
        self.heap.resize(&mut self.heap.file.writer(), id, len)
    }

    /// Sets the caller's 32 bits of a block.
    ///
    /// # Errors
    ///
    /// As [`Heap::set_flags`].
    pub fn set_flags(&mut self, id: BlockId, flags: u32) -> Result<()> {
        self.heap.set_flags(&mut self.heap.file.writer(), id, flags)
    }

    /// The caller's 32 bits of a block.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt`.
    pub fn flags(&self, id: BlockId) -> Result<u32> {
        self.find(id).map(|found| self.heap.shared().header(found.at).flags.get())
    }

    /// Frees a block.
    ///
    /// # Errors
    ///
    /// As [`Heap::free`].
    pub fn free(&mut self, id: BlockId) -> Result<()> {
        self.heap.free(&mut self.heap.file.writer(), id)
    }

    /// Lends the bytes of a block to be changed where they lie. The first time after a commit it
    /// is copied first, so that power loss brings back exactly what was committed; after a kill
    /// the newest content of this block may be half-written.
    ///
    /// In a heap with checksums the payload has none from here on, until it is replaced.
    ///
    /// # Errors
    ///
    /// As [`Heap::put`].
    pub fn modify_private(&mut self, id: BlockId) -> Result<BlockMut<'_>> {
        let file = self.heap.file.clone();
        // Not a `Writer`: that commits by itself when it is given back, and the block would be
        // private no more.
        let mut state = file.shared.lock();
        let mut engine = Engine { shared: &file.shared, state: &mut state };
        let found = self.find(id)?;
        let kind = file.shared.header(found.at).kind;
        if engine.is_private(&found) && kind != KIND_SUMMED {
            engine.touch()?;
        } else {
            let pin = file.pin();
            let old = self.heap.get(&pin, id)?;
            let content = Content::Filled(old.len(), |bytes: &mut [u8]| bytes.copy_from_slice(old));
            let written = Written { summed: Summed::Direct, ..Written::new(content) };
            engine.put(&self.heap.store, id, written)?;
        }
        drop(state);
        self.lend(id, false)
    }

    /// Lends the bytes of a block to be changed where they lie, committed or not, without a copy.
    ///
    /// The weakest promise there is: the container cannot break, but this content may mix old and
    /// new 8-byte words after a kill or power loss, and `discard` does not undo it. While the
    /// bytes are lent no other process can open the file for reading.
    ///
    /// # Errors
    ///
    /// `Locked` while another process has the file open for reading, whose slices must not change;
    /// `Unsupported` for a block with a checksum, which the change would break; `StaleId`;
    /// `Poisoned`; `Corrupt`.
    pub fn in_place(&mut self, id: BlockId) -> Result<BlockMut<'_>> {
        let file = self.heap.file.clone();
        let found = self.find(id)?;
        if file.shared.header(found.at).kind == KIND_SUMMED {
            let what = "a block with a checksum cannot be changed in place";
            return Err(Error::refused(ErrorKind::Unsupported, file.path(), what));
        }
        let mut state = file.shared.lock();
        Engine { shared: &file.shared, state: &mut state }.touch()?;
        drop(state);
        let scratch = file.shared.options.durability == Durability::Scratch;
        if !scratch {
            file.shared.raw.keep_readers_out()?;
        }
        self.lend(id, !scratch)
    }

    fn lend(&mut self, id: BlockId, alone: bool) -> Result<BlockMut<'_>> {
        let found = self.find(id)?;
        let mut state = self.heap.shared().lock();
        // A copy of the block that is not whole yet would miss the change.
        Engine { shared: self.heap.shared(), state: &mut state }.drop_long();
        drop(state);
        let (file, place) = (self.heap.file.clone(), (found.at, found.len));
        let bytes = private_mut(&self.heap.file.shared.raw, &mut self.heap.store, place);
        let at = found.at + crate::layout::BLOCK_HEADER;
        Ok(BlockMut { bytes, raw: Raw(file), at, alone })
    }

    /// Calls `visit` with each live block, in slot order.
    ///
    /// # Errors
    ///
    /// `Corrupt` where slot and block contradict each other.
    pub fn for_each(&self, mut visit: impl FnMut(BlockId, &[u8])) -> Result<()> {
        let pin: Pin<'_> = self.heap.file.pin();
        let blocks: Blocks<'_> = self.heap.blocks(&pin);
        for block in blocks {
            let (id, bytes) = block?;
            visit(id, bytes);
        }
        Ok(())
    }

    /// Puts an id under a name.
    ///
    /// # Errors
    ///
    /// As [`Writer::set_root`](crate::Writer::set_root).
    pub fn set_root(&mut self, name: &str, id: BlockId) -> Result<()> {
        self.heap.file.writer().set_root(name, id)
    }

    /// Returns the id under a name.
    #[must_use]
    pub fn root(&self, name: &str) -> Option<BlockId> {
        self.heap.file.root(name)
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// As [`Writer::commit`](crate::Writer::commit).
    pub fn commit(&mut self) -> Result<()> {
        self.heap.file.writer().commit()
    }

    /// Undoes everything since the last commit, but for what was changed in place.
    ///
    /// # Errors
    ///
    /// As [`Writer::discard`](crate::Writer::discard).
    pub fn discard(&mut self) -> Result<()> {
        self.heap.file.writer().discard()
    }

    /// Moves blocks together and gives space back; see [`RegionFile::shrink`].
    ///
    /// # Errors
    ///
    /// As [`RegionFile::shrink`].
    pub fn shrink(&mut self, shrink: Shrink<'_>) -> Result<ShrinkProgress> {
        self.heap.file.shrink(shrink)
    }

    /// Commits and closes; see [`RegionFile::close`].
    ///
    /// # Errors
    ///
    /// As [`RegionFile::close`].
    pub fn close(self) -> Result<()> {
        self.heap.file.close()
    }

    /// Gives the exclusive ownership up: the heap and its file can be shared from here on.
    #[must_use]
    pub fn into_shared(self) -> Heap {
        self.heap
    }
}
