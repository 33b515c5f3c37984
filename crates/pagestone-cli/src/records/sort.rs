//! `pagestone records sort`: by a field or a composite key.

use std::{ops::ControlFlow, thread};

use pagestone_storage::{Mutability, Storage};
use serde::Serialize;

use super::{
    columns,
    files::{self, Opening},
    sidecar,
};
use crate::{
    args::SortArgs,
    output::{Format, Output, thousands},
    progress::Bar,
};

#[derive(Serialize)]
struct Outcome {
    file: String,
    records: u64,
    sorted_by: Vec<String>,
}

pub(super) fn run(args: &SortArgs, out: &mut Output) -> anyhow::Result<()> {
    args.keys.iter().try_for_each(|&key| columns::check(key, &args.file))?;
    sidecar::check(&args.sidecar_content, &args.file)?;
    // A sorted copy takes the file's place, so that readers may stay: no record changes.
    let mutability = if args.in_place { Mutability::InPlace } else { Mutability::AppendOnly };
    let mut storage = files::write(&args.file, mutability, Opening::Open)?;
    files::check_tail(&storage, &args.tail)?;
    sort(&mut storage, args)?;
    let content = &args.sidecar_content;
    if args.sidecar || content.checksums || content.accelerate.is_some() {
        storage.write_sidecar(sidecar::options(content))?;
    }
    let count = storage.len();
    storage.close()?;
    let sorted_by = files::field_texts(&args.keys);
    if out.format() == Format::Json {
        let file = args.file.file.to_string_lossy().into_owned();
        return out.json(&Outcome { file, records: count, sorted_by });
    }
    let (path, keys) = (args.file.file.display(), sorted_by.join(", "));
    out.line(format_args!("{path}: {} records sorted by {keys}", thousands(count)))?;
    out.took()
}

fn sort(storage: &mut Storage, args: &SortArgs) -> anyhow::Result<()> {
    let bar = Bar::new("sort");
    let size = args.file.record as u64;
    let threads = args.threads.or_else(|| thread::available_parallelism().ok().map(usize::from));
    let mut sort = storage.sort_by(args.keys.clone()).threads(threads.unwrap_or(1)).progress(
        move |progress| {
            bar.set(progress.done.saturating_mul(size), progress.total.saturating_mul(size));
            ControlFlow::Continue(())
        },
    );
    if args.stable {
        sort = sort.stable();
    }
    if args.in_place {
        sort = sort.in_place();
    }
    if let Some(memory) = args.memory {
        sort = sort.memory(memory);
    }
    Ok(sort.run()?)
}
