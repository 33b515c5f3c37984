//! The ready-made dumps hold what their documentation promises.

use std::collections::BTreeSet;

use pagestone_testkit::hprof::{self, BoundaryKind, Dump, IdSize, Version, ids, tiny};

use crate::{
    naive_reader::{self, Reading},
    writer::{check, check_expected},
};

/// A dump with one fault: where it is noticed and how the message begins.
#[track_caller]
fn check_fault(dump: &Dump, (offset, message): (u64, &str)) -> Reading {
    let reading = naive_reader::read(dump.bytes());
    let [(found, text)] = &reading.problems[..] else { panic!("{:?}", reading.problems) };
    assert_eq!((*found, &text[..message.len().min(text.len())]), (offset, message));
    check_expected(dump, &reading);
    reading
}

fn start_of(dump: &Dump, tag: u8) -> u64 {
    dump.find(BoundaryKind::SubRecord, tag).unwrap().start
}

fn object_ids(reading: &Reading) -> Vec<u64> {
    reading.objects.iter().filter(|object| object.tag != 0x20).map(|object| object.id).collect()
}

#[test]
fn tiny_has_every_record_and_root() {
    let tags = |dump: &Dump, kind| -> BTreeSet<u8> {
        dump.boundaries().iter().filter(|part| part.kind == kind).map(|part| part.tag).collect()
    };
    let common = [1, 2, 3, 4, 5, 6, 7, 0x0a, 0x0b, 0x0d, 0x0e, 0x7e, 0xf0];
    let old = tiny(IdSize::Four, Version::V101);
    let expected = common.into_iter().chain([0x0c]).collect();
    assert_eq!(tags(&old, BoundaryKind::Record), expected);
    let heap = [1, 2, 3, 4, 5, 6, 7, 8, 0x20, 0x21, 0x22, 0x23, 0xff];
    assert_eq!(tags(&old, BoundaryKind::SubRecord), heap.into_iter().collect());

    let android = tiny(IdSize::Eight, Version::V103);
    let expected = common.into_iter().chain([0x1c, 0x2c, 0x7f]).collect();
    assert_eq!(tags(&android, BoundaryKind::Record), expected);
    let more = [0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x90, 0xc3, 0xfe];
    let expected = heap.into_iter().chain(more).collect();
    assert_eq!(tags(&android, BoundaryKind::SubRecord), expected);
}

#[test]
fn tiny_is_as_its_ids_say() {
    let dump = tiny(IdSize::Eight, Version::V102);
    let reading = check(&dump);
    let object = |id| reading.objects.iter().find(|object| object.id == id).unwrap();
    assert_eq!(object(ids::LEAF_FULL).payload_len, 58);
    let high = ids::high(IdSize::Eight);
    assert!((1 << 63) < high);
    assert_eq!(object(ids::LEAF_FULL).references, [high, ids::BASE_OBJECT]);
    assert_eq!(object(ids::BASE_OBJECT).references, [ids::ABSENT]);
    assert_eq!(object(ids::LEAF).references, [0, ids::ARRAY, ids::ABSENT, ids::BASE]);
    assert_eq!(object(ids::ARRAY_OF_ARRAYS).references, [ids::ARRAY, ids::ARRAY_EMPTY, 0]);
    assert_eq!(object(ids::STRING_SHARED).references, object(ids::STRING_LATIN).references);
    let place = |id| reading.objects.iter().position(|object| object.id == id).unwrap();
    assert!(place(ids::LATE_OBJECTS) < place(ids::LATE));
    assert!(reading.objects.iter().all(|object| object.id != ids::ABSENT));
    let unique: BTreeSet<_> = reading.objects.iter().map(|object| object.id).collect();
    assert_eq!(unique.len(), reading.objects.len());
    assert!(reading.texts.keys().any(|id| unique.contains(id)));
    assert!((reading.loaded.len() as u64) < reading.loaded_count);
    assert_eq!(reading.texts[&reading.loaded[&ids::LEAF]], b"demo/Leaf");
    assert_eq!(reading.texts[&reading.loaded[&(ids::PRIMITIVE_ARRAYS + 0x60)]], b"[I");
    assert!(reading.texts.values().any(|text| text.windows(2).any(|pair| pair == b"\xc0\x80")));
    let zero_length = |&(tag, start, end): &(u8, u64, u64)| tag == 0x1c && end - start == 9;
    assert_eq!(reading.records.iter().filter(|record| zero_length(record)).count(), 1);
    assert!(3 < reading.records.iter().filter(|(tag, ..)| *tag == 0x1c).count());
}

#[test]
fn sound_but_odd() {
    assert_eq!(check(&hprof::header_only()).records, []);
    assert!(check(&hprof::no_end()).records.iter().all(|(tag, ..)| *tag != 0x2c));
    assert_eq!(object_ids(&check(&hprof::duplicate_object())), [0x200, 0x200]);
    let missing = check(&hprof::missing_class());
    assert!(!missing.payloads_fit() && !missing.classes.contains_key(&0x990));
    assert!(!check(&hprof::payload_mismatch()).payloads_fit());
    let cycle = check(&hprof::cyclic_supers());
    assert_eq!((cycle.classes[&0x120].0, cycle.classes[&0x130].0), (0x130, 0x120));
    let strings = check(&hprof::jdk8_strings());
    assert!(strings.payloads_fit());
    assert_eq!(object_ids(&strings), [0x200, 0x220, 0x210, 0x230]);
}

#[test]
fn faults_are_where_they_should_be() {
    let dump = hprof::unknown_subrecord();
    let reading = check_fault(&dump, (start_of(&dump, 0x77), "sub-record 0x77"));
    assert_eq!(object_ids(&reading), [0x200, 0x220]);
    assert_eq!(reading.roots, [(0xff, 0x220)]);

    let dump = hprof::record_one_byte_short();
    let reading = naive_reader::read(dump.bytes());
    check_expected(&dump, &reading);
    assert_eq!(object_ids(&reading), [0x200]);
    assert_eq!(reading.problems.len(), 2);

    let dump = hprof::length_over_i32();
    let reading = check_fault(&dump, (dump.bytes().len() as u64, "file ends"));
    assert_eq!(object_ids(&reading), [0x200]);
}

#[test]
fn unreadable_records_are_not_expected() {
    for dump in [hprof::bad_field_type(), hprof::subrecord_past_segment()] {
        let reading = naive_reader::read(dump.bytes());
        assert_eq!(reading.problems.len(), 1);
        let expected: Vec<_> = dump.objects().iter().map(|object| object.id).collect();
        let found: Vec<_> = reading.objects.iter().map(|object| object.id).collect();
        assert_eq!(expected, found);
    }
    let reading = naive_reader::read(hprof::bad_field_type().bytes());
    assert_eq!(reading.problems[0].1, "type 3");
    let reading = naive_reader::read(hprof::subrecord_past_segment().bytes());
    assert_eq!(reading.problems[0].1, "cut off");
}
