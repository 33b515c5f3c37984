//! The recorded dump gives the answers of its truth files.

use std::{collections::BTreeMap, fs};

use pagestone_heapdump::{BuildOptions, HeapIndex, ObjectIds, ObjectKind, Packing, Rank, TagCount};
use pagestone_testkit::testdata;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{folder, open};

struct Truth {
    _folder: TempDir,
    index: HeapIndex,
    facts: Value,
}

impl Truth {
    fn new() -> Self {
        let folder = folder();
        let out = folder.path().join("index");
        let report = BuildOptions::new().build(testdata("mvn_version.hprof.gz"), &out).unwrap();
        assert_eq!(report.summary.damages, []);
        let text = fs::read(testdata("mvn_version.truth.json")).unwrap();
        let facts = serde_json::from_slice(&text).unwrap();
        Self { _folder: folder, index: open(&out).unwrap(), facts }
    }

    #[track_caller]
    fn check(&self, key: &str, found: u64) {
        assert_eq!(self.facts[key].as_u64(), Some(found), "{key}");
    }

    #[track_caller]
    fn check_counts(&self, key: &str, found: &BTreeMap<String, u64>) {
        let expected: BTreeMap<String, u64> =
            serde_json::from_value(self.facts[key].clone()).unwrap();
        assert_eq!(*found, expected, "{key}");
    }
}

fn by_tag(counts: &[TagCount]) -> BTreeMap<String, u64> {
    counts.iter().map(|count| (format!("{:#04x}", count.tag), count.count)).collect()
}

#[test]
fn counts_are_those_of_the_truth() {
    let truth = Truth::new();
    let summary = truth.index.summary();
    truth.check("size", summary.dump_len);
    truth.check("id_size", summary.id_size.into());
    truth.check("timestamp_ms", summary.timestamp_ms);
    truth.check("utf8", summary.symbol_count);
    truth.check("classes_loaded", summary.loaded_class_count);
    truth.check("class_dumps", summary.class_count);
    truth.check("objects", summary.object_count);
    truth.check("instances", summary.instance_count);
    truth.check("object_arrays", summary.object_array_count);
    truth.check("primitive_arrays", summary.primitive_array_count);
    truth.check("duplicate_ids", summary.duplicate_count);
    assert_eq!(truth.facts["format"], summary.format.as_str());
    assert_eq!((summary.packing, summary.is_complete()), (Packing::Gzip, true));
    truth.check_counts("tags", &by_tag(&summary.records));
    truth.check_counts("subrecords", &by_tag(&summary.sub_records));
    let roots = summary.roots.iter().map(|root| (root.name.clone(), root.count)).collect();
    truth.check_counts("roots_by_kind", &roots);
    truth.index.verify().unwrap();
}

#[test]
fn every_class_of_the_histogram_is_that_of_the_truth() {
    let truth = Truth::new();
    let text = fs::read_to_string(testdata("mvn_version.histo.tsv")).unwrap();
    let mut expected: Vec<(String, u64, u64, u64)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let [name, class_id, count, bytes] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let number = |text: &str| text.parse().unwrap();
            (name.to_owned(), number(class_id), number(count), number(bytes))
        })
        .collect();
    let listed = |rank| -> Vec<_> {
        let top = truth.index.histogram(rank).unwrap().into_iter();
        top.map(|class| (class.name.to_owned(), class.class_id, class.count, class.bytes)).collect()
    };
    expected.sort_by(|a, b| (b.2, &a.0, a.1).cmp(&(a.2, &b.0, b.1)));
    assert_eq!(listed(Rank::Count), expected);
    expected.sort_by(|a, b| (b.3, &a.0, a.1).cmp(&(a.3, &b.0, b.1)));
    assert_eq!(listed(Rank::Bytes), expected);
    assert_eq!(
        truth.index.summary().payload_len,
        expected.iter().map(|class| class.3).sum::<u64>()
    );
    for (name, id, count, bytes) in expected {
        let classes = truth.index.classes_named(&name).unwrap();
        let class = classes.iter().find(|class| class.id == id).unwrap();
        assert_eq!((class.name, class.instance_count, class.payload_len), (&*name, count, bytes));
    }
}

