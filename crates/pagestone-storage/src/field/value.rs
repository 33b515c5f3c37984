//! A field's value on its own: what is searched for, stored into a field or read from it.

use std::{borrow::Cow, cmp::Ordering};

use super::{Field, Kind};
use crate::error::{Error, Result};

/// A value to look for, to store or that was read.
///
/// Made from any integer, float, byte slice or byte array with `into()`. A value that the
/// field cannot hold still has its place in the field's order: looking for 300 in a `u8` field
/// ends past the last record, it does not wrap.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number that is not negative.
    Unsigned(u128),
    /// A number.
    Signed(i128),
    /// A floating-point number; a field of 4 bytes is widened.
    Float(f64),
    /// Plain bytes.
    Bytes(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The same value with bytes of its own; allocates for bytes alone.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Unsigned(value) => Value::Unsigned(value),
            Self::Signed(value) => Value::Signed(value),
            Self::Float(value) => Value::Float(value),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }
}

macro_rules! from_numbers {
    ($($variant:ident($wide:ty): $($native:ty)*;)*) => {$($(
        impl From<$native> for Value<'_> {
            fn from(value: $native) -> Self {
                Self::$variant(<$wide>::from(value))
            }
        }
    )*)*};
}

from_numbers! {
    Unsigned(u128): u8 u16 u32 u64 u128;
    Signed(i128): i8 i16 i32 i64 i128;
    Float(f64): f32 f64;
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsigned(value) => value.fmt(formatter),
            Self::Signed(value) => value.fmt(formatter),
            Self::Float(value) => value.fmt(formatter),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}")),
        }
    }
}

/// A place in the order of images: all images below `Some(cut)`, or all there are.
pub(crate) type Cut = Option<u128>;

/// Where a value's lower and upper bound lie in the order of a field's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Records before the lower bound have images below this.
    pub(crate) lower: Cut,
    /// Records before the upper bound have images below this.
    pub(crate) upper: Cut,
}

impl Target {
    pub(crate) const fn exact(image: u128) -> Self {
        Self { lower: Some(image), upper: image.checked_add(1) }
    }

    /// Between `image` and its successor.
    const fn after(image: u128) -> Self {
        let cut = image.checked_add(1);
        Self { lower: cut, upper: cut }
    }

    const fn before(image: u128) -> Self {
        Self { lower: Some(image), upper: Some(image) }
    }

    /// The image of the value where the field, of at most 8 bytes, can have it.
    pub(crate) fn exact_word(self) -> Option<u64> {
        let word = u64::try_from(self.lower?).ok()?;
        (self.lower != self.upper).then_some(word)
    }

    const ABOVE_ALL: Self = Self { lower: None, upper: None };
}

impl Field {
    /// Where `value` lies among the images of this field, which has images.
    pub(crate) fn target(self, value: &Value<'_>) -> Result<Target> {
        match (self.kind, value) {
            (Kind::Bytes(size), Value::Bytes(bytes)) => {
                Ok(bytes_target(self, size as usize, bytes))
            }
            (Kind::F64, Value::Float(value)) => Ok(Target::exact(self.float_image(*value))),
            (Kind::F32, Value::Float(value)) => Ok(narrow_target(self, *value)),
            (Kind::F32 | Kind::F64, Value::Unsigned(_) | Value::Signed(_)) => {
                self.target(&Value::Float(widen(value)))
            }
            (kind, Value::Unsigned(value)) if !matches!(kind, Kind::Bytes(_)) => {
                Ok(integer_target(self, *value, Sign::Positive))
            }
            (kind, Value::Signed(value)) if !matches!(kind, Kind::Bytes(_)) => {
                let sign = if *value < 0 { Sign::Negative } else { Sign::Positive };
                Ok(integer_target(self, value.unsigned_abs(), sign))
            }
            _ => Err(self.mismatch(value)),
        }
    }

    /// Stores `value` into the field's own bytes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the field cannot hold the value.
    pub fn encode(self, value: &Value<'_>, into: &mut [u8]) -> Result<()> {
        if into.len() != self.size() as usize {
            return Err(Error::argument(format!("field {self} takes {} bytes", self.size())));
        }
        if let (Kind::Bytes(_), Value::Bytes(bytes)) = (self.kind, value) {
            if bytes.len() != into.len() {
                return Err(self.mismatch(value));
            }
            into.copy_from_slice(bytes);
            return Ok(());
        }
        let target = self.target(value)?;
        match target.lower {
            Some(image) if target != Target::before(image) => {
                self.store(self.raw(image), into);
                Ok(())
            }
            _ => Err(self.mismatch(value)),
        }
    }

    /// Reads the value from the field's own bytes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when `bytes` are not as many as the field has.
    pub fn decode(self, bytes: &[u8]) -> Result<Value<'_>> {
        if bytes.len() != self.size() as usize {
            return Err(Error::argument(format!("field {self} takes {} bytes", self.size())));
        }
        if let Kind::Bytes(_) = self.kind {
            return Ok(Value::Bytes(Cow::Borrowed(bytes)));
        }
        let raw = self.raw(self.image(bytes));
        Ok(match self.kind {
            Kind::F32 => Value::Float(f64::from(f32::from_bits(low_32(raw)))),
            Kind::F64 => Value::Float(f64::from_bits(low_64(raw))),
            kind if kind.is_signed() => {
                let shift = 128 - 8 * self.size();
                Value::Signed((raw << shift).cast_signed() >> shift)
            }
            _ => Value::Unsigned(raw),
        })
    }

    fn float_image(self, value: f64) -> u128 {
        self.ordered(u128::from(value.to_bits()))
    }

    fn mismatch(self, value: &Value<'_>) -> Error {
        Error::argument(format!("a field {self} cannot hold {value:?}"))
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Negative,
    Positive,
}

