//! Sorts in memory: ours in place, std and rdst on a slice. Filling is not timed.

use std::time::Duration;

use bench_own::{Distribution, KEY, Result, Scale, Words, must, with_keys};
use criterion::{Bencher, Criterion, Throughput};
use pagestone_storage::{Options, Storage};
use rdst::RadixSort;

use crate::{Clock, group};

/// Records of 16 bytes.
const COUNT_16: usize = 10_000_000;
/// Records of 40 bytes.
const COUNT_40: usize = 4_000_000;

pub(crate) fn register(criterion: &mut Criterion<Clock>, scale: Scale) {
    sizes::<2>(criterion, "sort16", scale.count(COUNT_16));
    sizes::<5>(criterion, "sort40", scale.count(COUNT_40));
}

fn sizes<const W: usize>(criterion: &mut Criterion<Clock>, name: &str, count: usize) {
    let mut group = group(criterion, name);
    group.throughput(Throughput::Elements(count as u64));
    for distribution in Distribution::ALL {
        let mut input = None;
        let name = distribution.name();
        group.bench_function(format!("{name}/ours"), |bencher| {
            let input = input.get_or_insert_with(|| with_keys::<W>(&distribution.keys(count)));
            bench_ours(bencher, input, (Clock::Thread, 1));
        });
        group.bench_function(format!("{name}/std"), |bencher| {
            let input = input.get_or_insert_with(|| with_keys::<W>(&distribution.keys(count)));
            bench_slice(bencher, input, |records| records.sort_unstable_by_key(Words::key));
        });
        group.bench_function(format!("{name}/rdst"), |bencher| {
            let input = input.get_or_insert_with(|| with_keys::<W>(&distribution.keys(count)));
            bench_slice(bencher, input, |records| {
                records.radix_sort_builder().with_low_mem_tuner().with_parallel(false).sort();
            });
        });
    }
}

/// One and two threads on random keys, by `clock`, which is that of `criterion`.
pub(crate) fn register_threads(criterion: &mut Criterion<Clock>, clock: Clock, scale: Scale) {
    let count = scale.count(COUNT_16);
    let name = if clock == Clock::Wall { "sort_threads_wall" } else { "sort_threads_cpu" };
    let mut group = group(criterion, name);
    group.throughput(Throughput::Elements(count as u64));
    let mut input = None;
    for (name, threads) in [("one", 1), ("two", 2)] {
        group.bench_function(name, |bencher| {
            let input =
                input.get_or_insert_with(|| with_keys::<2>(&Distribution::Random.keys(count)));
            bench_ours(bencher, input, (clock, threads));
        });
    }
}

fn bench_ours<const W: usize>(
    bencher: &mut Bencher<'_, Clock>,
    input: &[Words<W>],
    (clock, threads): (Clock, usize),
) {
    bencher.iter_custom(|iterations| {
        (0..iterations).map(|_| must(ours(input, (clock, threads)))).sum()
    });
}

/// Fills a storage in memory and times its sort.
fn ours<const W: usize>(input: &[Words<W>], (clock, threads): (Clock, usize)) -> Result<Duration> {
    let mut storage: Storage<Words<W>> = Options::new().in_memory()?;
    storage.append(input)?;
    let (time, sorted) = clock.time(|| storage.sort_by(KEY).threads(threads).in_place().run());
    sorted?;
    let keys = storage.iter().map(|record| record.map_or(0, |record| record.key()));
    assert!(keys.is_sorted(), "not sorted");
    Ok(time)
}

fn bench_slice<const W: usize>(
    bencher: &mut Bencher<'_, Clock>,
    input: &[Words<W>],
    sort: impl Fn(&mut [Words<W>]),
) {
    let mut records = input.to_vec();
    bencher.iter_custom(|iterations| {
        let mut total = Duration::ZERO;
        for _ in 0..iterations {
            records.copy_from_slice(input);
            total += Clock::Thread.time(|| sort(&mut records)).0;
            assert!(records.is_sorted_by_key(Words::key), "not sorted");
        }
        total
    });
}
