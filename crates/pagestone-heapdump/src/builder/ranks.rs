//! The ordinals of ids while references are resolved: one cache line for most lookups.
//!
//! Ids are addresses, so they lie dense in few ranges. Each range has a bit for every address that
//! an object may have, and every 384 bits a count of the bits before them and for each word among
//! them one from there: the ordinal of an id is the sum of both and of the set bits of its word up
//! to its own. Ids that do not lie dense are searched instead.

use pagestone_storage::{Backing, Options};

use super::{ids, objects::for_each_block, staging::Staging};
use crate::{error::Result, layout::IdBlockRecord, manifest::file};

/// Bits of a line, beside its counts.
const LINE_BITS: u64 = 384;

/// Bits of the count of a word.
const COUNT_BITS: u32 = 9;

/// Lines of a page.
const PAGE_LINES: usize = 64;

const PAGE_BITS: u64 = LINE_BITS * PAGE_LINES as u64;

/// A page that holds no id.
const VACANT: u32 = u32::MAX;

/// The count of ids before, the counts of the words from there, then the bits.
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

/// What a look at the blocks of ids tells.
#[derive(Default)]
struct Span {
    first: Option<u64>,
    /// Not below the last id.
    last: u64,
    /// The bits in which ids may differ from the first.
    all: u64,
}

impl Span {
    fn read(staging: &Staging) -> Result<Self> {
        let options = Options::new().backing(Backing::File);
        let blocks = options.open_read_only::<IdBlockRecord>(staging.file(file::ID_BLOCKS))?;
        let mut span = Self::default();
        for_each_block(&blocks, |blocks| {
            for block in blocks {
                let id = block.first_id.get();
                let first = *span.first.get_or_insert(id);
                let (_, shift, width) = block.place();
                // Ids of a block differ from its first by so many bits.
                let bits = !u64::MAX.checked_shl(width.into()).unwrap_or(0);
                let within = bits.checked_shl(shift.into()).unwrap_or(0);
                span.last = id.saturating_add(within);
                span.all |= id.wrapping_sub(first) | within;
            }
            Ok(())
        })?;
        Ok(span)
    }
}

impl Ranks {
    /// Reads the ids of all `count` objects. At most some 16 bytes for each, mostly one.
    pub(super) fn read(staging: &Staging, count: u32) -> Result<Self> {
        let span = Span::read(staging)?;
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
        ids::for_each(staging, count, |id| {
            if !fits {
                return Ok(());
            }
            let slot = (id - self.first_id) >> self.shift;
            let page = (slot / PAGE_BITS) as usize;
            if self.pages[page] == VACANT {
                fits = self.lines.len() + PAGE_LINES <= lines_max;
                self.pages[page] = u32::try_from(self.lines.len()).unwrap_or(VACANT);
                let lines = self.lines.len() + PAGE_LINES;
                self.lines.resize(lines, Line([0; 8]));
            }
            let (line, bit) = place(slot, self.pages[page]);
            self.lines[line].0[2 + (bit / 64) as usize] |= 1 << (bit % 64);
            Ok(())
        })?;
        let mut before = 0;
        for Line([line_before, word_counts, words @ ..]) in &mut self.lines {
            *line_before = before;
            let mut in_line = 0;
            for (word, shift) in words.iter().zip((0..).step_by(COUNT_BITS as usize)) {
                *word_counts |= in_line << shift;
                in_line += u64::from(word.count_ones());
            }
            before += in_line;
        }
        Ok(fits)
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
        let (word, mask) = ((bit / 64) as usize, 1_u64 << (bit % 64));
        let bits = words[2 + word];
        if bits & mask == 0 {
            return None;
        }
        let in_line = words[1] >> (word * COUNT_BITS as usize) & ((1 << COUNT_BITS) - 1);
        u32::try_from(words[0] + in_line + u64::from((bits & (mask - 1)).count_ones())).ok()
    }
}

/// The line and the bit in it of a slot, whose page begins at `first_line`.
#[inline]
fn place(slot: u64, first_line: u32) -> (usize, u64) {
    let in_page = slot % PAGE_BITS;
    (first_line as usize + (in_page / LINE_BITS) as usize, in_page % LINE_BITS)
}
