//! Keys: what lookups take, and their images, the bytes whose order is that of the keys.

use std::{fmt, marker::PhantomData};

use pagestone_storage::{Field, Kind};

/// The most bytes of a key.
pub const KEY_LEN_MAX: usize = 128;

/// Names a key of the table of `R`: which rows it finds, and what values it takes.
///
/// Made by `#[derive(Record)]` as a constant of the struct, with the field's name or that of the
/// composite key in capitals.
pub struct Key<R, K> {
    number: usize,
    of: PhantomData<fn() -> (R, K)>,
}

impl<R, K> Key<R, K> {
    /// The key with this number in the schema; for derived code.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(number: usize) -> Self {
        Self { number, of: PhantomData }
    }

    pub(crate) const fn number(self) -> usize {
        self.number
    }
}

impl<R, K> Clone for Key<R, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, K> Copy for Key<R, K> {}

impl<R, K> fmt::Debug for Key<R, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("number", &self.number).finish()
    }
}

/// A value that rows can be found by.
///
/// Its *image* is a fixed number of bytes that compare, byte by byte, as the values do: signed
/// numbers by value, floats in total order (negative NaNs, numbers with `-0.0` before `0.0`,
/// NaNs), byte arrays byte by byte, tuples by their first part that differs.
pub trait KeyValue: Copy + Send + Sync + 'static {
    /// The bytes of the image.
    const LEN: usize;

    /// Writes the image to the first [`LEN`](Self::LEN) bytes of `into`.
    fn put_image(self, into: &mut [u8]);

    /// Returns whether `low` is at least as near to the key as `high`; `low` is below the key and
    /// `high` above, all three as images. By difference; bytes and tuples as the numbers that
    /// their images are.
    #[must_use]
    fn is_low_nearer(key: &[u8], low: &[u8], high: &[u8]) -> bool {
        difference(low, key) <= difference(key, high)
    }
}

/// `high - low` as numbers, high byte first, of images as long as each other.
fn difference(low: &[u8], high: &[u8]) -> [u8; KEY_LEN_MAX] {
    let mut out = [0; KEY_LEN_MAX];
    let mut borrow = false;
    for ((out, &high), &low) in out.iter_mut().zip(high).zip(low).rev() {
        let (digit, below) = high.overflowing_sub(low);
        let (digit, below_again) = digit.overflowing_sub(u8::from(borrow));
        *out = digit;
        borrow = below || below_again;
    }
    out
}

macro_rules! image_of_field {
    ($($native:ty, $kind:ident;)*) => {$(
        impl KeyValue for $native {
            const LEN: usize = size_of::<Self>();

            #[inline]
            fn put_image(self, into: &mut [u8]) {
                let image = image_number!(self, $kind);
                if let Some(into) = into.first_chunk_mut() {
                    *into = image;
                }
            }

            float_distance!($kind, $native);
        }
    )*};
}

/// The image of a number: high byte first, with the sign turned so that bytes compare right.
macro_rules! image_number {
    ($value:expr, Unsigned) => {
        be($value.to_le_bytes())
    };
    ($value:expr, Signed) => {
        turned(be($value.to_le_bytes()))
    };
    ($value:expr, Float) => {
        if $value.is_sign_negative() {
            be($value.to_le_bytes()).map(|byte| !byte)
        } else {
            turned(be($value.to_le_bytes()))
        }
    };
}

macro_rules! float_distance {
    (Float, $native:ty) => {
        fn is_low_nearer(key: &[u8], low: &[u8], high: &[u8]) -> bool {
            let [key, low, high] = [key, low, high].map(|image| {
                let mut bytes = image.first_chunk().copied().unwrap_or_default();
                if bytes.first().is_some_and(|&first| first < 0x80) {
                    bytes = bytes.map(|byte: u8| !byte);
                } else {
                    bytes = turned(bytes);
                }
                bytes.reverse();
                <$native>::from_le_bytes(bytes)
            });
            // A distance that is no number, or beyond all numbers, is the farther one.
            let (below, above) = (key - low, high - key);
            below.total_cmp(&above).is_le()
        }
    };
    ($kind:ident, $native:ty) => {};
}

#[inline]
fn be<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    bytes.reverse();
    bytes
}

#[inline]
fn turned<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    if let Some(first) = bytes.first_mut() {
        *first ^= 0x80;
    }
    bytes
}

image_of_field! {
    u8, Unsigned; u16, Unsigned; u32, Unsigned; u64, Unsigned; u128, Unsigned;
    i8, Signed; i16, Signed; i32, Signed; i64, Signed; i128, Signed;
    f32, Float; f64, Float;
}

impl<const N: usize> KeyValue for [u8; N] {
    const LEN: usize = N;

    #[inline]
    fn put_image(self, into: &mut [u8]) {
        if let Some(into) = into.first_chunk_mut() {
            *into = self;
        }
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: KeyValue),*> KeyValue for ($($name,)*) {
            const LEN: usize = 0 $(+ $name::LEN)*;

            #[inline]
            fn put_image(self, into: &mut [u8]) {
                #[expect(non_snake_case, reason = "the parts have the names of their types")]
                let ($($name,)*) = self;
                let mut rest = into;
                $(rest = put_part($name, rest);)*
                let _ = rest;
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);

/// Writes the image of one part and returns what is behind it.
#[inline]
fn put_part<P: KeyValue>(part: P, into: &mut [u8]) -> &mut [u8] {
    part.put_image(into);
    into.get_mut(P::LEN..).unwrap_or_default()
}

/// The image of a key, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    bytes: [u8; KEY_LEN_MAX],
    len: usize,
}

impl Image {
    #[inline]
    pub(crate) fn of<K: KeyValue>(key: K) -> Self {
        let mut image = Self { bytes: [0; KEY_LEN_MAX], len: K::LEN.min(KEY_LEN_MAX) };
        key.put_image(&mut image.bytes);
        image
    }

    /// An image of `len` bytes, at most [`KEY_LEN_MAX`], that `bytes` begin, filled with `fill`.
    pub(crate) fn padded(bytes: &[u8], len: usize, fill: u8) -> Self {
        let mut image = Self { bytes: [fill; KEY_LEN_MAX], len: len.min(KEY_LEN_MAX) };
        for (to, from) in image.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        image
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The number that the image of a key of at most 8 bytes is.
#[inline]
pub(crate) fn word<K: KeyValue>(key: K) -> u64 {
    let mut bytes = [0; 8];
    if let Some(image) = bytes.get_mut(8 - K::LEN.min(8)..) {
        key.put_image(image);
    }
    u64::from_le_bytes(bytes).swap_bytes()
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The field of an index file that holds images of `len` bytes.
///
/// Widths that numbers have are stored as little-endian numbers, which are sorted and searched
/// fastest; others as they are.
pub(crate) fn image_field(len: usize) -> Field {
    let kind = match len {
        1 => Kind::U8,
        2 => Kind::U16,
        4 => Kind::U32,
        8 => Kind::U64,
        16 => Kind::U128,
        len => Kind::Bytes(u32::try_from(len).unwrap_or(u32::MAX)),
    };
    Field::new(0, kind)
}

/// Turns an image into the bytes that [`image_field`] stores, or back.
#[inline]
pub(crate) fn swap_stored(bytes: &mut [u8]) {
    if matches!(bytes.len(), 1 | 2 | 4 | 8 | 16) {
        bytes.reverse();
    }
}
