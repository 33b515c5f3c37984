//! What a `java.lang.String` says: where its characters lie in the dump, read and compared there.
//!
//! Two strings are the same when their characters are, however they are stored. Each has a
//! fingerprint of 128 bits, of one byte for each character where all have one, else of two.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

use crate::{
    class_dump::FieldType,
    error::Result,
    format::Primitive,
    pages::{PAGE_LEN, Pages},
};

/// The class whose instances are strings.
pub(crate) const CLASS_NAME: &str = "java.lang.String";

/// Seeds of the fingerprints, so that bytes mean one string.
const NARROW: u64 = 1;
const WIDE: u64 = 2;

/// Where in an instance the parts of a string lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StringShape {
    /// The array of characters.
    value: Option<u32>,
    /// 0 for one byte to a character; JDK 9 and later.
    coder: Option<u32>,
    /// The first character in the array and how many; before JDK 7.
    first: Option<u32>,
    count: Option<u32>,
    id_size: u8,
}

impl StringShape {
    /// The shape given by the fields of the class, in order.
    pub(crate) fn new<'f>(
        fields: impl IntoIterator<Item = (&'f str, FieldType)>,
        id_size: u8,
    ) -> Self {
        let mut shape = Self { id_size, ..Self::default() };
        let mut offset = 0_u32;
        for (name, field_type) in fields {
            let place = match (name, field_type) {
                ("value", FieldType::Reference) => Some(&mut shape.value),
                ("coder", FieldType::Primitive(Primitive::Byte)) => Some(&mut shape.coder),
                ("offset", FieldType::Primitive(Primitive::Int)) => Some(&mut shape.first),
                ("count", FieldType::Primitive(Primitive::Int)) => Some(&mut shape.count),
                _ => None,
            };
            if let Some(place) = place {
                *place = Some(offset);
            }
            offset = offset.saturating_add(u32::from(field_type.size(id_size)));
        }
        shape
    }

    /// What an instance says, whose fields lie at an offset; none where a part is missing.
    #[inline]
    pub(crate) fn read(
        &self,
        pages: &mut Pages,
        (offset, payload_len): (u64, u32),
    ) -> Result<Option<StringParts>> {
        let Some(value) = self.value else { return Ok(None) };
        let mut part = |place: u32, size: u8| -> Result<Option<u64>> {
            if payload_len < place.saturating_add(u32::from(size)) {
                return Ok(None);
            }
            let at = offset.saturating_add(u64::from(place));
            let bytes = pages.bytes(at, usize::from(size))?;
            Ok(Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
        };
        let Some(array_id) = part(value, self.id_size)? else { return Ok(None) };
        let coder = match self.coder {
            Some(place) => part(place, 1)?.unwrap_or(0),
            None => 0,
        };
        let slice = match (self.first, self.count) {
            (Some(first), Some(count)) => part(first, 4)?.zip(part(count, 4)?),
            _ => None,
        };
        Ok(Some(StringParts { array_id, is_narrow: coder == 0, slice }))
    }
}

/// What the fields of a string say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StringParts {
    /// The id of its array, 0 for none.
    pub(crate) array_id: u64,
    is_narrow: bool,
    /// The first character and how many, where the array has others, too.
    slice: Option<(u64, u64)>,
}

/// An array of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CharArray {
    pub(crate) primitive: Primitive,
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// One byte.
    Narrow,
    /// Two bytes of a `byte[]`, in the order of the JVM's machine: the low one first.
    LowFirst,
    /// A `char` of the dump.
    HighFirst,
}

/// The characters of a string, as they lie in the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    offset: u64,
    /// Bytes; even where a character has two.
    len: u64,
    unit: Unit,
}

impl Text {
    /// The characters of a string whose array this is; none where it is no array of characters.
    pub(crate) fn new(parts: &StringParts, array: &CharArray) -> Option<Self> {
        let unit = match array.primitive {
            Primitive::Byte if parts.is_narrow => Unit::Narrow,
            Primitive::Byte => Unit::LowFirst,
            Primitive::Char => Unit::HighFirst,
            _ => return None,
        };
        let size = if unit == Unit::Narrow { 1_u64 } else { 2 };
        let all = u64::from(if unit == Unit::Narrow { array.len } else { array.len / 2 });
        let (first, count) = parts.slice.unwrap_or((0, all));
        let count = count.min(all.checked_sub(first)?);
        let offset = array.offset.saturating_add(first.saturating_mul(size));
        Some(Self { offset, len: count.saturating_mul(size), unit })
    }

