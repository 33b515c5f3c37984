//! What a `CLASS_DUMP` says of a class: what it refers to, its static fields, the fields of its
//! instances.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::{
    error::{Error, Result},
    format::Primitive,
    pages::Pages,
};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Reference,
    Primitive(Primitive),
}

impl FieldType {
    /// The type that the code of a dump stands for.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        if code == 2 {
            return Some(Self::Reference);
        }
        Primitive::from_code(code).map(Self::Primitive)
    }

    /// The code of the type in a dump.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Reference => 2,
            Self::Primitive(primitive) => primitive.code(),
        }
    }

    /// Bytes of a value.
    pub(crate) fn size(self, id_size: u8) -> u8 {
        match self {
            Self::Reference => id_size,
            Self::Primitive(primitive) => primitive.size(),
        }
    }
}

/// A field of instances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldFacts {
    pub(crate) name_id: u64,
    pub(crate) field_type: FieldType,
}

/// A static field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StaticFacts {
    pub(crate) name_id: u64,
    pub(crate) field_type: FieldType,
    /// The bits of its value, those of a short type low.
    pub(crate) value: u64,
}

/// A `CLASS_DUMP`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassDump {
    pub(crate) super_id: u64,
    /// Super, loader, signers, protection domain.
    pub(crate) relatives: [u64; 4],
    pub(crate) statics: Vec<StaticFacts>,
    pub(crate) fields: Vec<FieldFacts>,
}

/// Reads one part after the other.
struct Cursor<'p> {
    pages: &'p mut Pages,
    offset: u64,
    id_size: u8,
}

impl Cursor<'_> {
    fn number(&mut self, size: u8) -> Result<u64> {
        let bytes = self.pages.bytes(self.offset, usize::from(size))?;
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        self.offset = self.offset.saturating_add(u64::from(size));
        Ok(number)
    }

    fn id(&mut self) -> Result<u64> {
        self.number(self.id_size)
    }

    fn skip(&mut self, len: u64) {
        self.offset = self.offset.saturating_add(len);
    }

    fn field_type(&mut self) -> Result<FieldType> {
        let code = self.number(1)?;
        let known = u8::try_from(code).ok().and_then(FieldType::from_code);
        known.ok_or_else(|| Error::corrupt(self.pages.path(), "type of a field", ("a type", code)))
    }
}

/// Reads the `CLASS_DUMP` whose id lies at `offset`.
///
/// # Errors
///
/// `Truncated` and `Corrupt` where the scan saw other bytes; `Io`.
pub(crate) fn read(pages: &mut Pages, offset: u64, id_size: u8) -> Result<ClassDump> {
    let mut cursor = Cursor { pages, offset, id_size };
    cursor.id()?;
    // The number of a stack trace.
    cursor.skip(4);
    let mut class = ClassDump::default();
    for relative in &mut class.relatives {
        *relative = cursor.id()?;
    }
    [class.super_id, ..] = class.relatives;
    // Two reserved ids and the instance size.
    cursor.skip(u64::from(id_size).saturating_mul(2).saturating_add(4));
    for _ in 0..cursor.number(2)? {
        cursor.skip(2);
        let size = cursor.field_type()?.size(id_size);
        cursor.skip(u64::from(size));
    }
    for _ in 0..cursor.number(2)? {
        let name_id = cursor.id()?;
        let field_type = cursor.field_type()?;
        let value = cursor.number(field_type.size(id_size))?;
        class.statics.push(StaticFacts { name_id, field_type, value });
    }
    for _ in 0..cursor.number(2)? {
        let name_id = cursor.id()?;
        class.fields.push(FieldFacts { name_id, field_type: cursor.field_type()? });
    }
    Ok(class)
}
