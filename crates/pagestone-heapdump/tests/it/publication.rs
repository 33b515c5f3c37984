//! An index appears whole or not at all, and replaces only what may be replaced.

use std::{
    fs::{self, File},
    ops::ControlFlow,
    path::Path,
};

use pagestone_heapdump::{BuildOptions, BuildReport, ErrorKind, Existing, Phase, Rank, Result};
use pagestone_testkit::hprof::{self, IdSize, Version, tiny};
use tempfile::TempDir;

use crate::support::{files, folder, names, open};

/// A folder with the small dump in it.
fn with_dump() -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("dump"), tiny(IdSize::Eight, Version::V102).bytes()).unwrap();
    folder
}

fn build(folder: &Path, existing: Existing) -> Result<BuildReport> {
    let options = BuildOptions::new().existing(existing);
    options.build(folder.join("dump"), folder.join("index"))
}

#[track_caller]
fn check_refused(folder: &Path, existing: Existing) {
    let before = names(&folder.join("index"));
    let kind = build(folder, existing).err().map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::AlreadyExists));
    assert_eq!(names(&folder.join("index")), before);
    assert_eq!(names(folder), ["dump", "index"]);
}

const FILES: [&str; 27] = [
    "biggest.rec",
    "checks.rec",
    "class_names.txt",
    "class_orders.rec",
    "classes.rec",
    "facts.pgs",
    "forms.rec",
    "ids.rec",
    "ids.words",
    "inbound.heads",
    "inbound.lists",
    "instances.heads",
    "instances.lists",
    "layouts.rec",
    "manifest",
    "objects.heads",
    "objects.packed",
    "outbound.heads",
    "outbound.lists",
    "roots.rec",
    "string_objects.rec",
    "strings/manifest",
    "strings/rows.1.rec",
    "strings/rows.1.rec.meta",
    "traces.rec",
    "tree.entries",
    "tree.heads",
];

#[test]
fn nothing_but_the_index_is_left() {
    let folder = with_dump();
    let report = build(folder.path(), Existing::Refuse).unwrap();
    assert_eq!(names(folder.path()), ["dump", "index"]);
    assert_eq!(files(&folder.path().join("index")), FILES);
    let phases: Vec<Phase> = report.phases.iter().map(|phase| phase.phase).collect();
    assert_eq!(phases, Phase::ALL);
    let tables: Vec<&str> = report.tables.iter().map(|table| &*table.name).collect();
    assert_eq!(
        tables,
        FILES.iter().copied().filter(|name| *name != "manifest").collect::<Vec<_>>()
    );
}

#[test]
fn what_a_killed_build_left_does_not_open_and_is_removed() {
    let folder = with_dump();
    build(folder.path(), Existing::Refuse).unwrap();
    let (index, building) = (folder.path().join("index"), folder.path().join(".index.building"));
    let replaced = folder.path().join(".index.replaced");
    for keep in 0..=FILES.len() {
        fs::rename(&index, &building).unwrap();
        for (nth, name) in FILES.iter().enumerate() {
            if nth >= keep || *name == "manifest" {
                fs::remove_file(building.join(name)).unwrap();
            }
        }
        fs::write(building.join("objects.rec.lock"), b"").unwrap();
        fs::create_dir_all(building.join("deeper/still")).unwrap();
        fs::create_dir(&replaced).unwrap();
        fs::write(replaced.join("ids.rec"), b"old").unwrap();
        assert_eq!(open(&building).err().unwrap().kind(), ErrorKind::NotAnIndex);
        assert_eq!(open(&index).err().unwrap().kind(), ErrorKind::NotFound);
        build(folder.path(), Existing::Refuse).unwrap();
        assert_eq!(names(folder.path()), ["dump", "index"]);
        assert_eq!(files(&index), FILES);
    }
}

