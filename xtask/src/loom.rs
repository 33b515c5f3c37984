//! `cargo xtask loom`: every interleaving of the lock-free parts, explored by loom.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{Outcome, workspace::target_dir};

/// The crates that have such parts, and the modules whose tests know `cfg(loom)`.
const PARTS: &[(&str, &[&str])] =
    &[("pagestone-storage", &["published"]), ("pagestone-heap", &["epoch", "pin"])];

/// Runs the unit tests that know `cfg(loom)`, in a target folder of their own.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    for (package, modules) in PARTS {
        let status = Command::new("cargo")
            // Without optimization an exploration takes minutes.
            .args(["test", "--release", "-p", package, "--lib", "--"])
            .args(*modules)
            .env("RUSTFLAGS", "--cfg loom")
            .env("CARGO_TARGET_DIR", target_dir(root).join("loom"))
            .current_dir(root)
            .status()
            .context("cargo test with cfg(loom)")?;
        if !status.success() {
            return Ok(Outcome::Findings);
        }
    }
    Ok(Outcome::Fine)
}
