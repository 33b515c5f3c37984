//! What a field of a record is: its offset, kind and byte order, and the order of its values.

use std::{fmt, str::FromStr};

mod value;

pub use value::Value;
pub(crate) use value::{Cut, Target};

use crate::error::{Error, Result};

/// What a field's bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Unsigned, 1 byte.
    U8,
    /// Two's complement, 1 byte.
    I8,
    /// Unsigned, 2 bytes.
    U16,
    /// Two's complement, 2 bytes.
    I16,
    /// Unsigned, 4 bytes.
    U32,
    /// Two's complement, 4 bytes.
    I32,
    /// Unsigned, 8 bytes.
    U64,
    /// Two's complement, 8 bytes.
    I64,
    /// Unsigned, 16 bytes.
    U128,
    /// Two's complement, 16 bytes.
    I128,
    /// IEEE 754, 4 bytes, in total order: negative NaNs first, `-0.0` before `0.0`, NaNs last.
    F32,
    /// IEEE 754, 8 bytes, in total order.
    F64,
    /// So many plain bytes, in lexicographic order.
    Bytes(u32),
}

impl Kind {
    /// Returns the bytes that a value of this kind takes.
    #[must_use]
    pub const fn size(self) -> u32 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::U128 | Self::I128 => 16,
            Self::Bytes(size) => size,
        }
    }

    const fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64 | Self::I128)
    }

    const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// The lowest bit that the kind's sign takes, or 0 for kinds without one.
    const fn sign_bit(self) -> u128 {
        if self.is_signed() || self.is_float() { 1 << (8 * self.size() - 1) } else { 0 }
    }
}

/// Which end of a number comes first in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ByteOrder {
    /// Low byte first; what this workspace writes.
    #[default]
    Little,
    /// High byte first; what Java's channels and network formats write.
    Big,
}

/// A field of a record: where it lies and what its bytes mean.
///
/// Written as text a field is `KIND[le|be]@OFFSET`, as in `u64le@8`, `i32be@0` or `bytes20@4`;
/// without an order the field is little-endian.
///
/// ```
/// use pagestone_storage::{ByteOrder, Field, Kind};
///
/// let field: Field = "u32be@4".parse()?;
/// assert_eq!(field, Field::new(4, Kind::U32).order(ByteOrder::Big));
/// assert_eq!(field.to_string(), "u32be@4");
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field {
    offset: u32,
    kind: Kind,
    order: ByteOrder,
}

impl Field {
    /// A little-endian field that starts `offset` bytes into the record.
    #[must_use]
    pub const fn new(offset: u32, kind: Kind) -> Self {
        Self { offset, kind, order: ByteOrder::Little }
    }

    /// The same field in another byte order.
    #[must_use]
    pub const fn order(self, order: ByteOrder) -> Self {
        Self { order, ..self }
    }

    /// Returns the bytes between the start of the record and the field.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// Returns what the field's bytes mean.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Returns the field's byte order.
    #[must_use]
    pub const fn byte_order(self) -> ByteOrder {
        self.order
    }

    /// Returns the bytes of the field.
    #[must_use]
    pub const fn size(self) -> u32 {
        self.kind.size()
    }

    /// Errors unless the field has bytes and ends inside a record of `record_size` bytes.
    pub(crate) fn check(self, record_size: usize) -> Result<()> {
        let end = u64::from(self.offset) + u64::from(self.size());
        if 0 < self.size() && end <= record_size as u64 {
            return Ok(());
        }
        Err(Error::argument(format!(
            "field {self} does not lie inside a record of {record_size} bytes"
        )))
    }

    /// The field's bytes; the caller has checked the field against the record's size.
    pub(crate) fn bytes(self, record: &[u8]) -> &[u8] {
        &record[self.offset as usize..][..self.size() as usize]
    }

    /// Whether [`Field::image`] keeps the order of all values: all kinds but long byte strings.
    pub(crate) const fn has_image(self) -> bool {
        self.size() <= 16
    }

    /// A number that orders as the field's value does; `bytes` are the field's own, at most 16.
    #[inline]
    pub(crate) fn image(self, bytes: &[u8]) -> u128 {
        let raw = match (self.kind, self.order) {
            (Kind::Bytes(_), _) | (_, ByteOrder::Big) => {
                bytes.iter().fold(0, |raw, &byte| raw << 8 | u128::from(byte))
            }
            (_, ByteOrder::Little) => {
                bytes.iter().rev().fold(0, |raw, &byte| raw << 8 | u128::from(byte))
            }
        };
        self.ordered(raw)
    }

