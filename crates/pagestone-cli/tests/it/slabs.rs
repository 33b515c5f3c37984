//! Slabs and numbers in region files: info, stats, verify, dump, get, orphans, copies.
#![expect(unsafe_code, reason = "the one promise that a test makes for its own directory")]

use std::{fs, path::PathBuf};

use pagestone_heap::{BlockId, RegionFile, SlabShape};
use pagestone_slab::{SlabFile, SlotId, Symbol};
use pagestone_storage::TrustedDir;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Ran, folder, program, run};

/// A closed region file with objects, strings that are counted, plain slots and numbers.
struct Stores {
    folder: TempDir,
    path: PathBuf,
    /// Of 5 bytes with an escape, of 5, of 300 and of 70,000.
    objects: Vec<SlotId>,
    /// `lang=rust`, held twice, and the empty string.
    symbols: Vec<Symbol>,
    slot: SlotId,
}

impl Stores {
    fn new() -> Self {
        let folder = folder();
        // SAFETY: only this test writes in its temporary directory, through this library or while
        // nothing is open.
        let dir = unsafe { TrustedDir::assert(folder.path()) };
        let options = RegionFile::options().reserve(1 << 32);
        let file = options.create(dir.file("some.pgs")).unwrap();
        let store = file.objects("objects").unwrap();
        let tags = file.counted_interner("tags").unwrap();
        let (plain, numbers) = (file.slabs("plain").unwrap(), file.counts("numbers").unwrap());
        let mut writer = file.writer();
        let mut objects: Vec<SlotId> = [&b"a \x1b[m"[..], b"fifth", &[0xab; 300], &vec![7; 70_000]]
            .iter()
            .map(|object| store.add(&mut writer, object).unwrap())
            .collect();
        let removed = store.add(&mut writer, b"gone!").unwrap();
        store.remove(&mut writer, removed).unwrap();
        let symbols = [&b"lang=rust"[..], b"", b"lang=rust"];
        let symbols = symbols.map(|string| tags.intern(&mut writer, string).unwrap());
        tags.save(&mut writer).unwrap();
        let shape = SlabShape { object_len: 3, slots: 70, generations: true, mark: 99 };
        let slab = plain.create(&mut writer, shape).unwrap();
        let slot = plain.add(&mut writer, slab, b"abc").unwrap().unwrap();
        for (index, number) in [(5, 17), (9000, 18), (6, 0)] {
            numbers.set(&mut writer, index, number).unwrap();
        }
        writer.set_root("first", BlockId::from_bits(objects[0].to_bits())).unwrap();
        drop((writer, store, tags, plain, numbers));
        file.close().unwrap();
        objects.truncate(4);
        let path = folder.path().join("some.pgs");
        Self { path, folder, objects, symbols: symbols[..2].to_vec(), slot }
    }

    #[track_caller]
    fn run(&self, command: &str, rest: &str) -> Ran {
        run(command, &self.path, rest)
    }

    /// Where the only place of a pattern is.
    fn place(&self, pattern: &[u8]) -> usize {
        let bytes = fs::read(&self.path).unwrap();
        let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(pattern));
        let [place] = places.collect::<Vec<_>>()[..] else { panic!("not one place") };
        place
    }

    fn change(&self, at: usize, change: impl FnOnce(u8) -> u8) {
        let mut bytes = fs::read(&self.path).unwrap();
        bytes[at] = change(bytes[at]);
        fs::write(&self.path, bytes).unwrap();
    }
}

fn bits(ids: &[SlotId]) -> Vec<u64> {
    ids.iter().map(|id| id.to_bits()).collect()
}

#[test]
fn info_tells_what_each_store_keeps() {
    let stores = Stores::new();
    let found = stores.run("info", "--json").code(0).json().remove(0);
    let expected = json!([
        {"name": "numbers", "kind": "numbers", "numbers": 3},
        {"name": "objects", "kind": "slabs", "slabs": 3},
        {"name": "objects.spilled", "kind": "heap", "blocks": 1},
        {"name": "plain", "kind": "slabs", "slabs": 1},
        {"name": "tags", "kind": "slabs", "slabs": 2},
        {"name": "tags.spilled", "kind": "heap", "blocks": 1},
        {"name": "tags.uses", "kind": "numbers", "numbers": 2},
    ]);
    assert_eq!(found["stores"], expected);
    stores.run("info", "").code(0).shows(&["slabs", "numbers", "count"]);
}

