//! The command `pagestone`: heap-dump indexes, region files, tables and files of fixed-size
//! records, from
//! a shell.
//!
//! It has no storage logic of its own: it parses arguments, calls the libraries and prints.

mod args; // what can be said on the command line
mod heapdump; // `pagestone heapdump …`
mod records; // `pagestone records …`
mod table; // `pagestone table …`
mod region; // `pagestone info`, `stats`, `verify`, `dump`, `get`, `compact`, `orphans`, `backup`, `salvage`
mod completions; // `pagestone completions …`
mod value; // values as people write them
mod output; // what goes to standard output and standard error
mod trust; // the promise about files that are mapped
mod progress; // a bar on standard error, where somebody sees it
mod exit; // what the exit code says

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Cli, Command},
    output::Output,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => return exit::usage(&refused),
    };
    let mut out = Output::new(cli.format());
    let done = run(cli.command, &mut out);
    // Also behind an error: what was found before it is an answer.
    let flushed = out.flush();
    exit::code(done.and(flushed), &out)
}

fn run(command: Command, out: &mut Output) -> anyhow::Result<()> {
    match command {
        Command::Heapdump { command } => heapdump::run(command, out),
        Command::Records { command } => records::run(command, out),
        Command::Table { command } => table::run(command, out),
        Command::Info(args) => region::info(&args, out),
        Command::Stats(args) => region::stats(&args, out),
        Command::Verify(args) => region::verify(&args, out),
        Command::Dump(args) => region::dump(&args, out),
        Command::Get(args) => region::get(&args, out),
        Command::Compact(args) => region::compact(&args, out),
        Command::Orphans(args) => region::orphans(&args, out),
        Command::Backup(args) => region::backup(&args, out),
        Command::Salvage(args) => region::salvage(&args, out),
        Command::Completions { shell } => completions::run(shell, out),
    }
}
