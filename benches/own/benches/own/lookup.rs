//! Lookups in sorted records, beside a hash table and std's binary search on the same records.
//!
//! Every lookup ends with the record's value, not with its index alone. Dependent lookups take
//! the key from the last answer, so that nothing overlaps.

use std::{hint::black_box, time::Duration};

use bench_own::{Accelerator, Folder, KEY, Probes, Scale, Sorted, Words, must, sorted_pairs};
use criterion::{Bencher, Criterion, Throughput};
use hashbrown::HashMap;
use pagestone_storage::{Backing, Bias, Mutability, Options, SidecarOptions, Storage};

use crate::{Clock, Group, group};

const BATCH: usize = Probes::BATCH;

pub(crate) fn register(criterion: &mut Criterion<Clock>, scale: Scale) {
    for (name, full) in [("lookup10m", 10_000_000), ("lookup100m", 100_000_000)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(BATCH as u64));
        let size = (scale, scale.count(full));
        ours(&mut group, size);
        slices(&mut group, size);
        hashes(&mut group, size);
    }
    build(criterion, scale);
}

/// Which keys are asked for.
#[derive(Clone, Copy)]
enum Asked {
    Hits,
    Misses,
}

impl Asked {
    fn probes(self, records: &[Words<2>], scale: Scale) -> Probes {
        match self {
            Self::Hits => Probes::hits(records, scale),
            Self::Misses => Probes::misses(records, scale),
        }
    }

    /// How many of a batch are found.
    const fn found(self) -> usize {
        match self {
            Self::Hits => BATCH,
            Self::Misses => 0,
        }
    }
}

/// Sorted records in a file that lasts as long as this.
fn sorted(count: usize, accelerator: Accelerator) -> (Sorted, Folder) {
    let folder = must(Folder::new());
    let sorted = must(Sorted::create(&folder.trusted(), ("sorted", count), accelerator));
    must(sorted.records.populate());
    assert_eq!(sorted.slice().len(), count);
    (sorted, folder)
}

fn ours(group: &mut Group<'_>, (scale, count): (Scale, usize)) {
    let batched = [
        ("batch_hit", Accelerator::Simd, Asked::Hits),
        ("batch_miss", Accelerator::Simd, Asked::Misses),
        ("portable_hit", Accelerator::Portable, Asked::Hits),
        ("plain_hit", Accelerator::Absent, Asked::Hits),
    ];
    for (name, accelerator, asked) in batched {
        let mut fixture = None;
        group.bench_function(name, |bencher| {
            let (sorted, probes) = fixture.get_or_insert_with(|| {
                let sorted = sorted(count, accelerator);
                let probes = asked.probes(sorted.0.slice(), scale);
                (sorted, probes)
            });
            bench_batched(bencher, &sorted.0, (probes, asked));
        });
    }
    let mut fixture = None;
    group.bench_function("dependent", |bencher| {
        let (sorted, probes) = fixture.get_or_insert_with(|| {
            let sorted = sorted(count, Accelerator::Simd);
            let probes = Probes::hits(sorted.0.slice(), scale);
            (sorted, probes)
        });
        let (records, slice) = (&sorted.0.records, sorted.0.slice());
        bench_dependent(bencher, probes, |key| {
            let index = records.binary_search(KEY, key, Bias::Exact).unwrap_or(None);
            index.and_then(|index| value(slice, index))
        });
    });
}

#[inline]
fn value(slice: &[Words<2>], index: u64) -> Option<u64> {
    Some(slice.get(usize::try_from(index).ok()?)?.value())
}

fn bench_batched(
    bencher: &mut Bencher<'_, Clock>,
    sorted: &Sorted,
    (probes, asked): (&mut Probes, Asked),
) {
    let slice = sorted.slice();
    let mut found = [None; BATCH];
    must(sorted.records.get_many(KEY, probes.next_batch(), &mut found));
    assert_eq!(found.iter().flatten().count(), asked.found());
    bencher.iter(|| {
        let looked_up = sorted.records.get_many(KEY, probes.next_batch(), &mut found);
        let values = found.iter().filter_map(|&index| value(slice, index?));
        looked_up.map_or(0, |()| values.fold(0, u64::wrapping_add))
    });
}