#[test]
fn stats_count_pool_by_pool() {
    let stores = Stores::new();
    let found = stores.run("stats", "--json").code(0).json().remove(0);
    let [objects, plain, tags] = found["slabs"].as_array().unwrap().as_slice() else {
        panic!("{found}")
    };
    let kinds = [objects, plain, tags].map(|store| store["kind"].as_str().unwrap());
    assert_eq!(kinds, ["objects", "slots", "strings"]);
    let lens = |store: &Value| -> Vec<Value> {
        let pools = store["pools"].as_array().unwrap();
        pools
            .iter()
            .map(|pool| json!([pool["object_len"], pool["live"], pool["payload"]]))
            .collect()
    };
    assert_eq!(lens(objects), [json!([5, 2, 10]), json!([320, 1, 300]), json!([null, 1, 70_000])]);
    assert_eq!(lens(plain), [json!([3, 1, 3])]);
    assert_eq!(lens(tags), [json!([0, 1, 0]), json!([9, 1, 9])]);
    assert_eq!(plain["vacant"], json!(69));
    for store in [objects, plain, tags] {
        for part in ["slabs", "live", "vacant", "mapped", "payload", "overhead"] {
            let pools = store["pools"].as_array().unwrap();
            let sum: u64 = pools.iter().map(|pool| pool[part].as_u64().unwrap()).sum();
            assert_eq!(store[part], json!(sum), "{part} of {store}");
            let longest = pools.iter().find(|pool| pool["object_len"].is_null());
            assert!(longest.is_none_or(|pool| pool["overhead"] == pool["mapped"]));
        }
    }
    let symbols = tags["live"].as_u64().unwrap() + tags["vacant"].as_u64().unwrap();
    assert_eq!((&tags["symbols"], &tags["table_saved"]), (&json!(symbols), &json!(true)));
    assert!(objects.get("symbols").is_none());
    let mapped: u64 = [objects, plain, tags].iter().map(|s| s["mapped"].as_u64().unwrap()).sum();
    assert_eq!(found["regions"][5], json!({"kind": "slabs", "count": 6, "bytes": mapped}));
    let numbers = json!([{"name": "numbers", "numbers": 2}, {"name": "tags.uses", "numbers": 2}]);
    assert_eq!((&found["numbers"], &found["objects"]), (&numbers, &json!(7)));
    // An object in a block is one time there: block, image of the table, objects, strings, slot.
    let table = 32 + 8 * 8;
    assert_eq!(found["payload"], json!(70_000 + table + 310 + 9 + 3));
    stores.run("stats", "").code(0).shows(&["slabs of", "in blocks", "overhead", "not 0", "tags"]);
}

