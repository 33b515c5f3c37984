//! Keys of a map: what can be turned into bytes and back.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

/// A key of an [`EntryMap`](crate::EntryMap).
///
/// Equal keys have equal bytes, different keys different ones. Integers are kept little-endian.
pub trait Key {
    /// What a key becomes that is read back.
    type Owned;

    /// Shows the bytes of the key to `look`.
    ///
    /// # Errors
    ///
    /// Why it has none.
    fn with_bytes<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R, String>;

    /// The key of these bytes; `None` where they are none.
    fn decode(bytes: &[u8]) -> Option<Self::Owned>;
}

impl Key for [u8] {
    type Owned = Vec<u8>;

    #[inline]
    fn with_bytes<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
        Ok(look(self))
    }

    fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }
}

impl Key for str {
    type Owned = String;

    #[inline]
    fn with_bytes<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
        Ok(look(self.as_bytes()))
    }

    fn decode(bytes: &[u8]) -> Option<String> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Key for $integer {
            type Owned = $integer;

            #[inline]
            fn with_bytes<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
                Ok(look(&self.to_le_bytes()))
            }

            fn decode(bytes: &[u8]) -> Option<$integer> {
                bytes.try_into().ok().map(<$integer>::from_le_bytes)
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

/// Any serde type as a key, by its postcard bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serde<T>(pub T);

impl<T: Serialize + DeserializeOwned + fmt::Debug> Key for Serde<T> {
    type Owned = Self;

    fn with_bytes<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
        let mut short = [0; 64];
        if let Ok(bytes) = postcard::to_slice(&self.0, &mut short) {
            return Ok(look(bytes));
        }
        let bytes = postcard::to_stdvec(&self.0).map_err(|error| error.to_string())?;
        Ok(look(&bytes))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok().map(Self)
    }
}
