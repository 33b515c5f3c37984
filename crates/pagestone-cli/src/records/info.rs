//! `pagestone records info`: how many records there are, and what the sidecar says of them.

use std::fs;

use anyhow::Context as _;
use pagestone_storage::{Sidecar, SidecarStatus};
use serde::Serialize;

use super::files;
use crate::{
    args::FileArgs,
    output::{Facts, Format, Output, thousands},
};

#[derive(Serialize)]
struct Described {
    file: String,
    record_size: usize,
    records: u64,
    bytes: u64,
    partial_tail: u64,
    sidecar: SidecarState,
    sorted_by: Vec<String>,
}

/// A sidecar for programs.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum SidecarState {
    Absent,
    Usable {
        record_count: u64,
        fingerprint: Option<u64>,
        sorted_by: Vec<String>,
        accelerated: Option<String>,
        block_records: u64,
    },
    Unusable {
        reason: String,
    },
}

impl From<&SidecarStatus> for SidecarState {
    fn from(status: &SidecarStatus) -> Self {
        match status {
            SidecarStatus::Usable(sidecar) => Self::Usable {
                record_count: sidecar.record_count,
                fingerprint: sidecar.fingerprint,
                sorted_by: files::field_texts(&sidecar.sorted_by),
                accelerated: sidecar.accelerated.map(|field| field.to_string()),
                block_records: sidecar.block_records,
            },
            SidecarStatus::Unusable(reason) => Self::Unusable { reason: reason.clone() },
            _ => Self::Absent,
        }
    }
}

pub(super) fn run(args: &FileArgs, out: &mut Output) -> anyhow::Result<()> {
    let records = files::inspect(args)?;
    let path = args.file.display();
    let bytes = fs::metadata(&args.file).with_context(|| format!("stat {path}"))?.len();
    let (size, count) = (args.record as u64, records.len());
    let partial_tail = bytes.saturating_sub(count.saturating_mul(size));
    let sorted_by = files::field_texts(files::known_order(&records));
    if out.format() == Format::Json {
        out.json(&Described {
            file: args.file.to_string_lossy().into_owned(),
            record_size: args.record,
            records: count,
            bytes,
            partial_tail,
            sidecar: records.sidecar().into(),
            sorted_by,
        })?;
    } else {
        let order =
            if sorted_by.is_empty() { "not known".to_owned() } else { sorted_by.join(", ") };
        Facts::new()
            .add("file", &path)
            .add("records", format!("{} of {} bytes", thousands(count), thousands(size)))
            .add("bytes", thousands(bytes))
            .add("partial tail", format!("{} bytes", thousands(partial_tail)))
            .add("sidecar", sidecar_text(records.sidecar()))
            .add("sorted by", order)
            .show(out)?;
        out.took()?;
    }
    if 0 < partial_tail {
        let offset = bytes - partial_tail;
        out.finding(format_args!("{path}: ends inside a record that begins at offset {offset}"))?;
    }
    if let SidecarStatus::Unusable(reason) = records.sidecar() {
        out.finding(format_args!("{path}: its sidecar cannot be used: {reason}"))?;
    }
    Ok(())
}

pub(super) fn sidecar_text(status: &SidecarStatus) -> String {
    match status {
        SidecarStatus::Usable(sidecar) => usable_text(sidecar),
        SidecarStatus::Unusable(reason) => format!("cannot be used: {reason}"),
        _ => "none".to_owned(),
    }
}

fn usable_text(sidecar: &Sidecar) -> String {
    let mut parts = vec![format!("describes {} records", thousands(sidecar.record_count))];
    if 0 < sidecar.block_records {
        let records = thousands(sidecar.block_records);
        parts.push(format!("a checksum per {records} records"));
    }
    if let Some(field) = sidecar.accelerated {
        parts.push(format!("accelerates searches by {field}"));
    }
    parts.join(", ")
}
