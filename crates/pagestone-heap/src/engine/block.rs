//! Blocks: space for one, its bytes, its publish, and what the publish takes out of use.

use zerocopy::{IntoBytes, little_endian::U32};

use crate::{
    class::{GRAIN, GRAINS_MAX, class_of},
    engine::{Engine, adopt::Wanted, index::SPENT},
    error::{Error, ErrorKind, Result},
    id::{BlockId, GENERATION_MAX},
    layout::{BLOCK_HEADER, BlockHeader, KIND_DIRECT, KIND_PLAIN, KIND_SUMMED, REGION_HEADER},
    region::lifecycle::Owned,
    shared::Found,
    space::Run,
    store::Store,
    units::Kind,
    word::{OVERSIZE, TOMBSTONE, View},
};

/// The longest block, in bytes.
pub(crate) const LEN_MAX: u64 = (1 << 44) - 1;

/// Freed grains, as a part of all, that are looked for before the file grows.
const CRUMBS: u64 = 32;

/// Space for one block, not published.
#[derive(Debug)]
struct Placed {
    owned: Owned,
    class: u8,
    home: Home,
}

/// What holds the space.
#[derive(Debug, Clone, Copy)]
enum Home {
    Run(Run),
    /// The number of a region of its own.
    Region(u32),
}

/// What a block shall hold.
#[derive(Debug)]
pub(crate) enum Content<'b, F> {
    Bytes(&'b [u8]),
    /// This many zeros, which the closure changes.
    Filled(usize, F),
}

/// A content with what stands in its header.
#[derive(Debug)]
pub(crate) struct Written<'b, F> {
    pub(crate) content: Content<'b, F>,
    /// The caller's bits; those of the block before where there are none.
    pub(crate) flags: Option<u32>,
    pub(crate) summed: Summed,
}

/// Whether a payload gets a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Summed {
    /// As its store has it.
    AsStore,
    /// No: it will be stored to directly.
    Direct,
}

impl<'b, F> Written<'b, F> {
    pub(crate) fn new(content: Content<'b, F>) -> Self {
        Self { content, flags: None, summed: Summed::AsStore }
    }
}

/// A content without a closure.
pub(crate) type Bytes<'b> = Content<'b, fn(&mut [u8])>;

impl<F> Content<'_, F> {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Filled(len, _) => *len as u64,
        }
    }
}

/// Gives space back when the caller's closure panics.
#[derive(Debug)]
struct Unpublished<'e, 'a> {
    engine: &'e mut Engine<'a>,
    placed: Option<Placed>,
}

impl Drop for Unpublished<'_, '_> {
    fn drop(&mut self) {
        if let Some(placed) = self.placed.take() {
            self.engine.unplace(placed.home);
        }
    }
}

/// Gives an id back whose block could not be made.
#[derive(Debug)]
struct Untaken<'e, 'a> {
    engine: &'e mut Engine<'a>,
    store: &'e Store,
    id: Option<BlockId>,
}

impl Drop for Untaken<'_, '_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.engine.untake_id(self.store, id);
        }
    }
}

/// Whether the class in the slot is that of the length in the header.
#[inline]
pub(crate) fn is_class_of(found: &Found) -> bool {
    let grains = (BLOCK_HEADER + found.len as u64).div_ceil(GRAIN);
    match u32::try_from(grains) {
        Ok(grains) if grains <= GRAINS_MAX => found.word.class() == class_of(grains),
        _ => found.word.class() == OVERSIZE,
    }
}

