//! Compaction: what lives is moved out of one segment after the other.
//!
//! The segment that is worth it most comes first: much garbage, and old, so that what lives in it
//! is likely to stay (cost-benefit cleaning: Rosenblum and Ousterhout, "The Design and
//! Implementation of a Log-Structured File System", 1992).

use std::{
    fmt,
    ops::ControlFlow,
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pagestone_heap::{
    ErrorKind, FileOptions, Progress as CopyProgress, Result, SegmentFacts, Writer,
};
use pagestone_storage::Location;

use crate::{EntryBuffer, Policy};

/// A segment under compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Victim {
    number: u32,
    first_sequence: u64,
    next: u64,
    /// After how many discards of the file: one brings back what was moved.
    discards: u64,
}

/// What steps know of each other.
#[derive(Debug, Default)]
pub(crate) struct Victims {
    current: Option<Victim>,
    /// Segments with a damaged entry: number and first sequence.
    damaged: Vec<(u32, u64)>,
}

impl Victim {
    fn begin(segment: &SegmentFacts, discards: u64) -> Self {
        let SegmentFacts { number, first_sequence, .. } = *segment;
        Self { number, first_sequence, next: 0, discards }
    }
}

/// How much one step may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Budget {
    bytes: u64,
    time: Option<Duration>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::time(Duration::from_millis(1))
    }
}

impl Budget {
    /// A step ends once it moved so many bytes.
    pub fn bytes(bytes: u64) -> Self {
        Self { bytes, time: None }
    }

    fn is_over(self, moved: u64, start: Instant) -> bool {
        self.bytes <= moved || self.time.is_some_and(|time| time <= start.elapsed())
    }

    /// A step ends after this time, or one entry later. The default is a millisecond.
    pub fn time(time: Duration) -> Self {
        Self { bytes: u64::MAX, time: Some(time) }
    }
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Segments are left that are worth it.
    Running,
    /// A segment was emptied in this step: its space comes back with the next commit.
    Emptied,
    /// No segment is worth it.
    Done,
}

/// What a step did, or all of them so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Whether there is more to do.
    pub state: State,
    /// Bytes of entries that were moved.
    pub moved: u64,
    /// Bytes of segments that were given back.
    pub freed: u64,
}

impl Progress {
    /// Returns whether there may be more to do.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state != State::Done
    }
}

/// Options of [`EntryBuffer::compact`].
#[must_use]
pub struct Compact<'h> {
    budget: Budget,
    least: f64,
    until: Option<&'h Policy>,
    progress: Option<&'h mut dyn FnMut(Progress) -> ControlFlow<()>>,
}

impl fmt::Debug for Compact<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Compact");
        debug.field("budget", &self.budget).field("least", &self.least).finish_non_exhaustive()
    }
}

/// The share of garbage from which on a segment is worth it, unless the caller says another.
pub(crate) const LEAST: f64 = 0.05;

impl Default for Compact<'_> {
    fn default() -> Self {
        Self { budget: Budget::default(), least: LEAST, until: None, progress: None }
    }
}

impl<'h> Compact<'h> {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the writer is taken for each step.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Leaves segments alone whose share of garbage is smaller; 0.05 unless said otherwise.
    pub fn least_garbage(mut self, share: f64) -> Self {
        self.least = share;
        self
    }

    /// Ends once nothing is due by `policy` any more, by a tenth of what it allows.
    ///
    /// To the end all that lives would be moved for a little garbage; the segments that are worth
    /// it most come first.
    pub fn until(mut self, policy: &'h Policy) -> Self {
        self.until = Some(policy);
        self
    }

    /// Tells `hook` after each step how far it is; it may break off.
    pub fn progress(mut self, hook: &'h mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        self.progress = Some(hook);
        self
    }
}

/// The garbage of a segment as a share of it: entries that do not count, and room nobody uses.
#[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
fn garbage(segment: &SegmentFacts) -> f64 {
    let taken = if segment.is_active { segment.used } else { segment.len - 64 };
    if taken == 0 { 0.0 } else { taken.saturating_sub(segment.live) as f64 / taken as f64 }
}

impl EntryBuffer {
    /// Moves what lives out of the segment that is most worth it, as far as the budget goes, and
    /// hands the segment back once it is empty. Ids stay, and readers go on.
    ///
    /// Several steps can go under one commit; the space is used again after it. Who keeps places of
    /// payloads is told of each move by
    /// [`set_relocation_hook`](pagestone_heap::RegionFile::set_relocation_hook) of the file, before
    /// the entry is seen there; after a rollback it may be told of the same move again.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`, with nothing lost: what was moved is moved, the rest can be later; `Corrupt`
    /// for a damaged entry: its segment stays as it is, and steps of this buffer leave it alone
    /// until the file is opened again; what a change can fail with.
    pub fn compact_step(&self, writer: &mut Writer<'_>, budget: Budget) -> Result<Progress> {
        self.step(writer, budget, (LEAST, u64::MAX))
    }

