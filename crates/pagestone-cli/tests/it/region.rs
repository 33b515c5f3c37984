//! Region files: info, stats, verify, dump, get, compact, orphans, backup.
#![expect(unsafe_code, reason = "the one promise that a test makes for its own directory")]

use std::{fs, path::PathBuf};

use pagestone_heap::{BlockId, HeapOptions, RegionFile};
use pagestone_storage::TrustedDir;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Ran, folder, program, run};

/// A region file with a few blocks, closed unless `open` holds it.
struct Regions {
    folder: TempDir,
    path: PathBuf,
    ids: Vec<BlockId>,
    open: Option<RegionFile>,
}

impl Regions {
    /// Three posts, of which the last has no bytes, and a tag with a checksum.
    fn new() -> Self {
        let folder = folder();
        // SAFETY: only this test writes in its temporary directory, through this library or while
        // nothing is open.
        let dir = unsafe { TrustedDir::assert(folder.path()) };
        let options = RegionFile::options().reserve(1 << 32);
        let file = options.create(dir.file("some.pgs")).unwrap();
        let posts = file.heap("posts").unwrap();
        let tags = file.heap_with("tags", HeapOptions::new().checksums(true)).unwrap();
        let mut writer = file.writer();
        let mut ids: Vec<BlockId> = [&b"hello \x1b[m world"[..], &[0xab; 300], b""]
            .iter()
            .map(|bytes| posts.allocate_from(&mut writer, bytes).unwrap())
            .collect();
        posts.set_flags(&mut writer, ids[1], 0xbeef).unwrap();
        ids.push(tags.allocate_from(&mut writer, b"summed").unwrap());
        writer.set_root("front page", ids[0]).unwrap();
        writer.commit().unwrap();
        drop(writer);
        Self { path: folder.path().join("some.pgs"), folder, ids, open: Some(file) }
    }

    fn closed() -> Self {
        let mut regions = Self::new();
        regions.open.take().unwrap().close().unwrap();
        regions
    }

    #[track_caller]
    fn run(&self, command: &str, rest: &str) -> Ran {
        run(command, &self.path, rest)
    }

    fn bits(&self, nth: usize) -> u64 {
        self.ids[nth].to_bits()
    }

    /// Turns bits of the byte `offset` bytes behind the only place of `pattern`.
    fn damage(&self, pattern: &[u8], offset: usize) {
        let mut bytes = fs::read(&self.path).unwrap();
        let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(pattern));
        let [place] = places.collect::<Vec<_>>()[..] else { panic!("not one place") };
        bytes[place + offset] ^= 0x20;
        fs::write(&self.path, bytes).unwrap();
    }
}

#[test]
fn info_tells_what_a_region_file_is() {
    let regions = Regions::closed();
    let found = regions.run("info", "--json").code(0).json().remove(0);
    assert_eq!((&found["version"], &found["clean"]), (&json!(1), &json!(true)));
    assert_eq!(found["uuid"].as_str().unwrap().len(), 32);
    assert_eq!(found["bytes"], json!(fs::metadata(&regions.path).unwrap().len()));
    assert_eq!(found["region_size"], json!(32 << 20));
    let stores = json!([
        {"name": "posts", "kind": "heap", "blocks": 3},
        {"name": "tags", "kind": "heap", "blocks": 1},
    ]);
    assert_eq!(found["stores"], stores);
    assert_eq!(found["roots"], json!([{"name": "front page", "id": regions.bits(0)}]));
    let root = regions.ids[0].to_string();
    regions.run("info", "").code(0).shows(&["version 1", "closed", "yes", "posts", "3", &root]);
}

#[test]
fn a_file_that_was_not_closed_is_shown_as_committed() {
    let mut regions = Regions::new();
    // Also while a program writes it.
    let beside = regions.run("info", "--json").code(0).json().remove(0);
    regions.open.take();
    let found = regions.run("info", "--json").code(0).json().remove(0);
    assert_eq!((&found, &found["clean"]), (&beside, &json!(false)));
    assert_eq!(found["stores"][0]["blocks"], json!(3));
    regions.run("info", "").code(0).shows(&["no, the next open"]);
    regions.run("verify", "").code(0);
}

#[test]
fn stats_add_up() {
    let regions = Regions::closed();
    let found = regions.run("stats", "--json").code(0).json().remove(0);
    let bytes = |value: &serde_json::Value| value["bytes"].as_u64().unwrap();
    let kinds = found["regions"].as_array().unwrap();
    let taken: u64 = kinds.iter().map(bytes).sum();
    assert_eq!(taken + found["free_ranges"].as_u64().unwrap() + (64 << 10), bytes(&found));
    assert_eq!((&found["blocks"], &found["payload"]), (&json!(4), &json!(321)));
    assert_eq!(found["quarantined"], json!(0));
    // Payloads, headers of 24, and what classes of 16 round up; two names and a root beside them.
    let used = bytes(&kinds[2]) - 64 - found["free"].as_u64().unwrap();
    assert!((321 + 7 * 24..1024).contains(&used), "{used}");
    assert!(found["file_per_payload"].as_f64().unwrap() > 1.0);
    regions.run("stats", "").code(0).shows(&["slot tables", "file / payload", "free in regions"]);
}

