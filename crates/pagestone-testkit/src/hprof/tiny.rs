//! Owns the small valid dump that holds nearly everything the format allows.

mod heap; // its classes, objects and roots

use super::{
    AllocSite, AllocSites, CpuSample, Dump, DumpOptions, DumpWriter, Frame, HeapSummary, IdSize,
    SegmentStyle, ThreadStart, Version,
};

/// The ids of [`tiny`].
pub mod ids {
    /// `java/lang/Object`.
    pub const OBJECT: u64 = 0x1000;
    /// `java/lang/Class`.
    pub const CLASS: u64 = 0x1010;
    /// `java/lang/String`.
    pub const STRING: u64 = 0x1020;
    /// `demo/Base` extends `Object`: `int shadowed; Object next`.
    pub const BASE: u64 = 0x1030;
    /// `demo/Middle` extends `Base`: `long shadowed`.
    pub const MIDDLE: u64 = 0x1040;
    /// `demo/Leaf` extends `Middle`: `Object shadowed`, then one field of each primitive type;
    /// statics and constants of every type.
    pub const LEAF: u64 = 0x1050;
    /// `demo/Late` extends `Base`, no fields; its record follows its instances.
    pub const LATE: u64 = 0x1060;
    /// `[Ljava/lang/Object;`.
    pub const OBJECT_ARRAY: u64 = 0x1070;
    /// `[[Ljava/lang/Object;`.
    pub const OBJECT_ARRAY_2: u64 = 0x1080;
    /// `[[I`.
    pub const INT_ARRAY_2: u64 = 0x1090;
    /// The classes of the primitive arrays, `[Z` first, 0x10 apart, in the order of the type codes.
    pub const PRIMITIVE_ARRAYS: u64 = 0x1100;

    /// A plain `Object` that is the loader of `Leaf`.
    pub const LOADER: u64 = 0x2000;
    /// Two more, its signers and its protection domain.
    pub const SIGNERS: u64 = 0x2010;
    /// See [`SIGNERS`].
    pub const DOMAIN: u64 = 0x2020;
    /// A `Leaf` with a value in every field; `next` is [`BASE_OBJECT`].
    pub const LEAF_FULL: u64 = 0x2030;
    /// A `Leaf` with all fields 0 or null.
    pub const LEAF_ZERO: u64 = 0x2040;
    /// A `Base` whose `next` is [`ABSENT`].
    pub const BASE_OBJECT: u64 = 0x2050;
    /// A `Middle` whose `next` is itself.
    pub const MIDDLE_OBJECT: u64 = 0x2060;
    /// Two instances of `Late`, the second at `+ 0x10`; its `next` is the first.
    pub const LATE_OBJECTS: u64 = 0x2070;
    /// The mirror `int.class`, an instance of `Class`.
    pub const INT_MIRROR: u64 = 0x2090;
    /// An `Object[]` with null, a class, an object twice and an absent one.
    pub const ARRAY: u64 = 0x20a0;
    /// An empty `Object[]`.
    pub const ARRAY_EMPTY: u64 = 0x20b0;
    /// An `Object[][]` of [`ARRAY`], [`ARRAY_EMPTY`] and null.
    pub const ARRAY_OF_ARRAYS: u64 = 0x20c0;
    /// An `int[][]` of the `int[]` among [`PRIMITIVES`] and of the empty one.
    pub const INTS_OF_INTS: u64 = 0x20d0;
    /// An array with two elements of each primitive type, 0x10 apart in the order of the codes.
    pub const PRIMITIVES: u64 = 0x2100;
    /// An empty array of each primitive type, likewise.
    pub const PRIMITIVES_EMPTY: u64 = 0x2200;
    /// `String` "hello" in Latin-1, array at `+ 0x08`.
    pub const STRING_LATIN: u64 = 0x2300;
    /// `String` "h\u{e9}\u{20ac}" in little-endian UTF-16, array at `+ 0x08`.
    pub const STRING_WIDE: u64 = 0x2310;
    /// A second `String` over the array of [`STRING_LATIN`].
    pub const STRING_SHARED: u64 = 0x2320;
    /// A `String` equal to [`STRING_LATIN`], array of its own at `+ 0x08`.
    pub const STRING_EQUAL: u64 = 0x2330;
    /// A `String` whose `value` is null.
    pub const STRING_NULL: u64 = 0x2340;
    /// In version 1.0.3 only: a `short[7]` without elements.
    pub const ANDROID_ARRAY: u64 = 0x2400;
    /// In no dump.
    pub const ABSENT: u64 = 0x9990;

    /// An `Object` with the top bit of its id set: at least 2^63 for 8-byte ids.
    #[must_use]
    pub const fn high(id_size: super::IdSize) -> u64 {
        match id_size {
            super::IdSize::Four => 0xffff_1000,
            super::IdSize::Eight => 0xffff_8000_0000_1000,
        }
    }
}

/// String ids begin where object ids do: equal numbers of the two kinds mean different things.
const FIRST_STRING: u64 = ids::LOADER;

