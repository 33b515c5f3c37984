//! Owns the small dumps with one peculiarity or fault each.

use super::{
    BasicType, ClassDump, Dump, DumpOptions, DumpWriter, Root, Value,
    encode::Encoder,
    model::IdSize,
    writer::{LENGTH_PLACE, RECORD_HEAD_SIZE},
};

const OBJECT: u64 = 0x100;
const THING: u64 = 0x110;

/// A writer with `Object`, and `Thing { Object a; int b }`, in an open segment.
fn with_classes() -> DumpWriter {
    let mut writer = DumpWriter::new(DumpOptions::default());
    writer.utf8(1, b"java/lang/Object").utf8(2, b"Thing").utf8(3, b"a").utf8(4, b"b");
    writer.load_class(1, OBJECT, 1).load_class(2, THING, 2).trace(1, 0, &[]);
    writer.class_dump(&ClassDump { id: OBJECT, ..ClassDump::default() });
    writer.class_dump(&ClassDump {
        id: THING,
        super_id: OBJECT,
        instance_size: 12,
        fields: &[(3, BasicType::Object), (4, BasicType::Int)],
        ..ClassDump::default()
    });
    writer
}

/// The values of a `Thing`.
fn thing(a: u64) -> [Value; 2] {
    [Value::Object(a), Value::Int(1)]
}

/// Nothing but a header: valid, and empty.
#[must_use]
pub fn header_only() -> Dump {
    DumpWriter::new(DumpOptions::default()).finish()
}

/// A dump that ends after a whole segment without `HEAP_DUMP_END`.
#[must_use]
pub fn no_end() -> Dump {
    with_classes().instance(0x200, THING, &thing(0)).root(Root::Unknown { object: 0x200 }).finish()
}

/// A segment with an unknown sub-record (0x77) after two classes and the object 0x200. What follows
/// in that segment cannot be read and is not among the expected objects; the next segment, with the
/// object 0x220 and a root to it, can.
#[must_use]
pub fn unknown_subrecord() -> Dump {
    let mut writer = with_classes();
    writer.instance(0x200, THING, &thing(0x220));
    writer.raw_subrecord(0x77, &[0x21; 40]).end_segment();
    writer.instance(0x220, THING, &thing(0)).root(Root::Unknown { object: 0x220 });
    writer.heap_dump_end().finish()
}

/// The object 0x200 twice, first with the field `a` null, then pointing to itself.
#[must_use]
pub fn duplicate_object() -> Dump {
    let mut writer = with_classes();
    writer.instance(0x200, THING, &thing(0)).instance(0x200, THING, &thing(0x200));
    writer.heap_dump_end().finish()
}

/// The object 0x200 whose class 0x990 is in no record.
#[must_use]
pub fn missing_class() -> Dump {
    with_classes().instance(0x200, 0x990, &thing(0)).heap_dump_end().finish()
}

/// Two `Thing`s whose payload is not the sum of their fields: 0x200 is 4 bytes short, 0x210 has
/// 8 bytes too many.
#[must_use]
pub fn payload_mismatch() -> Dump {
    let mut writer = with_classes();
    writer.instance(0x200, THING, &[Value::Object(0x210)]);
    writer.instance(0x210, THING, &[Value::Object(0), Value::Int(1), Value::Long(2)]);
    writer.heap_dump_end().finish()
}

/// Classes 0x120 and 0x130, each the superclass of the other, and an instance of each.
#[must_use]
pub fn cyclic_supers() -> Dump {
    let mut writer = with_classes();
    for (id, super_id) in [(0x120, 0x130), (0x130, 0x120)] {
        let fields = [(3, BasicType::Object)];
        writer.class_dump(&ClassDump { id, super_id, fields: &fields, ..ClassDump::default() });
    }
    for (id, class) in [(0x200, 0x120), (0x210, 0x130)] {
        writer.instance(id, class, &[Value::Object(0), Value::Object(id)]);
    }
    writer.heap_dump_end().finish()
}

