//! `pagestone verify`: everything in a region file against everything else.

use std::ops::ControlFlow;

use pagestone_heap::{Problem, Report, Verify};
use serde::Serialize;

use super::open;
use crate::{
    args::RegionFileArgs,
    output::{Facts, Format, Output, thousands},
    progress::Bar,
};

/// Bytes of a slot.
const SLOT: u64 = 16;

#[derive(Serialize)]
struct Verified {
    file: String,
    clean: bool,
    generation: u64,
    regions: u64,
    blocks: u64,
    payload: u64,
    checksums: u64,
    problem_count: u64,
    problems: Vec<Wrong>,
}

#[derive(Serialize)]
struct Wrong {
    offset: u64,
    what: String,
}

impl From<&Problem> for Wrong {
    fn from(problem: &Problem) -> Self {
        Self { offset: problem.offset, what: problem.what.clone() }
    }
}

pub(crate) fn run(args: &RegionFileArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(args)?;
    let bar = Bar::new("verify");
    let mut hook = |progress: pagestone_heap::Progress| {
        bar.set(progress.done * SLOT, progress.total * SLOT);
        ControlFlow::Continue(())
    };
    let found = file.verify(Verify::new().progress(&mut hook))?;
    drop(bar);
    if out.format() == Format::Json {
        tell_programs((args, file.generation()), &found, out)?;
    } else {
        tell_people((args, file.generation()), &found, out)?;
    }
    let path = args.file.display();
    for problem in &found.problems {
        out.finding(format_args!("{path}: {problem}"))?;
    }
    let more = found.problem_count.saturating_sub(found.problems.len() as u64);
    if 0 < more {
        out.finding(format_args!("{path}: {} more problems", thousands(more)))?;
    }
    Ok(())
}

fn tell_programs(
    (args, generation): (&RegionFileArgs, u64),
    found: &Report,
    out: &mut Output,
) -> anyhow::Result<()> {
    out.json(&Verified {
        file: args.file.to_string_lossy().into_owned(),
        clean: found.is_clean(),
        generation,
        regions: found.regions,
        blocks: found.blocks,
        payload: found.payload,
        checksums: found.summed,
        problem_count: found.problem_count,
        problems: found.problems.iter().map(Wrong::from).collect(),
    })
}

fn tell_people(
    (args, generation): (&RegionFileArgs, u64),
    found: &Report,
    out: &mut Output,
) -> anyhow::Result<()> {
    let (payload, summed) = (thousands(found.payload), thousands(found.summed));
    Facts::new()
        .add("file", args.file.display())
        .add("generation", thousands(generation))
        .add("regions", thousands(found.regions))
        .add("blocks", format!("{} of {payload} bytes", thousands(found.blocks)))
        .add("checksums", format!("{summed} of payloads"))
        .add("problems", thousands(found.problem_count))
        .add("verdict", if found.is_clean() { "nothing wrong found" } else { "damaged" })
        .show(out)?;
    out.took()
}
