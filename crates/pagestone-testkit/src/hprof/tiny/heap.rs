//! Owns the classes, objects and roots of the small valid dump.

use super::{
    super::{BasicType, ClassDump, DumpOptions, DumpWriter, Root, SegmentStyle, Value, Version},
    class_names, ids, symbol,
};

/// The fields of `Leaf` after the shadowing one, one of each primitive type.
const LEAF_FIELDS: [(&str, BasicType); 8] = [
    ("flag", BasicType::Boolean),
    ("letter", BasicType::Char),
    ("ratio", BasicType::Float),
    ("amount", BasicType::Double),
    ("small", BasicType::Byte),
    ("medium", BasicType::Short),
    ("count", BasicType::Int),
    ("total", BasicType::Long),
];

/// Two values of each primitive type in the order of the codes.
const PAIRS: [[Value; 2]; 8] = [
    [Value::Boolean(true), Value::Boolean(false)],
    [Value::Char(0x20ac), Value::Char(0xd83d)],
    [Value::Float(1.5), Value::Float(f32::NEG_INFINITY)],
    [Value::Double(-2.25), Value::Double(f64::NAN)],
    [Value::Byte(-1), Value::Byte(i8::MAX)],
    [Value::Short(-2), Value::Short(i16::MAX)],
    [Value::Int(-3), Value::Int(i32::MAX)],
    [Value::Long(-4), Value::Long(i64::MIN)],
];

/// Writes the heap: in segments, or all in one where the options say so.
pub(super) fn write(writer: &mut DumpWriter, options: &DumpOptions) {
    let cut = |writer: &mut DumpWriter| {
        if options.segments == SegmentStyle::Segments {
            writer.end_segment();
        }
    };
    plain_classes(writer, options);
    leaf_class(writer, options);
    array_classes(writer);
    cut(writer);
    instances(writer, options);
    cut(writer);
    if options.segments == SegmentStyle::Segments {
        writer.begin_segment().end_segment();
        writer.raw_record(0x7f, b"between segments");
    }
    arrays(writer);
    strings(writer);
    // The class of the instances written above.
    writer.class_dump(&ClassDump {
        id: ids::LATE,
        super_id: ids::BASE,
        instance_size: 4 + options.id_size.bytes(),
        ..ClassDump::default()
    });
    if options.version == Version::V103 {
        android(writer);
    }
    cut(writer);
    roots(writer);
}

fn plain_classes(writer: &mut DumpWriter, options: &DumpOptions) {
    let id_size = options.id_size.bytes();
    writer.class_dump(&ClassDump { id: ids::OBJECT, ..ClassDump::default() });
    writer.class_dump(&ClassDump { id: ids::CLASS, super_id: ids::OBJECT, ..ClassDump::default() });
    writer.class_dump(&ClassDump {
        id: ids::STRING,
        super_id: ids::OBJECT,
        instance_size: id_size + 6,
        fields: &[
            (symbol("value"), BasicType::Object),
            (symbol("coder"), BasicType::Byte),
            (symbol("hash"), BasicType::Int),
            (symbol("hashIsZero"), BasicType::Boolean),
        ],
        ..ClassDump::default()
    });
    writer.class_dump(&ClassDump {
        id: ids::BASE,
        super_id: ids::OBJECT,
        instance_size: 4 + id_size,
        fields: &[(symbol("shadowed"), BasicType::Int), (symbol("next"), BasicType::Object)],
        ..ClassDump::default()
    });
    writer.class_dump(&ClassDump {
        id: ids::MIDDLE,
        super_id: ids::BASE,
        instance_size: 12 + id_size,
        fields: &[(symbol("shadowed"), BasicType::Long)],
        ..ClassDump::default()
    });
}

fn leaf_class(writer: &mut DumpWriter, options: &DumpOptions) {
    let objects = [
        Value::Object(0),
        Value::Object(ids::ARRAY),
        Value::Object(ids::ABSENT),
        Value::Object(ids::BASE),
    ];
    let values = objects.into_iter().chain(PAIRS.into_iter().flatten());
    let constant_pool: Vec<_> = (1..).zip(values.clone()).collect();
    // Two statics of one name, as `<resolved_references>` occurs after a redefinition.
    let statics: Vec<_> = values.map(|value| (symbol("value"), value)).collect();
    let own = [("shadowed", BasicType::Object)].into_iter().chain(LEAF_FIELDS);
    let fields: Vec<_> = own.map(|(name, basic_type)| (symbol(name), basic_type)).collect();
    writer.class_dump(&ClassDump {
        id: ids::LEAF,
        super_id: ids::MIDDLE,
        loader_id: ids::LOADER,
        signers_id: ids::SIGNERS,
        protection_domain_id: ids::DOMAIN,
        instance_size: 30 + 12 + 2 * options.id_size.bytes(),
        constant_pool: &constant_pool,
        statics: &statics,
        fields: &fields,
    });
}

fn array_classes(writer: &mut DumpWriter) {
    for (id, _) in class_names().filter(|(_, name)| name.starts_with('[')) {
        writer.class_dump(&ClassDump { id, super_id: ids::OBJECT, ..ClassDump::default() });
    }
}

