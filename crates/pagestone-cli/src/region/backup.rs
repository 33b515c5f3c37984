//! `pagestone backup`: a copy of a region file that opens at its last commit.

use std::ops::ControlFlow;

use pagestone_heap::{Backup, Copied};
use serde::Serialize;

use super::open;
use crate::{
    args::BackupArgs,
    output::{Facts, Format, Output, thousands},
    progress::Bar,
};

#[derive(Serialize)]
struct Made {
    file: String,
    generation: u64,
    copied: u64,
    bytes: u64,
}

pub(crate) fn run(args: &BackupArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(&args.file)?;
    let bar = Bar::new("backup");
    let mut hook = |copied: Copied| {
        bar.set(copied.done, copied.total);
        ControlFlow::Continue(())
    };
    let made = file.backup(args.to.as_path(), Backup::new().progress(&mut hook))?;
    drop(bar);
    if out.format() == Format::Json {
        return out.json(&Made {
            file: args.to.to_string_lossy().into_owned(),
            generation: made.generation,
            copied: made.copied,
            bytes: made.len,
        });
    }
    Facts::new()
        .add("backup", args.to.display())
        .add("generation", thousands(made.generation))
        .add("copied", format!("{} of {} bytes", thousands(made.copied), thousands(made.len)))
        .show(out)?;
    out.took()
}
