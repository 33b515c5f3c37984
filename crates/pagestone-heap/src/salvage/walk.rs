//! The entries of the segments: which are whole, and which of each id counts.

use std::collections::{BTreeMap, HashMap, hash_map};

use super::{
    Pace, Salvaged,
    source::Source,
    survey::{Segment, Survey},
};
use crate::{
    class::GRAIN,
    error::Result,
    id::BlockId,
    layout::{ENTRY_HEADER, EntryHeader, REGION_HEADER, TOMBSTONE_LEN, seed_of},
    parts::{PAIR, exists, first_of, part_len, part_of},
};

/// Checksums of what turns out to be no entry are computed for this many times the bytes of a
/// segment, and then no more: a forged segment could ask for them without end.
const PATIENCE: u64 = 4;
/// How much longer than the file a slot table may have to be.
const TABLE_SHARE: u64 = 64;

/// The entry that counts of an index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Best {
    pub(super) generation: u32,
    /// Bytes of the payload, or a tombstone.
    pub(super) len: u32,
    /// The room that the payload has, if it has any.
    pub(super) room: Option<u64>,
    pub(super) sequence: u64,
    pub(super) at: u64,
    pub(super) incarnation: u64,
}

impl Best {
    pub(super) fn is_tombstone(&self) -> bool {
        self.len == TOMBSTONE_LEN
    }
}

/// What was found: by store, by index.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) stores: BTreeMap<u32, HashMap<u64, Best>>,
    /// Damaged headers that name an id: the place in the report, store, id and sequence.
    suspects: Vec<(usize, u32, BlockId, u64)>,
}

impl Entries {
    /// Reads all segments.
    pub(super) fn read(
        source: &mut Source,
        survey: &Survey,
        (report, pace): (&mut Salvaged, &mut Pace<'_>),
    ) -> Result<Self> {
        let mut entries = Self::default();
        for segment in &survey.segments {
            pace.more(segment.end.unwrap_or(segment.range.end()) - segment.range.start);
        }
        let tables = survey.len.unwrap_or(0).min(source.len().saturating_mul(TABLE_SHARE));
        let tables = tables.max(source.len());
        let mut segments = survey.segments.as_slice();
        while let Some((segment, rest)) = segments.split_first() {
            let mut walk = Walk {
                segment,
                source: &mut *source,
                entries: &mut entries,
                report: &mut *report,
                tables,
                at: segment.range.start + REGION_HEADER,
                bad: None,
                patience: segment.range.len.saturating_mul(PATIENCE),
            };
            segments = walk.run(rest, pace)?;
            report.segments += 1;
            report.ends_unknown += u64::from(segment.end.is_none());
            report.unnamed += u64::from(!segment.is_named);
        }
        for (at, len) in source.take_unread() {
            report.add((at, len), "the device cannot read it");
        }
        entries.tell_suspects(report);
        Ok(entries)
    }

    fn tell_suspects(&mut self, report: &mut Salvaged) {
        for (place, store, id, sequence) in std::mem::take(&mut self.suspects) {
            let best = self.stores.get(&store).and_then(|found| found.get(&id.index()));
            let older = best.is_some_and(|best| best.sequence < sequence && !best.is_tombstone());
            if let Some(damage) = report.damaged.get_mut(place).filter(|_| older) {
                damage.what.push_str("; an older content came back");
            }
        }
    }

    /// Takes an entry in, if none of its id is newer.
    fn add(&mut self, segment: &Segment, (at, header): (u64, &EntryHeader)) {
        let id = BlockId::from_bits(header.id.get());
        let best = Best {
            generation: id.generation(),
            len: header.len.get(),
            room: header.has_room().then(|| header.room.get().into()),
            sequence: header.sequence.get(),
            at,
            incarnation: segment.incarnation,
        };
        match self.stores.entry(segment.store).or_default().entry(id.index()) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(best);
            }
            hash_map::Entry::Occupied(mut found) => {
                let age = |best: &Best| (best.generation, best.sequence);
                if age(found.get()) < age(&best) {
                    found.insert(best);
                }
            }
        }
    }
}

/// A walk over one segment.
struct Walk<'w> {
    segment: &'w Segment,
    source: &'w mut Source,
    entries: &'w mut Entries,
    report: &'w mut Salvaged,
    /// The most bytes that a slot table can have had.
    tables: u64,
    at: u64,
    /// Where the bytes start that are no entry.
    bad: Option<u64>,
    /// Bytes of wrong entries that are still read.
    patience: u64,
}