fn instances(writer: &mut DumpWriter, options: &DumpOptions) {
    for id in [ids::LOADER, ids::SIGNERS, ids::DOMAIN, ids::high(options.id_size)] {
        writer.instance(id, ids::OBJECT, &[]);
    }
    let mut leaf = vec![Value::Object(ids::high(options.id_size))];
    leaf.extend(PAIRS.map(|[first, _]| first));
    leaf.extend([Value::Long(1 << 40), Value::Int(7), Value::Object(ids::BASE_OBJECT)]);
    writer.instance(ids::LEAF_FULL, ids::LEAF, &leaf);
    let zero = [
        Value::Object(0),
        Value::Boolean(false),
        Value::Char(0),
        Value::Float(0.0),
        Value::Double(0.0),
        Value::Byte(0),
        Value::Short(0),
        Value::Int(0),
        Value::Long(0),
        Value::Long(0),
        Value::Int(0),
        Value::Object(0),
    ];
    writer.instance(ids::LEAF_ZERO, ids::LEAF, &zero);
    let base = |next| [Value::Int(-1), Value::Object(next)];
    writer.instance(ids::BASE_OBJECT, ids::BASE, &base(ids::ABSENT));
    let middle = [Value::Long(2), Value::Int(3), Value::Object(ids::MIDDLE_OBJECT)];
    writer.instance(ids::MIDDLE_OBJECT, ids::MIDDLE, &middle);
    // Not in the order of their ids.
    writer.instance(ids::LATE_OBJECTS + 0x10, ids::LATE, &base(ids::LATE_OBJECTS));
    writer.instance(ids::LATE_OBJECTS, ids::LATE, &base(0));
    writer.instance(ids::INT_MIRROR, ids::CLASS, &[]);
}

fn arrays(writer: &mut DumpWriter) {
    let mixed = [0, ids::LEAF, ids::LEAF_FULL, ids::LEAF_FULL, ids::ABSENT];
    writer.object_array(ids::ARRAY, ids::OBJECT_ARRAY, &mixed);
    writer.object_array(ids::ARRAY_EMPTY, ids::OBJECT_ARRAY, &[]);
    let nested = [ids::ARRAY, ids::ARRAY_EMPTY, 0];
    writer.object_array(ids::ARRAY_OF_ARRAYS, ids::OBJECT_ARRAY_2, &nested);
    let ints = [ids::PRIMITIVES + 0x60, ids::PRIMITIVES_EMPTY + 0x60];
    writer.object_array(ids::INTS_OF_INTS, ids::INT_ARRAY_2, &ints);
    for (step, (basic_type, pair)) in (0..).zip(BasicType::PRIMITIVES.into_iter().zip(PAIRS)) {
        writer.primitive_array(ids::PRIMITIVES + 0x10 * step, basic_type, &pair);
        writer.primitive_array(ids::PRIMITIVES_EMPTY + 0x10 * step, basic_type, &[]);
    }
}

fn strings(writer: &mut DumpWriter) {
    let string = |writer: &mut DumpWriter, id, (array, coder)| {
        let (hash, hash_is_zero) = (Value::Int(0), Value::Boolean(false));
        let values = [Value::Object(array), Value::Byte(coder), hash, hash_is_zero];
        writer.instance(id, ids::STRING, &values);
    };
    writer.byte_array(ids::STRING_LATIN + 8, b"hello");
    string(writer, ids::STRING_LATIN, (ids::STRING_LATIN + 8, 0));
    writer.byte_array(ids::STRING_WIDE + 8, b"h\0\xe9\0\xac\x20");
    string(writer, ids::STRING_WIDE, (ids::STRING_WIDE + 8, 1));
    string(writer, ids::STRING_SHARED, (ids::STRING_LATIN + 8, 0));
    string(writer, ids::STRING_EQUAL, (ids::STRING_EQUAL + 8, 0));
    writer.byte_array(ids::STRING_EQUAL + 8, b"hello");
    string(writer, ids::STRING_NULL, (0, 0));
}

fn android(writer: &mut DumpWriter) {
    writer.android_heap(1, symbol("system"));
    writer.primitive_array_without_elements(ids::ANDROID_ARRAY, BasicType::Short, 7);
    let object = ids::LEAF_ZERO;
    for root in [
        Root::InternedString { object: ids::STRING_LATIN },
        Root::Finalizing { object },
        Root::Debugger { object },
        Root::ReferenceCleanup { object },
        Root::VmInternal { object },
        Root::JniMonitor { object, thread_serial: 1, frame: 0 },
        Root::Unreachable { object },
    ] {
        writer.root(root);
    }
}

fn roots(writer: &mut DumpWriter) {
    let (object, thread_serial) = (ids::LEAF_FULL, 1);
    for root in [
        Root::ThreadObject { object: ids::LOADER, thread_serial, trace_serial: 2 },
        Root::ThreadObject { object: 0, thread_serial: 2, trace_serial: 3 },
        Root::JavaFrame { object, thread_serial, frame: 1 },
        Root::JavaFrame { object, thread_serial, frame: 3 },
        Root::JniLocal { object, thread_serial, frame: u32::MAX },
        Root::JniGlobal { object: ids::ARRAY_OF_ARRAYS, reference: ids::ABSENT },
        Root::JniGlobal { object: ids::LATE, reference: 0x70 },
        Root::NativeStack { object: ids::MIDDLE_OBJECT, thread_serial },
        Root::StickyClass { object: ids::STRING },
        Root::StickyClass { object: ids::LATE },
        Root::ThreadBlock { object: ids::STRING_SHARED, thread_serial },
        Root::MonitorUsed { object: ids::INTS_OF_INTS },
        Root::Unknown { object: ids::ABSENT },
        Root::Unknown { object },
    ] {
        writer.root(root);
    }
}
