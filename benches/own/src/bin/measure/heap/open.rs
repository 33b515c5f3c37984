//! Open to first read, in a new process: after a close, at two sizes, and after a kill.

use std::io::{self, Read as _, Write};

use bench_own::{
    Clock, Folder, Result,
    heap::{BlockHeap, BlockWriter as _, Place, Work, ordered, read_run},
    run_and_kill, run_child,
};

use super::{Family, fill, free, median, micros};
use crate::Measurement;

const SIZES: [(&str, usize); 2] = [("1m", 1_000_000), ("10k", 10_000)];
const TIMES: usize = 7;
const TIMES_KILLED: usize = 3;

pub(super) fn measure<H: BlockHeap>(family: &Family) -> Result<Vec<Measurement>> {
    let contender = family.contender()?;
    let mut measurements = Vec::new();
    for (name, count) in SIZES {
        let folder = Folder::new()?;
        let (heap, blocks) = made::<H>(&folder, family.scale.count(count))?;
        heap.close()?;
        let mut figures: [Vec<f64>; 2] = Default::default();
        for _ in 0..TIMES {
            let id = blocks[0].0.to_string();
            let told = run_child(&["heap_open", contender, folder.as_text()?, &id])?;
            figures.iter_mut().zip(told).for_each(|(figures, figure)| figures.push(figure));
        }
        let [open, change] = figures.map(median);
        measurements.push(family.named(&format!("clean_{name}"), open, "us"));
        measurements.push(family.named(&format!("change_{name}"), change, "us"));
    }
    // What is not committed has to reach the device first, so how much there is of it matters.
    for (name, way) in [("killed_1m", "heap_hold_little"), ("killed_much_1m", "heap_hold_much")] {
        let mut figures: [Vec<f64>; 2] = Default::default();
        for _ in 0..TIMES_KILLED {
            let folder = Folder::new()?;
            let count = family.scale.count(SIZES[0].1).to_string();
            let id = run_and_kill(&[way, contender, folder.as_text()?, &count])?;
            let told = run_child(&["heap_open", contender, folder.as_text()?, &id])?;
            figures.iter_mut().zip(told).for_each(|(figures, figure)| figures.push(figure));
        }
        let [open, change] = figures.map(median);
        measurements.push(family.named(name, open / 1e3, "ms"));
        measurements.push(family.named(&format!("change_{name}"), change, "us"));
    }
    Ok(measurements)
}

/// A heap with so many blocks, committed, and its blocks.
fn made<H: BlockHeap>(folder: &Folder, count: usize) -> Result<(H, super::Blocks)> {
    let mut work = Work::new(25);
    let sizes = work.sizes(count);
    let mut heap = H::create(folder)?;
    let mut blocks = Vec::new();
    fill(&mut heap, (&work, &sizes), &mut blocks)?;
    heap.commit()?;
    Ok((heap, blocks))
}

/// Microseconds by the wall to open and read a block, then to make one.
pub(super) fn child<H: BlockHeap>(out: &mut impl Write, folder: &str, id: u64) -> Result<()> {
    let folder = Folder::of_parent(folder);
    let start = Clock::Wall.now();
    let mut heap = H::open(&folder)?;
    let word = read_run(&heap, &[Place { id, offset: 0 }])?;
    let open = Clock::Wall.since(start);
    let (change, changed) = Clock::Wall.time(|| heap.writer()?.alloc_fill(&[1; 64]));
    std::hint::black_box(word);
    heap.writer()?.free(changed?)?;
    heap.close()?;
    writeln!(out, "{} {}", micros(open), micros(change))?;
    Ok(())
}

/// How much a killed process had not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncommitted {
    /// One block.
    Little,
    /// Half of the blocks, freed and made again.
    Much,
}

/// Makes blocks, changes some without a commit, says the id of one that stays, and waits.
pub(super) fn child_hold<H: BlockHeap>(
    out: &mut impl Write,
    folder: &str,
    (count, uncommitted): (usize, Uncommitted),
) -> Result<()> {
    let (mut heap, blocks) = made::<H>(&Folder::of_parent(folder), count)?;
    let mut blocks = ordered(blocks, 26);
    let half = blocks.split_off(match uncommitted {
        Uncommitted::Little => count - 1,
        Uncommitted::Much => count / 2,
    });
    free(&mut heap, &half)?;
    let mut work = Work::new(27);
    let sizes = work.sizes(half.len());
    let id = blocks[0].0;
    fill(&mut heap, (&work, &sizes), &mut blocks)?;
    writeln!(out, "{id}")?;
    out.flush()?;
    // Until the parent kills this process, which holds the heap open.
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(heap);
    Ok(())
}
