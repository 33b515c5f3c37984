//! The recorded samples are there and are what their truth files say.

use std::{collections::BTreeMap, fs, io::Read as _};

use flate2::read::MultiGzDecoder;
use pagestone_testkit::testdata;

use crate::naive_reader;

/// The number after `"key": ` in a piece of JSON.
fn number(json: &str, key: &str) -> u64 {
    let after = json.split_once(&format!("\"{key}\": ")).unwrap().1;
    after.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn mvn_version_agrees_with_its_truth() {
    let packed = fs::read(testdata("mvn_version.hprof.gz")).unwrap();
    let mut bytes = Vec::new();
    MultiGzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    let reading = naive_reader::read(&bytes);
    assert_eq!(reading.problems, []);
    assert!(reading.payloads_fit());

    let truth = fs::read_to_string(testdata("mvn_version.truth.json")).unwrap();
    assert_eq!(bytes.len() as u64, number(&truth, "size"));
    assert_eq!(reading.objects.len() as u64, number(&truth, "objects"));
    let by_id: BTreeMap<_, _> = reading.objects.iter().map(|object| (object.id, object)).collect();
    let samples = truth.split_once("\"samples\"").unwrap().1.split("\"id\": ").skip(1);
    let mut count = 0;
    for sample in samples {
        let id = sample.split(',').next().unwrap().parse().unwrap();
        let object: &naive_reader::Found = by_id[&id];
        assert_eq!(object.payload_len, number(sample, "payload"), "{id:#x}");
        assert_eq!(object.value_offset, number(sample, "value_offset"), "{id:#x}");
        count += 1;
    }
    assert_eq!(count, 41);
}

#[test]
fn every_sample_file_is_there() {
    let files = ["README.md", "mvn_version.histo.tsv", "mvn_version.vvm_facts.txt"];
    for name in files.into_iter().chain(["mvn_version.vvm_histo.tsv"]) {
        assert!(testdata(name).is_file(), "{name}");
    }
}
