//! `cargo xtask torture` and `fuzz`: the tests of random length, longer than the suite has time.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{LongArgs, Outcome};

/// A store that can be tortured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    Heap,
    /// Entries, and the log below them.
    Buffer,
    /// Objects in slots of slabs.
    Slab,
}

/// Modules of tests, each with the crate that they are of.
type Tests = &'static [(&'static str, &'static [&'static str])];

const HOSTILE_HEAP: [&str; 5] =
    ["hostile::", "--skip", "hostile::logs::", "--skip", "hostile::slabs::"];

impl Subject {
    fn killed(self) -> Tests {
        match self {
            Self::Heap => &[(
                "pagestone-heap",
                &["torture::", "threads::", "processes::", "--skip", "slab_torture::"],
            )],
            Self::Buffer => &[("pagestone-buffer", &["torture::"])],
            Self::Slab => &[("pagestone-heap", &["slab_torture::"])],
        }
    }

    fn hostile(self) -> Tests {
        match self {
            Self::Heap => &[("pagestone-heap", &HOSTILE_HEAP)],
            Self::Buffer => &[("pagestone-heap", &["hostile::logs::"])],
            Self::Slab => &[("pagestone-heap", &["hostile::slabs::"])],
        }
    }

    fn fuzz_target(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Buffer => "buffer",
            Self::Slab => "slab",
        }
    }
}

/// Kills writers, and lets readers look on; the tests say how often and what was lost.
pub(crate) fn kill(root: &Path, args: &LongArgs) -> Result<Outcome> {
    tests(root, args, args.store.killed())
}

/// Runs the hostile tests for long, then the fuzz target where its tools are there.
pub(crate) fn fuzz(root: &Path, args: &LongArgs) -> Result<Outcome> {
    if tests(root, args, args.store.hostile())? == Outcome::Findings {
        return Ok(Outcome::Findings);
    }
    let tool =
        Command::new("rustup").args(["run", "nightly", "cargo", "fuzz", "--version"]).output();
    if !tool.is_ok_and(|output| output.status.success()) {
        println!("fuzz: skipped, there is no nightly toolchain with cargo-fuzz");
        return Ok(Outcome::Fine);
    }
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", "run", args.store.fuzz_target(), "--"]);
    command.arg(format!("-max_total_time={}", args.seconds)).arg(format!("-seed={}", args.seed));
    answer(command.current_dir(root))
}

fn tests(root: &Path, args: &LongArgs, tests: Tests) -> Result<Outcome> {
    for (package, modules) in tests {
        let mut command = Command::new("cargo");
        command
            .args(["test", "--release", "-p", package, "--test", "it", "--", "--nocapture"])
            .args(*modules)
            .env("PAGESTONE_TORTURE_SECONDS", args.seconds.to_string())
            .env("PAGESTONE_TORTURE_SEED", args.seed.to_string());
        if answer(command.current_dir(root))? == Outcome::Findings {
            return Ok(Outcome::Findings);
        }
    }
    Ok(Outcome::Fine)
}

fn answer(command: &mut Command) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    Ok(if status.success() { Outcome::Fine } else { Outcome::Findings })
}