/// Lookups of which each waits for the one before.
fn bench_dependent(
    bencher: &mut Bencher<'_, Clock>,
    probes: &mut Probes,
    get: impl Fn(u64) -> Option<u64>,
) {
    assert!(probes.next_batch().iter().all(|&key| get(key).is_some()), "not found");
    // Not known to be 0 before it runs: the next key needs the last answer.
    let zero = black_box(0);
    bencher.iter(|| {
        let keys = probes.next_batch().iter();
        keys.fold(0, |answer, &key| get(key ^ (answer & zero)).unwrap_or(0))
    });
}

/// Lookups that the processor overlaps as far as it can.
fn bench_stream(
    bencher: &mut Bencher<'_, Clock>,
    (probes, asked): (&mut Probes, Asked),
    get: impl Fn(u64) -> Option<u64>,
) {
    let found = probes.next_batch().iter().filter(|&&key| get(key).is_some()).count();
    assert_eq!(found, asked.found());
    bencher
        .iter(|| probes.next_batch().iter().filter_map(|&key| get(key)).fold(0, u64::wrapping_add));
}

fn slices(group: &mut Group<'_>, (scale, count): (Scale, usize)) {
    let mut fixture = None;
    group.bench_function("std_hit", |bencher| {
        let (sorted, probes) = fixture.get_or_insert_with(|| {
            let sorted = sorted(count, Accelerator::Absent);
            let probes = Probes::hits(sorted.0.slice(), scale);
            (sorted, probes)
        });
        let slice = sorted.0.slice();
        bench_stream(bencher, (probes, Asked::Hits), |key| {
            let index = slice.binary_search_by_key(&key, Words::key).ok()?;
            Some(slice[index].value())
        });
    });
}

/// The same records in a table, and the keys to ask for.
fn table((scale, count): (Scale, usize), asked: Asked) -> (HashMap<u64, u64>, Probes) {
    let records: Vec<Words<2>> = sorted_pairs(count).collect();
    let mut map = HashMap::with_capacity(count);
    map.extend(records.iter().map(|record| (record.key(), record.value())));
    (map, asked.probes(&records, scale))
}

fn hashes(group: &mut Group<'_>, size: (Scale, usize)) {
    for (name, asked) in [("hash_hit", Asked::Hits), ("hash_miss", Asked::Misses)] {
        let mut fixture = None;
        group.bench_function(name, |bencher| {
            let (map, probes) = fixture.get_or_insert_with(|| table(size, asked));
            bench_stream(bencher, (probes, asked), |key| map.get(&key).copied());
        });
    }
    let mut fixture = None;
    group.bench_function("hash_dependent", |bencher| {
        let (map, probes) = fixture.get_or_insert_with(|| table(size, Asked::Hits));
        bench_dependent(bencher, probes, |key| map.get(&key).copied());
    });
}

/// Writes the accelerator of sorted records again and again; waiting for the device is no CPU time.
fn build(criterion: &mut Criterion<Clock>, scale: Scale) {
    let count = scale.count(10_000_000);
    let mut group = group(criterion, "accelerator");
    group.throughput(Throughput::Elements(count as u64));
    let mut fixture = None;
    group.bench_function("build", |bencher| {
        let (storage, _folder) = fixture.get_or_insert_with(|| {
            let (sorted, folder) = sorted(count, Accelerator::Absent);
            drop(sorted);
            let options = Options::new().backing(Backing::Map).mutability(Mutability::AppendOnly);
            let storage: Storage<Words<2>> = must(options.open(folder.trusted().file("sorted")));
            must(storage.populate());
            (storage, folder)
        });
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let options = SidecarOptions::new().accelerate(KEY);
                let (time, written) = Clock::Thread.time(|| storage.write_sidecar(options));
                must(written);
                total += time;
            }
            total
        });
    });
}
