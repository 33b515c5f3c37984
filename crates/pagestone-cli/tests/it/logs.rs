//! Logs in region files: info, stats, verify, dump, get, compact, orphans, salvage.
#![expect(unsafe_code, reason = "the one promise that a test makes for its own directory")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use pagestone_buffer::{Buffers, EntryId};
use pagestone_heap::RegionFile;
use pagestone_storage::{Location, TrustedDir};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Ran, folder, program, run};

/// A closed region file with a log, an empty one and a heap.
struct Logs {
    folder: TempDir,
    path: PathBuf,
    /// Two notes; a third one was removed.
    ids: Vec<EntryId>,
}

impl Logs {
    fn new() -> Self {
        let folder = folder();
        let file = RegionFile::options().reserve(1 << 32).create(at(&folder)).unwrap();
        let notes = file.buffer("notes").unwrap();
        file.buffer("empty").unwrap();
        let posts = file.heap("posts").unwrap();
        let mut writer = file.writer();
        let mut ids: Vec<EntryId> = [&b"hello \x1b[m notes"[..], b"first", b"removed"]
            .iter()
            .map(|bytes| notes.add(&mut writer, bytes).unwrap())
            .collect();
        notes.update(&mut writer, ids[1], &[0xab; 300]).unwrap();
        notes.remove(&mut writer, ids.pop().unwrap()).unwrap();
        let block = posts.allocate_from(&mut writer, b"a post").unwrap();
        writer.set_root("first note", ids[0]).unwrap();
        writer.set_root("post", block).unwrap();
        drop((writer, notes, posts));
        file.close().unwrap();
        Self { path: folder.path().join("some.pgs"), folder, ids }
    }

    #[track_caller]
    fn run(&self, command: &str, rest: &str) -> Ran {
        run(command, &self.path, rest)
    }

    fn bits(&self, nth: usize) -> u64 {
        self.ids[nth].to_bits()
    }

    /// Turns a bit of the first byte of the only place of `pattern`.
    fn damage(&self, pattern: &[u8]) {
        let mut bytes = fs::read(&self.path).unwrap();
        let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(pattern));
        let [place] = places.collect::<Vec<_>>()[..] else { panic!("not one place") };
        bytes[place] ^= 0x20;
        fs::write(&self.path, bytes).unwrap();
    }
}

fn at(folder: &TempDir) -> Location {
    // SAFETY: only this test writes in its temporary directory, through this library or while
    // nothing is open.
    unsafe { TrustedDir::assert(folder.path()) }.file("some.pgs")
}

/// Ids and contents of the notes.
fn ids(path: &Path) -> Vec<(Value, Value)> {
    let found = run("dump", path, "notes --json").code(0).json();
    found.iter().map(|entry| (entry["id"].clone(), entry["hex"].clone())).collect()
}

#[test]
fn info_and_stats_count_entries() {
    let logs = Logs::new();
    let found = logs.run("info", "--json").code(0).json().remove(0);
    let stores = json!([
        {"name": "empty", "kind": "log", "entries": 0},
        {"name": "notes", "kind": "log", "entries": 2},
        {"name": "posts", "kind": "heap", "blocks": 1},
    ]);
    assert_eq!(found["stores"], stores);
    logs.run("info", "").code(0).shows(&["notes", "log", "heap"]);
    let found = logs.run("stats", "--json").code(0).json().remove(0);
    assert_eq!((&found["entries"], &found["blocks"]), (&json!(2), &json!(1)));
    assert_eq!(found["payload"], json!(15 + 300 + 6));
    assert_eq!(found["logs"][0]["segments"], json!(0));
    let notes = &found["logs"][1];
    assert_eq!((&notes["entries"], &notes["payload"]), (&json!(2), &json!(315)));
    // Headers of 32, rounded up to 16; five entries and a tombstone were appended.
    assert_eq!((&notes["live"], &notes["segments"]), (&json!(48 + 336), &json!(1)));
    assert_eq!(notes["used"], json!(48 + 48 + 48 + 336 + 32));
    let capacity = notes["capacity"].as_u64().unwrap();
    assert_eq!(found["regions"][4], json!({"kind": "entries", "count": 1, "bytes": capacity}));
    assert!(notes["garbage_share"].as_f64().unwrap() > 0.9);
    logs.run("stats", "").code(0).shows(&["garbage", "notes", "entries"]);
}

#[test]
fn dump_and_get_show_entries() {
    let logs = Logs::new();
    let found = logs.run("dump", "notes --json").code(0).json();
    assert_eq!(found.len(), 2);
    assert_eq!((&found[1]["id"], &found[1]["bytes"]), (&json!(logs.bits(1)), &json!(300)));
    assert_eq!(found[1]["hex"], json!("ab".repeat(300)));
    assert!(found[0]["sequence"].as_u64() < found[1]["sequence"].as_u64());
    assert_eq!(logs.run("dump", "notes --json --limit 1").code(0).json(), found[..1]);
    let shown = logs.run("dump", "notes").code(0).shows(&["hello .[m notes", "sequence"]);
    assert!(!shown.out.contains('\u{1b}'));
    logs.run("dump", "notes --hex").code(0).shows(&["ab".repeat(300).as_str()]);
    let raw = program().arg("dump").arg(&logs.path).args(["notes", "--raw"]).output().unwrap();
    assert_eq!(raw.stdout, [&b"hello \x1b[m notes"[..], &[0xab; 300]].concat());
    assert_eq!(logs.run("dump", "empty --json").code(0).json().len(), 0);

    let shown = logs.run("get", &format!("notes {}", logs.ids[0])).code(0);
    shown.shows(&["00000000  68656c6c6f201b5b 6d206e6f746573", "sequence", "hello .[m notes"]);
    let one = logs.run("get", &format!("notes {} --json", logs.bits(1))).code(0).json();
    assert_eq!(one[0], found[1]);
    let raw = logs.run("get", &format!("notes {} --raw", logs.bits(0))).code(0);
    assert_eq!(raw.out, "hello \x1b[m notes");
    logs.run("get", &format!("empty {}", logs.bits(0))).code(1).says(&["no block"]);
    logs.run("dump", "absent").code(1).says(&["no store `absent`, but empty, notes, posts"]);
}

