//! What strings say, and which say the same.

use std::{collections::BTreeMap, fs};

use pagestone_heapdump::{BuildOptions, HeapIndex};
use pagestone_testkit::{hprof::IdSize, testdata};
use serde_json::Value;

use crate::{
    shop::{Era, Order, shop},
    support::{Built, folder, open},
};

#[track_caller]
fn check_all(index: &HeapIndex, expected: &BTreeMap<String, u64>) {
    let values = index.string_values(usize::MAX).unwrap();
    assert_eq!(values.len() as u64, index.summary().distinct_string_count);
    let found: BTreeMap<String, u64> =
        values.iter().map(|value| (value.value.clone(), value.count)).collect();
    for (value, count) in expected {
        assert_eq!(found.get(value), Some(count), "{value}");
        let ids: Vec<u64> = index.strings_of(value).unwrap().map(Result::unwrap).collect();
        assert_eq!(ids.len() as u64, *count, "{value}");
        assert!(ids.is_sorted(), "{value}");
        for id in ids {
            assert_eq!(index.string(id, u64::MAX).unwrap().as_deref(), Some(value.as_str()));
        }
    }
}

#[test]
fn the_strings_are_those_of_the_truth() {
    let folder = folder();
    let out = folder.path().join("index");
    BuildOptions::new().build(testdata("mvn_version.hprof.gz"), &out).unwrap();
    let index = open(&out).unwrap();
    let text = fs::read(testdata("mvn_version.truth.json")).unwrap();
    let facts: Value = serde_json::from_slice(&text).unwrap();
    let strings = &facts["strings"];
    assert_eq!(strings["instances"], index.summary().string_count);
    assert_eq!(strings["distinct"], index.summary().distinct_string_count);

    let top = strings["top"].as_array().unwrap();
    let found = index.repeated_strings(top.len()).unwrap();
    let counts: Vec<u64> = found.iter().map(|value| value.count).collect();
    let expected: Vec<u64> = top.iter().map(|value| value["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, expected);
    for value in top {
        let (text, count) = (value["value"].as_str().unwrap(), value["count"].as_u64().unwrap());
        check_all(&index, &BTreeMap::from([(text.to_owned(), count)]));
    }
    let total: u64 = index.string_values(usize::MAX).unwrap().iter().map(|it| it.count).sum();
    assert_eq!(strings["instances"], total);
    assert_eq!(index.strings_of("no string says this").unwrap().count(), 0);
}

#[test]
fn strings_of_all_eras_say_what_they_say() {
    let long: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    let wide: &'static str = Box::leak("\u{3b1}x".repeat(40_000).into_boxed_str());
    let statuses =
        [Some(""), Some("caf\u{e9}"), Some(long), Some(wide), None, Some("caf\u{e9}"), Some(wide)];
    let orders: Vec<Order> = (0x110..)
        .step_by(16)
        .zip(statuses)
        .map(|(id, status)| Order { id, status, total: 0, is_rush: false })
        .collect();
    for (era, id_size) in [
        (Era::Oldest, IdSize::Four),
        (Era::Old, IdSize::Eight),
        (Era::Compact, IdSize::Eight),
        (Era::Compact, IdSize::Four),
    ] {
        let built = Built::new(&shop(era, id_size, &orders));
        assert_eq!(built.index.summary().string_count, 6, "{era:?}");
        let expected = [("", 1), ("caf\u{e9}", 2), (long, 1), (wide, 2)];
        for (value, count) in expected {
            let ids: Vec<u64> =
                built.index.strings_of(value).unwrap().map(Result::unwrap).collect();
            let of_value = orders.iter().filter(|order| order.status == Some(value));
            assert_eq!(ids, of_value.map(|order| order.id - 8).collect::<Vec<_>>(), "{era:?}");
            assert_eq!(ids.len(), count);
            let said = built.index.string(ids[0], u64::MAX).unwrap();
            assert!(said.as_deref() == Some(value), "{era:?}");
        }
        let values = built.index.string_values(9).unwrap();
        let found: Vec<(u64, u64)> = values.iter().map(|value| (value.count, value.len)).collect();
        assert_eq!(found, [(2, 4), (2, 80_000), (1, 0), (1, 100_000)], "{era:?}");
        assert_eq!(values[1].value.encode_utf16().count(), 1_000);
        assert_eq!(built.index.string(0x30, 9).unwrap(), None);
        assert_eq!(built.index.string(0x118, 3).unwrap().as_deref(), Some("caf"));
    }
}
