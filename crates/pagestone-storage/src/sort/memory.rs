//! Sorting records that lie in memory or in a mapped file.
#![expect(unsafe_code, reason = "sorts inside a mapping that nobody else sees")]

use crate::{bytes::Range, field::Field};

/// Sorts the first `len` bytes of a range that only the caller sees, as records of `size` bytes.
pub(super) fn sort_mapped(range: &Range, len: usize, (size, field): (usize, Field)) {
    // SAFETY: the caller made the mapping of a file or memory of `len` bytes that no other
    // reader or writer has seen.
    let bytes = unsafe { range.slice_mut(0, len) };
    sort_records(bytes, size, field);
}

macro_rules! by_size {
    ($bytes:ident, $size:ident, $field:ident, [$($fixed:literal)*]) => {
        match $size {
            $($fixed => $bytes
                .as_chunks_mut::<$fixed>()
                .0
                .sort_unstable_by_key(|record| $field.sort_key(record)),)*
            _ => sort_any($bytes, $size, $field),
        }
    };
}

fn sort_records(bytes: &mut [u8], size: usize, field: Field) {
    if field.has_image() {
        by_size!(bytes, size, field, [1 2 4 8 12 16 20 24 28 32 40 48 56 64]);
    } else {
        sort_any(bytes, size, field);
    }
}

/// Sorts records of any size through an index of them.
fn sort_any(bytes: &mut [u8], size: usize, field: Field) {
    let unsorted = bytes.to_vec();
    let mut records: Vec<&[u8]> = unsorted.chunks_exact(size).collect();
    if field.has_image() {
        records.sort_by_cached_key(|record| field.sort_key(record));
    } else {
        records.sort_by(|left, right| field.bytes(left).cmp(field.bytes(right)));
    }
    for (to, from) in bytes.chunks_exact_mut(size).zip(records) {
        to.copy_from_slice(from);
    }
}

impl Field {
    fn sort_key(self, record: &[u8]) -> u128 {
        self.image(self.bytes(record))
    }
}
