//! The rows of the index: workload S. Names are those of the program `measure` of benches/own;
//! those of peers are `PEER_GROUP_QUANTITY` of the crate benches/peers.
//!
//! Ten million rows of 40 bytes, each with the next row's key in it. Times are CPU time: of the
//! thread for lookups and scans, of the process for builds; opening is timed by the wall.

use super::{
    Row,
    Target::{AtMost, RatioAtLeast, RatioAtMost, Reported},
    measured, program,
};

const HASH: &str = "hashbrown, independent";
const HASH_CHAIN: &str = "hashbrown, dependent";
const TREE: &str = "BTreeMap";
const PAIRS: &str = "sort_unstable of the pairs";
const MAP: &str = "HashMap<u64, Vec<u64>>";
const RAW: &str = "scan of bare rows";
const LMDB: &str = "LMDB";
const FST: &str = "fst";
const ENGINES: &str = "better of redb, SQLite";

/// The figures of redb and `SQLite`.
macro_rules! engines {
    ($quantity:literal) => {
        [program(concat!("redb_", $quantity)), program(concat!("sqlite_", $quantity))]
    };
}

pub(super) const ROWS: &[Row] = &[
    // Lookups by the unique key, all with the row.
    Row::new("lookup, batch", measured("index_ours_table_batch"), RatioAtMost(0.9))
        .against(HASH, measured("index_hash_table_stream")),
    Row::new("lookup, dependent", measured("index_ours_table_dependent"), RatioAtMost(1.35))
        .against(HASH_CHAIN, measured("index_hash_table_dependent")),
    Row::new("lookup, independent", measured("index_ours_table_stream"), Reported)
        .against(HASH, measured("index_hash_table_stream")),
    Row::new("lookup, independent, tree", measured("index_ours_table_stream"), Reported)
        .against(TREE, measured("index_tree_table_stream")),
    Row::new("lookup, batch, LMDB", measured("index_ours_table_batch"), RatioAtMost(0.25))
        .against(LMDB, program("lmdb_table_stream")),
    Row::new("lookup, dependent, LMDB", measured("index_ours_table_dependent"), Reported)
        .against(LMDB, program("lmdb_table_dependent")),
    Row::new("lookup, independent, engines", measured("index_ours_table_stream"), Reported)
        .against_better(ENGINES, engines!("table_stream")),
    // Builds and files.
    Row::new(
        "build, unique index, 16-byte rows",
        measured("index_ours_build_seal"),
        RatioAtMost(1.5),
    )
    .against(PAIRS, measured("index_pairs_build_sort")),
    Row::new(
        "build, private memory, 64 MiB given",
        measured("index_ours_build_memory"),
        AtMost(96.0),
    ),
    Row::new("load, with the sort", measured("index_ours_table_load"), RatioAtMost(0.2))
        .against(LMDB, program("lmdb_table_load")),
    Row::new("load, with the sort, engines", measured("index_ours_table_load"), Reported)
        .against_better(ENGINES, engines!("table_load")),
    Row::new("index, bytes per row", measured("index_ours_table_index_file"), AtMost(12.6)),
    // Scans.
    Row::new("scan, canonical", measured("index_ours_table_scan"), RatioAtMost(1.25))
        .against(RAW, measured("index_raw_table_scan")),
    Row::new("scan, canonical, tree", measured("index_tree_table_scan"), RatioAtLeast(3.0))
        .against("ours", measured("index_ours_table_scan")),
    Row::new("scan by the unique key", measured("index_ours_table_scan_by_key"), Reported)
        .against(TREE, measured("index_tree_table_scan")),
    Row::new("scan, canonical, LMDB", measured("index_ours_table_scan"), Reported)
        .against(LMDB, program("lmdb_table_scan")),
    // Relations: one direction holds what the map holds; the build makes both.
    Row::new("relation, values of a key", measured("index_ours_relation_slice"), RatioAtMost(1.0))
        .against(MAP, measured("index_map_relation_values")),
    Row::new("relation, by iterator", measured("index_ours_relation_values"), Reported)
        .against(MAP, measured("index_map_relation_values")),
    Row::new("relation, bytes, one way", measured("index_ours_relation_memory"), RatioAtMost(0.35))
        .against(MAP, measured("index_map_relation_memory")),
    Row::new("relation, bytes, both ways", measured("index_ours_relation_both"), Reported)
        .against(MAP, measured("index_map_relation_memory")),
    Row::new(
        "relation, build of both ways",
        measured("index_ours_relation_build"),
        RatioAtMost(1.0),
    )
    .against(MAP, measured("index_map_relation_build")),
    // Opening a table with three indexes, to the first row by one of them.
    Row::new("open to the first answer", measured("index_ours_open_first"), AtMost(1000.0)),
    // Keys of bytes: fst holds no rows.
    Row::new("lookup, bytes", measured("index_ours_words_stream"), Reported)
        .against(FST, program("fst_words_stream")),
    Row::new("build, bytes", measured("index_ours_words_load"), Reported)
        .against(FST, program("fst_words_load")),
    // A delta of 1 %: lookups beside it and its merge go here, with `index_ours_delta_…`.
];
