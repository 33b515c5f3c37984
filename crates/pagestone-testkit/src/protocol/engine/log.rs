//! The buffer's log: entries in segments, tombstones, compaction.

use crate::protocol::{
    engine::{
        Engine,
        region::{Sealed, end_body},
    },
    machine::Result,
    place::{
        ENTRY, EntryKind, HEADER, Key, Kind, LOGGED, Region, Store, TOMBSTONE, body_of, class,
        end_pair, offset, slot_body,
    },
    random::checksum,
    rules::Mutant,
};

/// One entry of the log as its words say.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Entry {
    pub(in crate::protocol) at: u32,
    pub(in crate::protocol) key: Key,
    pub(in crate::protocol) kind: EntryKind,
    pub(in crate::protocol) sequence: u64,
    pub(in crate::protocol) value: u64,
}

/// What to append.
#[derive(Debug, Clone, Copy)]
struct Appended {
    key: Key,
    kind: EntryKind,
    value: u64,
    /// A sequence that is kept.
    sequence: Option<u64>,
}

impl Engine {
    /// The entry at an address of a segment, if its checksum is right.
    pub(super) fn entry(&self, segment: Region, at: u32) -> Result<Option<Entry>> {
        if at < segment.base() + HEADER || segment.end() < at + ENTRY {
            return Ok(None);
        }
        let first = self.load(at)?;
        let (sequence, sum, value) = (self.load(at + 1)?, self.load(at + 2)?, self.load(at + 3)?);
        let incarnation = self.load(segment.base())?;
        if first >> 56 != 0x10 || sum != checksum(&[incarnation, first, sequence, value]) {
            return Ok(None);
        }
        let key = Key {
            store: Store::Log,
            index: (first >> 48 & 0xff) as u32,
            generation: (first >> 16 & 0xffff_ffff) as u32,
        };
        let kind = if first & 1 == 1 { EntryKind::Tombstone } else { EntryKind::Value };
        Ok(Some(Entry { at, key, kind, sequence, value }))
    }

