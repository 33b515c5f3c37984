//! Shrink: blocks move together, step by step, and what they leave goes back to the file system.

use std::{
    fmt,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    relocation::{Hook, Relocation},
};

/// How long a shrink gives way to other writers between two steps, at most.
const WAY: Duration = Duration::from_millis(1);

/// What comes after a step of a shrink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShrinkState {
    /// Another step.
    Moving,
    /// A commit, by whomever: what was moved away from is of use after it.
    Commit,
    /// Nothing: the shrink is over.
    Done,
}

/// How far a shrink is. Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShrinkProgress {
    /// What comes next.
    pub state: ShrinkState,
    /// Blocks moved so far.
    pub blocks: u64,
    /// Bytes of their payloads.
    pub payload: u64,
    /// Bytes of regions that were looked at.
    pub done: u64,
    /// Bytes of regions there are to look at.
    pub total: u64,
    /// The length of the file.
    pub file_len: u64,
    /// Freed space that waits for pins alone: it goes back with a commit after they are gone.
    pub waiting: u64,
}

/// Options of [`RegionFile::shrink`].
///
/// ```
/// use std::time::Duration;
/// use pagestone_heap::{RegionFile, Shrink};
///
/// let file = RegionFile::options().in_memory()?;
/// let heap = file.heap("blocks")?;
/// let mut writer = file.writer();
/// let ids: Vec<_> =
///     (0..4_000).map(|_| heap.allocate_from(&mut writer, &[1; 900])).collect::<Result<_, _>>()?;
/// heap.free_many(&mut writer, &ids[..3_600])?;
/// drop(writer);
/// let before = file.stats().file_len;
/// let after = file.shrink(Shrink::new().budget(Duration::from_micros(500)))?;
/// assert!(after.file_len < before / 2);
/// assert_eq!(heap.read(ids[3_700], <[u8]>::len)?, 900);
/// # Ok::<(), pagestone_heap::Error>(())
/// ```
#[must_use]
pub struct Shrink<'h> {
    budget: Duration,
    progress: Option<&'h mut dyn FnMut(ShrinkProgress) -> ControlFlow<()>>,
}

impl fmt::Debug for Shrink<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shrink")
            .field("budget", &self.budget)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

impl Default for Shrink<'_> {
    fn default() -> Self {
        Self { budget: Duration::from_millis(1), progress: None }
    }
}

impl<'h> Shrink<'h> {
    /// Steps of a millisecond, without a hook.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a step holds other writers up, about. Each step moves something, however short it
    /// shall be.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Tells `hook` after each step how far it is; it may break off.
    pub fn progress(mut self, hook: &'h mut dyn FnMut(ShrinkProgress) -> ControlFlow<()>) -> Self {
        self.progress = Some(hook);
        self
    }

    fn run(mut self, file: &RegionFile) -> Result<ShrinkProgress> {
        let span = tracing::info_span!("shrink", path = %file.path().display());
        let _span = span.entered();
        let _cancel = Cancel(file);
        loop {
            let progress = file.shrink_step(self.budget)?;
            if let Some(hook) = &mut self.progress
                && hook(progress).is_break()
            {
                let what = format!("cancelled after {} blocks", progress.blocks);
                return Err(Error::refused(ErrorKind::Cancelled, file.path(), what));
            }
            match progress.state {
                ShrinkState::Moving => file.give_way(),
                ShrinkState::Commit => file.commit()?,
                ShrinkState::Done => {
                    // What others changed since the last commit that it needed.
                    file.writer().commit()?;
                    let file_len = file.shared.raw.len();
                    return Ok(ShrinkProgress { file_len, ..progress });
                }
            }
        }
    }
}

/// Ends a shrink that is left, by an error or a panic too.
struct Cancel<'f>(&'f RegionFile);

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        self.0.shrink_cancel();
    }
}

impl RegionFile {
    /// Moves blocks together and gives the space that they leave back to the file system: regions
    /// with much free space are emptied, and the last regions move down, so that the file becomes
    /// shorter. Ids stay; readers and other writers go on between the steps.
    ///
    /// It commits, also what others changed, always between two writers. The file is never longer
    /// than before and one region. Slot tables neither move nor shrink. What pins hold is not
    /// given back: [`ShrinkProgress::waiting`] says how much that is.
    ///
    /// Cost: one copy of each block that moves, two syncs for every 16 MiB of them.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when the disk is full and some regions could not be emptied into the holes of
    /// others: what could be done is done and committed. `Cancelled` when the hook says so. As
    /// [`commit`](Self::commit). Nothing is lost in any of these; a later shrink goes on.
    pub fn shrink(&self, shrink: Shrink<'_>) -> Result<ShrinkProgress> {
        shrink.run(self)
    }

    /// One step of a shrink, for who decides when steps and commits happen; waits for the writer
    /// and holds it for about `budget`.
    ///
    /// After [`ShrinkState::Commit`] nothing is done until a [`commit`](Self::commit). A shrink
    /// that is not carried to [`ShrinkState::Done`] keeps free space of the region that is being
    /// emptied from other use, until [`shrink_cancel`](Self::shrink_cancel) or a reopen.
    ///
    /// # Errors
    ///
    /// As [`shrink`](Self::shrink). The shrink is over then.
    pub fn shrink_step(&self, budget: Duration) -> Result<ShrinkProgress> {
        let mut state = self.shared.lock();
        Engine { shared: &self.shared, state: &mut state }.shrink_step(budget)
    }

    /// Ends a shrink where it is: what has moved stays moved, free space is used as before.
    pub fn shrink_cancel(&self) {
        let mut state = self.shared.lock();
        Engine { shared: &self.shared, state: &mut state }.shrink_cancel();
    }

    /// Has `hook` told of each block that a shrink moves, and of each entry that an
    /// [evacuation](crate::Log::evacuate) moves, in place of an earlier hook: for who keeps offsets
    /// of payloads ([`Heap::offset`](crate::Heap::offset)).
    ///
    /// The hook is called before the block is seen at its new place, with the writer held, so it
    /// takes no writer and calls nothing of this file but reads. It may be told of a move that does
    /// not happen, or of the same move again, after an error or a crash. A
    /// [`discard`](crate::Writer::discard) tells it of the blocks that go back to where they were,
    /// whatever moved them; a block that was freed since is not among them. Who opens a file asks
    /// for all offsets anew.
    ///
    /// A hook that panics breaks the step off, with nothing changed by this block.
    pub fn set_relocation_hook(&self, hook: impl FnMut(Relocation) + Send + 'static) {
        self.shared.lock().hook = Hook::new(hook);
    }

    /// Takes the hook away.
    pub fn clear_relocation_hook(&self) {
        let _old = std::mem::take(&mut self.shared.lock().hook);
    }

    /// Lets writers that wait go first.
    fn give_way(&self) {
        let begin = Instant::now();
        while self.shared.is_wanted() && begin.elapsed() < WAY {
            std::thread::yield_now();
        }
    }
}
