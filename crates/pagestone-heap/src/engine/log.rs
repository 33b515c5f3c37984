//! Entries: appended to the newest segment of a log, published in a slot.

mod check; // entries against slots
mod ends; // where segments end
mod slots; // what slots name, after an open
mod committed; // what a file that is open for reading tells of its segments
mod run; // entries that are appended together
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
    region::{Region, fitting, lifecycle::Owned},
    segments::{Segment, Segments},
    store::Store,
    units::Kind,
    word::{ENTRY, TOMBSTONE},
};

/// Segments are this part of all bytes of their log, within the bounds of the file.
const GROWTH: u64 = 16;
/// The shortest segment.
const SEGMENT_MIN: u64 = 1 << 20;
/// Payloads of so many bytes are written by a system call: no page fault, and no zeros before.
const LONG: usize = 16 << 10;

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

/// The newest entry of an id.
#[derive(Debug, Clone, Copy)]
struct Entry {
    slot: u64,
    at: u64,
    stride: u64,
}

impl Engine<'_> {
    /// Adds an entry.
    pub(crate) fn log_add(&mut self, store: &Store, entry: Given<'_>) -> Result<BlockId> {
        self.touch()?;
        self.check_entry(entry)?;
        let (id, slot) = self.take_id(store)?;
        match self.append_as(store, (id, slot), entry) {
            Ok(()) => {
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
    #[inline]
    fn count_new(&mut self, store: &Store, id: BlockId) {
        self.state.indices(store.number).live += 1;
        if id.generation() != store.generation
            && let Some(removed) = &mut self.segments(store).removed
        {
            *removed = removed.saturating_sub(1);
        }
    }

    /// Appends an entry under an id, and publishes it in the slot at `slot`.
    #[inline]
    pub(crate) fn append_as(
        &mut self,
        store: &Store,
        (id, slot): (BlockId, u64),
        entry: Given<'_>,
    ) -> Result<()> {
        let (at, stride) = self.append(store, id, entry)?;
        self.publish(slot, ENTRY, at / GRAIN);
        self.segments(store).known.note(id.index(), id.generation(), stride);
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
        let old = self.find_entry(store, id)?;
        self.append_as(store, (id, old.slot), entry)?;
        self.drop_live(&old);
        store.count_change();
        Ok(())
    }

    /// Removes an entry; its id is refused from here on.
    pub(crate) fn log_remove(&mut self, store: &Store, id: BlockId) -> Result<()> {
        self.touch()?;
        let old = self.find_entry(store, id)?;
        self.append_tombstone(store, (id, None))?;
        let next = id.generation() + 1;
        let spent = GENERATION_MAX < next;
        self.publish(old.slot, TOMBSTONE, if spent { SPENT } else { u64::from(next) });
        self.segments(store).known.forget(id.index());
        self.drop_live(&old);
        if let Some(removed) = &mut self.segments(store).removed {
            *removed += 1;
        }
        store.count_change();
        let indices = self.state.indices(store.number);
        indices.live = indices.live.saturating_sub(1);
        if !spent {
            indices.give(id.index());
        }
        Ok(())
    }

    /// The newest entry of an id. Of one that was seen before the slot alone is looked at.
    #[inline]
    fn find_entry(&mut self, store: &Store, id: BlockId) -> Result<Entry> {
        let log = self.state.logs.get(&store.number);
        let stride = log.and_then(|log| log.known.stride(id.index(), id.generation()));
        if let Some(stride) = stride {
            let slot = store.parts.quick(id.index());
            let word = self.newest(slot);
            if word.class() == ENTRY && !word.is_empty() {
                return Ok(Entry { slot, at: word.body() * GRAIN, stride });
            }
        }
        self.look_entry_up(store, id)
    }

    #[inline(never)]
    fn look_entry_up(&mut self, store: &Store, id: BlockId) -> Result<Entry> {
        let found = self.shared.find_entry(store, id)?;
        let stride = self.shared.entry_header(found.at).stride();
        match store.parts.pair(id.index()) {
            Some(slot) => Ok(Entry { slot, at: found.at, stride }),
            None => Err(Error::stale(self.shared.path(), id, "no such slot")),
        }
    }

    fn segments(&mut self, store: &Store) -> &mut Segments {
        self.state.logs.entry(store.number).or_default()
    }

    /// Appends an entry; returns where it starts, and its bytes.
    #[inline]
    fn append(&mut self, store: &Store, id: BlockId, entry: Given<'_>) -> Result<(u64, u64)> {
        let header = entry_header(id, entry)?;
        let number = self.make_room(store, header.stride())?;
        let at = self.write_entry(number, (header, None), entry.payload)?;
        self.state.written += entry.payload.len() as u64;
        Ok((at, header.stride()))
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
        self.write_entry(number, (header, sequence), &[])
    }

    /// Writes an entry behind the last one of a segment that has room; the first word comes last,
    /// so that whoever walks the segment finds nothing before all of it is there.
    ///
    /// Its sequence follows from its place, unless it keeps one that it had elsewhere.
    #[inline]
    fn write_entry(
        &mut self,
        number: u32,
        (mut header, sequence): (EntryHeader, Option<u64>),
        payload: &[u8],
    ) -> Result<u64> {
        let stride = header.stride();
        let Some(region) = self.state.region(number) else {
            return Err(self.corrupt(("segment", 0), 0, u64::from(number)));
        };
        let (at, long) = (region.segment.end, LONG <= payload.len());
        header.sequence = U64::new(sequence.unwrap_or_else(|| region.sequence_at(at)));
        header.seal(region.seed(), payload);
        if !long && region.prepared < at + stride {
            self.prepare(at, at + stride)?;
        }
        let raw = &self.shared.raw;
        if raw.load(at, Ordering::Relaxed) != 0 {
            // What a killed writer began lies here.
            raw.store(at, 0, Ordering::Release);
        }
        let mut owned = Owned::taken(at, stride);
        if long {
            owned.write(raw, ENTRY_HEADER, payload)?;
        } else {
            owned.fill(raw, ENTRY_HEADER, payload);
        }
        owned.fill(raw, 8, header.as_bytes().get(8..).unwrap_or_default());
        raw.store(at, header.id.get(), Ordering::Release);
        if let Some(region) = self.state.region_mut(number) {
            region.segment.end = at + stride;
            region.segment.live += if header.is_tombstone() { 0 } else { stride };
            region.prepared = region.prepared.max(at + stride);
        }
        Ok(at)
    }

    /// The segment that is appended to, with room for `stride` bytes.
    #[inline]
    fn make_room(&mut self, store: &Store, stride: u64) -> Result<u32> {
        let active = self.state.logs.get(&store.number).and_then(|log| log.active);
        if let Some(number) = active
            && let Some(region) = self.state.region(number)
            && !region.segment.sealed
            && region.segment.end + stride <= region.range.end()
        {
            return Ok(number);
        }
        self.add_segment(store, stride)
    }

    /// Adopts a segment with room for `stride` bytes.
    #[cold]
    fn add_segment(&mut self, store: &Store, stride: u64) -> Result<u32> {
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
            let region = self.segment_of(store.number, number)?;
            Some(region.range.end() - region.segment.end)
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
        let Some(region) = self.state.region_mut(number) else {
            return Err(self.corrupt(("segment", 0), 0, u64::from(number)));
        };
        let (end, seed) = (region.base(), region.seed());
        region.segment = Segment { end, told: end, seed, ..Segment::default() };
        let region = *region;
        let segments = self.segments(store);
        segments.numbers.push(number);
        segments.active = Some(number);
        segments.bytes += region.range.len;
        segments.next = region.sequence_at(region.range.end());
        Ok(())
    }

    /// Takes an entry that counts no more out of what its segment has.
    #[inline]
    fn drop_live(&mut self, old: &Entry) {
        if let Some((_, region)) = self.state.holding(old.at) {
            region.segment.live = region.segment.live.saturating_sub(old.stride);
        }
    }

    /// The segment of a number, if it is one of this log.
    fn segment_of(&mut self, store: u32, number: u32) -> Option<&mut Region> {
        let region = self.state.region_mut(number)?;
        (region.kind == Kind::Segment && region.store == store).then_some(region)
    }
}

/// A header without sequence and checksums.
#[inline]
fn entry_header(id: BlockId, entry: Given<'_>) -> Result<EntryHeader> {
    let Given { payload, room } = entry;
    let mut header = EntryHeader::new_zeroed();
    header.id = U64::new(id.to_bits());
    header.len = U32::new(u32::try_from(payload.len())?);
    if let Some(room) = room {
        let room = room.max(payload.len() as u64).next_multiple_of(GRAIN);
        header.room = U32::new(u32::try_from(room)?);
    }
    Ok(header)
}
