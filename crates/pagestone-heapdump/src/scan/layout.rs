//! The heads of records and sub-records as they lie in a dump: big-endian, without padding.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    big_endian::{I32, U16, U32, U64},
};

/// An identifier of the size that the header states.
pub(super) trait Id: FromBytes + Immutable + KnownLayout + Unaligned + Copy {
    /// Its bytes.
    const SIZE: u8;

    fn get(&self) -> u64;
}

/// 4 bytes: 32-bit JVMs and Android.
pub(super) type Id4 = U32;
/// 8 bytes: 64-bit JVMs.
pub(super) type Id8 = U64;

impl Id for Id4 {
    const SIZE: u8 = 4;

    #[inline]
    fn get(&self) -> u64 {
        u64::from(U32::get(*self))
    }
}

impl Id for Id8 {
    const SIZE: u8 = 8;

    #[inline]
    fn get(&self) -> u64 {
        U64::get(*self)
    }
}

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RecordHead {
    pub(super) tag: u8,
    pub(super) micros: U32,
    pub(super) body_len: U32,
}
const _: () = assert!(size_of::<RecordHead>() == 9);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct LoadClassBody<I> {
    pub(super) serial: U32,
    pub(super) class_id: I,
    pub(super) trace_serial: U32,
    pub(super) name_id: I,
}
const _: () = assert!(size_of::<LoadClassBody<Id8>>() == 24);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FrameBody<I> {
    pub(super) id: I,
    pub(super) method_name_id: I,
    pub(super) signature_id: I,
    pub(super) source_id: I,
    pub(super) class_serial: U32,
    pub(super) line: I32,
}
const _: () = assert!(size_of::<FrameBody<Id8>>() == 40);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct TraceHead {
    pub(super) serial: U32,
    pub(super) thread_serial: U32,
    pub(super) frame_count: U32,
}
const _: () = assert!(size_of::<TraceHead>() == 12);

/// What follows the id of a root that names a thread.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RootNumbers {
    pub(super) thread_serial: U32,
    pub(super) number: U32,
}
const _: () = assert!(size_of::<RootNumbers>() == 8);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct InstanceHead<I> {
    pub(super) id: I,
    pub(super) trace_serial: U32,
    pub(super) class_id: I,
    pub(super) payload_len: U32,
}
const _: () = assert!(size_of::<InstanceHead<Id8>>() == 24);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ObjectArrayHead<I> {
    pub(super) id: I,
    pub(super) trace_serial: U32,
    pub(super) element_count: U32,
    pub(super) class_id: I,
}
const _: () = assert!(size_of::<ObjectArrayHead<Id8>>() == 24);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct PrimitiveArrayHead<I> {
    pub(super) id: I,
    pub(super) trace_serial: U32,
    pub(super) element_count: U32,
    pub(super) element_type: u8,
}
const _: () = assert!(size_of::<PrimitiveArrayHead<Id8>>() == 17);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ClassHead<I> {
    pub(super) id: I,
    pub(super) trace_serial: U32,
    pub(super) super_id: I,
    pub(super) loader_id: I,
    pub(super) signers_id: I,
    pub(super) protection_domain_id: I,
    pub(super) reserved: [I; 2],
    pub(super) instance_size: U32,
}
const _: () = assert!(size_of::<ClassHead<Id8>>() == 64);

#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ConstantHead {
    pub(super) index: U16,
    pub(super) value_type: u8,
}
const _: () = assert!(size_of::<ConstantHead>() == 3);

/// A field: of a class with its value behind it, of an instance without.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FieldHead<I> {
    pub(super) name_id: I,
    pub(super) value_type: u8,
}
const _: () = assert!(size_of::<FieldHead<Id8>>() == 9);

/// The number of constants, static fields or fields.
pub(super) type Count = U16;

/// The number of a thread.
pub(super) type Serial = U32;
