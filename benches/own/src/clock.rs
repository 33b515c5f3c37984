//! The clocks: the machine is shared, so work on one thread is timed by the CPU time it took.

use std::time::Duration;

use criterion::{
    Throughput,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use rustix::time::{ClockId, clock_gettime};

/// What counts as time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// User and system time of the calling thread: for everything that one thread does.
    Thread,
    /// The same of all threads together.
    Process,
    /// Time as it passes.
    Wall,
}

impl Clock {
    /// The time since some moment of the past.
    #[must_use]
    pub fn now(self) -> Duration {
        let id = match self {
            Self::Thread => ClockId::ThreadCPUTime,
            Self::Process => ClockId::ProcessCPUTime,
            Self::Wall => ClockId::Monotonic,
        };
        let time = clock_gettime(id);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// The time since `start`, which [`now`](Self::now) told.
    #[must_use]
    pub fn since(self, start: Duration) -> Duration {
        self.now().saturating_sub(start)
    }

    /// How long `work` took, and what came out.
    pub fn time<R>(self, work: impl FnOnce() -> R) -> (Duration, R) {
        let start = self.now();
        let result = work();
        (self.since(start), result)
    }
}

impl Measurement for Clock {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        self.now()
    }

    fn end(&self, start: Duration) -> Duration {
        self.since(start)
    }

    fn add(&self, left: &Duration, right: &Duration) -> Duration {
        *left + *right
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_secs_f64() * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

/// Nanoseconds of whatever clock are shown as those of the wall are.
impl ValueFormatter for Clock {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        WallTime.formatter().scale_throughputs(typical, throughput, values)
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
