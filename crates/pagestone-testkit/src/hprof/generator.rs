//! Owns big realistic dumps: the order of their parts, and the summary a reader must agree with.

mod random; // numbers by seed
mod addresses; // the id of the object at a position
mod catalog; // the classes and their fields
mod sink; // buffered records and segments
mod preamble; // symbols, classes, stacks: what comes before the objects
mod objects; // the objects, and references between them
mod roots; // what comes after them

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use self::{
    addresses::Addresses, catalog::Catalog, objects::ObjectStream, preamble::Preamble,
    random::Random, sink::Sink,
};

/// What dump to generate.
#[derive(Debug, Clone, Copy)]
pub struct GeneratorOptions {
    /// Bytes of the file to aim at. From 1 MB on it is met within 1 %; the smallest dump
    /// has some 80 kB.
    pub target_len: u64,
    /// Same seed and length, same bytes.
    pub seed: u64,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        Self { target_len: 50_000_000, seed: 1 }
    }
}

/// The instances of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// The id of the class object; of a primitive array's class too, which its arrays do not name.
    pub class_id: u64,
    /// Instances or arrays of exactly this class.
    pub instances: u64,
    /// Bytes of their fields or elements as stored.
    pub payload_len: u64,
}

/// What a reader must find in a generated dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeneratedSummary {
    /// Every class by its name as stored (`java/lang/String`, `[B`), also without instances.
    /// Names are unique.
    pub classes: BTreeMap<String, ClassCount>,
    /// `UTF8` records.
    pub utf8_count: u64,
    /// `LOAD_CLASS` records; array classes have two.
    pub load_class_count: u64,
    /// `CLASS_DUMP` sub-records.
    pub class_count: u64,
    /// `INSTANCE_DUMP` sub-records.
    pub instance_count: u64,
    /// `OBJECT_ARRAY_DUMP` sub-records.
    pub object_array_count: u64,
    /// `PRIMITIVE_ARRAY_DUMP` sub-records.
    pub primitive_array_count: u64,
    /// Root sub-records. Several can name one object; each names one that exists.
    pub root_count: u64,
    /// Fields and elements that name an object absent from the dump.
    pub dangling_count: u64,
    /// Segments.
    pub segment_count: u64,
    /// Bytes of the file.
    pub file_len: u64,
}

/// Streams a dump that looks like a heap of `HotSpot` 17 to `out`: symbols, classes, stacks, class
/// records, objects in nearly ascending order of their ids, roots, end record; ids of 8 bytes.
///
/// A quarter of the objects are strings, a quarter their byte arrays; the rest are map nodes,
/// arrays, boxed numbers and instances of up to 2,000 classes with inheritance. About 1 % of
/// neighbours descend in id. References lead to earlier and later objects; some 1 in 4,096 lead
/// nowhere. Segments close at 1 MiB; every 64 MB an array is bigger than that and has a segment of
/// its own. Memory stays at a few MiB whatever the length; 550 MB take about one
/// CPU-second in release builds.
///
/// # Errors
///
/// Those of `out`.
pub fn generate_dump(
    options: &GeneratorOptions,
    mut out: impl Write,
) -> io::Result<GeneratedSummary> {
    generate(options, &mut out)
}

fn generate(options: &GeneratorOptions, out: &mut dyn Write) -> io::Result<GeneratedSummary> {
    let preamble = Preamble::new(options);
    let catalog = Catalog::new(preamble.class_count, options.seed);
    let addresses = Addresses::new(options, preamble.class_count);
    let mut sink = Sink::new(out);

    preamble.write(&catalog, &addresses, &mut sink)?;
    let mut stream = ObjectStream::new(&catalog, &addresses, Random::new(options.seed));
    stream.class_dumps(&mut sink)?;
    let end = options.target_len.saturating_sub(roots::trailer_len(&catalog));
    stream.objects(&mut sink, end)?;
    let root_count = roots::write(&stream, &mut sink)?;

    let segment_count = sink.segment_count();
    let file_len = sink.finish()?;
    let mut summary = GeneratedSummary {
        utf8_count: preamble.symbol_count,
        load_class_count: catalog.load_class_count(),
        class_count: catalog.classes().len() as u64,
        root_count,
        dangling_count: stream.dangling_count(),
        segment_count,
        file_len,
        ..GeneratedSummary::default()
    };
    for (index, class) in catalog.classes().iter().enumerate() {
        let (instances, payload_len) = stream.count(index);
        let class_id = addresses.class(index);
        let count = ClassCount { class_id, instances, payload_len };
        summary.classes.insert(class.name.clone(), count);
        match class.name.as_bytes() {
            [b'[', b'L' | b'[', ..] => summary.object_array_count += instances,
            [b'[', ..] => summary.primitive_array_count += instances,
            _ => summary.instance_count += instances,
        }
    }
    Ok(summary)
}
