//! Tests of the rows, the table and the JSON, with fixture values.

use super::{
    super::suites::{Baseline, Contender, Target},
    *,
};

const SORT: Figure = Figure {
    contender: Contender::Own("sort"),
    conversion: Conversion::NanosPerElement(Count::Recorded),
};
const STD: Figure = Figure {
    contender: Contender::Peer("std"),
    conversion: Conversion::NanosPerElement(Count::Fixed(500)),
};
const SHARE: Figure =
    Figure { contender: Contender::Measured("share"), conversion: Conversion::Plain };

const ROWS: &[Row] = &[
    Row {
        name: "sort",
        ours: SORT,
        baseline: Some(Baseline { against: "std", figure: STD, or: [None; 3] }),
        target: Target::RatioAtMost(0.5),
    },
    Row { name: "share", ours: SHARE, baseline: None, target: Target::AtMost(0.25) },
];

fn figures() -> Figures {
    let reading = |value, unit: &str, elements| Reading {
        value,
        unit: unit.to_owned(),
        elements,
        bytes: None,
    };
    Figures::from([
        (Key::Own("sort".into()), reading(2000.0, "ns", Some(1000))),
        (Key::Peer("std".into()), reading(2500.0, "ns", None)),
        (Key::Measured("share".into()), reading(0.3, "share", None)),
        (Key::Measured("dump_bytes".into()), reading(4096.0, "bytes", None)),
    ])
}

#[track_caller]
fn check_value(figure: &Figure, expected: Option<(f64, &str)>) {
    let value = value(figure, &figures()).unwrap();
    assert_eq!(value, expected.map(|(value, unit)| (value, unit.to_owned())));
}

#[test]
fn readings_become_figures() {
    check_value(&SORT, Some((2.0, "ns/element")));
    check_value(&STD, Some((5.0, "ns/element")));
    check_value(&SHARE, Some((0.3, "share")));
    let conversion = Conversion::MegabytesPerSecond(Count::Fixed(4000));
    check_value(&Figure { conversion, ..SORT }, Some((2000.0, "MB/s")));
    check_value(&Figure { contender: Contender::Own("absent"), ..SORT }, None);
    let unknown = Conversion::MegabytesPerSecond(Count::Recorded);
    assert!(value(&Figure { conversion: unknown, ..SORT }, &figures()).is_err());
}

#[test]
fn verdicts_become_lines() {
    let verdicts = verdicts(Suite::Heapdump, ROWS, &figures()).unwrap();
    let lines = json_lines(&verdicts).unwrap();
    let expected = r#"{"suite":"heapdump","row":"sort","ours":2.0,"unit":"ns/element","against":"std","baseline":5.0,"ratio":0.4,"target":"ratio <= 0.5","met":true}
{"suite":"heapdump","row":"share","ours":0.3,"unit":"share","against":null,"baseline":null,"ratio":null,"target":"<= 0.25","met":false}
"#;
    assert_eq!(lines, expected);
    assert_eq!(parse_lines(&lines).unwrap(), verdicts);
    assert!(parse_lines("{}").is_err());
}

#[test]
fn ours_that_was_skipped_leaves_the_baseline() {
    let mut figures = figures();
    figures.remove(&Key::Own("sort".into()));
    figures.remove(&Key::Measured("share".into()));
    let verdicts = verdicts(Suite::Heapdump, ROWS, &figures).unwrap();
    let expected = ["-", "ns/element", "std", "5.00", "-", "ratio <= 0.5", "skipped"];
    assert_eq!(cells(&verdicts[0])[1..], expected);
    assert_eq!(cells(&verdicts[1])[1..], ["-", "-", "-", "-", "-", "<= 0.25", "skipped"]);
}

#[test]
fn a_peer_that_did_not_run_leaves_the_verdict_open() {
    let mut figures = figures();
    figures.remove(&Key::Peer("std".into()));
    let verdicts = verdicts(Suite::Heapdump, ROWS, &figures).unwrap();
    assert_eq!((verdicts[0].ratio, verdicts[0].met), (None, None));
    assert_eq!(cells(&verdicts[0])[4..], ["-", "-", "ratio <= 0.5", "not compared"]);
}

#[test]
fn the_table_shows_verdicts_and_change() {
    let verdicts = verdicts(Suite::Heapdump, ROWS, &figures()).unwrap();
    let plain = table(&verdicts, &[]).to_string();
    assert!(plain.contains("met") && plain.contains("missed") && !plain.contains("change"));
    let mut earlier = verdicts.clone();
    earlier[0].ours = Some(1.6);
    earlier.remove(1);
    let compared = table(&verdicts, &earlier).to_string();
    assert!(compared.contains("change") && compared.contains("+25.0 %"), "{compared}");
    assert_eq!(change(&verdicts[1], &earlier), "-");
}

#[test]
fn numbers_are_short() {
    let check = |value, expected: &str| assert_eq!(number(value), expected);
    check(1234.5, "1234");
    check(12.34, "12.3");
    check(1.234, "1.23");
    check(0.1234, "0.123");
}

#[test]
fn sizes_tell_counts_and_what_no_row_shows() {
    assert_eq!(sizes(ROWS, &figures()), "sort: 1000 elements\ndump_bytes: 4096 bytes\n");
}

#[test]
fn the_better_of_two_baselines_counts() {
    let other = Figure { contender: Contender::Own("other"), ..SORT };
    let baseline = Baseline { against: "std or other", figure: STD, or: [Some(other), None, None] };
    let target = Target::RatioAtMost(0.5);
    let row = Row { name: "sort", ours: SORT, baseline: Some(baseline), target };
    let check = |nanos, expected| {
        let reading = Reading { value: nanos, unit: "ns".into(), elements: Some(1), bytes: None };
        let mut figures = figures();
        figures.insert(Key::Own("other".into()), reading);
        let verdict = verdict(Suite::Storage, &row, &figures).unwrap();
        assert_eq!(verdict.baseline, Some(expected));
    };
    check(4.0, 4.0);
    check(6.0, 5.0);
    // One that did not run leaves the other.
    assert_eq!(verdict(Suite::Storage, &row, &figures()).unwrap().baseline, Some(5.0));
}
