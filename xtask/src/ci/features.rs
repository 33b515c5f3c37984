//! Each feature of each member alone: features only add, so each must build by itself.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace::cargo;

/// A member of the workspace and its features, `default` left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) features: Vec<String>,
    pub(super) has_lib: bool,
}

/// A cargo command, and what to call it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FeatureCommand {
    pub(super) name: String,
    pub(super) args: String,
}

/// The members, as `cargo metadata` tells.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>> {
    let mut metadata = cargo(root);
    let output = metadata.args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let reason = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata: {}", reason.trim());
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    parse(&metadata)
}

/// The commands that lint `package` without features and with each one alone.
///
/// Only the library is looked at: tests may need several features together.
pub(super) fn commands(package: &Package) -> Vec<FeatureCommand> {
    if package.features.is_empty() {
        return vec![];
    }
    let Package { name, features, has_lib } = package;
    let target = if *has_lib { "--lib" } else { "--bins" };
    let none = format!("clippy --package {name} {target} --no-default-features");
    let mut commands =
        vec![FeatureCommand { name: name.clone(), args: format!("{none} -- -D warnings") }];
    for feature in features {
        let args = format!("{none} --features {feature} -- -D warnings");
        commands.push(FeatureCommand { name: format!("{name}/{feature}"), args });
    }
    commands
}

fn parse(metadata: &Value) -> Result<Vec<Package>> {
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    packages.iter().map(parse_package).collect()
}

fn parse_package(package: &Value) -> Result<Package> {
    let name = package["name"].as_str().context("a package without a name")?.to_owned();
    let features = package["features"].as_object().context("a package without features")?;
    let features = features.keys().filter(|feature| *feature != "default").cloned().collect();
    let targets = package["targets"].as_array().context("a package without targets")?;
    let kinds = targets.iter().filter_map(|target| target["kind"].as_array()).flatten();
    let has_lib = kinds.filter_map(Value::as_str).any(|kind| kind == "lib" || kind == "proc-macro");
    Ok(Package { name, features, has_lib })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_read() {
        let metadata = json!({"packages": [
            {"name": "a", "features": {"default": ["map"], "map": []},
             "targets": [{"kind": ["lib"]}, {"kind": ["test"]}]},
            {"name": "b", "features": {}, "targets": [{"kind": ["bin"]}]},
        ]});
        let expected = [
            Package { name: "a".into(), features: vec!["map".into()], has_lib: true },
            Package { name: "b".into(), features: vec![], has_lib: false },
        ];
        assert_eq!(parse(&metadata).unwrap(), expected);
        assert!(parse(&json!({"packages": [{"name": "a"}]})).is_err());
        assert!(parse(&json!({})).is_err());
    }

    #[test]
    fn each_feature_stands_alone() {
        let package =
            Package { name: "a".into(), features: vec!["x".into(), "y".into()], has_lib: false };
        let commands = commands(&package);
        let args: Vec<&str> = commands.iter().map(|command| command.args.as_str()).collect();
        let start = "clippy --package a --bins --no-default-features";
        let expected = [
            format!("{start} -- -D warnings"),
            format!("{start} --features x -- -D warnings"),
            format!("{start} --features y -- -D warnings"),
        ];
        assert_eq!(args, expected);
    }

    #[test]
    fn a_package_without_features_needs_no_command() {
        let package = Package { name: "a".into(), features: vec![], has_lib: true };
        assert_eq!(commands(&package), []);
    }
}
