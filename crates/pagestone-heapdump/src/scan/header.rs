//! The first bytes of a dump: what says that it is one.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::path::Path;

use zerocopy::{
    FromBytes as _,
    big_endian::{U32, U64},
};

use super::input::Input;
use crate::error::{Error, ErrorKind, Result};

const PREFIX: &[u8] = b"JAVA PROFILE 1.";
const TEXT_LEN_MAX: usize = 31;
const TAIL_SIZE: usize = 12;

/// No header is longer.
pub(crate) const HEADER_SIZE_MAX: usize = 44;
const _: () = assert!(HEADER_SIZE_MAX == TEXT_LEN_MAX + 1 + TAIL_SIZE);

/// What the header of a dump says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// `JAVA PROFILE 1.0.2` and the like.
    pub(crate) format: String,
    /// 4 or 8.
    pub(crate) id_size: u32,
    /// Milliseconds since 1970.
    pub(crate) timestamp_ms: u64,
}

/// Reads a header from the first bytes of the file at `path`.
///
/// # Errors
///
/// `NotADump`, saying why.
pub(crate) fn parse_header(first: &[u8], path: &Path) -> Result<Header> {
    parse(first).map_err(|why| Error::refused(ErrorKind::NotADump, path, why))
}

/// Takes the header of `input`, which has been looked at before.
pub(super) fn read(input: &mut Input<'_>) -> Result<Header> {
    let mut first = Vec::with_capacity(HEADER_SIZE_MAX);
    // Up to the zero byte, then the tail: not a byte of the first record is taken.
    while first.last() != Some(&0) && first.len() <= TEXT_LEN_MAX {
        let Some(byte) = input.take(1)? else { break };
        first.extend_from_slice(byte);
    }
    if let Some(tail) = input.take(TAIL_SIZE)? {
        first.extend_from_slice(tail);
    }
    parse_header(&first, Path::new("dump"))
}

fn parse(first: &[u8]) -> Result<Header, String> {
    if first.is_empty() {
        return Err("not a heap dump: the file is empty".into());
    }
    let known = first.len().min(PREFIX.len());
    if first.get(..known) != PREFIX.get(..known) {
        return Err("not a heap dump: it does not begin with `JAVA PROFILE`".into());
    }
    let cut = || format!("not a heap dump: it ends inside its header, at offset {}", first.len());
    let text_area = first.get(..first.len().min(TEXT_LEN_MAX.saturating_add(1))).unwrap_or(first);
    let Some(text_len) = text_area.iter().position(|&byte| byte == 0) else {
        if first.len() <= TEXT_LEN_MAX {
            return Err(cut());
        }
        return Err("not a heap dump: the text of its header does not end".into());
    };
    let (text, rest) = first.split_at_checked(text_len).ok_or_else(cut)?;
    let rest = rest.get(1..).ok_or_else(cut)?;
    let (id_size, rest) = U32::read_from_prefix(rest).map_err(|_| cut())?;
    let (timestamp, _) = U64::read_from_prefix(rest).map_err(|_| cut())?;
    if !matches!(id_size.get(), 4 | 8) {
        return Err(format!("not a heap dump: identifiers of {id_size} bytes, expected 4 or 8"));
    }
    Ok(Header {
        format: String::from_utf8_lossy(text).into_owned(),
        id_size: id_size.get(),
        timestamp_ms: timestamp.get(),
    })
}
