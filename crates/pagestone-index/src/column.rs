//! What a field of a record can be, and how its bytes are read and written.

use pagestone_storage::{ByteOrder, Kind, le};
use zerocopy::{big_endian, little_endian};

use crate::{key::KeyValue, schema::FieldDef};

/// A type that a field of a record can have: a fixed number of bytes that mean the same every
/// time.
///
/// Numbers of any width, in the machine's byte order (`u32`, `f64`, …) or in one that is named
/// (`zerocopy::little_endian`, `zerocopy::big_endian`, `pagestone_storage::le`), `[u8; N]`, and,
/// by `#[derive(Record)]`, structs of such fields and newtypes of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    note = "fields are integers, floats, `[u8; N]`, the numbers of `zerocopy::little_endian` and \
            `zerocopy::big_endian`, and structs with `#[derive(Record)]`"
)]
pub trait Column: Sized + Send + Sync + 'static {
    /// The bytes of a value.
    const SIZE: usize;
    /// What the bytes mean.
    const SHAPE: Shape;

    /// Reads a value from its bytes, of which there are [`SIZE`](Self::SIZE) or more.
    fn read(bytes: &[u8]) -> Self;

    /// Writes the value to the first [`SIZE`](Self::SIZE) bytes of `into`.
    fn write(&self, into: &mut [u8]);
}

/// A type of field that rows can be found by.
#[diagnostic::on_unimplemented(
    message = "rows cannot be found by a field of type `{Self}`",
    note = "an index is over a number, a `[u8; N]` or a newtype of one; of a nested record, \
            index the fields that count"
)]
pub trait KeyColumn: Column {
    /// What lookups by such a field take.
    type Key: KeyValue;
}

/// What the bytes of a field mean.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A number or plain bytes.
    Leaf(Kind, ByteOrder),
    /// The fields of a nested record.
    Nested(&'static [FieldDef]),
}

impl Shape {
    /// Returns the fields of a nested record, none of a leaf.
    #[must_use]
    pub const fn fields(self) -> &'static [FieldDef] {
        match self {
            Self::Nested(fields) => fields,
            Self::Leaf(..) => &[],
        }
    }
}

/// The byte order of this machine's own numbers.
const NATIVE: ByteOrder =
    if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };

/// The first `N` bytes; zeros where there are fewer, which callers do not let happen.
#[inline]
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

#[inline]
fn put<const N: usize>(value: [u8; N], into: &mut [u8]) {
    if let Some(into) = into.first_chunk_mut() {
        *into = value;
    }
}

/// The bytes of a number, low byte first, in the order of this machine; or back.
#[inline]
fn native<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
    bytes
}

macro_rules! native_numbers {
    ($($native:ty, $kind:ident;)*) => {$(
        impl Column for $native {
            const SIZE: usize = size_of::<Self>();
            const SHAPE: Shape = Shape::Leaf(Kind::$kind, NATIVE);

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(native(first(bytes)))
            }

            #[inline]
            fn write(&self, into: &mut [u8]) {
                put(native(self.to_le_bytes()), into);
            }
        }

        impl KeyColumn for $native {
            type Key = Self;
        }
    )*};
}

native_numbers! {
    u8, U8; i8, I8; u16, U16; i16, I16; u32, U32; i32, I32; u64, U64; i64, I64;
    u128, U128; i128, I128; f32, F32; f64, F64;
}

macro_rules! ordered_numbers {
    ($order:ident: $($name:ty, $native:ty, $kind:ident;)*) => {$(
        impl Column for $name {
            const SIZE: usize = size_of::<Self>();
            const SHAPE: Shape = Shape::Leaf(Kind::$kind, ByteOrder::$order);

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                Self::from_bytes(first(bytes))
            }

            #[inline]
            fn write(&self, into: &mut [u8]) {
                put(self.to_bytes(), into);
            }
        }

        impl KeyColumn for $name {
            type Key = $native;
        }
    )*};
}

ordered_numbers! { Little:
    little_endian::U16, u16, U16; little_endian::I16, i16, I16;
    little_endian::U32, u32, U32; little_endian::I32, i32, I32;
    little_endian::U64, u64, U64; little_endian::I64, i64, I64;
    little_endian::U128, u128, U128; little_endian::I128, i128, I128;
    little_endian::F32, f32, F32; little_endian::F64, f64, F64;
}

ordered_numbers! { Big:
    big_endian::U16, u16, U16; big_endian::I16, i16, I16;
    big_endian::U32, u32, U32; big_endian::I32, i32, I32;
    big_endian::U64, u64, U64; big_endian::I64, i64, I64;
    big_endian::U128, u128, U128; big_endian::I128, i128, I128;
    big_endian::F32, f32, F32; big_endian::F64, f64, F64;
}

macro_rules! storage_numbers {
    ($($name:ident, $native:ty;)*) => {$(
        impl Column for le::$name {
            const SIZE: usize = size_of::<Self>();
            const SHAPE: Shape = Shape::Leaf(Kind::$name, ByteOrder::Little);

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                Self::new(<$native>::from_le_bytes(first(bytes)))
            }

            #[inline]
            fn write(&self, into: &mut [u8]) {
                put(self.get().to_le_bytes(), into);
            }
        }

        impl KeyColumn for le::$name {
            type Key = $native;
        }
    )*};
}

storage_numbers! {
    U16, u16; I16, i16; U32, u32; I32, i32; U64, u64; I64, i64;
    U128, u128; I128, i128; F32, f32; F64, f64;
}

impl<const N: usize> Column for [u8; N] {
    const SIZE: usize = N;
    #[expect(clippy::cast_possible_truncation, reason = "the length of a row, checked by schemas")]
    const SHAPE: Shape = Shape::Leaf(Kind::Bytes(N as u32), ByteOrder::Little);

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        first(bytes)
    }

    #[inline]
    fn write(&self, into: &mut [u8]) {
        put(*self, into);
    }
}

impl<const N: usize> KeyColumn for [u8; N] {
    type Key = Self;
}
