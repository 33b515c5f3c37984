//! `cargo xtask torture` and `fuzz`: the tests of random length, longer than the suite has time.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{LongArgs, Outcome};

/// A store that can be tortured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    Heap,
}

/// Kills writers, and lets readers look on; the tests say how often and what was lost.
pub(crate) fn kill(root: &Path, args: &LongArgs) -> Result<Outcome> {
    tests(root, args, &["torture::", "threads::", "processes::"])
}

/// Runs the hostile tests for long, then the fuzz target where its tools are there.
pub(crate) fn fuzz(root: &Path, args: &LongArgs) -> Result<Outcome> {
    if tests(root, args, &["hostile::"])? == Outcome::Findings {
        return Ok(Outcome::Findings);
    }
    let tool =
        Command::new("rustup").args(["run", "nightly", "cargo", "fuzz", "--version"]).output();
    if !tool.is_ok_and(|output| output.status.success()) {
        println!("fuzz: skipped, there is no nightly toolchain with cargo-fuzz");
        return Ok(Outcome::Fine);
    }
    let Subject::Heap = args.store;
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", "run", "heap", "--"]);
    command.arg(format!("-max_total_time={}", args.seconds)).arg(format!("-seed={}", args.seed));
    answer(command.current_dir(root))
}

fn tests(root: &Path, args: &LongArgs, modules: &[&str]) -> Result<Outcome> {
    let Subject::Heap = args.store;
    let mut command = Command::new("cargo");
    command
        .args(["test", "--release", "-p", "pagestone-heap", "--test", "it", "--", "--nocapture"])
        .args(modules)
        .env("PAGESTONE_TORTURE_SECONDS", args.seconds.to_string())
        .env("PAGESTONE_TORTURE_SEED", args.seed.to_string());
    answer(command.current_dir(root))
}

fn answer(command: &mut Command) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    Ok(if status.success() { Outcome::Fine } else { Outcome::Findings })
}
