//! Blocks of unknown length: a region of one block that grows while it is written, then is cut to
//! what was written and published.
//!
//! Its directory word is of the open epoch and no slot names it, so whatever ends the writing
//! leaves a region that an open, or the writer's drop, gives back.

use zerocopy::{IntoBytes, little_endian::U32};

use crate::{
    class::GRAIN,
    engine::{Engine, adopt::region_len, block::LEN_MAX},
    error::{ErrorKind, Result},
    id::BlockId,
    layout::{BLOCK_HEADER, BlockHeader, KIND_PLAIN, KIND_SUMMED, REGION_HEADER},
    ranges::Range,
    region::{Region, lifecycle::Owned},
    retired::Waste,
    store::Store,
    units::Kind,
    word::OVERSIZE,
};

/// Bytes that are read together where a content is copied or summed.
const PIECE: usize = 256 << 10;
/// The shortest region to begin with, payload.
const FIRST: u64 = 1 << 20;

/// Space for one block that is being written.
#[derive(Debug)]
pub(crate) struct Stretch {
    number: u32,
    owned: Owned,
}

impl Stretch {
    /// Bytes of payload that there is room for.
    pub(crate) fn capacity(&self) -> u64 {
        self.owned.len() - BLOCK_HEADER
    }

    /// The number of the region, which nobody writes any more.
    pub(crate) fn into_number(self) -> u32 {
        self.number
    }

    /// Where in the file byte `offset` of the payload lies.
    pub(crate) fn place(&self, offset: u64) -> u64 {
        self.owned.at() + BLOCK_HEADER + offset
    }
}

/// What is known of the payload of a stretch at its end.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) len: u64,
    /// The caller's bits; those of the block before where there are none.
    pub(crate) flags: Option<u32>,
    /// The checksum of the payload alone, where all of it was seen in order.
    pub(crate) sum: Option<crc32fast::Hasher>,
}

/// Bytes of a region for `payload`.
fn len_for(payload: u64) -> u64 {
    region_len(REGION_HEADER + BLOCK_HEADER + payload)
}

