//! What the bytes of a recorded table mean; see docs/format.md, "Table of a map".
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

/// The first bytes of a recorded table.
pub(crate) const TABLE_MAGIC: [u8; 8] = *b"PGSTABLE";
/// The version of its format.
pub(crate) const TABLE_VERSION: u32 = 1;
/// Bytes of cells that have a checksum together.
pub(crate) const TABLE_PAGE: usize = 4096;

/// See docs/format.md, "Table header".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct TableHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U32,
    pub(crate) page_size: U32,
    pub(crate) seed: U64,
    pub(crate) incarnation: U64,
    pub(crate) sequence: U64,
    pub(crate) entries: U64,
    pub(crate) cells: U64,
    pub(crate) reserved: U32, // written as zero, rejected otherwise
    pub(crate) checksum: U32, // CRC-32 of the bytes before it, the shards and the page checksums
}
const _: () = assert!(size_of::<TableHeader>() == 64);

/// See docs/format.md, "Table shard".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct TableShard {
    pub(crate) homes: U64,
    pub(crate) cells: U64,
    pub(crate) entries: U64,
}
const _: () = assert!(size_of::<TableShard>() == 24);
