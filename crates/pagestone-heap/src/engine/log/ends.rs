//! Where segments end: told by a commit, found again after an open or a discard.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use super::Tail;
use crate::{
    engine::{Engine, index::SPENT},
    error::Result,
    header::read_region_header,
    id::BlockId,
    layout::{ENTRY_HEADER, EntryHeader, REGION_HEADER},
    log::SegmentFacts,
    parts::PAIR,
    region::{
        Region,
        lifecycle::{Keeper, appended},
    },
    segments::Segment,
    shared::Shared,
    store::Store,
    units::Kind,
    word::{ENTRY, TOMBSTONE, Word},
};

/// Bytes of tails from which on more than one thread reads them.
const MANY: u64 = 4 << 20;

impl Engine<'_> {
    /// The segments of a log, oldest first.
    pub(crate) fn segment_facts(&mut self, store: &Store) -> Result<Vec<SegmentFacts>> {
        self.load_lists()?;
        let numbers = self.segments(store).numbers.clone();
        Ok(numbers.into_iter().filter_map(|number| self.facts_of(store, number)).collect())
    }

    /// One segment of a log.
    pub(crate) fn segment_fact(
        &mut self,
        store: &Store,
        number: u32,
    ) -> Result<Option<SegmentFacts>> {
        self.load_lists()?;
        Ok(self.facts_of(store, number))
    }

    fn facts_of(&mut self, store: &Store, number: u32) -> Option<SegmentFacts> {
        let active = self.segments(store).active;
        let region = *self.segment_of(store.number, number)?;
        Some(SegmentFacts {
            number,
            offset: region.range.start,
            len: region.range.len,
            used: region.segment.end - region.base(),
            live: region.segment.live,
            first_sequence: region.first,
            is_active: active == Some(number),
        })
    }

    /// Says of each segment that was appended to where it ends; part of a commit.
    pub(crate) fn tell_ends(&mut self) {
        let mut ends = Vec::new();
        for number in self.state.logs.values().flat_map(|log| &log.numbers) {
            if let Some(region) = self.state.region(*number)
                && region.segment.end != region.segment.told
            {
                ends.push((*number, region.segment));
            }
        }
        for (number, segment) in ends {
            self.tell_end(number, (segment.end, segment.sealed));
            if let Some(region) = self.state.region_mut(number) {
                region.segment.told = segment.end;
            }
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

    /// Where the segments end that are known, by number.
    pub(crate) fn known_ends(&self) -> BTreeMap<u32, Segment> {
        let numbers = self.state.logs.values().flat_map(|log| &log.numbers);
        numbers.filter_map(|number| Some((*number, self.state.region(*number)?.segment))).collect()
    }

    /// What seeds the checksums of the entries of the segment that holds byte `at`.
    pub(crate) fn seed_at(&mut self, at: u64) -> Option<u32> {
        let (number, region) = self.state.holding(at)?;
        if region.incarnation == 0 && region.kind == Kind::Segment {
            self.read_segment_header(number).ok()?;
        }
        self.state.region(number).map(Region::seed)
    }

    /// Takes in what the header of a segment says.
    pub(crate) fn read_segment_header(&mut self, number: u32) -> Result<()> {
        let Some(region) = self.state.region(number).copied() else { return Ok(()) };
        let header = read_region_header(self.shared, (number, region.kind, region.range))?;
        if let Some(region) = self.state.region_mut(number) {
            region.store = header.store.get();
            region.first = header.first.get();
            region.set_incarnation(header.incarnation.get());
        }
        Ok(())
    }

    /// Takes in where the end word of a segment says that it ends.
    pub(crate) fn read_end_word(&mut self, number: u32) -> Result<()> {
        let at = self.number_pair(number)? + PAIR;
        let (end, sealed) = self.newest(at).end();
        let Some(region) = self.state.region(number).copied() else { return Ok(()) };
        let fits = (REGION_HEADER..=region.range.len).contains(&end);
        if !fits || !end.is_multiple_of(crate::class::GRAIN) {
            return Err(self.corrupt(("end of a segment", at), region.range.len, end));
        }
        if let Some(region) = self.state.region_mut(number) {
            let (end, seed) = (region.range.start + end, region.seed());
            region.segment = Segment { end, told: end, sealed, seed, live: 0 };
        }
        Ok(())
    }

    /// Finds out where segments end, after an open or a discard; `before` says what was known
    /// before it.
    pub(crate) fn rebuild_segments(
        &mut self,
        tail: Tail,
        before: &BTreeMap<u32, Segment>,
    ) -> Result<()> {
        self.state.logs.clear();
        let numbers = self.segment_numbers();
        for number in &numbers {
            self.read_segment_header(*number)?;
            self.read_end_word(*number)?;
        }
        match tail {
            Tail::None => {}
            Tail::Kept => self.keep_tails(&numbers),
            Tail::Undone => {
                for number in &numbers {
                    self.seal_tail(*number, before.get(number));
                }
            }
        }
        self.enter_segments(&numbers);
        if tail == Tail::Kept {
            self.cut_orphans();
        }
        Ok(())
    }

    /// The numbers of all segments.
    pub(crate) fn segment_numbers(&self) -> Vec<u32> {
        let regions = (0_u32..).zip(&self.state.regions);
        let is_segment = |region: &Option<Region>| {
            region.as_ref().is_some_and(|region| region.kind == Kind::Segment)
        };
        regions.filter(|(_, region)| is_segment(region)).map(|(number, _)| number).collect()
    }

    /// Enters segments, whose headers were read, with their logs.
    pub(crate) fn enter_segments(&mut self, numbers: &[u32]) {
        let mut regions: Vec<(u32, Region)> = numbers
            .iter()
            .filter_map(|number| Some((*number, *self.state.region(*number)?)))
            .collect();
        regions.sort_unstable_by_key(|(_, region)| region.first);
        for (number, region) in regions {
            let log = self.state.logs.entry(region.store).or_default();
            log.numbers.push(number);
            log.active = Some(number);
            log.bytes += region.range.len;
            log.next = log.next.max(region.sequence_at(region.range.end()));
        }
    }

    /// Walks on from the ends that are known over what a killed writer appended.
    fn keep_tails(&mut self, numbers: &[u32]) {
        let regions: Vec<(u32, Region)> = numbers
            .iter()
            .filter_map(|number| Some((*number, *self.state.region(*number)?)))
            .collect();
        let (shared, keeper) = (self.shared, Keeper::writer(self.state));
        // Pages that were never appended to read as zeros at once, so what is behind the ends
        // says too much; but it says when there is little.
        let most = regions.iter().map(|(_, region)| region.range.end() - region.segment.end).sum();
        let ends = super::slots::spread(&regions, MANY <= most, |(_, region)| {
            tail_end(shared, keeper, region)
        });
        for ((number, _), end) in regions.iter().zip(ends) {
            if let Some(region) = self.state.region_mut(*number) {
                region.segment.end = end;
            }
        }
    }

    /// The header at `at`, if an entry of its length lies in the segment.
    pub(super) fn entry_header(&self, region: &Region, at: u64) -> Option<EntryHeader> {
        header_in(self.shared, region, at)
    }

    /// Takes back from the end of each log what was appended and not published any more.
    fn cut_orphans(&mut self) {
        let stores: Vec<Arc<Store>> =
            self.shared.stores().iter().flatten().map(Arc::clone).collect();
        for store in stores.iter().filter(|store| store.is_log()) {
            let numbers = self.segments(store).numbers.clone();
            for number in numbers.into_iter().rev() {
                if !self.cut_orphans_of(store, number) {
                    break;
                }
            }
        }
    }

    /// The same for one segment; false when an entry of its tail is published.
    fn cut_orphans_of(&mut self, store: &Store, number: u32) -> bool {
        let Some(region) = self.state.region(number).copied() else { return true };
        let mut tail = Vec::new();
        let mut at = region.segment.told;
        while at < region.segment.end
            && let Some(header) = self.entry_header(&region, at)
        {
            tail.push(at);
            at += header.stride();
        }
        while let Some(at) = tail.pop() {
            if self.is_published(store, at) {
                return false;
            }
            // Whole as it is, it would be found again where nothing is appended over it.
            self.shared.raw.store(at, 0, Ordering::Release);
            if let Some(region) = self.state.region_mut(number) {
                region.segment.end = at;
            }
        }
        true
    }

    /// Whether the slot of the entry at `at` says what the entry says.
    fn is_published(&self, store: &Store, at: u64) -> bool {
        self.slot_of(store, (&self.shared.entry_header(at), at)).is_some()
    }

    /// The slot of the entry at `at`, if it says what the entry says.
    #[inline]
    pub(super) fn slot_of(&self, store: &Store, (header, at): (&EntryHeader, u64)) -> Option<u64> {
        let id = BlockId::from_bits(header.id.get());
        let slot = store.parts.pair(id.index())?;
        let word = self.newest(slot);
        let says = if header.is_tombstone() {
            let next = u64::from(id.generation()) + 1;
            word.class() == TOMBSTONE && word.body() == next.min(SPENT)
        } else {
            word.class() == ENTRY && word.body() * crate::class::GRAIN == at
        };
        says.then_some(slot)
    }

    /// Appends nothing any more to a segment behind whose end something of an undone epoch may
    /// lie; what a discard knows to be clean is left open.
    fn seal_tail(&mut self, number: u32, known: Option<&Segment>) {
        let Some(region) = self.state.region_mut(number) else { return };
        let (segment, end) = (&mut region.segment, region.range.end());
        let clean = known.is_some_and(|known| known.end == segment.end && !known.sealed);
        if segment.sealed || segment.end == end || clean {
            return;
        }
        segment.sealed = true;
        let end = segment.end;
        self.tell_end(number, (end, true));
        self.state.changed = true;
    }
}

/// Where what was appended to a segment ends: entries go on for as long as their checksums are
/// right.
fn tail_end(shared: &Shared, keeper: Keeper<'_>, region: &Region) -> u64 {
    let mut at = region.segment.end;
    while !region.segment.sealed
        && let Some(header) = header_in(shared, region, at)
        && is_whole((shared, keeper), (region, at), &header)
    {
        at += header.stride();
    }
    at
}

/// Whether all of the entry at `at` was stored.
fn is_whole(
    (shared, keeper): (&Shared, Keeper<'_>),
    (region, at): (&Region, u64),
    header: &EntryHeader,
) -> bool {
    if header.has_room() {
        // The payload may be torn by a change in place; its first word was stored last all the
        // same.
        return header.is_room_right(region.seed());
    }
    let Ok(len) = usize::try_from(header.payload()) else { return false };
    header.is_right(region.seed(), appended(&shared.raw, keeper, (at + ENTRY_HEADER, len)))
}

/// The header at `at`, if an entry of its length lies in the segment.
fn header_in(shared: &Shared, region: &Region, at: u64) -> Option<EntryHeader> {
    if region.range.end() < at + ENTRY_HEADER {
        return None;
    }
    let header = shared.entry_header(at);
    let fits = header.is_sound() && at + header.stride() <= region.range.end();
    (header.id.get() != 0 && fits).then_some(header)
}
