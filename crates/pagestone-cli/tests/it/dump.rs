//! The recorded dump, built and asked: the answers are those of its truth files.

use std::{fs, path::PathBuf};

use pagestone_testkit::testdata;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{folder, run};

struct Built {
    _folder: TempDir,
    index: PathBuf,
}

impl Built {
    fn new() -> Self {
        let folder = folder();
        let index = folder.path().join("index");
        let rest = format!("--out {}", index.display());
        let dump = testdata("mvn_version.hprof.gz");
        run("heapdump build", &dump, &rest).code(0).shows(&["33,695 objects"]);
        Self { _folder: folder, index }
    }
}

fn truth() -> Value {
    serde_json::from_slice(&fs::read(testdata("mvn_version.truth.json")).unwrap()).unwrap()
}

/// The lines of the histogram's truth file: class, class id, count, bytes.
fn histogram() -> Vec<(String, u64, u64, u64)> {
    let text = fs::read_to_string(testdata("mvn_version.histo.tsv")).unwrap();
    let lines = text.lines().skip(1).map(|line| {
        let [class, id, count, bytes] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let number = |text: &str| text.parse().unwrap();
        (class.to_owned(), number(id), number(count), number(bytes))
    });
    lines.collect()
}

#[test]
fn top_is_the_histogram_of_the_truth() {
    let built = Built::new();
    for (by, key) in [("count", 2), ("bytes", 3)] {
        let ran = run("heapdump top", &built.index, &format!("--by {by} --limit 0 --json")).code(0);
        let mut expected = histogram();
        expected.sort_by_key(|(class, id, count, bytes)| {
            (u64::MAX - if key == 2 { count } else { bytes }, class.clone(), *id)
        });
        let expected: Vec<Value> = expected
            .iter()
            .map(|(class, _, count, bytes)| json!({"class": class, "count": count, "bytes": bytes}))
            .collect();
        assert_eq!(ran.json(), expected, "by {by}");
        let line = "{\"class\":\"java.lang.String\",\"count\":5482,\"bytes\":76748}";
        assert!(ran.out.lines().any(|found| found == line), "by {by}");
    }
    let people = run("heapdump top", &built.index, "--limit 3 --by bytes").code(0);
    assert_eq!(people.out.lines().count(), 6, "{}", people.out);
    assert!(people.out.is_ascii());
    people.shows(&["byte[]", "5,657", "921,720", " ms]"]);
}

#[test]
fn objects_are_those_of_the_truth() {
    let (built, truth) = (Built::new(), truth());
    let samples = truth["samples"].as_array().unwrap();
    for (index, sample) in samples.iter().enumerate() {
        let id = sample["id"].as_u64().unwrap();
        let id = if index % 2 == 0 { format!("{id:#x}") } else { id.to_string() };
        let found = run("heapdump obj", &built.index, &format!("{id} --json")).code(0).json();
        let [found] = &found[..] else { panic!("{found:?}") };
        for (key, expected) in [
            ("id", "id"),
            ("kind", "kind"),
            ("class", "cls"),
            ("bytes", "payload"),
            ("value_offset", "value_offset"),
        ] {
            assert_eq!(found[key], sample[expected], "{id}: {key}");
        }
    }
    run("heapdump obj", &built.index, "0xfaba7830")
        .code(0)
        .shows(&["java.util.zip.ZipFile$Source @ 0xfaba7830", "101 bytes"]);
    run("heapdump obj", &built.index, "0x1").code(1).says(&["no object 0x1"]);
    run("heapdump obj", &built.index, "0xzz").code(2);
}

