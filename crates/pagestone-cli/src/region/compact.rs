//! `pagestone compact`: a region file without its holes, where it is or as another file.

use std::{ops::ControlFlow, path::Path};

use anyhow::Context as _;
use pagestone_buffer::{Budget, Buffers as _, Compact, EntryBuffer};
use pagestone_heap::{RegionFile, Shrink};
use serde::Serialize;

use super::open;
use crate::{
    args::CompactArgs,
    output::{Facts, Format, Output, thousands},
    progress::Bar,
    trust,
};

/// Bytes of entries that are moved before others can have the writer.
const STEP: u64 = 4 << 20;

#[derive(Serialize)]
struct Log {
    name: String,
    moved: u64,
    capacity_before: u64,
    capacity: u64,
    live: u64,
}

#[derive(Serialize)]
struct Compacted {
    file: String,
    to: Option<String>,
    bytes_before: u64,
    bytes: u64,
    blocks_moved: Option<u64>,
    waiting: u64,
    logs: Vec<Log>,
}

pub(crate) fn run(args: &CompactArgs, out: &mut Output) -> anyhow::Result<()> {
    let done = match &args.to {
        Some(to) => copy(args, to)?,
        None => shrink(args)?,
    };
    if out.format() == Format::Json {
        return out.json(&done);
    }
    let mut facts = Facts::new();
    facts.add("file", args.file.file.display());
    if let Some(to) = &done.to {
        facts.add("copy", to);
    }
    if let Some(blocks) = done.blocks_moved {
        facts.add("blocks moved", thousands(blocks));
    }
    for log in &done.logs {
        let [moved, before, after] = [log.moved, log.capacity_before, log.capacity].map(thousands);
        let (name, live) = (&log.name, thousands(log.live));
        facts.add("log", format!("{name}: {before} to {after} bytes, {live} live, {moved} moved"));
    }
    facts
        .add("before", format!("{} bytes", thousands(done.bytes_before)))
        .add("after", format!("{} bytes", thousands(done.bytes)))
        .show(out)?;
    out.took()
}

fn shrink(args: &CompactArgs) -> anyhow::Result<Compacted> {
    let path = &args.file.file;
    let file = RegionFile::options().open(trust::file(path))?;
    let before = len(path)?;
    let names = file.logs();
    let logs = names.into_iter().map(|name| compact_log(&file, name));
    let logs = logs.collect::<anyhow::Result<Vec<Log>>>()?;
    let bar = Bar::new("compact");
    let mut hook = |progress: pagestone_heap::ShrinkProgress| {
        bar.set(progress.done, progress.total);
        ControlFlow::Continue(())
    };
    let done = file.shrink(Shrink::new().progress(&mut hook))?;
    drop(bar);
    file.close()?;
    Ok(Compacted {
        file: path.to_string_lossy().into_owned(),
        to: None,
        bytes_before: before,
        bytes: len(path)?,
        blocks_moved: Some(done.blocks),
        waiting: done.waiting,
        logs,
    })
}

/// Moves entries out of segments that hold garbage, and gives those back.
fn compact_log(file: &RegionFile, name: String) -> anyhow::Result<Log> {
    let buffer: EntryBuffer = file.buffer(&name)?;
    let before = buffer.counters(&mut file.writer())?;
    let bar = Bar::new("compact log");
    let garbage = before.capacity.saturating_sub(before.live);
    let mut hook = |progress: pagestone_buffer::Progress| {
        bar.set(progress.freed.saturating_sub(progress.moved).min(garbage), garbage);
        ControlFlow::Continue(())
    };
    let options = Compact::new().budget(Budget::bytes(STEP)).progress(&mut hook);
    let done = buffer.compact(options)?;
    drop(bar);
    let after = buffer.counters(&mut file.writer())?;
    let (capacity_before, capacity, live) = (before.capacity, after.capacity, after.live);
    Ok(Log { name, moved: done.moved, capacity_before, capacity, live })
}

fn copy(args: &CompactArgs, to: &Path) -> anyhow::Result<Compacted> {
    let file = open(&args.file)?;
    let bar = Bar::new("compact");
    bar.say("copy");
    file.copy_compact(trust::file(to), &RegionFile::options().region_size(file.region_size()))?;
    drop(bar);
    Ok(Compacted {
        file: args.file.file.to_string_lossy().into_owned(),
        to: Some(to.to_string_lossy().into_owned()),
        bytes_before: len(&args.file.file)?,
        bytes: len(to)?,
        blocks_moved: None,
        waiting: 0,
        logs: Vec::new(),
    })
}

fn len(path: &Path) -> anyhow::Result<u64> {
    let found = std::fs::metadata(path);
    Ok(found.with_context(|| format!("length of {}", path.display()))?.len())
}
