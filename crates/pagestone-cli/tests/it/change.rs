//! Files of records, changed: sort, append, sidecar, and verify afterwards.

use std::{fs, process::Stdio, thread};

use serde_json::json;

use crate::support::{Records, feed, folder, program, record, run};

fn shuffled(count: u32) -> Vec<(i64, u32)> {
    let key = |index: u32| i64::from(index.wrapping_mul(2_654_435_761) % 1000) - 500;
    (0..count).map(|index| (key(index), index)).collect()
}

#[track_caller]
fn check_sort(rest: &str) {
    let mut expected = shuffled(20_000);
    let records = Records::new(&expected);
    let ran = records.run("sort", &format!("--key i64le@0 --key u32le@8 --json {rest}")).code(0);
    expected.sort_unstable();
    assert!(records.read() == expected, "{rest}");
    let told = ran.json().remove(0);
    assert_eq!(told["records"], 20_000);
    assert_eq!(told["sorted_by"], json!(["i64le@0", "u32le@8"]));
}

#[test]
fn sort_sorts_in_every_way() {
    for rest in [
        "",
        "--in-place",
        "--memory 1M --threads 2",
        "--backing map",
        "--backing map --in-place",
        "--backing windowed --threads 1",
    ] {
        check_sort(rest);
    }
}

#[test]
fn a_stable_sort_keeps_the_order_of_equals() {
    let mut expected = shuffled(5000);
    let records = Records::new(&expected);
    records
        .run("sort", "--key i64le@0 --stable")
        .code(0)
        .shows(&["5,000 records sorted by i64le@0"]);
    expected.sort_by_key(|&(key, _)| key);
    assert!(records.read() == expected);
}

#[test]
fn what_a_sort_knows_is_remembered_on_request() {
    let records = Records::new(&shuffled(5000));
    records.run("sort", "--key i64le@0 --checksums --accelerate i64le@0").code(0);
    let info = records.run("info", "--json").code(0).json().remove(0);
    assert_eq!(info["sorted_by"], json!(["i64le@0"]));
    assert_eq!(info["sidecar"]["accelerated"], "i64le@0");
    let ran = records.run("search", "--key i64le@0 12345 --json").code(1);
    assert!(!ran.err.contains("if the file is sorted"), "{}", ran.err);
    assert_eq!(records.run("search", "--key i64le@0 -500 --json").code(0).json()[0]["index"], 0);
    records.run("verify", "").code(0).shows(&["nothing wrong found", "5,000 with checksums"]);
}

#[test]
fn verify_finds_what_was_changed() {
    let records = Records::new(&shuffled(20_000));
    records.run("verify", "").code(0);
    records.run("sidecar", "--checksums").code(0).shows(&["describes 20,000 records"]);
    let clean = records.run("verify", "--json").code(0).json().remove(0);
    assert_eq!((&clean["clean"], &clean["records_checked"]), (&json!(true), &json!(20_000)));

    let mut bytes = fs::read(&records.path).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&records.path, &bytes).unwrap();
    let found = records.run("verify", "--json").code(1).says(&["checksum", "at offset 65532"]);
    let found = found.json().remove(0);
    assert_eq!((&found["clean"], &found["damaged_count"]), (&json!(false), &json!(1)));
    assert_eq!(found["damaged"][0]["first_record"], 5461);

    bytes.push(0);
    fs::write(&records.path, &bytes).unwrap();
    records.run("verify", "").code(1).says(&["offset 240000"]).shows(&["damaged"]);
    records.run("info", "").code(1).says(&["offset 240000"]);
}