impl Engine<'_> {
    /// Takes a region for at least `least` bytes of payload: in free space that has room for
    /// `hint`, where that is known, or else at the front of the longest, or at the end of the file.
    pub(crate) fn begin_stretch(&mut self, least: u64, hint: Option<u64>) -> Result<Stretch> {
        self.touch()?;
        self.reclaim();
        let likely = hint.unwrap_or(0).min(LEN_MAX).max(least);
        let ranges = &mut self.state.ranges;
        let found = match hint {
            Some(_) => ranges.take(len_for(likely)),
            None => ranges.take_of_longest(len_for(least.max(FIRST))),
        };
        match found {
            Some(range) => {
                let range = self.zeroed(range)?;
                self.install_stretch(range)
            }
            None => self.begin_at_end(least),
        }
    }

    fn begin_at_end(&mut self, least: u64) -> Result<Stretch> {
        // The directory may grow for the number, so the end of the file is looked for behind it.
        let number = self.vacant_number(Kind::Oversize)?;
        self.state.numbers.vacant.push(u64::from(number));
        let end = self.state.ranges.tail(self.shared.raw.len());
        let range =
            self.with_less(least, |engine, payload| engine.take_tail(end, len_for(payload)))?;
        self.install_stretch(range)
    }

    /// Calls `take` with an eighth more than `least`, and with `least` alone where there is no
    /// space for that.
    fn with_less<T>(
        &mut self,
        least: u64,
        mut take: impl FnMut(&mut Self, u64) -> Result<T>,
    ) -> Result<T> {
        match take(self, (least + least / 8).max(FIRST)) {
            Err(error) if error.kind() == ErrorKind::OutOfSpace => take(self, least),
            other => other,
        }
    }

    fn install_stretch(&mut self, range: Range) -> Result<Stretch> {
        let number = match self.vacant_number(Kind::Oversize) {
            Ok(number) => number,
            Err(error) => {
                self.state.ranges.give(range);
                return Err(error);
            }
        };
        let region = Region::new(Kind::Oversize, range);
        self.install(number, region)?;
        let owned = Owned::taken(region.base(), range.end() - region.base());
        Ok(Stretch { number, owned })
    }

    /// Makes room for `least` bytes of payload, of which `len` are written; the content moves where
    /// the space behind it is another's.
    pub(crate) fn extend_stretch(
        &mut self,
        stretch: &mut Stretch,
        (least, len): (u64, u64),
    ) -> Result<()> {
        self.touch()?;
        let Some(region) = self.state.region(stretch.number).copied() else { return Ok(()) };
        let longer = self.with_less(least, |engine, payload| {
            engine.take_behind(region.range, len_for(payload))
        })?;
        match longer {
            Some(range) => {
                self.reinstall(stretch, Region { range, prepared: range.end(), ..region })
            }
            None => self.move_stretch(stretch, (least, len)),
        }
    }

    /// Takes the space behind a range, which is `len` bytes long then; `None` where it is another's.
    fn take_behind(&mut self, range: Range, len: u64) -> Result<Option<Range>> {
        let (end, more) = (range.end(), len.saturating_sub(range.len));
        if let Some(behind) = self.state.ranges.take_from(end, more) {
            self.zeroed(behind)?;
        } else if self.state.ranges.tail(self.shared.raw.len()) == end {
            self.take_tail(end, more)?;
        } else {
            return Ok(None);
        }
        Ok(Some(Range { start: range.start, len }))
    }

    /// Gives the region of a stretch another length.
    fn reinstall(&mut self, stretch: &mut Stretch, region: Region) -> Result<()> {
        self.state.leave(stretch.number);
        self.install(stretch.number, region)?;
        stretch.owned.resize(region.range.end() - region.base());
        Ok(())
    }

    /// Copies what is written to the end of the file, where there is room for more.
    fn move_stretch(&mut self, stretch: &mut Stretch, (least, len): (u64, u64)) -> Result<()> {
        let mut moved = self.begin_at_end(least)?;
        let raw = &self.shared.raw;
        let copied = for_each_piece(len, |offset, piece| {
            stretch.owned.read(raw, BLOCK_HEADER + offset, piece)?;
            moved.owned.write(raw, BLOCK_HEADER + offset, piece)
        });
        if let Err(error) = copied {
            self.end_stretch(moved);
            return Err(error);
        }
        let old = std::mem::replace(stretch, moved);
        self.end_stretch(old);
        Ok(())
    }

    /// Writes a piece of the payload.
    pub(crate) fn write_stretch(
        &mut self,
        stretch: &mut Stretch,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        stretch.owned.write(&self.shared.raw, BLOCK_HEADER + offset, bytes)
    }

    /// Gives up what was written: its space is free at once, but for pins.
    pub(crate) fn end_stretch(&mut self, stretch: Stretch) {
        let number = stretch.into_number();
        if let Err(error) = self.give_back(number) {
            // It was adopted, so its number has a pair.
            tracing::warn!(%error, number, "region not given back");
        }
        self.reclaim();
        self.cut_tail();
    }

    /// Publishes what was written as the content of `id`, or of a new block; on an error the
    /// stretch is given up.
    pub(crate) fn publish_stretch(
        &mut self,
        (store, id): (&Store, Option<BlockId>),
        mut stretch: Stretch,
        payload: &Payload,
    ) -> Result<BlockId> {
        let ready = self.finish_stretch((store, id), &mut stretch, payload);
        let (id, at, is_new) = match ready {
            Ok(ready) => ready,
            Err(error) => {
                self.end_stretch(stretch);
                return Err(error);
            }
        };
        let before = self.publish(at, OVERSIZE, stretch.owned.at() / GRAIN);
        self.state.written += payload.len;
        if is_new {
            self.state.indices(store.number).live += 1;
            return Ok(id);
        }
        self.retire_word(before)?;
        Ok(id)
    }

    /// Cuts the region, writes the block's header; returns id and slot, and whether both are new.
    fn finish_stretch(
        &mut self,
        (store, id): (&Store, Option<BlockId>),
        stretch: &mut Stretch,
        payload: &Payload,
    ) -> Result<(BlockId, u64, bool)> {
        self.touch()?;
        let sum = match (&payload.sum, store.is_summed()) {
            (_, false) => None,
            (Some(sum), true) => Some(sum.clone()),
            (None, true) => Some(self.sum_stretch(stretch, payload.len)?),
        };
        self.trim_stretch(stretch, payload.len)?;
        let (id, at, flags, is_new) = match id {
            None => {
                let (id, at) = self.take_id(store)?;
                (id, at, 0, true)
            }
            Some(id) => {
                let (found, at) = self.find(store, id)?;
                (id, at, self.shared.header(found.at).flags.get(), false)
            }
        };
        let kind = if store.is_summed() { KIND_SUMMED } else { KIND_PLAIN };
        let flags = payload.flags.unwrap_or(flags);
        let mut header = BlockHeader::new(id.to_bits(), payload.len, (kind, flags));
        header.checksum = U32::new(match sum {
            Some(sum) => header.sum_before(&sum),
            None => header.sum(),
        });
        stretch.owned.fill(&self.shared.raw, 0, header.as_bytes());
        Ok((id, at, is_new))
    }

    fn sum_stretch(&self, stretch: &Stretch, len: u64) -> Result<crc32fast::Hasher> {
        let mut sum = crc32fast::Hasher::new();
        for_each_piece(len, |offset, piece| {
            stretch.owned.read(&self.shared.raw, BLOCK_HEADER + offset, piece)?;
            sum.update(piece);
            Ok(())
        })?;
        Ok(sum)
    }

    /// Cuts the region to what `payload` bytes need.
    fn trim_stretch(&mut self, stretch: &mut Stretch, payload: u64) -> Result<()> {
        let Some(region) = self.state.region(stretch.number).copied() else { return Ok(()) };
        let Range { start, len } = region.range;
        let short = len_for(payload);
        if len <= short {
            return Ok(());
        }
        let range = Range { start, len: short };
        self.reinstall(stretch, Region { range, prepared: range.end(), ..region })?;
        self.retire(true, Waste::Range(Range { start: range.end(), len: len - short }));
        Ok(())
    }
}

/// Calls `each` with the offsets of pieces of `len` bytes and memory for them.
fn for_each_piece(len: u64, mut each: impl FnMut(u64, &mut [u8]) -> Result<()>) -> Result<()> {
    let mut memory = vec![0; PIECE];
    let mut offset = 0;
    while offset < len {
        let most = usize::try_from(len - offset).unwrap_or(PIECE).min(PIECE);
        each(offset, &mut memory[..most])?;
        offset += most as u64;
    }
    Ok(())
}