    /// Writes the *image* of a value, given by the field's own bytes: as many bytes, whose
    /// lexicographic order is that of the values, whatever their kind and byte order.
    ///
    /// ```
    /// use pagestone_storage::{Field, Kind};
    ///
    /// let field = Field::new(0, Kind::I16);
    /// let (mut low, mut high) = ([0; 2], [0; 2]);
    /// field.put_image(&(-1i16).to_le_bytes(), &mut low)?;
    /// field.put_image(&300i16.to_le_bytes(), &mut high)?;
    /// assert!(low < high);
    /// # Ok::<(), pagestone_storage::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless both have as many bytes as the field.
    #[inline]
    pub fn put_image(self, bytes: &[u8], into: &mut [u8]) -> Result<()> {
        let size = self.size() as usize;
        if bytes.len() != size || into.len() != size {
            return Err(Error::argument(format!("field {self} takes {size} bytes")));
        }
        match (self.kind, self.has_image()) {
            (Kind::Bytes(_), _) | (_, false) => into.copy_from_slice(bytes),
            _ => {
                // One load for the widths that most numbers have.
                let image = match (bytes.as_array(), bytes.as_array()) {
                    (Some(&wide), _) => self.word::<8>(wide).into(),
                    (_, Some(&narrow)) => self.word::<4>(narrow).into(),
                    _ => self.image(bytes),
                };
                into.copy_from_slice(&u128::to_le_bytes(image)[..size]);
                into.reverse();
            }
        }
        Ok(())
    }

    /// The part of the field that decides its order first: a field of at most 8 bytes.
    pub(crate) const fn leading(self) -> Self {
        let (offset, kind, order) = match (self.kind, self.order) {
            (Kind::U128, ByteOrder::Little) => (self.offset + 8, Kind::U64, ByteOrder::Little),
            (Kind::I128, ByteOrder::Little) => (self.offset + 8, Kind::I64, ByteOrder::Little),
            (Kind::U128, ByteOrder::Big) => (self.offset, Kind::U64, ByteOrder::Big),
            (Kind::I128, ByteOrder::Big) => (self.offset, Kind::I64, ByteOrder::Big),
            (Kind::Bytes(1), _) => (self.offset, Kind::U8, ByteOrder::Big),
            (Kind::Bytes(2), _) => (self.offset, Kind::U16, ByteOrder::Big),
            (Kind::Bytes(4), _) => (self.offset, Kind::U32, ByteOrder::Big),
            (Kind::Bytes(size), _) if 8 <= size => (self.offset, Kind::U64, ByteOrder::Big),
            (kind, order) => (self.offset, kind, order),
        };
        Self { offset, kind, order }
    }

    /// The largest number of a kind of at most 8 bytes whose numbers are their own images.
    pub(crate) const fn unsigned_max(self) -> Option<u128> {
        match self.kind {
            Kind::U8 => Some(u8::MAX as u128),
            Kind::U16 => Some(u16::MAX as u128),
            Kind::U32 => Some(u32::MAX as u128),
            Kind::U64 => Some(u64::MAX as u128),
            _ => None,
        }
    }

    /// Whether the image is the little-endian number itself.
    pub(crate) const fn is_plain(self) -> bool {
        matches!((self.kind, self.order), (Kind::U64, ByteOrder::Little))
    }

    /// The image of a number of `W` bytes, at most 8.
    #[inline]
    pub(crate) fn word<const W: usize>(self, bytes: [u8; W]) -> u64 {
        let mut wide = [0; 8];
        wide[..W].copy_from_slice(&bytes);
        let raw = u64::from_le_bytes(wide);
        let raw = match self.order {
            ByteOrder::Little => raw,
            ByteOrder::Big => raw.swap_bytes() >> (64 - 8 * W),
        };
        #[expect(clippy::cast_possible_truncation, reason = "the field has at most 8 bytes")]
        let sign = self.kind.sign_bit() as u64;
        if self.kind.is_float() && raw & sign != 0 {
            !raw & (sign | (sign - 1))
        } else {
            raw ^ sign
        }
    }

    /// Maps raw bits to their place in the order of values.
    #[inline]
    fn ordered(self, raw: u128) -> u128 {
        let sign = self.kind.sign_bit();
        if self.kind.is_float() && raw & sign != 0 {
            // A negative float: the larger its bits, the lower its value.
            !raw & (sign | (sign - 1))
        } else {
            raw ^ sign
        }
    }

    /// Maps a place in the order of values back to raw bits.
    fn raw(self, image: u128) -> u128 {
        let sign = self.kind.sign_bit();
        if self.kind.is_float() && image & sign == 0 {
            !image & (sign | (sign - 1))
        } else {
            image ^ sign
        }
    }

    /// Writes the low bytes of `raw` in the field's order.
    fn store(self, raw: u128, into: &mut [u8]) {
        let low = raw.to_le_bytes();
        let size = into.len();
        into.copy_from_slice(&low[..size]);
        if self.order == ByteOrder::Big {
            into.reverse();
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match (self.kind, self.order) {
            (Kind::Bytes(_) | Kind::U8 | Kind::I8, _) => "",
            (_, ByteOrder::Little) => "le",
            (_, ByteOrder::Big) => "be",
        };
        match self.kind {
            Kind::Bytes(size) => write!(formatter, "bytes{size}@{}", self.offset),
            kind => {
                let name = format!("{kind:?}").to_lowercase();
                write!(formatter, "{name}{order}@{}", self.offset)
            }
        }
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            Error::argument(format!(
                "`{text}` is not a field: expected KIND[le|be]@OFFSET, as in u64le@8 or bytes20@4"
            ))
        })
    }
}

