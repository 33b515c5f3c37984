//! The ordinals of ids while references are resolved: one cache line for most lookups.
//!
//! Ids are addresses, so they lie dense in few ranges. Each range has a bit for every address that
//! an object may have, and every 448 bits a count of the bits before them: the ordinal of an id is
//! that count and the set bits up to its own. Ids that do not lie dense are searched instead.

use super::{ids, staging::Staging};
use crate::error::Result;

/// Bits of a line, beside its count.
const LINE_BITS: u64 = 448;

/// Lines of a page.
const PAGE_LINES: usize = 64;

const PAGE_BITS: u64 = LINE_BITS * PAGE_LINES as u64;

/// A page that holds no id.
const VACANT: u32 = u32::MAX;

/// The count of ids before, then the bits.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u64; 8]);

/// All ids, made to be looked up.
pub(super) enum Ranks {
    Dense(Dense),
    /// The ids themselves, ascending.
    Sparse(Vec<u64>),
}

/// Ids as bits.
pub(super) struct Dense {
    first_id: u64,
    shift: u32,
    /// For each page the number of its first line.
    pages: Vec<u32>,
    lines: Vec<Line>,
}

/// What a first look at the ids tells.
#[derive(Default)]
struct Span {
    first: Option<u64>,
    last: u64,
    /// The bits in which ids differ from the first.
    all: u64,
}

impl Ranks {
    /// Reads the ids of all `count` objects. At most some 16 bytes for each, mostly one.
    pub(super) fn read(staging: &Staging, count: u32) -> Result<Self> {
        let mut span = Span::default();
        ids::for_each(staging, count, |id| {
            let first = *span.first.get_or_insert(id);
            (span.last, span.all) = (id, span.all | id.wrapping_sub(first));
            Ok(())
        })?;
        let shift = if span.all == 0 { 0 } else { span.all.trailing_zeros() };
        let first_id = span.first.unwrap_or(0);
        let page_count = ((span.last.saturating_sub(first_id)) >> shift) / PAGE_BITS + 1;
        if page_count <= u64::from(count) + 1024 {
            let mut dense = Dense { first_id, shift, pages: Vec::new(), lines: Vec::new() };
            dense.pages.resize(usize::try_from(page_count).unwrap_or(0), VACANT);
            // A page of few ids is paid for by those of many.
            let lines_max = (count as usize / 8).max(PAGE_LINES * 8);
            if dense.fill(staging, (count, lines_max))? {
                return Ok(Self::Dense(dense));
            }
        }
        let mut sorted = Vec::with_capacity(count as usize);
        ids::for_each(staging, count, |id| {
            sorted.push(id);
            Ok(())
        })?;
        Ok(Self::Sparse(sorted))
    }

    /// The ordinal of an id, if an object has it.
    #[inline]
    pub(super) fn ordinal(&self, id: u64) -> Option<u32> {
        match self {
            Self::Dense(dense) => dense.ordinal(id),
            Self::Sparse(sorted) => u32::try_from(sorted.binary_search(&id).ok()?).ok(),
        }
    }
}

impl Dense {
    /// Sets the bits; says whether there was room for the lines.
    fn fill(&mut self, staging: &Staging, (count, lines_max): (u32, usize)) -> Result<bool> {
        let mut fits = true;
        let mut set = 0_u64;
        let mut filled = 0;
        ids::for_each(staging, count, |id| {
            if !fits {
                return Ok(());
            }
            let slot = (id - self.first_id) >> self.shift;
            let page = (slot / PAGE_BITS) as usize;
            if self.pages[page] == VACANT {
                self.count_to(&mut filled, set);
                fits = self.lines.len() + PAGE_LINES <= lines_max;
                self.pages[page] = u32::try_from(self.lines.len()).unwrap_or(VACANT);
                let lines = self.lines.len() + PAGE_LINES;
                self.lines.resize(lines, Line([0; 8]));
            }
            let (line, bit) = place(slot, self.pages[page]);
            if filled <= line {
                self.count_to_line(&mut filled, (line, set));
            }
            self.lines[line].0[1 + (bit / 64) as usize] |= 1 << (bit % 64);
            set += 1;
            Ok(())
        })?;
        Ok(fits)
    }

    /// Writes the count of all lines that have none.
    fn count_to(&mut self, filled: &mut usize, set: u64) {
        for line in &mut self.lines[*filled..] {
            line.0[0] = set;
        }
        *filled = self.lines.len();
    }

    /// Writes the count of the lines up to one that gets its first bit.
    fn count_to_line(&mut self, filled: &mut usize, (line, set): (usize, u64)) {
        for line in &mut self.lines[*filled..=line] {
            line.0[0] = set;
        }
        *filled = line + 1;
    }

    #[inline]
    fn ordinal(&self, id: u64) -> Option<u32> {
        let above = id.checked_sub(self.first_id)?;
        let slot = above >> self.shift;
        if slot << self.shift != above {
            return None;
        }
        let page = usize::try_from(slot / PAGE_BITS).ok()?;
        let first_line = *self.pages.get(page)?;
        if first_line == VACANT {
            return None;
        }
        let (line, bit) = place(slot, first_line);
        let Line(words) = &self.lines[line];
        let word = 1 + (bit / 64) as usize;
        let mask = 1_u64 << (bit % 64);
        if words[word] & mask == 0 {
            return None;
        }
        let mut rank = words[0] + u64::from((words[word] & (mask - 1)).count_ones());
        for full in &words[1..word] {
            rank += u64::from(full.count_ones());
        }
        u32::try_from(rank).ok()
    }
}

/// The line and the bit in it of a slot, whose page begins at `first_line`.
#[inline]
fn place(slot: u64, first_line: u32) -> (usize, u64) {
    let in_page = slot % PAGE_BITS;
    (first_line as usize + (in_page / LINE_BITS) as usize, in_page % LINE_BITS)
}
