//! `pagestone heapdump info`: what an index says about its dump as a whole.

use pagestone_heapdump::{Packing, Summary, TableFacts, TagCount};
use serde::Serialize;

use super::{build, open, tell_damages};
use crate::{
    args::IndexArgs,
    output::{Align, Cell, Facts, Format, Listing, Output, date, thousands},
};

#[derive(Serialize)]
struct Described<'a> {
    index: String,
    complete: bool,
    summary: &'a Summary,
    tables: &'a [TableFacts],
}

pub(super) fn run(args: &IndexArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open(&args.directory)?;
    let summary = index.summary();
    if out.format() == Format::Json {
        out.json(&Described {
            index: args.directory.to_string_lossy().into_owned(),
            complete: summary.is_complete(),
            summary,
            tables: index.tables(),
        })?;
    } else {
        show_facts(summary, out)?;
        out.line("")?;
        show_roots(&summary.roots, out)?;
        out.line("")?;
        build::show_tables(index.tables(), out)?;
        out.took()?;
    }
    tell_damages(summary, out)
}

fn show_facts(summary: &Summary, out: &mut Output) -> anyhow::Result<()> {
    let packing = match summary.packing {
        Packing::Gzip => ", gzip",
        _ => "",
    };
    let whole = if summary.is_complete() { "yes" } else { "no, damaged" };
    Facts::new()
        .add("dump", &summary.dump_path)
        .add("bytes", format!("{}{packing}", thousands(summary.file_len)))
        .add("unpacked", format!("{} bytes", thousands(summary.dump_len)))
        .add("format", format!("{}, ids of {} bytes", summary.format, summary.id_size))
        .add("made", date(summary.timestamp_ms))
        .add("complete", whole)
        .add("objects", thousands(summary.object_count))
        .add("  instances", thousands(summary.instance_count))
        .add("  arrays", {
            let (references, primitives) =
                (summary.object_array_count, summary.primitive_array_count);
            format!(
                "{} of references, {} of primitives",
                thousands(references),
                thousands(primitives)
            )
        })
        .add("  classes", thousands(summary.class_count))
        .add("payload", format!("{} bytes", thousands(summary.payload_len)))
        .add("references", {
            let dangling = thousands(summary.dangling_count);
            format!("{}, {dangling} more lead nowhere", thousands(summary.reference_count))
        })
        .add("reachable", {
            let (count, bytes) = (summary.reachable_count, summary.reachable_len);
            let steps = thousands(summary.distance_max);
            let (count, bytes) = (thousands(count), thousands(bytes));
            format!("{count} objects with {bytes} bytes, the farthest in {steps} steps")
        })
        .add("repeated", format!("{} objects left out", thousands(summary.duplicate_count)))
        .add("loaded", format!("{} classes", thousands(summary.loaded_class_count)))
        .add("symbols", thousands(summary.symbol_count))
        .show(out)
}

fn show_roots(roots: &[TagCount], out: &mut Output) -> anyhow::Result<()> {
    let columns = [("roots", Align::Left), ("count", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for root in roots {
        listing.row(out, vec![Cell::text(&root.name), root.count.into()])?;
    }
    listing.end(out)
}
