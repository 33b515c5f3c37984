//! What is kept of classes and stacks in blocks: how the bytes of a block are read and written.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::{class_dump::FieldType, varint};

/// Names of the stores in the region file.
pub(crate) mod store {
    /// The interner of short field, method, signature and file names.
    pub(crate) const NAMES: &str = "names";
    /// Blocks with long names, fields of classes and stack traces: one heap, as each takes 64 KiB.
    pub(crate) const BLOCKS: &str = "blocks";
}

/// In the place of a block's id: no block.
pub(crate) const NO_BLOCK: u64 = u64::MAX;

/// Bytes of every name in the interner. A slab has as many strings whatever their length, and one
/// for each length would be mostly vacant; so all are made as long as this, and longer names lie
/// in blocks.
const SHORT_LEN: usize = 48;

/// Stands behind a short name; no byte of UTF-8.
const PADDING: u8 = 0xff;

/// Where a name lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamePlace {
    /// The bits of its symbol.
    Short(u32),
    /// The bits of its block.
    Long(u64),
}

impl NamePlace {
    /// The number that names it, never 0; none for a block that no file has.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Short(symbol) => u64::from(symbol).checked_mul(2),
            Self::Long(block) => block.checked_mul(2)?.checked_add(1),
        }
    }

    /// The place that a number names, if it does.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        if number & 1 == 1 {
            return Some(Self::Long(number >> 1));
        }
        u32::try_from(number >> 1).ok().map(Self::Short)
    }
}

/// A name as the interner has it; none for one that is too long.
pub(crate) fn padded(name: &str) -> Option<[u8; SHORT_LEN]> {
    let mut padded = [PADDING; SHORT_LEN];
    padded.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(padded)
}

/// The bytes of a name from those in the interner.
pub(crate) fn unpadded(padded: &[u8]) -> &[u8] {
    let len = padded.iter().position(|&byte| byte == PADDING).unwrap_or(padded.len());
    padded.get(..len).unwrap_or(padded)
}

/// A field: the number of its name, its type, and of a static field its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredField {
    pub(crate) name: u64,
    pub(crate) field_type: FieldType,
    pub(crate) value: u64,
}

/// The fields of a class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StoredLayout {
    pub(crate) fields: Vec<StoredField>,
    pub(crate) statics: Vec<StoredField>,
}

impl StoredLayout {
    /// Appends the bytes of the block.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        varint::push(into, count(self.fields.len()));
        for field in &self.fields {
            varint::push(into, field.name);
            into.push(field.field_type.code());
        }
        varint::push(into, count(self.statics.len()));
        for field in &self.statics {
            varint::push(into, field.name);
            into.push(field.field_type.code());
            varint::push(into, field.value);
        }
    }

    /// Reads the bytes of a block; none where they are no layout.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut layout = Self::default();
        for _ in 0..varint::take(&mut bytes)? {
            layout.fields.push(field(&mut bytes)?);
        }
        for _ in 0..varint::take(&mut bytes)? {
            let named = field(&mut bytes)?;
            layout.statics.push(StoredField { value: varint::take(&mut bytes)?, ..named });
        }
        bytes.is_empty().then_some(layout)
    }
}

fn field(bytes: &mut &[u8]) -> Option<StoredField> {
    let name = varint::take(bytes)?;
    let (&code, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(StoredField { name, field_type: FieldType::from_code(code)?, value: 0 })
}

/// A frame of a stack trace. Names are numbers of places, 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredFrame {
    pub(crate) method: u64,
    pub(crate) signature: u64,
    pub(crate) source: u64,
    /// One more than the class ordinal, 0 where the class is unknown.
    pub(crate) class: u32,
    pub(crate) line: i32,
}

/// Appends the bytes of the block of a stack trace.
pub(crate) fn encode_frames(frames: &[StoredFrame], into: &mut Vec<u8>) {
    varint::push(into, count(frames.len()));
    for frame in frames {
        for number in [frame.method, frame.signature, frame.source, u64::from(frame.class)] {
            varint::push(into, number);
        }
        varint::push(into, varint::fold(i64::from(frame.line)));
    }
}

/// Reads the bytes of a block; none where they are no stack trace.
pub(crate) fn decode_frames(mut bytes: &[u8]) -> Option<Vec<StoredFrame>> {
    let mut frames = Vec::new();
    for _ in 0..varint::take(&mut bytes)? {
        frames.push(StoredFrame {
            method: varint::take(&mut bytes)?,
            signature: varint::take(&mut bytes)?,
            source: varint::take(&mut bytes)?,
            class: u32::try_from(varint::take(&mut bytes)?).ok()?,
            line: i32::try_from(varint::unfold(varint::take(&mut bytes)?)).ok()?,
        });
    }
    bytes.is_empty().then_some(frames)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        NamePlace, StoredField, StoredFrame, StoredLayout, decode_frames, encode_frames, padded,
        unpadded,
    };
    use crate::{class_dump::FieldType, format::Primitive};

    #[test]
    fn names_come_back() {
        for len in 0..=48 {
            let name: String = "αx".chars().cycle().take(len * 2 / 3).collect();
            assert_eq!(unpadded(&padded(&name).unwrap()), name.as_bytes());
        }
        assert_eq!(padded(&"x".repeat(49)), None);
        for place in [NamePlace::Short(1), NamePlace::Short(u32::MAX), NamePlace::Long(1 << 62)] {
            assert_eq!(NamePlace::from_number(place.number().unwrap()), Some(place));
        }
        assert_eq!(NamePlace::Long(1 << 63).number(), None);
        assert_eq!(NamePlace::from_number(1 << 40), None);
    }

    #[test]
    fn layouts_and_frames_come_back_and_nothing_else_is_one() {
        let field = StoredField { name: 7, field_type: FieldType::Reference, value: 0 };
        let value = StoredField {
            name: 1 << 20,
            field_type: FieldType::Primitive(Primitive::Long),
            value: u64::MAX,
        };
        let layout = StoredLayout { fields: vec![field; 3], statics: vec![value] };
        let mut bytes = Vec::new();
        layout.encode(&mut bytes);
        assert_eq!(StoredLayout::decode(&bytes), Some(layout));
        let frame = StoredFrame { method: 1, signature: 2, source: 0, class: 9, line: -3 };
        let mut stack = Vec::new();
        encode_frames(&[frame; 2], &mut stack);
        assert_eq!(decode_frames(&stack), Some(vec![frame; 2]));
        for cut in 0..bytes.len() {
            assert_eq!(StoredLayout::decode(&bytes[..cut]), None);
        }
        for cut in 0..stack.len() {
            assert_eq!(decode_frames(&stack[..cut]), None);
        }
    }
}
