//! When a compaction is due, and the thread that looks.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use pagestone_heap::Result;

use crate::{Compact, Counters, EntryBuffer, Progress};

/// When a compaction is due.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// Only when asked for.
    Manual,
    /// When this share of all segments, 0 to 1, is garbage.
    GarbageShare(f64),
    /// When so many bytes of segments are garbage.
    Garbage(u64),
    /// When the last one is this long ago and there is garbage.
    Every(Duration),
    /// When one of them says so.
    Any(Vec<Policy>),
}

impl Policy {
    /// Whether a compaction is due for a buffer with these counters, whose last one was `since`
    /// ago.
    #[must_use]
    pub fn is_due(&self, counters: &Counters, since: Duration) -> bool {
        let garbage = counters.capacity.saturating_sub(counters.live);
        match self {
            Self::Manual => false,
            Self::GarbageShare(share) => {
                *share <= counters.garbage_share() && counters.segments > 1
            }
            Self::Garbage(bytes) => *bytes <= garbage,
            Self::Every(time) => *time <= since && garbage != 0,
            Self::Any(policies) => policies.iter().any(|policy| policy.is_due(counters, since)),
        }
    }

    /// Whether there is so little garbage that a compaction by this policy may end.
    pub(crate) fn is_reached(&self, counters: &Counters) -> bool {
        let garbage = counters.capacity.saturating_sub(counters.live);
        match self {
            Self::Manual => true,
            Self::Every(_) => false,
            Self::GarbageShare(share) => counters.garbage_share() < share * ENOUGH,
            Self::Garbage(bytes) => garbage < bytes - bytes / 10,
            Self::Any(policies) => policies.iter().all(|policy| policy.is_reached(counters)),
        }
    }
}

/// The part of what a policy allows that a compaction leaves.
const ENOUGH: f64 = 0.9;

/// A thread that compacts a buffer when its policy says so; it ends when this is dropped, within a
/// step and a commit.
#[derive(Debug)]
pub struct Compactor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Compactor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the compaction thread panicked");
        }
    }
}

impl EntryBuffer {
    /// Compacts in the caller's thread if `policy` says so of a buffer whose last compaction was
    /// `since` ago, [until](Compact::until) it says so no more; `None` when nothing was due.
    ///
    /// # Errors
    ///
    /// As [`compact`](Self::compact).
    pub fn compact_if_due(&self, policy: &Policy, since: Duration) -> Result<Option<Progress>> {
        let counters = self.counters(&mut self.file().writer())?;
        if policy.is_due(&counters, since) {
            return self.compact(Compact::new().until(policy)).map(Some);
        }
        Ok(None)
    }

    /// Starts a thread that looks every `interval` whether a compaction is due, and does it.
    ///
    /// Its errors go to `tracing`; one that poisons the file is met by the next change too.
    ///
    /// # Errors
    ///
    /// `Io` when the system starts no thread.
    pub fn compact_in_background(
        &self,
        policy: Policy,
        interval: Duration,
    ) -> std::io::Result<Compactor> {
        let (stop, stopped) = mpsc::channel::<()>();
        let buffer = self.clone();
        let look = move || {
            let mut last = Instant::now();
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let mut hook = |_| match stopped.try_recv() {
                    Err(mpsc::TryRecvError::Empty) => std::ops::ControlFlow::Continue(()),
                    _ => std::ops::ControlFlow::Break(()),
                };
                let counters = buffer.counters(&mut buffer.file().writer());
                let due = counters.map(|counters| policy.is_due(&counters, last.elapsed()));
                let done = match due {
                    Ok(true) => {
                        buffer.compact(Compact::new().until(&policy).progress(&mut hook)).map(Some)
                    }
                    Ok(false) => Ok(None),
                    Err(error) => Err(error),
                };
                match done {
                    Ok(Some(_)) => last = Instant::now(),
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "compaction in the background"),
                }
            }
        };
        let thread = std::thread::Builder::new().name("pagestone-compact".into()).spawn(look)?;
        Ok(Compactor { stop: Some(stop), thread: Some(thread) })
    }
}