#[test]
fn dump_lists_blocks_in_the_order_of_slots() {
    let regions = Regions::closed();
    let found = regions.run("dump", "posts --json").code(0).json();
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[1],
        json!({"id": regions.bits(1), "bytes": 300, "capacity": 312, "flags": 0xbeef,
               "hex": "ab".repeat(300)})
    );
    assert_eq!((&found[2]["bytes"], &found[2]["hex"]), (&json!(0), &json!("")));
    assert_eq!(regions.run("dump", "posts --json --limit 2").code(0).json(), found[..2]);
    let shown = regions.run("dump", "posts").code(0);
    let shown = shown.shows(&["0x0000beef", "hello .[m world", "......."]);
    assert!(!shown.out.contains('\u{1b}'));
    regions.run("dump", "posts --hex").code(0).shows(&["ab".repeat(300).as_str()]);
    let raw = program().arg("dump").arg(&regions.path).args(["posts", "--raw"]).output().unwrap();
    assert_eq!(raw.stdout, [&b"hello \x1b[m world"[..], &[0xab; 300]].concat());
    regions.run("dump", "absent").code(1).says(&["no store `absent`, but posts, tags"]);
    regions.run("dump", "posts --raw --hex").code(2);
    regions.run("dump", "posts --raw --json").code(2);
}

#[test]
fn get_shows_one_block() {
    let regions = Regions::closed();
    let (hex, decimal) = (regions.ids[0].to_string(), regions.bits(0).to_string());
    let shown = regions.run("get", &format!("posts {hex}")).code(0);
    shown.shows(&["00000000  68656c6c6f201b5b 6d20776f726c64", "hello .[m world", "0x00000000"]);
    let found = regions.run("get", &format!("posts {decimal} --json")).code(0).json();
    assert_eq!((&found[0]["id"], &found[0]["bytes"]), (&json!(regions.bits(0)), &json!(15)));
    let raw = regions.run("get", &format!("tags {} --raw", regions.bits(3))).code(0);
    assert_eq!(raw.out, "summed");
    regions.run("get", &format!("tags {decimal}")).code(1).says(&["no block", &hex]);
    regions.run("get", "posts 1.5").code(2);
    regions.run("get", &format!("posts {decimal} --raw --json")).code(2);
}

#[test]
fn verify_finds_damage() {
    let regions = Regions::closed();
    let found = regions.run("verify", "--json").code(0).json().remove(0);
    assert_eq!((&found["clean"], &found["problems"]), (&json!(true), &json!([])));
    // The names of two stores and a root have checksums too.
    assert_eq!((&found["blocks"], &found["checksums"]), (&json!(7), &json!(4)));
    regions.run("verify", "").code(0).shows(&["nothing wrong found"]);
    regions.damage(b"summed", 2);
    let ran = regions.run("verify", "--json").code(1).says(&["some.pgs: offset ", "checksum of"]);
    let found = ran.json().remove(0);
    assert_eq!((&found["clean"], &found["problem_count"]), (&json!(false), &json!(1)));
    assert!(found["problems"][0]["what"].as_str().unwrap().contains(&regions.ids[3].to_string()));
    regions.run("verify", "").code(1).shows(&["damaged"]);
}

#[test]
fn a_block_that_is_not_what_its_slot_says_is_a_finding() {
    let regions = Regions::closed();
    regions.damage(&regions.bits(2).to_le_bytes(), 3);
    for command in ["dump", "get"] {
        let rest = if command == "get" { regions.bits(2).to_string() } else { String::new() };
        regions.run(command, &format!("posts {rest}")).code(1).says(&["some.pgs: id in a block"]);
    }
    assert_eq!(regions.run("dump", "posts --json").code(1).json().len(), 2);
    regions.run("stats", "").code(1).says(&["some.pgs: id in a block"]);
}

#[test]
fn what_is_no_region_file_is_told_apart() {
    let regions = Regions::closed();
    let bytes = fs::read(&regions.path).unwrap();
    let path = |name: &str| regions.folder.path().join(name);
    fs::write(path("text"), "certainly no region file\n".repeat(9999)).unwrap();
    fs::write(path("empty"), b"").unwrap();
    fs::write(path("cut"), &bytes[..bytes.len() - 1]).unwrap();
    for (name, code) in [("text", 1), ("empty", 1), ("cut", 1), ("absent", 3), (".", 3)] {
        for command in ["info", "stats", "verify"] {
            let ran = run(command, &path(name), "").code(code).says(&["pagestone: "]);
            assert_eq!(ran.out, "", "{name}");
        }
    }
}

