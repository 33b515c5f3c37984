//! What tells one dump from another without reading it whole.

use std::{io, os::unix::fs::FileExt as _, path::Path};

use crate::{
    error::{Error, Result},
    manifest,
};

/// How many parts are looked at.
const COUNT: u64 = 64;

/// Bytes of each.
const LEN: usize = 512;

/// The CRC-32 of some parts of the first `len` bytes of a file, its beginning and its end among
/// them; none for a file that is not as long.
pub(crate) fn checksum(path: &Path, len: u64) -> Result<Option<u32>> {
    let failed = |action| move |source| Error::io(action, path, source);
    let file = manifest::open_plain(path).map_err(failed("open"))?;
    let mut crc = crc32fast::Hasher::new();
    let last = len.saturating_sub(LEN as u64);
    for number in 0..COUNT {
        // In 128 bits, so that no length is too great.
        let offset = u128::from(last) * u128::from(number) / u128::from(COUNT - 1);
        let offset = u64::try_from(offset).unwrap_or(last);
        let mut part = [0; LEN];
        let part = &mut part[..usize::try_from(len).unwrap_or(LEN).min(LEN)];
        match file.read_exact_at(part, offset) {
            Ok(()) => crc.update(part),
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(source) => return Err(failed("read")(source)),
        }
    }
    Ok(Some(crc.finalize()))
}
