//! The records of an index as they lie in its files; see docs/format.md, "Heap-dump index".
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::{mem::offset_of, ops::Range};

use bytemuck::{Pod, Zeroable};
use pagestone_index::Record;
use pagestone_storage::le::{U32, U64, U128};

/// One object while an index is built. See docs/format.md, "Found record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct FoundRecord {
    pub(crate) id: U64,
    pub(crate) value_offset: U64,
    pub(crate) payload_len: U32,
    pub(crate) class_and_kind: U32, // as in `FormRecord`
}
const _: () = assert!(size_of::<FoundRecord>() == 24 && align_of::<FoundRecord>() == 1);
const _: () = assert!(offset_of!(FoundRecord, class_and_kind) == 20);

/// What many objects have in common. See docs/format.md, "Form record".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct FormRecord {
    pub(crate) class_and_kind: U32, // class ordinal in the low 28 bits, kind above
    pub(crate) payload_len: U32,    // where it is always the same
    pub(crate) unit: u8,            // else payloads are a number of these; 0 where it is the same
    pub(crate) lead: u8,
}
const _: () = assert!(size_of::<FormRecord>() == 10 && align_of::<FormRecord>() == 1);
const _: () = assert!(offset_of!(FormRecord, lead) == 9);

/// The ids of up to 64 objects. See docs/format.md, "Id block record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct IdBlockRecord {
    pub(crate) first_id: U64,
    pub(crate) place: U64, // first word in the low 48 bits, then shift, then width
}
const _: () = assert!(size_of::<IdBlockRecord>() == 16 && offset_of!(IdBlockRecord, place) == 8);

/// One root. See docs/format.md, "Root record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct RootRecord {
    pub(crate) object: U32,
    pub(crate) thread_serial: U32,
    pub(crate) number: U32,
    pub(crate) tag: u8,
}
const _: () = assert!(size_of::<RootRecord>() == 13 && offset_of!(RootRecord, tag) == 12);

/// One root while an index is built. See docs/format.md, "Found root record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct FoundRootRecord {
    pub(crate) id: U64,
    pub(crate) thread_serial: U32,
    pub(crate) number: U32,
    pub(crate) tag: u8,
}
const _: () = assert!(size_of::<FoundRootRecord>() == 17 && offset_of!(FoundRootRecord, tag) == 16);

/// One value of strings. See docs/format.md, "String record".
#[derive(Debug, Clone, Copy, Pod, Zeroable, Record)]
#[repr(C)]
pub(crate) struct StringRecord {
    #[index(canonical)]
    pub(crate) fingerprint: U64,
    pub(crate) object: U32,
    pub(crate) end: U32,
}
const _: () = assert!(size_of::<StringRecord>() == 16 && offset_of!(StringRecord, end) == 12);

/// One string while an index is built. See docs/format.md, "Found string record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct FoundStringRecord {
    pub(crate) fingerprint: U128,
    pub(crate) object: U32,
}
const _: () = assert!(size_of::<FoundStringRecord>() == 20);

/// One class. See docs/format.md, "Class record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ClassRecord {
    pub(crate) id: U64,
    pub(crate) super_id: U64,
    pub(crate) loader_id: U64,
    pub(crate) dump_offset: U64,
    pub(crate) instance_count: U64,
    pub(crate) payload_len: U64,
    pub(crate) name_offset: U64,
    pub(crate) name_len: U32,
    pub(crate) name_rank: U32,
    pub(crate) instance_size: U32,
    pub(crate) origin: U32, // bits: 1 loaded, 2 dumped, 4 primitive array
}
const _: () = assert!(size_of::<ClassRecord>() == 72 && align_of::<ClassRecord>() == 1);
const _: () = assert!(offset_of!(ClassRecord, name_len) == 56);

/// The classes in two orders. See docs/format.md, "Class order record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ClassOrderRecord {
    pub(crate) by_id: U32,
    pub(crate) by_name: U32,
}
const _: () = assert!(size_of::<ClassOrderRecord>() == 8 && align_of::<ClassOrderRecord>() == 1);

/// One `UTF8` record of the dump. See docs/format.md, "Symbol record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct SymbolRecord {
    pub(crate) id: U64,
    pub(crate) text_offset: U64,
    pub(crate) text_len: U32,
}
const _: () = assert!(size_of::<SymbolRecord>() == 20 && align_of::<SymbolRecord>() == 1);

