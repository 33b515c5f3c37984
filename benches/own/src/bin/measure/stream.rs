//! One long block, file to block and block to file, against `std::fs::copy` of the same bytes.
//!
//! All of it in a process of its own, whose private memory is watched. The source is in the page
//! cache; each way ends with what it wrote on the device, and they take turns.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Duration,
};

use bench_own::{
    Clock, Folder, Result, Scale, Watch, drop_pages, private_memory, run_child, scheduled_first,
};
use pagestone_heap::{BlockId, Heap, RegionFile};
use pagestone_testkit::random::Random;

use crate::{Measurement, float};

const MIB: f64 = 1024.0 * 1024.0;
const ROUNDS: usize = 5;
/// Copies and ways out in a round, in turn.
const TURNS: usize = 4;

pub(crate) fn measure(scale: Scale) -> Result<Vec<Measurement>> {
    if scale != Scale::Tiny {
        scheduled_first()?;
    }
    let len = scale.count(1 << 30) as u64;
    let folder = Folder::new()?;
    make_source(&folder.path("source"), len)?;
    let numbers = run_child(&["stream", folder.as_text()?])?;
    let &[copy, taken_in, taken_out, private] = numbers.as_slice() else {
        return Err("the child says too little".into());
    };
    let rate = |seconds: f64| float(len) / 1e6 / seconds;
    Ok(vec![
        Measurement::new("stream_copy", rate(copy), "MB/s"),
        Measurement::new("stream_in", rate(taken_in), "MB/s"),
        Measurement::new("stream_out", rate(taken_out), "MB/s"),
        Measurement::new("stream_private", private / MIB, "MiB"),
    ])
}

fn make_source(path: &Path, len: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = Random::new(1);
    for _ in 0..len.div_ceil(8) {
        out.write_all(&random.next().to_le_bytes())?;
    }
    out.into_inner()?.sync_all()?;
    Ok(())
}

/// Says the least seconds of a copy, of the way in and the way out, and the private memory that
/// the streams took.
pub(crate) fn child(out: &mut impl Write, folder: &str) -> Result<()> {
    let folder = Folder::of_parent(folder);
    let (source, target) = (folder.path("source"), folder.path("copy"));
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut most = 0;
    for _ in 0..ROUNDS {
        let file = RegionFile::options().create(folder.trusted().file("region"))?;
        let heap = file.heap("blocks")?;
        let before = private_memory()?;
        let watch = Watch::start()?;
        let (time, id) = Clock::Wall.time(|| take_in(&heap, &source));
        let id = id?;
        times[1].push(time.as_secs_f64());
        for _ in 0..TURNS {
            let (time, copied) = Clock::Wall.time(|| copy(&source, &target));
            copied?;
            keep(&mut times[0], (time, &target))?;
            let (time, taken) = Clock::Wall.time(|| take_out(&heap, id, &target));
            taken?;
            keep(&mut times[2], (time, &target))?;
        }
        most = most.max(watch.end()?.saturating_sub(before));
        drop((heap, file));
        remove(&folder.path("region"))?;
    }
    let [copy, taken_in, taken_out] = times.map(least);
    writeln!(out, "{copy} {taken_in} {taken_out} {most}")?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    Ok(())
}

fn take_in(heap: &Heap, from: &Path) -> Result<BlockId> {
    let mut from = File::open(from)?;
    let mut writer = heap.file().writer();
    let id = heap.allocate_by(&mut writer, |out| out.copy_from(&mut from).map(drop))?;
    writer.commit()?;
    Ok(id)
}

fn take_out(heap: &Heap, id: BlockId, to: &Path) -> Result<()> {
    let mut to = File::create(to)?;
    heap.copy_to(&heap.file().pin(), id, &mut to)?;
    to.sync_all()?;
    Ok(())
}

/// Notes a time and removes the file, so that each way makes its own.
fn keep(times: &mut Vec<f64>, (time, path): (Duration, &Path)) -> Result<()> {
    times.push(time.as_secs_f64());
    remove(path)
}

fn remove(path: &Path) -> Result<()> {
    drop_pages(path)?;
    fs::remove_file(path)?;
    Ok(())
}

fn least(times: Vec<f64>) -> f64 {
    times.into_iter().fold(f64::INFINITY, f64::min)
}
