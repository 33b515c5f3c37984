//! The rows of the slab layer: workloads B and I. Names are those of the program `measure` of
//! benches/own; those of peers are `PEER_GROUP_QUANTITY` of the crate benches/peers.
//!
//! Five million objects; two million strings, 200 thousand distinct. Times are CPU time of the
//! thread; the program tells those by the wall beside them, as `QUANTITY_wall`.

use super::{
    Figure, Row,
    Target::{AtLeast, AtMost, RatioAtMost, Reported},
    measured, program,
};

const MIMALLOC: &str = "Box in mimalloc";
const JEMALLOC: &str = "Box in jemalloc";
const SLAB: &str = "slab";
const SLOTMAP: &str = "slotmap";
const ARENAS: &str = "best of four arenas";
const HASHBROWN: &str = "hashbrown";
const BUCKETS: &str = "string-interner, buckets";
const INTERNERS: &str = "best of four interners";
const ONE: &str = "ours, one thread";
const MEMORY: &str = "ours, in memory";

/// The figures of this quantity of all arenas.
macro_rules! arenas {
    ($quantity:literal) => {
        [
            program(concat!("slab_", $quantity)),
            program(concat!("slotmap_", $quantity)),
            program(concat!("thunderdome_", $quantity)),
            program(concat!("shardedslab_", $quantity)),
        ]
    };
}

/// The figures of this quantity of all interners.
macro_rules! interners {
    ($quantity:literal) => {
        [
            program(concat!("stringinterner_", $quantity)),
            program(concat!("lasso_", $quantity)),
            program(concat!("internment_", $quantity)),
            program(concat!("ustr_", $quantity)),
        ]
    };
}

/// What one of ours or a box of mimalloc takes.
macro_rules! ours {
    ($quantity:literal) => {
        measured(concat!("slab_", $quantity))
    };
}

const fn boxed(name: &'static str, ours: Figure, (boxed, limit): (Figure, f64)) -> Row {
    Row::new(name, ours, RatioAtMost(limit)).against(MIMALLOC, boxed)
}

const fn filed(name: &'static str, ours: Figure, in_memory: Figure) -> Row {
    Row::new(name, ours, Reported).against(MEMORY, in_memory)
}

