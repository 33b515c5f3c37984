//! Owns the compressed forms of a dump.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

/// The bytes as one gzip member.
///
/// # Panics
///
/// Never: writing to memory does not fail.
#[must_use]
#[expect(clippy::expect_used, reason = "writing to a Vec does not fail")]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// The bytes as a row of gzip members of `member_len` unpacked bytes each, the last one shorter,
/// the way `jcmd GC.heap_dump -gz=1` writes a dump. No bytes make one empty member.
#[must_use]
pub fn gzip_members(bytes: &[u8], member_len: usize) -> Vec<u8> {
    if bytes.is_empty() {
        return gzip(bytes);
    }
    bytes.chunks(member_len.max(1)).flat_map(gzip).collect()
}
