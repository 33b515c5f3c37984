//! Shrink of a file half free: what a live byte costs that moves, how long others wait, what is left.

use std::{
    ops::ControlFlow,
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bench_own::{
    Clock, Folder, Result,
    heap::{Work, ordered},
};
use pagestone_heap::{RegionFile, Shrink, ShrinkProgress, ShrinkState};

use super::{Family, micros};
use crate::{Measurement, float};

const BLOCKS: usize = 1_000_000;
/// How long a step shall hold the writer.
const BUDGET: Duration = Duration::from_millis(1);

pub(super) fn measure(family: &Family) -> Result<Vec<Measurement>> {
    let count = family.scale.count(BLOCKS);
    let folder = Folder::new()?;
    let (file, live) = half_free(&folder, count)?;
    let (time, done) = Clock::Wall.time(|| file.shrink(Shrink::new().budget(BUDGET)));
    let done = done?;
    let each = time.as_secs_f64() * 1e9 / float(done.payload.max(1));
    let found = std::fs::metadata(file.path())?;
    let [len, allocated] = [found.len(), found.blocks() * 512].map(float);
    drop(file);
    let folder = Folder::new()?;
    let (file, _) = half_free(&folder, count)?;
    let [step, commit] = pauses(&file)?;
    Ok(vec![
        family.named("each", each, "ns"),
        family.named("moved", float(done.payload) / float(live), "of the live"),
        family.named("file", len / float(live), "of the live"),
        family.named("allocated", allocated / float(live), "of the live"),
        family.named("pause", micros(step) / 1e3, "ms"),
        family.named("commit_pause", micros(commit) / 1e3, "ms"),
    ])
}

/// A file of many blocks of which a random half was freed, committed; and the bytes that are left.
fn half_free(folder: &Folder, count: usize) -> Result<(RegionFile, u64)> {
    let file = RegionFile::options().create(folder.trusted().file("heap"))?;
    let heap = file.heap("heap")?;
    let mut work = Work::new(25);
    let mut blocks = Vec::with_capacity(count);
    let mut writer = file.writer();
    for (size, number) in work.sizes(count).into_iter().zip(0..) {
        let id = heap.allocate_from(&mut writer, work.bytes(number, size))?;
        blocks.push((id.to_bits(), size));
    }
    writer.commit()?;
    let mut blocks = ordered(blocks, 3);
    for (id, _) in blocks.split_off(count / 2) {
        heap.free(&mut writer, pagestone_heap::BlockId::from_bits(id))?;
    }
    writer.commit()?;
    drop(writer);
    Ok((file, blocks.iter().map(|&(_, size)| size as u64).sum()))
}

/// The longest wait of another writer outside of commits and in them.
fn pauses(file: &RegionFile) -> Result<[Duration; 2]> {
    let (over, committing) = (AtomicBool::new(false), AtomicBool::new(false));
    let longest = [AtomicU64::new(0), AtomicU64::new(0)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let before = committing.load(Ordering::SeqCst);
                let begin = Instant::now();
                drop(file.writer());
                let waited = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let commit = before || committing.load(Ordering::SeqCst);
                longest[usize::from(commit)].fetch_max(waited, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        // A commit follows the hook that says so, and the next step its end.
        let mut hook = |progress: ShrinkProgress| {
            committing.store(progress.state == ShrinkState::Commit, Ordering::SeqCst);
            ControlFlow::Continue(())
        };
        let done = file.shrink(Shrink::new().budget(BUDGET).progress(&mut hook));
        over.store(true, Ordering::Relaxed);
        done
    })?;
    Ok(longest.map(|nanos| Duration::from_nanos(nanos.into_inner())))
}
