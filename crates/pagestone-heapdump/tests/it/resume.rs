//! A killed build goes on from its last finished table.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use pagestone_heapdump::{BuildOptions, Existing, Phase};
use pagestone_testkit::{
    child::{self, Child},
    hprof::{GeneratorOptions, generate_dump, gzip},
};

use crate::support::{files, folder, names, open};

const TEST: &str = "resume::a_build_killed_in_any_phase_goes_on";

/// What a build may find finished: everything up to this phase belongs to the first pass.
const FIRST_PASS: [Phase; 4] = [Phase::Scan, Phase::Objects, Phase::Symbols, Phase::Classes];

fn write_dump(path: &Path, seed: u64) {
    let mut bytes = Vec::new();
    let options = GeneratorOptions { target_len: 120_000, seed };
    generate_dump(&options, &mut bytes).unwrap();
    fs::write(path, gzip(&bytes)).unwrap();
}

/// What differs from one build to the next: the region file, and what names its blocks.
const NEVER_THE_SAME: [&str; 5] =
    ["facts.pgs", "layouts.rec", "traces.rec", "checks.rec", "manifest"];

/// The tables of an index that are the same whenever they are built.
fn tables(index: &Path) -> BTreeMap<String, Vec<u8>> {
    let listed = files(index).into_iter().filter(|name| !NEVER_THE_SAME.contains(&name.as_str()));
    listed.map(|name| (name.clone(), fs::read(index.join(name)).unwrap())).collect()
}

fn build(folder: &Path) -> Vec<Phase> {
    let options = BuildOptions::new().existing(Existing::Replace);
    let report = options.build(folder.join("dump"), folder.join("index")).unwrap();
    report.phases.iter().map(|time| time.phase).collect()
}

/// Builds, tells of every phase that begins, and waits in the one to be killed in.
fn build_and_wait(errand: &str) {
    let (phase, folder) = errand.split_once(' ').unwrap();
    let (last, folder): (usize, &Path) = (phase.parse().unwrap(), Path::new(folder));
    let mut told = 0;
    let hook = |progress: pagestone_heapdump::Progress| {
        let number = Phase::ALL.iter().position(|&phase| phase == progress.phase).unwrap();
        if told <= number {
            told = number + 1;
            child::acknowledge(number as u64);
        }
        if number == last {
            assert_eq!(child::order(), None);
        }
        ControlFlow::Continue(())
    };
    BuildOptions::new().build_with(folder.join("dump"), folder.join("index"), hook).unwrap();
}

#[test]
fn a_build_killed_in_any_phase_goes_on() {
    if let Some(errand) = child::errand() {
        return build_and_wait(&errand);
    }
    let whole = folder();
    write_dump(&whole.path().join("dump"), 7);
    assert_eq!(build(whole.path()), Phase::ALL);
    let expected = tables(&whole.path().join("index"));

    for (number, &phase) in Phase::ALL.iter().enumerate() {
        let folder = folder();
        write_dump(&folder.path().join("dump"), 7);
        let mut killed = Child::start(TEST, &format!("{number} {}", folder.path().display()));
        killed.wait_for(number as u64);
        killed.kill(0);
        assert_eq!(names(folder.path()), [".index.building", "dump"], "{phase:?}");

        let first = if FIRST_PASS.contains(&phase) { 0 } else { number };
        assert_eq!(build(folder.path()), Phase::ALL[first..], "{phase:?}");
        let index = folder.path().join("index");
        let found = tables(&index);
        let differs = |name: &&String| found.get(*name) != expected.get(*name);
        let differ: Vec<_> = found.keys().chain(expected.keys()).filter(differs).collect();
        assert!(differ.is_empty(), "{phase:?}: {differ:?}");
        assert_eq!(names(folder.path()), ["dump", "index"], "{phase:?}");
        open(&index).unwrap().verify().unwrap();
    }
}

/// Leaves what a build leaves that is killed before it publishes, changed by `change`.
fn left_over(folder: &Path, change: impl FnOnce(&Path)) {
    let number = Phase::ALL.len() - 2;
    let mut killed = Child::start(TEST, &format!("{number} {}", folder.display()));
    killed.wait_for(number as u64);
    killed.kill(0);
    change(&folder.join(".index.building"));
}

#[test]
fn what_is_of_another_dump_or_damaged_is_not_used() {
    let folder = folder();
    let dump = folder.path().join("dump");
    write_dump(&dump, 7);
    left_over(folder.path(), |_| write_dump(&dump, 8));
    assert_eq!(build(folder.path()), Phase::ALL);
    let index = folder.path().join("index");
    fs::remove_dir_all(&index).unwrap();

    left_over(folder.path(), |building| {
        let path = building.join("outbound.lists");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    assert_eq!(build(folder.path()), Phase::ALL);
    open(&index).unwrap().verify().unwrap();
}
