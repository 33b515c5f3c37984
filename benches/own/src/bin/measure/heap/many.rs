//! Allocation in an empty heap, beside millions of free blocks, and among thousands of regions.

use bench_own::{
    Folder, Result,
    heap::{BlockHeap, Work},
    skip,
};

use super::{Family, commit, fill, free, warm};
use crate::Measurement;

/// Blocks that are timed.
const TIMED: usize = 100_000;
const FREE: usize = 5_000_000;
const REGIONS: usize = 10_000;

pub(super) fn measure<H: BlockHeap>(family: &Family) -> Result<Vec<Measurement>> {
    warm(family.scale);
    let work = Work::new(30);
    // Of sizes that the free blocks have too.
    let sizes: Vec<usize> = (0..family.scale.count(TIMED)).map(|number| 32 + number % 33).collect();
    let timed = |heap: &mut H| {
        fill(heap, (&work, &sizes), &mut Vec::with_capacity(family.scale.count(TIMED)))
    };

    let folder = Folder::new()?;
    let mut heap = H::create(&folder)?;
    let empty = timed(&mut heap)?;
    heap.close()?;
    let mut measurements = vec![family.named("empty", empty, "ns/block")];

    let folder = Folder::new()?;
    let mut heap = H::create(&folder)?;
    let mut blocks = Vec::new();
    let many: Vec<usize> = (0..family.scale.count(FREE)).map(|number| 32 + number % 33).collect();
    fill(&mut heap, (&work, &many), &mut blocks)?;
    commit(&mut heap)?;
    free(&mut heap, &blocks)?;
    commit(&mut heap)?;
    let listed = timed(&mut heap)?;
    heap.close()?;
    measurements.push(family.named("listed", listed, "ns/block"));

    let folder = Folder::new()?;
    match H::create_with_regions(&folder, family.scale.count(REGIONS))? {
        Some(mut heap) => {
            let regions = timed(&mut heap)?;
            heap.close()?;
            measurements.push(family.named("regions", regions, "ns/block"));
        }
        None => skip(&format!("{}_regions", family.prefix), "it has no regions")?,
    }
    Ok(measurements)
}
