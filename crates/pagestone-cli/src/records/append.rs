//! `pagestone records append`: raw records from standard input or a file.

use pagestone_storage::{Mutability, Storage};
use serde::Serialize;

use super::{
    files::{self, Opening},
    source::Source,
};
use crate::{
    args::AppendArgs,
    output::{Format, Output, thousands},
};

#[derive(Serialize)]
struct Outcome {
    file: String,
    appended: u64,
    records: u64,
}

pub(super) fn run(args: &AppendArgs, out: &mut Output) -> anyhow::Result<()> {
    // First of all: what cannot be read shall not make a file.
    let mut source = Source::open(args.from.as_deref(), args.file.record)?;
    let opening = if args.create { Opening::OpenOrCreate } else { Opening::Open };
    let mut storage = files::write(&args.file, Mutability::AppendOnly, opening)?;
    files::check_tail(&storage, &args.tail)?;
    let before = storage.len();
    let copied = copy(&mut source, &mut storage);
    let (records, path) = (storage.len(), args.file.file.display());
    let appended = records - before;
    // What was appended is kept and synced, also where the rest could not be read.
    storage.close()?;
    let count = thousands(appended);
    copied.map_err(|error| error.context(format!("{path}: {count} records appended")))?;
    if out.format() == Format::Json {
        let file = args.file.file.to_string_lossy().into_owned();
        return out.json(&Outcome { file, appended, records });
    }
    out.line(format_args!("{path}: {count} records appended, {} in all", thousands(records)))?;
    out.took()
}

fn copy(source: &mut Source, storage: &mut Storage) -> anyhow::Result<()> {
    loop {
        let records = source.next()?;
        if records.is_empty() {
            return Ok(());
        }
        storage.append(records)?;
    }
}