#[test]
fn references_and_retained_sizes_are_those_of_the_truth() {
    let (built, truth) = (Built::new(), truth());
    for sample in truth["samples"].as_array().unwrap().iter().step_by(3) {
        let id = sample["id"].as_u64().unwrap();
        for (command, key) in [("in", "inbound"), ("out", "outbound")] {
            let rest = format!("{id} --limit 20 --json");
            let found = run(&format!("heapdump {command}"), &built.index, &rest).code(0).json();
            let found: Vec<Value> = found.iter().map(|object| object["id"].clone()).collect();
            assert_eq!(json!(found), sample[key]["ids"], "{id}: {key}");
        }
        let found = run("heapdump retained", &built.index, &format!("{id} --json")).code(0).json();
        if sample["depth"] == -1 {
            assert_eq!(found[0]["distance"], Value::Null, "{id}");
            run("heapdump path", &built.index, &id.to_string()).code(1).says(&["no root leads"]);
            continue;
        }
        assert_eq!(found[0]["distance"], sample["depth"], "{id}");
        assert_eq!(found[0]["retained_bytes"], sample["retained_payload"], "{id}");
        let path = run("heapdump path", &built.index, &format!("{id} --json")).code(0).json();
        let steps = u64::try_from(path.len()).unwrap() - 1;
        assert_eq!(Some(steps), sample["depth"].as_u64(), "{id}");
        assert_eq!(path[path.len() - 1]["id"], id);
    }
    let rest = "--by retained --limit 40 --json";
    let top = run("heapdump top", &built.index, rest).code(0).json();
    for (found, expected) in top.iter().zip(truth["dominators"]["top"].as_array().unwrap()) {
        assert_eq!(found["object"], expected["id"]);
        assert_eq!(found["bytes"], expected["retained_payload"]);
        assert_eq!(found["objects"], expected["retained_objects"]);
    }
    run("heapdump obj", &built.index, "0xfaba7830").code(0).shows(&[
        "239,167 bytes in 4 objects",
        "cen",
        "byte[]",
        "5 steps from a root",
    ]);
    run("heapdump path", &built.index, "0xfaba7830 --skip-weak").code(0).shows(&["root: "]);
    run("heapdump in", &built.index, "0x1").code(1).says(&["no object 0x1"]);
    run("heapdump class", &built.index, "java.lang.Number --subclasses --instances 5")
        .code(0)
        .shows(&["java.lang.Integer", "java.lang.Long"]);
}

#[test]
fn verify_names_the_file_that_is_damaged() {
    let built = Built::new();
    run("heapdump verify", &built.index, "").code(0).shows(&["are whole"]);
    let path = built.index.join("inbound.lists");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1000] ^= 4;
    fs::write(&path, bytes).unwrap();
    run("heapdump verify", &built.index, "").code(1).says(&["inbound.lists", "checksum"]);
}

#[test]
fn classes_are_those_of_the_truth() {
    let built = Built::new();
    for (class, id, count, bytes) in histogram().into_iter().step_by(40) {
        let found = run("heapdump class", &built.index, &format!("{class} --json")).code(0).json();
        let found = found.iter().find(|found| found["id"] == id).unwrap();
        assert_eq!(
            (&found["class"], &found["count"], &found["bytes"]),
            (&json!(class), &json!(count), &json!(bytes))
        );
    }
    run("heapdump class", &built.index, "java.lang.Integer").code(0).shows(&[
        "java.lang.Integer @ 0x",
        "java.lang.Number @ 0x",
        "loader",
        "boot",
    ]);
    run("heapdump class", &built.index, "string")
        .code(1)
        .says(&["no class `string`, but java.lang.String"]);
}

#[test]
fn info_is_that_of_the_truth() {
    let (built, truth) = (Built::new(), truth());
    let found = run("heapdump info", &built.index, "--json").code(0).json().remove(0);
    let summary = &found["summary"];
    for (key, expected) in [
        ("dump_len", "size"),
        ("id_size", "id_size"),
        ("symbol_count", "utf8"),
        ("class_count", "class_dumps"),
        ("object_count", "objects"),
        ("instance_count", "instances"),
        ("format", "format"),
        ("timestamp_ms", "timestamp_ms"),
    ] {
        assert_eq!(summary[key], truth[expected], "{key}");
    }
    assert_eq!(found["complete"], true);
    run("heapdump info", &built.index, "").code(0).shows(&[
        "JAVA PROFILE 1.0.2",
        "2026-11-20 22:02:56 UTC",
        "33,695",
        "objects.packed",
    ]);
}