#[test]
fn dump_and_get_show_objects() {
    let stores = Stores::new();
    let found = stores.run("dump", "objects --json").code(0).json();
    let ids: Vec<u64> = found.iter().map(|object| object["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, bits(&stores.objects));
    assert_eq!(found[2], json!({"id": ids[2], "bytes": 300, "hex": "ab".repeat(300)}));
    assert_eq!(found[3]["bytes"], json!(70_000));
    assert_eq!(stores.run("dump", "objects --json --limit 2").code(0).json(), found[..2]);
    let shown = stores.run("dump", "objects").code(0).shows(&["a .[m", "fifth", "payload"]);
    assert!(!shown.out.contains('\u{1b}'));
    stores.run("dump", "objects --hex").code(0).shows(&["ab".repeat(300).as_str()]);
    let rest = ["objects", "--raw", "--limit", "2"];
    let raw = program().arg("dump").arg(&stores.path).args(rest).output().unwrap();
    assert_eq!(raw.stdout, b"a \x1b[mfifth");
    for (id, found) in ids.iter().zip(&found) {
        let one = stores.run("get", &format!("objects {id:#x} --json")).code(0).json();
        assert_eq!(one[0], *found);
    }
    let shown = stores.run("get", &format!("objects {}", ids[1])).code(0);
    shown.shows(&["00000000  6669667468", "fifth", &format!("{:#018x}", ids[1])]);
    stores.run("get", &format!("objects {}", ids[1] ^ 1)).code(1).says(&["some.pgs"]);
    stores.run("get", "objects 0 --raw").code(1);
    let slot = stores.slot.to_bits();
    let plain = stores.run("dump", "plain --json").code(0).json();
    assert_eq!(plain, [json!({"id": slot, "bytes": 3, "hex": "616263"})]);
    assert_eq!(stores.run("get", &format!("plain {slot} --raw")).code(0).out, "abc");
}

#[test]
fn dump_and_get_show_strings_and_numbers() {
    let stores = Stores::new();
    let [rust, empty] = stores.symbols[..] else { panic!() };
    let [rust, empty] = [rust, empty].map(Symbol::to_bits);
    let found = stores.run("dump", "tags --json").code(0).json();
    let expected = [
        json!({"symbol": rust, "bytes": 9, "uses": 2, "hex": "6c616e673d72757374"}),
        json!({"symbol": empty, "bytes": 0, "uses": 1, "hex": ""}),
    ];
    assert_eq!(found, expected);
    stores.run("dump", "tags").code(0).shows(&["symbol", "uses", "lang=rust"]);
    let one = stores.run("get", &format!("tags {rust} --json")).code(0).json();
    assert_eq!(one, expected[..1]);
    assert_eq!(stores.run("get", &format!("tags {rust} --raw")).code(0).out, "lang=rust");
    stores.run("get", &format!("tags {rust}")).code(0).shows(&["symbol", "uses    2", "lang=rust"]);
    stores
        .run("get", &format!("tags {}", rust + 1))
        .code(1)
        .says(&["no object in that slot", "some"]);
    for no_symbol in ["0", "4294967296"] {
        stores.run("get", &format!("tags {no_symbol}")).code(2).says(&["no symbol"]);
    }

    let found = stores.run("dump", "numbers --json").code(0).json();
    assert_eq!(found, [json!({"index": 5, "number": 17}), json!({"index": 9000, "number": 18})]);
    stores.run("dump", "numbers --limit 1").code(0).shows(&["index", "17"]);
    stores.run("dump", "numbers --raw").code(2).says(&["no bytes"]);
    let found = stores.run("get", "numbers 9000 --json").code(0).json();
    assert_eq!(found, [json!({"index": 9000, "number": 18})]);
    stores.run("get", "numbers 9000").code(0).shows(&["9,000", "18"]);
    stores.run("get", "numbers 6").code(1).says(&["some.pgs", "index 6"]);
    stores.run("get", "numbers 4294967296").code(2);
    stores.run("dump", "absent").code(1).says(&["no store `absent`, but numbers, objects"]);
}

#[test]
fn verify_names_a_damaged_slab() {
    let stores = Stores::new();
    stores.run("verify", "").code(0).shows(&["nothing wrong found"]);
    // The mark in a slab's header, which the checksum is of; and a bit behind the last slot.
    let object = stores.place(b"fifth");
    let header = object - 5 - 2 * 128 - 1024 - 64;
    for (at, what) in [(header + 24, "checksum of slab "), (header + 64 + 127, "has no slot")] {
        stores.change(at, |byte| byte ^ 0x80);
        let ran = stores.run("verify", "--json").code(1).says(&["some.pgs: offset "]);
        let found = ran.json().remove(0);
        assert_eq!(
            (&found["clean"], &found["problem_count"]),
            (&json!(false), &json!(1)),
            "{what}"
        );
        let told = found["problems"][0]["what"].as_str().unwrap();
        assert!(told.contains(what), "{told}");
        stores.change(at, |byte| byte ^ 0x80);
    }
    stores.run("verify", "").code(0);
}

#[test]
fn a_slab_that_makes_no_sense_is_a_finding() {
    let stores = Stores::new();
    let header = stores.place(b"fifth") - 5 - 2 * 128 - 1024 - 64;
    // The class says another length.
    stores.change(header + 24, |byte| byte ^ 2);
    let ran = stores.run("stats", "--json").code(1).says(&["some.pgs: offset ", "marked 0x7"]);
    assert_eq!(ran.json()[0]["slabs"].as_array().unwrap().len(), 2);
    stores.change(header + 24, |byte| byte ^ 2);
    // An object says that it is longer than its slot.
    let long = stores.place(&[0xab; 300]);
    stores.change(long - 1, |_| 9);
    let ran = stores.run("dump", "objects --json").code(1).says(&["some.pgs: "]);
    assert_eq!(ran.json().len(), 3);
    let id = stores.objects[2].to_bits();
    stores.run("get", &format!("objects {id}")).code(1).says(&["longer"]);
    stores.run("stats", "").code(1).says(&["longer"]);
}

#[test]
fn blocks_of_long_objects_are_no_orphans() {
    let stores = Stores::new();
    assert_eq!(stores.run("orphans", "--json").code(0).json().len(), 0);
}

#[test]
fn copies_hold_the_same() {
    let stores = Stores::new();
    let show = |path: &PathBuf| {
        ["objects", "tags", "plain", "numbers", "tags.uses"]
            .map(|store| run("dump", path, &format!("{store} --json")).code(0).out)
    };
    let before = show(&stores.path);
    for (command, rest, name) in [("compact", "--to ", "dense"), ("backup", "", "backup")] {
        let to = stores.folder.path().join(name);
        stores.run(command, &format!("{rest}{}", to.display())).code(0);
        run("verify", &to, "").code(0);
        assert_eq!(show(&to), before, "{command}");
    }
    stores.run("compact", "").code(0);
    assert_eq!(show(&stores.path), before);
}
