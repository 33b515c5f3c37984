//! Threads that commit at the same time share a commit.

use std::sync::PoisonError;

use crate::sync::{Condvar, Mutex};

/// Whether a commit runs, and who waits for its end.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    running: Mutex<bool>,
    ended: Condvar,
}

/// A commit that runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'c>(&'c Commits);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.ended.notify_all();
    }
}

impl Commits {
    /// Begins a commit; `None` when one ended meanwhile after which `is_done` says that there is
    /// nothing to do any more.
    pub(crate) fn begin(&self, is_done: impl Fn() -> bool) -> Option<Running<'_>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while *running {
            running = self.ended.wait(running).unwrap_or_else(PoisonError::into_inner);
            if is_done() {
                return None;
            }
        }
        *running = true;
        Some(Running(self))
    }
}