#[test]
fn nothing_is_written() {
    let regions = Regions::closed();
    let before = fs::read(&regions.path).unwrap();
    let names = || fs::read_dir(regions.folder.path()).unwrap().count();
    let count = names();
    for (command, rest) in [("info", ""), ("stats", ""), ("verify", ""), ("dump", "posts")] {
        regions.run(command, rest).code(0);
    }
    assert!(fs::read(&regions.path).unwrap() == before);
    assert_eq!(names(), count);
}

#[test]
fn compact_makes_a_file_short_or_a_short_copy_of_it() {
    let mut regions = Regions::new();
    let file = regions.open.take().unwrap();
    let posts = file.heap("posts").unwrap();
    let mut writer = file.writer();
    let many: Vec<BlockId> =
        (0..4000).map(|_| posts.allocate_from(&mut writer, &[7; 1000]).unwrap()).collect();
    posts.free_many(&mut writer, &many[400..]).unwrap();
    drop((writer, posts));
    file.close().unwrap();
    let before = fs::metadata(&regions.path).unwrap().len();
    let copy = regions.folder.path().join("copy.pgs");
    let rest = format!("--to {} --json", copy.display());
    let told = regions.run("compact", &rest).code(0).json().remove(0);
    assert_eq!((&told["bytes_before"], &told["to"]), (&json!(before), &json!(copy)));
    assert_eq!(told["bytes"], json!(fs::metadata(&copy).unwrap().len()));
    regions.run("compact", &rest).code(3).says(&["copy.pgs"]);
    assert_eq!(fs::metadata(&regions.path).unwrap().len(), before);
    regions.run("compact", "").code(0).shows(&["before", "after", "blocks moved"]);
    for path in [&regions.path, &copy] {
        let after = fs::metadata(path).unwrap().len();
        assert!(after * 3 < before * 2, "{after} of {before}: {path:?}");
        run("verify", path, "").code(0).shows(&["nothing wrong found"]);
        let shown = run("get", path, &format!("posts {}", regions.bits(0)));
        shown.code(0).shows(&["hello"]);
    }
    let again = regions.run("compact", "--json").code(0).json().remove(0);
    assert_eq!(again["blocks_moved"], json!(0));
    regions.run("compact", "--to").code(2);
}

#[test]
fn orphans_are_what_neither_roots_nor_a_list_reach() {
    let regions = Regions::closed();
    let ids = |found: Vec<serde_json::Value>| -> Vec<_> {
        found.iter().map(|orphan| orphan["id"].as_u64().unwrap()).collect()
    };
    let found = regions.run("orphans", "--json").code(0).json();
    assert_eq!(
        found[0],
        json!({"store": "posts", "id": regions.bits(1), "bytes": 300, "flags": 0xbeef})
    );
    assert_eq!(found[2]["store"], json!("tags"));
    assert_eq!(ids(found), [regions.bits(1), regions.bits(2), regions.bits(3)]);
    regions.run("orphans", "").code(0).shows(&["0x0000beef", "3 blocks of 306 bytes"]);
    let list = regions.folder.path().join("list");
    let text = format!("# mine\n{}\n\n {}  # hex\n", regions.bits(1), regions.ids[3]);
    fs::write(&list, text).unwrap();
    let with = |rest: &str| format!("--reachable {} {rest}", list.display());
    let found = regions.run("orphans", &with("--json")).code(0).json();
    assert_eq!(ids(found), [regions.bits(2)]);
    let absent = BlockId::from_bits(regions.bits(1) ^ 1);
    fs::write(&list, absent.to_bits().to_string()).unwrap();
    regions.run("orphans", &with("")).code(1).says(&["names no block", &absent.to_string()]);
    fs::write(&list, "1\nnone").unwrap();
    regions.run("orphans", &with("")).code(2).says(&["list:2"]);
    fs::remove_file(&list).unwrap();
    regions.run("orphans", &with("")).code(3).says(&["list"]);
}

#[test]
fn a_backup_shows_what_the_file_shows() {
    let mut regions = Regions::new();
    let to = regions.folder.path().join("copy.pgs");
    let rest = to.display().to_string();
    // Also beside the program that writes it.
    regions.run("backup", &rest).code(0).shows(&["backup", "copied"]);
    fs::remove_file(&to).unwrap();
    regions.open.take();
    let found = regions.run("backup", &format!("{rest} --json")).code(0).json().remove(0);
    assert_eq!(found["bytes"], json!(fs::metadata(&to).unwrap().len()));
    let (posts, verified) = (run("dump", &to, "posts --json"), run("verify", &to, ""));
    assert_eq!(posts.code(0).json(), regions.run("dump", "posts --json").code(0).json());
    verified.code(0);
    regions.run("backup", &rest).code(3).says(&["is there already"]);
    fs::remove_file(&to).unwrap();
    regions.run("backup", &rest).code(0).shows(&["backup", "copied"]);
    run("backup", &regions.folder.path().join("absent"), &rest).code(3).says(&["absent"]);
}
