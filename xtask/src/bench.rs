//! `cargo xtask bench`: runs a suite in rounds and prints it against baselines and targets.

pub(crate) mod suites; // what is measured, against what, with which target
mod rounds; // one contender at a time, round after round; medians
mod estimates; // what criterion writes, read in one place
mod measure; // what the plain program prints
mod peer; // programs in other languages: compiled where their libraries are
mod report; // rows with verdicts: table and JSON lines
mod machine; // what was measured on

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use self::{report::Verdict, rounds::Options, suites::Suite};
use crate::{BenchArgs, Outcome, workspace::target_dir};

/// Measures, prints and keeps; a missed target is a result, not a failure.
pub(crate) fn run(root: &Path, args: &BenchArgs) -> Result<Outcome> {
    let rows = suites::rows(args.suite);
    ensure!(!rows.is_empty(), "the suite {} has no rows", args.suite);
    let earlier = match &args.compare {
        Some(name) => read_kept(&kept_path(root, args.suite, name)?)?,
        None => vec![],
    };
    let options =
        Options { quick: args.quick, peers: args.peers, rounds: args.rounds.unwrap_or(0) };
    let figures = rounds::run(root, rows, &options)?;
    let verdicts = report::verdicts(args.suite, rows, &figures)?;

    println!("{}", report::table(&verdicts, &earlier));
    println!("{}", machine::facts(&target_dir(root)));
    println!("rounds: {}{}", options.round_count(), if args.quick { " (quick)" } else { "" });
    print!("{}", report::sizes(rows, &figures));

    let lines = report::json_lines(&verdicts)?;
    if let Some(file) = &args.json {
        fs::write(file, &lines).with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(name) = &args.save {
        let path = kept_path(root, args.suite, name)?;
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(&path, &lines).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(Outcome::Fine)
}

/// Where the rows of a suite are kept under a name.
fn kept_path(root: &Path, suite: Suite, name: &str) -> Result<PathBuf> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    ensure!(is_plain && !name.is_empty(), "{name:?}: letters, digits, `-`, `_` and `.` only");
    Ok(target_dir(root).join("xtask-bench").join(format!("{suite}-{name}.jsonl")))
}

fn read_kept(path: &Path) -> Result<Vec<Verdict>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    report::parse_lines(&text).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        let path = kept_path(Path::new("/r"), Suite::Heapdump, "before-1").unwrap();
        assert!(path.ends_with("xtask-bench/heapdump-before-1.jsonl"), "{path:?}");
        assert!(kept_path(Path::new("/r"), Suite::Heapdump, "../x").is_err());
        assert!(kept_path(Path::new("/r"), Suite::Heapdump, "").is_err());
    }
}
