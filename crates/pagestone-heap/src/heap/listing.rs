//! Blocks by what their slots and headers say, payloads unread.

use super::{Heap, iter::Slots};
use crate::{
    error::{Error, Result},
    id::BlockId,
    layout::{KIND_DIRECT, KIND_PLAIN, KIND_SUMMED},
    pin::Pin,
    shared::Found,
    word::OVERSIZE,
    writer::Writer,
};

/// What a block's header says of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockKind {
    /// It has no checksum.
    Plain,
    /// It has a checksum.
    Summed,
    /// It was lent to be changed where it lies, so that nobody knows its checksum.
    Direct,
}

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockPlace {
    /// In a region with others.
    Shared,
    /// In a region of its own.
    Own,
}

/// One block, without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedBlock {
    /// Its id.
    pub id: BlockId,
    /// Bytes of its payload.
    pub len: u64,
    /// Bytes that its place has room for.
    pub capacity: u64,
    /// The 32 bits that are kept for the caller.
    pub flags: u32,
    /// What is known of its payload.
    pub kind: BlockKind,
    /// Where it lies.
    pub place: BlockPlace,
}

/// Which blocks a [`Heap::list`] shows: all, unless something is said.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Filter {
    mask: u32,
    flags: u32,
    kind: Option<BlockKind>,
    place: Option<BlockPlace>,
}

impl Filter {
    /// All blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only blocks whose flags, of the bits in `mask`, have those of `flags` set and no others.
    pub fn flags(mut self, mask: u32, flags: u32) -> Self {
        (self.mask, self.flags) = (mask, flags & mask);
        self
    }

    /// Only blocks of this kind.
    pub fn kind(mut self, kind: BlockKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only blocks that lie so.
    pub fn place(mut self, place: BlockPlace) -> Self {
        self.place = Some(place);
        self
    }

    fn shows(&self, block: &ListedBlock) -> bool {
        block.flags & self.mask == self.flags
            && self.kind.is_none_or(|kind| kind == block.kind)
            && self.place.is_none_or(|place| place == block.place)
    }
}

/// The blocks that a filter shows; see [`Heap::list`].
#[derive(Debug)]
pub struct Listing<'p> {
    slots: Slots<'p>,
    filter: Filter,
}

impl Iterator for Listing<'_> {
    type Item = Result<ListedBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = match self.slots.next()? {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            match self.slots.heap().listed(&found) {
                Ok(block) if !self.filter.shows(&block) => {}
                other => return Some(other),
            }
        }
    }
}

/// The blocks that nothing reaches; see [`Heap::orphans`].
#[derive(Debug)]
pub struct Orphans<'p> {
    listing: Listing<'p>,
    reached: Reached,
    dangling: u64,
}

/// A bit per index.
#[derive(Debug)]
struct Reached(Vec<u64>);

impl Reached {
    fn word(index: u64) -> usize {
        usize::try_from(index / 64).unwrap_or(usize::MAX)
    }

    fn set(&mut self, index: u64) {
        if let Some(word) = self.0.get_mut(Self::word(index)) {
            *word |= 1 << (index % 64);
        }
    }

    fn has(&self, index: u64) -> bool {
        self.0.get(Self::word(index)).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

impl Orphans<'_> {
    /// How many of the ids that were given as reachable name no block.
    #[must_use]
    pub fn dangling(&self) -> u64 {
        self.dangling
    }
}

impl Iterator for Orphans<'_> {
    type Item = Result<ListedBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { listing, reached, .. } = self;
        listing.find(|block| block.as_ref().map_or(true, |block| !reached.has(block.id.index())))
    }
}

impl Heap {
    /// The live blocks that `filter` shows, in slot order, by their slots and headers alone.
    ///
    /// ```
    /// use pagestone_heap::{BlockPlace, Filter, RegionFile};
    ///
    /// let file = RegionFile::options().in_memory()?;
    /// let heap = file.heap("blocks")?;
    /// let mut writer = file.writer();
    /// let long = heap.allocate_with(&mut writer, 1_000_000, |_| ())?;
    /// let marked = heap.allocate_from(&mut writer, b"marked")?;
    /// heap.set_flags(&mut writer, marked, 0b101)?;
    ///
    /// let pin = file.pin();
    /// let ids = |filter| heap.list(&pin, filter).map(|block| Ok(block?.id)).collect();
    /// let found: Result<Vec<_>, pagestone_heap::Error> = ids(Filter::new().flags(0b100, 0b100));
    /// assert_eq!(found?, [marked]);
    /// let found: Result<Vec<_>, pagestone_heap::Error> = ids(Filter::new().place(BlockPlace::Own));
    /// assert_eq!(found?, [long]);
    /// # Ok::<(), pagestone_heap::Error>(())
    /// ```
    #[must_use]
    pub fn list<'p>(&'p self, pin: &'p Pin<'_>, filter: Filter) -> Listing<'p> {
        Listing { slots: Slots::new(self, pin), filter }
    }

    /// The live blocks that are not among the `reachable` ones, in slot order: what a caller has
    /// lost, who follows all ids from its roots on.
    ///
    /// Nothing that is made meanwhile is reachable: take the writer first, or the caller's own
    /// lock. Memory is one bit per slot.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the slot and block of a reachable id contradict each other;
    /// `InvalidArgument` for a pin of another file. Ids that name no block are counted by
    /// [`Orphans::dangling`].
    pub fn orphans<'p>(
        &'p self,
        pin: &'p Pin<'_>,
        reachable: impl IntoIterator<Item = BlockId>,
    ) -> Result<Orphans<'p>> {
        let words = usize::try_from(self.store.parts.end().div_ceil(64))?;
        let (mut reached, mut dangling) = (Reached(vec![0; words]), 0);
        for id in reachable {
            match self.find(pin, id) {
                Ok(_) => reached.set(id.index()),
                Err(error) if error.kind() == crate::ErrorKind::StaleId => dangling += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(Orphans { listing: self.list(pin, Filter::new()), reached, dangling })
    }

    /// Frees every block of the heap; all their ids are refused from here on. Returns how many
    /// there were. Names that lead to them stay.
    ///
    /// # Errors
    ///
    /// As [`free`](Self::free), at the first block that cannot be freed; those before it are.
    pub fn wipe(&self, writer: &mut Writer<'_>) -> Result<u64> {
        const TOGETHER: usize = 1024;
        writer.check(self.shared())?;
        let pin = self.file.pin();
        let mut slots = Slots::new(self, &pin);
        let (mut ids, mut count) = (Vec::new(), 0);
        loop {
            ids.clear();
            for found in slots.by_ref().take(TOGETHER) {
                ids.push(found?.id);
            }
            if ids.is_empty() {
                return Ok(count);
            }
            self.free_many(writer, &ids)?;
            count += ids.len() as u64;
        }
    }

    fn listed(&self, found: &Found) -> Result<ListedBlock> {
        let header = self.shared().header(found.at);
        let kind = match header.kind {
            KIND_PLAIN => BlockKind::Plain,
            KIND_SUMMED => BlockKind::Summed,
            KIND_DIRECT => BlockKind::Direct,
            other => {
                let what = ("kind of a block", found.at + 14);
                return Err(Error::corrupt(self.shared().path(), what, 0, other.into()));
            }
        };
        Ok(ListedBlock {
            id: found.id,
            len: found.len as u64,
            capacity: found.capacity,
            flags: header.flags.get(),
            kind,
            place: if found.word.class() == OVERSIZE {
                BlockPlace::Own
            } else {
                BlockPlace::Shared
            },
        })
    }
}
