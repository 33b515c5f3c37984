//! Entries: appended to the newest segment of a log, published in a slot.

mod check; // entries against slots
mod ends; // where segments end
mod committed; // what a file that is open for reading tells of its segments
mod evacuation; // entries move, segments are given back
mod slack; // room behind payloads, and changes in it
mod stream; // entries of unknown length

pub(crate) use stream::{Draft, Drafted};

use std::sync::atomic::Ordering;

use zerocopy::{
    FromZeros, IntoBytes,
    little_endian::{U32, U64},
};

use crate::{
    class::GRAIN,
    engine::{
        Engine,
        adopt::{Wanted, region_len},
        index::SPENT,
    },
    error::{Error, Result},
    id::{BlockId, GENERATION_MAX},
    layout::{ENTRY_HEADER, EntryHeader, REGION_HEADER, TOMBSTONE_LEN, UNIT},
    region::{fitting, lifecycle::Owned},
    segments::{Segment, Segments},
    shared::Found,
    store::Store,
    units::Kind,
    word::{ENTRY, TOMBSTONE},
};

/// Segments are this part of all bytes of their log, within the bounds of the file.
const GROWTH: u64 = 16;
/// The shortest segment.
const SEGMENT_MIN: u64 = 1 << 20;

/// What follows the committed end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing: the file was closed.
    None,
    /// What a killed writer appended.
    Kept,
    /// What is undone.
    Undone,
}

/// What is appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'b> {
    pub(crate) payload: &'b [u8],
    /// Bytes that payloads at its place can have, where they shall change there.
    pub(crate) room: Option<u64>,
}

/// How far an evacuation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Where the next step goes on; `None` when the segment was given back.
    pub(crate) next: Option<u64>,
    /// Bytes that were moved.
    pub(crate) bytes: u64,
}

