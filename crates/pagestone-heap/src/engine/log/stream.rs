//! Entries of unknown length: behind the end of the newest segment, or in a region of one block
//! that grows while it is written and then becomes a segment.
//!
//! No slot names what is written and no end lies behind it, so whatever ends the writing leaves
//! nothing that counts: an open, or the writer's drop, gives the region back.

use std::sync::atomic::Ordering;

use zerocopy::{
    FromZeros, IntoBytes,
    little_endian::{U32, U64},
};

use super::Entry;
use crate::{
    class::GRAIN,
    engine::{Engine, Stretch, adopt::region_len},
    error::Result,
    id::BlockId,
    layout::{BLOCK_HEADER, ENTRY_HEADER, EntryHeader, REGION_HEADER},
    ranges::Range,
    region::{Region, lifecycle::Owned},
    retired::Waste,
    store::Store,
    units::Kind,
    word::ENTRY,
};

/// Bytes that are moved together.
const PIECE: usize = 256 << 10;
/// Bytes by which the header of an entry is longer than that of a block.
const LONGER: u64 = ENTRY_HEADER - BLOCK_HEADER;
/// Bytes of a page.
const PAGE: u64 = 4096;

/// Space for one entry that is being written.
#[derive(Debug)]
pub(crate) enum Draft {
    /// Behind the end of the segment of this number.
    Behind(u32, Owned),
    /// In a region of its own.
    Apart(Stretch),
}

/// What is known of the payload of a draft at its end.
#[derive(Debug)]
pub(crate) struct Drafted {
    pub(crate) len: u64,
    pub(crate) room: Option<u64>,
    /// The checksum of the payload alone.
    pub(crate) sum: crc32fast::Hasher,
}

/// Where a finished draft is named.
#[derive(Debug, Clone, Copy)]
struct Named {
    id: BlockId,
    slot: u64,
    /// The entry that it replaces.
    old: Option<Entry>,
}

impl Draft {
    /// Bytes of payload that there is room for.
    pub(crate) fn capacity(&self) -> u64 {
        match self {
            Self::Behind(_, owned) => owned.len() - ENTRY_HEADER,
            Self::Apart(stretch) => stretch.capacity() - LONGER,
        }
    }
}

