//! What rows are held against that safe code cannot reach: mapped files, blocks of an allocator.
#![expect(unsafe_code, reason = "baselines map files and call an allocator by hand")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs::{File, OpenOptions},
    ops::Range,
    path::Path,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use bytemuck::Pod;
use mimalloc::MiMalloc;
use rustix::{
    fs::{FallocateFlags, fallocate, fdatasync},
    mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap},
};

use crate::{Result, must};

/// A file of this run that is mapped and grows in place.
///
/// R1: `base` starts a shared mapping of `reserved` bytes of `file`, until this value drops.
/// R2: `len` is at most `reserved`, and the file is at least so long.
/// R3: the file lies in a [`Folder`](crate::Folder): only this run knows its name, and nobody else
/// has it open or mapped while this value lives.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    reserved: usize,
    len: usize,
    file: File,
}

/// How pages are brought in ahead of their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Populate {
    /// As reads do.
    Read,
    /// As stores do.
    Write,
}

impl Mapping {
    /// Makes an empty file that may grow to `reserved` bytes.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn create(path: &Path, reserved: usize) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Self::new(file, reserved)
    }

    /// Maps a file that this run has made, all of it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn open(path: &Path, reserved: usize) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::new(file, reserved)
    }

    fn new(file: File, reserved: usize) -> Result<Self> {
        let len = usize::try_from(file.metadata()?.len())?;
        let reserved = reserved.max(len);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: at an address that the kernel chooses, so that no other mapping is replaced.
        let base =
            unsafe { mmap(ptr::null_mut(), reserved, protection, MapFlags::SHARED, &file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or("a mapping at 0")?;
        Ok(Self { base, reserved, len, file })
    }

    /// Takes blocks of the device until the file has `len` bytes.
    ///
    /// # Errors
    ///
    /// When the device is full, or more than the reserved length is asked for.
    pub fn grow(&mut self, len: usize) -> Result<()> {
        if self.reserved < len {
            return Err(format!("{len} bytes of {} reserved", self.reserved).into());
        }
        if self.len < len {
            let more = len - self.len;
            fallocate(&self.file, FallocateFlags::empty(), self.len as u64, more as u64)?;
            self.len = len;
        }
        Ok(())
    }

    /// Says that pages will be touched in random order.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn advise_random(&self) -> Result<()> {
        // SAFETY: the whole mapping by R1; this advice changes no byte.
        Ok(unsafe { madvise(self.base.as_ptr().cast(), self.reserved, Advice::Random) }?)
    }

    /// Brings in the pages of `range`, whose bounds are multiples of the page.
    ///
    /// # Errors
    ///
    /// Those of the system, or when the range leaves the file.
    pub fn populate(&self, range: Range<usize>, how: Populate) -> Result<()> {
        let end = range.end.min(self.len);
        if end <= range.start {
            return Err(format!("nothing of {range:?} is in the file").into());
        }
        let advice = match how {
            Populate::Read => Advice::LinuxPopulateRead,
            Populate::Write => Advice::LinuxPopulateWrite,
        };
        // SAFETY: `range.start` is below `len`, so inside the mapping by R1 and R2.
        let start = unsafe { self.base.add(range.start) };
        // SAFETY: `start..end` is inside the mapping; this advice changes no byte.
        Ok(unsafe { madvise(start.as_ptr().cast(), end - range.start, advice) }?)
    }

    /// The bytes of the file.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped by R1, inside the file by R2, written by nobody else by R3.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }

    /// The bytes of the file, to write.
    #[must_use]
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: mapped by R1, inside the file by R2, seen by nobody else by R3 and `&mut self`.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }

    /// Waits until the device has the bytes.
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub fn sync(&self) -> Result<()> {
        Ok(fdatasync(&self.file)?)
    }

    /// The file.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping of R1, which nobody has borrowed any more.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.reserved) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

/// A block of mimalloc, called directly: the program's own allocations stay elsewhere.
///
/// B1: `start` is an allocation of `len` bytes, aligned to `ALIGN`, that nobody else has; all of
/// its bytes were written, and `len` is not 0.
#[derive(Debug)]
pub struct MiBlock {
    start: NonNull<u8>,
    len: u32,
}

