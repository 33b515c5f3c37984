//! Regions: which there are, how a range is adopted as one, and how it is given back.

pub(crate) mod lifecycle;

use crate::{
    layout::{REGION_HEADER, UNIT, seed_of},
    ranges::Range,
    segments::Segment,
    units::Kind,
    word::Word,
};

/// The class of a directory word whose region was given back.
pub(crate) const FREE: u8 = 250;

/// One region of the newest state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) kind: Kind,
    pub(crate) range: Range,
    /// Of a slot table: whose, and which part.
    pub(crate) store: u32,
    pub(crate) part: u8,
    /// Of a segment: the sequence of its first entry.
    pub(crate) first: u64,
    /// Of a segment: what seeds the checksums of its entries; 0 while its header was not read.
    pub(crate) incarnation: u64,
    /// Of a segment: how far it is used.
    pub(crate) segment: Segment,
    /// Of a heap region: grains that are free, listed or not.
    pub(crate) free: u64,
    /// Bytes from here on were never in use, and their pages may not be there.
    pub(crate) prepared: u64,
    /// Of a heap region: whether the bitmap shows its free grains.
    pub(crate) loaded: bool,
}

impl Region {
    pub(crate) fn new(kind: Kind, range: Range) -> Self {
        Self {
            kind,
            range,
            store: 0,
            part: 0,
            first: 0,
            incarnation: 0,
            segment: Segment::default(),
            free: 0,
            prepared: range.end(),
            loaded: true,
        }
    }

    /// The first byte behind the header.
    pub(crate) fn base(&self) -> u64 {
        self.range.start + REGION_HEADER
    }

    /// Of a segment: the sequence of an entry at `at`.
    pub(crate) fn sequence_at(&self, at: u64) -> u64 {
        self.first.saturating_add(at.saturating_sub(self.base()) / crate::class::GRAIN)
    }

    /// Of a segment: the checksum that the checksums of its entries go on from.
    pub(crate) fn seed(&self) -> u32 {
        self.segment.seed
    }

    /// Says which use of the range this is.
    pub(crate) fn set_incarnation(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        self.segment.seed = seed_of(incarnation);
    }

    /// The grains that blocks can have.
    pub(crate) fn grains(&self) -> u64 {
        (self.range.len - REGION_HEADER) / crate::class::GRAIN
    }

    /// The directory word's class and body: `kind`, `length code 8 | start in units 32`.
    pub(crate) fn body(&self) -> Option<u64> {
        let start = self.range.start / UNIT;
        u32::try_from(start)
            .is_ok()
            .then(|| u64::from(len_code(self.range.len / UNIT)) << 32 | start)
    }

    /// What a directory word names; `None` where it names no range.
    pub(crate) fn decode(word: Word) -> Option<(Kind, Range)> {
        let kind = Kind::of(word.class())?;
        let code = u8::try_from(word.body() >> 32).ok()?;
        let units = units_of(code);
        let start = (word.body() & 0xffff_ffff) * UNIT;
        (units != 0).then(|| (kind, Range { start, len: units * UNIT }))
    }
}

/// The code of the shortest region of at least `units`: as it is up to 7, then four bits of
/// length and a power of two.
pub(crate) const fn len_code(units: u64) -> u8 {
    let mut code = 1;
    while code < 255 && units_of(code) < units {
        code += 1;
    }
    code
}

/// The units of a code; 0 for code 0.
pub(crate) const fn units_of(code: u8) -> u64 {
    if code < 8 { code as u64 } else { (8 + (code & 7) as u64) << ((code >> 3) - 1) }
}

/// The longest length that a region can have of at most `len` bytes.
pub(crate) fn fitting(len: u64) -> u64 {
    let units = len / UNIT;
    let code = len_code(units);
    let code = if units < units_of(code) { code - 1 } else { code };
    units_of(code) * UNIT
}

#[cfg(test)]
mod tests {
    use super::{len_code, units_of};

    #[test]
    fn lengths_are_kept_to_an_eighth() {
        for code in 1..255 {
            assert!(units_of(code) < units_of(code + 1));
            assert_eq!(len_code(units_of(code)), code);
        }
        for units in (1..5000).chain([1 << 20, (1 << 20) + 1]) {
            let held = units_of(len_code(units));
            assert!(units <= held && held <= units + units / 8, "{units} in {held}");
        }
    }
}
