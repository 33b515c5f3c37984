//! What the writer knows of the segments of one log.

use std::collections::BTreeMap;

/// One segment. Places are bytes from the start of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where the next entry goes.
    pub(crate) end: u64,
    /// The end that its newest end word says.
    pub(crate) told: u64,
    /// Whether nothing is appended any more: what lies behind the end may be of an undone epoch.
    pub(crate) sealed: bool,
    /// Bytes of entries that slots name, once they were counted.
    pub(crate) live: u64,
}

/// The segments of one log.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    pub(crate) by_number: BTreeMap<u32, Segment>,
    /// The one that is appended to: the newest. So sequences, which count the grains of all
    /// segments in the order of their making, grow with every entry; a tombstone that was moved
    /// keeps the one it had.
    pub(crate) active: Option<u32>,
    /// The sequence of the first entry of the next segment.
    pub(crate) next: u64,
    /// Bytes of all segments.
    pub(crate) bytes: u64,
    /// Slots whose entries were removed and that have no other, once they were counted.
    pub(crate) removed: u64,
    /// Whether `live` and `removed` were counted.
    pub(crate) counted: bool,
}
