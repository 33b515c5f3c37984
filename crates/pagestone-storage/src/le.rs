//! Little-endian numbers of alignment 1, for record types that mean the same on every machine.

use bytemuck::{Pod, Zeroable};

macro_rules! little_endian {
    ($($name:ident = $native:ident, $size:literal;)*) => {$(
        #[doc = concat!("A `", stringify!($native), "` stored as ", stringify!($size),
            " little-endian bytes, alignment 1.")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name([u8; $size]);

        impl $name {
            #[doc = concat!("Stores a `", stringify!($native), "`.")]
            #[inline]
            #[must_use]
            pub const fn new(value: $native) -> Self {
                Self(value.to_le_bytes())
            }

            #[doc = concat!("Reads the `", stringify!($native), "`.")]
            #[inline]
            #[must_use]
            pub const fn get(self) -> $native {
                $native::from_le_bytes(self.0)
            }
        }

        impl From<$native> for $name {
            #[inline]
            fn from(value: $native) -> Self {
                Self::new(value)
            }
        }

        impl From<$name> for $native {
            #[inline]
            fn from(value: $name) -> Self {
                value.get()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.get(), formatter)
            }
        }
    )*};
}

little_endian! {
    U16 = u16, 2;
    U32 = u32, 4;
    U64 = u64, 8;
    U128 = u128, 16;
    I16 = i16, 2;
    I32 = i32, 4;
    I64 = i64, 8;
    I128 = i128, 16;
    F32 = f32, 4;
    F64 = f64, 8;
}

#[cfg(test)]
mod tests {
    use super::{F64, I32, U64};

    #[test]
    fn the_low_byte_comes_first() {
        assert_eq!(bytemuck::bytes_of(&U64::new(0x0102_0304_0506_0708)), [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(I32::from(-2).get(), -2);
        assert_eq!(F64::new(1.5).get().to_bits(), 1.5f64.to_bits());
    }
}
