//! Where segments end: counted, told by a commit, found again after an open or a discard.

use std::sync::{Arc, atomic::Ordering};

use super::Tail;
use crate::{
    class::GRAIN,
    engine::{Engine, index::SPENT},
    error::Result,
    id::BlockId,
    layout::{ENTRY_HEADER, EntryHeader, REGION_HEADER},
    log::SegmentFacts,
    parts::PAIR,
    region::Region,
    segments::Segment,
    store::Store,
    units::Kind,
    word::{ENTRY, TOMBSTONE, Word},
};

impl Engine<'_> {
    /// Counts what of each segment slots name; once after an open or a discard.
    pub(crate) fn count_segments(&mut self, store: &Store) -> Result<()> {
        if self.segments(store).counted {
            return Ok(());
        }
        let segments = self.segments(store);
        segments.by_number.values_mut().for_each(|segment| segment.live = 0);
        segments.removed = 0;
        let mut wrong = None;
        self.for_each_slot_of(store, &mut |engine, slot| {
            let word = engine.newest(slot);
            if word.class() == TOMBSTONE && !word.is_empty() {
                engine.segments(store).removed += 1;
            }
            if word.class() != ENTRY || word.is_empty() {
                return;
            }
            let at = word.body() * GRAIN;
            let found = engine.shared.header_of(word);
            let number = engine.state.holding(at).map(|(number, _)| number);
            let segments = engine.segments(store);
            let segment = number.and_then(|number| segments.by_number.get_mut(&number));
            match (found, segment) {
                (Some(header), Some(segment)) => {
                    segment.live += header.stride();
                }
                // Damaged: as long as it is named its segment is not empty.
                (None, Some(segment)) => segment.live += GRAIN,
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
    pub(super) fn segment_mut(&mut self, number: u32, store: u32) -> Option<&mut Segment> {
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
        if header.has_room() {
            // The payload may be torn by a change in place; its first word was stored last all the
            // same.
            return header.is_room_right(region.incarnation).then_some(header);
        }
        let payload = self.shared.payload_of(&header, at)?;
        header.is_right(region.incarnation, &payload).then_some(header)
    }

    /// The header at `at`, if an entry of its length lies in the segment.
    pub(super) fn entry_header(&self, region: &Region, at: u64) -> Option<EntryHeader> {
        if region.range.end() < at + ENTRY_HEADER {
            return None;
        }
        let header = self.shared.entry_header(at);
        let fits = header.is_sound() && at + header.stride() <= region.range.end();
        (header.id.get() != 0 && fits).then_some(header)
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
                // Whole as it is, it would be found again where nothing is appended over it.
                self.shared.raw.store(at, 0, Ordering::Release);
                if let Some(segment) = self.segments(store).by_number.get_mut(&number) {
                    segment.end = at;
                }
            }
        }
    }

    /// Sees to it that nothing is appended over the entry that a slot names: its segment ends
    /// behind it. Where that was not so, a damaged entry before it hid it, or somebody forged the
    /// slot. False where the slot names no place in a segment of its log.
    pub(crate) fn cover_entry(&mut self, store: &Store, word: Word) -> bool {
        let header = self.shared.header_of(word);
        let at = word.body() * GRAIN;
        let holding = self.state.holding(at).filter(|(_, region)| region.base() <= at);
        let number = holding.map(|(number, _)| number);
        let Some(segment) = number.and_then(|number| self.segment_mut(number, store.number)) else {
            return false;
        };
        match header.map(|header| at + header.stride()) {
            Some(end) if segment.end < end => (segment.end, segment.sealed) = (end, true),
            Some(_) => {}
            // Damaged: a get says so, and nothing comes to lie in its place.
            None => segment.sealed = true,
        }
        true
    }

    /// Whether the slot of the entry at `at` says what the entry says.
    pub(super) fn is_published(&self, store: &Store, at: u64) -> bool {
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
}
