//! The phases of a build: their times, and the caller's hook.

use std::{ops::ControlFlow, time::Instant};

use crate::{
    error::{Error, Result},
    options::{Phase, PhaseTime, Progress},
};

/// Tells the caller how far a build is, and measures its phases.
pub(super) struct Reporter<'h> {
    hook: &'h mut dyn FnMut(Progress) -> ControlFlow<()>,
    progress: Progress,
    /// Whether a phase is under way.
    is_begun: bool,
    began: Instant,
    times: Vec<PhaseTime>,
}

impl<'h> Reporter<'h> {
    pub(super) fn new(hook: &'h mut dyn FnMut(Progress) -> ControlFlow<()>, total: u64) -> Self {
        let progress = Progress { phase: Phase::Scan, done: 0, total };
        Self { hook, progress, is_begun: false, began: Instant::now(), times: Vec::new() }
    }

    /// Ends the phase under way, if it is another, and begins `phase`.
    pub(super) fn begin(&mut self, phase: Phase) -> Result<()> {
        if self.is_begun && phase != self.progress.phase {
            self.end();
        }
        (self.progress.phase, self.is_begun) = (phase, true);
        self.tell()
    }

    fn end(&mut self) {
        let (phase, elapsed) = (self.progress.phase, self.began.elapsed());
        self.times.push(PhaseTime { phase, elapsed });
        self.began = Instant::now();
    }

    /// Tells that `done` bytes of the dump's file were read.
    pub(super) fn read(&mut self, done: u64) -> Result<()> {
        self.progress.done = done.min(self.progress.total);
        self.tell()
    }

    /// Tells that the phase goes on.
    pub(super) fn again(&mut self) -> Result<()> {
        self.tell()
    }

    fn tell(&mut self) -> Result<()> {
        match (self.hook)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::cancelled()),
        }
    }

    pub(super) fn finish(mut self) -> Vec<PhaseTime> {
        self.end();
        self.times
    }
}
