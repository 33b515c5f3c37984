//! Entries move out of a segment, which is then given back.

use std::sync::atomic::Ordering;

use super::{Given, Moved};
use crate::{
    class::GRAIN, engine::Engine, error::Result, id::BlockId, layout::ENTRY_HEADER, region::Region,
    relocation::Relocation, store::Store, word::ENTRY,
};

impl Engine<'_> {
    /// Moves entries of a segment that slots name to the newest one, from `at` on, until `enough`
    /// says so; gives the segment back when nothing is left in it.
    pub(crate) fn evacuate(
        &mut self,
        store: &Store,
        (number, at): (u32, u64),
        enough: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Moved> {
        self.touch()?;
        self.count_segments(store)?;
        let region = self.state.region(number).copied();
        let segment = self.segments(store).by_number.get(&number).copied();
        let (Some(region), Some(segment)) = (region, segment) else {
            return Ok(Moved { next: None, bytes: 0 });
        };
        if self.segments(store).active == Some(number) {
            self.segments(store).active = None;
        }
        let mut at = at.max(region.base());
        let mut bytes = 0;
        while at < segment.end {
            let Some(header) = self.entry_header(&region, at) else {
                let found = self.shared.raw.load(at, Ordering::Relaxed);
                return Err(self.corrupt(("entry", at), region.range.end() - at, found));
            };
            let stride = header.stride();
            if self.move_entry(store, (number, &region), at)? {
                bytes += stride;
            }
            at += stride;
            if enough(bytes) && at < segment.end {
                return Ok(Moved { next: Some(at), bytes });
            }
        }
        let live = self.segments(store).by_number.get(&number).map_or(0, |segment| segment.live);
        if live != 0 {
            // A damaged length led past what slots name, or the place to go on at was none.
            let what = ("bytes that live in a segment behind its last entry", region.range.start);
            return Err(self.corrupt(what, 0, live));
        }
        let segments = self.segments(store);
        segments.by_number.remove(&number);
        segments.bytes = segments.bytes.saturating_sub(region.range.len);
        self.give_back(number)?;
        Ok(Moved { next: None, bytes })
    }

    /// Moves the entry at `at` if it counts; true when it does.
    fn move_entry(
        &mut self,
        store: &Store,
        (number, region): (u32, &Region),
        at: u64,
    ) -> Result<bool> {
        let header = self.shared.entry_header(at);
        if !self.is_published(store, at) {
            return Ok(false);
        }
        let id = BlockId::from_bits(header.id.get());
        if header.is_tombstone() {
            if !self.is_tombstone_needed(store, (number, header.sequence.get())) {
                return Ok(false);
            }
            // It keeps its sequence: entries that it hides are older than it.
            self.append_tombstone(store, (id, Some(header.sequence.get())))?;
            return Ok(true);
        }
        let Some(slot) = store.parts.pair(id.index()) else { return Ok(false) };
        let Some(payload) = self.shared.payload_of(&header, at) else { return Ok(false) };
        if !header.is_right(region.incarnation, &payload) {
            let found = u64::from(header.checksum.get());
            return Err(self.corrupt(("checksum of an entry", at + 20), 0, found));
        }
        let room = header.has_room().then(|| header.room.get().into());
        let to = self.append(store, id, Given { payload: &payload, room })?;
        self.tell_move(store, id, (at, to));
        self.publish(slot, ENTRY, to / GRAIN);
        self.drop_live(store, at);
        Ok(true)
    }

    /// Tells the hook of an entry that moves.
    fn tell_move(&mut self, store: &Store, id: BlockId, (from, to): (u64, u64)) {
        if !self.state.hook.is_set() {
            return;
        }
        // Where the hook panics the entry stays where it is, and what lives is counted anew.
        let counted = std::mem::replace(&mut self.segments(store).counted, false);
        let (from, to) = (from + ENTRY_HEADER, to + ENTRY_HEADER);
        self.state.hook.tell(Relocation { id, from, to });
        self.segments(store).counted = counted;
    }

    /// Whether another segment may hold an entry that is older than a tombstone.
    fn is_tombstone_needed(&mut self, store: &Store, (number, sequence): (u32, u64)) -> bool {
        let others: Vec<u32> = self.segments(store).by_number.keys().copied().collect();
        let mut others = others.into_iter().filter(|other| *other != number);
        others.any(|other| self.state.region(other).is_some_and(|region| region.first < sequence))
    }
}
