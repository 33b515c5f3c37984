//! `cargo xtask loom`: every interleaving of the lock-free parts, explored by loom, and many of the
//! whole heap, by shuttle.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{Outcome, workspace::target_dir};

/// The crates that have such parts, and the modules whose tests know `cfg(loom)`.
const PARTS: &[(&str, &[&str])] = &[
    ("pagestone-storage", &["published"]),
    ("pagestone-heap", &["epoch", "pin", "follow"]),
    ("pagestone-slab", &["concurrent"]),
];

/// Runs the tests that know `cfg(loom)` and `cfg(shuttle)`, in target folders of their own.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    for (package, modules) in PARTS {
        if explore(root, "loom", &["-p", package, "--lib"], modules)? == Outcome::Findings {
            return Ok(Outcome::Findings);
        }
    }
    explore(root, "shuttle", &["-p", "pagestone-heap", "--test", "it"], &["interleaved"])
}

fn explore(root: &Path, cfg: &str, tests: &[&str], modules: &[&str]) -> Result<Outcome> {
    let status = Command::new("cargo")
        // Without optimization an exploration takes minutes.
        .args(["test", "--release"])
        .args(tests)
        .args(["--", "--nocapture"])
        .args(modules)
        .env("RUSTFLAGS", format!("--cfg {cfg}"))
        .env("CARGO_TARGET_DIR", target_dir(root).join(cfg))
        .current_dir(root)
        .status()
        .with_context(|| format!("cargo test with cfg({cfg})"))?;
    Ok(if status.success() { Outcome::Fine } else { Outcome::Findings })
}
