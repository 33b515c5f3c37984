//! The plain program `measure`, asked for one quantity of every family that is cheap.

use std::process::Command;

#[track_caller]
fn check(name: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure"));
    let output = command.args([name, "--tiny"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted = format!("{{\"name\":\"{name}\",\"value\":");
    assert!(text.lines().any(|line| line.starts_with(&wanted)), "{text}");
}

#[test]
fn sorts_are_measured() {
    check("scratch_most");
    check("external_cpu");
}

#[test]
fn reads_are_measured() {
    check("accelerator_bytes");
    check("cold_get_device");
    check("curve_search_1m");
}

#[test]
fn heap_dumps_are_measured() {
    check("heapdump_50_build_all");
    check("heapdump_50_references");
    check("heapdump_50_process");
}

#[test]
fn streams_are_measured() {
    check("stream_in");
}

#[test]
fn heaps_are_measured() {
    check("heap_mimalloc_work_fill");
    check("heap_limit_work_reopen");
    check("heap_limit_calm_free");
    check("heap_limit_file_growth");
    check("heap_limit_open_killed_1m");
    check("heap_limit_many_listed");
    check("heap_ours_beside_reader_4");
    check("heap_ours_shrink_each");
}

#[test]
fn indexes_are_measured() {
    check("index_ours_table_batch");
    check("index_ours_build_seal");
    check("index_ours_open_first");
    check("index_ours_relation_values");
    check("index_ours_words_stream");
    check("index_hash_table_dependent");
    check("index_tree_table_scan");
    check("index_raw_table_scan");
    check("index_pairs_build_sort");
    check("index_map_relation_memory");
}

#[test]
fn buffers_are_measured() {
    check("buffer_limit_work_compact");
    check("buffer_map_work_read");
    check("buffer_id_tended_changes");
    check("buffer_map_open_killed");
    check("buffer_id_open_clean");
    check("buffer_map_memory_opened");
    check("buffer_id_durable_many");
    check("buffer_syncs_durable_one");
    check("buffer_id_churn_growth");
    check("buffer_id_pause_writer");
}

#[test]
fn slabs_are_measured() {
    check("slab_store_16_get_again");
    check("slab_plain_64_overhead_counted");
    check("slab_pool_16_add_again");
    check("slab_checked_64_remove");
    check("slab_mimalloc_16_overhead");
    check("slab_store_search_present_many");
    check("slab_hashbrown_search_absent");
    check("slab_store_scan64_rate_wall");
    check("slab_filed_16_remove");
    check("slab_filedmany_64_overhead_counted");
}

#[test]
fn interners_are_measured() {
    check("slab_interner_words_memory");
    check("slab_counted_words_memory_again");
    check("slab_counted_words_release_removing");
    check("slab_interner_packages_intern");
    check("slab_shared_words_known");
    check("slab_shared_threads_known_two");
    check("slab_filedstrings_words_release_removing");
    check("slab_filedstrings_packages_resolve");
    check("slab_filedstrings_open_killed_change");
}

#[test]
fn a_heap_that_is_not_plugged_in_is_skipped_or_measured() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure"));
    let name = "heap_ours_work_fill";
    let output = command.args([name, "--tiny"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().contains(name));
}

/// These look at the statistics of a block device, which not every folder is on.
#[test]
fn devices_are_measured() {
    if bench_own::Folder::new().unwrap().device().is_ok() {
        check("heap_limit_commit_fresh_1_device");
        check("heap_pages_commit_fresh_1000");
        let mut command = Command::new(env!("CARGO_BIN_EXE_advice"));
        assert!(command.arg("--tiny").output().unwrap().status.success());
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure"));
    assert!(!command.arg("unknown").output().unwrap().status.success());
}
