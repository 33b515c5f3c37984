//! Entries move out of a segment, which is then given back.

use zerocopy::{IntoBytes, little_endian::U64};

use super::{
    Moved,
    run::{Gathered, Run},
};
use crate::{
    engine::Engine,
    error::Result,
    id::BlockId,
    layout::{ENTRY_HEADER, EntryHeader},
    region::{
        Region,
        lifecycle::{Keeper, Owned, appended},
    },
    store::Store,
};

/// Entries whose slots are fetched from memory together.
const BATCH: usize = 64;
/// Bytes of a segment that are looked at together; a longer payload is moved alone.
const SPAN: u64 = 64 << 10;
/// Bytes behind a header that are fetched from memory with it.
const AHEAD: u64 = 2 << 10;
/// Bytes of one write of a long payload.
const PIECE: usize = 1 << 20;

/// What leaves a segment.
#[derive(Debug)]
struct Moving {
    region: Region,
    /// The sequence of the oldest entry of other segments.
    oldest: Option<u64>,
    run: Run,
    tombstones: Vec<EntryHeader>,
    bytes: u64,
}

/// An entry of a segment that is evacuated.
#[derive(Debug, Clone, Copy)]
struct Old {
    at: u64,
    header: EntryHeader,
}

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
        let Some(region) = self.segment_of(store.number, number).map(|region| *region) else {
            return Ok(Moved { next: None, bytes: 0 });
        };
        if self.segments(store).active == Some(number) {
            self.segments(store).active = None;
        }
        let others = self.segments(store).numbers.iter().filter(|other| **other != number);
        // The segments stand in order, so the first of the others is the oldest.
        let oldest = others.copied().next();
        let oldest = oldest.and_then(|number| self.state.region(number)).map(|region| region.first);
        let mut at = at.max(region.base());
        let (run, tombstones) = (Run::default(), Vec::new());
        let mut moving = Moving { region, oldest, run, tombstones, bytes: 0 };
        let mut batch = Vec::new();
        while at < region.segment.end {
            batch.clear();
            self.walk((store, &region), at, &mut batch)?;
            for old in &batch {
                self.take_along(store, old, &mut moving)?;
                at = old.at + old.header.stride();
                if enough(moving.bytes) && at < region.segment.end {
                    self.append_moving(store, &mut moving)?;
                    return Ok(Moved { next: Some(at), bytes: moving.bytes });
                }
            }
        }
        self.append_moving(store, &mut moving)?;
        let live = self.state.region(number).map_or(0, |region| region.segment.live);
        if live != 0 {
            // A damaged length led past what slots name, or the place to go on at was none.
            let what = ("bytes that live in a segment behind its last entry", region.range.start);
            return Err(self.corrupt(what, 0, live));
        }
        let segments = self.segments(store);
        segments.numbers.retain(|other| *other != number);
        segments.bytes = segments.bytes.saturating_sub(region.range.len);
        self.give_back(number)?;
        Ok(Moved { next: None, bytes: moving.bytes })
    }

    /// Finds some entries from `at` on, whose slots are soon in the processor's cache.
    fn walk(
        &self,
        (store, region): (&Store, &Region),
        mut at: u64,
        batch: &mut Vec<Old>,
    ) -> Result<()> {
        let (start, mut fetched) = (at, at);
        while at < region.segment.end && batch.len() < BATCH && at - start < SPAN {
            // Where the next headers lie is known too late, and most lines between them are needed.
            while fetched < at + AHEAD {
                self.shared.raw.prefetch(fetched);
                fetched += 64;
            }
            let Some(header) = self.entry_header(region, at) else {
                let found = self.shared.raw.load(at, std::sync::atomic::Ordering::Relaxed);
                return Err(self.corrupt(("entry", at), region.range.end() - at, found));
            };
            let index = BlockId::from_bits(header.id.get()).index();
            self.shared.raw.prefetch(store.parts.quick(index));
            batch.push(Old { at, header });
            at += header.stride();
        }
        Ok(())
    }

    /// Takes an entry along if it counts.
    fn take_along(
        &mut self,
        store: &Store,
        Old { at, header }: &Old,
        moving: &mut Moving,
    ) -> Result<()> {
        let Some(slot) = self.slot_of(store, (header, *at)) else { return Ok(()) };
        if header.is_tombstone() {
            // Without an older entry elsewhere nothing is left that it could hide. One that moves
            // keeps its sequence: entries that it hides are older than it.
            if moving.oldest.is_some_and(|first| first < header.sequence.get()) {
                moving.tombstones.push(*header);
                moving.bytes += header.stride();
            }
            return Ok(());
        }
        let (seed, len) = (moving.region.seed(), usize::try_from(header.payload())?);
        if SPAN <= header.payload() {
            self.append_moving(store, moving)?;
        } else if !moving.run.has_room(header.stride()) {
            self.append_moving(store, moving)?;
            self.begin_run(store, &mut moving.run, header.stride())?;
        }
        let keeper = Keeper::writer(self.state);
        let payload = appended(&self.shared.raw, keeper, (at + ENTRY_HEADER, len));
        if !header.is_right(seed, payload) {
            let found = u64::from(header.checksum.get());
            return Err(self.corrupt(("checksum of an entry", at + 20), 0, found));
        }
        moving.bytes += header.stride();
        if SPAN <= header.payload() {
            return self.move_long(store, (slot, *at), *header);
        }
        moving.run.push((slot, *at), *header, payload);
        if moving.run.is_long() {
            self.append_moving(store, moving)?;
        }
        Ok(())
    }

    /// Appends what was gathered: entries, which are published, and only then tombstones. What is
    /// not published lies at the end of the log at any time.
    fn append_moving(&mut self, store: &Store, moving: &mut Moving) -> Result<()> {
        self.append_run(store, &mut moving.run)?;
        for header in moving.tombstones.drain(..) {
            if !moving.run.has_room(ENTRY_HEADER) {
                self.append_run(store, &mut moving.run)?;
                self.begin_run(store, &mut moving.run, ENTRY_HEADER)?;
            }
            moving.run.push_tombstone(header);
        }
        self.append_run(store, &mut moving.run)
    }

    /// Moves an entry that is too long to be gathered, whose checksum is right.
    fn move_long(
        &mut self,
        store: &Store,
        (slot, at): (u64, u64),
        mut header: EntryHeader,
    ) -> Result<()> {
        let stride = header.stride();
        let number = self.make_room(store, stride)?;
        let Some(to) = self.state.region(number).copied() else { return Ok(()) };
        let (end, len) = (to.segment.end, usize::try_from(header.payload())?);
        self.tell_move(BlockId::from_bits(header.id.get()), (at, end));
        let payload = (at + ENTRY_HEADER, len);
        let payload = appended(&self.shared.raw, Keeper::writer(self.state), payload);
        header.sequence = U64::new(to.sequence_at(end));
        header.seal(to.seed(), payload);
        let mut owned = Owned::taken(end, stride);
        for (offset, piece) in (ENTRY_HEADER..).step_by(PIECE).zip(payload.chunks(PIECE)) {
            owned.write(&self.shared.raw, offset, piece)?;
        }
        owned.write(&self.shared.raw, 0, header.as_bytes())?;
        let id = BlockId::from_bits(header.id.get());
        self.end_at((number, end + stride));
        self.publish_at(store, (number, end), &Gathered { id, slot, old: at, place: 0, stride });
        Ok(())
    }
}