/// Every text of the dump. The last ones are odd on purpose: NUL as two bytes, a character outside
/// the BMP as two surrogates, nothing, and bytes that are no text at all.
const TEXTS: [&[u8]; 40] = [
    b"java/lang/Object",
    b"java/lang/Class",
    b"java/lang/String",
    b"demo/Base",
    b"demo/Middle",
    b"demo/Leaf",
    b"demo/Late",
    b"[Ljava/lang/Object;",
    b"[[Ljava/lang/Object;",
    b"[[I",
    b"[Z",
    b"[C",
    b"[F",
    b"[D",
    b"[B",
    b"[S",
    b"[I",
    b"[J",
    b"value",
    b"coder",
    b"hash",
    b"hashIsZero",
    b"shadowed",
    b"next",
    b"flag",
    b"letter",
    b"ratio",
    b"amount",
    b"small",
    b"medium",
    b"count",
    b"total",
    b"main",
    b"()V",
    b"Leaf.java",
    b"system",
    b"nul\xc0\x80inside",
    b"face \xed\xa0\xbd\xed\xb8\x80",
    b"",
    b"\xff\xfe\x80",
];

/// The string id of a text of the dump; of another text, one that no record defines.
fn symbol(text: &str) -> u64 {
    let index = TEXTS.iter().position(|known| *known == text.as_bytes());
    FIRST_STRING + index.unwrap_or(TEXTS.len()) as u64
}

/// The classes in the order of their records, with their names.
fn class_names() -> impl Iterator<Item = (u64, &'static str)> {
    let plain = [
        (ids::OBJECT, "java/lang/Object"),
        (ids::CLASS, "java/lang/Class"),
        (ids::STRING, "java/lang/String"),
        (ids::BASE, "demo/Base"),
        (ids::MIDDLE, "demo/Middle"),
        (ids::LEAF, "demo/Leaf"),
        (ids::LATE, "demo/Late"),
        (ids::OBJECT_ARRAY, "[Ljava/lang/Object;"),
        (ids::OBJECT_ARRAY_2, "[[Ljava/lang/Object;"),
        (ids::INT_ARRAY_2, "[[I"),
    ];
    let arrays = ["[Z", "[C", "[F", "[D", "[B", "[S", "[I", "[J"];
    let arrays = arrays.into_iter().zip((ids::PRIMITIVE_ARRAYS..).step_by(0x10));
    plain.into_iter().chain(arrays.map(|(name, id)| (id, name)))
}

/// A valid dump of some 5 kB with nearly everything the format allows; [`ids`] names its objects.
///
/// Every record and every root of the version; array classes announced twice, with different
/// serials; three levels of classes with a field of the same name on each; every basic type as
/// static, constant and field; classes after their instances; several segments, an empty one and
/// records between them (in version 1.0.1 one `HEAP_DUMP` record instead and no end record);
/// strings of both coders, equal and shared ones; references and roots to absent objects, repeated
/// roots, a root of 0; two records of unknown tag; ids with the top bit set; odd texts; a record
/// time that is not 0.
#[must_use]
pub fn tiny(id_size: IdSize, version: Version) -> Dump {
    let segments = match version {
        Version::V101 => SegmentStyle::Single,
        Version::V102 | Version::V103 => SegmentStyle::Segments,
    };
    let options = DumpOptions { id_size, version, segments, ..DumpOptions::default() };
    let mut writer = DumpWriter::new(options);
    names(&mut writer);
    stacks(&mut writer);
    statistics(&mut writer);
    writer.set_elapsed_micros(1_234_567).raw_record(0x7e, b"unknown, to be skipped");
    writer.set_elapsed_micros(0);
    heap::write(&mut writer, &options);
    if options.segments == SegmentStyle::Segments {
        writer.heap_dump_end();
    }
    writer.raw_record(0xf0, &[]).finish()
}

fn names(writer: &mut DumpWriter) {
    for (id, text) in (FIRST_STRING..).zip(TEXTS) {
        writer.utf8(id, text);
    }
    for (serial, (class, name)) in (1..).zip(class_names()) {
        writer.load_class(serial, class, symbol(name));
    }
    for (serial, (class, name)) in (101..).zip(class_names()) {
        if name.starts_with('[') {
            writer.load_class(serial, class, symbol(name));
        }
    }
    writer.load_class(200, ids::ABSENT, symbol("demo/Base")).unload_class(200);
}

fn stacks(writer: &mut DumpWriter) {
    let base = Frame {
        id: 1,
        method_name: symbol("main"),
        method_signature: symbol("()V"),
        source_file: symbol("Leaf.java"),
        class_serial: 6,
        line: 42,
    };
    writer.trace(1, 0, &[]).frame(&base);
    for (id, line) in [(2, -1), (3, -2), (4, -3)] {
        writer.frame(&Frame { id, line, source_file: 0, class_serial: 108, ..base });
    }
    writer.trace(2, 1, &[1, 2, 3, 4]).trace(3, 2, &[2]);
    writer.start_thread(&ThreadStart {
        thread_serial: 1,
        thread_object: ids::LOADER,
        trace_serial: 2,
        name: symbol("main"),
        group_name: symbol("system"),
        parent_group_name: 0,
    });
    writer.end_thread(2);
}

fn statistics(writer: &mut DumpWriter) {
    let totals = HeapSummary {
        live_bytes: 4_000_000_000,
        live_instances: 3,
        allocated_bytes: 1 << 40,
        allocated_instances: 1 << 33,
    };
    let site =
        AllocSite { array_type: 8, class_serial: 15, trace_serial: 2, ..AllocSite::default() };
    let sites = [site, AllocSite { live_bytes: 7, allocated_instances: 9, ..site }];
    writer.alloc_sites(&AllocSites { flags: 1, cutoff: 2, totals, sites: &sites });
    writer.heap_summary(totals);
    let samples = [CpuSample { samples: 5, trace_serial: 2 }, CpuSample::default()];
    writer.cpu_samples(5, &samples).control_settings(3, 8);
}
