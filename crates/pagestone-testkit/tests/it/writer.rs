//! What the writer says it wrote is what the reader finds.

use pagestone_testkit::hprof::{
    BasicType, BoundaryKind, ClassDump, Dump, DumpOptions, DumpWriter, IdSize, ObjectKind, Root,
    SegmentStyle, Value, Version, tiny,
};

use crate::naive_reader::{self, Reading};

const ID_SIZES: [IdSize; 2] = [IdSize::Four, IdSize::Eight];
const VERSIONS: [Version; 3] = [Version::V101, Version::V102, Version::V103];

/// Compares boundaries, objects and roots of a sound dump with a second reading of its bytes.
#[track_caller]
pub(crate) fn check(dump: &Dump) -> Reading {
    let reading = naive_reader::read(dump.bytes());
    assert_eq!(reading.problems, []);
    check_expected(dump, &reading);
    reading
}

/// The same for a dump with faults that both sides know how to step over.
#[track_caller]
pub(crate) fn check_expected(dump: &Dump, reading: &Reading) {
    let parts = |kind| {
        let parts = dump.boundaries().iter().filter(move |part| part.kind == kind);
        parts.map(|part| (part.tag, part.start, part.end)).collect::<Vec<_>>()
    };
    assert_eq!(parts(BoundaryKind::Record), reading.records);
    let mut subrecords = parts(BoundaryKind::SubRecord);
    let unreadable = |start| reading.problems.iter().any(|(offset, _)| *offset == start);
    subrecords.retain(|&(_, start, _)| !unreadable(start));
    assert_eq!(subrecords, reading.subrecords);
    assert!(dump.boundaries().is_sorted_by_key(|part| part.start));

    let expected: Vec<_> = dump
        .objects()
        .iter()
        .map(|object| {
            let element_type = match object.kind {
                ObjectKind::PrimitiveArray(basic_type) => basic_type.code(),
                _ => 0,
            };
            let place = (object.payload_len, object.value_offset);
            (object.id, object.class_id, element_type, place)
        })
        .collect();
    let found: Vec<_> = reading
        .objects
        .iter()
        .map(|object| {
            let place = (object.payload_len, object.value_offset);
            (object.id, object.class_id, object.element_type, place)
        })
        .collect();
    assert_eq!(expected, found);
    for (expected, found) in dump.objects().iter().zip(&reading.objects) {
        let tags: &[u8] = match expected.kind {
            ObjectKind::Class => &[0x20],
            ObjectKind::Instance => &[0x21],
            ObjectKind::ObjectArray => &[0x22],
            ObjectKind::PrimitiveArray(_) => &[0x23, 0xc3],
        };
        assert!(tags.contains(&found.tag), "{expected:?} {found:?}");
    }
    let roots: Vec<_> = dump.roots().iter().map(|root| (root.tag(), root.object())).collect();
    assert_eq!(roots, reading.roots);
}

#[test]
fn tiny_reads_back_in_every_variant() {
    for id_size in ID_SIZES {
        for version in VERSIONS {
            let dump = tiny(id_size, version);
            let reading = check(&dump);
            assert_eq!(reading.version, version.text());
            assert_eq!(reading.id_size, id_size.bytes() as usize);
            assert_eq!(reading.timestamp_ms, DumpOptions::default().timestamp_ms);
            assert!(reading.payloads_fit());
        }
    }
}

#[test]
fn hand_counted_offsets() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    writer.class_dump(&ClassDump {
        id: 0x10,
        statics: &[(1, Value::Object(0)), (2, Value::Short(-2))],
        ..ClassDump::default()
    });
    writer.instance(0x20, 0x10, &[]).object_array(0x30, 0x40, &[0x20, 0]);
    writer.primitive_array(0x50, BasicType::Int, &[Value::Int(0x0102_0304)]);
    let dump = writer.finish();
    // Header 31, head of the segment 9; the class is 71 + (9 + 8) + (9 + 2) bytes long.
    let places: Vec<_> =
        dump.objects().iter().map(|object| (object.value_offset, object.payload_len)).collect();
    assert_eq!(places, [(41, 10), (139 + 25, 0), (164 + 25, 16), (205 + 18, 4)]);
    assert_eq!(&dump.bytes()[223..], [1, 2, 3, 4]);
    assert_eq!(&dump.bytes()[31..41], [0x1c, 0, 0, 0, 0, 0, 0, 0, 187, 0x20]);
    check(&dump);
}

#[test]
fn segments_open_and_close_by_themselves() {
    for segments in [SegmentStyle::Single, SegmentStyle::Segments] {
        let mut writer = DumpWriter::new(DumpOptions { segments, ..DumpOptions::default() });
        let root = Root::Unknown { object: 7 };
        writer.root(root).utf8(1, b"a").begin_segment().end_segment().root(root).root(root);
        writer.begin_segment().begin_segment();
        let dump = writer.heap_dump_end().finish();
        let segment = if segments == SegmentStyle::Single { 0x0c } else { 0x1c };
        let reading = check(&dump);
        let lengths = reading.records.iter().map(|&(tag, start, end)| (tag, end - start - 9));
        let expected = [(segment, 9), (1, 9), (segment, 0), (segment, 18), (segment, 0)];
        let expected = expected.into_iter().chain([(segment, 0), (0x2c, 0)]);
        assert!(lengths.eq(expected), "{:?}", reading.records);
    }
}

#[test]
fn a_finished_writer_starts_over() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    let first = writer.utf8(1, b"a").instance(2, 3, &[]).finish();
    let second = writer.utf8(1, b"a").instance(2, 3, &[]).finish();
    assert_eq!(first.bytes(), second.bytes());
    assert_eq!(first.objects(), second.objects());
}

#[test]
fn values_are_big_endian() {
    let values = [
        Value::Object(0x0102_0304_0506_0708),
        Value::Boolean(true),
        Value::Char(0x20ac),
        Value::Float(1.5),
        Value::Double(-2.0),
        Value::Byte(-2),
        Value::Short(-3),
        Value::Int(0x0a0b_0c0d),
        Value::Long(-4),
    ];
    let dump = DumpWriter::new(DumpOptions::default()).instance(1, 2, &values).finish();
    let expected = [
        &[1, 2, 3, 4, 5, 6, 7, 8, 1, 0x20, 0xac, 0x3f, 0xc0, 0, 0][..],
        &[0xc0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xfd, 10, 11, 12, 13],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc],
    ];
    assert_eq!(dump.bytes()[31 + 9 + 25..], expected.concat());
}
