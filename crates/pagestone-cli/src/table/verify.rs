//! `pagestone table verify`: every file against its checksums and its order.

use std::ops::ControlFlow;

use pagestone_index::ErrorKind;
use serde::Serialize;

use super::open;
use crate::{
    args::TableArgs,
    output::{Format, Output, thousands},
    progress::Bar,
};

#[derive(Serialize)]
struct Verified {
    table: String,
    clean: bool,
    rows: u64,
    damage: Option<String>,
}

pub(super) fn run(args: &TableArgs, out: &mut Output) -> anyhow::Result<()> {
    let table = open(&args.table)?;
    let bar = Bar::new("verify");
    let found = table.verify(|progress| {
        bar.set(progress.done, progress.total);
        ControlFlow::Continue(())
    });
    drop(bar);
    let damage = match found {
        Ok(()) => None,
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated) => {
            Some(error)
        }
        Err(error) => return Err(error.into()),
    };
    let path = &args.table;
    if out.format() == Format::Json {
        out.json(&Verified {
            table: path.to_string_lossy().into_owned(),
            clean: damage.is_none(),
            rows: table.len(),
            damage: damage.as_ref().map(ToString::to_string),
        })?;
    } else {
        let (path, rows) = (path.display(), thousands(table.len()));
        let verdict = if damage.is_none() { "nothing wrong found" } else { "damaged" };
        out.line(format_args!("{path}: {rows} rows, {verdict}"))?;
        out.took()?;
    }
    damage.iter().try_for_each(|damage| out.finding(damage))
}
