//! Files of records, shown: info, head, get, search, range, export.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Records, folder, run};

const SORTED: &[(i64, u32)] = &[(-7, 1), (-7, 2), (0, 3), (5, 4), (1000, 5)];
const COLUMNS: &str = "--field i64le@0 --field u32le@8";
const KEY: &str = "--key i64le@0 --field u32le@8";

#[track_caller]
fn check(records: &Records, command: (&str, &str), expected: &[Value]) {
    let (command, rest) = command;
    for backing in ["file", "map", "windowed"] {
        let found = records.run(command, &format!("{rest} --json --backing {backing}"));
        assert_eq!(found.json(), expected, "{command} {rest} {found:#?}");
    }
}

#[test]
fn head_and_get_show_records_by_index() {
    let records = Records::new(SORTED);
    let row = |index: usize| {
        let (key, belongs) = SORTED[index];
        json!({"index": index, "i64le@0": key, "u32le@8": belongs})
    };
    check(&records, ("head", COLUMNS), &[0, 1, 2, 3, 4].map(row));
    check(&records, ("head", &format!("{COLUMNS} --from 3 --count 1")), &[row(3)]);
    check(&records, ("head", &format!("{COLUMNS} --from 9")), &[]);
    check(&records, ("get", &format!("{COLUMNS} 4 0 4")), &[4, 0, 4].map(row));
    records.run("get", "1 5 2").code(1).says(&["some.rec", "record 5 of 5"]);
    let hex = json!({"index": 2, "hex": "000000000000000003000000"});
    check(&records, ("get", "2"), &[hex]);
    records.run("get", "2").code(0).shows(&["index", "hex", "0000000000000000 03000000"]);
    records.run("head", COLUMNS).code(0).shows(&["1,000", "i64le@0", "-----", " ms]"]);
}

#[test]
fn columns_of_every_kind_are_shown() {
    let folder = folder();
    let path = folder.path().join("kinds.rec");
    let mut bytes = Vec::new();
    bytes.extend([0xff; 15]);
    bytes.push(0xfe);
    bytes.extend(0.1f32.to_le_bytes());
    bytes.extend(f64::NAN.to_le_bytes());
    bytes.extend(b"\x1b[m");
    bytes.push(0x80);
    fs::write(&path, bytes).unwrap();
    let rest = "--record 32 --field u128be@0 --field f32le@16 --field f64le@20 \
                --field bytes3@28 --field i8@31 --json";
    let ran = run("records head", &path, rest).code(0);
    let number = u128::MAX - 1;
    assert_eq!(
        ran.out,
        format!(
            "{{\"index\":0,\"u128be@0\":{number},\"f32le@16\":0.1,\"f64le@20\":\"NaN\",\
             \"bytes3@28\":\"1b5b6d\",\"i8@31\":-128}}\n"
        )
    );
}

#[test]
fn search_finds_values_and_their_neighbours() {
    let records = Records::new(SORTED);
    let row = |value: i64, index: usize| {
        let (key, belongs) = SORTED[index];
        json!({"value": value, "index": index, "exact": key == value, "u32le@8": belongs})
    };
    let absent =
        |value: i64| json!({"value": value, "index": null, "exact": false, "u32le@8": null});
    check(&records, ("search", &format!("{KEY} -7 0x5 0")), &[row(-7, 0), row(5, 3), row(0, 2)]);
    check(&records, ("search", &format!("{KEY} 5 6")), &[row(5, 3), absent(6)]);
    check(&records, ("search", &format!("{KEY} --bias before 6 -8")), &[row(6, 3), absent(-8)]);
    check(&records, ("search", &format!("{KEY} --bias after 6 -8")), &[row(6, 4), row(-8, 0)]);
    check(&records, ("search", &format!("{KEY} --bias nearest 6 999")), &[row(6, 3), row(999, 4)]);
    records.run("search", &format!("{KEY} 5 -7")).code(0);
    records
        .run("search", &format!("{KEY} 5 -8"))
        .code(1)
        .says(&["i64le@0 = -8", "if the file is sorted by it"]);
    records.run("search", &format!("{KEY} 1.5")).code(2).says(&["`1.5`", "an integer"]);
    records.run("search", "--key i64le@5 1").code(2).says(&["i64le@5", "12 bytes"]);
}

