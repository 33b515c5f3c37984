//! What is kept of classes and stacks in blocks: how the bytes of a block are read and written.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::{class_dump::FieldType, varint};

/// Names of the stores in the region file.
pub(crate) mod store {
    /// The interner of field, method, signature and file names.
    pub(crate) const NAMES: &str = "names";
    /// Blocks with the fields of classes.
    pub(crate) const LAYOUTS: &str = "layouts";
    /// Blocks with stack traces.
    pub(crate) const TRACES: &str = "traces";
}

/// In the place of a block's id: no block.
pub(crate) const NO_BLOCK: u64 = u64::MAX;

/// A field: the bits of the symbol of its name, its type, and of a static field its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredField {
    pub(crate) name: u32,
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
            varint::push(into, u64::from(field.name));
            into.push(field.field_type.code());
        }
        varint::push(into, count(self.statics.len()));
        for field in &self.statics {
            varint::push(into, u64::from(field.name));
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
    let name = u32::try_from(varint::take(bytes)?).ok()?;
    let (&code, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(StoredField { name, field_type: FieldType::from_code(code)?, value: 0 })
}

/// A frame of a stack trace. Names are the bits of symbols, 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredFrame {
    pub(crate) method: u32,
    pub(crate) signature: u32,
    pub(crate) source: u32,
    /// One more than the class ordinal, 0 where the class is unknown.
    pub(crate) class: u32,
    pub(crate) line: i32,
}

/// Appends the bytes of the block of a stack trace.
pub(crate) fn encode_frames(frames: &[StoredFrame], into: &mut Vec<u8>) {
    varint::push(into, count(frames.len()));
    for frame in frames {
        for number in [frame.method, frame.signature, frame.source, frame.class] {
            varint::push(into, u64::from(number));
        }
        varint::push(into, varint::fold(i64::from(frame.line)));
    }
}

/// Reads the bytes of a block; none where they are no stack trace.
pub(crate) fn decode_frames(mut bytes: &[u8]) -> Option<Vec<StoredFrame>> {
    let mut frames = Vec::new();
    let number = |bytes: &mut &[u8]| u32::try_from(varint::take(bytes)?).ok();
    for _ in 0..varint::take(&mut bytes)? {
        frames.push(StoredFrame {
            method: number(&mut bytes)?,
            signature: number(&mut bytes)?,
            source: number(&mut bytes)?,
            class: number(&mut bytes)?,
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
    use super::{StoredField, StoredFrame, StoredLayout, decode_frames, encode_frames};
    use crate::{class_dump::FieldType, format::Primitive};

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
