//! What superblocks, owner page and directory say, as far as they are readable.

use std::collections::{BTreeMap, BTreeSet};

use super::{Salvaged, names, names::Names, search, source::Source};
use crate::{
    engine::open::Owner,
    error::{Error, ErrorKind, Result},
    header::{self, Committed},
    layout::{REGION_HEADER, UNIT, owner},
    parts::{HIDDEN, PAIR, PARTS, first_of, part_len},
    ranges::Range,
    region::{FREE, Region},
    units::Kind,
    word::{Pair, SWEEP_EVERY, TAGS, View, Word, tag_of},
};

/// How often a file is looked at that is committed to meanwhile.
const TRIES: u32 = 32;
/// The largest generation.
const GENERATION_MAX: u64 = u64::MAX >> 24;

/// A segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) store: u32,
    pub(super) range: Range,
    pub(super) first: u64,
    pub(super) incarnation: u64,
    /// Behind the last committed entry, from the start of the file.
    pub(super) end: Option<u64>,
    /// Whether a directory word names it.
    pub(super) is_named: bool,
}

/// One number of the directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Where its pair lies.
    pub(super) at: u64,
    pub(super) word: Pair,
    pub(super) end: Pair,
}

/// A region that a directory word and its own header agree on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) kind: Kind,
    pub(super) range: Range,
    pub(super) store: u32,
    pub(super) part: u8,
}

/// What is known of a file.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) generation: Option<u64>,
    pub(super) uuid: Option<[u8; 16]>,
    pub(super) region_size: Option<u64>,
    /// The length that is committed.
    pub(super) len: Option<u64>,
    region_count: Option<u64>,
    /// The tag of the open epoch: the words before it are committed.
    pub(super) tag: u16,
    pub(super) directory: BTreeMap<u32, Entry>,
    /// Regions by number.
    pub(super) known: BTreeMap<u32, Known>,
    /// In the order of the file.
    pub(super) segments: Vec<Segment>,
    pub(super) names: Names,
    /// Whether words of the directory are lost.
    is_torn: bool,
    /// Numbers whose words make no sense, or that were given back by an epoch that perhaps was not
    /// committed.
    pub(super) doubtful: BTreeSet<u32>,
}

impl Survey {
    /// Surveys a file as of one commit, and holds what that names while the file is open.
    pub(super) fn hold(source: &mut Source, search: bool, report: &mut Salvaged) -> Result<Self> {
        for _ in 0..TRIES {
            let before = superblock(source).ok();
            let held = before.map_or(1, |found| found.generation);
            source.raw.hold(held)?;
            source.look_again()?;
            *report = Salvaged::default();
            let survey = Self::of(source, search, report);
            if superblock(source).ok() == before {
                return Ok(survey);
            }
            source.raw.release(held);
        }
        let what = "its writer commits all the time; salvage a backup";
        Err(Error::refused(ErrorKind::Locked, source.path(), what))
    }

    fn of(source: &mut Source, search: bool, report: &mut Salvaged) -> Self {
        let mut survey = Self::default();
        survey.read_head(source, report);
        survey.read_directory(source, report);
        survey.choose_tag(source, report);
        survey.read_regions(source, report);
        search::run(&mut survey, source, search);
        survey.segments.sort_by_key(|segment| (segment.range.start, segment.incarnation));
        survey.names = names::read(&survey, source);
        survey
    }

    fn read_head(&mut self, source: &Source, report: &mut Salvaged) {
        match superblock(source) {
            Ok(found) => {
                self.generation = Some(found.generation);
                self.uuid = Some(found.uuid);
                self.region_size = Some(found.region_size);
                self.region_count = Some(found.region_count);
                self.len = Some(found.len);
            }
            Err(error) => {
                report.add((0, 2 * 4096), error.to_string());
            }
        }
    }

    /// Reads all words of the directory, of every part that is found.
    fn read_directory(&mut self, source: &mut Source, report: &mut Salvaged) {
        let mut parts = [None; PARTS];
        parts[0] = Some(UNIT);
        for part in 0..PARTS {
            let Some(base) = parts[part] else { break };
            let header = source.region_header(base, self.uuid.as_ref());
            let header = header.filter(|header| usize::from(header.part) == part);
            let header = header.filter(|header| header.kind == Kind::Directory.code());
            if let Some(header) = header {
                self.uuid = self.uuid.or(Some(header.uuid));
            } else {
                // Where the superblock says how many regions there are, their count tells.
                self.is_torn |= self.region_count.is_none();
                report.add((base, REGION_HEADER), "header of a part of the directory");
            }
            let first = first_of(part) / 2;
            for number in first + HIDDEN / 2..first + part_len(part) / PAIR / 2 {
                let at = base + (number - first) * 2 * PAIR;
                if source.len() < at + 2 * PAIR {
                    self.is_torn |= self.region_count.is_none();
                    report.add((at, base + part_len(part) - at), "directory beyond the file");
                    break;
                }
                let [one, two, three, four] = [0, 8, 16, 24].map(|by| Word(source.word(at + by)));
                let (word, end) = (Pair([one, two]), Pair([three, four]));
                let Ok(number) = u32::try_from(number) else { break };
                if one.0 | two.0 == 0 {
                    continue;
                }
                self.directory.insert(number, Entry { at, word, end });
                self.find_parts((number, word), source, &mut parts);
            }
        }
    }

