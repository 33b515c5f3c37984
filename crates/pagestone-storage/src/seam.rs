//! The one place where a test can see, fail or cut what a storage does to its file.
//!
//! Every system call that changes a file and every store to a mapped page announces itself here
//! first. Without the feature `crash-sim` the announcements are nothing; with it, a thread that
//! runs inside [`watch`] has each of them recorded, and one of them failed, as its [`Plan`] says.

#[cfg(feature = "crash-sim")]
pub use watching::{Event, Plan, Trace, watch};

/// A system call that the seam can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "crash-sim"), expect(unreachable_pub, reason = "public with crash-sim"))]
#[non_exhaustive]
pub enum Call {
    /// `openat`.
    Open,
    /// `fstat`.
    Stat,
    /// `pread`.
    Read,
    /// `pwrite`.
    Write,
    /// `fallocate`.
    Allocate,
    /// `ftruncate`.
    Truncate,
    /// `fdatasync` of a file.
    Sync,
    /// `fsync` of a directory.
    SyncDirectory,
    /// `rename`.
    Rename,
    /// `unlink`.
    Remove,
    /// `mmap`.
    Map,
    /// `flock`.
    Lock,
}

/// Announces a system call on `path`; an error means that it shall not be made.
#[cfg(not(feature = "crash-sim"))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "with crash-sim it can fail")]
pub(crate) fn call(_call: Call) -> std::io::Result<()> {
    Ok(())
}

/// Announces that `bytes` are stored at address `at` of a mapping.
#[cfg(not(feature = "crash-sim"))]
#[inline]
pub(crate) fn store(_at: usize, _bytes: &[u8]) {}

#[cfg(feature = "crash-sim")]
pub(crate) use watching::{call, store};

#[cfg(feature = "crash-sim")]
mod watching {
    //! The recording form of the seam.

    use std::{cell::RefCell, io};

    use super::Call;

    /// Which announced call fails, and how.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct Plan {
        fail: Option<(u64, io::ErrorKind)>,
        lasts: Lasts,
        only: Option<Call>,
    }

    impl Plan {
        /// Fails no call.
        #[must_use]
        pub const fn record() -> Self {
            Self { fail: None, lasts: Lasts::Once, only: None }
        }

        /// Fails the `nth` call, counted from 0, and no other.
        #[must_use]
        pub const fn fail(nth: u64, kind: io::ErrorKind) -> Self {
            Self { fail: Some((nth, kind)), lasts: Lasts::Once, only: None }
        }

        /// Fails the `nth` call, counted from 0, and every later one.
        #[must_use]
        pub const fn fail_from(nth: u64, kind: io::ErrorKind) -> Self {
            Self { fail: Some((nth, kind)), lasts: Lasts::ForGood, only: None }
        }

        /// Counts calls of one kind only.
        #[must_use]
        pub const fn only(self, call: Call) -> Self {
            Self { only: Some(call), ..self }
        }
    }

    /// How long a planned failure lasts.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    enum Lasts {
        #[default]
        Once,
        ForGood,
    }

    /// One thing that a storage did.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Event {
        /// It made a system call, or was about to and was failed.
        Call(Call),
        /// It stored bytes at an address of a mapping.
        Store {
            /// The address of the first byte.
            at: usize,
            /// The bytes.
            bytes: Vec<u8>,
        },
    }

    /// What happened while a function was watched.
    #[derive(Debug, Clone, Default)]
    pub struct Trace {
        /// Everything announced, in program order.
        pub events: Vec<Event>,
        /// How many calls the plan counted.
        pub calls: u64,
        /// Whether the planned failure came.
        pub failed: bool,
    }

    thread_local! {
        static WATCH: RefCell<Option<(Plan, Trace)>> = const { RefCell::new(None) };
    }

    /// Runs `work` on this thread under `plan` and returns its answer and what it did.
    pub fn watch<R>(plan: Plan, work: impl FnOnce() -> R) -> (R, Trace) {
        let outer = WATCH.replace(Some((plan, Trace::default())));
        let answer = work();
        let trace = WATCH.replace(outer).map(|(_, trace)| trace).unwrap_or_default();
        (answer, trace)
    }

    pub(crate) fn call(call: Call) -> io::Result<()> {
        WATCH.with_borrow_mut(|watch| {
            let Some((plan, trace)) = watch else { return Ok(()) };
            trace.events.push(Event::Call(call));
            if plan.only.is_some_and(|only| only != call) {
                return Ok(());
            }
            let nth = trace.calls;
            trace.calls += 1;
            match plan.fail {
                Some((planned, kind))
                    if planned == nth || planned < nth && plan.lasts == Lasts::ForGood =>
                {
                    trace.failed = true;
                    Err(io::Error::new(kind, format!("planned failure of call {nth}, {call:?}")))
                }
                _ => Ok(()),
            }
        })
    }

    pub(crate) fn store(at: usize, bytes: &[u8]) {
        WATCH.with_borrow_mut(|watch| {
            if let Some((_, trace)) = watch {
                trace.events.push(Event::Store { at, bytes: bytes.to_vec() });
            }
        });
    }
}
