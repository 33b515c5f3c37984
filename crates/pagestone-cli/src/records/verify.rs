//! `pagestone records verify`: a file against the checksums and the order its sidecar names.

use std::ops::ControlFlow;

use pagestone_storage::{DamagedBlock, SidecarStatus, Verification};
use serde::Serialize;

use super::{
    files,
    info::{SidecarState, sidecar_text},
};
use crate::{
    args::FileArgs,
    output::{Facts, Format, Output, thousands},
    progress::Bar,
};

#[derive(Serialize)]
struct Verified {
    file: String,
    clean: bool,
    records: u64,
    records_checked: u64,
    damaged_count: u64,
    damaged: Vec<Block>,
    first_unsorted: Option<u64>,
    partial_tail: u64,
    sidecar: SidecarState,
}

#[derive(Serialize)]
struct Block {
    first_record: u64,
    end_record: u64,
    offset: u64,
    expected: u32,
    found: u32,
}

impl From<&DamagedBlock> for Block {
    fn from(block: &DamagedBlock) -> Self {
        Self {
            first_record: block.records.start,
            end_record: block.records.end,
            offset: block.offset,
            expected: block.expected,
            found: block.found,
        }
    }
}

pub(super) fn run(args: &FileArgs, out: &mut Output) -> anyhow::Result<()> {
    let records = files::inspect(args)?;
    let (bar, size) = (Bar::new("verify"), args.record as u64);
    let found = records.verify(|progress| {
        bar.set(progress.done.saturating_mul(size), progress.total.saturating_mul(size));
        ControlFlow::Continue(())
    })?;
    drop(bar);
    if out.format() == Format::Json {
        tell_programs(args, &found, out)?;
    } else {
        tell_people(args, &found, out)?;
    }
    tell_findings(args, &found, out)
}

fn tell_programs(args: &FileArgs, found: &Verification, out: &mut Output) -> anyhow::Result<()> {
    out.json(&Verified {
        file: args.file.to_string_lossy().into_owned(),
        clean: found.is_clean(),
        records: found.records,
        records_checked: found.records_checked,
        damaged_count: found.damaged_count,
        damaged: found.damaged.iter().map(Block::from).collect(),
        first_unsorted: found.first_unsorted,
        partial_tail: found.partial_tail,
        sidecar: (&found.sidecar).into(),
    })
}

fn tell_people(args: &FileArgs, found: &Verification, out: &mut Output) -> anyhow::Result<()> {
    let checked = thousands(found.records_checked);
    let order = match (&found.sidecar, found.first_unsorted) {
        (SidecarStatus::Usable(sidecar), None) if !sidecar.sorted_by.is_empty() => {
            format!("as the sidecar says, by {}", files::field_texts(&sidecar.sorted_by).join(", "))
        }
        (_, None) => "the sidecar names none".to_owned(),
        (_, Some(index)) => format!("broken at record {index}"),
    };
    Facts::new()
        .add("file", args.file.display())
        .add("records", format!("{}, {checked} with checksums", thousands(found.records)))
        .add("damaged", format!("{} blocks", thousands(found.damaged_count)))
        .add("order", order)
        .add("partial tail", format!("{} bytes", thousands(found.partial_tail)))
        .add("sidecar", sidecar_text(&found.sidecar))
        .add("verdict", if found.is_clean() { "nothing wrong found" } else { "damaged" })
        .show(out)?;
    out.took()
}

fn tell_findings(args: &FileArgs, found: &Verification, out: &mut Output) -> anyhow::Result<()> {
    let (path, size) = (args.file.display(), args.record as u64);
    for block in &found.damaged {
        let (start, end) = (block.records.start, block.records.end);
        out.finding(format_args!(
            "{path}: records {start}..{end} at offset {}: checksum {:#010x}, expected {:#010x}",
            block.offset, block.found, block.expected,
        ))?;
    }
    let more = found.damaged_count.saturating_sub(found.damaged.len() as u64);
    if 0 < more {
        out.finding(format_args!("{path}: {} more damaged blocks", thousands(more)))?;
    }
    if let Some(index) = found.first_unsorted {
        let offset = index.saturating_mul(size);
        out.finding(format_args!(
            "{path}: record {index} at offset {offset} is below the one before it"
        ))?;
    }
    if 0 < found.partial_tail {
        let offset = found.records.saturating_mul(size);
        out.finding(format_args!("{path}: ends inside a record that begins at offset {offset}"))?;
    }
    if let SidecarStatus::Unusable(reason) = &found.sidecar {
        out.finding(format_args!("{path}: its sidecar cannot be used: {reason}"))?;
    }
    Ok(())
}
