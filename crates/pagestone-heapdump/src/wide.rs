//! Long lists whose memory goes back to the system as soon as they are dropped.
//!
//! Allocators map long pieces for themselves, and keep shorter ones for later: a build that needs
//! one long list after the other would hold what they leave. What "long" is grows with use, to
//! 32 MiB at most where it does; so a list has room for more than that, of which nothing is
//! touched that is not used.

/// No allocator keeps pieces of more bytes.
const KEPT_MAX: usize = 33 << 20;

/// Lists of fewer bytes are left to the allocator: they fit what it keeps.
const SHORT: usize = 8 << 20;

/// An empty list with room for `len` values.
pub(crate) fn list<T>(len: usize) -> Vec<T> {
    let size = size_of::<T>().max(1);
    Vec::with_capacity(if len < SHORT / size { len } else { len.max(KEPT_MAX / size) })
}

/// A list of `len` equal values.
pub(crate) fn filled<T: Copy>(value: T, len: usize) -> Vec<T> {
    let mut list = list(len);
    list.resize(len, value);
    list
}
