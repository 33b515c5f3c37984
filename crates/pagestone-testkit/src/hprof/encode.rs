//! Owns how numbers, ids and values become bytes.

#![expect(clippy::big_endian_bytes, reason = "the HPROF format is big-endian")]

use super::{IdSize, Value};

/// A growing buffer that knows the size of an id.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
    id_size: IdSize,
}

impl Encoder {
    pub(super) fn new(id_size: IdSize) -> Self {
        Self { bytes: Vec::new(), id_size }
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn u1(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u2(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u4(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u8(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// An id; one wider than the size of ids is a mistake of the test and panics.
    pub(super) fn id(&mut self, id: u64) {
        match self.id_size {
            IdSize::Eight => self.u8(id),
            IdSize::Four => {
                let narrow = u32::try_from(id);
                assert!(narrow.is_ok(), "id {id:#x} does not fit into 4 bytes");
                self.u4(narrow.unwrap_or(0));
            }
        }
    }

    pub(super) fn value(&mut self, value: Value) {
        match value {
            Value::Object(id) => self.id(id),
            Value::Boolean(truth) => self.u1(u8::from(truth)),
            Value::Char(unit) => self.u2(unit),
            Value::Float(number) => self.u4(number.to_bits()),
            Value::Double(number) => self.u8(number.to_bits()),
            Value::Byte(number) => self.u1(number.cast_unsigned()),
            Value::Short(number) => self.u2(number.cast_unsigned()),
            Value::Int(number) => self.u4(number.cast_unsigned()),
            Value::Long(number) => self.u8(number.cast_unsigned()),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a length that became known late over its place.
    pub(super) fn patch_u4(&mut self, offset: usize, value: u32) {
        self.bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    }
}

/// A count or length as the format stores it; more than fits is a mistake of the test and panics.
pub(super) fn count_u4(count: usize) -> u32 {
    let narrow = u32::try_from(count);
    assert!(narrow.is_ok(), "{count} does not fit into 4 bytes");
    narrow.unwrap_or(0)
}

/// The same for the two-byte counts of a class.
pub(super) fn count_u2(count: usize) -> u16 {
    let narrow = u16::try_from(count);
    assert!(narrow.is_ok(), "{count} does not fit into 2 bytes");
    narrow.unwrap_or(0)
}
