//! Small and generated dumps give the objects, classes and counts they were made of.

use pagestone_heapdump::{Damage, DamageKind, Rank};
use pagestone_testkit::hprof::{
    self, ClassDump, DumpOptions, DumpWriter, GeneratorOptions, IdSize, Root, SegmentStyle,
    Version, generate_dump, ids, tiny,
};
use rstest::rstest;

use crate::support::Built;

#[rstest]
fn everything_in_a_small_dump_is_found(
    #[values(IdSize::Four, IdSize::Eight)] id_size: IdSize,
    #[values(Version::V101, Version::V102, Version::V103)] version: Version,
) {
    let dump = tiny(id_size, version);
    let built = Built::new(dump.bytes());
    built.check_objects(dump.objects());
    let summary = built.index.summary();
    assert_eq!(summary.damages, []);
    assert_eq!(summary.format, version.text());
    assert_eq!(summary.id_size, id_size.bytes());
    let roots: u64 = summary.roots.iter().map(|root| root.count).sum();
    assert_eq!(roots, dump.roots().len() as u64);
    assert_eq!(built.index.object(ids::ABSENT).unwrap(), None);
    built.index.verify().unwrap();
}

#[test]
fn classes_have_their_facts() {
    let built = Built::new(tiny(IdSize::Eight, Version::V102).bytes());
    let leaf = built.index.class(ids::LEAF).unwrap().unwrap();
    assert_eq!((leaf.name, leaf.super_id), ("demo.Leaf", Some(ids::MIDDLE)));
    assert_eq!((leaf.loader_id, leaf.instance_size), (Some(ids::LOADER), 58));
    assert_eq!((leaf.instance_count, leaf.payload_len), (2, 116));
    let object = built.index.classes_named("java.lang.Object").unwrap();
    assert_eq!(object.len(), 1);
    assert_eq!((object[0].id, object[0].super_id, object[0].loader_id), (ids::OBJECT, None, None));
    // Described after its instances.
    let late = built.index.class(ids::LATE).unwrap().unwrap();
    assert_eq!((late.name, late.instance_count), ("demo.Late", 2));
    assert!(late.dump_offset.is_some());
    // Loaded, described nowhere.
    let absent = built.index.class(ids::ABSENT).unwrap().unwrap();
    assert_eq!((absent.name, absent.dump_offset), ("demo.Base", None));
    // The arrays of ints, and their class object.
    let arrays = built.index.classes_named("int[]").unwrap();
    let found: Vec<_> = arrays.iter().map(|class| (class.id, class.instance_count)).collect();
    assert_eq!(found, [(0, 2), (ids::PRIMITIVE_ARRAYS + 0x60, 0)]);
    assert_eq!(built.index.class(0x77).unwrap(), None);
    assert_eq!(built.index.class(0).unwrap(), None);
    assert_eq!(built.index.classes_named("demo.Lea").unwrap(), []);
}

#[test]
fn of_equal_ids_the_first_object_counts() {
    let dump = hprof::duplicate_object();
    let built = Built::new(dump.bytes());
    let (again, kept) = dump.objects().split_last().unwrap();
    built.check_objects(kept);
    assert_eq!(again.id, kept.last().unwrap().id);
    let summary = built.index.summary();
    assert_eq!((summary.duplicate_count, summary.instance_count, summary.class_count), (1, 1, 2));
    let top = built.index.histogram(Rank::Count).unwrap();
    assert_eq!((top.len(), top[0].count, top[0].bytes), (1, 1, 12));
    built.index.verify().unwrap();
}

#[test]
fn many_repeated_ids_are_left_out_in_file_order() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    writer.utf8(1, b"A").load_class(1, 0x100, 1).load_class(2, 0x108, 1);
    for round in 0..4 {
        for id in (0..9_000).rev() {
            writer.byte_array(0x1000 + id * 8, &[round; 3][..round as usize % 4]);
        }
        writer.class_dump(&ClassDump { id: 0x100, ..ClassDump::default() });
    }
    let dump = writer.heap_dump_end().finish();
    let built = Built::new(dump.bytes());
    built.check_objects(&dump.objects()[..9_001]);
    let summary = built.index.summary();
    assert_eq!(summary.duplicate_count, 27_003);
    assert_eq!((summary.primitive_array_count, summary.payload_len), (9_000, 0));
}

#[test]
fn a_name_given_later_is_the_last_one() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    writer.load_class(1, 0x100, 1).load_class(2, 0x100, 2).load_class(3, 0x200, 3);
    writer.instance(0x1000, 0x100, &[]).instance(0x1010, 0x300, &[]);
    writer.instance(0x1020, 0x200, &[]);
    writer.utf8(1, b"First").utf8(2, b"Old").utf8(2, b"pack/New");
    let dump = writer.begin_segment().heap_dump_end().finish();
    let built = Built::new(dump.bytes());
    let top = built.index.histogram(Rank::Bytes).unwrap();
    let found: Vec<_> = top.iter().map(|class| (class.name, class.class_id, class.count)).collect();
    assert_eq!(
        found,
        [("<class 0x200>", 0x200, 1), ("<class 0x300>", 0x300, 1), ("pack.New", 0x100, 1)]
    );
}