/// A class 0x120 with a field of the type 3, which does not exist. Its record and the rest of its
/// segment cannot be read: neither is among the expected objects.
#[must_use]
pub fn bad_field_type() -> Dump {
    let mut body = Encoder::new(IdSize::Eight);
    body.id(0x120);
    body.u4(1);
    body.id(OBJECT);
    (0..5).for_each(|_| body.id(0));
    body.u4(4);
    // No constants, no statics, one field.
    for count in [0, 0, 1] {
        body.u2(count);
    }
    body.id(3);
    body.u1(3);
    let mut writer = with_classes();
    writer.raw_subrecord(0x20, &body.bytes).end_segment();
    writer.instance(0x200, THING, &thing(0)).heap_dump_end().finish()
}

/// The last segment says it is one byte longer than the file is (eclipse-jifa/jifa#159). The
/// missing byte belongs to its last object, 0x210, which is not expected; the rest is.
#[must_use]
pub fn record_one_byte_short() -> Dump {
    let mut dump = with_classes()
        .instance(0x200, THING, &thing(0x210))
        .instance(0x210, THING, &thing(0))
        .finish();
    dump.bytes.pop();
    dump.objects.pop();
    dump.boundaries.pop();
    let end = dump.bytes.len() as u64;
    dump.boundaries.iter_mut().for_each(|part| part.end = part.end.min(end));
    dump
}

/// A last record of an unknown tag whose length, 4,294,967,280, is negative to a careless reader
/// and leads far past the end of the file.
#[must_use]
pub fn length_over_i32() -> Dump {
    let mut dump = with_classes().instance(0x200, THING, &thing(0)).raw_record(0x7e, &[]).finish();
    let length_place = dump.bytes.len() - RECORD_HEAD_SIZE + LENGTH_PLACE;
    dump.bytes[length_place..].copy_from_slice(&[0xff, 0xff, 0xff, 0xf0]);
    dump
}

/// An array 0x200 whose element count runs past the end of its segment (and, multiplied in 32 bits,
/// would seem to fit); it is not expected, the object 0x210 of the next segment is.
#[must_use]
pub fn subrecord_past_segment() -> Dump {
    let mut body = Encoder::new(IdSize::Eight);
    body.id(0x200);
    body.u4(1);
    body.u4(0x2000_0001);
    body.id(OBJECT);
    body.id(0x210);
    let mut writer = with_classes();
    writer.raw_subrecord(0x22, &body.bytes).end_segment();
    writer.instance(0x210, THING, &thing(0)).heap_dump_end().finish()
}

/// Strings as JDK 8 writes them: `char[] value; int hash`. Strings 0x200 "é€" over array 0x210,
/// and 0x220 whose array 0x230 is empty.
#[must_use]
pub fn jdk8_strings() -> Dump {
    let mut writer = DumpWriter::new(DumpOptions::default());
    writer.utf8(1, b"java/lang/Object").utf8(2, b"java/lang/String").utf8(3, b"[C");
    writer.utf8(4, b"value").utf8(5, b"hash");
    writer.load_class(1, OBJECT, 1).load_class(2, 0x110, 2).load_class(3, 0x120, 3);
    writer.class_dump(&ClassDump { id: OBJECT, ..ClassDump::default() });
    writer.class_dump(&ClassDump { id: 0x120, super_id: OBJECT, ..ClassDump::default() });
    writer.class_dump(&ClassDump {
        id: 0x110,
        super_id: OBJECT,
        instance_size: 12,
        fields: &[(4, BasicType::Object), (5, BasicType::Int)],
        ..ClassDump::default()
    });
    writer.instance(0x200, 0x110, &thing(0x210)).instance(0x220, 0x110, &thing(0x230));
    writer.primitive_array(0x210, BasicType::Char, &[Value::Char(0xe9), Value::Char(0x20ac)]);
    writer.primitive_array(0x230, BasicType::Char, &[]);
    writer.heap_dump_end().finish()
}
