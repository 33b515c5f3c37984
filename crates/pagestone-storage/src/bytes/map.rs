//! Bytes shown by one mapping that never moves.
#![expect(unsafe_code, reason = "the home of mappings and of slices of them")]

use std::{mem::ManuallyDrop, path::Path, ptr::NonNull};

use memmap2::{MmapOptions, MmapRaw};

use super::{Advice, Bytes, file};
use crate::{
    error::{Cause, Error, Result},
    seam::{self, Call},
    sys::SysFile,
    words,
};

/// A mapped address range that starts at the first byte of the file and reaches past its end.
///
/// - M1: `base` stays mapped, and never moves, until the `Range` is dropped.
/// - M2: the bytes below the file's length are there; a touch past the last page of the file is
///   a `SIGBUS`. So offsets come from lengths that the file has or had and that nobody but the
///   storage's one writer may cut (`TrustedDir`, and the lock on the file while it is mapped).
/// - M3: what has been published below a storage's length is not stored to while a borrow of it
///   can exist; see `Core::borrows`.
#[derive(Debug)]
pub(crate) struct Range {
    owner: ManuallyDrop<MmapRaw>,
    base: NonNull<u8>,
    capacity: u64,
    /// The one process that has the mapping, where its children have not.
    only_in: Option<u32>,
}

impl Drop for Range {
    fn drop(&mut self) {
        // In a child that was forked meanwhile the addresses are free, or something else's.
        if self.only_in.is_none_or(|id| id == std::process::id()) {
            // SAFETY: dropped here alone, and not touched afterwards.
            unsafe { ManuallyDrop::drop(&mut self.owner) }
        }
    }
}

// SAFETY: the mapping is memory like any other (M1); it belongs to no thread.
unsafe impl Send for Range {}
// SAFETY: shared access goes through word copies, or through slices under M3.
unsafe impl Sync for Range {}