#[test]
fn verify_names_a_damaged_entry() {
    let logs = Logs::new();
    let found = logs.run("verify", "--json").code(0).json().remove(0);
    // Two entries, a block, three names of stores and two of roots.
    assert_eq!((&found["clean"], &found["blocks"]), (&json!(true), &json!(8)));
    logs.damage(b"hello ");
    let id = logs.ids[0].to_string();
    let ran = logs.run("verify", "--json").code(1).says(&["some.pgs: offset ", &id]);
    let found = ran.json().remove(0);
    assert_eq!(found["problem_count"], json!(1));
    assert!(found["problems"][0]["what"].as_str().unwrap().contains(&id));
}

#[test]
fn compact_gives_the_garbage_of_logs_back() {
    let logs = Logs::new();
    let file = RegionFile::options().reserve(1 << 32).open(at(&logs.folder)).unwrap();
    let notes = file.buffer("notes").unwrap();
    let mut writer = file.writer();
    let mut many = Vec::new();
    notes.add_many(&mut writer, (0..3000).map(|_| [7; 2000]), &mut many).unwrap();
    for id in &many[30..] {
        notes.remove(&mut writer, *id).unwrap();
    }
    drop((writer, notes));
    file.close().unwrap();
    let before = logs.run("stats", "--json").code(0).json().remove(0);
    let ran = logs.run("compact", "--json").code(0).json().remove(0);
    assert!(ran["bytes"].as_u64().unwrap() * 2 < ran["bytes_before"].as_u64().unwrap(), "{ran}");
    let told = &ran["logs"][1];
    assert_eq!((&told["name"], &told["live"]), (&json!("notes"), &before["logs"][1]["live"]));
    assert_eq!(told["capacity_before"], before["logs"][1]["capacity"]);
    let after = logs.run("stats", "--json").code(0).json().remove(0);
    assert_eq!(told["capacity"], after["logs"][1]["capacity"]);
    assert!(told["capacity"].as_u64().unwrap() * 2 < told["capacity_before"].as_u64().unwrap());
    assert_eq!(after["entries"], json!(32));
    logs.run("verify", "").code(0).shows(&["nothing wrong found"]);
    logs.run("get", &format!("notes {}", logs.ids[0])).code(0).shows(&["hello"]);
    logs.run("compact", "").code(0).shows(&["notes: ", "live", "moved"]);
    let copy = logs.folder.path().join("copy.pgs");
    logs.run("compact", &format!("--to {}", copy.display())).code(0).shows(&["copy"]);
    assert!(ids(&logs.path) == ids(&copy));
}

#[test]
fn roots_of_entries_are_no_lost_ids() {
    let logs = Logs::new();
    assert_eq!(logs.run("orphans", "--json").code(0).json().len(), 0);
}

#[test]
fn salvage_makes_a_new_file_of_what_is_whole() {
    let logs = Logs::new();
    let to = logs.folder.path().join("new.pgs");
    let rest = to.display().to_string();
    let told = logs.run("salvage", &format!("{rest} --json")).code(0).json().remove(0);
    assert_eq!((&told["entries"], &told["removed"]), (&json!(2), &json!(1)));
    assert_eq!((&told["left_out"], &told["damage_count"]), (&json!(["posts"]), &json!(0)));
    assert_eq!(told["logs"][0]["name"], json!("notes"));
    assert_eq!(ids(&to), ids(&logs.path));
    run("verify", &to, "").code(0).shows(&["nothing wrong found"]);
    logs.run("salvage", &rest).code(3).says(&["new.pgs"]);

    // An entry is damaged, and the file opens no more.
    fs::remove_file(&to).unwrap();
    logs.damage(b"hello ");
    let mut bytes = fs::read(&logs.path).unwrap();
    bytes[..8192].fill(0);
    fs::write(&logs.path, bytes).unwrap();
    logs.run("info", "").code(1);
    let ran = logs.run("salvage", &rest).code(1);
    let id = logs.ids[0].to_string();
    ran.shows(&["notes", "damage"]).says(&["some.pgs: offset ", &id]);
    assert_eq!(ids(&to).len(), 1);
    fs::remove_file(&to).unwrap();
    let told = logs.run("salvage", &format!("{rest} --search --json")).code(1).json().remove(0);
    assert_eq!(told["damaged"][1]["id"], json!(logs.bits(0)));
    run("salvage", &logs.folder.path().join("absent"), &rest).code(3).says(&["absent"]);
    fs::remove_file(&to).unwrap();
    for (name, bytes) in [("empty", vec![]), ("text", vec![b'x'; 300_000])] {
        let path = logs.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        run("salvage", &path, &rest).code(1).says(&["pagestone: ", name]);
        assert!(!to.exists());
    }
}
