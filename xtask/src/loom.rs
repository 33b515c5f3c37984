//! `cargo xtask loom`: every interleaving of the lock-free parts, explored by loom.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::Outcome;

/// Runs the unit tests that know `cfg(loom)`, in a target folder of their own.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let status = Command::new("cargo")
        .args(["test", "-p", "pagestone-storage", "--lib", "published"])
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", root.join("target/loom"))
        .current_dir(root)
        .status()
        .context("cargo test with cfg(loom)")?;
    Ok(if status.success() { Outcome::Fine } else { Outcome::Findings })
}
