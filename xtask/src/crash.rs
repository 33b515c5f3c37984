//! `cargo xtask crash`: the crash simulator of a layer, for as long as one likes.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{CrashArgs, Outcome};

/// A layer with a crash simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layer {
    Heap,
    /// Entries of a buffer: the log that it stands on, in the same files as blocks.
    Buffer,
    /// Objects in slots and numbers, in the same files as blocks.
    Slab,
}

impl Layer {
    /// Which tests of `pagestone-heap` run.
    fn tests(self) -> &'static [&'static str] {
        match self {
            Self::Heap => &["crash::", "--skip", "crash::logs::", "--skip", "crash::slabs::"],
            Self::Buffer => &["crash::logs::"],
            Self::Slab => &["crash::slabs::"],
        }
    }
}

/// Runs each simulation of the layer's `tests/it` in release, and lets it print what it found.
pub(crate) fn run(root: &Path, args: &CrashArgs) -> Result<Outcome> {
    let status = Command::new("cargo")
        .args(["test", "--release", "-p", "pagestone-heap", "--test", "it", "--", "--nocapture"])
        .args(args.layer.tests())
        .env("PAGESTONE_CRASH_SECONDS", args.seconds.to_string())
        .env("PAGESTONE_CRASH_SEED", args.seed.to_string())
        .current_dir(root)
        .status()
        .context("cargo test of the crash simulator")?;
    Ok(if status.success() { Outcome::Fine } else { Outcome::Findings })
}
