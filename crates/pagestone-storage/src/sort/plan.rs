//! How a sort may run: stability, threads, memory, progress; and what it reports.

use std::{
    fmt,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Told `(done, total)` records at coarse steps, perhaps from several threads; `Break` cancels.
pub(crate) type ProgressFn<'a> = dyn Fn(u64, u64) -> ControlFlow<()> + Sync + 'a;

/// Whether records with equal keys keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stability {
    /// Equal records end in any order; sorts in place.
    #[default]
    Unstable,
    /// Equal records keep their order; fast only with scratch as large as the records.
    Stable,
}

/// How a sort may run.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// Whether records with equal keys keep their order.
    pub(crate) stability: Stability,
    /// Most threads to use; 0 counts as 1.
    pub(crate) threads: usize,
    /// Most bytes of scratch; the sort falls back to slower ways that fit, down to none.
    /// A few hundred bytes per thread and per cell of a split are not counted.
    pub(crate) memory: usize,
    /// Told of progress, able to cancel.
    pub(crate) progress: Option<&'a ProgressFn<'a>>,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self { stability: Stability::Unstable, threads: 1, memory: 64 << 20, progress: None }
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("stability", &self.stability)
            .field("threads", &self.threads)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

/// What a finished sort reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub(crate) struct Outcome {
    /// Most bytes of scratch held at once.
    pub(crate) scratch_bytes: u64,
}

/// The progress hook asked to stop; the records are a permutation of what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sort cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// Counts records that reached their place and scratch in use, for all threads of a sort.
pub(super) struct Progress<'a> {
    hook: Option<&'a ProgressFn<'a>>,
    total: u64,
    done: AtomicU64,
    stopped: AtomicBool,
    held: AtomicU64,
    held_most: AtomicU64,
}

impl<'a> Progress<'a> {
    /// The hook is called at most this often, plus once per step that is larger.
    const STEPS: u64 = 256;

    pub(super) fn new(hook: Option<&'a ProgressFn<'a>>, total: usize) -> Self {
        Self {
            hook,
            total: total as u64,
            done: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            held: AtomicU64::new(0),
            held_most: AtomicU64::new(0),
        }
    }

    /// Notes that `records` more are in place. The records must be a permutation, all in the block.
    pub(super) fn advance(&self, records: usize) -> Result<(), Cancelled> {
        let Some(hook) = self.hook else { return Ok(()) };
        let before = self.done.fetch_add(records as u64, Ordering::Relaxed);
        let after = (before + records as u64).min(self.total);
        let step = (self.total / Self::STEPS).max(1);
        if before / step < after / step && hook(after, self.total).is_break() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        if self.stopped.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }

    /// Notes scratch taken.
    pub(super) fn hold(&self, bytes: usize) {
        let held = self.held.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        self.held_most.fetch_max(held, Ordering::Relaxed);
    }

    /// Notes scratch given back.
    pub(super) fn free(&self, bytes: usize) {
        self.held.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn outcome(&self) -> Outcome {
        Outcome { scratch_bytes: self.held_most.load(Ordering::Relaxed) }
    }
}

/// Records of scratch, counted while they live.
pub(super) struct Scratch<'a, const N: usize> {
    records: Vec<[u8; N]>,
    progress: &'a Progress<'a>,
}

impl<const N: usize> std::ops::Deref for Scratch<'_, N> {
    type Target = [[u8; N]];

    fn deref(&self) -> &Self::Target {
        &self.records
    }
}

impl<const N: usize> std::ops::DerefMut for Scratch<'_, N> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.records
    }
}

impl<const N: usize> Drop for Scratch<'_, N> {
    fn drop(&mut self) {
        self.progress.free(self.records.len() * N);
    }
}

impl Progress<'_> {
    /// Scratch for `len` records.
    pub(super) fn scratch<const N: usize>(&self, len: usize) -> Scratch<'_, N> {
        self.hold(len * N);
        Scratch { records: vec![[0; N]; len], progress: self }
    }
}
