//! What a shrink knows between its steps: nothing of it is in the file, all of it may be dropped.

use crate::{error::Error, ranges::Range, word::Word};

/// A region by its number and start: whoever has the number later starts elsewhere, or was made
/// after the one that is meant had been given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u32,
    pub(crate) start: u64,
}

/// How far a shrink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// There is none.
    #[default]
    Idle,
    /// What was freed before gets free.
    Clear,
    /// Regions with much free space are emptied.
    Gather,
    /// The last region moves down.
    Settle,
    /// What was emptied goes back to the file system.
    Finish,
}

/// A region that is being emptied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Victim {
    pub(crate) place: Place,
    pub(crate) range: Range,
    /// The next grain to look at; nothing that can move lies before it.
    pub(crate) cursor: u64,
    /// Grains in use when it became the victim, less those that moved since.
    pub(crate) left: u64,
    /// Fresh regions for its blocks end here or before.
    pub(crate) below: u64,
}

/// A fresh region that moved blocks are put into, one behind the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) number: u32,
    pub(crate) range: Range,
    /// The first grain that was not handed out.
    pub(crate) cursor: u64,
}

/// A block of a region of its own that is being copied to a range that no region has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Long {
    pub(crate) number: u32,
    /// Its store, its slot, and the word that the slot had all along.
    pub(crate) store: u32,
    pub(crate) slot: u64,
    pub(crate) word: Word,
    pub(crate) from: Range,
    pub(crate) to: Range,
    /// Bytes of block header and payload, and how many of them are there.
    pub(crate) len: u64,
    pub(crate) copied: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) blocks: u64,
    pub(crate) payload: u64,
    /// Bytes of regions that were looked at, of those that are to be.
    pub(crate) done: u64,
    pub(crate) total: u64,
}

/// One shrink.
#[derive(Debug, Default)]
pub(crate) struct Evacuation {
    pub(crate) phase: Phase,
    /// Regions of the beginning that were not emptied yet. Each is taken once, and no region that
    /// is made later is added: so there is an end.
    pub(crate) candidates: Vec<Place>,
    /// Those that could not be emptied for want of room.
    pub(crate) put_off: Vec<Place>,
    /// Whether a region was emptied since some were put off.
    pub(crate) emptied: bool,
    pub(crate) victim: Option<Victim>,
    pub(crate) target: Option<Target>,
    pub(crate) long: Option<Long>,
    /// Bytes that the file may grow by.
    pub(crate) growth: u64,
    /// Where the region started that was moved down last: the next one starts lower.
    pub(crate) settled: Option<u64>,
    /// The generation after which a commit is waited for.
    pub(crate) asked: Option<u64>,
    /// Commits that are asked for, for want of room, before other room is looked for.
    pub(crate) patience: u8,
    /// Bytes moved since the last commit.
    pub(crate) uncommitted: u64,
    /// Why no fresh region could be had.
    pub(crate) full: Option<Error>,
    pub(crate) tally: Tally,
    /// Whether half of the step's time is over: no range is zeroed, no region chosen any more.
    pub(crate) late: bool,
}

/// A victim's range is free after the commit that frees its blocks, and the one that gives it back.
pub(crate) const PATIENCE: u8 = 2;

impl Evacuation {
    /// The region of a number is given back, by whomever.
    pub(crate) fn left(&mut self, number: u32) {
        self.victim = self.victim.filter(|victim| victim.place.number != number);
        self.target = self.target.filter(|target| target.number != number);
        self.candidates.retain(|place| place.number != number);
        self.put_off.retain(|place| place.number != number);
    }
}
