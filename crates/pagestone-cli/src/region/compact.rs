//! `pagestone compact`: a region file without its holes, where it is or as another file.

use std::{ops::ControlFlow, path::Path};

use anyhow::Context as _;
use pagestone_heap::{RegionFile, Shrink};
use serde::Serialize;

use super::open;
use crate::{
    args::CompactArgs,
    output::{Facts, Format, Output, thousands},
    progress::Bar,
    trust,
};

#[derive(Serialize)]
struct Compacted {
    file: String,
    to: Option<String>,
    bytes_before: u64,
    bytes: u64,
    blocks_moved: Option<u64>,
    waiting: u64,
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
    })
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
    })
}

fn len(path: &Path) -> anyhow::Result<u64> {
    let found = std::fs::metadata(path);
    Ok(found.with_context(|| format!("length of {}", path.display()))?.len())
}
