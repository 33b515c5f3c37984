//! The rows of the heap: workload H. Names are those of the program `measure` of benches/own.
//!
//! Blocks of 32 to 512 bytes, a million of them, and a commit between the phases. Times of blocks
//! are CPU time of the thread; commits and opens are times by the wall.

use super::{
    Row,
    Target::{AtMost, RatioAtLeast, RatioAtMost, Reported},
    measured, nanos, program,
};

const MIMALLOC: &str = "mimalloc";
const LIMIT: &str = "bare slots and lists";
const BOOST: &str = "Boost";
const TWO_SYNCS: &str = "two syncs of the pages";
const COPY: &str = "std::fs::copy and sync";
const EMPTY: &str = "ours, empty heap";
const IN_PROCESS: &str = "ours, in its process";
const ALONE: &str = "ours, alone";

pub(super) const ROWS: &[Row] = &[
    // Blocks.
    Row::new("allocate + fill", measured("heap_ours_work_fill"), RatioAtMost(1.5))
        .against(MIMALLOC, measured("heap_mimalloc_work_fill")),
    Row::new("allocate + fill, Boost", measured("heap_ours_work_fill"), RatioAtMost(0.9))
        .against(BOOST, program("boost_fill")),
    Row::new("allocate + fill, limit", measured("heap_ours_work_fill"), Reported)
        .against(LIMIT, measured("heap_limit_work_fill")),
    Row::new("free after a commit, batch", measured("heap_ours_work_free"), AtMost(60.0))
        .against(LIMIT, measured("heap_limit_work_free")),
    Row::new(
        "free after a commit, batch, mimalloc",
        measured("heap_ours_work_free"),
        RatioAtMost(1.2),
    )
    .against(MIMALLOC, measured("heap_mimalloc_work_free")),
    Row::new("free after a commit, Boost", measured("heap_ours_work_free"), Reported)
        .against(BOOST, program("boost_free")),
    Row::new("allocate again after a commit", measured("heap_ours_work_again"), AtMost(100.0))
        .against(LIMIT, measured("heap_limit_work_again")),
    Row::new(
        "allocate again after a commit, mimalloc",
        measured("heap_ours_work_again"),
        RatioAtMost(1.7),
    )
    .against(MIMALLOC, measured("heap_mimalloc_work_again")),
    Row::new("allocate again after a commit, Boost", measured("heap_ours_work_again"), Reported)
        .against(BOOST, program("boost_again")),
    Row::new("free, no commit before", measured("heap_ours_calm_free"), Reported)
        .against(LIMIT, measured("heap_limit_calm_free")),
    Row::new("allocate again, no commit before", measured("heap_ours_calm_again"), Reported)
        .against(LIMIT, measured("heap_limit_calm_again")),
    Row::new("get 8 bytes, one pin", nanos("heap_get/ours"), RatioAtMost(1.3))
        .against(LIMIT, nanos("heap_get/limit")),
    Row::new("get 8 bytes, one pin, batch", nanos("heap_get/ours_many"), RatioAtMost(1.3))
        .against(LIMIT, nanos("heap_get/limit")),
    Row::new("get 8 bytes, a pin each", nanos("heap_get/ours_each"), Reported)
        .against(LIMIT, nanos("heap_get/limit")),
    Row::new("get 8 bytes, dependent", nanos("heap_get/ours_chain"), Reported)
        .against(LIMIT, nanos("heap_get/limit_chain")),
    Row::new("get from another process", nanos("heap_get/ours_other"), RatioAtMost(1.2))
        .against(IN_PROCESS, nanos("heap_get/ours")),
    Row::new("get from another, batch", nanos("heap_get/ours_other_many"), Reported)
        .against(IN_PROCESS, nanos("heap_get/ours_many")),
    Row::new("get from another, a lock each", nanos("heap_get/ours_other_each"), Reported)
        .against(IN_PROCESS, nanos("heap_get/ours_each")),
    Row::new("put beside 1 reader", measured("heap_ours_beside_writer_1"), RatioAtMost(1.3))
        .against(ALONE, measured("heap_ours_beside_writer_alone")),
    Row::new("put beside 4 readers", measured("heap_ours_beside_writer_4"), RatioAtMost(1.3))
        .against(ALONE, measured("heap_ours_beside_writer_alone")),
    Row::new("get beside the writer", measured("heap_ours_beside_reader_1"), RatioAtMost(1.15))
        .against(ALONE, measured("heap_ours_beside_reader_alone")),
    Row::new(
        "get of 4 beside the writer",
        measured("heap_ours_beside_reader_4"),
        RatioAtMost(1.15),
    )
    .against(ALONE, measured("heap_ours_beside_readers_alone")),
    Row::new("read 8 bytes, workload, Boost", measured("heap_ours_work_read"), Reported)
        .against(BOOST, program("boost_read")),
    Row::new("write 8 bytes after a commit", measured("heap_ours_work_write"), Reported)
        .against(LIMIT, measured("heap_limit_work_write")),
    // Files.
    Row::new("file / live, after churn", measured("heap_ours_file_churned"), AtMost(1.25))
        .against(LIMIT, measured("heap_limit_file_churned")),
    Row::new("file / live, workload, Boost", measured("heap_ours_work_file_over_live"), Reported)
        .against(BOOST, program("boost_file_over_live")),
    Row::new("file / live, blocks of 32 bytes", measured("heap_ours_file_small"), AtMost(2.6))
        .against(LIMIT, measured("heap_limit_file_small")),
    Row::new("growth in rounds 11 to 20 of churn", measured("heap_ours_file_growth"), AtMost(0.0)),
    Row::new("empty file", measured("heap_ours_file_empty"), AtMost(1.2)),
    Row::new("create and open, CPU", measured("heap_ours_file_empty_cpu"), AtMost(1.0)),
    // Giving back.
    Row::new("shrink, half free, byte moved", measured("heap_ours_shrink_each"), AtMost(4.0)),
    Row::new("live bytes moved by it", measured("heap_ours_shrink_moved"), Reported),
    Row::new("file / live after it", measured("heap_ours_shrink_file"), AtMost(1.3)),
    Row::new("allocated / live after it", measured("heap_ours_shrink_allocated"), AtMost(1.3)),
    Row::new("wait of a writer, commits apart", measured("heap_ours_shrink_pause"), AtMost(1.0)),
    Row::new("wait of a writer, commits", measured("heap_ours_shrink_commit_pause"), Reported),
    // Opening.
    Row::new("open to first read, 1 M", measured("heap_ours_open_clean_1m"), AtMost(200.0))
        .against(LIMIT, measured("heap_limit_open_clean_1m")),
    Row::new("open to first read, 10 k", measured("heap_ours_open_clean_10k"), AtMost(200.0))
        .against(LIMIT, measured("heap_limit_open_clean_10k")),
    Row::new("open to first read, Boost", measured("heap_ours_open_clean_1m"), Reported)
        .against(BOOST, program("boost_reopen")),
    Row::new("open after a kill, 1 M", measured("heap_ours_open_killed_1m"), AtMost(60.0)),
    Row::new(
        "open after a kill, 500 k uncommitted",
        measured("heap_ours_open_killed_much_1m"),
        Reported,
    ),
    Row::new("first change after open, 1 M", measured("heap_ours_open_change_1m"), Reported),
    Row::new("first change after open, 10 k", measured("heap_ours_open_change_10k"), Reported),
    Row::new("first change after a kill", measured("heap_ours_open_change_killed_1m"), Reported),
    // Committing.
    Row::new("commit of 1 block", measured("heap_ours_commit_fresh_1"), RatioAtMost(1.2))
        .against(TWO_SYNCS, measured("heap_pages_commit_fresh_1")),
    Row::new("commit of 1 000 blocks", measured("heap_ours_commit_fresh_1000"), RatioAtMost(1.2))
        .against(TWO_SYNCS, measured("heap_pages_commit_fresh_1000")),
    Row::new(
        "device bytes of a commit of 1 000",
        measured("heap_ours_commit_fresh_1000_device"),
        AtMost(3.0),
    )
    .against(TWO_SYNCS, measured("heap_pages_commit_fresh_1000_device")),
    Row::new(
        "device bytes, reopened",
        measured("heap_ours_commit_reopened_1000_device"),
        AtMost(3.0),
    )
    .against(LIMIT, measured("heap_limit_commit_reopened_1000_device")),
    Row::new(
        "device bytes, dropped and verified",
        measured("heap_ours_commit_verified_1000_device"),
        AtMost(3.0),
    )
    .against(LIMIT, measured("heap_limit_commit_verified_1000_device")),
    Row::new(
        "device bytes of a commit of 1",
        measured("heap_ours_commit_fresh_1_device"),
        Reported,
    )
    .against(TWO_SYNCS, measured("heap_pages_commit_fresh_1_device")),
    // Streams.
    Row::new("a long block, file to block", measured("stream_in"), RatioAtLeast(0.8))
        .against(COPY, measured("stream_copy")),
    Row::new("a long block, block to file", measured("stream_out"), RatioAtLeast(0.8))
        .against(COPY, measured("stream_copy")),
    Row::new("private memory of both", measured("stream_private"), AtMost(4.0)),
    // Many.
    Row::new("allocate, 5 M free blocks", measured("heap_ours_many_listed"), RatioAtMost(1.3))
        .against(EMPTY, measured("heap_ours_many_empty")),
    Row::new("allocate, 10 000 regions", measured("heap_ours_many_regions"), RatioAtMost(1.3))
        .against(EMPTY, measured("heap_ours_many_empty")),
];