    /// Where further parts of the directory lie, in whatever epoch they were made.
    fn find_parts(
        &self,
        (number, pair): (u32, Pair),
        source: &Source,
        parts: &mut [Option<u64>; PARTS],
    ) {
        for word in pair.0 {
            let Some((Kind::Directory, range)) = Region::decode(word) else { continue };
            let header = source.region_header(range.start, self.uuid.as_ref());
            let header = header.filter(|header| {
                header.number.get() == number && header.kind == Kind::Directory.code()
            });
            let part = header.map(|header| usize::from(header.part));
            if let Some(slot) = part.filter(|part| *part != 0).and_then(|part| parts.get_mut(part))
            {
                *slot = slot.or(Some(range.start));
            }
        }
    }

    /// The tag that tells committed words from others.
    fn choose_tag(&mut self, source: &mut Source, report: &mut Salvaged) {
        let tags: BTreeSet<u16> = self
            .directory
            .values()
            .flat_map(|entry| entry.word.0)
            .map(Word::tag)
            .filter(|tag| *tag != 0)
            .collect();
        if self.generation.is_none() {
            let published = source.word(owner::PUBLISHED);
            let open = tag_of(published.saturating_add(1));
            let old = |tag: &u16| SWEEP_EVERY + 1 < u64::from(Word::new(*tag, 0, 0).age(open));
            let plausible = (1..GENERATION_MAX).contains(&published) && !tags.iter().any(old);
            self.generation = plausible.then_some(published);
        }
        report.generation = self.generation;
        if let Some(generation) = self.generation {
            self.tag = tag_of(generation + 1);
            return;
        }
        report.add((owner::PUBLISHED, 8), "published generation; the newest words count");
        // All tags lie within half of the circle: the newest one is before the widest gap.
        let after = tags.iter().skip(1).chain(tags.first());
        let gap = |from: u16, to: u16| (u64::from(to) + TAGS - u64::from(from) - 1) % TAGS;
        let newest = tags.iter().zip(after).max_by_key(|(from, to)| gap(**from, **to));
        let newest = newest.map_or(1, |(tag, _)| *tag);
        self.tag = tag_of(u64::from(newest));
    }

    /// Which regions the directory names, each compared with its header.
    fn read_regions(&mut self, source: &Source, report: &mut Salvaged) {
        let (mut named, mut count) = (Vec::new(), 1);
        for (number, entry) in &self.directory {
            let word = entry.word.word(self.tag, View::Committed);
            if word.is_empty() {
                continue;
            }
            if word.class() == FREE {
                // Where the generation is not known, the epoch of the newest words may be open.
                if self.generation.is_none() && word.age(self.tag) == 1 {
                    self.doubtful.insert(*number);
                }
                continue;
            }
            count += 1;
            if let Some((kind, range)) = Region::decode(word) {
                named.push((range, *number, kind));
            } else {
                self.doubtful.insert(*number);
                report.add((entry.at, 16), format!("directory word {:#x}", word.0));
            }
        }
        if let Some(expected) = self.region_count.filter(|expected| *expected != count) {
            self.is_torn = true;
            let what = format!("directory: {expected} regions expected, {count} found");
            report.add((UNIT, 0), what);
        }
        named.sort_unstable_by_key(|(range, number, _)| (*range, *number));
        let mut before = 2 * UNIT;
        for (range, number, kind) in named {
            if self.take_in(source, (number, kind, range), before) {
                before = range.end();
                continue;
            }
            self.doubtful.insert(number);
            let kind = kind.name();
            let what = format!("region {number} ({kind}): header and directory word differ");
            report.add((range.start, range.len), what);
        }
    }

    /// Takes a region in whose header agrees, and that overlaps no other.
    fn take_in(
        &mut self,
        source: &Source,
        (number, kind, range): (u32, Kind, Range),
        before: u64,
    ) -> bool {
        let header = source.region_header(range.start, self.uuid.as_ref());
        let Some(header) = header.filter(|header| {
            header.number.get() == number
                && header.kind == kind.code()
                && header.len.get() == range.len
        }) else {
            return false;
        };
        let is_part = matches!(kind, Kind::Directory | Kind::Table);
        if range.start < before || is_part && PARTS <= usize::from(header.part) {
            return false;
        }
        self.uuid = self.uuid.or(Some(header.uuid));
        let (store, part) = (header.store.get(), header.part);
        self.known.insert(number, Known { kind, range, store, part });
        if kind == Kind::Segment {
            let (first, incarnation) = (header.first.get(), header.incarnation.get());
            let end = self.end_of(number, range);
            let is_named = true;
            self.segments.push(Segment { number, store, range, first, incarnation, end, is_named });
        }
        true
    }

    /// The committed end that the directory says of a segment.
    pub(super) fn end_of(&self, number: u32, range: Range) -> Option<u64> {
        let word = self.directory.get(&number)?.end.word(self.tag, View::Committed);
        let (end, _) = word.end();
        let fits = (REGION_HEADER..=range.len).contains(&end) && end.is_multiple_of(16);
        (!word.is_empty() && fits).then_some(range.start + end)
    }

    /// Whether words of the directory are lost.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }
}

/// The newest valid superblock: of the device where the cache cannot be trusted.
pub(super) fn superblock(source: &Source) -> Result<Committed> {
    let identity = source.raw.identity()?;
    match Owner::read(&source.raw, &identity) {
        Ok(owner) => crate::engine::open::superblock(&source.raw, &owner),
        Err(_) => header::cached_superblock(&source.raw),
    }
}
