//! Zeroed memory of one owner, outside of the allocator's heap where it is long.
#![expect(unsafe_code, reason = "memory is reached through raw pointers")]

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    marker::PhantomData,
    path::Path,
    ptr::NonNull,
    sync::Arc,
};

use super::content::Content;
use crate::{
    bytes::{Range, UNIT},
    error::{Error, Result},
};

/// From this length on memory is mapped; what is shorter would waste pages.
const MAPPED_MIN: usize = 256 << 10;

/// Bytes of a huge page where they are not more.
const HUGE: usize = 2 << 20;

/// What shorter memory is aligned to, and rounded up to: a cache line.
const LINE: usize = 64;

/// Zeroed memory of a fixed length: `[u8]`, or `str` that stays UTF-8 whatever is put.
///
/// The first byte is aligned to 64. Memory of 256 KiB and more is mapped for itself, on huge pages
/// where the system has them, and given back when the value is dropped; shorter memory comes from
/// the allocator.
///
/// ```
/// use pagestone_storage::raw::Owned;
///
/// let mut memory = Owned::<str>::zeroed(100)?;
/// assert!(memory.put(10, "grün"));
/// assert_eq!(memory.get(10, 5), Some("grün"));
/// assert_eq!(memory.get(10, 3), None, "half a character");
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
#[derive(Debug)]
pub struct Owned<C: Content + ?Sized> {
    /// O1: the first of `len` bytes, which stay readable and writable until the value is dropped,
    /// through this value alone.
    base: NonNull<u8>,
    /// O2: whole cache lines, at least one, no more than `isize::MAX`.
    len: usize,
    /// What gives the bytes back.
    source: Source,
    /// O4: no byte was changed.
    fresh: bool,
    /// O3: the bytes are zeros and content, put by `put` alone.
    content: PhantomData<Box<C>>,
}

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    Allocator,
    Map {
        _range: Range,
    },
    /// Bytes that no other value has, of a range that others have parts of too.
    Part {
        range: Arc<Range>,
    },
}

/// Mapped memory from which values are cut, one behind the other.
///
/// What is cut off owns its bytes alone. Whole pages of it are given back when it is dropped, the
/// addresses with the last of them.
#[derive(Debug)]
pub struct Extent {
    range: Arc<Range>,
    /// E1: bytes below were cut off, none above.
    used: usize,
    len: usize,
    pages: Pages,
}

/// Whether an extent asks for huge pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Memory is used as it is touched.
    Small,
    /// Memory is used by huge pages where the system has them: faster, and up to one more of it.
    Huge,
}

impl Extent {
    /// Maps `len` bytes, rounded up to 64 KiB.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when memory or address range is short.
    pub fn new(len: usize, pages: Pages) -> Result<Self> {
        let range = Range::anonymous(len as u64)?;
        if range.capacity() < len as u64 {
            return Err(out_of_memory());
        }
        if pages == Pages::Huge {
            range.advise_huge();
        }
        let len = usize::try_from(range.capacity()).map_err(|_| out_of_memory())?;
        Ok(Self { range: Arc::new(range), used: 0, len, pages })
    }

    /// Returns how many bytes are left to be cut off.
    #[must_use]
    pub fn rest(&self) -> usize {
        self.len - self.used
    }

    /// Returns what of the memory is in use, where the last `untouched` bytes that were cut off were
    /// never stored to: so many of these have no page, and so many bytes that were not cut off have
    /// one.
    #[must_use]
    pub fn edge(&self, untouched: usize) -> (usize, usize) {
        let page = match self.pages {
            Pages::Small => rustix::param::page_size(),
            Pages::Huge => HUGE,
        };
        let base = self.range.base().as_ptr() as usize;
        let touched = base + self.used.saturating_sub(untouched);
        let in_use = touched.next_multiple_of(page).min(base + self.len) - base;
        (self.used.saturating_sub(in_use), in_use.saturating_sub(self.used))
    }

