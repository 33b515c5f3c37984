//! Java heap dumps (HPROF binary) made for tests: small ones by hand, big ones by seed.
//!
//! [`DumpWriter`] writes any sequence of records and remembers where each begins and ends and what
//! objects a reader must find; [`tiny`] and its neighbours are ready-made dumps of that kind.
//! [`generate_dump`] streams a dump of any size that looks like a real heap.
//!
//! ```
//! use pagestone_testkit::hprof::{ClassDump, DumpOptions, DumpWriter, Root};
//!
//! let mut writer = DumpWriter::new(DumpOptions::default());
//! writer.utf8(1, b"java/lang/Object").load_class(1, 0x100, 1);
//! writer.class_dump(&ClassDump { id: 0x100, ..ClassDump::default() });
//! writer.instance(0x200, 0x100, &[]).root(Root::Unknown { object: 0x200 });
//! let dump = writer.heap_dump_end().finish();
//! assert_eq!(dump.objects().len(), 2);
//! ```

mod model; // words: sizes, types, values, roots
mod dump; // a finished dump and the expected answers
mod encode; // numbers and values to bytes
mod writer; // records and sub-records
mod tiny; // the small valid dump with nearly everything in it
mod odd; // small dumps, each with one peculiarity or fault
mod generator; // big realistic dumps
mod gzip; // the same bytes, compressed

pub use self::{
    dump::{Boundary, BoundaryKind, Dump, DumpObject, ObjectKind},
    generator::{ClassCount, GeneratedSummary, GeneratorOptions, generate_dump},
    gzip::{gzip, gzip_members},
    model::{BasicType, IdSize, Root, SegmentStyle, Value, Version},
    odd::{
        bad_field_type, cyclic_supers, duplicate_object, header_only, jdk8_strings,
        length_over_i32, missing_class, no_end, payload_mismatch, record_one_byte_short,
        subrecord_past_segment, unknown_subrecord,
    },
    tiny::{ids, tiny},
    writer::{
        AllocSite, AllocSites, ClassDump, CpuSample, DumpOptions, DumpWriter, Frame, HeapSummary,
        ThreadStart,
    },
};
