//! Workload H: fill, free a random half, make as many again, read and write, close, reopen.

use std::time::Duration;

use bench_own::{
    Clock, Folder, Result,
    heap::{BlockHeap, BlockWriter as _, Place, Work, ordered, read_chain, read_each, read_run},
};

use super::{Blocks, Family, commit, fill, free, micros, nanos_each, warm};
use crate::{Measurement, float};

const BLOCKS: usize = 1_000_000;
const TOUCHED: usize = 1_000_000;

/// The workload without commits: what blocks cost where no page was made read-only by a sync.
pub(super) fn measure_calm<H: BlockHeap>(family: &Family) -> Result<Vec<Measurement>> {
    warm(family.scale);
    let folder = Folder::new()?;
    let mut heap = H::create(&folder)?;
    let mut work = Work::new(21);
    let made = made(&mut heap, (&mut work, family), |_| Ok(Duration::ZERO))?;
    heap.close()?;
    Ok(made.nanos(family))
}

/// The workload with a commit after each phase.
pub(super) fn measure<H: BlockHeap>(family: &Family) -> Result<Vec<Measurement>> {
    warm(family.scale);
    let folder = Folder::new()?;
    let mut heap = H::create(&folder)?;
    let mut work = Work::new(21);
    let made = made(&mut heap, (&mut work, family), commit)?;
    let mut measurements = made.nanos(family);
    let places = touched(&mut heap, (&mut work, family), &made.blocks, &mut measurements)?;
    let written = commit(&mut heap)?;
    let (close, closed) = Clock::Wall.time(|| heap.close());
    closed?;
    if H::DURABLE {
        let (open, sum) = Clock::Wall.time(|| read_run(&H::open(&folder)?, &places[..1]));
        std::hint::black_box(sum?);
        let [filled, freed, again] = made.commits;
        let commits = [
            ("commit_filled", filled),
            ("commit_freed", freed),
            ("commit_again", again),
            ("commit_written", written),
            ("close", close),
        ];
        let times = commits.map(|(name, time)| family.named(name, micros(time) / 1e3, "ms"));
        measurements.extend(times);
        measurements.push(family.named("reopen", micros(open), "us"));
        let live: u64 = made.blocks.iter().map(|&(_, size)| size as u64).sum();
        let share = float(folder.files_len()?) / float(live);
        measurements.push(family.named("file_over_live", share, "of the live"));
    }
    Ok(measurements)
}

/// Blocks that were made, and made again after a half was freed.
struct Made {
    blocks: Blocks,
    fill: f64,
    free: f64,
    again: f64,
    commits: [Duration; 3],
}

impl Made {
    fn nanos(&self, family: &Family) -> Vec<Measurement> {
        let named = [("fill", self.fill), ("free", self.free), ("again", self.again)];
        named.map(|(name, nanos)| family.named(name, nanos, "ns/block")).into()
    }
}

fn made<H: BlockHeap>(
    heap: &mut H,
    (work, family): (&mut Work, &Family),
    commit: impl Fn(&mut H) -> Result<Duration>,
) -> Result<Made> {
    let count = family.scale.count(BLOCKS);
    let (sizes, sizes_again) = (work.sizes(count), work.sizes(count / 2));
    let mut blocks = Vec::with_capacity(count);
    let fill_nanos = fill(heap, (work, &sizes), &mut blocks)?;
    let filled = commit(heap)?;
    let mut blocks = ordered(blocks, 22);
    let half = blocks.split_off(count - count / 2);
    let free_nanos = free(heap, &half)?;
    let freed = commit(heap)?;
    let again_nanos = fill(heap, (work, &sizes_again), &mut blocks)?;
    let commits = [filled, freed, commit(heap)?];
    Ok(Made { blocks, fill: fill_nanos, free: free_nanos, again: again_nanos, commits })
}

/// Writes and reads eight bytes of random blocks; where they are.
fn touched<H: BlockHeap>(
    heap: &mut H,
    (work, family): (&mut Work, &Family),
    blocks: &[(u64, usize)],
    measurements: &mut Vec<Measurement>,
) -> Result<Vec<Place>> {
    let ids: Vec<u64> = blocks.iter().map(|&(id, _)| id).collect();
    let touched = family.scale.count(TOUCHED);
    let places = work.places(&ids, touched);
    let (write, written) = Clock::Thread.time(|| {
        let mut writer = heap.writer()?;
        places.iter().zip(0..).try_for_each(|(&place, value)| writer.write8(place, value))
    });
    written?;
    let (run, ran) = Clock::Thread.time(|| read_run(heap, &places));
    let (each, eached) = Clock::Thread.time(|| read_each(heap, &places));
    let (chain, chained) = Clock::Thread.time(|| read_chain(heap, (&places, touched as u64)));
    if ran? != eached? {
        return Err("two passes read different bytes".into());
    }
    chained?;
    measurements.extend([
        family.named("write", nanos_each(write, touched), "ns/write"),
        family.named("read", nanos_each(run, touched), "ns/read"),
        family.named("read_each", nanos_each(each, touched), "ns/read"),
        family.named("read_chain", nanos_each(chain, touched), "ns/read"),
    ]);
    Ok(places)
}
