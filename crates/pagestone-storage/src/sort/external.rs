//! A sort of more records than its memory budget: sorted parts in a second file, then merged.

use std::{num::NonZeroUsize, path::Path};

use super::{Job, multiway, plan::Stability};
use crate::{
    core::Core,
    error::{Cause, Error, Result},
    sys::SysFile,
    temporary::{Role, Temporary},
};

/// The least bytes of a run that are read at once while merging.
const READ_MIN: usize = 64 << 10;
/// The bytes that are written at once: one of the largest pages that the system caches.
const WRITE: usize = 2 << 20;
/// The most bytes that a merge hands on at once.
const WRITE_MOST: usize = 16 << 20;

/// Sorted records that lie one behind the other in a file.
#[derive(Debug, Clone, Copy)]
struct Run {
    offset: u64,
    len: u64,
}

/// Writes the records of `core`, sorted, to the empty file `into`; parts lie beside `path`.
pub(super) fn sort(core: &Core, (into, path): (&SysFile, &Path), job: &Job<'_>) -> Result<()> {
    let memory = usize::try_from(job.memory).unwrap_or(usize::MAX);
    let mut from = Temporary::create(path, Role::Parts)?;
    let mut runs = sorted_parts(core, &from.file, job)?;
    let most = (memory / READ_MIN / 4).max(2);
    let mut roles = [Role::MergedParts, Role::Parts].into_iter().cycle();
    while most < runs.len() {
        // More runs than the budget has buffers: merged in groups, into fewer.
        let to = Temporary::create(path, roles.next().unwrap_or(Role::Parts))?;
        let mut merged = Vec::with_capacity(runs.len().div_ceil(most));
        let mut offset = 0;
        for group in runs.chunks(most) {
            let len = group.iter().map(|run| run.len).sum();
            merge(core, (&from.file, group), (&to.file, offset), job)?;
            merged.push(Run { offset, len });
            offset += len;
        }
        (runs, from) = (merged, to);
    }
    merge(core, (&from.file, &runs), (into, 0), job)
}

/// Sorts the records of `core` part by part and writes each part to `into`.
fn sorted_parts(core: &Core, into: &SysFile, job: &Job<'_>) -> Result<Vec<Run>> {
    let size = core.record_size();
    let memory = usize::try_from(job.memory).unwrap_or(usize::MAX);
    // A stable sort is fast with scratch as large as its records.
    let part = match job.stability {
        Stability::Unstable => memory - memory / 16,
        Stability::Stable => memory / 2,
    };
    let in_part = Job { memory: (memory - part) as u64, ..*job };
    let part = (part / size).max(1) * size;
    let len = core.offset(core.len());
    let mut records = vec![0; part.min(usize::try_from(len).unwrap_or(part))];
    let mut runs = Vec::new();
    let mut done = 0;
    while done < len {
        let step = usize::try_from(len - done).unwrap_or(part).min(part);
        let records = &mut records[..step];
        core.bytes().read_at(done, records)?;
        let count = core.len();
        let before = done / size as u64;
        in_part.sort(records, size, &|now, _| (before + now, 2 * count))?;
        for (offset, block) in (done..).step_by(WRITE).zip(records.chunks(WRITE)) {
            into.write_at(offset, block)?;
        }
        runs.push(Run { offset: done, len: step as u64 });
        done += step as u64;
    }
    Ok(runs)
}

/// Merges sorted runs of one file into another.
fn merge(
    core: &Core,
    (from, runs): (&SysFile, &[Run]),
    (into, offset): (&SysFile, u64),
    job: &Job<'_>,
) -> Result<()> {
    let size = core.record_size();
    let Some(record_size) = NonZeroUsize::new(size) else { return Ok(()) };
    let memory = usize::try_from(job.memory).unwrap_or(usize::MAX);
    let buffer = (memory / 4 / runs.len().max(1)).clamp(READ_MIN, 8 * WRITE);
    let buffer = (buffer / size).max(1) * size;
    let mut sources: Vec<Source<'_>> = runs
        .iter()
        .map(|&run| Source { file: from, left: run, block: Vec::new(), buffer })
        .collect();
    let total = core.len();
    let mut written = offset;
    job.with_order(|&order| {
        let shape = multiway::MergeShape { record_size, order, block_size: piece(size) };
        multiway::merge_runs(&mut sources, &shape, |block| {
            into.write_at(written, block)?;
            written += block.len() as u64;
            let done = total + written / size as u64;
            if (job.tell)(done.min(2 * total), 2 * total).is_break() {
                return Err(Error::from(Cause::Cancelled { done: done / 2, total }));
            }
            Ok(())
        })
    })
}

/// How many bytes of records a merge hands on at once: whole pieces that are written well, where
/// records allow it.
fn piece(size: usize) -> usize {
    let common = (size >> size.trailing_zeros().min(WRITE.ilog2())).saturating_mul(WRITE);
    if common <= WRITE_MOST { common } else { WRITE }
}

/// A run that is read block by block.
struct Source<'a> {
    file: &'a SysFile,
    left: Run,
    block: Vec<u8>,
    buffer: usize,
}

impl multiway::RunSource for Source<'_> {
    type Error = Error;

    fn block(&self) -> &[u8] {
        &self.block
    }

    fn next_block(&mut self) -> Result<()> {
        let step = usize::try_from(self.left.len).unwrap_or(self.buffer).min(self.buffer);
        self.block.resize(step, 0);
        self.file.read_at(self.left.offset, &mut self.block)?;
        self.left.offset += step as u64;
        self.left.len -= step as u64;
        Ok(())
    }
}
