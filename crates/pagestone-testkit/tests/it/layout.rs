//! Tables that fit a struct pass, others name the difference.

use pagestone_testkit::{LayoutField, check_layout};

const FIELDS: [LayoutField; 3] = [
    LayoutField { name: "magic", offset: 0, size: 4 },
    LayoutField { name: "length", offset: 4, size: 8 },
    LayoutField { name: "reserved", offset: 12, size: 12 },
];

const GOOD: &str = "\
# Format

### Other

Size: 1 bytes.

### Header

Size: 24 bytes.

Some words.

| offset | size | field | meaning |
|---|:---|---:|---|
| 0 | 4 | `magic` | `PGST` |
| 4 | 8 | length | bytes, a | b |
| 12 | 12 | `reserved` | zero |

| another | table |
|---|---|

### Next

| offset | size | field | meaning |
";

/// What the comparison reports after one replacement in the good table.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from));
    let report = check_layout(&GOOD.replace(from, to), "Header", &FIELDS);
    let report = report.err().unwrap_or_default();
    let lines: Vec<_> = report.lines().map(|line| line.strip_prefix("Header: ").unwrap()).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_table_that_fits() {
    check("words", "words", &[]);
    check("|---|:---|---:|---|\n", "", &[]);
}

#[test]
fn wrong_numbers() {
    check(
        "| 4 | 8 |",
        "| 5 | 8 |",
        &[
            "gap of 1 bytes before length",
            "reserved at 12 begins before 13, where the last row ends",
            "length: table offset 5, struct 4",
        ],
    );
    check(
        "| 4 | 8 |",
        "| 4 | 4 |",
        &["gap of 4 bytes before reserved", "length: table size 4, struct 8"],
    );
    check(
        "| 12 | 12 |",
        "| 12 | 8 |",
        &["rows end at 20, the stated size is 24", "reserved: table size 8, struct 12"],
    );
    check("24 bytes", "32 bytes", &["rows end at 24, the stated size is 32"]);
}

#[test]
fn missing_and_extra_rows() {
    check(
        "| 4 | 8 | length | bytes, a | b |\n",
        "",
        &["gap of 8 bytes before reserved", "length is in the struct, not in the table"],
    );
    check(
        "length",
        "len",
        &["len is in the table, not in the struct", "length is in the struct, not in the table"],
    );
    check(
        "`reserved`",
        "`magic`",
        &[
            "magic has two rows",
            "magic: table offset 12, struct 0",
            "magic: table size 12, struct 4",
            "reserved is in the struct, not in the table",
        ],
    );
}

#[test]
fn unreadable_tables() {
    check("### Header", "### Head", &["no such heading"]);
    check("### Next", "### Header", &["2 headings of this name"]);
    check("Size: 24 bytes.", "Size: 24.", &["no line \"Size: … bytes.\""]);
    check(
        "| offset | size | field | meaning |\n|---|:---",
        "| offset | size | name |\n|---|:---",
        &["no table | offset | size | field | meaning |"],
    );
    check("| another | table |", "| offset | size | field | meaning |", &["more than one table"]);
    check(
        "| 0 | 4 | `magic`",
        "| 0 | four | `magic`",
        &[
            "cannot read the row | 0 | four | `magic` | `PGST` |",
            "gap of 4 bytes before length",
            "magic is in the struct, not in the table",
        ],
    );
}
