//! Bytes of files: of small blocks, after rounds of churn, of an empty heap and what it costs.

use bench_own::{
    Clock, Folder, Result,
    heap::{BlockHeap, Work, ordered},
};

use super::{Family, commit, fill, free, median, micros};
use crate::{Measurement, float};

const BLOCKS: usize = 1_000_000;
const SMALL: usize = 32;
/// Rounds of churn, of which the second half must not grow the file.
const ROUNDS: usize = 20;
const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn measure<H: BlockHeap>(family: &Family) -> Result<Vec<Measurement>> {
    let count = family.scale.count(BLOCKS);
    let [churned, growth] = churned::<H>(count)?;
    let [empty, cpu] = empty::<H>()?;
    Ok(vec![
        family.named("small", small::<H>(count)?, "of the live"),
        family.named("churned", churned, "of the live"),
        family.named("growth", growth, "bytes"),
        family.named("empty", empty, "MiB"),
        family.named("empty_cpu", cpu, "ms"),
    ])
}

/// File over live of blocks of 32 bytes.
fn small<H: BlockHeap>(count: usize) -> Result<f64> {
    let folder = Folder::new()?;
    let mut heap = H::create(&folder)?;
    fill(&mut heap, (&Work::new(23), &vec![SMALL; count]), &mut Vec::new())?;
    heap.commit()?;
    heap.close()?;
    Ok(float(folder.files_len()?) / float((count * SMALL) as u64))
}

/// File over live after all rounds, and the bytes that the later rounds have added.
fn churned<H: BlockHeap>(count: usize) -> Result<[f64; 2]> {
    let folder = Folder::new()?;
    let mut heap = H::create(&folder)?;
    let mut work = Work::new(24);
    let mut blocks = Vec::new();
    let sizes = work.sizes(count);
    fill(&mut heap, (&work, &sizes), &mut blocks)?;
    let mut lens = Vec::new();
    for round in 0..ROUNDS {
        blocks = ordered(blocks, round as u64);
        let half = blocks.split_off(count - count / 2);
        free(&mut heap, &half)?;
        commit(&mut heap)?;
        let sizes = work.sizes(half.len());
        fill(&mut heap, (&work, &sizes), &mut blocks)?;
        commit(&mut heap)?;
        lens.push(folder.files_len()?);
    }
    heap.close()?;
    let live: u64 = blocks.iter().map(|&(_, size)| size as u64).sum();
    let last = lens[ROUNDS - 1];
    Ok([float(last) / float(live), float(last.saturating_sub(lens[ROUNDS / 2 - 1]))])
}

/// MiB of a heap without blocks, and CPU milliseconds to create and open it.
fn empty<H: BlockHeap>() -> Result<[f64; 2]> {
    let mut times = Vec::new();
    let mut len = 0;
    for _ in 0..9 {
        let folder = Folder::new()?;
        let (create, created) = Clock::Thread.time(|| H::create(&folder));
        created?.close()?;
        len = folder.files_len()?;
        let (open, opened) = Clock::Thread.time(|| H::open(&folder));
        opened?.close()?;
        times.push(micros(create + open) / 1e3);
    }
    Ok([float(len) / MIB, median(times)])
}