    /// Cuts off zeroed memory of `len` bytes, rounded up to whole cache lines; `None` when so much
    /// is not left.
    pub fn cut<C: Content + ?Sized>(&mut self, len: usize) -> Option<Owned<C>> {
        let len = len.max(1).checked_next_multiple_of(LINE)?;
        if self.rest() < len {
            return None;
        }
        // O1 and O2 hold: nobody else has bytes above `used` (E1), which are zeros.
        let base = self.range.base().as_ptr().wrapping_add(self.used);
        let base = NonNull::new(base)?;
        self.used += len;
        let source = Source::Part { range: Arc::clone(&self.range) };
        Some(Owned { base, len, source, fresh: true, content: PhantomData })
    }
}

// SAFETY: the bytes belong to the value alone (O1), and to no thread.
unsafe impl<C: Content + ?Sized> Send for Owned<C> {}
// SAFETY: bytes change under `&mut self` alone.
unsafe impl<C: Content + ?Sized> Sync for Owned<C> {}

impl<C: Content + ?Sized> Owned<C> {
    /// Returns memory of `len` bytes, rounded up to what its source gives.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when memory or address range is short.
    pub fn zeroed(len: usize) -> Result<Self> {
        let content = PhantomData;
        if MAPPED_MIN <= len && !cfg!(miri) {
            let range = Range::anonymous(len as u64)?;
            if range.capacity() < len as u64 {
                return Err(out_of_memory());
            }
            range.advise_huge();
            let base = range.base();
            // O1 and O2 hold: the range is mapped, in whole units, until it is dropped.
            let len = usize::try_from(range.capacity()).map_err(|_| out_of_memory())?;
            let source = Source::Map { _range: range };
            return Ok(Self { base, len, source, fresh: true, content });
        }
        let len = len.max(1).next_multiple_of(LINE);
        let layout = Layout::from_size_align(len, LINE).map_err(|_| out_of_memory())?;
        // SAFETY: the layout has a size that is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(out_of_memory)?;
        Ok(Self { base, len, source: Source::Allocator, fresh: true, content })
    }

    /// Returns how long memory will be when `len` bytes are asked for.
    #[must_use]
    pub fn rounded(len: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "64 KiB")]
        let unit = if MAPPED_MIN <= len && !cfg!(miri) { UNIT as usize } else { LINE };
        len.max(1).checked_next_multiple_of(unit).unwrap_or(len)
    }

    /// Returns the length in bytes.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "memory is never without a byte")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether nothing was put yet: all is zeros.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The first byte; bytes are reached through it for as long as the value is not dropped, and
    /// changed while it is alone.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Returns all bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: O1 and O2; bytes change under `&mut self` alone.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }

    /// Returns the `len` bytes from `at` on; `None` when they end past the memory, or would begin
    /// or end inside a character.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize, len: usize) -> Option<&C> {
        // SAFETY: O3 is what the contract asks for.
        unsafe { C::lend(self.bytes(), at, len) }
    }

    /// Copies `content` to `at`; returns false and does nothing when it would end past the memory,
    /// or begin or end inside a character.
    #[inline]
    pub fn put(&mut self, at: usize, content: &C) -> bool {
        let bytes = content.as_bytes();
        // SAFETY: O3 is what the contract asks for.
        if !unsafe { C::fits(self.bytes(), at, bytes.len()) } {
            return false;
        }
        self.fresh = false;
        let to = self.base.as_ptr().wrapping_add(at);
        // SAFETY: `fits` checked the extent against `len` (O2), `&mut self` is alone with the
        // bytes (O1), so `bytes` lie elsewhere; that it fits keeps O3.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
        true
    }

    /// As [`put`](Self::put), but takes the place of `room` bytes: those behind `content` become
    /// zeros. Also false when `content` is longer.
    pub fn put_padded(&mut self, (at, room): (usize, usize), content: &C) -> bool {
        let bytes = content.as_bytes();
        // SAFETY: O3 is what the contract asks for.
        if room < bytes.len() || !unsafe { C::fits(self.bytes(), at, room) } {
            return false;
        }
        self.fresh = false;
        let to = self.base.as_ptr().wrapping_add(at);
        // SAFETY: `fits` checked `room`, and so what is shorter, against `len` (O2); `&mut self`
        // is alone with the bytes (O1), so `bytes` lie elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
        // SAFETY: the rest of `room` was checked too; zeros keep O3.
        unsafe { to.wrapping_add(bytes.len()).write_bytes(0, room - bytes.len()) }
        true
    }

    /// Hints that the cache line of the byte at `at` is needed soon.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        crate::search::keys::prefetch_line(self.base.as_ptr().wrapping_add(at));
    }
}

