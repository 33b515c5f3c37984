//! The benchmarks of our crates: one criterion program, whose ids `cargo xtask bench` asks for.
//!
//! Everything that one thread does is timed by its CPU time, because the machine is shared; ids
//! with `wall` in them are timed by the wall, two threads by the CPU time of both.

mod reading; // get and scan
mod appending; // records to a new file
mod sorting; // one thread, by size and distribution; two threads
mod heap; // blocks by id
mod lookup; // sorted records: with and without accelerator

use std::time::Duration;

use bench_own::{Clock, Scale, must};
use criterion::{Criterion, SamplingMode, measurement::WallTime};

type Group<'a> = criterion::BenchmarkGroup<'a, Clock>;

fn main() {
    // rdst works on rayon's threads: with this one alone, its time is that of this thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    must(pool.build_global());
    let scale = Scale::of_bench();
    let mut thread = criterion(Clock::Thread, scale);
    reading::register(&mut thread, scale);
    appending::register(&mut thread, scale);
    sorting::register(&mut thread, scale);
    lookup::register(&mut thread, scale);
    heap::register(&mut thread, scale);
    for clock in [Clock::Process, Clock::Wall] {
        sorting::register_threads(&mut criterion(clock, scale), clock, scale);
    }
    Criterion::<WallTime>::default().configure_from_args().final_summary();
}

/// Few and short samples: xtask takes the median of several runs.
fn criterion(clock: Clock, scale: Scale) -> Criterion<Clock> {
    let millis = if scale == Scale::Full { 1000 } else { 200 };
    Criterion::default()
        .with_measurement(clock)
        .sample_size(10)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(millis / 4))
        .measurement_time(Duration::from_millis(millis))
        .configure_from_args()
}

/// A group whose samples are all alike, as suits work of many milliseconds.
fn group<'a>(criterion: &'a mut Criterion<Clock>, name: &str) -> Group<'a> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}