pub(super) const ROWS: &[Row] = &[
    // Add.
    boxed("add 16 B, store", ours!("store_16_add"), (ours!("mimalloc_16_add"), 1.6)),
    boxed("add 16 B, plain store", ours!("plain_16_add"), (ours!("mimalloc_16_add"), 1.6)),
    boxed("add 16 B, pool", ours!("pool_16_add"), (ours!("mimalloc_16_add"), 1.6)),
    boxed("add 64 B, store", ours!("store_64_add"), (ours!("mimalloc_64_add"), 1.0)),
    boxed("add 64 B, plain store", ours!("plain_64_add"), (ours!("mimalloc_64_add"), 1.0)),
    boxed("add 64 B, pool", ours!("pool_64_add"), (ours!("mimalloc_64_add"), 1.0)),
    Row::new("add 16 B, pool, jemalloc", ours!("pool_16_add"), Reported)
        .against(JEMALLOC, program("jemalloc_16_add")),
    Row::new("add 16 B, pool, arenas", ours!("pool_16_add"), Reported)
        .against_best(ARENAS, arenas!("16_add")),
    Row::new("add 64 B, pool, arenas", ours!("pool_64_add"), Reported)
        .against_best(ARENAS, arenas!("64_add")),
    // Get.
    boxed("get 16 B at random, store", ours!("store_16_get"), (ours!("mimalloc_16_get"), 2.2)),
    boxed("get 16 B at random, checked", ours!("checked_16_get"), (ours!("mimalloc_16_get"), 2.2)),
    boxed("get 16 B at random, pool", ours!("pool_16_get"), (ours!("mimalloc_16_get"), 1.4)),
    boxed("get 64 B at random, store", ours!("store_64_get"), (ours!("mimalloc_64_get"), 2.2)),
    boxed("get 64 B at random, checked", ours!("checked_64_get"), (ours!("mimalloc_64_get"), 2.2)),
    boxed("get 64 B at random, pool", ours!("pool_64_get"), (ours!("mimalloc_64_get"), 1.4)),
    Row::new("get 16 B, store, slotmap", ours!("store_16_get"), RatioAtMost(1.0))
        .against(SLOTMAP, program("slotmap_16_get")),
    Row::new("get 16 B, checked, slotmap", ours!("checked_16_get"), RatioAtMost(1.0))
        .against(SLOTMAP, program("slotmap_16_get")),
    Row::new("get 64 B, checked, slotmap", ours!("checked_64_get"), RatioAtMost(1.0))
        .against(SLOTMAP, program("slotmap_64_get")),
    Row::new("get 16 B, checked, arenas", ours!("checked_16_get"), Reported)
        .against_best(ARENAS, arenas!("16_get")),
    Row::new("get 16 B in order, pool", ours!("pool_16_get_in_order"), Reported)
        .against(MIMALLOC, ours!("mimalloc_16_get_in_order")),
    // Remove a random half, add as many into the holes.
    Row::new("remove 16 B, pool", ours!("pool_16_remove"), AtMost(2.0))
        .against(MIMALLOC, ours!("mimalloc_16_remove")),
    Row::new("remove 16 B, plain store", ours!("plain_16_remove"), AtMost(2.0))
        .against(MIMALLOC, ours!("mimalloc_16_remove")),
    Row::new("remove 16 B, pool, jemalloc", ours!("pool_16_remove"), RatioAtMost(0.333))
        .against(JEMALLOC, program("jemalloc_16_remove")),
    Row::new("remove 16 B, store", ours!("store_16_remove"), Reported)
        .against_best(ARENAS, arenas!("16_remove")),
    Row::new("remove 64 B, pool", ours!("pool_64_remove"), Reported)
        .against(MIMALLOC, ours!("mimalloc_64_remove")),
    Row::new("add again 16 B, pool", ours!("pool_16_add_again"), AtMost(4.0))
        .against(MIMALLOC, ours!("mimalloc_16_add_again")),
    Row::new("add again 16 B, plain store", ours!("plain_16_add_again"), AtMost(4.0))
        .against(MIMALLOC, ours!("mimalloc_16_add_again")),
    Row::new("add again 16 B, pool, jemalloc", ours!("pool_16_add_again"), RatioAtMost(0.333))
        .against(JEMALLOC, program("jemalloc_16_add_again")),
    Row::new("add again 16 B, pool, slab", ours!("pool_16_add_again"), RatioAtMost(0.0333))
        .against(SLAB, program("slab_16_add_again")),
    Row::new("add again 16 B, store", ours!("store_16_add_again"), Reported)
        .against_best(ARENAS, arenas!("16_add_again")),
    Row::new("add again 64 B, pool", ours!("pool_64_add_again"), Reported)
        .against(JEMALLOC, program("jemalloc_64_add_again")),
    // Memory beside the objects.
    Row::new("overhead of 16 B, pool", ours!("pool_16_overhead_counted"), AtMost(0.5)),
    Row::new("overhead of 16 B, plain store", ours!("plain_16_overhead_counted"), AtMost(0.5)),
    Row::new("overhead of 16 B, store", ours!("store_16_overhead_counted"), AtMost(1.5)),
    Row::new("overhead of 64 B, pool", ours!("pool_64_overhead_counted"), AtMost(0.5)),
    Row::new("overhead of 64 B, store", ours!("store_64_overhead_counted"), AtMost(1.5)),
    Row::new("overhead of 16 B, pool, resident", ours!("pool_16_overhead"), Reported)
        .against(MIMALLOC, ours!("mimalloc_16_overhead")),
    Row::new("overhead of 16 B, store, resident", ours!("store_16_overhead"), Reported)
        .against_best(ARENAS, arenas!("16_overhead")),
    Row::new("id, pool", ours!("pool_16_id"), AtMost(4.0)),
    Row::new("id, store", ours!("store_16_id"), AtMost(8.0)),
    // By value.
    Row::new("search, present", ours!("store_search_present"), RatioAtMost(1.5))
        .against(HASHBROWN, ours!("hashbrown_search_present")),
    Row::new("search, present, batch", ours!("store_search_present_many"), Reported)
        .against(HASHBROWN, ours!("hashbrown_search_present")),
    Row::new("search, absent", ours!("store_search_absent"), Reported)
        .against(HASHBROWN, ours!("hashbrown_search_absent")),
    Row::new("search, index", ours!("store_search_index"), AtMost(6.0)),
    Row::new("add 16 B, store with index", ours!("store_search_add"), Reported)
        .against(HASHBROWN, ours!("hashbrown_search_add")),
    Row::new("search without index, 16 B", ours!("store_scan16_rate"), AtLeast(8.0)),
    Row::new("search without index, 64 B", ours!("store_scan64_rate"), AtLeast(8.0)),
    // Strings: words and metric tags.
    Row::new("intern, words", ours!("interner_words_intern"), RatioAtMost(1.1))
        .against(BUCKETS, program("stringinterner_words_intern")),
    Row::new("intern, words, all", ours!("interner_words_intern"), Reported)
        .against_best(INTERNERS, interners!("words_intern")),
    Row::new("intern, words, counted", ours!("counted_words_intern"), Reported)
        .against("internment, counted", program("arcintern_words_intern")),
    Row::new("intern, words, for threads", ours!("shared_words_intern"), Reported)
        .against("ustr", program("ustr_words_intern")),
    Row::new("intern, words, all known", ours!("interner_words_known"), Reported)
        .against(BUCKETS, program("stringinterner_words_known")),
    Row::new("resolve, words", ours!("interner_words_resolve"), RatioAtMost(1.05))
        .against(BUCKETS, program("stringinterner_words_resolve")),
    Row::new("resolve, words, all", ours!("interner_words_resolve"), Reported)
        .against_best(INTERNERS, interners!("words_resolve")),
    Row::new("memory, words", ours!("interner_words_memory"), AtMost(35.0))
        .against_best(INTERNERS, interners!("words_memory")),
    Row::new("memory, words, counted", ours!("counted_words_memory"), AtMost(39.0))
        .against("internment, counted", program("arcintern_words_memory")),
    Row::new("memory, words, for threads", ours!("shared_words_memory"), Reported)
        .against("ustr", program("ustr_words_memory")),
    // Tags and dependency names of packages.
    Row::new("intern, packages", ours!("interner_packages_intern"), RatioAtMost(1.1))
        .against(BUCKETS, program("stringinterner_packages_intern")),
    Row::new("intern, packages, lasso", ours!("interner_packages_intern"), Reported)
        .against("lasso", program("lasso_packages_intern")),
    Row::new("resolve, packages", ours!("interner_packages_resolve"), RatioAtMost(1.05))
        .against(BUCKETS, program("stringinterner_packages_resolve")),
    Row::new("memory, packages", ours!("interner_packages_memory"), Reported)
        .against(BUCKETS, program("stringinterner_packages_memory")),
    // Release.
    Row::new("release, held elsewhere", ours!("counted_words_release"), AtMost(20.0))
        .against("internment, counted", program("arcintern_words_release")),
    Row::new("release, removing", ours!("counted_words_release_removing"), AtMost(20.0))
        .against("internment, counted", program("arcintern_words_release_removing")),
    Row::new("memory, released and added again", ours!("counted_words_memory_again"), AtMost(1.1)),
    // Threads; a second one costs no CPU if the ratio is 1.
    Row::new("intern known, two threads", ours!("shared_threads_known_two"), RatioAtMost(1.2))
        .against(ONE, ours!("shared_threads_known_one")),
    Row::new("resolve, two threads", ours!("shared_threads_resolve_two"), Reported)
        .against(ONE, ours!("shared_threads_resolve_one")),
    // A region file: a pin for all gets, the writer held for all changes.
    Row::new("file: add 16 B", ours!("filedmany_16_add"), RatioAtMost(1.5))
        .against(MEMORY, ours!("store_16_add")),
    Row::new("file: add 64 B", ours!("filedmany_64_add"), RatioAtMost(1.5))
        .against(MEMORY, ours!("store_64_add")),
    filed("file: get 16 B at random", ours!("filedmany_16_get"), ours!("store_16_get")),
    filed("file: get 16 B at random, many", ours!("filedmany_16_get_many"), ours!("store_16_get")),
    filed("file: get 64 B at random", ours!("filedmany_64_get"), ours!("store_64_get")),
    filed(
        "file: get 16 B in order",
        ours!("filedmany_16_get_in_order"),
        ours!("store_16_get_in_order"),
    ),
    filed("file: remove 16 B", ours!("filedmany_16_remove"), ours!("store_16_remove")),
    filed("file: remove 64 B", ours!("filedmany_64_remove"), ours!("store_64_remove")),
    filed("file: add again 16 B", ours!("filedmany_16_add_again"), ours!("store_16_add_again")),
    filed("file: add again 64 B", ours!("filedmany_64_add_again"), ours!("store_64_add_again")),
    // The same with a pin or the writer taken for each call.
    filed("file: add 16 B, one each", ours!("filed_16_add"), ours!("store_16_add")),
    filed("file: get 16 B, one each", ours!("filed_16_get"), ours!("store_16_get")),
    filed("file: remove 16 B, one each", ours!("filed_16_remove"), ours!("store_16_remove")),
    Row::new("file: overhead of 16 B", ours!("filedmany_16_overhead_counted"), AtMost(1.5)),
    Row::new("file: overhead of 64 B", ours!("filedmany_64_overhead_counted"), AtMost(1.5)),
    filed("file: intern, words", ours!("filedstrings_words_intern"), ours!("counted_words_intern")),
    filed(
        "file: intern, words, all known",
        ours!("filedstrings_words_known"),
        ours!("counted_words_known"),
    ),
    filed(
        "file: resolve, words",
        ours!("filedstrings_words_resolve"),
        ours!("counted_words_resolve"),
    ),
    filed(
        "file: release, held elsewhere",
        ours!("filedstrings_words_release"),
        ours!("counted_words_release"),
    ),
    filed(
        "file: release, removing",
        ours!("filedstrings_words_release_removing"),
        ours!("counted_words_release_removing"),
    ),
    filed("file: slabs, words", ours!("filedstrings_words_memory"), ours!("counted_words_memory")),
    // A million strings: open to the first lookup, then the first string that is stored.
    Row::new("file: open, saved", ours!("filedstrings_open_clean"), AtMost(2.0)),
    Row::new("file: first change, saved", ours!("filedstrings_open_clean_change"), Reported),
    Row::new("file: open after a kill", ours!("filedstrings_open_killed"), AtMost(150.0)),
    Row::new("file: first change after a kill", ours!("filedstrings_open_killed_change"), Reported),
];
