//! `cargo xtask ci`: every check, in order, until one fails; the times stand at the end.

mod features; // each feature of each member alone

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use self::features::Package;
use crate::{
    CiArgs, Outcome, tidy,
    workspace::{Workspace, cargo},
};

/// One check: what it is called and what runs.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    name: String,
    action: Action,
}

#[derive(Debug, PartialEq, Eq)]
enum Action {
    Tidy,
    Cargo {
        args: Vec<String>,
        /// A cargo command that need not be installed, and what brings it.
        needs: Option<(&'static str, &'static str)>,
    },
}

const CLIPPY: Option<(&str, &str)> = Some(("clippy", "the clippy component"));

/// Runs the steps; the first that fails is a finding.
pub(crate) fn run(root: &Path, args: &CiArgs) -> Result<Outcome> {
    let packages = features::packages(root)?;
    let mut times: Vec<(String, String)> = Vec::new();
    let mut outcome = Outcome::Fine;
    for step in steps(&packages).into_iter().filter(|s| s.name != "test" || !args.skip_tests) {
        println!("ci: {}", step.name);
        if let Some(provider) = step.missing(root) {
            println!("ci: {} skipped: {provider} is not installed", step.name);
            times.push((step.name, "skipped".to_owned()));
            continue;
        }
        let start = Instant::now();
        outcome = step.run(root)?;
        times.push((step.name, seconds(start.elapsed())));
        if outcome == Outcome::Findings {
            break;
        }
    }
    print!("{}", summary(&times, outcome));
    Ok(outcome)
}

fn steps(packages: &[Package]) -> Vec<Step> {
    let fmt = Some(("fmt", "the rustfmt component"));
    let deny = Some(("deny", "cargo-deny"));
    let clippy = "clippy --workspace --all-targets --all-features -- -D warnings";
    let mut steps = vec![
        Step::cargo("format", "fmt --all -- --check", fmt),
        Step::cargo("clippy", clippy, CLIPPY),
        Step { name: "tidy".to_owned(), action: Action::Tidy },
        Step::cargo("test", "test --workspace", None),
        Step::cargo("doc", "doc --workspace --no-deps", None),
    ];
    for command in packages.iter().flat_map(features::commands) {
        steps.push(Step::cargo(&format!("feature {}", command.name), &command.args, CLIPPY));
    }
    let fuzz = "check --manifest-path fuzz/Cargo.toml --no-default-features";
    steps.push(Step::cargo("fuzz targets", fuzz, None));
    steps.push(Step::cargo("deny", "deny check bans licenses sources", deny));
    steps
}

impl Step {
    fn cargo(name: &str, args: &str, needs: Option<(&'static str, &'static str)>) -> Self {
        let args = args.split(' ').map(str::to_owned).collect();
        Self { name: name.to_owned(), action: Action::Cargo { args, needs } }
    }

    /// What would have to be installed for this step to run.
    fn missing(&self, root: &Path) -> Option<&'static str> {
        let Action::Cargo { needs: Some((command, provider)), .. } = self.action else {
            return None;
        };
        let mut probe = cargo(root);
        probe.args([command, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        let answers = probe.status().is_ok_and(|status| status.success());
        if answers { None } else { Some(provider) }
    }

    fn run(&self, root: &Path) -> Result<Outcome> {
        let args = match &self.action {
            Action::Tidy => return tidy::run(&Workspace::read(root.to_path_buf())?),
            Action::Cargo { args, .. } => args,
        };
        let mut command = cargo(root);
        command.args(args);
        if self.name == "doc" {
            command.env("RUSTDOCFLAGS", "-D warnings");
        }
        execute(&mut command).with_context(|| format!("cargo {}", args.join(" ")))
    }
}

/// A command that starts, but does not succeed, has found something.
fn execute(command: &mut Command) -> Result<Outcome> {
    Ok(if command.status()?.success() { Outcome::Fine } else { Outcome::Findings })
}

fn summary(times: &[(String, String)], outcome: Outcome) -> String {
    let width = times.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> =
        times.iter().map(|(name, time)| format!("ci: {name:<width$}  {time:>8}\n")).collect();
    lines.push(match (outcome, times.last()) {
        (Outcome::Findings, Some((name, _))) => format!("ci: {name} failed\n"),
        _ => "ci: all steps passed\n".to_owned(),
    });
    lines.concat()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_in_order() {
        let package = Package { name: "a".into(), features: vec!["b".into()], has_lib: true };
        let steps = steps(&[package]);
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let expected = [
            "format",
            "clippy",
            "tidy",
            "test",
            "doc",
            "feature a",
            "feature a/b",
            "fuzz targets",
            "deny",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_failing_command_is_a_finding() {
        let root = crate::workspace::root().unwrap();
        let check = |arg, expected| {
            let mut command = cargo(&root);
            command.arg(arg).stdout(Stdio::null()).stderr(Stdio::null());
            assert_eq!(execute(&mut command).unwrap(), expected);
        };
        check("--version", Outcome::Fine);
        check("no-such-command-of-cargo", Outcome::Findings);
        assert!(execute(&mut Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn a_missing_tool_is_named() {
        let root = crate::workspace::root().unwrap();
        let step = Step::cargo("a", "x", Some(("no-such-command-of-cargo", "the tool")));
        assert_eq!(step.missing(&root), Some("the tool"));
        assert_eq!(Step::cargo("a", "x", Some(("--quiet", "cargo"))).missing(&root), None);
    }

    #[test]
    fn the_summary_names_the_step_that_failed() {
        let times = [("tidy".into(), seconds(Duration::from_millis(1260)))];
        assert_eq!(summary(&times, Outcome::Findings), "ci: tidy     1.3 s\nci: tidy failed\n");
        assert!(summary(&times, Outcome::Fine).ends_with("ci: all steps passed\n"));
    }
}
