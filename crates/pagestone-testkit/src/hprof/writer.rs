//! Owns the record level of a hand-made dump: header, records, segments and their boundaries.

mod subrecord; // roots, classes, objects
mod records; // the contents of records with many fields

pub use self::{
    records::{AllocSite, AllocSites, CpuSample, Frame, HeapSummary, ThreadStart},
    subrecord::ClassDump,
};

use super::{
    Boundary, BoundaryKind, Dump, DumpObject, IdSize, Root, SegmentStyle, Version,
    encode::{Encoder, count_u4},
};

/// Bytes of a record before its body.
pub(super) const RECORD_HEAD_SIZE: usize = 9;

/// Where in a record its length stands.
pub(super) const LENGTH_PLACE: usize = 5;

/// What the header of a dump says.
#[derive(Debug, Clone, Copy)]
pub struct DumpOptions {
    /// Bytes of an id.
    pub id_size: IdSize,
    /// The version in the header text.
    pub version: Version,
    /// The record that carries sub-records.
    pub segments: SegmentStyle,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self {
            id_size: IdSize::Eight,
            version: Version::V102,
            segments: SegmentStyle::Segments,
            timestamp_ms: 1_700_000_000_123,
        }
    }
}

/// Writes a dump into memory, record by record, and remembers what a reader must find.
///
/// A sub-record opens a segment when none is open; a record closes the open one. Nothing else is
/// checked, so that odd dumps can be written too. A mistake of the test panics: an id wider than
/// its size, a count over its field, values of a wrong type.
#[derive(Debug)]
pub struct DumpWriter {
    options: DumpOptions,
    encoder: Encoder,
    elapsed_micros: u32,
    open_segment: Option<OpenRecord>,
    boundaries: Vec<Boundary>,
    objects: Vec<DumpObject>,
    roots: Vec<Root>,
}

impl DumpWriter {
    /// A dump that holds its header.
    #[must_use]
    pub fn new(options: DumpOptions) -> Self {
        let mut encoder = Encoder::new(options.id_size);
        encoder.bytes(options.version.text().as_bytes());
        encoder.u1(0);
        encoder.u4(options.id_size.bytes());
        encoder.u8(options.timestamp_ms);
        let header = Boundary { kind: BoundaryKind::Header, tag: 0, start: 0, end: encoder.len() };
        Self {
            options,
            encoder,
            elapsed_micros: 0,
            open_segment: None,
            boundaries: vec![header],
            objects: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// Sets the time field of the records that follow; 0 at first.
    pub fn set_elapsed_micros(&mut self, micros: u32) -> &mut Self {
        self.elapsed_micros = micros;
        self
    }

    /// Opens a segment, closing an open one. Closed at once, it has length 0.
    pub fn begin_segment(&mut self) -> &mut Self {
        self.end_segment();
        let tag = match self.options.segments {
            SegmentStyle::Single => 0x0c,
            SegmentStyle::Segments => 0x1c,
        };
        self.open_segment = Some(self.begin_record(tag));
        self
    }

    /// Closes the open segment, if any.
    pub fn end_segment(&mut self) -> &mut Self {
        if let Some(segment) = self.open_segment.take() {
            self.end_record(&segment);
        }
        self
    }

    /// `HEAP_DUMP_END` (0x2C).
    pub fn heap_dump_end(&mut self) -> &mut Self {
        self.record(0x2c, |_| {})
    }

    /// A record of any tag with any body.
    pub fn raw_record(&mut self, tag: u8, body: &[u8]) -> &mut Self {
        self.record(tag, |out| out.bytes(body))
    }

    /// The finished dump; the writer starts over with an empty file of the same header.
    pub fn finish(&mut self) -> Dump {
        self.end_segment();
        let done = std::mem::replace(self, Self::new(self.options));
        Dump {
            bytes: done.encoder.bytes,
            boundaries: done.boundaries,
            objects: done.objects,
            roots: done.roots,
        }
    }

    fn record(&mut self, tag: u8, body: impl FnOnce(&mut Encoder)) -> &mut Self {
        self.end_segment();
        let open = self.begin_record(tag);
        body(&mut self.encoder);
        self.end_record(&open);
        self
    }

    fn begin_record(&mut self, tag: u8) -> OpenRecord {
        let open = OpenRecord { boundary: self.boundaries.len(), start: self.encoder.bytes.len() };
        let start = self.encoder.len();
        self.boundaries.push(Boundary { kind: BoundaryKind::Record, tag, start, end: start });
        self.encoder.u1(tag);
        self.encoder.u4(self.elapsed_micros);
        self.encoder.u4(0);
        open
    }

    fn end_record(&mut self, open: &OpenRecord) {
        let body_len = count_u4(self.encoder.bytes.len() - open.start - RECORD_HEAD_SIZE);
        self.encoder.patch_u4(open.start + LENGTH_PLACE, body_len);
        self.boundaries[open.boundary].end = self.encoder.len();
    }
}

/// A record whose end is not known yet.
#[derive(Debug)]
struct OpenRecord {
    /// Its index in the boundaries.
    boundary: usize,
    start: usize,
}