    /// The entries of a segment up to `end`.
    pub(super) fn entries_until(&self, segment: Region, end: u32) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut at = segment.base() + HEADER;
        while at < end {
            entries.extend(self.entry(segment, at)?);
            at += ENTRY;
        }
        Ok(entries)
    }

    /// Where the committed entries of a segment end.
    pub(super) fn committed_end(&self, number: usize, segment: Region) -> Result<u32> {
        let word = self.select(end_pair(number), 1)?;
        Ok(word.map_or(segment.base() + HEADER, offset).min(segment.end()))
    }

    /// All entries of a segment.
    pub(in crate::protocol) fn entries(&self, number: usize) -> Result<Vec<Entry>> {
        match self.regions.0[number] {
            Some(segment) => self.entries_until(segment, self.ends[number].min(segment.end())),
            None => Ok(Vec::new()),
        }
    }

    fn room(&self, number: usize) -> Option<u32> {
        let segment = self.regions.0[number]?;
        let at = self.ends[number];
        (at + ENTRY <= segment.end()).then_some(at)
    }

    fn append(&mut self, entry: Appended, avoid: Option<usize>) -> Result<Option<u32>> {
        let open = self.appending.filter(|number| Some(*number) != avoid);
        let place = open.and_then(|number| Some((number, self.room(number)?)));
        let place = if place.is_some() {
            place
        } else {
            let len = self.machine.random.pick(&[1, 1, 2]).unwrap_or(1);
            let number = self.adopt(Kind::Segment, len)?;
            self.appending = number.or(self.appending);
            number.and_then(|number| Some((number, self.room(number)?)))
        };
        let Some((number, at)) = place else { return Ok(None) };
        let incarnation = match self.regions.0[number] {
            Some(segment) => self.load(segment.base())?,
            None => 0,
        };
        let first = entry.key.first_word(entry.kind);
        let sequence = entry.sequence.unwrap_or(self.sequence);
        if entry.sequence.is_none() {
            self.sequence += 1;
        }
        self.store(at, 0)?;
        self.store(at + 1, sequence)?;
        self.store(at + 3, entry.value)?;
        self.store(at + 2, checksum(&[incarnation, first, sequence, entry.value]))?;
        self.store(at, first)?;
        self.ends[number] = at + ENTRY;
        self.appended[number] = true;
        Ok(Some(at))
    }

    /// Adds or updates an entry; false where no space is left.
    pub(in crate::protocol) fn put_entry(&mut self, key: Key, value: u64) -> Result<bool> {
        let pair = key.store.fixed_pair(key.index);
        if self.breaks(Mutant::SlotBeforeEntry)
            && let Some(at) = self.appending.and_then(|number| self.room(number))
        {
            self.publish(pair, slot_body(LOGGED, at))?;
        }
        let entry = Appended { key, kind: EntryKind::Value, value, sequence: None };
        let Some(at) = self.append(entry, None)? else { return Ok(false) };
        self.publish(pair, slot_body(LOGGED, at))?;
        Ok(true)
    }

    pub(super) fn append_tombstone(&mut self, key: Key) -> Result<bool> {
        let entry = Appended { key, kind: EntryKind::Tombstone, value: 0, sequence: None };
        Ok(self.append(entry, None)?.is_some())
    }

    /// The lowest sequence of the other segments that keeps a tombstone needed.
    fn lowest_elsewhere(&self, number: usize) -> Result<u64> {
        let mut lowest = u64::MAX;
        for other in self.numbers(Kind::Segment).into_iter().filter(|other| *other != number) {
            for entry in self.entries(other)? {
                if entry.kind == EntryKind::Value || self.breaks(Mutant::SequenceKept) {
                    lowest = lowest.min(entry.sequence);
                }
            }
        }
        Ok(lowest)
    }

    /// Moves what is needed out of a segment and gives it back; false where no space is left.
    pub(in crate::protocol) fn compact(&mut self, number: usize) -> Result<bool> {
        let lowest = self.lowest_elsewhere(number)?;
        for entry in self.entries(number)? {
            let pair = entry.key.store.fixed_pair(entry.key.index % Store::Log.fixed());
            let word = self.select(pair, 0)?.unwrap_or(0);
            let kept = Some(entry.sequence).filter(|_| {
                entry.kind == EntryKind::Tombstone || self.breaks(Mutant::SequenceKept)
            });
            let moved =
                Appended { key: entry.key, kind: entry.kind, value: entry.value, sequence: kept };
            let needed = match entry.kind {
                EntryKind::Value => class(word) == LOGGED && offset(word) == entry.at,
                EntryKind::Tombstone => {
                    class(word) == TOMBSTONE
                        && offset(word) == entry.key.generation + 1
                        && lowest < entry.sequence
                        && self.keeps(Mutant::TombstoneDropped)
                }
            };
            if !needed {
                continue;
            }
            let Some(at) = self.append(moved, Some(number))? else { return Ok(false) };
            if entry.kind == EntryKind::Value {
                self.publish(pair, slot_body(LOGGED, at))?;
            }
        }
        self.give_back(number)?;
        Ok(true)
    }

    /// Stores the end of every segment appended to in the open epoch.
    pub(super) fn store_ends(&mut self) -> Result<()> {
        for number in self.numbers(Kind::Segment) {
            if self.appended[number] {
                self.publish(end_pair(number), end_body(self.ends[number], Sealed::No))?;
            }
        }
        Ok(())
    }

    /// Whether the slot says what this entry says.
    pub(super) fn slot_agrees(&self, entry: &Entry) -> Result<bool> {
        let pair = entry.key.store.fixed_pair(entry.key.index % Store::Log.fixed());
        let Some(word) = self.select(pair, 0)? else { return Ok(false) };
        Ok(match entry.kind {
            EntryKind::Value => body_of(word) == slot_body(LOGGED, entry.at),
            EntryKind::Tombstone => body_of(word) == slot_body(TOMBSTONE, entry.key.generation + 1),
        })
    }
}
