//! The generator's summary is what the reader counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
};

use flate2::read::MultiGzDecoder;
use pagestone_testkit::hprof::{
    ClassCount, GeneratedSummary, GeneratorOptions, generate_dump, gzip, gzip_members,
};

use crate::naive_reader::{self, Reading};

const MEGABYTE: u64 = 1_000_000;

fn generate(target_len: u64, seed: u64) -> (Vec<u8>, GeneratedSummary) {
    let mut bytes = Vec::new();
    let summary = generate_dump(&GeneratorOptions { target_len, seed }, &mut bytes).unwrap();
    assert_eq!(summary.file_len, bytes.len() as u64);
    (bytes, summary)
}

/// The summary as the naive reader makes it.
fn recount(reading: &Reading, file_len: u64) -> GeneratedSummary {
    let name = |class| String::from_utf8(reading.texts[&reading.loaded[class]].clone()).unwrap();
    let by_name: BTreeMap<_, _> =
        reading.classes.keys().map(|class| (name(class), *class)).collect();
    let arrays = ["[Z", "[C", "[F", "[D", "[B", "[S", "[I", "[J"];
    let mut counts: BTreeMap<u64, ClassCount> = by_name
        .values()
        .map(|&class_id| (class_id, ClassCount { class_id, ..ClassCount::default() }))
        .collect();
    let mut summary = GeneratedSummary { file_len, ..GeneratedSummary::default() };
    let present: BTreeSet<_> = reading.objects.iter().map(|object| object.id).collect();
    assert_eq!(present.len(), reading.objects.len(), "ids are unique");
    for object in &reading.objects {
        let absent = object.references.iter().filter(|id| **id != 0 && !present.contains(id));
        summary.dangling_count += absent.count() as u64;
        let (count, class_id) = match object.tag {
            0x20 => {
                summary.class_count += 1;
                continue;
            }
            0x21 => (&mut summary.instance_count, object.class_id),
            0x22 => (&mut summary.object_array_count, object.class_id),
            _ => {
                let array = arrays[usize::from(object.element_type) - 4];
                (&mut summary.primitive_array_count, by_name[array])
            }
        };
        *count += 1;
        let class = counts.get_mut(&class_id).unwrap();
        class.instances += 1;
        class.payload_len += object.payload_len;
    }
    summary.classes = by_name.into_iter().map(|(name, id)| (name, counts[&id])).collect();
    summary.utf8_count = reading.texts.len() as u64;
    summary.load_class_count = reading.loaded_count;
    summary.root_count = reading.roots.len() as u64;
    assert!(reading.roots.iter().all(|(_, object)| present.contains(object)));
    summary.segment_count = reading.records.iter().filter(|(tag, ..)| *tag == 0x1c).count() as u64;
    summary
}

#[test]
fn summary_is_what_a_reader_counts() {
    let (bytes, summary) = generate(3 * MEGABYTE, 7);
    let reading = naive_reader::read(&bytes);
    assert_eq!(reading.problems, []);
    assert!(reading.payloads_fit());
    assert_eq!(recount(&reading, bytes.len() as u64), summary);
    assert_eq!(reading.records.last().unwrap().0, 0x2c);
    assert!(1 < summary.segment_count && 0 < summary.dangling_count);
}

#[test]
fn looks_like_a_heap() {
    let (bytes, summary) = generate(3 * MEGABYTE, 8);
    let reading = naive_reader::read(&bytes);
    let objects: Vec<_> = reading.objects.iter().filter(|object| object.tag != 0x20).collect();
    let count = objects.len() as u64;
    let dump_len: u64 = reading
        .subrecords
        .iter()
        .filter(|(tag, ..)| (0x21..=0x23).contains(tag))
        .map(|part| part.2 - part.1)
        .sum();
    assert!((60..85).contains(&(dump_len / count)), "{} bytes an object", dump_len / count);
    let descents = objects.windows(2).filter(|pair| pair[1].id < pair[0].id).count() as u64;
    assert!((count / 200..count / 50).contains(&descents), "{descents} of {count}");
    for name in ["java/lang/String", "[B"] {
        let share = summary.classes[name].instances * 100 / count;
        assert!((23..28).contains(&share), "{name} {share} %");
    }
    let place: BTreeMap<_, _> = (0_u64..).zip(&objects).map(|(at, found)| (found.id, at)).collect();
    let mut directions = [0_u64; 2];
    for (at, object) in (0_u64..).zip(&objects) {
        for target in object.references.iter().filter_map(|id| place.get(id)) {
            directions[usize::from(at < *target)] += 1;
        }
    }
    assert!(directions.iter().all(|&references| count / 4 < references), "{directions:?}");
}

#[test]
fn seed_and_length_fix_the_bytes() {
    let (first, summary) = generate(2 * MEGABYTE, 1);
    assert_eq!((first.clone(), summary), generate(2 * MEGABYTE, 1));
    assert_ne!(first, generate(2 * MEGABYTE, 2).0);
}

#[test]
fn length_is_near_the_target() {
    for target_len in [MEGABYTE, 3 * MEGABYTE, 10 * MEGABYTE] {
        for seed in 0..4 {
            let len = generate(target_len, seed).1.file_len;
            assert!(len.abs_diff(target_len) <= target_len / 100, "{len} for {target_len}");
        }
    }
    let (bytes, _) = generate(0, 1);
    assert_eq!(naive_reader::read(&bytes).problems, []);
    assert!((60_000..120_000).contains(&bytes.len()), "{}", bytes.len());
}

#[test]
fn big_dumps_have_a_segment_over_a_mebibyte() {
    let (bytes, summary) = generate(70 * MEGABYTE, 3);
    let mut at = bytes.iter().position(|&byte| byte == 0).unwrap() + 13;
    let mut segments = Vec::new();
    while at < bytes.len() {
        let len = bytes[at + 5..at + 9].iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
        if bytes[at] == 0x1c {
            segments.push(len);
        }
        at += 9 + len;
    }
    assert_eq!(at, bytes.len());
    assert_eq!(segments.len() as u64, summary.segment_count);
    let big: Vec<_> = segments.iter().filter(|&&len| 1 << 20 < len).collect();
    assert_eq!(big, [&(18 + (2 << 20))]);
}

#[test]
fn gzip_holds_the_same_bytes() {
    let unpack = |packed: &[u8]| {
        let mut bytes = Vec::new();
        MultiGzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    };
    let bytes = generate(0, 1).0;
    assert_eq!(unpack(&gzip(&bytes)), bytes);
    let members = gzip_members(&bytes, 50_000);
    assert_eq!(unpack(&members), bytes);
    assert!(gzip(&bytes[..50_000]).iter().eq(&members[..gzip(&bytes[..50_000]).len()]));
    assert_eq!(unpack(&gzip_members(&[], 1)), []);
}
