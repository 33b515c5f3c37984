//! Commits that happen by themselves: between two writers, never inside one.

use std::time::Duration;

use pagestone_heap::{CommitPolicy, Durability, RegionFile};

use crate::support::options;

fn file(policy: CommitPolicy) -> RegionFile {
    options().commit_policy(policy).in_memory().unwrap()
}

/// Commits that `work` brought.
#[track_caller]
fn check(policy: CommitPolicy, work: impl FnOnce(&RegionFile), expected: u64) {
    let file = file(policy);
    file.heap("blocks").unwrap();
    file.commit().unwrap();
    let before = file.generation();
    work(&file);
    assert_eq!(file.generation() - before, expected, "{policy:?}");
}

/// Three writers that make one block each.
fn three_blocks(file: &RegionFile) {
    let heap = file.heap("blocks").unwrap();
    for _ in 0..3 {
        heap.allocate_from(&mut file.writer(), &[0; 100]).unwrap();
    }
}

/// One writer that makes and frees three blocks.
fn one_group(file: &RegionFile) {
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    for _ in 0..3 {
        let id = heap.allocate_from(&mut writer, &[0; 100]).unwrap();
        heap.free(&mut writer, id).unwrap();
        assert_eq!(file.generation(), 2, "a commit inside a group");
    }
}

#[test]
fn nothing_is_committed_unasked_by_default() {
    check(CommitPolicy::Manual, three_blocks, 0);
}

#[test]
fn each_writer_commits_when_it_is_given_back() {
    check(CommitPolicy::EveryOp, three_blocks, 3);
    check(CommitPolicy::EveryOp, one_group, 1);
    check(CommitPolicy::EveryOp, |file| drop(file.writer()), 0);
}

#[test]
fn time_commits() {
    check(CommitPolicy::Interval(Duration::ZERO), three_blocks, 3);
    check(CommitPolicy::Interval(Duration::from_hours(1)), three_blocks, 0);
}

#[test]
fn bytes_written_commit() {
    check(CommitPolicy::Bytes(200), three_blocks, 1);
    check(CommitPolicy::Bytes(100), three_blocks, 3);
    check(CommitPolicy::Bytes(100), one_group, 1);
}

#[test]
fn space_that_waits_commits() {
    let put = |file: &RegionFile| {
        let heap = file.heap("blocks").unwrap();
        let id = heap.allocate_from(&mut file.writer(), &[0; 1000]).unwrap();
        file.commit().unwrap();
        for _ in 0..2 {
            heap.put(&mut file.writer(), id, &[1; 1000]).unwrap();
        }
    };
    // The second put of an epoch replaces what no commit has, which waits for none.
    check(CommitPolicy::Quarantine(1000), put, 3);
    check(CommitPolicy::Quarantine(5000), put, 1);
}

#[test]
fn scratch_content_is_not_committed() {
    let options = options().commit_policy(CommitPolicy::EveryOp).durability(Durability::Scratch);
    let file = options.in_memory().unwrap();
    three_blocks(&file);
    file.commit().unwrap();
    assert_eq!(file.generation(), 1);
}
