//! Keys of a map: what can be turned into bytes and back.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

/// A key of an [`EntryMap`](crate::EntryMap).
///
/// Equal keys have equal bytes, different keys different ones. Integers are kept little-endian.
pub trait Key {
    /// What a key becomes that is read back.
    type Owned;

    /// Appends the bytes of the key.
    ///
    /// # Errors
    ///
    /// Why it has none.
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), String>;

    /// The key of these bytes; `None` where they are none.
    fn decode(bytes: &[u8]) -> Option<Self::Owned>;
}

impl Key for [u8] {
    type Owned = Vec<u8>;

    fn encode(&self, into: &mut Vec<u8>) -> Result<(), String> {
        into.extend_from_slice(self);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }
}

impl Key for str {
    type Owned = String;

    fn encode(&self, into: &mut Vec<u8>) -> Result<(), String> {
        into.extend_from_slice(self.as_bytes());
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Option<String> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Key for $integer {
            type Owned = $integer;

            fn encode(&self, into: &mut Vec<u8>) -> Result<(), String> {
                into.extend_from_slice(&self.to_le_bytes());
                Ok(())
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

    fn encode(&self, into: &mut Vec<u8>) -> Result<(), String> {
        let bytes = postcard::to_stdvec(&self.0).map_err(|error| error.to_string())?;
        into.extend_from_slice(&bytes);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok().map(Self)
    }
}