    /// As `compact_step`, for segments whose share of garbage is at least `least` and whose first
    /// entry is older than `before`.
    fn step(
        &self,
        writer: &mut Writer<'_>,
        budget: Budget,
        (least, before): (f64, u64),
    ) -> Result<Progress> {
        let discards = self.file().discards();
        let mut victims = self.victims();
        let Victims { current, damaged } = &mut *victims;
        let known = match *current {
            // A discard may have taken the segment away, or another may have its number.
            Some(victim) if victim.discards == discards => {
                let segment = self.log.segment(writer, victim.number)?;
                let same = segment.filter(|now| now.first_sequence == victim.first_sequence);
                same.map(|segment| (segment.len, victim))
            }
            _ => None,
        };
        let chosen = if known.is_some() {
            known
        } else {
            let mut segments = self.log.segments(writer)?;
            segments.retain(|segment| !damaged.contains(&(segment.number, segment.first_sequence)));
            choose(&segments, (least, before))
                .map(|best| (best.len, Victim::begin(&best, discards)))
        };
        let Some((len, victim)) = chosen else {
            *current = None;
            return Ok(Progress { state: State::Done, moved: 0, freed: 0 });
        };
        let start = Instant::now();
        let done = self
            .log
            .evacuate(writer, (victim.number, victim.next), |moved| budget.is_over(moved, start));
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                // The next step looks for another one; this one stays for whoever repairs it.
                *current = None;
                if error.kind() == ErrorKind::Corrupt {
                    damaged.push((victim.number, victim.first_sequence));
                }
                return Err(error);
            }
        };
        *current = done.next.map(|next| Victim { next, ..victim });
        let freed = if done.next.is_none() { len } else { 0 };
        let state = if done.next.is_none() { State::Emptied } else { State::Running };
        Ok(Progress { state, moved: done.moved, freed })
    }

    fn victims(&self) -> MutexGuard<'_, Victims> {
        // Each of them is changed at once: nothing is half done.
        self.victim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compacts to the end: every segment there is now whose garbage is worth it.
    ///
    /// Takes the writer for one step at a time, so others go on meanwhile, and it ends while they
    /// do. It commits before it would need a new segment, so that what is free by then can be
    /// used, and at the end: the file is never longer than before by more than one segment.
    ///
    /// # Errors
    ///
    /// As `compact_step` and as a commit. When the hook breaks off, what was done stays.
    pub fn compact(&self, mut options: Compact<'_>) -> Result<Progress> {
        let mut writer = self.file().writer();
        let facts = self.log.segments(&mut writer)?;
        let newest = facts.last().map_or(0, |segment| segment.first_sequence);
        drop(writer);
        let mut total = Progress { state: State::Running, moved: 0, freed: 0 };
        loop {
            let mut writer = self.file().writer();
            let step = self.step(&mut writer, options.budget, (options.least, newest + 1))?;
            drop(writer);
            total.moved += step.moved;
            total.freed += step.freed;
            total.state = step.state;
            let hook = options.progress.as_mut();
            let go_on = hook.is_none_or(|hook| hook(total).is_continue());
            let emptied = step.state == State::Emptied;
            let reached = match options.until {
                Some(policy) if emptied => {
                    policy.is_reached(&self.counters(&mut self.file().writer())?)
                }
                _ => false,
            };
            let over = step.state == State::Done || !go_on || reached;
            if over || emptied && !self.has_room(options.least, newest + 1)? {
                self.file().commit()?;
            }
            if over {
                if go_on && total.freed != 0 {
                    total.moved += self.settle(options.budget)?;
                }
                tracing::info!(moved = total.moved, freed = total.freed, "compacted");
                return Ok(total);
            }
        }
    }

    /// Moves the segment at the end of the file into what others gave back before it, so that the
    /// file can be cut; returns the bytes that were moved.
    fn settle(&self, budget: Budget) -> Result<u64> {
        let file = self.file();
        let stats = file.stats();
        let mut moved = 0;
        let segments = self.log.segments(&mut file.writer())?;
        let last = segments.iter().max_by_key(|segment| segment.offset);
        let Some(last) = last.filter(|last| {
            last.offset + last.len == stats.file_len && last.len <= stats.free_ranges
        }) else {
            return Ok(0);
        };
        let mut next = Some(0);
        while let Some(from) = next {
            let start = Instant::now();
            let enough = |moved| budget.is_over(moved, start);
            let step = self.log.evacuate(&mut file.writer(), (last.number, from), enough)?;
            (next, moved) = (step.next, moved + step.moved);
        }
        file.commit()?;
        Ok(moved)
    }

    /// Writes a minimal copy of the file that the buffer is in, with the same ids, and of this and
    /// all other stores only what lives; `hook` is told now and then how far it is, in slots, and
    /// may break off. Entries keep their room. Writers wait meanwhile.
    ///
    /// # Errors
    ///
    /// As [`RegionFile::copy_compact_with`](pagestone_heap::RegionFile::copy_compact_with): among
    /// others `Corrupt` for a damaged entry, `AlreadyExists`, `OutOfSpace`, `Cancelled`. Nothing is
    /// left of the copy then.
    pub fn compact_into(
        &self,
        location: impl Into<Location>,
        options: &FileOptions,
        hook: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
    ) -> Result<()> {
        self.file().copy_compact_with(location, options, hook)
    }
}

impl EntryBuffer {
    /// Whether what lives in the next victim fits behind the newest entry.
    fn has_room(&self, least: f64, before: u64) -> Result<bool> {
        let facts = self.log.segments(&mut self.file().writer())?;
        let active = facts.iter().find(|segment| segment.is_active);
        let room = active.map_or(0, |segment| segment.len - 64 - segment.used);
        Ok(choose(&facts, (least, before)).is_some_and(|next| next.live <= room))
    }
}

/// The segment that is worth it most.
#[expect(clippy::cast_precision_loss, reason = "a comparison needs few digits")]
fn choose(segments: &[SegmentFacts], (least, before): (f64, u64)) -> Option<SegmentFacts> {
    let newest = segments.last()?.first_sequence as f64 + 1.0;
    let worth = |segment: &SegmentFacts| {
        let share = garbage(segment);
        let age = newest - segment.first_sequence as f64;
        share * age / (2.0 - share)
    };
    let eligible = segments.iter().filter(|segment| {
        segment.first_sequence < before && least <= garbage(segment) && segment.used != 0
    });
    eligible.max_by(|a, b| worth(a).total_cmp(&worth(b))).copied()
}
