//! What the writer knows of the segments of one log.

use crate::class::GRAIN;

/// How far one segment is used. Places are bytes from the start of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Segment {
    /// Where the next entry goes.
    pub(crate) end: u64,
    /// The end that its newest end word says.
    pub(crate) told: u64,
    /// Whether nothing is appended any more: what lies behind the end may be of an undone epoch.
    pub(crate) sealed: bool,
    /// Bytes of entries that slots name.
    pub(crate) live: u64,
    /// The checksum of the segment's incarnation.
    pub(crate) seed: u32,
}

/// The segments of one log.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Oldest first.
    pub(crate) numbers: Vec<u32>,
    /// The one that is appended to: the newest. So sequences, which count the grains of all
    /// segments in the order of their making, grow with every entry; a tombstone that was moved
    /// keeps the one it had.
    pub(crate) active: Option<u32>,
    /// The sequence of the first entry of the next segment.
    pub(crate) next: u64,
    /// Bytes of all segments.
    pub(crate) bytes: u64,
    /// Slots whose entries were removed and that have no other, once they were counted.
    pub(crate) removed: Option<u64>,
    pub(crate) known: Known,
}

/// Indices whose facts are kept together.
const CHUNK: usize = 4096;

/// What the writer saw of entries, so that a change of one need not look at its header: in a word
/// for each index `generation 24 | grains of the entry 8`, or 0 for who was not seen.
#[derive(Debug, Default)]
pub(crate) struct Known(Vec<Option<Box<[u32]>>>);

impl Known {
    fn place(index: u64) -> (usize, usize) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        (index / CHUNK, index % CHUNK)
    }

    /// The bytes that the entry of an index takes, if its newest is known to be of `generation`.
    #[inline]
    pub(crate) fn stride(&self, index: u64, generation: u32) -> Option<u64> {
        let (chunk, at) = Self::place(index);
        let word = *self.0.get(chunk)?.as_ref()?.get(at)?;
        (word >> 8 == generation && word != 0).then(|| u64::from(word & 0xff) * GRAIN)
    }

    /// Notes which entry an index has, by its generation and its bytes.
    #[inline]
    pub(crate) fn note(&mut self, index: u64, generation: u32, stride: u64) {
        match u8::try_from(stride / GRAIN) {
            Ok(grains) => self.set(index, generation << 8 | u32::from(grains)),
            Err(_) => self.forget(index),
        }
    }

    /// Takes back what was noted of an index.
    pub(crate) fn forget(&mut self, index: u64) {
        let (chunk, at) = Self::place(index);
        if let Some(Some(words)) = self.0.get_mut(chunk)
            && let Some(word) = words.get_mut(at)
        {
            *word = 0;
        }
    }

    #[inline]
    fn set(&mut self, index: u64, word: u32) {
        let (chunk, at) = Self::place(index);
        if self.0.len() <= chunk {
            self.0.resize_with(chunk + 1, || None);
        }
        let words = self.0.get_mut(chunk);
        let words = words.map(|words| words.get_or_insert_with(|| vec![0; CHUNK].into()));
        if let Some(known) = words.and_then(|words| words.get_mut(at)) {
            *known = word;
        }
    }
}
