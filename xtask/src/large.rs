//! `cargo xtask large`: tests that the suite runs with few rows, with many.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{LargeArgs, Outcome};

/// A layer with tests that take any number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layer {
    /// Keys that are all equal: some 100 bytes of files for each row, in memory where there is
    /// `/dev/shm`.
    Index,
    /// Builds of dumps that are cut and changed at every byte; without a number of rows.
    Heapdump,
}

impl Layer {
    /// The crate, and which of its tests run.
    fn tests(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Index => ("pagestone-index", &["lookups::all_keys_equal"]),
            Self::Heapdump => ("pagestone-heapdump", &["damage::", "packed::"]),
        }
    }
}

/// Runs the tests of a layer in release, and lets them print what they took.
pub(crate) fn run(root: &Path, args: &LargeArgs) -> Result<Outcome> {
    let (package, tests) = args.layer.tests();
    let status = Command::new("cargo")
        .args(["test", "--release", "-p", package, "--test", "it", "--", "--nocapture"])
        .args(tests)
        .env("PAGESTONE_ROWS", args.rows.to_string())
        .env("PAGESTONE_STEP", "1")
        .current_dir(root)
        .status()
        .context("cargo test of many rows")?;
    Ok(if status.success() { Outcome::Fine } else { Outcome::Findings })
}
