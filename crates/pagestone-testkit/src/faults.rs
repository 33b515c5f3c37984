//! Scenarios run once for every system call they make, with that call failed.

use std::io;

use pagestone_storage::seam::{Plan, watch};

/// A scenario in three parts, run anew for each call that fails.
#[derive(Debug)]
pub struct Scenario<P, W, C> {
    /// Makes what the scenario works on; none of its calls fails.
    pub prepare: P,
    /// Does the work; the n-th of its calls fails.
    pub work: W,
    /// Looks at what is left, with the work's answer.
    pub check: C,
}

impl<P, W, C> Scenario<P, W, C> {
    /// Runs the scenario with its first call failed with `kind`, then its second, until a run
    /// makes no more calls; returns how many it made. The last run, without a failure, is not
    /// checked.
    ///
    /// A failed call is not made at all. Only calls of this thread count.
    ///
    /// # Panics
    ///
    /// When the scenario makes no call, and so proves nothing.
    pub fn fail_each_call<S, R>(mut self, kind: io::ErrorKind) -> u64
    where
        P: FnMut() -> S,
        W: FnMut(&mut S) -> R,
        C: FnMut(S, R),
    {
        for nth in 0.. {
            let mut subject = (self.prepare)();
            let (answer, trace) = watch(Plan::fail(nth, kind), || (self.work)(&mut subject));
            if trace.failed {
                (self.check)(subject, answer);
                continue;
            }
            assert!(0 < nth, "the scenario makes no system call");
            return nth;
        }
        0
    }
}