#[test]
fn old_dumps_may_state_a_length_of_zero() {
    let options = DumpOptions {
        version: Version::V101,
        segments: SegmentStyle::Single,
        ..DumpOptions::default()
    };
    let mut writer = DumpWriter::new(options);
    let dump = writer.begin_segment().end_segment().utf8(1, b"A").finish();
    let built = Built::new(dump.bytes());
    assert_eq!((built.index.summary().object_count, built.report.summary.damage_count), (0, 0));
}

#[track_caller]
fn check_odd(dump: &hprof::Dump, damage: Option<(DamageKind, u8)>) {
    let built = Built::new(dump.bytes());
    built.check_objects(dump.objects());
    let found = built.index.summary().damages.first().copied();
    assert_eq!(found.map(|Damage { kind, tag, .. }| (kind, tag)), damage);
    if let Some(damage) = found {
        assert!(damage.offset <= dump.bytes().len() as u64);
        assert!(damage.to_string().contains(&damage.offset.to_string()), "{damage}");
    }
    assert_eq!(built.index.summary().damage_count, u64::from(damage.is_some()));
}

#[test]
fn odd_dumps_give_what_can_be_read() {
    check_odd(&hprof::header_only(), Some((DamageKind::MissingEnd, 0)));
    check_odd(&hprof::no_end(), Some((DamageKind::MissingEnd, 0)));
    check_odd(&hprof::missing_class(), None);
    check_odd(&hprof::payload_mismatch(), None);
    check_odd(&hprof::cyclic_supers(), None);
    check_odd(&hprof::jdk8_strings(), None);
    check_odd(&hprof::unknown_subrecord(), Some((DamageKind::UnknownSubRecord, 0x77)));
    check_odd(&hprof::bad_field_type(), Some((DamageKind::UnknownType, 0x20)));
    check_odd(&hprof::subrecord_past_segment(), Some((DamageKind::Overrun, 0x22)));
    check_odd(&hprof::record_one_byte_short(), Some((DamageKind::Truncated, 0x21)));
    check_odd(&hprof::length_over_i32(), Some((DamageKind::Truncated, 0x7e)));
}

#[test]
fn a_record_too_short_for_its_content_is_skipped() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    writer.raw_record(0x02, &[1, 2, 3]).raw_record(0x01, &[0; 7]);
    writer.root(Root::Unknown { object: 7 }).byte_array(8, b"x");
    let dump = writer.heap_dump_end().finish();
    let built = Built::new(dump.bytes());
    built.check_objects(dump.objects());
    let found: Vec<_> =
        built.report.summary.damages.iter().map(|found| (found.kind, found.offset)).collect();
    assert_eq!(found, [(DamageKind::ShortRecord, 31), (DamageKind::ShortRecord, 43)]);
}

#[test]
fn a_text_longer_than_a_symbol_is_cut() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    let long = vec![b'x'; 70_000];
    writer.utf8(1, &long).load_class(1, 0x100, 1).instance(0x200, 0x100, &[]);
    let built = Built::new(writer.heap_dump_end().finish().bytes());
    assert_eq!(built.report.summary.damages[0].kind, DamageKind::LongText);
    assert_eq!(built.index.object(0x200).unwrap().unwrap().class_name.len(), 65_535);
}

#[test]
fn arrays_longer_than_the_buffer_are_passed() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    for (id, len) in (1..6).zip((300_000..).step_by(300_000)) {
        writer.byte_array(id, &vec![7; len]);
        writer.end_segment().raw_record(0x99, &vec![1; 2_000_000]);
    }
    let dump = writer.heap_dump_end().finish();
    Built::new(dump.bytes()).check_objects(dump.objects());
}

#[test]
fn a_generated_dump_is_counted_as_it_was_made() {
    let mut bytes = Vec::new();
    let options = GeneratorOptions { target_len: 3_000_000, seed: 5 };
    let made = generate_dump(&options, &mut bytes).unwrap();
    let built = Built::new(&bytes);
    let summary = built.index.summary();
    assert_eq!(summary.damages, []);
    assert_eq!(summary.dump_len, made.file_len);
    assert_eq!(summary.symbol_count, made.utf8_count);
    assert_eq!(summary.class_count, made.class_count);
    assert_eq!(summary.instance_count, made.instance_count);
    assert_eq!(summary.object_array_count, made.object_array_count);
    assert_eq!(summary.primitive_array_count, made.primitive_array_count);
    assert_eq!(summary.roots.iter().map(|root| root.count).sum::<u64>(), made.root_count);
    let mut expected: Vec<(u64, u64, u64)> = made
        .classes
        .iter()
        .filter(|(_, class)| 0 < class.instances)
        .map(|(name, class)| {
            let is_primitive = name.starts_with('[') && name.len() == 2;
            (if is_primitive { 0 } else { class.class_id }, class.instances, class.payload_len)
        })
        .collect();
    let top = built.index.histogram(Rank::Bytes).unwrap();
    let mut found: Vec<_> =
        top.iter().map(|class| (class.class_id, class.count, class.bytes)).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}