impl Walk<'_> {
    /// Walks the segment, as far as none of the `rest` that was adopted later lies in it; returns
    /// what of the rest comes next.
    fn run<'s>(&mut self, mut rest: &'s [Segment], pace: &mut Pace<'_>) -> Result<&'s [Segment]> {
        while let Some((next, behind)) = rest.split_first()
            && next.range.start < self.segment.range.end()
        {
            if self.segment.incarnation < next.incarnation {
                self.walk_to(next.range.start, pace)?;
                if self.at <= next.range.start {
                    return Ok(rest);
                }
            }
            // It lies in the payload of an entry, or is older.
            rest = behind;
        }
        let limit = self.segment.end.unwrap_or(self.segment.range.end());
        self.walk_to(limit, pace)?;
        // Where the end is not known, what follows the last entry was perhaps never used.
        if let Some(bad) = self.bad.filter(|_| self.segment.end.is_some()) {
            self.lost((bad, limit.min(self.source.len()) - bad));
        }
        if self.segment.end.is_some() && self.source.len() < limit {
            let from = self.source.len().max(self.segment.range.start);
            self.report.add((from, limit - from), "beyond the end of the file");
        }
        Ok(rest)
    }

    fn walk_to(&mut self, stop: u64, pace: &mut Pace<'_>) -> Result<()> {
        let stop = stop.min(self.source.len());
        while self.at + ENTRY_HEADER <= stop {
            let before = self.at;
            match self.entry() {
                Some(header) => self.take(&header),
                None if self.patience == 0 => {
                    self.bad.get_or_insert(before);
                    self.at = stop;
                }
                None => {
                    self.bad.get_or_insert(before);
                    self.at += GRAIN;
                }
            }
            pace.step(self.at - before, self.source)?;
        }
        Ok(())
    }

    fn take(&mut self, header: &EntryHeader) {
        if let Some(bad) = self.bad.take() {
            self.lost((bad, self.at - bad));
        }
        let id = BlockId::from_bits(header.id.get());
        let part = part_of(id.index());
        let table = first_of(part).saturating_mul(PAIR).saturating_add(part_len(part));
        if exists(id.index()) && (part == 0 || table <= self.tables) {
            self.entries.add(self.segment, (self.at, header));
        } else {
            let what = format!("entry {id} has a slot that no table of this file can have");
            self.report.add((self.at, header.stride()), what);
        }
        self.at += header.stride();
    }

    /// Reports bytes that are no entry.
    fn lost(&mut self, (at, len): (u64, u64)) {
        let header = self.source.entry_header(at);
        let fits = |header: &EntryHeader| {
            header.id.get() != 0 && header.sequence.get() == self.sequence_at(at)
        };
        let number = self.segment.number;
        let Some(header) = header.filter(fits) else {
            self.report.add((at, len), format!("segment {number}: no entry"));
            return;
        };
        let id = BlockId::from_bits(header.id.get());
        let place = self.report.damaged.len();
        let what = format!("segment {number}: entry {id}: checksum {:#x}", header.checksum.get());
        if let Some(damage) = self.report.add((at, len), what) {
            damage.id = Some(id);
            self.entries.suspects.push((place, self.segment.store, id, header.sequence.get()));
        }
    }

    fn sequence_at(&self, at: u64) -> u64 {
        let base = self.segment.range.start + REGION_HEADER;
        self.segment.first.saturating_add((at - base) / GRAIN)
    }

    /// The header of the entry here, if all of it lies in the segment and its checksum says so.
    fn entry(&mut self) -> Option<EntryHeader> {
        let header = self.source.entry_header(self.at)?;
        let (sequence, here) = (header.sequence.get(), self.sequence_at(self.at));
        // A tombstone that was moved keeps the sequence that it had.
        let fits = sequence == here || header.is_tombstone() && sequence < here;
        let end = self.at + header.stride();
        // Not its committed end: an entry across it would show that the end is wrong.
        let within = end <= self.segment.range.end().min(self.source.len());
        if header.id.get() == 0 || !fits || !within || !header.is_sound() {
            return None;
        }
        if !header.is_room_right(seed_of(self.segment.incarnation)) {
            return None;
        }
        let sum = self.source.entry_sum((&header, self.at), self.segment.incarnation);
        if sum == header.checksum.get() {
            return Some(header);
        }
        self.patience = self.patience.saturating_sub(header.stride());
        None
    }
}