    /// How many UTF-16 units it has.
    pub(crate) fn unit_count(&self) -> u64 {
        if self.unit == Unit::Narrow { self.len } else { self.len / 2 }
    }

    /// Calls `look` with all bytes, by pieces of at most a page.
    fn each(&self, pages: &mut Pages, mut look: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let mut done = 0;
        while done < self.len {
            let len = usize::try_from(self.len.saturating_sub(done)).unwrap_or(PAGE_LEN);
            let piece = pages.bytes(self.offset.saturating_add(done), len.min(PAGE_LEN))?;
            if piece.is_empty() || !look(piece) {
                break;
            }
            done = done.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// The units of a piece.
    fn units(self, piece: &[u8]) -> impl Iterator<Item = u16> + '_ {
        let size = if self.unit == Unit::Narrow { 1 } else { 2 };
        piece.chunks_exact(size).map(move |unit| match (self.unit, unit) {
            (Unit::LowFirst, &[low, high]) => u16::from_le_bytes([low, high]),
            (Unit::HighFirst, &[high, low]) => u16::from(high) << 8 | u16::from(low),
            (_, unit) => unit.first().copied().map_or(0, u16::from),
        })
    }

    /// The fingerprint of the characters.
    #[inline]
    pub(crate) fn fingerprint(&self, pages: &mut Pages) -> Result<u128> {
        if self.unit == Unit::Narrow {
            match usize::try_from(self.len) {
                Ok(len) if len <= PAGE_LEN => {
                    return Ok(xxh3_128_with_seed(pages.bytes(self.offset, len)?, NARROW));
                }
                _ => {}
            }
        }
        self.long_fingerprint(pages)
    }

    fn long_fingerprint(&self, pages: &mut Pages) -> Result<u128> {
        let mut is_narrow = true;
        if self.unit != Unit::Narrow {
            self.each(pages, |piece| {
                is_narrow = self.units(piece).all(|unit| unit < 0x100);
                is_narrow
            })?;
        }
        let mut state = Xxh3::with_seed(if is_narrow { NARROW } else { WIDE });
        let mut bytes = Vec::new();
        self.each(pages, |piece| {
            bytes.clear();
            for unit in self.units(piece) {
                let [low, high] = unit.to_le_bytes();
                bytes.push(low);
                if !is_narrow {
                    bytes.push(high);
                }
            }
            state.update(&bytes);
            true
        })?;
        Ok(state.digest128())
    }

    /// The first `limit` units as text, U+FFFD for what is none.
    pub(crate) fn read(&self, pages: &mut Pages, limit: u64) -> Result<String> {
        let mut units = Vec::new();
        let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
        self.each(pages, |piece| {
            let before = units.len();
            units.extend(self.units(piece).take(left));
            left = left.saturating_sub(units.len().saturating_sub(before));
            0 < left
        })?;
        let chars = char::decode_utf16(units);
        Ok(chars.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }

    /// Whether the characters are those of `text`.
    pub(crate) fn is(&self, pages: &mut Pages, text: &str) -> Result<bool> {
        let mut expected = text.encode_utf16();
        let mut is_same = true;
        self.each(pages, |piece| {
            is_same = self.units(piece).all(|unit| expected.next() == Some(unit));
            is_same
        })?;
        Ok(is_same && expected.next().is_none())
    }
}

/// The fingerprint of a text.
pub(crate) fn fingerprint_of(text: &str) -> u128 {
    if text.encode_utf16().all(|unit| unit < 0x100) {
        let bytes: Vec<u8> =
            text.encode_utf16().map(|unit| u8::try_from(unit).unwrap_or(0)).collect();
        return xxh3_128_with_seed(&bytes, NARROW);
    }
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    xxh3_128_with_seed(&bytes, WIDE)
}

/// The half of a fingerprint that the index keeps.
pub(crate) fn high_half(fingerprint: u128) -> u64 {
    u64::try_from(fingerprint >> 64).unwrap_or(0)
}