#[test]
fn a_cancelled_build_leaves_nothing() {
    for phase in Phase::ALL {
        let folder = with_dump();
        let (dump, out) = (folder.path().join("dump"), folder.path().join("index"));
        let cancelled = BuildOptions::new().build_with(dump, out, |progress| {
            if progress.phase == phase { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(cancelled.err().unwrap().kind(), ErrorKind::Cancelled);
        assert_eq!(names(folder.path()), ["dump"]);
    }
}

#[test]
fn progress_goes_up_to_the_size_of_the_file() {
    let folder = with_dump();
    let (dump, out) = (folder.path().join("dump"), folder.path().join("index"));
    let len = fs::metadata(&dump).unwrap().len();
    let mut last = (Phase::Scan, 0);
    BuildOptions::new()
        .build_with(dump, out, |progress| {
            assert_eq!(progress.total, len);
            assert!(last.1 <= progress.done && progress.done <= len);
            last = (progress.phase, progress.done);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(last, (Phase::Publish, len));
}

#[test]
fn an_index_is_replaced_when_asked_for() {
    let folder = with_dump();
    build(folder.path(), Existing::Refuse).unwrap();
    check_refused(folder.path(), Existing::Refuse);
    let index = folder.path().join("index");
    let reader = open(&index).unwrap();
    let classes = format!("{:?}", reader.histogram(Rank::Count).unwrap());
    fs::write(folder.path().join("dump"), hprof::missing_class().bytes()).unwrap();
    build(folder.path(), Existing::Replace).unwrap();
    assert_eq!(names(folder.path()), ["dump", "index"]);
    assert_eq!(open(&index).unwrap().summary().object_count, 3);
    // Who has the old one open goes on reading what was needed; the rest is gone, and told.
    assert_eq!(format!("{:?}", reader.histogram(Rank::Count).unwrap()), classes);
    assert!(reader.object(hprof::ids::LEAF_FULL).is_err());
    assert!(reader.string_values(9).is_err());
    fs::write(index.join("manifest"), b"nonsense").unwrap();
    check_refused(folder.path(), Existing::Refuse);
    // Version 1 had two files more.
    fs::write(index.join("symbols.rec"), b"").unwrap();
    fs::write(index.join("symbols.txt"), b"").unwrap();
    build(folder.path(), Existing::Replace).unwrap();
    open(&index).unwrap();
    assert!(!index.join("symbols.rec").exists());
}

#[test]
fn a_failed_build_keeps_the_old_index() {
    let folder = with_dump();
    build(folder.path(), Existing::Refuse).unwrap();
    fs::write(folder.path().join("dump"), b"no dump").unwrap();
    let kind = build(folder.path(), Existing::Replace).err().unwrap().kind();
    assert_eq!(kind, ErrorKind::NotADump);
    let index = open(&folder.path().join("index")).unwrap();
    assert!(index.object(hprof::ids::LEAF_FULL).unwrap().is_some());
    assert_eq!(names(folder.path()), ["dump", "index"]);
}

#[test]
fn what_is_no_index_is_never_replaced() {
    let folder = with_dump();
    let index = folder.path().join("index");
    fs::create_dir(&index).unwrap();
    build(folder.path(), Existing::Refuse).unwrap();
    fs::write(index.join("notes.md"), b"mine").unwrap();
    check_refused(folder.path(), Existing::Replace);
    fs::remove_dir_all(&index).unwrap();
    fs::write(&index, b"a file").unwrap();
    for existing in [Existing::Refuse, Existing::Replace] {
        let kind = build(folder.path(), existing).err().unwrap().kind();
        assert_eq!(kind, ErrorKind::AlreadyExists);
    }
    assert_eq!(fs::read(&index).unwrap(), b"a file");
}

#[test]
fn a_dump_inside_the_index_is_not_replaced() {
    let folder = with_dump();
    let (dump, index) = (folder.path().join("dump"), folder.path().join("index"));
    fs::write(&dump, hprof::gzip(tiny(IdSize::Eight, Version::V102).bytes())).unwrap();
    build(folder.path(), Existing::Refuse).unwrap();
    let options = BuildOptions::new().existing(Existing::Replace);
    let kind = options.build(index.join("dump.hprof"), &index).err().unwrap().kind();
    assert_eq!(kind, ErrorKind::AlreadyExists);
    open(&index).unwrap().verify().unwrap();
}

#[test]
fn two_builds_of_one_index_exclude_each_other() {
    let folder = with_dump();
    let building = folder.path().join(".index.building");
    fs::create_dir(&building).unwrap();
    let held = File::open(&building).unwrap();
    held.lock().unwrap();
    assert_eq!(build(folder.path(), Existing::Refuse).err().unwrap().kind(), ErrorKind::Locked);
    drop(held);
    build(folder.path(), Existing::Refuse).unwrap();
}

#[test]
fn a_link_in_the_way_is_not_followed() {
    let folder = with_dump();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("precious"), b"kept").unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.path().join(".index.building")).unwrap();
    let kind = build(folder.path(), Existing::Refuse).err().unwrap().kind();
    assert_eq!(kind, ErrorKind::AlreadyExists);
    assert_eq!(fs::read(elsewhere.join("precious")).unwrap(), b"kept");
}

#[test]
fn a_folder_that_is_no_index_is_never_replaced() {
    let folder = with_dump();
    let index = folder.path().join("index");
    fs::create_dir(&index).unwrap();
    fs::write(index.join("dump.hprof"), b"somebody's dump").unwrap();
    check_refused(folder.path(), Existing::Replace);
    assert_eq!(fs::read(index.join("dump.hprof")).unwrap(), b"somebody's dump");
}

#[test]
fn a_dump_in_what_a_killed_build_left_is_kept() {
    for left in [".index.replaced", ".index.building"] {
        let folder = with_dump();
        fs::create_dir(folder.path().join(left)).unwrap();
        let dump = folder.path().join(left).join("dump");
        fs::rename(folder.path().join("dump"), &dump).unwrap();
        let built = BuildOptions::new().build(&dump, folder.path().join("index"));
        assert_eq!(built.unwrap_err().kind(), ErrorKind::AlreadyExists, "{left}");
        assert!(dump.exists(), "{left}");
    }
}

#[test]
fn a_fifo_for_a_manifest_does_not_hang() {
    let folder = with_dump();
    let index = folder.path().join("index");
    fs::create_dir(&index).unwrap();
    let made = std::process::Command::new("mkfifo").arg(index.join("manifest")).status();
    assert!(made.unwrap().success());
    assert!(open(&index).is_err());
}
