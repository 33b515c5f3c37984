//! The rows of the storage. Ids are those of benches/own, names those of its program `measure`.
//!
//! Times are CPU time of the thread, or of both threads, but where the row says wall.

use super::{
    Row,
    Target::{AtMost, RatioAtLeast, RatioAtMost, Reported},
    measured, nanos, rate,
};

pub(super) const ROWS: &[Row] = &[
    // Reading and appending.
    Row::new("random get, mapped, 1 GiB of 64 B", nanos("get/ours"), RatioAtMost(1.05))
        .against("raw slice", nanos("get/slice")),
    Row::new("scan, 1 GiB of 64 B", rate("scan64/ours"), RatioAtLeast(0.95))
        .against("raw slice", rate("scan64/slice")),
    Row::new("scan, 1 GiB of 16 B", rate("scan16/ours"), Reported)
        .against("raw slice", rate("scan16/slice")),
    Row::new("append 64 B in batches, Map", rate("append/map"), RatioAtLeast(0.9))
        .against("write, 64 KiB", rate("append/write")),
    Row::new("append 64 B in batches, File", rate("append/file"), RatioAtLeast(0.9))
        .against("write, 64 KiB", rate("append/write")),
    // Sorting.
    Row::new("sort 10 M x 16 B, random", nanos("sort16/random/ours"), RatioAtMost(0.75))
        .against("rdst low-mem", nanos("sort16/random/rdst")),
    Row::new("sort 10 M x 16 B, nearly sorted", nanos("sort16/nearly/ours"), RatioAtMost(1.05))
        .against_better("std or rdst", [nanos("sort16/nearly/std"), nanos("sort16/nearly/rdst")]),
    Row::new("sort 10 M x 16 B, few keys", nanos("sort16/few/ours"), RatioAtMost(1.05))
        .against_better("std or rdst", [nanos("sort16/few/std"), nanos("sort16/few/rdst")]),
    Row::new("sort 10 M x 16 B, dense ids", nanos("sort16/ids/ours"), RatioAtMost(1.05))
        .against_better("std or rdst", [nanos("sort16/ids/std"), nanos("sort16/ids/rdst")]),
    Row::new("sort 10 M x 16 B, skewed", nanos("sort16/skewed/ours"), RatioAtMost(1.05))
        .against_better("std or rdst", [nanos("sort16/skewed/std"), nanos("sort16/skewed/rdst")]),
    Row::new("sort 10 M x 16 B, already sorted", nanos("sort16/sorted/ours"), RatioAtMost(0.15))
        .against("ours, random", nanos("sort16/random/ours")),
    Row::new("sort 10 M x 16 B, reversed", nanos("sort16/reversed/ours"), RatioAtMost(0.4))
        .against("ours, random", nanos("sort16/random/ours")),
    Row::new("sort 10 M x 16 B, two runs", nanos("sort16/two_runs/ours"), RatioAtMost(0.8))
        .against("ours, random", nanos("sort16/random/ours")),
    Row::new("sort 4 M x 40 B, random", nanos("sort40/random/ours"), RatioAtMost(0.85))
        .against("rdst low-mem", nanos("sort40/random/rdst")),
    Row::new("sort 4 M x 40 B, random, std", nanos("sort40/random/ours"), RatioAtMost(1.05))
        .against("std", nanos("sort40/random/std")),
    Row::new("sort 4 M x 40 B, nearly sorted, std", nanos("sort40/nearly/ours"), RatioAtMost(1.05))
        .against("std", nanos("sort40/nearly/std")),
    Row::new("sort 4 M x 40 B, few keys, std", nanos("sort40/few/ours"), RatioAtMost(1.05))
        .against("std", nanos("sort40/few/std")),
    Row::new("sort 4 M x 40 B, dense ids, std", nanos("sort40/ids/ours"), RatioAtMost(1.05))
        .against("std", nanos("sort40/ids/std")),
    Row::new("sort 4 M x 40 B, skewed, std", nanos("sort40/skewed/ours"), RatioAtMost(1.05))
        .against("std", nanos("sort40/skewed/std")),
    Row::new(
        "sort 4 M x 40 B, already sorted, std",
        nanos("sort40/sorted/ours"),
        RatioAtMost(1.05),
    )
    .against("std", nanos("sort40/sorted/std")),
    Row::new("sort 4 M x 40 B, reversed, std", nanos("sort40/reversed/ours"), RatioAtMost(1.05))
        .against("std", nanos("sort40/reversed/std")),
    Row::new("sort 4 M x 40 B, two runs, std", nanos("sort40/two_runs/ours"), RatioAtMost(1.05))
        .against("std", nanos("sort40/two_runs/std")),
    Row::new("sort 4 M x 40 B, already sorted", nanos("sort40/sorted/ours"), RatioAtMost(0.15))
        .against("ours, random", nanos("sort40/random/ours")),
    Row::new("sort 4 M x 40 B, reversed", nanos("sort40/reversed/ours"), RatioAtMost(0.4))
        .against("ours, random", nanos("sort40/random/ours")),
    Row::new("sort 4 M x 40 B, two runs", nanos("sort40/two_runs/ours"), RatioAtMost(0.8))
        .against("ours, random", nanos("sort40/random/ours")),
    Row::new("sort, scratch / records, worst", measured("scratch_most"), AtMost(0.02)),
    Row::new("sort, two threads, CPU of both", nanos("sort_threads_cpu/two"), RatioAtMost(1.15))
        .against("one thread", nanos("sort_threads_cpu/one")),
    Row::new("sort, two threads, wall", nanos("sort_threads_wall/two"), Reported)
        .against("one thread", nanos("sort_threads_wall/one")),
    Row::new("sort of 4 x its budget, CPU, no sync", measured("external_cpu"), RatioAtMost(2.5))
        .against_better(
            "at once, by copy or in memory",
            [measured("external_copy_cpu"), measured("external_memory_cpu")],
        ),
    Row::new("sort of 4 x its budget, wall, no sync", measured("external_wall"), Reported)
        .against_better(
            "at once, by copy or in memory",
            [measured("external_copy_wall"), measured("external_memory_wall")],
        ),
    Row::new(
        "sort of 4 x its budget, peak - budget",
        measured("external_peak_over_budget"),
        AtMost(32.0),
    ),
    // Looking up.
    Row::new("lookup 10 M, hits, batch", nanos("lookup10m/batch_hit"), RatioAtMost(0.85))
        .against("hashbrown, loop", nanos("lookup10m/hash_hit")),
    Row::new(
        "lookup 10 M, hits, batch, portable",
        nanos("lookup10m/portable_hit"),
        RatioAtMost(1.2),
    )
    .against("hashbrown, loop", nanos("lookup10m/hash_hit")),
    Row::new("lookup 10 M, misses, batch", nanos("lookup10m/batch_miss"), Reported)
        .against("hashbrown, loop", nanos("lookup10m/hash_miss")),
    Row::new("lookup 10 M, hits, dependent", nanos("lookup10m/dependent"), RatioAtMost(1.35))
        .against("hashbrown, dependent", nanos("lookup10m/hash_dependent")),
    Row::new("lookup 10 M, batch, no accelerator", nanos("lookup10m/plain_hit"), RatioAtMost(0.12))
        .against("std binary_search", nanos("lookup10m/std_hit")),
    Row::new("lookup 100 M, hits, batch", nanos("lookup100m/batch_hit"), RatioAtMost(0.85))
        .against("hashbrown, loop", nanos("lookup100m/hash_hit")),
    Row::new(
        "lookup 100 M, hits, batch, portable",
        nanos("lookup100m/portable_hit"),
        RatioAtMost(1.2),
    )
    .against("hashbrown, loop", nanos("lookup100m/hash_hit")),
    Row::new("lookup 100 M, misses, batch", nanos("lookup100m/batch_miss"), Reported)
        .against("hashbrown, loop", nanos("lookup100m/hash_miss")),
    Row::new("lookup 100 M, hits, dependent", nanos("lookup100m/dependent"), RatioAtMost(1.35))
        .against("hashbrown, dependent", nanos("lookup100m/hash_dependent")),
    Row::new(
        "lookup 100 M, batch, no accelerator",
        nanos("lookup100m/plain_hit"),
        RatioAtMost(0.12),
    )
    .against("std binary_search", nanos("lookup100m/std_hit")),
    Row::new("accelerator, bytes per record", measured("accelerator_bytes"), AtMost(0.6)),
    Row::new("accelerator, build and write", nanos("accelerator/build"), AtMost(3.0)),
    // Cold, built, and over size.
    Row::new("cold open, wall", measured("cold_open_time"), Reported),
    Row::new("cold open, from the device", measured("cold_open_device"), Reported),
    Row::new("cold get, wall", measured("cold_get_time"), Reported),
    Row::new("cold get, from the device", measured("cold_get_device"), Reported),
    Row::new("cold lookup, wall", measured("cold_lookup_time"), Reported),
    Row::new("cold lookup, from the device", measured("cold_lookup_device"), Reported),
    Row::new("cold scan, wall", measured("cold_scan_time"), Reported),
    Row::new("cold scan, from the device", measured("cold_scan_device"), Reported),
    Row::new("crates, cargo tree", measured("crates_count"), AtMost(24.0)),
    Row::new("clean build, dev profile", measured("crates_build"), Reported),
    Row::new("get among 10 k x 16 B", measured("curve_get_10k"), Reported),
    Row::new("get among 100 k x 16 B", measured("curve_get_100k"), Reported),
    Row::new("get among 1 M x 16 B", measured("curve_get_1m"), Reported),
    Row::new("get among 10 M x 16 B", measured("curve_get_10m"), Reported),
    Row::new("get among 100 M x 16 B", measured("curve_get_100m"), Reported),
    Row::new("search among 10 k x 16 B", measured("curve_search_10k"), Reported),
    Row::new("search among 100 k x 16 B", measured("curve_search_100k"), Reported),
    Row::new("search among 1 M x 16 B", measured("curve_search_1m"), Reported),
    Row::new("search among 10 M x 16 B", measured("curve_search_10m"), Reported),
    Row::new("search among 100 M x 16 B", measured("curve_search_100m"), Reported),
    Row::new("sort among 10 k x 16 B", measured("curve_sort_10k"), Reported),
    Row::new("sort among 100 k x 16 B", measured("curve_sort_100k"), Reported),
    Row::new("sort among 1 M x 16 B", measured("curve_sort_1m"), Reported),
    Row::new("sort among 10 M x 16 B", measured("curve_sort_10m"), Reported),
    Row::new("sort among 100 M x 16 B", measured("curve_sort_100m"), Reported),
];
