//! Regions: a range is adopted under a number, and given back.

use std::sync::atomic::Ordering;

use zerocopy::{
    IntoBytes,
    little_endian::{U16, U32, U64},
};

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    layout::{REGION_HEADER, REGION_MAGIC, RegionHeader, UNIT},
    parts::{PARTS, exists, first_of, part_len, part_of},
    ranges::Range,
    region::{FREE, Region, len_code, lifecycle::Owned, units_of},
    retired::Waste,
    units::Kind,
    word::View,
};

/// What a region shall be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    /// Bytes, header included.
    pub(crate) len: u64,
    pub(crate) store: u32,
    pub(crate) part: usize,
    /// Of a segment: the sequence of its first entry.
    pub(crate) first: u64,
}

impl Wanted {
    pub(crate) fn of(kind: Kind, len: u64) -> Self {
        Self { kind, len, store: 0, part: 0, first: 0 }
    }
}

/// The first heap region: so short that an empty file stays below 1.2 MiB.
const FIRST: u64 = 896 << 10;
/// Bytes that are prepared together.
const AHEAD: u64 = 256 << 10;
/// Bytes of one write that prepares blocks: the folios of the page cache become this large, and a
/// changed byte costs its folio at a sync. Four KiB would cost less there and twice as much here.
const PIECE: usize = 8 << 10;
/// The same for tables, of which there is little to prepare and much to change.
const TABLE_PIECE: usize = 4 << 10;
/// The same for entries, which follow each other: nearly all of a folio is changed with it.
const SEGMENT_PIECE: usize = 64 << 10;
/// The page of a region's header, which is there already.
const UNIT_PAGE: u64 = 4096;

/// Heap regions are this part of all heap bytes, within the bounds of the file.
const GROWTH: u64 = 16;

/// Bytes of the shortest region of at least `len`.
pub(crate) fn region_len(len: u64) -> u64 {
    units_of(len_code(len.div_ceil(UNIT))) * UNIT
}

