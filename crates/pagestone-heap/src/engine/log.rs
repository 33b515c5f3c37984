//! Entries: appended to the newest segment of a log, published in a slot, moved out of old segments.

use std::sync::{Arc, atomic::Ordering};

use zerocopy::{
    FromZeros, IntoBytes,
    little_endian::{U32, U64},
};

use crate::{
    class::GRAIN,
    engine::{Engine, adopt::Wanted, index::SPENT},
    error::{Error, ErrorKind, Result},
    id::{BlockId, GENERATION_MAX},
    layout::{ENTRY_HEADER, ENTRY_LEN_MAX, EntryHeader, REGION_HEADER, TOMBSTONE_LEN},
    log::SegmentFacts,
    parts::PAIR,
    region::{Region, lifecycle::Owned},
    segments::{Segment, Segments},
    shared::Found,
    store::Store,
    units::Kind,
    word::{ENTRY, TOMBSTONE, Word},
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
    pub(crate) fn log_add(&mut self, store: &Store, payload: &[u8]) -> Result<BlockId> {
        self.touch()?;
        self.check_entry_len(payload)?;
        let (id, slot) = self.take_id(store)?;
        match self.append(store, id, payload) {
            Ok(at) => {
                self.publish(slot, ENTRY, at / GRAIN);
                self.state.indices(store.number).live += 1;
                Ok(id)
            }
            Err(error) => {
                self.untake_id(store, id);
                Err(error)
            }
        }
    }

    /// Appends an entry under an id of another file, and publishes it in the slot at `slot`.
    pub(crate) fn append_as(
        &mut self,
        store: &Store,
        (id, slot): (BlockId, u64),
        payload: &[u8],
    ) -> Result<()> {
        let at = self.append(store, id, payload)?;
        self.publish(slot, ENTRY, at / GRAIN);
        Ok(())
    }

    /// Replaces the payload of an entry.
    pub(crate) fn log_update(&mut self, store: &Store, id: BlockId, payload: &[u8]) -> Result<()> {
        self.touch()?;
        self.check_entry_len(payload)?;
        let (found, slot) = self.find_entry(store, id)?;
        let at = self.append(store, id, payload)?;
        self.publish(slot, ENTRY, at / GRAIN);
        self.drop_live(store, &found);
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
        self.drop_live(store, &found);
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

    fn check_entry_len(&self, payload: &[u8]) -> Result<()> {
        if payload.len() as u64 <= ENTRY_LEN_MAX {
            return Ok(());
        }
        let what = format!("an entry of {} bytes is longer than {ENTRY_LEN_MAX}", payload.len());
        Err(Error::refused(ErrorKind::InvalidArgument, self.shared.path(), what))
    }

    fn segments(&mut self, store: &Store) -> &mut Segments {
        self.state.logs.entry(store.number).or_default()
    }

    /// Appends an entry; returns where it starts.
    fn append(&mut self, store: &Store, id: BlockId, payload: &[u8]) -> Result<u64> {
        let stride = (ENTRY_HEADER + payload.len() as u64).next_multiple_of(GRAIN);
        let number = self.make_room(store, stride)?;
        let mut header = EntryHeader::new_zeroed();
        header.id = U64::new(id.to_bits());
        header.len = U32::new(u32::try_from(payload.len())?);
        let at = self.write_entry((store, number), (header, None), payload)?;
        if self.segments(store).counted
            && let Some(segment) = self.segments(store).by_number.get_mut(&number)
        {
            segment.live += stride;
        }
        self.state.written += payload.len() as u64;
        Ok(at)
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
        let segments = self.segments(store);
        let share = 1_u64 << (segments.bytes / GROWTH).max(1).ilog2();
        let first = segments.next;
        let share = share.clamp(SEGMENT_MIN, self.shared.options.region_size);
        // An entry that is longer than its share leaves room behind it all the same.
        let len = if share / 2 < stride { share + stride } else { share };
        let wanted =
            Wanted { store: store.number, first, ..Wanted::of(Kind::Segment, REGION_HEADER + len) };
        let number = self.adopt(wanted)?;
        let Some(region) = self.state.region(number).copied() else {
            return Err(self.corrupt(("segment", 0), 0, u64::from(number)));
        };
        let segments = self.segments(store);
        let (end, live) = (region.base(), 0);
        segments.by_number.insert(number, Segment { end, told: end, sealed: false, live });
        segments.active = Some(number);
        segments.bytes += region.range.len;
        segments.next = region.sequence_at(region.range.end());
        Ok(number)
    }

    /// Takes an entry that counts no more out of what its segment has.
    fn drop_live(&mut self, store: &Store, found: &Found) {
        if !self.segments(store).counted {
            return;
        }
        let Some((number, _)) = self.state.holding(found.at) else { return };
        if let Some(segment) = self.segments(store).by_number.get_mut(&number) {
            let stride = (ENTRY_HEADER + found.len as u64).next_multiple_of(GRAIN);
            segment.live = segment.live.saturating_sub(stride);
        }
    }

    /// Counts what of each segment slots name; once after an open or a discard.
    pub(crate) fn count_segments(&mut self, store: &Store) -> Result<()> {
        if self.segments(store).counted {
            return Ok(());
        }
        self.segments(store).by_number.values_mut().for_each(|segment| segment.live = 0);
        let mut wrong = None;
        self.for_each_slot_of(store, &mut |engine, slot| {
            let word = engine.newest(slot);
            if word.class() != ENTRY || word.is_empty() {
                return;
            }
            let at = word.body() * GRAIN;
            let found = engine.shared.entry_at(word);
            let number = engine.state.holding(at).map(|(number, _)| number);
            let segment =
                number.and_then(|number| engine.segments(store).by_number.get_mut(&number));
            match (found, segment) {
                (Some((_, len)), Some(segment)) => {
                    segment.live += (ENTRY_HEADER + len).next_multiple_of(GRAIN);
                }
                _ => wrong = Some((slot, word.0)),
            }
        });
        if let Some((slot, word)) = wrong {
            return Err(self.corrupt(("place of an entry", slot), 0, word));
        }
        self.segments(store).counted = true;
        Ok(())
    }

    /// The segments of a log, oldest first.
    pub(crate) fn segment_facts(&mut self, store: &Store) -> Result<Vec<SegmentFacts>> {
        self.load_lists()?;
        self.count_segments(store)?;
        let active = self.segments(store).active;
        let known: Vec<(u32, Segment)> = {
            let by_number = &self.segments(store).by_number;
            by_number.iter().map(|(number, segment)| (*number, *segment)).collect()
        };
        let mut facts: Vec<SegmentFacts> = known
            .into_iter()
            .filter_map(|(number, segment)| {
                let region = self.state.region(number)?;
                Some(SegmentFacts {
                    number,
                    offset: region.range.start,
                    len: region.range.len,
                    used: segment.end - region.base(),
                    live: segment.live,
                    first_sequence: region.first,
                    is_active: active == Some(number),
                })
            })
            .collect();
        facts.sort_by_key(|facts| facts.first_sequence);
        Ok(facts)
    }

    /// Says of each segment that was appended to where it ends; part of a commit.
    pub(crate) fn tell_ends(&mut self) {
        let mut ends = Vec::new();
        for segments in self.state.logs.values_mut() {
            for (number, segment) in &mut segments.by_number {
                if segment.end != segment.told {
                    segment.told = segment.end;
                    ends.push((*number, segment.end, segment.sealed));
                }
            }
        }
        for (number, end, sealed) in ends {
            self.tell_end(number, (end, sealed));
        }
    }

    fn tell_end(&mut self, number: u32, (end, sealed): (u64, bool)) {
        let start = self.state.region(number).map(|region| region.range.start);
        if let (Ok(at), Some(start)) = (self.number_pair(number), start) {
            self.publish_end(at, (end - start, sealed));
        }
    }

    /// Publishes the end word of the segment whose directory pair is at `at`; the end counts from
    /// the start of the segment.
    pub(crate) fn publish_end(&mut self, at: u64, (end, sealed): (u64, bool)) {
        let (pair, tag) = (self.shared.pair(at + PAIR), self.shared.tag());
        let target = at + PAIR + 8 * pair.target(tag) as u64;
        self.shared.raw.store(target, Word::end_of(tag, end, sealed).0, Ordering::Release);
    }

    /// Finds out where segments end, after an open or a discard.
    pub(crate) fn rebuild_segments(&mut self, tail: Tail) -> Result<()> {
        let before = std::mem::take(&mut self.state.logs);
        let regions: Vec<(u32, Region)> = (0_u32..)
            .zip(&self.state.regions)
            .filter_map(|(number, region)| Some((number, (*region)?)))
            .filter(|(_, region)| region.kind == Kind::Segment)
            .collect();
        for (number, region) in &regions {
            let at = self.number_pair(*number)? + PAIR;
            let (end, sealed) = self.newest(at).end();
            let fits = (REGION_HEADER..=region.range.len).contains(&end);
            if !fits || !end.is_multiple_of(GRAIN) {
                return Err(self.corrupt(("end of a segment", at), region.range.len, end));
            }
            let end = region.range.start + end;
            let segments = self.state.logs.entry(region.store).or_default();
            segments.by_number.insert(*number, Segment { end, told: end, sealed, live: 0 });
            segments.bytes += region.range.len;
            segments.next = segments.next.max(region.sequence_at(region.range.end()));
        }
        for (number, region) in &regions {
            match tail {
                Tail::None => {}
                Tail::Kept => self.keep_tail(*number, region),
                Tail::Undone => {
                    let known = before.get(&region.store);
                    let known = known.and_then(|known| known.by_number.get(number));
                    self.seal_tail((*number, region), known);
                }
            }
        }
        if tail == Tail::Kept {
            self.cut_orphans();
        }
        for (number, region) in &regions {
            let newest = regions.iter().filter(|(_, other)| other.store == region.store);
            let newest = newest.max_by_key(|(_, other)| other.first).map(|(number, _)| *number);
            if let Some(segments) = self.state.logs.get_mut(&region.store)
                && newest == Some(*number)
            {
                segments.active = newest;
            }
        }
        Ok(())
    }

    /// The segment of a number, whichever log it is of.
    fn segment_mut(&mut self, number: u32, store: u32) -> Option<&mut Segment> {
        self.state.logs.get_mut(&store)?.by_number.get_mut(&number)
    }

    /// Walks on from the end that is known over what a killed writer appended.
    fn keep_tail(&mut self, number: u32, region: &Region) {
        let Some(segment) = self.segment_mut(number, region.store).copied() else { return };
        let mut at = segment.end;
        while !segment.sealed
            && let Some(header) = self.whole_entry(region, at)
        {
            at += header.stride();
        }
        if let Some(segment) = self.segment_mut(number, region.store) {
            segment.end = at;
        }
    }

    /// The header of the entry at `at`, if all of it lies in the segment and its checksum says so.
    fn whole_entry(&self, region: &Region, at: u64) -> Option<EntryHeader> {
        let header = self.entry_header(region, at)?;
        let payload = self.shared.payload_of(&header, at)?;
        (header.sum(region.incarnation, &payload) == header.checksum.get()).then_some(header)
    }

    /// The header at `at`, if an entry of its length lies in the segment.
    fn entry_header(&self, region: &Region, at: u64) -> Option<EntryHeader> {
        if region.range.end() < at + ENTRY_HEADER {
            return None;
        }
        let header = self.shared.entry_header(at);
        let whole = header.id.get() != 0 && at + header.stride() <= region.range.end();
        whole.then_some(header)
    }

    /// Takes back from the end of each log what was appended and not published any more.
    fn cut_orphans(&mut self) {
        let stores: Vec<Arc<Store>> =
            self.shared.stores().iter().flatten().map(Arc::clone).collect();
        for store in stores.iter().filter(|store| store.is_log()) {
            let mut tail = Vec::new();
            for (number, segment) in &self.segments(store).by_number {
                tail.push((*number, segment.told, segment.end));
            }
            let mut entries = Vec::new();
            for (number, told, end) in tail {
                let Some(region) = self.state.region(number).copied() else { continue };
                let mut at = told;
                while at < end
                    && let Some(header) = self.entry_header(&region, at)
                {
                    // Not its own sequence: a tombstone keeps the one it had elsewhere.
                    entries.push((region.sequence_at(at), number, at));
                    at += header.stride();
                }
            }
            entries.sort_unstable();
            while let Some((_, number, at)) = entries.pop() {
                if self.is_published(store, at) {
                    break;
                }
                if let Some(segment) = self.segments(store).by_number.get_mut(&number) {
                    segment.end = at;
                }
            }
        }
    }

    /// Sees to it that nothing is appended over the entry that a slot names: its segment ends
    /// behind it. Where that was not so, a damaged entry before it hid it, or somebody forged the
    /// slot. False where the slot names no entry of a segment of its log.
    pub(crate) fn cover_entry(&mut self, store: &Store, word: Word) -> bool {
        let Some((_, len)) = self.shared.entry_at(word) else { return false };
        let at = word.body() * GRAIN;
        let end = at + (ENTRY_HEADER + len).next_multiple_of(GRAIN);
        let holding = self.state.holding(at).filter(|(_, region)| region.base() <= at);
        let number = holding.map(|(number, _)| number);
        let Some(segment) = number.and_then(|number| self.segment_mut(number, store.number)) else {
            return false;
        };
        if segment.end < end {
            (segment.end, segment.sealed) = (end, true);
        }
        true
    }

    /// Whether the slot of the entry at `at` says what the entry says.
    fn is_published(&self, store: &Store, at: u64) -> bool {
        let header = self.shared.entry_header(at);
        let id = BlockId::from_bits(header.id.get());
        let Some(slot) = store.parts.pair(id.index()) else { return false };
        let word = self.newest(slot);
        if header.is_tombstone() {
            let next = u64::from(id.generation()) + 1;
            return word.class() == TOMBSTONE && word.body() == next.min(SPENT);
        }
        word.class() == ENTRY && word.body() * GRAIN == at
    }

    /// Appends nothing any more to a segment behind whose end something of an undone epoch may
    /// lie; what a discard knows to be clean is left open.
    fn seal_tail(&mut self, (number, region): (u32, &Region), known: Option<&Segment>) {
        let Some(segment) = self.segment_mut(number, region.store) else { return };
        let clean = known.is_some_and(|known| known.end == segment.end && !known.sealed);
        if segment.sealed || segment.end == region.range.end() || clean {
            return;
        }
        segment.sealed = true;
        let end = segment.end;
        self.tell_end(number, (end, true));
        self.state.changed = true;
    }

    /// Moves entries of a segment that slots name to the newest one, from `at` on, until `enough`
    /// says so; gives the segment back when nothing is left in it.
    pub(crate) fn evacuate(
        &mut self,
        store: &Store,
        (number, at): (u32, u64),
        enough: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Moved> {
        self.touch()?;
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
        if header.sum(region.incarnation, &payload) != header.checksum.get() {
            let found = u64::from(header.checksum.get());
            return Err(self.corrupt(("checksum of an entry", at + 20), 0, found));
        }
        let to = self.append(store, id, &payload)?;
        self.publish(slot, ENTRY, to / GRAIN);
        if let Some(segment) = self.segment_mut(number, store.number) {
            segment.live = segment.live.saturating_sub(header.stride());
        }
        Ok(true)
    }

    /// Whether another segment may hold an entry that is older than a tombstone.
    fn is_tombstone_needed(&mut self, store: &Store, (number, sequence): (u32, u64)) -> bool {
        let others: Vec<u32> = self.segments(store).by_number.keys().copied().collect();
        let mut others = others.into_iter().filter(|other| *other != number);
        others.any(|other| self.state.region(other).is_some_and(|region| region.first < sequence))
    }
}