#[test]
fn a_build_says_what_it_made() {
    let folder = folder();
    let dump = folder.path().join("app.hprof.gz");
    fs::copy(testdata("mvn_version.hprof.gz"), &dump).unwrap();
    let built = run("heapdump build", &dump, "--json").code(0).json().remove(0);
    assert_eq!(built["complete"], true);
    assert_eq!(built["biggest"].as_array().unwrap().len(), 10);
    assert_eq!(built["biggest"][0], json!({"class": "byte[]", "count": 5657, "bytes": 921_720}));
    let index = folder.path().join("app.index");
    assert_eq!(built["index"], index.to_str().unwrap());
    assert!(index.join("manifest").is_file());

    run("heapdump build", &dump, "").code(3).says(&["app.index", "--replace"]);
    let people = run("heapdump build", &dump, "--replace").code(0);
    people.shows(&["objects.packed", "rows", "bytes", "byte[]", "921,720", " ms"]);
}

#[test]
fn strings_are_those_of_the_truth() {
    let built = Built::new();
    let truth = truth();
    let top = &truth["strings"]["top"][0];
    let ran = run("heapdump strings", &built.index, "--dup --limit 1 --json").code(0);
    let found = &ran.json()[0];
    assert_eq!((&found["value"], &found["count"]), (&top["value"], &top["count"]));
    let shown = run("heapdump strings", &built.index, "--dup --limit 1").code(0);
    shown.shows(&["BOOLEAN", "5,482 strings have 4,567 values"]);
    let ran = run("heapdump strings", &built.index, "--value BOOLEAN --limit 0 --json").code(0);
    assert_eq!(ran.json().len() as u64, top["count"].as_u64().unwrap());
    run("heapdump strings", &built.index, "--value nothing").code(1).says(&["no string"]);
}

#[test]
fn instances_are_found_by_their_fields() {
    let built = Built::new();
    let find = |filter: &str| {
        let mut command = crate::support::program();
        command.args(["heapdump", "find", "--json"]).arg(&built.index).arg(filter);
        crate::support::Ran::from(command.output().unwrap())
    };
    let all = find("java.util.HashMap").code(0).json();
    let some = find("java.util.HashMap where size > 100 and table != null").code(0).json();
    let none = find("java.util.HashMap where size > 100 and table = null").code(0).json();
    assert_eq!(all[0]["count"], 414);
    assert_eq!([&some[0]["count"], &none[0]["count"]], [1, 0]);
    find("java.util.HashMap where sice > 1").code(2).says(&["column 25", "no field \"sice\""]);
    find("java.util.HashMap where size >").code(2).says(&["column 31", "found the end"]);
}

#[test]
fn a_dump_does_not_differ_from_itself() {
    let built = Built::new();
    let index = built.index.display().to_string();
    for by in ["class", "string"] {
        let ran = run("heapdump diff", &built.index, &format!("{index} --by {by} --json")).code(0);
        assert_eq!(ran.json(), Vec::<Value>::new(), "{by}");
    }
}

#[test]
fn notes_are_listed() {
    let built = Built::new();
    run("heapdump note list", &built.index, "--json").code(0);
    run("heapdump note add", &built.index, "leak --object 0x10").code(0);
    let notes = run("heapdump note list", &built.index, "--json").code(0).json();
    assert_eq!((&notes[0]["text"], &notes[0]["object"]), (&json!("leak"), &json!(16)));
    run("heapdump note list", &built.index, "").code(0).shows(&["leak", "0x10"]);
    run("heapdump info", &built.index, "").code(0);
}
