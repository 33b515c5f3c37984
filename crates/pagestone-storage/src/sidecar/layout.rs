//! What the bytes of `NAME.meta` mean.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::mem::offset_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

use crate::field::{ByteOrder, Field, Kind};

pub(crate) const MAGIC: [u8; 8] = *b"PGSTMETA";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_SIZE: usize = 256;

/// Most fields of a stored order.
pub(crate) const ORDER_FIELDS_MAX: usize = 8;

/// An in-place sort has begun and not ended.
pub(crate) const FLAG_SORTING: u32 = 1;
/// A schema fingerprint was given.
pub(crate) const FLAG_FINGERPRINT: u32 = 2;

/// See docs/format.md, "Sidecar header".
#[derive(Debug, Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SidecarHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U32,
    pub(crate) record_size: U32,
    pub(crate) record_count: U64,
    pub(crate) fingerprint: U64,
    pub(crate) flags: U32,
    pub(crate) order_count: U32,
    pub(crate) block_records: U64,
    pub(crate) checksums_offset: U64,
    pub(crate) checksums_len: U64,
    pub(crate) accelerator_offset: U64,
    pub(crate) accelerator_len: U64,
    pub(crate) checksums_crc: U32,
    pub(crate) accelerator_crc: U32,
    pub(crate) accelerated: StoredField,
    pub(crate) order: [StoredField; ORDER_FIELDS_MAX],
    pub(crate) ends_crc: U32,
    pub(crate) accelerator_form: U32,
    pub(crate) reserved: [u8; 48], // written as zero, rejected otherwise
    pub(crate) checksum: U32,      // CRC-32 of the 252 bytes before it
}

const _: () = assert!(
    size_of::<SidecarHeader>() == HEADER_SIZE
        && offset_of!(SidecarHeader, accelerated) == 88
        && offset_of!(SidecarHeader, ends_crc) == 196
        && offset_of!(SidecarHeader, accelerator_form) == 200
        && offset_of!(SidecarHeader, checksum) == 252
);

/// See docs/format.md, "Stored field".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct StoredField {
    pub(crate) offset: U32,
    pub(crate) size: U32,
    pub(crate) kind: u8,
    pub(crate) byte_order: u8,
    pub(crate) reserved: [u8; 2], // written as zero, rejected otherwise
}

const _: () = assert!(size_of::<StoredField>() == 12 && offset_of!(StoredField, kind) == 8);

/// The kinds in the order of their codes, from 1; 13 is a byte string.
const KINDS: [Kind; 12] = [
    Kind::U8,
    Kind::I8,
    Kind::U16,
    Kind::I16,
    Kind::U32,
    Kind::I32,
    Kind::U64,
    Kind::I64,
    Kind::U128,
    Kind::I128,
    Kind::F32,
    Kind::F64,
];
const KIND_BYTES: u8 = 13;

impl StoredField {
    pub(crate) const NONE: Self =
        Self { offset: U32::ZERO, size: U32::ZERO, kind: 0, byte_order: 0, reserved: [0; 2] };

    pub(crate) fn encode(field: Field) -> Self {
        let kind = (1..).zip(KINDS).find(|&(_, kind)| kind == field.kind());
        Self {
            offset: field.offset().into(),
            size: field.size().into(),
            kind: kind.map_or(KIND_BYTES, |(code, _)| code),
            byte_order: match field.byte_order() {
                ByteOrder::Little => 0,
                ByteOrder::Big => 1,
            },
            reserved: [0; 2],
        }
    }

    /// The field, if the bytes mean one.
    pub(crate) fn decode(&self) -> Option<Field> {
        let kind = match self.kind {
            KIND_BYTES => Kind::Bytes(self.size.get()),
            code => *KINDS.get(usize::from(code.checked_sub(1)?))?,
        };
        let order = match self.byte_order {
            0 => ByteOrder::Little,
            1 => ByteOrder::Big,
            _ => return None,
        };
        let is_whole = kind.size() == self.size.get() && self.reserved == [0; 2];
        is_whole.then(|| Field::new(self.offset.get(), kind).order(order))
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, KINDS, Kind, StoredField};
    use crate::field::ByteOrder;

    #[test]
    fn fields_come_back() {
        for kind in KINDS.into_iter().chain([Kind::Bytes(20)]) {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let field = Field::new(7, kind).order(order);
                assert_eq!(StoredField::encode(field).decode(), Some(field));
            }
        }
        assert_eq!(StoredField::NONE.decode(), None);
        let odd = StoredField { byte_order: 2, ..StoredField::encode(Field::new(0, Kind::U8)) };
        assert_eq!(odd.decode(), None);
    }
}
