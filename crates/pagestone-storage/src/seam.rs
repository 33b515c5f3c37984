//! The one place where a test can see, fail or cut what a storage does to its file.
//!
//! Every system call that changes a file and every store to a mapped page announces itself here
//! first, and what a call did to the file's bytes, its length and the device afterwards. Without
//! the feature `crash-sim` the announcements are nothing; with it, a thread that runs inside [`watch`]
//! has each of them recorded, and calls failed, as its [`Plan`] says.

#[cfg(feature = "crash-sim")]
pub use watching::{Event, Machine, Plan, Trace, mark, set_machine, set_observer, watch};

/// A system call that the seam can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "crash-sim"), expect(unreachable_pub, reason = "public with crash-sim"))]
#[non_exhaustive]
pub enum Call {
    /// `openat`.
    Open,
    /// `fstat`, `statx` and `statfs`.
    Stat,
    /// `pread`.
    Read,
    /// `pwrite`.
    Write,
    /// `fallocate` that reserves blocks, makes them zero or makes the file longer.
    Allocate,
    /// `fallocate` that gives blocks back.
    Punch,
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
    /// `mmap`, and `madvise` that makes pages writable.
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

/// Announces that `bytes` were written at `offset` of the file.
#[cfg(not(feature = "crash-sim"))]
#[inline]
pub(crate) fn written(_offset: u64, _bytes: &[u8]) {}

/// Announces that the file has this length.
#[cfg(not(feature = "crash-sim"))]
#[inline]
pub(crate) fn length(_len: u64) {}

/// Announces that bytes of the file read as zeros.
#[cfg(not(feature = "crash-sim"))]
#[inline]
pub(crate) fn zeroed(_offset: u64, _len: u64) {}

/// Announces that what was stored and written before is on the device.
#[cfg(not(feature = "crash-sim"))]
#[inline]
pub(crate) fn synced() {}

/// Announces that the file is mapped from this address on.
#[cfg(not(feature = "crash-sim"))]
#[inline]
pub(crate) fn mapped(_base: usize) {}

#[cfg(feature = "crash-sim")]
pub(crate) use watching::{
    call, is_watched, length, machine, mapped, store, synced, written, zeroed,
};

#[cfg(feature = "crash-sim")]
mod watching {
    //! The recording form of the seam.

    use std::{
        cell::{Cell, RefCell},
        io,
    };

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
        /// It mapped a raw file from this address on; later stores count from here.
        Mapped(usize),
        /// It stored bytes at an address of a mapping.
        Store {
            /// The address of the first byte.
            at: usize,
            /// The bytes.
            bytes: Vec<u8>,
        },
        /// It wrote bytes to the file by a system call, which succeeded.
        Written {
            /// The offset of the first byte in the file.
            offset: u64,
            /// The bytes.
            bytes: Vec<u8>,
        },
        /// The file was given this length; what it is longer reads as zeros.
        Length(u64),
        /// Bytes of the file, all below its length, read as zeros.
        Zeroed {
            /// The offset of the first byte in the file.
            offset: u64,
            /// How many bytes.
            len: u64,
        },
        /// A sync of the file succeeded.
        Synced,
        /// The test was here; see [`mark`].
        Mark(u64),
    }

    /// What the machine says of itself and of its mounts.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Machine {
        /// The number of its boot.
        pub boot: [u64; 2],
        /// The id of the mount that shows a file.
        pub mount: u64,
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
        static MACHINE: Cell<Option<Machine>> = const { Cell::new(None) };
        static OBSERVER: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
    }

    /// Runs `work` on this thread under `plan` and returns its answer and what it did.
    pub fn watch<R>(plan: Plan, work: impl FnOnce() -> R) -> (R, Trace) {
        let outer = WATCH.replace(Some((plan, Trace::default())));
        let answer = work();
        let trace = WATCH.replace(outer).map(|(_, trace)| trace).unwrap_or_default();
        (answer, trace)
    }

    /// Records that the test has come to `place`.
    pub fn mark(place: u64) {
        push(|| Event::Mark(place));
    }

    /// Lets this thread see another boot or another mount than there is; `None` ends that.
    ///
    /// What [`RawFile::identity`](crate::raw::RawFile::identity) says of memory stays as it is.
    pub fn set_machine(machine: Option<Machine>) {
        MACHINE.set(machine);
    }

    /// Has `observer` called before each store that this thread records; `None` ends that.
    ///
    /// It stands for a reader between two stores of the writer: it takes no lock that the writer
    /// may hold. What it stores itself is recorded, but not observed.
    pub fn set_observer(observer: Option<Box<dyn FnMut()>>) {
        drop(OBSERVER.replace(observer));
    }

    fn observe() {
        // Taken out meanwhile, so that it does not observe itself.
        let Some(mut observer) = OBSERVER.take() else { return };
        observer();
        OBSERVER.with_borrow_mut(|place| *place = Some(observer));
    }

    pub(crate) fn machine() -> Option<Machine> {
        MACHINE.get()
    }

    pub(crate) fn is_watched() -> bool {
        WATCH.with_borrow(Option::is_some)
    }

    /// Records an event, which is only made where somebody watches.
    fn push(event: impl FnOnce() -> Event) {
        WATCH.with_borrow_mut(|watch| {
            if let Some((_, trace)) = watch {
                trace.events.push(event());
            }
        });
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
        if is_watched() {
            observe();
        }
        push(|| Event::Store { at, bytes: bytes.to_vec() });
    }

    pub(crate) fn written(offset: u64, bytes: &[u8]) {
        push(|| Event::Written { offset, bytes: bytes.to_vec() });
    }

    pub(crate) fn length(len: u64) {
        push(|| Event::Length(len));
    }

    pub(crate) fn zeroed(offset: u64, len: u64) {
        push(|| Event::Zeroed { offset, len });
    }

    pub(crate) fn synced() {
        push(|| Event::Synced);
    }

    pub(crate) fn mapped(base: usize) {
        push(|| Event::Mapped(base));
    }
}
