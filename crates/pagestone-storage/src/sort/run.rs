//! Where a sort takes place: in a copy that is published, in memory, or where the records lie.
#![expect(unsafe_code, reason = "sorts inside mappings that nobody else looks at")]

use std::{path::Path, sync::Arc};

use super::{Job, external, plan::Stability, too_large};
use crate::{
    bytes::{Access, Range},
    core::Core,
    error::{Error, ErrorKind, Result},
    record::Record,
    seam,
    sidecar::build,
    storage::Storage,
    sys::SysFile,
    temporary::{Role, Temporary},
};

/// How many bytes are copied at once: one of the largest pages that the system caches.
const BLOCK: usize = 2 << 20;

/// A quarter of the machine's memory: what is larger is sorted in parts.
pub(super) fn default_memory() -> u64 {
    let info = rustix::system::sysinfo();
    let total = info.totalram.saturating_mul(u64::from(info.mem_unit));
    // A container may have less than its machine.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max");
    let limit = limit.ok().and_then(|limit| limit.trim().parse().ok()).unwrap_or(u64::MAX);
    (total.min(limit) / 4).max(super::SORT_MEMORY_MIN)
}

/// Sorts a copy and puts it in the storage's place.
pub(super) fn copied<T: Record + ?Sized>(storage: &mut Storage<T>, job: &Job<'_>) -> Result<()> {
    let Some(location) = storage.location().cloned() else {
        let core = storage.options().memory_core(storage.record_size())?;
        let len =
            copy(storage.records().core(), |offset, block| core.bytes().write_at(offset, block))?;
        if let Some(range) = core.bytes().range() {
            sort_range(range, (len, storage.record_size()), job)?;
        }
        core.publish(storage.len());
        storage.replace(core);
        return Ok(());
    };
    let core = Arc::clone(storage.records().core());
    let temporary = Temporary::create(location.path(), Role::Successor)?;
    let scratch = match job.stability {
        Stability::Unstable => 1,
        Stability::Stable => 2,
    };
    if job.memory < core.offset(core.len()).saturating_mul(scratch) {
        external::sort(&core, (&temporary.file, location.path()), job)?;
    } else {
        sort_through_memory(&core, (&temporary.file, location.path()), job)?;
    }
    temporary.file.take_after(location.path())?;
    temporary.file.sync()?;
    // Before it has the name: a reader that maps it at once must not get there first.
    storage.options().hold(&temporary.file)?;
    // What the sidecar says is not so of the sorted file.
    build::remove(&core)?;
    let sorted = temporary
        .publish(location.path())
        .and_then(|file| storage.options().writer_core(file, &location, core.record_size()));
    match sorted {
        Ok(sorted) => {
            storage.replace(sorted);
            Ok(())
        }
        Err(error) => {
            // The path may name the sorted file by now: what is appended to the old one would
            // be lost.
            core.poison("sort", &error);
            Err(error)
        }
    }
}

/// Reads all records, sorts them and writes them to the empty file `into`.
///
/// In memory of our own rather than in a mapping of the file: a page of a file that is stored to
/// first costs several times what writing it out later does.
fn sort_through_memory(core: &Core, (into, path): (&SysFile, &Path), job: &Job<'_>) -> Result<()> {
    let len = usize::try_from(core.offset(core.len())).map_err(|_| too_large(core))?;
    let mut records = Vec::new();
    if records.try_reserve_exact(len).is_err() {
        let small = Job { memory: super::SORT_MEMORY_MIN, ..*job };
        return external::sort(core, (into, path), &small);
    }
    records.resize(len, 0);
    for (offset, block) in (0..).step_by(BLOCK).zip(records.chunks_mut(BLOCK)) {
        core.bytes().read_at(offset, block)?;
    }
    job.sort(&mut records, core.record_size(), &|done, total| (done, total))?;
    for (offset, block) in (0..).step_by(BLOCK).zip(records.chunks(BLOCK)) {
        into.write_at(offset, block)?;
    }
    Ok(())
}

/// Sorts the storage's own file or memory.
pub(super) fn in_place<T: Record + ?Sized>(storage: &mut Storage<T>, job: &Job<'_>) -> Result<()> {
    storage.check_in_place()?;
    // From here on no reader of before a sort can refresh to this file.
    let _alone = storage.current().pause();
    if storage.is_read() {
        let what = "a reader of this storage is alive, so it cannot be sorted in place";
        return Err(Error::refused(ErrorKind::Locked, storage.path(), what));
    }
    let core = Arc::clone(storage.core());
    let len = usize::try_from(core.offset(core.len())).map_err(|_| too_large(&core))?;
    let Some(file) = core.bytes().file() else {
        return core
            .bytes()
            .range()
            .map_or(Ok(()), |range| sort_range(range, (len, core.record_size()), job));
    };
    // Before the mark: a full disk finds a storage that is as it was.
    file.allocate(0, core.offset(core.len()))?;
    let mark = Mark::set(&core)?;
    storage.forget_sidecar();
    let sorted = sort_file(file, (len, core.record_size()), job);
    // Cancelled or not, all records are there: the mark has done its work once they are synced.
    storage.sync()?;
    if let Err(error) = mark.remove() {
        // The first change in place tries again; until then the next open finds the mark.
        storage.doubt_sidecar(&error);
        return Err(error);
    }
    sorted
}

/// The word in the sidecar that an in-place sort has begun.
struct Mark<'c> {
    core: &'c Core,
}

impl<'c> Mark<'c> {
    fn set(core: &'c Core) -> Result<Self> {
        let set = build::mark_sorting(core);
        if set.is_err() {
            // No record has moved, so a mark that is there all the same would say too much. One
            // that cannot be removed costs an error at the next open, no record.
            build::remove_own(core).ok();
        }
        set.map(|()| Self { core })
    }

    fn remove(self) -> Result<()> {
        build::remove_own(self.core)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        // A panic of a comparator or of the hook leaves all records there, in some order.
        if !std::thread::panicking() {
            return;
        }
        match self.core.bytes().sync() {
            Ok(()) => {
                // A mark that stays costs an error at the next open, no record.
                build::remove_own(self.core).ok();
            }
            Err(error) => self.core.poison("sync", &error),
        }
    }
}

/// Sorts the first `len` bytes of a file that nobody else looks at.
fn sort_file(file: &SysFile, (len, size): (usize, usize), job: &Job<'_>) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    let range = Range::of_file(file, len as u64, (0, Access::Write))?;
    sort_range(&range, (len, size), job)
}

fn sort_range(range: &Range, (len, size): (usize, usize), job: &Job<'_>) -> Result<()> {
    // SAFETY: (1) `len` bytes are the storage's records, so the range shows them; (2) nobody else
    // looks: a fresh copy has no reader, and `in_place` counted none while none could join, with
    // the exclusive lock on the file held against other processes.
    let records = unsafe { range.slice_mut(0, len) };
    let sorted = job.sort(records, size, &|done, total| (done, total));
    seam::store(records.as_ptr() as usize, records);
    sorted
}

/// Copies all records of `core`, block by block; returns their bytes.
fn copy(core: &Core, mut write: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<usize> {
    let len = core.offset(core.len());
    let all = usize::try_from(len).map_err(|_| too_large(core))?;
    let mut block = vec![0; BLOCK.min(all)];
    let mut done = 0;
    while done < len {
        let step = usize::try_from(len - done).unwrap_or(BLOCK).min(BLOCK);
        core.bytes().read_at(done, &mut block[..step])?;
        write(done, &block[..step])?;
        done += step as u64;
    }
    Ok(all)
}