impl Engine<'_> {
    /// Adds an entry.
    pub(crate) fn log_add(&mut self, store: &Store, entry: Given<'_>) -> Result<BlockId> {
        self.touch()?;
        self.check_entry(entry)?;
        let (id, slot) = self.take_id(store)?;
        match self.append(store, id, entry) {
            Ok(at) => {
                self.publish(slot, ENTRY, at / GRAIN);
                self.count_new(store, id);
                store.count_change();
                Ok(id)
            }
            Err(error) => {
                self.untake_id(store, id);
                Err(error)
            }
        }
    }

    /// Counts an entry of an id that was just taken.
    fn count_new(&mut self, store: &Store, id: BlockId) {
        self.state.indices(store.number).live += 1;
        if id.generation() != store.generation {
            let segments = self.segments(store);
            segments.removed = segments.removed.saturating_sub(1);
        }
    }

    /// Appends an entry under an id of another file, and publishes it in the slot at `slot`.
    pub(crate) fn append_as(
        &mut self,
        store: &Store,
        (id, slot): (BlockId, u64),
        entry: Given<'_>,
    ) -> Result<()> {
        let at = self.append(store, id, entry)?;
        self.publish(slot, ENTRY, at / GRAIN);
        Ok(())
    }

    /// Replaces the payload of an entry.
    pub(crate) fn log_update(
        &mut self,
        store: &Store,
        id: BlockId,
        entry: Given<'_>,
    ) -> Result<()> {
        self.touch()?;
        self.check_entry(entry)?;
        let (found, slot) = self.find_entry(store, id)?;
        let at = self.append(store, id, entry)?;
        self.publish(slot, ENTRY, at / GRAIN);
        self.drop_live(store, found.at);
        store.count_change();
        Ok(())
    }

    /// Removes an entry; its id is refused from here on.
    pub(crate) fn log_remove(&mut self, store: &Store, id: BlockId) -> Result<()> {
        self.touch()?;
        let (found, slot) = self.find_entry(store, id)?;
        self.append_tombstone(store, (id, None))?;
        let next = id.generation() + 1;
        let spent = GENERATION_MAX < next;
        self.publish(slot, TOMBSTONE, if spent { SPENT } else { u64::from(next) });
        self.drop_live(store, found.at);
        self.segments(store).removed += 1;
        store.count_change();
        let indices = self.state.indices(store.number);
        indices.live = indices.live.saturating_sub(1);
        if !spent {
            indices.vacant.push(id.index());
        }
        Ok(())
    }

    /// The newest entry of an id, and its slot.
    fn find_entry(&self, store: &Store, id: BlockId) -> Result<(Found, u64)> {
        let found = self.shared.find_entry(store, id)?;
        match store.parts.pair(id.index()) {
            Some(slot) => Ok((found, slot)),
            None => Err(Error::stale(self.shared.path(), id, "no such slot")),
        }
    }

    fn segments(&mut self, store: &Store) -> &mut Segments {
        self.state.logs.entry(store.number).or_default()
    }

    /// Appends an entry; returns where it starts.
    fn append(&mut self, store: &Store, id: BlockId, entry: Given<'_>) -> Result<u64> {
        let Given { payload, room } = entry;
        let mut header = EntryHeader::new_zeroed();
        header.id = U64::new(id.to_bits());
        header.len = U32::new(u32::try_from(payload.len())?);
        if let Some(room) = room {
            let room = room.max(payload.len() as u64).next_multiple_of(GRAIN);
            header.room = U32::new(u32::try_from(room)?);
        }
        let number = self.make_room(store, header.stride())?;
        let at = self.write_entry((store, number), (header, None), payload)?;
        self.add_live(store, number, &header);
        self.state.written += payload.len() as u64;
        Ok(at)
    }

    /// Counts an entry that is about to be named by a slot.
    fn add_live(&mut self, store: &Store, number: u32, header: &EntryHeader) {
        let segments = self.segments(store);
        if segments.counted
            && let Some(segment) = segments.by_number.get_mut(&number)
        {
            segment.live += header.stride();
        }
    }

    fn append_tombstone(
        &mut self,
        store: &Store,
        (id, sequence): (BlockId, Option<u64>),
    ) -> Result<u64> {
        let number = self.make_room(store, ENTRY_HEADER)?;
        let mut header = EntryHeader::new_zeroed();
        header.id = U64::new(id.to_bits());
        header.len = U32::new(TOMBSTONE_LEN);
        self.write_entry((store, number), (header, sequence), &[])
    }

    /// Writes an entry behind the last one of a segment that has room; the first word comes last,
    /// so that whoever walks the segment finds nothing before all of it is there.
    ///
    /// Its sequence follows from its place, unless it keeps one that it had elsewhere.
    fn write_entry(
        &mut self,
        (store, number): (&Store, u32),
        (mut header, sequence): (EntryHeader, Option<u64>),
        payload: &[u8],
    ) -> Result<u64> {
        let stride = header.stride();
        let segment = self.segments(store).by_number.get(&number).copied();
        let region = self.state.region(number).copied();
        let (Some(segment), Some(region)) = (segment, region) else {
            return Err(self.corrupt(("segment", 0), 0, u64::from(number)));
        };
        let at = segment.end;
        self.prepare(at, at + stride)?;
        header.sequence = U64::new(sequence.unwrap_or_else(|| region.sequence_at(at)));
        if header.has_room() {
            header.room_checksum = U32::new(header.room_sum(region.incarnation));
        }
        header.checksum = U32::new(header.sum(region.incarnation, payload));
        let raw = &self.shared.raw;
        if raw.load(at, Ordering::Relaxed) != 0 {
            // What a killed writer began lies here.
            raw.store(at, 0, Ordering::Release);
        }
        let mut owned = Owned::taken(at, stride);
        owned.fill(raw, ENTRY_HEADER, payload);
        owned.fill(raw, 8, header.as_bytes().get(8..).unwrap_or_default());
        raw.store(at, header.id.get(), Ordering::Release);
        if let Some(segment) = self.segments(store).by_number.get_mut(&number) {
            segment.end = at + stride;
        }
        Ok(at)
    }

    /// The segment that is appended to, with room for `stride` bytes.
    fn make_room(&mut self, store: &Store, stride: u64) -> Result<u32> {
        let segments = self.segments(store);
        let active = segments.active.and_then(|number| {
            let segment = segments.by_number.get(&number)?;
            (!segment.sealed).then_some((number, segment.end))
        });
        if let Some((number, end)) = active
            && let Some(region) = self.state.region(number)
            && end + stride <= region.range.end()
        {
            return Ok(number);
        }
        let share = self.share(store);
        // An entry that is longer than its share leaves room behind it all the same.
        let len = if share / 2 < stride { share + stride } else { share };
        self.adopt_segment(store, REGION_HEADER + len)
    }

    /// Adopts a segment that is appended to from here on.
    fn adopt_segment(&mut self, store: &Store, len: u64) -> Result<u32> {
        let first = self.segments(store).next;
        let wanted = Wanted { store: store.number, first, ..Wanted::of(Kind::Segment, len) };
        let number = self.adopt(wanted)?;
        self.enter_segment(store, number)?;
        Ok(number)
    }

    /// Sees to it that the next entry, which takes `stride` bytes, finds room, where it and all
    /// behind it take `left` bytes: segments get no longer than that.
    pub(crate) fn reserve_segment(
        &mut self,
        store: &Store,
        (stride, left): (u64, u64),
    ) -> Result<()> {
        let room = self.segments(store).active.and_then(|number| {
            let end = self.segment_mut(number, store.number)?.end;
            Some(self.state.region(number)?.range.end() - end)
        });
        if room.is_some_and(|room| stride <= room) {
            return Ok(());
        }
        // The end of a segment may be too short for the next entry.
        let wanted = (REGION_HEADER + left + left / 256).min(self.shared.options.region_size);
        let least = region_len(REGION_HEADER + stride);
        self.adopt_segment(store, least.max(fitting(wanted.next_multiple_of(UNIT)))).map(drop)
    }

    /// How long segments of a log are.
    fn share(&mut self, store: &Store) -> u64 {
        let share = 1_u64 << (self.segments(store).bytes / GROWTH).max(1).ilog2();
        share.clamp(SEGMENT_MIN, self.shared.options.region_size)
    }

    /// Appends to a segment that was just adopted from here on.
    fn enter_segment(&mut self, store: &Store, number: u32) -> Result<()> {
        let Some(region) = self.state.region(number).copied() else {
            return Err(self.corrupt(("segment", 0), 0, u64::from(number)));
        };
        let segments = self.segments(store);
        let (end, live) = (region.base(), 0);
        segments.by_number.insert(number, Segment { end, told: end, sealed: false, live });
        segments.active = Some(number);
        segments.bytes += region.range.len;
        segments.next = region.sequence_at(region.range.end());
        Ok(())
    }

    /// Takes the entry at `at`, which counts no more, out of what its segment has.
    fn drop_live(&mut self, store: &Store, at: u64) {
        if !self.segments(store).counted {
            return;
        }
        let Some((number, _)) = self.state.holding(at) else { return };
        let header = self.shared.entry_header(at);
        let segments = self.segments(store);
        if let Some(segment) = segments.by_number.get_mut(&number) {
            segment.live = segment.live.saturating_sub(header.stride());
        }
    }
}
