//! The cost of a get, a search and a sorted record, from ten thousand records to a hundred million.
//!
//! CPU time of the thread. Gets and searches are independent of each other and one by one; the
//! search is `lower_bound` with the accelerator. Sorts are in place in memory, of random keys.

use bench_own::{Accelerator, Clock, Folder, KEY, Probes, Random, Result, Scale, Sorted, Words};
use pagestone_storage::{Options, Storage};

use crate::{Measurement, float};

const SIZES: [(&str, usize); 5] = [
    ("10k", 10_000),
    ("100k", 100_000),
    ("1m", 1_000_000),
    ("10m", 10_000_000),
    ("100m", 100_000_000),
];
/// Operations at a size of the full scale.
const OPERATIONS: usize = 4 << 20;
/// Records sorted at a size, so that small sizes are not timed by one short sort.
const SORTED: usize = 10_000_000;

pub(crate) fn measure(scale: Scale) -> Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    for (name, full) in SIZES {
        let count = scale.count(full);
        let [get, search] = read(count, scale)?;
        let sort = sort(count, scale)?;
        for (operation, nanos) in [("get", get), ("search", search), ("sort", sort)] {
            let name = format!("curve_{operation}_{name}");
            measurements.push(Measurement::new(name, nanos, "ns/record"));
        }
    }
    Ok(measurements)
}

/// Nanoseconds per get and per search.
fn read(count: usize, scale: Scale) -> Result<[f64; 2]> {
    let folder = Folder::new()?;
    let sorted = Sorted::create(&folder.trusted(), ("curve", count), Accelerator::Simd)?;
    sorted.records.populate()?;
    let rounds = scale.count(OPERATIONS).div_ceil(Probes::BATCH);
    let operations = float((rounds * Probes::BATCH) as u64);

    let mut random = Random::new(11);
    let indexes: Vec<u64> =
        (0..rounds * Probes::BATCH).map(|_| random.below(count) as u64).collect();
    let mut probes = Probes::hits(sorted.slice(), scale);
    let (get, gotten) = Clock::Thread.time(|| {
        indexes
            .iter()
            .try_fold(0, |sum, &index| sorted.records.get(index).map(|record| record.value() ^ sum))
    });
    let (search, searched) = Clock::Thread.time(|| {
        (0..rounds).try_fold(0, |sum, _| {
            probes.next_batch().iter().try_fold(sum, |sum, &key| {
                sorted.records.lower_bound(KEY, key).map(|index| index ^ sum)
            })
        })
    });
    std::hint::black_box((gotten?, searched?));
    Ok([get, search].map(|time| time.as_secs_f64() * 1e9 / operations))
}

/// Nanoseconds per sorted record.
fn sort(count: usize, scale: Scale) -> Result<f64> {
    let rounds = (scale.count(SORTED) / count).max(1);
    let mut random = Random::new(12);
    let mut nanos = 0.0;
    for _ in 0..rounds {
        let mut storage: Storage<Words<2>> = Options::new().in_memory()?;
        let mut left = count;
        while 0 < left {
            let next = left.min(64 << 10);
            let batch: Vec<_> = (0..next).map(|_| Words::new(random.next(), 0)).collect();
            storage.append(&batch)?;
            left -= next;
        }
        let (time, sorted) = Clock::Thread.time(|| storage.sort_by(KEY).in_place().run());
        sorted?;
        nanos += time.as_secs_f64() * 1e9;
    }
    Ok(nanos / float((rounds * count) as u64))
}