/// More classes do not fit a form record.
pub(crate) const CLASS_COUNT_MAX: u32 = 1 << ORDINAL_BITS;

const ORDINAL_BITS: u32 = 28;
const ORDINAL_MASK: u32 = 0x0fff_ffff;

/// What kind an object is, as its form says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KindCode {
    Class,
    Instance,
    ObjectArray,
    PrimitiveArray,
}

impl KindCode {
    const fn code(self) -> u32 {
        match self {
            Self::Class => 1,
            Self::Instance => 2,
            Self::ObjectArray => 3,
            Self::PrimitiveArray => 4,
        }
    }
}

impl TryFrom<u32> for KindCode {
    type Error = u32;

    fn try_from(code: u32) -> Result<Self, u32> {
        match code {
            1 => Ok(Self::Class),
            2 => Ok(Self::Instance),
            3 => Ok(Self::ObjectArray),
            4 => Ok(Self::PrimitiveArray),
            other => Err(other),
        }
    }
}

/// One stack trace. See docs/format.md, "Trace record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TraceRecord {
    pub(crate) block: U64,
    pub(crate) serial: U32,
    pub(crate) thread_serial: U32,
}
const _: () = assert!(size_of::<TraceRecord>() == 16 && offset_of!(TraceRecord, serial) == 8);

/// Objects are numbered below this: two numbers above stand for no object.
pub(crate) const OBJECT_COUNT_MAX: u32 = NONE - 1;

/// In the place of an object's ordinal: no object.
pub(crate) const NONE: u32 = u32::MAX;

/// In the place of an immediate dominator: nothing but the roots together.
pub(crate) const ROOTS: u32 = u32::MAX - 1;

/// Packs a class ordinal, below [`CLASS_COUNT_MAX`], and a kind.
pub(crate) const fn pack_class(ordinal: u32, kind: KindCode) -> U32 {
    U32::new(ordinal & ORDINAL_MASK | kind.code() << ORDINAL_BITS)
}

impl FoundRecord {
    pub(crate) const fn class_ordinal(&self) -> u32 {
        self.class_and_kind.get() & ORDINAL_MASK
    }

    /// The kind, or the code that is none.
    pub(crate) fn kind(&self) -> Result<KindCode, u32> {
        KindCode::try_from(self.class_and_kind.get() >> ORDINAL_BITS)
    }
}

impl FormRecord {
    pub(crate) const fn class_ordinal(&self) -> u32 {
        self.class_and_kind.get() & ORDINAL_MASK
    }

    /// The kind, or the code that is none.
    pub(crate) fn kind(&self) -> Result<KindCode, u32> {
        KindCode::try_from(self.class_and_kind.get() >> ORDINAL_BITS)
    }
}

/// How many objects a block packs.
pub(crate) const OBJECT_BLOCK_LEN: usize = 64;

/// How many ids a block packs.
pub(crate) const ID_BLOCK_LEN: usize = 64;

impl IdBlockRecord {
    /// Packs where the words of a block begin, how many low bits were left out, and how many
    /// bits an id has; none where there are too many words.
    pub(crate) fn new(first_id: u64, word: u64, (shift, width): (u8, u8)) -> Option<Self> {
        let [b0, b1, b2, b3, b4, b5, 0, 0] = word.to_le_bytes() else { return None };
        let place = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, shift, width]).into();
        Some(Self { first_id: first_id.into(), place })
    }

    /// The words of the block; none where there cannot be as many.
    pub(crate) fn words(&self) -> Option<Range<usize>> {
        let (first, _, width) = self.place();
        let first = usize::try_from(first).ok()?;
        Some(first..first.checked_add(usize::from(width))?)
    }

    /// The first word, the shift and the width.
    pub(crate) const fn place(&self) -> (u64, u8, u8) {
        let [b0, b1, b2, b3, b4, b5, shift, width] = self.place.get().to_le_bytes();
        (u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0]), shift, width)
    }
}

/// Where a class is known from: the bits of [`ClassRecord::origin`].
pub(crate) mod origin {
    /// A `LOAD_CLASS` record names it.
    pub(crate) const LOADED: u32 = 1;
    /// A `CLASS_DUMP` describes it.
    pub(crate) const DUMPED: u32 = 2;
    /// It stands for all arrays of one primitive type.
    pub(crate) const PRIMITIVE_ARRAY: u32 = 4;
}