fn parse(text: &str) -> Option<Field> {
    let (kind, offset) = text.split_once('@')?;
    let offset = offset.parse().ok()?;
    if let Some(size) = kind.strip_prefix("bytes") {
        return Some(Field::new(offset, Kind::Bytes(size.parse().ok()?)));
    }
    let (kind, order) = match (kind.strip_suffix("le"), kind.strip_suffix("be")) {
        (Some(kind), _) => (kind, ByteOrder::Little),
        (_, Some(kind)) => (kind, ByteOrder::Big),
        _ => (kind, ByteOrder::Little),
    };
    let kind = match kind {
        "u8" => Kind::U8,
        "i8" => Kind::I8,
        "u16" => Kind::U16,
        "i16" => Kind::I16,
        "u32" => Kind::U32,
        "i32" => Kind::I32,
        "u64" => Kind::U64,
        "i64" => Kind::I64,
        "u128" => Kind::U128,
        "i128" => Kind::I128,
        "f32" => Kind::F32,
        "f64" => Kind::F64,
        _ => return None,
    };
    Some(Field::new(offset, kind).order(order))
}

#[cfg(test)]
mod tests {
    use super::{ByteOrder, Field, Kind};

    #[track_caller]
    fn check_order(field: Field, ascending: &[&[u8]]) {
        let images: Vec<u128> = ascending.iter().map(|bytes| field.image(bytes)).collect();
        assert!(images.is_sorted_by(|a, b| a < b), "{field}: {images:?}");
        for (bytes, &image) in ascending.iter().zip(&images) {
            let mut back = vec![0; bytes.len()];
            field.store(field.raw(image), &mut back);
            if !matches!(field.kind(), Kind::Bytes(_)) {
                assert_eq!(&back, bytes, "{field}");
            }
            let lead = field.leading();
            let leading = lead
                .image(&bytes[(lead.offset() - field.offset()) as usize..][..lead.size() as usize]);
            let word = match lead.size() {
                1 => lead.word::<1>([bytes[0]]),
                2 => lead.word::<2>([bytes[0], bytes[1]]),
                4 => lead.word::<4>(bytes[..4].try_into().unwrap()),
                _ => u64::try_from(leading).unwrap(),
            };
            assert_eq!(u128::from(word), leading, "{field}");
            assert_eq!(leading, image >> (8 * (field.size() - lead.size())), "{field}");
        }
    }

    #[test]
    fn images_order_as_values_do() {
        check_order(Field::new(0, Kind::U16), &[&[9, 0], &[0, 1], &[1, 1]]);
        check_order(Field::new(0, Kind::U16).order(ByteOrder::Big), &[&[0, 9], &[1, 0], &[1, 1]]);
        check_order(Field::new(0, Kind::I8), &[&[0x80], &[0xff], &[0], &[0x7f]]);
        check_order(Field::new(0, Kind::Bytes(2)), &[b"aa", b"ab", b"ba"]);
        let floats = [f32::NEG_INFINITY, -1.0, -0.0, 0.0, 1e-40, 2.0, f32::INFINITY, f32::NAN];
        let bytes: Vec<[u8; 4]> = floats.iter().map(|float| float.to_le_bytes()).collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(<[u8; 4]>::as_slice).collect();
        check_order(Field::new(0, Kind::F32), &bytes);
        let wide = [i128::MIN, -1, 0, 1, i128::MAX].map(i128::to_le_bytes);
        let wide: Vec<&[u8]> = wide.iter().map(<[u8; 16]>::as_slice).collect();
        check_order(Field::new(0, Kind::I128), &wide);
    }

    #[test]
    fn fields_are_written_and_read_as_text() {
        for text in ["u64le@8", "i32be@0", "bytes20@4", "u8@3", "f64be@16", "u128le@0"] {
            assert_eq!(text.parse::<Field>().unwrap().to_string(), text);
        }
        assert_eq!("u64@8".parse::<Field>().unwrap().to_string(), "u64le@8");
        for text in
            ["", "u64", "@8", "u65@8", "u64le@-1", "bytes@4", "u64xe@8", "bytes4@99999999999"]
        {
            assert!(text.parse::<Field>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_field_outside_the_record_is_refused() {
        assert!(Field::new(8, Kind::U64).check(16).is_ok());
        assert!(Field::new(9, Kind::U64).check(16).is_err());
        assert!(Field::new(u32::MAX, Kind::Bytes(u32::MAX)).check(16).is_err());
        assert!(Field::new(0, Kind::Bytes(0)).check(16).is_err());
    }
}
