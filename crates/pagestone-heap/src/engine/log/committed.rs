//! What a file that is open for reading tells of its segments.

use crate::{
    class::GRAIN,
    engine::Engine,
    error::Result,
    layout::REGION_HEADER,
    log::SegmentFacts,
    parts::PAIR,
    store::Store,
    units::Kind,
    word::{ENTRY, Word},
};

impl Engine<'_> {
    /// The segments of a log as of the last commit, oldest first.
    pub(crate) fn committed_segments(&mut self, store: &Store) -> Result<Vec<SegmentFacts>> {
        let mut facts = Vec::new();
        for (number, region) in (0_u32..).zip(&self.state.regions) {
            let Some(region) = region else { continue };
            if region.kind != Kind::Segment || region.store != store.number {
                continue;
            }
            let at = self.number_pair(number)? + PAIR;
            let (end, _) = self.shared.select(at).end();
            if !(REGION_HEADER..=region.range.len).contains(&end) {
                return Err(self.corrupt(("end of a segment", at), region.range.len, end));
            }
            facts.push(SegmentFacts {
                number,
                offset: region.range.start,
                len: region.range.len,
                used: end - REGION_HEADER,
                live: 0,
                first_sequence: region.first,
                is_active: false,
            });
        }
        facts.sort_by_key(|facts| facts.offset);
        self.add_all_live(store, &mut facts)?;
        facts.sort_by_key(|facts| facts.first_sequence);
        if let Some(newest) = facts.last_mut() {
            newest.is_active = true;
        }
        Ok(facts)
    }

    /// Counts what slots name into segments in the order of the file.
    fn add_all_live(&mut self, store: &Store, facts: &mut [SegmentFacts]) -> Result<()> {
        let mut wrong: Option<(u64, Word)> = None;
        self.for_each_slot_of(store, &mut |engine, slot| {
            let word = engine.shared.select(slot);
            if word.is_empty() || word.class() != ENTRY {
                return;
            }
            let at = word.body() * GRAIN;
            let behind = facts.partition_point(|segment| segment.offset <= at);
            let segment = behind.checked_sub(1).and_then(|nth| facts.get_mut(nth));
            let segment = segment.filter(|segment| at < segment.offset + segment.len);
            match (engine.shared.header_of(word), segment) {
                (Some(header), Some(segment)) => segment.live += header.stride(),
                _ => wrong = Some((slot, word)),
            }
        });
        match wrong {
            Some((slot, word)) => Err(self.corrupt(("place of an entry", slot), 0, word.0)),
            None => Ok(()),
        }
    }
}