#[test]
fn append_takes_whole_records() {
    let records = Records::new(&[(1, 1)]);
    let args = (records.path.as_path(), "--record 12 --json");
    let told = feed("records append", args, &[record(2, 2), record(3, 3)].concat()).code(0);
    assert_eq!(told.json()[0]["appended"], 2);
    assert_eq!(told.json()[0]["records"], 3);
    let torn = [record(4, 4), vec![9; 5]].concat();
    feed("records append", args, &torn).code(1).says(&[
        "1 records appended",
        "standard input ends inside a record",
        "offset 12",
    ]);
    assert_eq!(records.read(), [(1, 1), (2, 2), (3, 3), (4, 4)]);

    let from = records.folder.path().join("torn");
    fs::write(&from, &torn).unwrap();
    let rest = format!("--from {}", from.display());
    records.run("append", &rest).code(1).says(&["torn ends inside a record", "offset 12"]);
    assert_eq!(records.read().len(), 4);
    let rest = format!("--from {}", records.path.display());
    records.run("append", &rest).code(0).shows(&["4 records appended, 8 in all"]);
    assert_eq!(records.read().len(), 8);
}

#[test]
fn append_creates_only_when_told() {
    let folder = folder();
    let path = folder.path().join("fresh.rec");
    let rest = "--record 12";
    feed("records append", (&path, rest), &record(1, 1)).code(3).says(&["fresh.rec"]);
    assert!(!path.exists());
    feed("records append", (&path, "--record 12 --create"), &record(1, 1)).code(0);
    assert_eq!(fs::read(&path).unwrap(), record(1, 1));
}

#[test]
fn a_partial_record_is_dropped_only_when_told() {
    let records = Records::new(&[(2, 0), (1, 0)]);
    let mut bytes = fs::read(&records.path).unwrap();
    bytes.extend([7; 3]);
    fs::write(&records.path, &bytes).unwrap();
    for command in ["sort --key i64le@0", "sort --in-place --key i64le@0", "append"] {
        records.run(command, "").code(1).says(&["3 bytes from offset 24", "--cut-tail"]);
        assert_eq!(fs::read(&records.path).unwrap(), bytes);
    }
    records.run("sort", "--key i64le@0 --cut-tail").code(0);
    assert_eq!(records.read(), [(1, 0), (2, 0)]);
    assert_eq!(fs::metadata(&records.path).unwrap().len(), 24);
}

#[test]
fn nobody_writes_beside_another_writer() {
    let records = Records::new(&[(1, 1)]);
    let lock = fs::File::create(records.folder.path().join("some.rec.lock")).unwrap();
    lock.lock().unwrap();
    records.run("sort", "--key i64le@0").code(3).says(&["another writer"]);
    records.run("head", "").code(0);
    drop(lock);
    records.run("sort", "--key i64le@0").code(0);
}

/// Kills an in-place sort after it has begun; whether it was still at work is not known.
fn kill_a_sort(records: &Records) {
    let mut child = program()
        .args(["records", "sort", "--in-place", "--record", "12", "--key", "i64le@0"])
        .arg(&records.path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mark = records.folder.path().join("some.rec.meta");
    while !mark.exists() && child.try_wait().unwrap().is_none() {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_sort_that_never_ended_is_a_finding() {
    let count = 200_000;
    let killed = (0..20).map(|_| Records::new(&shuffled(count))).find(|records| {
        kill_a_sort(records);
        records.folder.path().join("some.rec.meta").exists()
    });
    let records = killed.unwrap();
    for command in ["info", "verify", "head", "sort --key i64le@0", "sort --in-place --key i64le@0"]
    {
        records.run(command, "").code(1).says(&["never ended"]);
    }
    records.run("head", "--accept-interrupted-sort").code(0);
    records.run("sort", "--key i64le@0 --accept-interrupted-sort").code(0);
    records.run("info", "").code(0);
    assert!(records.read().is_sorted_by_key(|&(key, _)| key));
}

#[test]
fn arguments_that_mean_nothing_change_nothing() {
    let records = Records::new(&[(2, 0), (1, 0)]);
    records.run("sort", "--key u64le@8").code(2).says(&["u64le@8"]);
    records.run("sort", "--key i64le@0 --accelerate u64le@8").code(2);
    records.run("sidecar", "--accelerate u64le@8").code(2);
    run("records sort", &records.path, "--record 0 --key u8@0").code(2);
    run("records sort", &records.path, "--key u8@0").code(2).says(&["--record"]);
    assert_eq!(records.read(), [(2, 0), (1, 0)]);
    assert!(!records.folder.path().join("some.rec.meta").exists());
}
