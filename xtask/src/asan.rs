//! `cargo xtask asan`: the tests of the crate with unsafe code under the address sanitizer.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::Outcome;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs the unit and integration tests of `pagestone-storage`, where a nightly toolchain is there.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let nightly = Command::new("rustup").args(["run", "nightly", "rustc", "--version"]).output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        println!("asan: skipped, there is no nightly toolchain");
        return Ok(Outcome::Fine);
    }
    let status = Command::new("rustup")
        .args(["run", "nightly", "cargo", "test", "-p", "pagestone-storage"])
        .args(["--lib", "--tests", "--target", TARGET])
        .env("RUSTFLAGS", "-Zsanitizer=address")
        // The tests reserve and give back large address ranges; leaks are not what is looked for.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .current_dir(root)
        .status()
        .context("rustup run nightly cargo test")?;
    Ok(if status.success() { Outcome::Fine } else { Outcome::Findings })
}