impl Engine<'_> {
    /// Takes space for at least `least` bytes of payload.
    pub(crate) fn begin_draft(&mut self, store: &Store, least: u64) -> Result<Draft> {
        self.touch()?;
        if let Some((number, owned)) = self.room_behind(store)
            && ENTRY_HEADER + least <= owned.len()
        {
            self.prepare(owned.at(), owned.at() + ENTRY_HEADER)?;
            return Ok(Draft::Behind(number, owned));
        }
        Ok(Draft::Apart(self.begin_stretch(least + LONGER, None)?))
    }

    /// What is left of the segment that is appended to.
    fn room_behind(&mut self, store: &Store) -> Option<(u32, Owned)> {
        let number = self.segments(store).active?;
        let Region { range, segment, .. } = *self.segment_of(store.number, number)?;
        let end = range.end();
        let fits = !segment.sealed && segment.end + ENTRY_HEADER <= end;
        fits.then(|| (number, Owned::taken(segment.end, end - segment.end)))
    }

    /// Makes room for `least` bytes of payload, of which `len` are written; they move where they
    /// have to.
    pub(crate) fn extend_draft(
        &mut self,
        draft: &mut Draft,
        (least, len): (u64, u64),
    ) -> Result<()> {
        if least <= draft.capacity() {
            return Ok(());
        }
        let owned = match draft {
            Draft::Apart(stretch) => {
                return self.extend_stretch(stretch, (least + LONGER, len + LONGER));
            }
            Draft::Behind(_, owned) => owned,
        };
        let mut stretch = self.begin_stretch(least + LONGER, None)?;
        let mut memory = vec![0; PIECE];
        let mut done = 0;
        while done < len {
            let most = usize::try_from(len - done).unwrap_or(PIECE).min(PIECE);
            let piece = &mut memory[..most];
            let copied = owned
                .read(&self.shared.raw, ENTRY_HEADER + done, piece)
                .and_then(|()| self.write_stretch(&mut stretch, LONGER + done, piece));
            if let Err(error) = copied {
                self.end_stretch(stretch);
                return Err(error);
            }
            done += most as u64;
        }
        let old = std::mem::replace(draft, Draft::Apart(stretch));
        self.end_draft(old, len);
        Ok(())
    }

    /// Writes a piece of the payload.
    pub(crate) fn write_draft(
        &mut self,
        draft: &mut Draft,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        match draft {
            Draft::Behind(_, owned) => owned.write(&self.shared.raw, ENTRY_HEADER + offset, bytes),
            Draft::Apart(stretch) => self.write_stretch(stretch, LONGER + offset, bytes),
        }
    }

    /// Gives up what was written, `len` bytes.
    pub(crate) fn end_draft(&mut self, draft: Draft, len: u64) {
        let mut owned = match draft {
            Draft::Apart(stretch) => return self.end_stretch(stretch),
            Draft::Behind(_, owned) => owned,
        };
        // What looks like entries there must not be met by who walks on behind a shorter one.
        let zeros = vec![0; PIECE];
        let mut done = 0;
        while done < len {
            let most = usize::try_from(len - done).unwrap_or(PIECE).min(PIECE);
            let piece = &zeros[..most];
            if let Err(error) = owned.write(&self.shared.raw, ENTRY_HEADER + done, piece) {
                // The checksums and the slots tell.
                tracing::warn!(%error, "what was written is not cleared");
                return;
            }
            done += most as u64;
        }
    }

    /// Publishes what was written as the content of `id`, or of a new entry; on an error the draft
    /// is given up.
    pub(crate) fn publish_draft(
        &mut self,
        (store, id): (&Store, Option<BlockId>),
        mut draft: Draft,
        drafted: &Drafted,
    ) -> Result<BlockId> {
        let named = match self.name_draft((store, id), &mut draft, drafted) {
            Ok(named) => named,
            Err(error) => {
                self.end_draft(draft, drafted.len);
                return Err(error);
            }
        };
        let entered = match draft {
            Draft::Behind(number, owned) => Ok((number, owned)),
            Draft::Apart(stretch) => self.enter_draft(store, stretch, drafted),
        };
        if entered.is_err() && named.old.is_none() {
            self.untake_id(store, named.id);
        }
        let (number, owned) = entered?;
        let Some(region) = self.state.region(number).copied() else {
            return Err(self.corrupt(("segment", 0), 0, u64::from(number)));
        };
        let header = self.write_draft_header((named.id, &region), owned, drafted);
        let end = region.segment.end + header.stride();
        if let Some(region) = self.state.region_mut(number) {
            (region.segment.end, region.segment.live) =
                (end, region.segment.live + header.stride());
            let there = end.next_multiple_of(PAGE).min(region.range.end());
            region.prepared = region.prepared.max(there);
        }
        self.state.written += drafted.len;
        self.publish(named.slot, ENTRY, (end - header.stride()) / GRAIN);
        let (index, generation) = (named.id.index(), named.id.generation());
        self.segments(store).known.note(index, generation, header.stride());
        match named.old {
            None => self.count_new(store, named.id),
            Some(old) => self.drop_live(&old),
        }
        store.count_change();
        Ok(named.id)
    }

    /// Makes room for the room, and finds where the draft is named.
    fn name_draft(
        &mut self,
        (store, id): (&Store, Option<BlockId>),
        draft: &mut Draft,
        drafted: &Drafted,
    ) -> Result<Named> {
        self.touch()?;
        let held = drafted.len.max(drafted.room.unwrap_or(0)).next_multiple_of(GRAIN);
        self.extend_draft(draft, (held, drafted.len))?;
        let Some(id) = id else {
            let (id, slot) = self.take_id(store)?;
            return Ok(Named { id, slot, old: None });
        };
        let old = self.find_entry(store, id)?;
        Ok(Named { id, slot: old.slot, old: Some(old) })
    }

    /// Makes the region of a draft the newest segment of its log, cut to what a segment for this
    /// entry has.
    fn enter_draft(
        &mut self,
        store: &Store,
        stretch: Stretch,
        drafted: &Drafted,
    ) -> Result<(u32, Owned)> {
        let (share, first) = (self.share(store), self.segments(store).next);
        let number = stretch.into_number();
        let Some(Region { range, .. }) = self.state.leave(number) else {
            return Err(self.corrupt(("segment", 0), 0, u64::from(number)));
        };
        let held = drafted.len.max(drafted.room.unwrap_or(0));
        let wanted = region_len(REGION_HEADER + ENTRY_HEADER + held + share).min(range.len);
        // A length that can be said, as that of the region is.
        let kept = Range { start: range.start, len: wanted };
        let prepared = range.start + PAGE;
        let region = Region::new(Kind::Segment, kept);
        self.install(number, Region { store: store.number, first, prepared, ..region })?;
        if wanted < range.len {
            let rest = Range { start: kept.end(), len: range.len - wanted };
            self.retire(true, Waste::Range(rest));
        }
        self.enter_segment(store, number)?;
        let base = region.base();
        Ok((number, Owned::taken(base, kept.end() - base)))
    }

    /// Writes the header before the payload, its first word last.
    fn write_draft_header(
        &mut self,
        (id, region): (BlockId, &Region),
        mut owned: Owned,
        drafted: &Drafted,
    ) -> EntryHeader {
        let (raw, at) = (&self.shared.raw, owned.at());
        let mut header = EntryHeader::new_zeroed();
        header.id = U64::new(id.to_bits());
        header.sequence = U64::new(region.sequence_at(at));
        header.len = U32::new(u32::try_from(drafted.len).unwrap_or(u32::MAX));
        if let Some(room) = drafted.room {
            let room = room.max(drafted.len).next_multiple_of(GRAIN);
            header.room = U32::new(u32::try_from(room).unwrap_or(0));
            header.room_checksum = U32::new(header.room_sum(region.seed()));
        }
        header.checksum = U32::new(header.sum_before(region.seed(), &drafted.sum));
        if raw.load(at, Ordering::Relaxed) != 0 {
            raw.store(at, 0, Ordering::Release);
        }
        owned.fill(raw, 8, header.as_bytes().get(8..).unwrap_or_default());
        raw.store(at, header.id.get(), Ordering::Release);
        header
    }
}