#[test]
fn search_finds_floats_and_bytes() {
    let folder = folder();
    let path = folder.path().join("floats.rec");
    let bytes: Vec<u8> =
        [-1.5f32, 0.1, 7.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    fs::write(&path, bytes).unwrap();
    let found = run("records search", &path, "--record 4 --key f32le@0 --json 0.1 -1.5").code(0);
    assert_eq!(found.json()[0]["index"], 1);
    assert_eq!(found.json()[1]["index"], 0);
    fs::write(&path, b"aabbcc").unwrap();
    let found = run("records search", &path, "--record 2 --key bytes2@0 --json 6262").code(0);
    assert_eq!(found.json()[0]["index"], 1);
}

#[test]
fn range_shows_what_lies_in_it() {
    let records = Records::new(SORTED);
    let rows = |indexes: &[usize]| -> Vec<Value> {
        let row = |&index: &usize| json!({"index": index, "u32le@8": SORTED[index].1});
        indexes.iter().map(row).collect()
    };
    for (range, expected) in [
        ("-7..5", &[0, 1, 2][..]),
        ("-7..=5", &[0, 1, 2, 3]),
        ("..0", &[0, 1]),
        ("1..", &[3, 4]),
        ("..", &[0, 1, 2, 3, 4]),
        ("..=-7", &[0, 1]),
        ("6..7", &[]),
        ("5..-7", &[]),
    ] {
        check(&records, ("range", &format!("{KEY} {range}")), &rows(expected));
    }
    records.run("range", &format!("{KEY} 7")).code(2).says(&["`7` is no range"]);
}

#[test]
fn export_writes_csv_and_json() {
    let records = Records::new(&SORTED[..2]);
    let csv = records.run("export", COLUMNS).code(0);
    assert_eq!(csv.out, "i64le@0,u32le@8\n-7,1\n-7,2\n");
    let json = records.run("export", &format!("{COLUMNS} --format json")).code(0);
    assert_eq!(json.out, "{\"i64le@0\":-7,\"u32le@8\":1}\n{\"i64le@0\":-7,\"u32le@8\":2}\n");
    assert_eq!(records.run("export", &format!("{COLUMNS} --json")).out, json.out);
    let hex = records.run("export", "").code(0);
    assert_eq!(hex.out.lines().next_back(), Some("f9ffffffffffffff02000000"));
    assert_eq!(Records::new(&[]).run("export", COLUMNS).out, "i64le@0,u32le@8\n");
}

#[test]
fn info_tells_what_the_file_is() {
    let records = Records::new(SORTED);
    let found = records.run("info", "--json").code(0).json().remove(0);
    assert_eq!((&found["records"], &found["bytes"]), (&json!(5), &json!(60)));
    assert_eq!(found["sidecar"], json!({"status": "absent"}));
    let size = "--record 11 --json";
    let found = run("records info", &records.path, size).code(1).says(&["offset 55"]);
    assert_eq!(found.json()[0]["partial_tail"], 5);
    run("records info", &records.folder.path().join("absent"), "--record 8").code(3);
    run("records info", records.folder.path(), "--record 8").code(3);
}

#[test]
fn more_rows_than_fit_a_part_of_the_table_are_shown() {
    let many: Vec<(i64, u32)> = (0..2500).map(|key| (key * 1_000_000, 7)).collect();
    let ran = Records::new(&many).run("head", "--count 9999 --field i64le@0").code(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2 + 2500 + 1);
    assert!(lines[2501].ends_with(" 2,499,000,000"), "{}", lines[2501]);
    assert!(lines.iter().all(|line| !line.contains('\u{1b}') && line.is_ascii()));
}
