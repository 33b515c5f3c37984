//! Segments that no directory word names, by their headers.

use super::{
    source::Source,
    survey::{Segment, Survey},
};
use crate::{
    layout::{REGION_HEADER, RegionHeader, UNIT},
    ranges::Range,
    region::FREE,
    units::Kind,
    word::View,
};

/// Looks for segments where the directory cannot name all of them, or `everywhere`.
pub(super) fn run(survey: &mut Survey, source: &Source, everywhere: bool) {
    let everywhere = everywhere || survey.is_torn();
    if !everywhere && survey.doubtful.is_empty() {
        return;
    }
    let mut found = Vec::new();
    let mut taken: Vec<Range> = survey.known.values().map(|known| known.range).collect();
    taken.sort_unstable();
    let mut taken = taken.into_iter().peekable();
    let mut at = 2 * UNIT;
    while at + REGION_HEADER <= source.len() {
        while taken.peek().is_some_and(|range| range.end() <= at) {
            taken.next();
        }
        if let Some(range) = taken.peek().filter(|range| range.start <= at) {
            at = range.end();
            continue;
        }
        if let Some(header) = source.region_header(at, survey.uuid.as_ref())
            && is_wanted(survey, &header, everywhere)
        {
            found.push((at, header));
        }
        at += UNIT;
    }
    let uuid = survey.uuid.or_else(|| most_common(&found));
    for (at, header) in &found {
        if Some(header.uuid) == uuid {
            let segment = segment_of(survey, (*at, header), &found);
            survey.segments.push(segment);
        }
    }
}

fn is_wanted(survey: &Survey, header: &RegionHeader, everywhere: bool) -> bool {
    let number = header.number.get();
    let len = header.len.get();
    let whole = REGION_HEADER < len && len.is_multiple_of(UNIT) && len < 1 << 48;
    // What was adopted after the last commit is not committed.
    let epoch = header.incarnation.get() >> 24;
    let committed = survey.generation.is_none_or(|generation| epoch <= generation);
    if header.kind != Kind::Segment.code() || !whole || !committed {
        return false;
    }
    if survey.known.contains_key(&number) {
        return false;
    }
    let word = survey.directory.get(&number).map(|entry| entry.word);
    let word = word.map(|pair| pair.word(survey.tag, View::Committed));
    let given_back = word.is_some_and(|word| !word.is_empty() && word.class() == FREE);
    survey.doubtful.contains(&number) || everywhere && !given_back
}

/// A file may hold the bytes of others: its own headers are most of them.
fn most_common(found: &[(u64, RegionHeader)]) -> Option<[u8; 16]> {
    let mut uuids: Vec<[u8; 16]> = found.iter().map(|(_, header)| header.uuid).collect();
    uuids.sort_unstable();
    let runs = uuids.chunk_by(|one, other| one == other);
    runs.max_by_key(|run| run.len()).and_then(|run| run.first().copied())
}

fn segment_of(
    survey: &Survey,
    (at, header): (u64, &RegionHeader),
    found: &[(u64, RegionHeader)],
) -> Segment {
    let range = Range { start: at, len: header.len.get() };
    let number = header.number.get();
    let incarnation = header.incarnation.get();
    // The end that the directory says is that of the last use of the number.
    let others = found.iter().filter(|(_, other)| other.number.get() == number);
    let newest = others.map(|(_, other)| other.incarnation.get()).max();
    let end = survey.end_of(number, range).filter(|_| newest == Some(incarnation));
    Segment {
        number,
        store: header.store.get(),
        range,
        first: header.first.get(),
        incarnation,
        end,
        is_named: false,
    }
}