const ALIGN: usize = 8;

impl MiBlock {
    /// Allocates a block of `bytes`, which are not none, and fills it.
    ///
    /// # Panics
    ///
    /// If there are no bytes, too many, or no memory.
    #[must_use]
    #[inline]
    pub fn filled(bytes: &[u8]) -> Self {
        assert!(!bytes.is_empty(), "a block of no bytes");
        let layout = must(Layout::from_size_align(bytes.len(), ALIGN));
        // SAFETY: the size is not 0, asserted above.
        let start = NonNull::new(unsafe { MiMalloc.alloc(layout) });
        let start = must(start.ok_or("no memory"));
        // SAFETY: the block has the length of `bytes` and is new, so they do not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
        Self { start, len: must(u32::try_from(bytes.len())) }
    }

    /// The bytes.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> &[u8] {
        // SAFETY: allocated and written by B1.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len as usize) }
    }

    /// The bytes, to write.
    #[must_use]
    #[inline]
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: allocated and written by B1, and no other borrow by `&mut self`.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len as usize) }
    }
}

impl Drop for MiBlock {
    #[inline]
    fn drop(&mut self) {
        let layout = must(Layout::from_size_align(self.len as usize, ALIGN));
        // SAFETY: the allocation of B1, with its layout.
        unsafe { MiMalloc.dealloc(self.start.as_ptr(), layout) };
    }
}

/// A value in memory of mimalloc, where a `Box` would have it if that were the program's allocator.
///
/// X1: `start` is an allocation with the layout of `T`, which holds a `T` and is nobody else's.
#[derive(Debug)]
pub struct MiBox<T: Pod>(NonNull<T>);

impl<T: Pod> MiBox<T> {
    /// Allocates, and puts the value there.
    ///
    /// # Panics
    ///
    /// If there is no memory.
    #[must_use]
    #[inline]
    pub fn new(value: T) -> Self {
        const { assert!(size_of::<T>() != 0, "a value of no bytes") };
        // SAFETY: the size is not 0, asserted above.
        let start = NonNull::new(unsafe { MiMalloc.alloc(Layout::new::<T>()) });
        let start = must(start.ok_or("mimalloc has no memory")).cast::<T>();
        // SAFETY: an allocation with the layout of `T`, just made.
        unsafe { start.write(value) };
        Self(start)
    }

    /// The value.
    #[must_use]
    #[inline]
    pub fn get(&self) -> &T {
        // SAFETY: X1, and the loan ends before the block drops.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Pod> Drop for MiBox<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the allocation of X1, with its layout; a plain value needs no drop.
        unsafe { MiMalloc.dealloc(self.0.as_ptr().cast(), Layout::new::<T>()) };
    }
}

/// The system's allocator, which counts what is in use.
#[derive(Debug)]
pub struct Counting;

static IN_USE: AtomicU64 = AtomicU64::new(0);

/// Bytes in use by blocks of [`Counting`], each rounded up to 16 with a head of 8 bytes; 0 in a
/// program that has another allocator.
#[must_use]
pub fn allocated() -> u64 {
    IN_USE.load(Ordering::Relaxed)
}

const fn taken_by(layout: Layout) -> u64 {
    (layout.size() as u64 + 8).next_multiple_of(16)
}

// SAFETY: each call is that of the system's allocator, with the same arguments and result.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(taken_by(layout), Ordering::Relaxed);
        // SAFETY: the promises of this call are those of the caller.
        unsafe { System.alloc(layout) }
    }

    // What the trait does without this writes zeros over memory that is zero, and so takes it.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(taken_by(layout), Ordering::Relaxed);
        // SAFETY: the promises of this call are those of the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(taken_by(layout), Ordering::Relaxed);
        // SAFETY: the promises of this call are those of the caller.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let grown = (new_size as u64 + 8).next_multiple_of(16);
        IN_USE.fetch_add(grown, Ordering::Relaxed);
        IN_USE.fetch_sub(taken_by(layout), Ordering::Relaxed);
        // SAFETY: the promises of this call are those of the caller.
        unsafe { System.realloc(start, layout, new_size) }
    }
}
