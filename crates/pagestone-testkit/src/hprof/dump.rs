//! Owns a finished dump: its bytes, where its parts lie and which objects a reader must find.

use super::{BasicType, Root};

/// What a [`Boundary`] encloses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundaryKind {
    /// The file header; its tag is 0.
    Header,
    /// A record with its 9 bytes of head.
    Record,
    /// A sub-record with its type byte.
    SubRecord,
}

/// Where a part of the dump begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// The kind of part.
    pub kind: BoundaryKind,
    /// The tag of the record or the type byte of the sub-record.
    pub tag: u8,
    /// Offset of the first byte: the tag.
    pub start: u64,
    /// Offset after the last byte.
    pub end: u64,
}

/// The kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A class object (`CLASS_DUMP`).
    Class,
    /// An instance of a class.
    Instance,
    /// An array of references.
    ObjectArray,
    /// An array of the given type; Android's array without elements (0xC3) too.
    PrimitiveArray(BasicType),
}

/// What a reader must find about one object.
///
/// `payload_len` and `value_offset` follow the truth file `mvn_version.truth.json`, all 41 samples
/// of which were compared with its dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpObject {
    /// The object's id.
    pub id: u64,
    /// Its kind.
    pub kind: ObjectKind,
    /// The class of an instance, the array class of an object array, 0 for the others.
    pub class_id: u64,
    /// Bytes of field values or elements as stored; for a class, bytes of its static field values.
    /// 0 for 0xC3, which stores no elements.
    pub payload_len: u64,
    /// Offset in the (unpacked) file of the first value or element, also where there is none;
    /// for a class, whose values do not lie together, of its id, the byte after the type byte.
    pub value_offset: u64,
}

/// A finished dump with the expected answers of a reader.
#[derive(Debug, Clone)]
pub struct Dump {
    pub(super) bytes: Vec<u8>,
    pub(super) boundaries: Vec<Boundary>,
    pub(super) objects: Vec<DumpObject>,
    pub(super) roots: Vec<Root>,
}

impl Dump {
    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file, taken out.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Every part by its start; a segment comes before its sub-records.
    #[must_use]
    pub fn boundaries(&self) -> &[Boundary] {
        &self.boundaries
    }

    /// Every readable object and class in file order, repeated ids included.
    #[must_use]
    pub fn objects(&self) -> &[DumpObject] {
        &self.objects
    }

    /// Every readable root in file order, repeated, null and absent ones included.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The first part with this kind and tag.
    #[must_use]
    pub fn find(&self, kind: BoundaryKind, tag: u8) -> Option<Boundary> {
        self.boundaries.iter().copied().find(|part| part.kind == kind && part.tag == tag)
    }

    /// The objects that a reader must find in the first `cut` bytes.
    pub fn objects_before(&self, cut: u64) -> impl Iterator<Item = &DumpObject> {
        let parts = self.boundaries.iter().filter(|part| {
            part.kind == BoundaryKind::SubRecord && matches!(part.tag, 0x20..=0x23 | 0xc3)
        });
        parts.zip(&self.objects).filter(move |(part, _)| part.end <= cut).map(|(_, object)| object)
    }

    /// Where a reader of the first `cut` bytes, header and more, must say that they stop: the part
    /// that the cut goes through, or the cut itself. None where the heap is complete.
    #[must_use]
    pub fn stop_of(&self, cut: u64) -> Option<u64> {
        let through = |kind| {
            let mut parts = self.boundaries.iter();
            parts.find(|part| part.kind == kind && part.start < cut && cut < part.end)
        };
        if let Some(part) = through(BoundaryKind::SubRecord) {
            return Some(part.start);
        }
        if let Some(record) = through(BoundaryKind::Record) {
            let in_segment = matches!(record.tag, 0x0c | 0x1c) && record.start + 9 <= cut;
            return Some(if in_segment { cut } else { record.start });
        }
        let end = self.find(BoundaryKind::Record, 0x2c).or(self.find(BoundaryKind::Record, 0x0c))?;
        Some(cut).filter(|&cut| cut < end.end)
    }
}