/// Whether a file's mapping may be stored to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Range {
    fn new(owner: MmapRaw) -> Self {
        let base = NonNull::new(owner.as_mut_ptr()).unwrap_or(NonNull::dangling());
        let capacity = owner.len() as u64;
        Self { owner: ManuallyDrop::new(owner), base, capacity, only_in: None }
    }

    /// Maps `file`, at least `needed` bytes of it and `reserve` where the system allows it.
    pub(crate) fn of_file(
        file: &SysFile,
        needed: u64,
        (reserve, access): (u64, Access),
    ) -> Result<Self> {
        let mut len = round_up(needed.max(reserve).max(1));
        loop {
            let mapped = seam::call(Call::Map).and_then(|()| {
                let mut options = MmapOptions::new();
                options.len(usize::try_from(len).unwrap_or(usize::MAX & !0xffff));
                match access {
                    Access::Read => options.map_raw_read_only(file.file()),
                    Access::Write => options.map_raw(file.file()),
                }
            });
            match mapped {
                Ok(owner) => return Ok(Self::new(owner)),
                Err(_) if round_up(needed.max(1)) < len => {
                    len = round_up((len / 2).max(needed).max(1));
                }
                Err(source) => return Err(Error::io("map", file.path(), source)),
            }
        }
    }

    /// Maps `len` bytes of `file` from `offset` on, which may lie past its end.
    pub(super) fn window(
        file: &SysFile,
        offset: u64,
        (len, access): (u64, Access),
    ) -> Result<Self> {
        let mapped = seam::call(Call::Map).and_then(|()| {
            let mut options = MmapOptions::new();
            options.offset(offset).len(usize::try_from(len).unwrap_or(usize::MAX & !0xffff));
            match access {
                Access::Read => options.map_raw_read_only(file.file()),
                Access::Write => options.map_raw(file.file()),
            }
        });
        let mut range = Self::new(mapped.map_err(|source| Error::io("map", file.path(), source))?);
        if access == Access::Write {
            range.stay_out_of_children();
        }
        Ok(range)
    }

    /// Reserves anonymous zeroed memory.
    pub(crate) fn anonymous(reserve: u64) -> Result<Self> {
        // Miri cannot reserve without allocating.
        let mut len = round_up(if cfg!(miri) { reserve.min(1 << 22) } else { reserve }.max(1));
        loop {
            let mapped = seam::call(Call::Map).and_then(|()| {
                let mut options = MmapOptions::new();
                options.len(usize::try_from(len).unwrap_or(usize::MAX & !0xffff));
                options.no_reserve_swap().map_anon()
            });
            match mapped {
                Ok(owner) => return Ok(Self::new(owner.into())),
                Err(_) if 1 << 20 < len => len = round_up(len / 2),
                Err(source) => return Err(Error::io("map", Path::new("(memory)"), source)),
            }
        }
    }

    /// The bytes that the range can show at most.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The address of the first byte; see M1.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Copies bytes below the file's length (M2) out, by words.
    pub(crate) fn copy_out(&self, offset: u64, into: &mut [u8]) {
        let from = self.at(offset, into.len());
        // SAFETY: `at` checked that the bytes lie inside the range; whole pages are mapped, so
        // the overlapping words are too; M1 keeps them mapped.
        unsafe { words::load(from, into) }
    }

    /// Copies bytes that never change out; only of append-only memory, below its length.
    pub(super) fn copy_out_bytes(&self, offset: u64, into: &mut [u8]) {
        let from = self.at(offset, into.len());
        // SAFETY: `at` checked the extent, M1 keeps it mapped; published bytes of append-only
        // memory do not change, and `into` is not part of the mapping.
        unsafe { std::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) }
    }

    /// Copies bytes in, by words; only the one writer calls this.
    pub(crate) fn copy_in(&self, offset: u64, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: as in `copy_out`; only the one writer stores, through a writable mapping, and
        // M3 says that no borrow of these bytes exists.
        unsafe { words::store(to, bytes) }
    }

    /// Copies bytes to where nobody looks yet; only the one writer calls this.
    pub(crate) fn fill(&self, offset: u64, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: `at` checked that the bytes lie inside the range, M1 keeps it mapped; they are
        // behind all that was published, so nobody else looks at or stores to them.
        unsafe { words::fill(to, bytes) }
    }

    /// Borrows bytes.
    ///
    /// # Safety
    ///
    /// The bytes lie below the file's length (M2), and nobody changes or cuts them while the
    /// slice lives (M3).
    #[inline]
    pub(crate) unsafe fn slice(&self, offset: u64, len: usize) -> &[u8] {
        let from = self.at(offset, len);
        // SAFETY: `at` checked the extent, M1 keeps it mapped for `&self`, the caller promised
        // that the bytes do not change.
        unsafe { std::slice::from_raw_parts(from, len) }
    }

    /// Borrows bytes to change them.
    ///
    /// # Safety
    ///
    /// The bytes lie below the file's length (M2), nobody else looks at or changes them while
    /// the slice lives, and the mapping is writable.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that nobody else looks")]
    pub(crate) unsafe fn slice_mut(&self, offset: u64, len: usize) -> &mut [u8] {
        let from = self.at(offset, len);
        // SAFETY: `at` checked the extent, M1 keeps it mapped for `&self`, the caller promised
        // that nobody else looks or changes the bytes.
        unsafe { std::slice::from_raw_parts_mut(from, len) }
    }

    fn at(&self, offset: u64, len: usize) -> *mut u8 {
        let end = offset.checked_add(len as u64);
        assert!(end.is_some_and(|end| end <= self.capacity), "extent outside the mapping");
        #[expect(clippy::cast_possible_truncation, reason = "below capacity, which is a usize")]
        self.base.as_ptr().wrapping_add(offset as usize)
    }

    /// Gives the memory of whole pages from `offset` on back; anonymous ranges only.
    pub(super) fn release_from(&self, offset: u64) {
        let from = round_up(offset).min(self.capacity);
        // Only memory is kept for longer when the system refuses.
        self.release(from, self.capacity - from).ok();
    }

    /// Gives the memory of the pages that lie inside bytes back, which nobody uses any more;
    /// anonymous ranges only.
    pub(crate) fn give_back(&self, offset: u64, len: u64) {
        let page = rustix::param::page_size() as u64;
        let (from, to) = (offset.next_multiple_of(page), (offset + len) / page * page);
        if from < to {
            // Only memory is kept for longer when the system refuses.
            self.release(from, to - from).ok();
        }
    }

    /// Gives the memory of whole pages back, which then show zeros; anonymous ranges only.
    fn release(&self, offset: u64, len: u64) -> std::io::Result<()> {
        let Ok(len) = usize::try_from(len) else { return Err(std::io::ErrorKind::Other.into()) };
        if len == 0 {
            return Ok(());
        }
        if cfg!(miri) {
            return Err(std::io::ErrorKind::Unsupported.into());
        }
        let page = self.at(offset, len).cast();
        // SAFETY: `at` checked that the extent lies inside the range, which is memory: nobody
        // borrows what is released, say the callers, and a word load meets the old value or zero.
        unsafe { rustix::mm::madvise(page, len, rustix::mm::Advice::LinuxDontNeed) }?;
        Ok(())
    }

    /// Makes bytes zero and gives whole pages of them back; anonymous ranges only.
    ///
    /// # Safety
    ///
    /// Nobody borrows the bytes, and words of them are only touched atomically.
    pub(crate) unsafe fn clear(&self, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        let (from, to) = (round_up(offset).min(end), (end / UNIT * UNIT).max(offset));
        let released = from < to && self.release(from, to - from).is_ok();
        let kept = if released { [(offset, from), (to, end)] } else { [(offset, end), (end, end)] };
        for (mut at, end) in kept {
            while at < end {
                let piece =
                    &ZEROS[..usize::try_from(end - at).unwrap_or(ZEROS.len()).min(ZEROS.len())];
                // SAFETY: `at` checks the extent; whole pages are mapped, so the overlapping
                // words are too; anonymous memory is writable, the rest says the contract.
                unsafe { words::put(self.at(at, piece.len()), piece) };
                at += piece.len() as u64;
            }
        }
    }

    /// Passes a hint about the first `len` bytes on; whether it is taken is the system's choice.
    pub(crate) fn advise(&self, len: u64, advice: Advice) -> std::io::Result<()> {
        self.advise_part(0, len, advice)
    }

    /// Passes a hint about `offset..offset + len` on.
    pub(crate) fn advise_part(&self, offset: u64, len: u64, advice: Advice) -> std::io::Result<()> {
        if len == 0 || cfg!(miri) {
            return Ok(());
        }
        let (page, len) = self.part(offset, len);
        let advice = match advice {
            Advice::Normal => rustix::mm::Advice::Normal,
            Advice::Random => rustix::mm::Advice::Random,
            Advice::Sequential => rustix::mm::Advice::Sequential,
            Advice::WillNeed => rustix::mm::Advice::WillNeed,
        };
        // SAFETY: the extent lies inside the range; none of these hints changes its bytes.
        unsafe { rustix::mm::madvise(page, len, advice) }?;
        Ok(())
    }

    /// Asks for huge pages, which a store to fresh memory then takes at once; anonymous ranges
    /// only.
    pub(crate) fn advise_huge(&self) {
        self.advise_huge_from(0);
    }

    /// As [`advise_huge`](Self::advise_huge), for what lies from `offset` on.
    pub(crate) fn advise_huge_from(&self, offset: u64) {
        if cfg!(miri) || self.capacity <= offset {
            return;
        }
        let (page, len) = self.part(offset, self.capacity - offset);
        // SAFETY: the extent lies inside the range; the hint changes no byte.
        let done = unsafe { rustix::mm::madvise(page, len, rustix::mm::Advice::LinuxHugepage) };
        // Where there are none the memory is only slower.
        done.ok();
    }

    /// Makes the first `len` bytes present; pages that cannot be read are an error, no signal.
    pub(crate) fn populate(&self, len: u64) -> std::io::Result<()> {
        if len == 0 || cfg!(miri) {
            return Ok(());
        }
        let (page, len) = self.part(0, len);
        let advice = rustix::mm::Advice::LinuxPopulateRead;
        // SAFETY: the extent lies inside the range; reading pages in changes nothing.
        unsafe { rustix::mm::madvise(page, len, advice) }?;
        Ok(())
    }

    /// Makes pages present and writable; where that cannot be it is an error, no signal.
    ///
    /// Where the system knows no such request this does nothing.
    pub(crate) fn populate_write(&self, offset: u64, len: u64) -> std::io::Result<()> {
        seam::call(Call::Map)?;
        if len == 0 || cfg!(miri) {
            return Ok(());
        }
        let (page, len) = self.part(offset, len);
        let advice = rustix::mm::Advice::LinuxPopulateWrite;
        // SAFETY: the extent lies inside the range; the pages keep their bytes.
        match unsafe { rustix::mm::madvise(page, len, advice) } {
            Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The page of the byte at `offset`, and how far `len` bytes of the range reach from there.
    fn part(&self, offset: u64, len: u64) -> (*mut std::ffi::c_void, usize) {
        let offset = offset.min(self.capacity);
        let first = self.at(offset, 0);
        let skip = first as usize % rustix::param::page_size();
        let page = first.wrapping_sub(skip).cast();
        (page, usize::try_from(len.min(self.capacity - offset)).unwrap_or(0) + skip)
    }

    /// Keeps the mapping out of forked children, whose stores nobody would order.
    pub(crate) fn stay_out_of_children(&mut self) {
        let (page, len) = self.part(0, self.capacity);
        // SAFETY: the range is ours alone.
        let done = unsafe { rustix::mm::madvise(page, len, rustix::mm::Advice::LinuxDontFork) };
        // Where the hint is unknown a child sees the pages, as it would without us.
        done.ok();
        self.only_in = Some(std::process::id());
    }
}

/// What mappings are cut to: whole pages on every machine.
pub(crate) const UNIT: u64 = 64 << 10;

/// As many zeros as are written at a time.
pub(crate) static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Rounds up to whole units, staying representable.
fn round_up(len: u64) -> u64 {
    len.min(u64::MAX / 4).div_ceil(UNIT) * UNIT
}

/// The backing that maps its file once.
#[derive(Debug)]
pub(crate) struct MapBytes {
    file: SysFile,
    range: Range,
}

impl MapBytes {
    pub(crate) fn new(file: SysFile, reserve: u64, access: Access) -> Result<Self> {
        let mut range = Range::of_file(&file, file.len()?, (reserve, access))?;
        if access == Access::Write {
            range.stay_out_of_children();
        }
        Ok(Self { file, range })
    }
}

impl Bytes for MapBytes {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.range.copy_out(offset, into);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.prepare(offset.saturating_add(bytes.len() as u64))?;
        file::append(&self.file, offset, bytes)
    }

    fn prepare(&self, wanted: u64) -> Result<()> {
        let reserved = self.range.capacity();
        if wanted <= reserved {
            return Ok(());
        }
        Err(Cause::Reserve { path: self.path().to_path_buf(), wanted, reserved }.into())
    }

    fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.range.copy_in(offset, bytes);
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.file.truncate(len)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    fn range(&self) -> Option<&Range> {
        Some(&self.range)
    }

    fn file(&self) -> Option<&SysFile> {
        Some(&self.file)
    }
}
