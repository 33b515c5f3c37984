//! Mapped bytes for a layer above: words, slices, space and syncs of one file or of memory.
#![expect(unsafe_code, reason = "words and slices of the mapping are reached through raw pointers")]

use std::{
    path::Path,
    ptr::NonNull,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

mod opening; // create, open, map, memory
mod space; // grow, cut, zero, punch, sync, hints
mod readers; // what readers hold, and a reader that follows the length
mod identity; // which boot of which machine shows which file
mod new_file; // a copy that takes its name when it is whole
mod content; // bytes, or text
mod owned; // zeroed memory of one owner
mod slots; // equal slots with a bit for each
mod shelves; // contents of equal lengths with a head for each
mod matches; // words of a line that are alike
mod flat; // values of one type behind one address
mod appended; // memory that grows while others read

pub use appended::{Appended, Appender, append_only};
pub use content::Content;
pub use flat::Flat;
pub use identity::Identity;
pub use matches::matches;
pub use new_file::NewFile;
pub use opening::Opening;
pub use owned::{Extent, Owned, Pages};
pub use shelves::{Shelves, prefetch};
pub use slots::{Marks, Slots};

use crate::{
    bytes::{Access, Range},
    error::{Cause, Error, ErrorKind, Result},
    holds::Holds,
    search::keys::prefetch_line,
    sys::SysFile,
    words,
};

/// One file, mapped once from its first byte (or anonymous memory), whose bytes a layer above
/// lays out.
///
/// Offsets and lengths are bytes. A value holds the lock that its [`Opening`] asked for, until it
/// is dropped, and its mapping never moves. Words are little-endian and reached atomically, so
/// any number of threads may load and store them at once. What must not happen at once is said at
/// [`slice`](Self::slice), [`slice_mut`](Self::slice_mut), [`fill`](Self::fill) and
/// [`write_at`](Self::write_at).
///
/// In a forked child the mapping is absent: touching it there is a `SIGSEGV`, dropping it does
/// nothing, and the locks stay with the parent.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use pagestone_storage::raw::RawFile;
///
/// let file = RawFile::memory(1 << 20)?;
/// file.grow(64 << 10)?;
/// file.store(8, 0x11, Ordering::Release);
/// assert_eq!(file.load(8, Ordering::Acquire), 0x11);
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
#[derive(Debug)]
pub struct RawFile {
    /// R1: the first byte of `range` while there is one, dangling before. It stays mapped until
    /// the value is dropped (M1), for reading, and for writing if `access` says so.
    base: NonNull<u8>,
    /// R2: how many bytes may be touched: 0 while there is no `range`, at most its capacity, and
    /// at most the length of the file. It is raised after the file grew and lowered before it is
    /// cut; nobody else cuts it (`TrustedDir`, and the locks in `source`).
    shown: AtomicU64,
    /// The length of the file, as far as this value gave it.
    len: AtomicU64,
    /// What `range` can show, or shall be able to.
    capacity: u64,
    access: Access,
    range: Option<Range>,
    source: Source,
    /// Held while the length changes.
    changes: Mutex<()>,
}

// SAFETY: `base` is memory like any other (R1); it belongs to no thread.
unsafe impl Send for RawFile {}
// SAFETY: what safe functions do with `base` they do by atomic words; slices and `fill` are
// unsafe to ask for, and length changes are kept apart by `changes`.
unsafe impl Sync for RawFile {}

/// What is behind the mapping.
#[derive(Debug)]
enum Source {
    File { file: SysFile, lock: Lock },
    Memory { number: u64 },
}

/// What keeps others out; given back on drop.
#[derive(Debug)]
enum Lock {
    Writer { holds: Holds },
    Reader { holds: Option<Holds> },
}

impl RawFile {
    /// Returns the file's path, `(memory)` for memory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file().map_or(Path::new("(memory)"), SysFile::path)
    }

    /// Returns whether there is no file, only memory.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.file().is_none()
    }

    /// Returns whether the bytes may be changed through this value.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.access == Access::Write
    }

    /// Returns the length: what `fstat` told when the file was opened, changed by
    /// [`grow`](Self::grow), [`cut`](Self::cut) and [`follow`](Self::follow) alone.
    ///
    /// Once the file is [mapped](Self::map) these are the bytes that may be touched.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length in bytes; nobody asks for none")]
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// Returns how many bytes the mapping can show: the file cannot grow beyond.
    ///
    /// Before [`map`](Self::map) it is what was asked for.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Asks the system for the length of the file, which [`len`](Self::len) does not follow.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub fn refresh_len(&self) -> Result<u64> {
        self.file().map_or_else(|| Ok(self.len()), SysFile::len)
    }

    /// Loads the little-endian word at `offset`.
    ///
    /// # Panics
    ///
    /// When `offset` is not a multiple of 8 or the word ends past [`len`](Self::len); while the
    /// file is not mapped; for an `ordering` that is none of a load.
    #[inline]
    #[must_use]
    pub fn load(&self, offset: u64, ordering: Ordering) -> u64 {
        let word = self.word(offset);
        // SAFETY: `word` checked that it is aligned and below `shown` (R2), R1 keeps it mapped;
        // who stores otherwise than atomically has promised that nobody looks.
        unsafe { words::load_one(word, ordering) }
    }

    /// Loads the two words at an offset of a multiple of 16, the first one first; `None` past
    /// [`len`](Self::len) and for any other offset. One check where two [`load`](Self::load) make
    /// two.
    #[inline]
    #[must_use]
    pub fn load_pair(&self, offset: u64, ordering: Ordering) -> Option<[u64; 2]> {
        // Rotated, an offset that is no multiple of 16 is larger than any length.
        if self.shown.load(Ordering::Acquire) / 16 <= offset.rotate_right(4) {
            return None;
        }
        #[expect(clippy::cast_ptr_alignment, reason = "a multiple of 16 from a page")]
        let word = self.address(offset).cast::<u64>();
        // SAFETY: the check above keeps both words below `shown` (R2) and aligned; R1 keeps them
        // mapped; who stores otherwise than atomically has promised that nobody looks.
        let first = unsafe { words::load_one(word, ordering) };
        // SAFETY: as for the first.
        let second = unsafe { words::load_one(word.wrapping_add(1), ordering) };
        Some([first, second])
    }

    /// Stores `value` as the little-endian word at `offset`.
    ///
    /// # Panics
    ///
    /// As [`load`](Self::load), for an `ordering` that is none of a store, and on a file that was
    /// opened for reading.
    #[inline]
    pub fn store(&self, offset: u64, value: u64, ordering: Ordering) {
        let word = self.word(offset);
        self.assert_writable();
        // SAFETY: as in `load`; the mapping is writable (R1, asserted above), and who borrows
        // bytes has promised that nobody changes them.
        unsafe { words::store_one(word, value, ordering) }
    }

    /// Copies `into.len()` bytes from `offset` out of the mapping by relaxed loads of the aligned
    /// words that hold them: each is old or new when it is stored to meanwhile.
    ///
    /// # Panics
    ///
    /// When the bytes end past [`len`](Self::len) or the file is not mapped.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) {
        let from = self.at(offset, into.len());
        // SAFETY: `at` checked that the bytes lie below `shown` (R2); pages are mapped whole, so
        // the overlapping words are too, and R1 keeps them so.
        unsafe { words::load(from, into) }
    }

    /// Copies `into.len()` bytes from `offset` by a system call, also of a file that is not
    /// mapped. What cannot be read is an error where [`read_at`](Self::read_at) is a signal.
    ///
    /// # Errors
    ///
    /// `Truncated` when the file ends before; `Io`.
    pub fn pread(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let expected = offset.saturating_add(into.len() as u64);
        // The system knows no offset beyond that of a signed word.
        let end = if self.is_memory() { self.len() } else { i64::MAX.unsigned_abs() };
        if end < expected {
            let (path, found) = (self.path().to_path_buf(), self.len());
            return Err(Cause::Truncated { path, expected, found }.into());
        }
        if let Some(file) = self.file() {
            return file.read_at(offset, into);
        }
        self.read_at(offset, into);
        Ok(())
    }

    /// As [`pread`](Self::pread), but past the page cache where the file system offers that: what
    /// the device has, also after a sync that failed. `into` lies in one page of 4 KiB.
    ///
    /// # Errors
    ///
    /// As `pread`.
    pub fn pread_device(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        match self.file() {
            Some(file) => file.read_device(offset, into),
            None => self.pread(offset, into),
        }
    }

    /// Writes `bytes` at `offset` by a system call, so that a long run of bytes costs no page fault
    /// and becomes large folios of the page cache; memory is stored to.
    ///
    /// Nobody borrows these bytes, or looks at or stores to words of them, meanwhile: who does sees
    /// any mixture of old and new. On an error any part of them may be written.
    ///
    /// # Errors
    ///
    /// `ReadOnly`; `OutOfSpace` where a copy-on-write file system is full; `Io`.
    ///
    /// # Panics
    ///
    /// When the bytes end past [`len`](Self::len).
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_writable()?;
        let end = offset.checked_add(bytes.len() as u64);
        assert!(end.is_some_and(|end| end <= self.len()), "bytes to write end past the file");
        if let Some(file) = self.file() {
            return file.write_at(offset, bytes);
        }
        let to = self.at(offset, bytes.len());
        // SAFETY: `at` checked the extent against `shown` (R2), memory is mapped for writing (R1);
        // who borrows bytes has promised that nobody writes over them meanwhile.
        unsafe { words::fill(to, bytes) };
        Ok(())
    }

    /// Borrows bytes.
    ///
    /// # Safety
    ///
    /// While the slice lives nobody changes the bytes, writes over, zeroes, punches or cuts them: no
    /// thread through this value, no other process.
    ///
    /// # Panics
    ///
    /// When the bytes end past [`len`](Self::len) or the file is not mapped.
    #[inline]
    #[must_use]
    pub unsafe fn slice(&self, offset: u64, len: usize) -> &[u8] {
        let from = self.at(offset, len);
        // SAFETY: `at` checked the extent against `shown` (R2), R1 keeps it mapped for `&self`;
        // the caller promised that the bytes do not change.
        unsafe { std::slice::from_raw_parts(from, len) }
    }

    /// Copies `bytes` to `offset`, touching no byte beside them.
    ///
    /// # Safety
    ///
    /// Nobody else looks at or changes these bytes meanwhile, also not as a part of a word, and
    /// `bytes` lie elsewhere.
    ///
    /// # Panics
    ///
    /// As [`slice_mut`](Self::slice_mut).
    pub unsafe fn fill(&self, offset: u64, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        self.assert_writable();
        // SAFETY: `at` checked the extent against `shown` (R2); the mapping is writable (R1,
        // asserted above); the caller promised that nobody else looks.
        unsafe { words::fill(to, bytes) }
    }

    /// Borrows bytes to change them; [`stored`](Self::stored) says that it was done.
    ///
    /// # Safety
    ///
    /// While the slice lives nobody else looks at or changes these bytes, also not as a part of a
    /// word.
    ///
    /// # Panics
    ///
    /// When the bytes end past [`len`](Self::len), the file is not mapped or was opened for
    /// reading.
    #[inline]
    #[must_use]
    #[expect(clippy::mut_from_ref, reason = "the caller promises that nobody else looks")]
    pub unsafe fn slice_mut(&self, offset: u64, len: usize) -> &mut [u8] {
        let from = self.at(offset, len);
        self.assert_writable();
        // SAFETY: `at` checked the extent against `shown` (R2), R1 keeps it mapped and writable
        // for `&self`; the caller promised that nobody else looks.
        unsafe { std::slice::from_raw_parts_mut(from, len) }
    }

    /// Tells a test that the holder of a [`slice_mut`](Self::slice_mut) has changed bytes, which
    /// are recorded as they are; does nothing without the feature `crash-sim`.
    ///
    /// # Panics
    ///
    /// As [`read_at`](Self::read_at), while a test watches.
    #[inline]
    pub fn stored(&self, offset: u64, len: u64) {
        #[cfg(feature = "crash-sim")]
        if crate::seam::is_watched() {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
            self.read_at(offset, &mut bytes);
            crate::seam::store(self.at(offset, bytes.len()) as usize, &bytes);
        }
        #[cfg(not(feature = "crash-sim"))]
        let _ = (offset, len);
    }

    /// Hints that the cache line at `offset` is needed soon; never a fault, wherever it lies.
    #[inline]
    pub fn prefetch(&self, offset: u64) {
        if offset < self.shown.load(Ordering::Relaxed) {
            prefetch_line(self.address(offset));
        }
    }

    /// Returns the address of the first byte, from which a test counts the addresses of
    /// [`Event::Store`](crate::seam::Event::Store).
    #[cfg(feature = "crash-sim")]
    #[must_use]
    pub fn base_address(&self) -> usize {
        self.base.as_ptr() as usize
    }

    /// The file, where there is one.
    fn file(&self) -> Option<&SysFile> {
        match &self.source {
            Source::File { file, .. } => Some(file),
            Source::Memory { .. } => None,
        }
    }

    /// The word at `offset`, aligned and below `shown`.
    #[inline]
    fn word(&self, offset: u64) -> *mut u64 {
        let words = self.shown.load(Ordering::Acquire) / 8;
        // The low bits of an offset that is not aligned come to the top: no index is so large.
        if words <= offset.rotate_right(3) {
            outside(offset, 8);
        }
        #[expect(clippy::cast_ptr_alignment, reason = "a multiple of 8 behind the start of a page")]
        self.address(offset).cast::<u64>()
    }

    /// The address of `offset..offset + len`, all below `shown`.
    #[inline]
    fn at(&self, offset: u64, len: usize) -> *mut u8 {
        let shown = self.shown.load(Ordering::Acquire);
        if shown < offset || shown - offset < len as u64 {
            outside(offset, len as u64);
        }
        self.address(offset)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "callers ask below `shown`, a usize")]
    fn address(&self, offset: u64) -> *mut u8 {
        self.base.as_ptr().wrapping_add(offset as usize)
    }

    #[inline]
    fn assert_writable(&self) {
        assert!(self.access == Access::Write, "opened for reading");
    }

    /// Errors on a file that was opened for reading.
    fn check_writable(&self) -> Result<()> {
        if self.is_writable() {
            return Ok(());
        }
        Err(Error::refused(ErrorKind::ReadOnly, self.path(), "opened for reading"))
    }
}

#[cold]
#[inline(never)]
#[expect(clippy::panic, reason = "offsets are checked by the layer above; this one is its mistake")]
fn outside(offset: u64, len: u64) -> ! {
    panic!("{len} bytes at offset {offset} are not aligned or not mapped bytes of the file")
}
