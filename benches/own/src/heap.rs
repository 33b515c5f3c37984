//! Workload H: what a heap of blocks is asked for, and who is asked.
//!
//! A contender implements [`BlockHeap`]; [`Ours`] is the one that rows are about.

mod work; // sizes, bytes and orders, the same for all contenders
mod limit; // a mapped slot table and free lists in a mapped file, no safety
mod volatile; // mimalloc, called directly
mod ours; // pagestone-heap

pub use self::{
    limit::Limit,
    ours::Ours,
    volatile::Volatile,
    work::{Work, ordered},
};

use crate::{Folder, Result};

/// Eight bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The block.
    pub id: u64,
    /// Where in the block; a multiple of 8.
    pub offset: usize,
}

/// A heap of blocks in the files of one folder.
pub trait BlockHeap: Sized {
    /// Whether there is such a heap; one that is not is left out of all rows.
    const PRESENT: bool = true;
    /// Whether blocks outlive the process.
    const DURABLE: bool = true;
    /// A view that reads blocks; one lives as long as a whole run of reads.
    type Reader<'a>: BlockReader
    where
        Self: 'a;
    /// A view that changes blocks; one lives as long as a whole run of changes.
    type Writer<'a>: BlockWriter
    where
        Self: 'a;

    /// Makes an empty heap.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn create(folder: &Folder) -> Result<Self>;

    /// Makes an empty heap whose file has `count` regions; none if it has no such thing.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn create_with_regions(_folder: &Folder, _count: usize) -> Result<Option<Self>> {
        Ok(None)
    }

    /// Opens the heap that [`create`](Self::create) made, after a close or a crash.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn open(folder: &Folder) -> Result<Self>;

    /// Starts changing: what a heap locks, it locks here, once.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn writer(&mut self) -> Result<Self::Writer<'_>>;

    /// Makes all changes durable.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn commit(&mut self) -> Result<()>;

    /// Starts reading: what a heap pins, it pins here, once.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn reader(&self) -> Result<Self::Reader<'_>>;

    /// Reads and checks everything.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn verify(&mut self) -> Result<()>;

    /// Closes.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn close(self) -> Result<()>;
}

/// Changes blocks of a heap.
pub trait BlockWriter {
    /// Allocates a block of as many bytes and fills it with them; returns its id.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn alloc_fill(&mut self, bytes: &[u8]) -> Result<u64>;

    /// Frees a block.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn free(&mut self, id: u64) -> Result<()>;

    /// Frees blocks, together where the heap can.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn free_many(&mut self, ids: &[u64]) -> Result<()> {
        ids.iter().try_for_each(|id| self.free(*id))
    }

    /// Writes eight bytes of a block.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn write8(&mut self, place: Place, value: u64) -> Result<()>;
}

/// Reads blocks of a heap.
pub trait BlockReader {
    /// Eight bytes of a block.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn read8(&self, place: Place) -> Result<u64>;

    /// Eight bytes of each block, together where the heap can; all of them as one sum.
    ///
    /// # Errors
    ///
    /// Those of the heap.
    fn read_many(&self, places: &[Place]) -> Result<u64> {
        places.iter().try_fold(0, |sum, &place| Ok(self.read8(place)? ^ sum))
    }
}

/// Reads all places through one reader; how much was read cannot be thought away.
///
/// # Errors
///
/// Those of the heap.
#[inline]
pub fn read_run<H: BlockHeap>(heap: &H, places: &[Place]) -> Result<u64> {
    let reader = heap.reader()?;
    places.iter().try_fold(0, |sum, &place| Ok(reader.read8(place)? ^ sum))
}

/// Reads all places, each through a reader of its own.
///
/// # Errors
///
/// Those of the heap.
#[inline]
pub fn read_each<H: BlockHeap>(heap: &H, places: &[Place]) -> Result<u64> {
    places.iter().try_fold(0, |sum, &place| Ok(heap.reader()?.read8(place)? ^ sum))
}

/// Reads `count` of the places, each found by what the last one holds.
///
/// # Errors
///
/// Those of the heap.
#[inline]
pub fn read_chain<H: BlockHeap>(heap: &H, (places, count): (&[Place], u64)) -> Result<u64> {
    let reader = heap.reader()?;
    let count_all = places.len() as u128;
    (0..count).try_fold(0_u64, |last, step| {
        let spread = (last ^ step).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        #[expect(clippy::cast_possible_truncation, reason = "below the length of a slice")]
        let next = ((u128::from(spread) * count_all) >> 64) as usize;
        reader.read8(places[next])
    })
}