impl Engine<'_> {
    /// Adopts a range as a region; returns its number.
    pub(crate) fn adopt(&mut self, wanted: Wanted) -> Result<u32> {
        let number = self.vacant_number(wanted.kind)?;
        let range = match self.take_range(region_len(wanted.len)) {
            Ok(range) => range,
            Err(error) => {
                self.state.numbers.vacant.push(u64::from(number));
                return Err(error);
            }
        };
        self.adopt_range(number, wanted, range)
    }

    /// Adopts a range that is zero, or holds what it shall hold, under a vacant number.
    pub(crate) fn adopt_range(&mut self, number: u32, wanted: Wanted, range: Range) -> Result<u32> {
        let mut region = Region::new(wanted.kind, range);
        region.store = wanted.store;
        region.part = u8::try_from(wanted.part).unwrap_or(u8::MAX);
        region.first = wanted.first;
        region.prepared = range.start;
        if wanted.kind == Kind::Heap {
            region.free = region.grains();
        }
        self.install(number, region)?;
        if wanted.kind == Kind::Heap {
            self.state.space.cover(range.end());
            self.state.space.add(region.base(), range.end());
        }
        Ok(number)
    }

    /// Makes a zeroed range the region of a number: its header, then its directory word.
    pub(crate) fn install(&mut self, number: u32, mut region: Region) -> Result<()> {
        let (kind, range) = (region.kind, region.range);
        let Some(body) = region.body() else {
            self.state.ranges.give(range);
            self.state.numbers.vacant.push(u64::from(number));
            let what = "the file has 256 TiB, the most that a directory can name";
            return Err(Error::refused(ErrorKind::OutOfSpace, self.shared.path(), what));
        };
        self.write_header(number, &mut region);
        let at = self.number_pair(number)?;
        if kind == Kind::Segment {
            self.publish_end(at, (REGION_HEADER, false));
        }
        self.publish(at, kind.code(), body);
        self.state.enter(number, region);
        self.shared.units.set(range.start, range.end(), Some(kind));
        tracing::debug!(number, kind = kind.name(), start = range.start, len = range.len);
        Ok(())
    }

    /// A number that no region of the newest state has; a directory that is nearly full grows
    /// first.
    pub(crate) fn vacant_number(&mut self, kind: Kind) -> Result<u32> {
        let last = (0..PARTS).take_while(|part| self.shared.directory.has(*part)).last();
        let end = first_of(last.map_or(0, |part| part + 1)) / 2;
        let numbers = &mut self.state.numbers;
        let left = numbers.vacant.len() as u64 + (end - numbers.next);
        if left <= 1 && kind != Kind::Directory {
            let part = last.map_or(0, |part| part + 1);
            let wanted = Wanted { part, ..Wanted::of(Kind::Directory, part_len(part)) };
            let number = self.adopt(wanted)?;
            let start = self.state.region(number).map(|region| region.range.start);
            self.shared.directory.set(part, start);
            return self.vacant_number(kind);
        }
        let numbers = &mut self.state.numbers;
        if let Some(number) = numbers.vacant.pop() {
            return Ok(u32::try_from(number).unwrap_or(u32::MAX));
        }
        while !exists(2 * numbers.next) {
            numbers.next += 1;
        }
        let number = numbers.next;
        numbers.next += 1;
        match u32::try_from(number) {
            Ok(number) if part_of(2 * u64::from(number)) <= last.unwrap_or(0) => Ok(number),
            _ => {
                let what = "no region number is left";
                Err(Error::refused(ErrorKind::OutOfSpace, self.shared.path(), what))
            }
        }
    }

    /// Where the directory pair of a number lies.
    pub(crate) fn number_pair(&self, number: u32) -> Result<u64> {
        self.shared.directory.pair(2 * u64::from(number)).ok_or_else(|| {
            let found = u64::from(number);
            Error::corrupt(self.shared.path(), ("region number", 0), 0, found)
        })
    }

    /// Takes a zeroed range of the file, which grows if it must.
    pub(crate) fn take_range(&mut self, len: u64) -> Result<Range> {
        self.reclaim();
        match self.state.ranges.take(len) {
            Some(range) => self.zeroed(range),
            None => self.grow_range(len),
        }
    }

    /// Takes a zeroed range at the end of the file, which grows.
    pub(crate) fn grow_range(&mut self, len: u64) -> Result<Range> {
        self.take_tail(self.state.ranges.tail(self.shared.raw.len()), len)
    }

    /// Zeroes a range that was just taken; gives it back where that fails.
    pub(crate) fn zeroed(&mut self, range: Range) -> Result<Range> {
        // Each time it is adopted: words of an adoption that was rolled back carry valid tags.
        if let Err(error) = self.shared.raw.zero(range.start, range.len) {
            self.state.ranges.give(range);
            return Err(error.into());
        }
        Ok(range)
    }

    /// Takes a zeroed range from `start` on, where the file ends or its free tail starts.
    pub(crate) fn take_tail(&mut self, start: u64, len: u64) -> Result<Range> {
        let raw = &self.shared.raw;
        let (old, end) = (raw.len(), start + len);
        raw.grow(end)?;
        self.state.ranges.cut(start);
        if end < old {
            self.state.ranges.give(Range { start: end, len: old - end });
        }
        let range = Range { start, len };
        // What is freshly grown is zero.
        let used = old.min(end) - start;
        if let Err(error) = raw.zero(start, used) {
            self.state.ranges.give(range);
            return Err(error.into());
        }
        Ok(range)
    }

    pub(crate) fn write_header(&mut self, number: u32, region: &mut Region) {
        self.state.adoptions += 1;
        region.set_incarnation((self.state.generation + 1) << 24 | self.state.adoptions);
        let mut header = RegionHeader {
            magic: REGION_MAGIC,
            kind: region.kind.code(),
            part: region.part,
            spare: U16::new(0),
            number: U32::new(number),
            store: U32::new(region.store),
            uuid: self.shared.uuid,
            incarnation: U64::new(region.incarnation),
            len: U64::new(region.range.len),
            first: U64::new(region.first),
            reserved: [0; 4],
            checksum: U32::new(0),
        };
        header.checksum = U32::new(header.sum());
        let mut owned = Owned::taken(region.range.start, region.range.len);
        owned.fill(&self.shared.raw, 0, header.as_bytes());
    }

    /// Gives a region back that no newest word points into.
    pub(crate) fn give_back(&mut self, number: u32) -> Result<()> {
        let at = self.number_pair(number)?;
        let Some(region) = self.state.region(number).copied() else { return Ok(()) };
        let before = self.shared.pair(at).word(self.shared.tag(), View::Committed);
        let committed = Region::decode(before) == Some((region.kind, region.range));
        self.publish(at, FREE, 0);
        if region.kind == Kind::Heap {
            self.state.space.remove(region.base(), region.range.end());
        }
        self.state.leave(number);
        self.state.evacuation.left(number);
        self.state.numbers.vacant.push(u64::from(number));
        self.retire(!committed, Waste::Range(region.range));
        Ok(())
    }

    /// A range waits no more: its blocks go back to the file system.
    pub(crate) fn free_range(&mut self, range: Range) {
        self.shared.units.set(range.start, range.end(), None);
        self.zero_range(range);
        self.punch(range);
        self.state.ranges.give(range);
    }

    /// Gives the blocks of free space back.
    pub(crate) fn punch(&self, range: Range) {
        if let Err(error) = self.shared.raw.punch(range.start, range.len) {
            // The space is free all the same; it is zeroed when it is adopted.
            tracing::warn!(%error, start = range.start, len = range.len, "space not punched");
        }
    }

    /// Gives wholly free heap regions back; one of them stays if it is the last.
    pub(crate) fn give_empties_back(&mut self) -> Result<()> {
        for number in std::mem::take(&mut self.state.empties) {
            let Some(region) = self.state.region(number) else { continue };
            let empty = region.kind == Kind::Heap && region.free == region.grains();
            if empty && region.range.len < self.state.heap_bytes {
                self.give_back(number)?;
            }
        }
        Ok(())
    }

    /// Adopts one more region for blocks.
    pub(crate) fn grow_heap(&mut self) -> Result<()> {
        let share = (self.state.heap_bytes / GROWTH).max(1);
        let len = 1_u64 << share.ilog2();
        let len = match self.state.heap_bytes {
            0 => FIRST,
            _ => len.clamp(1 << 20, self.shared.options.region_size),
        };
        self.adopt(Wanted::of(Kind::Heap, len)).map(|_| ())
    }

    /// Brings the pages of a region up to `end` into the cache, some ahead, where nothing of the
    /// region beyond was ever used.
    pub(crate) fn prepare(&mut self, at: u64, end: u64) -> Result<()> {
        let raw = &self.shared.raw;
        let Some((_, region)) = self.state.holding(at) else { return Ok(()) };
        if end <= region.prepared {
            return Ok(());
        }
        let from = region.prepared.max(region.range.start + UNIT_PAGE);
        let to = end.next_multiple_of(AHEAD).min(region.range.end());
        if from < to {
            let piece = match region.kind {
                Kind::Heap => PIECE,
                Kind::Segment => SEGMENT_PIECE,
                _ => TABLE_PIECE,
            };
            raw.prepare(from, to - from, piece)?;
        }
        region.prepared = to;
        Ok(())
    }

    /// Cuts the free tail of the file that no superblock in force names.
    pub(crate) fn cut_tail(&mut self) {
        let end = self.shared.raw.len();
        let tail = self.state.ranges.tail(end).max(self.state.committed_len);
        if end <= tail || self.state.retired.ranges_beyond(tail) {
            return;
        }
        match self.shared.raw.cut(tail) {
            Ok(()) => self.state.ranges.cut(tail),
            Err(error) => tracing::warn!(%error, tail, "tail not cut"),
        }
    }

    /// Sets a control word with nothing to publish.
    pub(crate) fn set_word(&mut self, at: u64, value: u64) {
        self.shared.raw.store(at, value, Ordering::Release);
    }
}
