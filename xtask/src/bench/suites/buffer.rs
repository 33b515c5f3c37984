//! The rows of the entry buffer: workload E. Names are those of the program `measure` of
//! benches/own; those of peers are `PEER_GROUP_QUANTITY` of the crate benches/peers.
//!
//! A million entries of 16 to 512 bytes. Times of entries are CPU time of the process, with all
//! threads of an engine; compactions, opens, commits and waits are times by the wall.

use super::{
    Row,
    Target::{AtMost, RatioAtMost, Reported},
    measured, program,
};

const LIMIT: &str = "bare log and table";
const PEER: &str = "best peer, same promise";
const PEER_UNITS: &str = "best peer, 1 000 together";
const LMDB: &str = "LMDB";
const SYNCS: &str = "two syncs of an append";
const ONE_LOCK: &str = "ours, 1 000 under a lock";
const MANUAL: &str = "ours, no compaction";

/// The figures of this quantity of all peers.
macro_rules! peers {
    ($quantity:literal) => {
        [
            program(concat!("lmdb_", $quantity)),
            program(concat!("fjall_", $quantity)),
            program(concat!("redb_", $quantity)),
            program(concat!("sqlite_", $quantity)),
        ]
    };
}

pub(super) const ROWS: &[Row] = &[
    // Changes and reads.
    Row::new("add, by key", measured("buffer_map_work_add"), RatioAtMost(0.3))
        .against_best(PEER, peers!("work_add")),
    Row::new("add, by id", measured("buffer_id_work_add"), RatioAtMost(3.0))
        .against(LIMIT, measured("buffer_limit_work_add")),
    Row::new("add, by id, peers", measured("buffer_id_work_add"), RatioAtMost(0.3))
        .against_best(PEER, peers!("work_add")),
    Row::new("add, by key, peers in units", measured("buffer_map_work_add"), Reported)
        .against_best(PEER_UNITS, peers!("units_add")),
    Row::new("add, by id, a lock each", measured("buffer_id_single_add"), Reported)
        .against(ONE_LOCK, measured("buffer_id_work_add")),
    Row::new("random read, by key", measured("buffer_map_work_read"), RatioAtMost(0.25))
        .against(LMDB, program("lmdb_work_read")),
    Row::new("random read, by id, one pin", measured("buffer_id_work_read"), RatioAtMost(1.5))
        .against(LIMIT, measured("buffer_limit_work_read")),
    Row::new("random read, by id, batch", measured("buffer_id_work_read_many"), Reported)
        .against(LIMIT, measured("buffer_limit_work_read")),
    Row::new("update, same length, by key", measured("buffer_map_work_same"), RatioAtMost(0.4))
        .against_best(PEER, peers!("work_same")),
    Row::new("update, same length, by id", measured("buffer_id_work_same"), Reported)
        .against(LIMIT, measured("buffer_limit_work_same")),
    Row::new("update, growing, by key", measured("buffer_map_work_grow"), RatioAtMost(0.3))
        .against_best(PEER, peers!("work_grow")),
    Row::new("update, growing, by id", measured("buffer_id_work_grow"), Reported)
        .against(LIMIT, measured("buffer_limit_work_grow")),
    Row::new("remove, by key", measured("buffer_map_work_remove"), RatioAtMost(0.15))
        .against_best(PEER, peers!("work_remove")),
    Row::new("remove, by id", measured("buffer_id_work_remove"), Reported)
        .against(LIMIT, measured("buffer_limit_work_remove")),
    Row::new("remove, by key, peers in units", measured("buffer_map_work_remove"), Reported)
        .against_best(PEER_UNITS, peers!("units_remove")),
    // Compaction by policy, its CPU in the changes.
    Row::new("all changes, GarbageShare, by key", measured("buffer_map_tended_changes"), Reported)
        .against_best(PEER, peers!("work_changes")),
    Row::new("all changes, GarbageShare, by id", measured("buffer_id_tended_changes"), Reported)
        .against(MANUAL, measured("buffer_id_work_changes")),
    // Files: blocks of the device over payloads and keys of 8 bytes.
    Row::new("file / live, no compaction", measured("buffer_id_work_file_before"), AtMost(4.5))
        .against_best(PEER, peers!("work_file_before")),
    Row::new("file / live, GarbageShare", measured("buffer_id_tended_file_before"), AtMost(1.7))
        .against_best(PEER, peers!("work_file_before")),
    Row::new("file / live after adds", measured("buffer_id_work_file_added"), Reported)
        .against_best(PEER, peers!("work_file_added")),
    Row::new("compact, wall, synced", measured("buffer_id_work_compact_wall"), AtMost(3.5))
        .against(LIMIT, measured("buffer_limit_work_compact_wall")),
    Row::new("compact, peers", measured("buffer_id_work_compact_wall"), RatioAtMost(0.6))
        .against_best(PEER, peers!("work_compact_wall")),
    Row::new("compact, CPU", measured("buffer_id_work_compact"), Reported)
        .against(LIMIT, measured("buffer_limit_work_compact")),
    Row::new("compact, CPU, peers", measured("buffer_id_work_compact"), Reported)
        .against_best(PEER, peers!("work_compact")),
    Row::new("file / live, compacted", measured("buffer_id_work_file_after"), AtMost(1.3))
        .against_best(PEER, peers!("work_file_after")),
    Row::new(
        "length of the file / live, compacted",
        measured("buffer_id_work_file_after_len"),
        Reported,
    ),
    // Opening.
    Row::new("open to first read, by id", measured("buffer_id_open_clean"), AtMost(200.0))
        .against_best(PEER, peers!("open_clean")),
    Row::new("open to first read, by key", measured("buffer_map_open_clean"), AtMost(200.0))
        .against_best(PEER, peers!("open_clean")),
    Row::new("open after a kill, by id", measured("buffer_id_open_killed"), AtMost(100.0))
        .against_better(
            "LMDB or SQLite",
            [program("lmdb_open_killed"), program("sqlite_open_killed")],
        ),
    Row::new("open after a kill, by key", measured("buffer_map_open_killed"), AtMost(100.0))
        .against("fjall", program("fjall_open_killed")),
    // Commits that wait for the device.
    Row::new("commit of 1", measured("buffer_id_durable_one"), RatioAtMost(1.2))
        .against(SYNCS, measured("buffer_syncs_durable_one")),
    Row::new("commit of 1, peers", measured("buffer_id_durable_one"), Reported)
        .against_best(PEER, peers!("durable_one")),
    Row::new("commit of 1, slowest of 100", measured("buffer_id_durable_one_slowest"), Reported)
        .against_best(PEER, peers!("durable_one_slowest")),
    Row::new("commit of 1 update", measured("buffer_id_durable_update"), Reported)
        .against_best(PEER, peers!("durable_update")),
    Row::new("commit of 1 000, each added", measured("buffer_id_durable_thousand"), AtMost(3.5))
        .against_best(PEER, peers!("durable_thousand")),
    Row::new("commit of 1 000, add_many", measured("buffer_id_durable_many"), AtMost(1.0))
        .against_best(PEER, peers!("durable_many")),
    // Memory beside the page cache.
    Row::new("private memory, by id, added", measured("buffer_id_memory_added"), AtMost(16.0)),
    Row::new("private memory, by id, opened", measured("buffer_id_memory_opened"), AtMost(16.0)),
    Row::new("private memory, by key, added", measured("buffer_map_memory_added"), AtMost(16.0))
        .against(LMDB, program("lmdb_memory_added")),
    Row::new("private memory, by key, opened", measured("buffer_map_memory_opened"), AtMost(16.0))
        .against(LMDB, program("lmdb_memory_opened")),
    // Beside a compaction in steps of a millisecond.
    Row::new("wait of a writer, commits apart", measured("buffer_id_pause_writer"), AtMost(1.2)),
    Row::new("wait of a writer, commits", measured("buffer_id_pause_writer_commit"), Reported),
    Row::new("longest step, CPU", measured("buffer_id_pause_step"), AtMost(1.2)),
    Row::new("longest commit", measured("buffer_id_pause_commit"), Reported),
    Row::new("stops of readers, faults included", measured("buffer_id_pause_readers"), Reported),
    // Twenty rounds of churn, compaction by policy.
    Row::new("churn, bytes to the device", measured("buffer_id_churn_device"), Reported)
        .against_best(PEER_UNITS, peers!("churn_device")),
    Row::new("churn, CPU", measured("buffer_id_churn_cpu"), Reported)
        .against_best(PEER_UNITS, peers!("churn_cpu")),
    Row::new("churn, file / live", measured("buffer_id_churn_file"), AtMost(1.7))
        .against_best(PEER_UNITS, peers!("churn_file")),
    Row::new("growth in rounds 11 to 20", measured("buffer_id_churn_growth"), AtMost(0.01)),
];
