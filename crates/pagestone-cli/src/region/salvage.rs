//! `pagestone salvage`: the logs of a damaged region file, as a new file.

use std::ops::ControlFlow;

use pagestone_buffer::{Damage, Salvage, Salvaged};
use pagestone_heap::Copied;
use serde::Serialize;

use crate::{
    args::SalvageArgs,
    output::{Align, Cell, Facts, Format, Listing, Output, thousands},
    progress::Bar,
    trust,
};

#[derive(Serialize)]
struct Made {
    file: String,
    to: String,
    generation: Option<u64>,
    entries: u64,
    removed: u64,
    bytes: u64,
    segments: u64,
    ends_unknown: u64,
    unnamed: u64,
    logs: Vec<Log>,
    left_out: Vec<String>,
    damage_count: u64,
    damaged_bytes: u64,
    damaged: Vec<Wrong>,
}

#[derive(Serialize)]
struct Log {
    name: String,
    is_named: bool,
    entries: u64,
    removed: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Wrong {
    offset: u64,
    bytes: u64,
    what: String,
    id: Option<u64>,
}

impl From<&Damage> for Wrong {
    fn from(damage: &Damage) -> Self {
        let id = damage.id.map(pagestone_heap::BlockId::to_bits);
        Self { offset: damage.offset, bytes: damage.len, what: damage.what.clone(), id }
    }
}

pub(crate) fn run(args: &SalvageArgs, out: &mut Output) -> anyhow::Result<()> {
    let bar = Bar::new("salvage");
    let mut hook = |copied: Copied| {
        bar.set(copied.done, copied.total);
        ControlFlow::Continue(())
    };
    let options = Salvage::new().search(args.search).progress(&mut hook);
    let (from, to) = (trust::file(&args.file.file), trust::file(&args.to));
    let made = pagestone_buffer::salvage(from, to, options)?;
    drop(bar);
    if out.format() == Format::Json {
        out.json(&describe(args, &made))?;
    } else {
        show(args, &made, out)?;
    }
    let path = args.file.file.display();
    for damage in &made.damaged {
        out.finding(format_args!("{path}: {damage}"))?;
    }
    let more = made.damage_count.saturating_sub(made.damaged.len() as u64);
    if 0 < more {
        out.finding(format_args!("{path}: {} more problems", thousands(more)))?;
    }
    let guesses = [
        (made.ends_unknown, "without a known end: what was undone may have come back"),
        (made.unnamed, "that no directory names: what was removed may have come back"),
    ];
    for (count, what) in guesses.into_iter().filter(|(count, _)| *count != 0) {
        out.finding(format_args!("{path}: {} segments {what}", thousands(count)))?;
    }
    Ok(())
}

fn describe(args: &SalvageArgs, made: &Salvaged) -> Made {
    let logs = made.logs.iter().map(|log| Log {
        name: log.name.clone(),
        is_named: log.is_named,
        entries: log.entries,
        removed: log.removed,
        bytes: log.bytes,
    });
    Made {
        file: args.file.file.to_string_lossy().into_owned(),
        to: args.to.to_string_lossy().into_owned(),
        generation: made.generation,
        entries: made.entries,
        removed: made.removed,
        bytes: made.bytes,
        segments: made.segments,
        ends_unknown: made.ends_unknown,
        unnamed: made.unnamed,
        logs: logs.collect(),
        left_out: made.left_out.clone(),
        damage_count: made.damage_count,
        damaged_bytes: made.damaged_bytes,
        damaged: made.damaged.iter().map(Wrong::from).collect(),
    }
}

fn show(args: &SalvageArgs, made: &Salvaged, out: &mut Output) -> anyhow::Result<()> {
    let columns = [
        ("log", Align::Left),
        ("entries", Align::Right),
        ("removed", Align::Right),
        ("bytes", Align::Right),
    ];
    let mut listing = Listing::new(Format::People, columns);
    for log in &made.logs {
        let numbers = [log.entries, log.removed, log.bytes].map(Cell::from);
        listing.row(out, [Cell::text(&log.name)].into_iter().chain(numbers).collect())?;
    }
    listing.end(out)?;
    out.line("")?;
    let generation = made.generation.map_or("not known".to_owned(), thousands);
    let mut facts = Facts::new();
    facts
        .add("file", args.to.display())
        .add("generation", generation)
        .add("entries", format!("{} of {} bytes", thousands(made.entries), thousands(made.bytes)))
        .add("segments", thousands(made.segments));
    if !made.left_out.is_empty() {
        facts.add("left out", made.left_out.join(", "));
    }
    let (count, bytes) = (thousands(made.damage_count), thousands(made.damaged_bytes));
    facts.add("damage", format!("{count} places, {bytes} bytes")).show(out)?;
    out.took()
}
