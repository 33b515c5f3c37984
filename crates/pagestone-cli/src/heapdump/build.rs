//! `pagestone heapdump build`: the index of a dump, and a first answer from it.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use pagestone_heapdump::{
    BuildOptions, BuildReport, ErrorKind, Existing, Phase, PhaseTime, Rank, Summary, TableFacts,
};
use serde::Serialize;

use super::{open, tell_damages, top};
use crate::{
    args::BuildArgs,
    output::{Align, Cell, Format, Listing, Output, elapsed, thousands},
    progress::Bar,
};

/// Classes in the first answer.
const BIGGEST: usize = 10;

pub(super) fn run(args: &BuildArgs, out: &mut Output) -> anyhow::Result<()> {
    let directory = args.out.clone().unwrap_or_else(|| beside(&args.dump));
    let existing = if args.replace { Existing::Replace } else { Existing::Refuse };
    let bar = Bar::new("read");
    let options = BuildOptions::new().existing(existing);
    let built = options.build_with(&args.dump, &directory, |progress| {
        bar.say(word(progress.phase));
        bar.set(progress.done, progress.total);
        ControlFlow::Continue(())
    });
    let report = match built {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !args.replace => {
            Err(error).context("not built without --replace")?
        }
        built => built?,
    };
    drop(bar);
    if out.format() == Format::Json {
        tell_programs(&report, &directory, out)?;
    } else {
        tell_people(&report, &directory, out)?;
    }
    tell_damages(&report.summary, out)
}

/// The directory of an index whose place was not given: `a.hprof.gz` has `a.index`.
fn beside(dump: &Path) -> PathBuf {
    let name = dump.file_name().unwrap_or(dump.as_os_str()).to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.strip_suffix(".hprof").unwrap_or(stem);
    dump.with_file_name(format!("{stem}.index"))
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "read",
        Phase::Objects => "sort objects",
        Phase::Symbols => "sort symbols",
        Phase::Classes => "name classes",
        Phase::References => "follow references",
        Phase::Inverse => "turn references",
        Phase::Dominators => "dominators",
        Phase::Publish => "publish",
        _ => "build",
    }
}

#[derive(Serialize)]
struct Built<'a> {
    index: String,
    complete: bool,
    summary: &'a Summary,
    tables: &'a [TableFacts],
    phases: Vec<Took>,
    biggest: Vec<Biggest<'a>>,
}

#[derive(Serialize)]
struct Took {
    phase: Phase,
    seconds: f64,
}

#[derive(Serialize)]
struct Biggest<'a> {
    class: &'a str,
    count: u64,
    bytes: u64,
}

fn tell_programs(report: &BuildReport, directory: &Path, out: &mut Output) -> anyhow::Result<()> {
    let index = open(directory)?;
    let histogram = index.histogram(Rank::Bytes)?;
    let took = |time: &PhaseTime| Took { phase: time.phase, seconds: time.elapsed.as_secs_f64() };
    let biggest = histogram.iter().take(BIGGEST);
    out.json(&Built {
        index: directory.to_string_lossy().into_owned(),
        complete: report.summary.is_complete(),
        summary: &report.summary,
        tables: &report.tables,
        phases: report.phases.iter().map(took).collect(),
        biggest: biggest
            .map(|class| Biggest { class: class.name, count: class.count, bytes: class.bytes })
            .collect(),
    })
}

fn tell_people(report: &BuildReport, directory: &Path, out: &mut Output) -> anyhow::Result<()> {
    let summary = &report.summary;
    show_tables(&report.tables, out)?;
    let phases: Vec<String> = report
        .phases
        .iter()
        .map(|time| format!("{} {}", word(time.phase), elapsed(time.elapsed)))
        .collect();
    out.line(phases.join(", "))?;
    out.line("")?;
    out.line(format_args!(
        "{} objects with {} bytes of payload: {} instances, {} arrays of references, \
         {} of primitives; {} classes",
        thousands(summary.object_count),
        thousands(summary.payload_len),
        thousands(summary.instance_count),
        thousands(summary.object_array_count),
        thousands(summary.primitive_array_count),
        thousands(summary.class_count),
    ))?;
    out.line(format_args!(
        "{} references; {} objects with {} bytes can be reached, the farthest in {} steps",
        thousands(summary.reference_count),
        thousands(summary.reachable_count),
        thousands(summary.reachable_len),
        thousands(summary.distance_max),
    ))?;
    out.line("")?;
    let index = open(directory)?;
    top::list(&index, (Rank::Bytes, BIGGEST), out)?;
    out.line("")?;
    let whole = if summary.is_complete() { "" } else { ", partial" };
    out.line(format_args!("index: {}{whole}", directory.display()))?;
    out.took()
}

/// Shows the files of an index.
pub(super) fn show_tables(tables: &[TableFacts], out: &mut Output) -> anyhow::Result<()> {
    let columns = [("table", Align::Left), ("rows", Align::Right), ("bytes", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for table in tables {
        // Texts and the dump itself have no rows.
        let rows =
            if table.record_size <= 1 { Cell::Absent } else { Cell::from(table.record_count) };
        listing.row(out, vec![Cell::text(&table.name), rows, Cell::from(table.byte_len)])?;
    }
    let total: u64 = tables.iter().map(|table| table.byte_len).sum();
    listing.row(out, vec![Cell::text("total"), Cell::Absent, Cell::from(total)])?;
    listing.end(out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::beside;

    #[test]
    fn an_index_is_named_after_its_dump() {
        for (dump, expected) in [
            ("/a/b.hprof", "/a/b.index"),
            ("b.hprof.gz", "b.index"),
            ("b.gz", "b.index"),
            ("heap.bin", "heap.bin.index"),
        ] {
            assert_eq!(beside(Path::new(dump)), Path::new(expected));
        }
    }
}