#[test]
fn sampled_objects_are_those_of_the_truth() {
    let truth = Truth::new();
    let samples = truth.facts["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 41);
    for sample in samples {
        let id = sample["id"].as_u64().unwrap();
        let object = truth.index.object(id).unwrap().unwrap();
        let kind = match object.kind {
            ObjectKind::Class => "class",
            ObjectKind::Instance => "instance",
            ObjectKind::ObjectArray => "object_array",
            ObjectKind::PrimitiveArray => "primitive_array",
        };
        assert_eq!(sample["kind"], kind, "{id}");
        assert_eq!(sample["cls"], object.class_name, "{id}");
        assert_eq!(sample["payload"].as_u64(), Some(object.payload_len), "{id}");
        assert_eq!(sample["value_offset"].as_u64(), Some(object.value_offset), "{id}");
        check_ids(&sample["outbound"], truth.index.outbound(id).unwrap().unwrap());
        check_ids(&sample["inbound"], truth.index.inbound(id).unwrap().unwrap());
        let retained = truth.index.retained(id).unwrap().unwrap();
        let depth = sample["depth"].as_i64().unwrap();
        assert_eq!(retained.distance.map(i64::from), Some(depth).filter(|&depth| 0 <= depth));
        if retained.distance.is_some() {
            let dominator = sample["idom"].as_u64().filter(|&dominator| dominator != 0);
            assert_eq!(retained.dominator, dominator, "{id}");
            assert_eq!(sample["retained_payload"].as_u64(), Some(retained.bytes), "{id}");
            assert_eq!(sample["retained_objects"].as_u64(), Some(retained.count), "{id}");
        } else {
            assert_eq!((retained.bytes, retained.count, retained.dominator), (0, 0, None), "{id}");
        }
    }
    let key = |key: &str| truth.facts[key].as_u64().unwrap();
    for (id, is_there) in [(key("id_min"), true), (key("id_max"), true), (key("id_min") - 8, false)]
    {
        assert_eq!(truth.index.object(id).unwrap().is_some(), is_there, "{id}");
    }
}

#[track_caller]
fn check_ids(expected: &Value, found: ObjectIds<'_>) {
    let found: Vec<u64> = found.map(Result::unwrap).collect();
    assert_eq!(expected["count"].as_u64(), Some(found.len() as u64));
    let listed: Vec<u64> = serde_json::from_value(expected["ids"].clone()).unwrap();
    assert_eq!(found[..listed.len()], listed);
    assert!(listed.len() == found.len() || 20 <= listed.len());
}

#[test]
fn references_and_roots_are_those_of_the_truth() {
    let truth = Truth::new();
    let summary = truth.index.summary();
    truth.check("edges_unique", summary.reference_count);
    truth.check("dangling_edges", summary.dangling_count);
    truth.check("root_objects_distinct", summary.root_object_count);
    truth.check("roots_absent", summary.absent_root_count);
    truth.check("reachable", summary.reachable_count);
    truth.check("max_depth", summary.distance_max.into());
    let total = truth.facts["dominators"]["retained_total"].as_u64();
    assert_eq!(total, Some(summary.reachable_len));
}

#[test]
fn the_biggest_objects_are_those_of_the_truth() {
    let truth = Truth::new();
    let expected = truth.facts["dominators"]["top"].as_array().unwrap();
    let found = truth.index.biggest(expected.len()).unwrap();
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected["id"].as_u64(), Some(found.id));
        let named = expected["cls"].as_str().unwrap();
        assert_eq!(named.strip_prefix("class ").unwrap_or(named), found.class_name);
        assert_eq!(expected["retained_payload"].as_u64(), Some(found.bytes));
        assert_eq!(expected["retained_objects"].as_u64(), Some(found.count));
    }
    assert_eq!(found.len(), 40);
}
