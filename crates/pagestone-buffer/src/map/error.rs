//! Why a map could not do something.

use std::{fmt, io};

/// A value that a codec refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedValue {
    /// The key, as bytes or, where it is text, as text.
    pub key: String,
    /// What the codec says.
    pub cause: String,
}

/// Why a map could not do something.
#[derive(Debug)]
#[non_exhaustive]
pub enum MapError {
    /// The file: see [`pagestone_heap::ErrorKind`].
    File(pagestone_heap::Error),
    /// A value that the codec refuses, to write or to read; the rest of the map is as it was.
    Value(Box<RefusedValue>),
    /// A key of more than 65,535 bytes, one that has no bytes, or one that is stored and makes no
    /// sense.
    Key(String),
}

impl MapError {
    #[cold]
    pub(crate) fn refused(key: &[u8], cause: String) -> Self {
        let key = match std::str::from_utf8(key) {
            Ok(text) if !text.contains('\0') => format!("{text:?}"),
            _ => format!("{key:02x?}"),
        };
        Self::Value(Box::new(RefusedValue { key, cause }))
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(formatter),
            Self::Value(refused) => {
                write!(formatter, "value of key {}: {}", refused.key, refused.cause)
            }
            Self::Key(what) => write!(formatter, "key: {what}"),
        }
    }
}

impl std::error::Error for MapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl From<pagestone_heap::Error> for MapError {
    fn from(error: pagestone_heap::Error) -> Self {
        Self::File(error)
    }
}

impl From<MapError> for io::Error {
    fn from(error: MapError) -> Self {
        match error {
            MapError::File(error) => error.into(),
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// What functions of a map return.
pub type MapResult<T> = Result<T, MapError>;
