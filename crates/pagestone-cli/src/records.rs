//! `pagestone records`: files of fixed-size records, whoever wrote them.

mod columns; // the columns that show a record
mod files; // opening: for reading, for appending, for sorting
mod source; // where appended records come from
mod info;
mod get; // head and get
mod sort;
mod search;
mod range;
mod append;
mod export;
mod verify;
mod sidecar;

use crate::{args::RecordsCommand, output::Output};

pub(crate) fn run(command: RecordsCommand, out: &mut Output) -> anyhow::Result<()> {
    match command {
        RecordsCommand::Info(args) => info::run(&args, out),
        RecordsCommand::Head(args) => get::head(&args, out),
        RecordsCommand::Get(args) => get::get(&args, out),
        RecordsCommand::Sort(args) => sort::run(&args, out),
        RecordsCommand::Search(args) => search::run(&args, out),
        RecordsCommand::Range(args) => range::run(&args, out),
        RecordsCommand::Append(args) => append::run(&args, out),
        RecordsCommand::Export(args) => export::run(&args, out),
        RecordsCommand::Verify(args) => verify::run(&args, out),
        RecordsCommand::Sidecar(args) => sidecar::run(&args, out),
    }
}
