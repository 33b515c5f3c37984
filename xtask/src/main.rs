//! The automation of the workspace: `cargo xtask tidy | ci | unsafe | bench | asan | loom | torture | fuzz | crash |
//! large`.
//!
//! Each task is one file; this one reads the command line and picks the task. A task answers
//! whether the tree is fine, so that findings end with status 1 and broken tools with status 2.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line: its output is its product"
)]

mod tidy; // the rules of style.md that a program can check
mod ci; // everything that has to hold before a commit
mod unsafe_list; // the inventory of unsafe code
mod bench; // benchmark suites: run in rounds, medians, table, JSON
mod asan; // the storage tests under the address sanitizer
mod torture; // children killed at random, as long as one likes
mod loom; // interleavings of the lock-free parts and of the heap
mod crash; // kills and power losses at every store
mod large; // stores larger than the suite has time for
mod workspace; // the files and manifests of the tree
mod source; // one Rust file as code, comments and tokens

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::{bench::suites::Suite, workspace::Workspace};

/// Automation of the pagestone workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the rules of the style guide that a program can check.
    Tidy,
    /// Run every check: format, clippy, tidy, tests, docs, each feature alone, fuzz targets,
    /// cargo deny.
    Ci(CiArgs),
    /// Print the inventory of unsafe code.
    Unsafe,
    /// Run a benchmark suite and print it against its baselines and targets.
    Bench(BenchArgs),
    /// Run the tests of the crate with unsafe code under the address sanitizer, with nightly.
    Asan,
    /// Explore every interleaving of the lock-free parts with loom, many of the heap with shuttle.
    Loom,
    /// Kill writers at random moments and read beside them, in release.
    Torture(LongArgs),
    /// Give a store bytes that somebody else made; with nightly and cargo-fuzz, guided.
    Fuzz(LongArgs),
    /// Run the crash simulator of a layer for longer than the tests do, in release.
    Crash(CrashArgs),
    /// Run the tests of a layer that take any number of rows with many of them, in release.
    Large(LargeArgs),
}

/// Which layer, and how many rows.
#[derive(Debug, Args)]
struct LargeArgs {
    /// The layer.
    layer: large::Layer,
    /// How many rows.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    rows: u64,
}

/// Which simulator, how long, and from which seed.
#[derive(Debug, Args)]
struct CrashArgs {
    /// The layer to crash.
    layer: crash::Layer,
    /// How long each kind of run goes on.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// The seed of the first run; the seed of a violation, with `--seconds 1`, shows it again.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct CiArgs {
    /// Leave out the test step, for a caller that has run the tests itself.
    #[arg(long)]
    skip_tests: bool,
}

/// What to try, how long, and from which seed on.
#[derive(Debug, Args)]
struct LongArgs {
    /// The store.
    store: torture::Subject,
    /// Seconds that each test takes.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// The seed of all choices.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

/// What to measure, how long, and where the figures go.
#[derive(Debug, Args)]
struct BenchArgs {
    /// The suite to run.
    suite: Suite,
    /// One short round: shows that everything runs, proves nothing.
    #[arg(long)]
    quick: bool,
    /// Run the other engines of benches/peers too.
    #[arg(long)]
    peers: bool,
    /// How often each contender runs; the median counts. Default 3, or 1 with --quick.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Write the rows as JSON lines.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the rows under this name, for a later --compare.
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Show the change since the rows kept under this name.
    #[arg(long, value_name = "NAME")]
    compare: Option<String>,
}

/// What a task that ran to its end says about the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fine,
    Findings,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<Outcome> {
    let root = workspace::root()?;
    match command {
        Command::Tidy => tidy::run(&Workspace::read(root)?),
        Command::Ci(args) => ci::run(&root, &args),
        Command::Unsafe => unsafe_list::run(&Workspace::read(root)?),
        Command::Bench(args) => bench::run(&root, &args),
        Command::Asan => asan::run(&root),
        Command::Loom => loom::run(&root),
        Command::Torture(args) => torture::kill(&root, &args),
        Command::Fuzz(args) => torture::fuzz(&root, &args),
        Command::Crash(args) => crash::run(&root, &args),
        Command::Large(args) => large::run(&root, &args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let bench = ["xtask", "bench", "heapdump", "--quick", "--json", "x"];
        assert!(Cli::try_parse_from(bench).is_ok());
        assert!(Cli::try_parse_from(["xtask", "bench", "unknown"]).is_err());
        let crash = ["xtask", "crash", "heap", "--seconds", "5", "--seed", "7"];
        assert!(Cli::try_parse_from(crash).is_ok());
    }
}