impl Engine<'_> {
    /// Makes a new block.
    pub(crate) fn allocate<F: FnOnce(&mut [u8])>(
        &mut self,
        store: &Store,
        content: Content<'_, F>,
        flags: u32,
    ) -> Result<BlockId> {
        self.touch()?;
        self.check_len(content.len())?;
        let (id, at) = self.take_id(store)?;
        let written = Written { flags: Some(flags), ..Written::new(content) };
        let mut untaken = Untaken { engine: self, store, id: Some(id) };
        let (class, start) = untaken.engine.write(store, id, written)?;
        untaken.id = None;
        drop(untaken);
        self.publish(at, class, start / GRAIN);
        self.state.indices(store.number).live += 1;
        Ok(id)
    }

    /// Replaces the content of a block; keeps its flags unless others are given.
    pub(crate) fn put<F: FnOnce(&mut [u8])>(
        &mut self,
        store: &Store,
        id: BlockId,
        mut written: Written<'_, F>,
    ) -> Result<()> {
        self.touch()?;
        self.check_len(written.content.len())?;
        let (found, at) = self.find(store, id)?;
        written.flags.get_or_insert_with(|| self.shared.header(found.at).flags.get());
        let (class, start) = self.write(store, id, written)?;
        let before = self.publish(at, class, start / GRAIN);
        self.retire_word(before)
    }

    /// Frees a block; its id is refused from here on.
    pub(crate) fn free(&mut self, store: &Store, id: BlockId) -> Result<()> {
        self.touch()?;
        let (_, at) = self.find(store, id)?;
        let next = id.generation() + 1;
        let spent = GENERATION_MAX < next;
        let before = self.publish(at, TOMBSTONE, if spent { SPENT } else { u64::from(next) });
        let indices = self.state.indices(store.number);
        // A record of a close that lies may have said less.
        indices.live = indices.live.saturating_sub(1);
        if !spent {
            indices.give(id.index());
        }
        self.retire_word(before)
    }

    /// The newest block of an id, and its slot.
    #[inline]
    pub(crate) fn find(&self, store: &Store, id: BlockId) -> Result<(Found, u64)> {
        let found = self.shared.find(store, id)?;
        match store.parts.pair(id.index()) {
            Some(at) if is_class_of(&found) => Ok((found, at)),
            // Its space, given back by this class, would be another block's in part.
            Some(at) => {
                let len = found.len as u64;
                Err(Error::corrupt(self.shared.path(), ("class in a slot", at), len, found.word.0))
            }
            None => Err(Error::stale(self.shared.path(), id, "no such slot")),
        }
    }

    /// Whether the block was written in the open epoch, so that no commit knows it.
    pub(crate) fn is_private(&self, found: &Found) -> bool {
        found.word.tag() == self.shared.tag()
    }

    fn check_len(&self, len: u64) -> Result<()> {
        if len <= LEN_MAX {
            return Ok(());
        }
        let what = format!("a block of {len} bytes is longer than {LEN_MAX}");
        Err(Error::refused(ErrorKind::InvalidArgument, self.shared.path(), what))
    }

    /// Writes a block to new space; returns its class and where it starts.
    fn write<F: FnOnce(&mut [u8])>(
        &mut self,
        store: &Store,
        id: BlockId,
        written: Written<'_, F>,
    ) -> Result<(u8, u64)> {
        let Written { content, flags, summed } = written;
        let len = content.len();
        let placed = self.place(len)?;
        let raw = &self.shared.raw;
        let kind = match summed {
            Summed::Direct => KIND_DIRECT,
            Summed::AsStore if store.is_summed() => KIND_SUMMED,
            Summed::AsStore => KIND_PLAIN,
        };
        let summed = kind == KIND_SUMMED;
        let mut header = BlockHeader::new(id.to_bits(), len, (kind, flags.unwrap_or(0)));
        let mut unpublished = Unpublished { engine: self, placed: Some(placed) };
        let Some(placed) = &mut unpublished.placed else { return Ok((0, 0)) };
        // A region that was just adopted is zero.
        let clear = matches!(placed.home, Home::Run(_));
        let sum = match content {
            Content::Bytes(bytes) => {
                placed.owned.fill(raw, BLOCK_HEADER, bytes);
                if summed { header.sum_with(bytes) } else { header.sum() }
            }
            Content::Filled(count, fill) => {
                placed.owned.fill_with(raw, (BLOCK_HEADER, count), |bytes| {
                    if clear {
                        bytes.fill(0);
                    }
                    fill(bytes);
                    if summed { header.sum_with(bytes) } else { header.sum() }
                })
            }
        };
        header.checksum = U32::new(sum);
        placed.owned.fill(raw, 0, header.as_bytes());
        let done = (placed.class, placed.owned.at());
        unpublished.placed = None;
        drop(unpublished);
        self.state.written += len;
        Ok(done)
    }

    /// Writes a block as it is, header and payload, to new space; returns its class and where it
    /// starts.
    pub(crate) fn take_over(&mut self, bytes: &[u8]) -> Result<(u8, u64)> {
        let mut placed = self.place(bytes.len() as u64 - BLOCK_HEADER)?;
        placed.owned.fill(&self.shared.raw, 0, bytes);
        Ok((placed.class, placed.owned.at()))
    }

    /// Takes space for a block of `len` bytes.
    fn place(&mut self, len: u64) -> Result<Placed> {
        let bytes = BLOCK_HEADER + len;
        let grains = bytes.div_ceil(GRAIN);
        if let Some(grains) = u32::try_from(grains).ok().filter(|grains| *grains <= GRAINS_MAX) {
            let run = self.take_run(grains)?;
            let owned = Owned::taken(run.at(), u64::from(run.grains) * GRAIN);
            return Ok(Placed { owned, class: class_of(grains), home: Home::Run(run) });
        }
        let number = self.adopt(Wanted::of(Kind::Oversize, REGION_HEADER + bytes))?;
        let Some(region) = self.state.region(number) else {
            return Err(Error::corrupt(self.shared.path(), ("region", 0), 0, u64::from(number)));
        };
        let owned = Owned::taken(region.base(), region.range.end() - region.base());
        Ok(Placed { owned, class: OVERSIZE, home: Home::Region(number) })
    }

    fn unplace(&mut self, home: Home) {
        match home {
            Home::Run(run) => {
                self.zero_run(run);
                if let Some((_, region)) = self.state.holding(run.at()) {
                    region.free += u64::from(run.grains);
                }
                self.state.space.free(run);
            }
            Home::Region(number) => {
                // It was just adopted, so its number has a pair.
                if let Err(error) = self.give_back(number) {
                    tracing::warn!(%error, number, "region not given back");
                }
            }
        }
    }

    /// Takes a run of a heap region; the file grows if it must.
    fn take_run(&mut self, grains: u32) -> Result<Run> {
        loop {
            if let Some(run) = self.state.space.take(grains) {
                let end = run.at() + u64::from(run.grains) * GRAIN;
                let mut unprepared = false;
                if let Some((_, region)) = self.state.holding(run.at()) {
                    region.free -= u64::from(run.grains);
                    unprepared = region.prepared < end;
                }
                if unprepared && let Err(error) = self.prepare(run.at(), end) {
                    self.unplace(Home::Run(run));
                    return Err(error);
                }
                return Ok(run);
            }
            let more = self.state.space.sweep_much()
                || self.reclaim()
                || self.load_some_region()
                || self.sweep_crumbs();
            if !more {
                self.grow_heap()?;
            }
        }
    }

    fn sweep_crumbs(&mut self) -> bool {
        let all = self.state.heap_bytes / GRAIN;
        all <= self.state.space.crumbs() * CRUMBS && self.state.space.sweep_some()
    }

    /// The word of a pair that the last commit names.
    pub(crate) fn committed(&self, at: u64) -> crate::word::Word {
        self.shared.pair(at).word(self.shared.tag(), View::Committed)
    }
}
