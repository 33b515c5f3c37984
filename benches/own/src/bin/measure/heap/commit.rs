//! Commits of few changed blocks, beside two syncs of as many pages: time, bytes of the device.
//!
//! The program runs before all others if it may. The time is the one that a tenth of the commits
//! stays below: a wait that ends late says nothing about the commit. Device bytes are those of the
//! whole device: medians, and nothing else should run.

use std::{os::unix::fs::FileExt as _, time::Duration};

use bench_own::{
    Clock, Device, Folder, Mapping, Random, Result,
    heap::{BlockHeap, BlockWriter as _, Place, Work},
};

use super::{Family, commit, fill, median, micros};
use crate::{Measurement, float};

const BLOCKS: usize = 1_000_000;
/// Blocks or pages that are changed, and how often.
const CHANGES: [(&str, usize, usize); 2] = [("1", 1, 31), ("1000", 1000, 7)];
const PAGE: usize = 4096;
/// The file of the baseline: as long as that of a million blocks.
const PAGES: usize = 70_000;

pub(super) fn measure<H: BlockHeap>(family: &Family) -> Result<Vec<Measurement>> {
    let folder = Folder::new()?;
    let device = folder.device()?;
    let mut work = Work::new(28);
    let sizes = work.sizes(family.scale.count(BLOCKS));
    let mut heap = H::create(&folder)?;
    let mut blocks = Vec::new();
    fill(&mut heap, (&work, &sizes), &mut blocks)?;
    heap.commit()?;
    let ids: Vec<u64> = blocks.iter().map(|&(id, _)| id).collect();

    let mut measurements =
        costs(family, "fresh", &device, |count| change(&mut heap, work.places(&ids, count)))?;
    heap.close()?;
    let mut heap = H::open(&folder)?;
    measurements.extend(costs(family, "reopened", &device, |count| {
        change(&mut heap, work.places(&ids, count))
    })?);
    heap.close()?;
    folder.drop_pages()?;
    let mut heap = H::open(&folder)?;
    heap.verify()?;
    measurements.extend(costs(family, "verified", &device, |count| {
        change(&mut heap, work.places(&ids, count))
    })?);
    heap.close()?;
    Ok(measurements)
}

/// Changes these places; the time of the commit.
fn change<H: BlockHeap>(heap: &mut H, places: Vec<Place>) -> Result<Duration> {
    let mut writer = heap.writer()?;
    for (place, value) in places.into_iter().zip(1..) {
        writer.write8(place, value)?;
    }
    drop(writer);
    commit(heap)
}

/// The same of pages alone, as many as a commit of so many blocks has: a slot and a block each,
/// superblock and owner, a sync, the superblock again, a sync.
///
/// The file was written by 4-KiB pieces, so that the page cache has it as pages of that size, and
/// a sync writes no more than what was dirtied.
pub(super) fn pages(family: &Family) -> Result<Vec<Measurement>> {
    let count_all = family.scale.count(PAGES);
    let folder = Folder::new()?;
    let device = folder.device()?;
    let mut mapping = Mapping::create(&folder.path("pages"), count_all * PAGE)?;
    mapping.grow(count_all * PAGE)?;
    for page in 0..count_all {
        mapping.file().write_all_at(&[1; PAGE], (page * PAGE) as u64)?;
    }
    drop(mapping);
    let mut mapping = Mapping::open(&folder.path("pages"), 0)?;
    mapping.advise_random()?;
    mapping.sync()?;
    let mut random = Random::new(29);
    costs(family, "fresh", &device, |count| {
        for _ in 0..2 * count {
            let page = 2 + random.below(count_all - 2);
            mapping.bytes_mut()[page * PAGE] ^= 1;
        }
        for page in 0..2 {
            mapping.bytes_mut()[page * PAGE] ^= 1;
        }
        let (time, synced) = Clock::Wall.time(|| -> Result<()> {
            mapping.sync()?;
            mapping.bytes_mut()[0] ^= 1;
            mapping.sync()
        });
        synced.map(|()| time)
    })
}

/// Microseconds, and device bytes per page that was changed.
fn costs(
    family: &Family,
    state: &str,
    device: &Device,
    mut change: impl FnMut(usize) -> Result<Duration>,
) -> Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    for (name, count, times) in CHANGES {
        device.settle()?;
        let mut figures: [Vec<f64>; 2] = Default::default();
        for _ in 0..times {
            let before = device.written()?;
            figures[0].push(micros(change(count)?));
            let written = device.written()? - before;
            figures[1].push(float(written) / float((count * PAGE) as u64));
        }
        let [mut times, bytes] = figures;
        times.sort_by(f64::total_cmp);
        let (time, bytes) = (times[times.len() / 10], median(bytes));
        measurements.push(family.named(&format!("{state}_{name}"), time, "us"));
        let named = family.named(&format!("{state}_{name}_device"), bytes, "of the pages");
        measurements.push(named);
    }
    Ok(measurements)
}
