//! What the storage crate costs whoever depends on it: crates, and the time of a clean build.

use std::{
    collections::BTreeSet,
    env,
    path::Path,
    process::{Command, Stdio},
};

use bench_own::{Clock, Folder, Result};

use crate::{Measurement, float};

const PACKAGE: &str = "pagestone-storage";

pub(crate) fn measure() -> Result<Vec<Measurement>> {
    let tree =
        cargo().args(["tree", "-p", PACKAGE, "-e", "normal", "--prefix", "none"]).output()?;
    if !tree.status.success() {
        return Err(format!("cargo tree: {}", tree.status).into());
    }
    let text = String::from_utf8(tree.stdout)?;
    // `(*)` marks a crate that was listed before.
    let names = text.lines().map(|line| line.trim_end_matches(" (*)"));
    let crates: BTreeSet<&str> = names.filter(|line| !line.is_empty()).collect();

    let folder = Folder::new()?;
    let mut build = cargo();
    build.args(["build", "--quiet", "-p", PACKAGE, "--target-dir"]).arg(folder.path("target"));
    let (time, status) = Clock::Wall.time(|| build.stdout(Stdio::null()).status());
    let status = status?;
    if !status.success() {
        return Err(format!("cargo build: {status}").into());
    }
    Ok(vec![
        Measurement::new("crates_count", float(crates.len() as u64), "crates"),
        Measurement::new("crates_build", time.as_secs_f64(), "s"),
    ])
}

/// The cargo that runs us, at the root of the workspace.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}
