//! How values become bytes.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};

/// Turns values into bytes and back.
pub trait Codec<V: ?Sized> {
    /// What a value becomes that is read back.
    type Owned;

    /// The bytes of a value.
    ///
    /// # Errors
    ///
    /// Why it has none.
    fn encode(value: &V) -> Result<Cow<'_, [u8]>, String>;

    /// The value of these bytes.
    ///
    /// # Errors
    ///
    /// Why they are none.
    fn decode(bytes: &[u8]) -> Result<Self::Owned, String>;
}

/// Bytes as they are: for `[u8]` and `str`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Codec<[u8]> for Raw {
    type Owned = Vec<u8>;

    fn encode(value: &[u8]) -> Result<Cow<'_, [u8]>, String> {
        Ok(Cow::Borrowed(value))
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }
}

impl Codec<str> for Raw {
    type Owned = String;

    fn encode(value: &str) -> Result<Cow<'_, [u8]>, String> {
        Ok(Cow::Borrowed(value.as_bytes()))
    }

    fn decode(bytes: &[u8]) -> Result<String, String> {
        String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
    }
}

/// Any serde type in the postcard format: short, and specified.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postcard;

impl<V: Serialize + DeserializeOwned> Codec<V> for Postcard {
    type Owned = V;

    fn encode(value: &V) -> Result<Cow<'_, [u8]>, String> {
        postcard::to_stdvec(value).map(Cow::Owned).map_err(|error| error.to_string())
    }

    fn decode(bytes: &[u8]) -> Result<V, String> {
        postcard::from_bytes(bytes).map_err(|error| error.to_string())
    }
}

/// Any serde type as JSON: readable by everybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    type Owned = V;

    fn encode(value: &V) -> Result<Cow<'_, [u8]>, String> {
        serde_json::to_vec(value).map(Cow::Owned).map_err(|error| error.to_string())
    }

    fn decode(bytes: &[u8]) -> Result<V, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}