fn integer_target(field: Field, magnitude: u128, sign: Sign) -> Target {
    // The image of zero, and how far images reach on each side of it.
    let zero = field.kind.sign_bit();
    let top = match field.size() {
        16 => u128::MAX,
        size => (1 << (8 * size)) - 1,
    };
    match sign {
        Sign::Positive if magnitude <= top - zero => Target::exact(zero + magnitude),
        Sign::Positive => Target::ABOVE_ALL,
        Sign::Negative if magnitude <= zero => Target::exact(zero - magnitude),
        Sign::Negative => Target::before(0),
    }
}

/// A value of 8 bytes among floats of 4: exact, or between two neighbours.
fn narrow_target(field: Field, value: f64) -> Target {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the nearest is what is wanted"
    )]
    let near = value as f32;
    let image = field.ordered(u128::from(near.to_bits()));
    if near.is_nan() || f64::from(near).to_bits() == value.to_bits() {
        Target::exact(image)
    } else if f64::from(near) < value {
        Target::after(image)
    } else {
        Target::before(image)
    }
}

fn bytes_target(field: Field, size: usize, probe: &[u8]) -> Target {
    let mut padded = [0; 16];
    let shared = probe.len().min(size);
    padded[..shared].copy_from_slice(&probe[..shared]);
    let image = field.image(&padded[..size]);
    match probe.len().cmp(&size) {
        Ordering::Equal => Target::exact(image),
        Ordering::Less => Target::before(image),
        Ordering::Greater => Target::after(image),
    }
}

#[expect(clippy::cast_precision_loss, reason = "an integer looked for among floats is rounded")]
fn widen(value: &Value<'_>) -> f64 {
    match value {
        Value::Unsigned(value) => *value as f64,
        Value::Signed(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bytes(_) => f64::NAN,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the caller's value has 4 bytes")]
const fn low_32(raw: u128) -> u32 {
    raw as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the caller's value has 8 bytes")]
const fn low_64(raw: u128) -> u64 {
    raw as u64
}

#[cfg(test)]
mod tests {
    use super::{Target, Value};
    use crate::{ByteOrder, Field, Kind};

    #[track_caller]
    fn check(field: &str, value: impl Into<Value<'static>>, expected: Target) {
        let field: Field = field.parse().unwrap();
        assert_eq!(field.target(&value.into()).unwrap(), expected, "{field}");
    }

    #[test]
    fn values_outside_the_field_lie_below_or_above_all() {
        check("u8@0", 300, Target::ABOVE_ALL);
        check("u8@0", -1, Target::before(0));
        check("u8@0", 255u8, Target::exact(255));
        check("i8@0", -128, Target::exact(0));
        check("i8@0", -129, Target::before(0));
        check("i8@0", 128, Target::ABOVE_ALL);
        check("u128le@0", u128::MAX, Target { lower: Some(u128::MAX), upper: None });
        check("i128le@0", i128::MIN, Target::exact(0));
        check("u128le@0", -5, Target::before(0));
    }

    #[test]
    fn floats_between_two_neighbours_lie_between_them() {
        let field = Field::new(0, Kind::F32);
        let below = field.target(&Value::from(0.1f32)).unwrap();
        // 0.1 as f32 is above 0.1 as f64.
        assert_eq!(field.target(&Value::from(0.1f64)).unwrap().upper, below.lower);
        assert_eq!(field.target(&Value::from(1)).unwrap(), field.target(&1.0f32.into()).unwrap());
    }

    #[test]
    fn byte_probes_of_other_lengths_have_their_place() {
        let image = |bytes| Field::new(0, Kind::Bytes(2)).image(bytes);
        check("bytes2@0", b"ab", Target::exact(image(b"ab")));
        check("bytes2@0", b"a", Target::before(image(b"a\0")));
        check("bytes2@0", b"abc", Target::after(image(b"ab")));
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let cases: [(&str, Value<'_>); 7] = [
            ("i16be@0", Value::Signed(-300)),
            ("u32le@0", Value::Unsigned(70_000)),
            ("i128le@0", Value::Signed(i128::MIN)),
            ("f32be@0", Value::Float(-1.5)),
            ("f64le@0", Value::Float(f64::INFINITY)),
            ("u128be@0", Value::Unsigned(u128::MAX)),
            ("bytes3@0", Value::from(b"xyz")),
        ];
        for (field, value) in cases {
            let field: Field = field.parse().unwrap();
            let mut bytes = vec![0; field.size() as usize];
            field.encode(&value, &mut bytes).unwrap();
            assert_eq!(field.decode(&bytes).unwrap(), value, "{field}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut bytes = [0; 1];
        let field = Field::new(0, Kind::U8).order(ByteOrder::Big);
        for value in [Value::from(256), Value::from(-1), Value::from(b"a"), Value::from(1.0f32)] {
            assert!(field.encode(&value, &mut bytes).is_err(), "{value:?}");
        }
        assert!(Field::new(0, Kind::F32).encode(&0.1f64.into(), &mut [0; 4]).is_err());
        assert!(Field::new(0, Kind::Bytes(1)).encode(&1.into(), &mut bytes).is_err());
    }
}