impl Owned<[u8]> {
    /// Returns all bytes, to be changed.
    #[inline]
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.fresh = false;
        // SAFETY: O1 and O2; `&mut self` is alone with the bytes, and any bytes are content.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl<C: Content + ?Sized> Drop for Owned<C> {
    fn drop(&mut self) {
        match &self.source {
            Source::Allocator => {}
            Source::Map { .. } => return,
            Source::Part { range } => {
                let at = self.base.as_ptr() as u64 - range.base().as_ptr() as u64;
                return range.give_back(at, self.len as u64);
            }
        }
        let Ok(layout) = Layout::from_size_align(self.len, LINE) else { return };
        // SAFETY: allocated by `zeroed` with this layout, and given back here alone.
        unsafe { dealloc(self.base.as_ptr(), layout) }
    }
}

#[cold]
pub(super) fn out_of_memory() -> Error {
    Error::io("allocate", Path::new("(memory)"), std::io::ErrorKind::OutOfMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_aligned_and_as_long_as_said() {
        for len in [0, 1, 63, 64, 65, 4096, MAPPED_MIN - 1, MAPPED_MIN, MAPPED_MIN + 1] {
            let mut memory = Owned::<[u8]>::zeroed(len).unwrap();
            assert_eq!(memory.len(), Owned::<[u8]>::rounded(len), "{len}");
            assert!(len <= memory.len() && memory.bytes().iter().all(|&byte| byte == 0));
            assert!((memory.bytes().as_ptr() as usize).is_multiple_of(LINE));
            let end = memory.len();
            assert!(
                memory.put(end - 1, &[7])
                    && !memory.put(end, &[7])
                    && !memory.put(end - 1, &[1; 2])
            );
            assert!(!memory.put(usize::MAX, &[7]) && memory.put(end, &[]));
            assert_eq!(memory.get(end - 2, 2), Some(&[0, 7][..]));
            assert_eq!((memory.get(end - 1, 2), memory.get(usize::MAX, 2)), (None, None));
            memory.bytes_mut()[0] = 9;
            assert_eq!(memory.bytes()[0], 9);
        }
    }

    #[test]
    fn text_stays_text() {
        let mut memory = Owned::<str>::zeroed(64).unwrap();
        assert!(memory.put(3, "é€"));
        for (at, text) in [(4, "x"), (5, "xx"), (2, "é"), (0, "xxxx"), (60, "xxxxx")] {
            assert!(!memory.put(at, text), "{at} {text}");
        }
        assert!(!memory.put_padded((3, 3), "x") && !memory.put_padded((3, 2), "xxx"));
        for (at, len) in [(4, 1), (3, 1), (5, 2), (63, 2), (usize::MAX, 1)] {
            assert_eq!(memory.get(at, len), None, "{at} {len}");
        }
        assert!(memory.put_padded((5, 3), "ö") && memory.put(3, "ab"));
        assert_eq!(memory.get(2, 7), Some("\0abö\0\0"));
        assert!(std::str::from_utf8(memory.bytes()).is_ok());
    }

    #[test]
    fn what_is_cut_off_is_apart_and_outlives_the_extent() {
        let mut extent = Extent::new(1, Pages::Huge).unwrap();
        let mut parts: Vec<Owned<[u8]>> = std::iter::from_fn(|| extent.cut(10_000)).collect();
        assert!(extent.rest() < 10_048 && parts.len() == 6, "64 KiB in lines of 64 bytes");
        drop(extent);
        for (at, part) in (1u8..).zip(&mut parts) {
            assert_eq!(part.len(), 10_048);
            part.bytes_mut().fill(at);
        }
        drop(parts.remove(2));
        for (at, part) in [1, 2, 4, 5, 6].into_iter().zip(&parts) {
            assert!(part.bytes().iter().all(|&byte| byte == at), "{at}");
        }
    }
}
