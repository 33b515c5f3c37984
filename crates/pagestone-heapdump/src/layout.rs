//! The records of an index as they lie in its files; see docs/format.md, "Heap-dump index".
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::mem::offset_of;

use bytemuck::{Pod, Zeroable};
use pagestone_storage::le::{U32, U64};

/// One object. See docs/format.md, "Object record".
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ObjectRecord {
    pub(crate) id: U64,
    pub(crate) value_offset: U64,
    pub(crate) payload_len: U32,
    pub(crate) class_and_kind: U32, // class ordinal in the low 28 bits, kind above
}
const _: () = assert!(size_of::<ObjectRecord>() == 24 && align_of::<ObjectRecord>() == 1);
const _: () = assert!(offset_of!(ObjectRecord, class_and_kind) == 20);

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

/// More classes do not fit an object record.
pub(crate) const CLASS_COUNT_MAX: u32 = 1 << ORDINAL_BITS;

const ORDINAL_BITS: u32 = 28;
const ORDINAL_MASK: u32 = 0x0fff_ffff;

/// What kind an object is, as its record says it.
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

impl ObjectRecord {
    /// Packs a class ordinal, below [`CLASS_COUNT_MAX`], and a kind.
    pub(crate) const fn pack(ordinal: u32, kind: KindCode) -> U32 {
        U32::new(ordinal & ORDINAL_MASK | kind.code() << ORDINAL_BITS)
    }

    pub(crate) const fn class_ordinal(&self) -> u32 {
        self.class_and_kind.get() & ORDINAL_MASK
    }

    /// The kind, or the code that is none.
    pub(crate) fn kind(&self) -> Result<KindCode, u32> {
        KindCode::try_from(self.class_and_kind.get() >> ORDINAL_BITS)
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
