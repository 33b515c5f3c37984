//! Rules on manifests: layer ranks and the edges between crates, lints, names of folders.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Finding;
use crate::workspace::Manifest;

const TESTKIT: &str = "pagestone-testkit";

/// A crate of `crates/` lives in the folder of its name.
pub(super) fn folder_names(manifests: &[Manifest]) -> Vec<Finding> {
    let layers = manifests.iter().filter(|manifest| manifest.is_layer_folder());
    let misnamed = layers.filter(|m| m.folder().strip_prefix("crates/") != m.name());
    misnamed
        .map(|m| Finding::new(&m.path, m.line_of("name"), "the folder has the package's name"))
        .collect()
}

/// Every member takes its lints from the workspace.
pub(super) fn workspace_lints(manifests: &[Manifest]) -> Vec<Finding> {
    let inherits = |m: &Manifest| {
        m.table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool)
            == Some(true)
    };
    // A manifest with a `[workspace]` of its own, as the fuzz targets have, is no member.
    let members = manifests.iter().filter(|m| !m.table.contains_key("workspace"));
    members
        .filter(|m| !inherits(m))
        .map(|m| Finding::new(&m.path, m.line_of("[lints]"), "say `[lints] workspace = true`"))
        .collect()
}

/// Every crate of `crates/` but the testkit declares its layer.
pub(super) fn declared_ranks(manifests: &[Manifest]) -> Vec<Finding> {
    let layers = manifests.iter().filter(|m| m.is_layer_folder() && m.name() != Some(TESTKIT));
    let message = "say `[package.metadata.layer] rank = N`";
    layers.filter(|m| rank(m).is_none()).map(|m| Finding::new(&m.path, 1, message)).collect()
}

/// A dependency of a layer has a strictly lower rank; xtask depends on no layer.
pub(super) fn dependency_ranks(manifests: &[Manifest]) -> Vec<Finding> {
    let ranks: BTreeMap<&str, Option<i64>> =
        manifests.iter().filter_map(|m| Some((m.name()?, rank(m)))).collect();
    let mut findings = Vec::new();
    for manifest in manifests {
        for dependency in dependencies(&manifest.table) {
            let Some(&theirs) = ranks.get(dependency) else { continue };
            let breach = match (rank(manifest), theirs) {
                (Some(own), Some(theirs)) if theirs < own => None,
                (Some(own), Some(theirs)) => {
                    Some(format!("`{dependency}` has rank {theirs}, which is not below {own}"))
                }
                (Some(_), None) => Some(format!("`{dependency}` is no layer: no rank")),
                (None, Some(_)) if manifest.name() == Some("xtask") => {
                    Some(format!("xtask depends on no layer, `{dependency}` is one"))
                }
                (None, _) => None,
            };
            let line = manifest.line_of(dependency);
            findings.extend(breach.map(|message| Finding::new(&manifest.path, line, message)));
        }
    }
    findings
}

/// The testkit never leaves the tree.
pub(super) fn testkit(manifests: &[Manifest]) -> Vec<Finding> {
    let published = manifests.iter().filter(|m| m.name() == Some(TESTKIT) && m.is_published());
    published.map(|m| Finding::new(&m.path, 1, "the testkit says `publish = false`")).collect()
}

fn rank(manifest: &Manifest) -> Option<i64> {
    let metadata = manifest.table.get("package")?.get("metadata")?;
    metadata.get("layer")?.get("rank")?.as_integer()
}

/// The packages that a manifest needs for anything but its tests, on whatever target.
fn dependencies(table: &Table) -> Vec<&str> {
    let targets = table.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut names = Vec::new();
    for table in std::iter::once(table).chain(targets) {
        for section in ["dependencies", "build-dependencies"] {
            let entries = table.get(section).and_then(Value::as_table);
            for (key, value) in entries.into_iter().flatten() {
                names.push(value.get("package").and_then(Value::as_str).unwrap_or(key));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest below `crates/`, complete but for what `rest` says.
    fn layer(name: &str, rest: &str) -> Manifest {
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        Manifest::new(&format!("crates/{name}/Cargo.toml"), &text).unwrap()
    }

    fn ranked(name: &str, rank: i64, rest: &str) -> Manifest {
        layer(name, &format!("[package.metadata.layer]\nrank = {rank}\n{rest}"))
    }

    #[track_caller]
    fn check(rule: super::super::ManifestRule, manifests: &[Manifest], paths: &[&str]) {
        let findings = rule(manifests);
        let found: Vec<&str> = findings.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(found, paths, "{findings:?}");
    }

    #[test]
    fn folders_have_the_names_of_crates() {
        let text = "[package]\nname = \"b\"";
        let misnamed = Manifest::new("crates/a/Cargo.toml", text).unwrap();
        let elsewhere = Manifest::new("benches/own/Cargo.toml", text).unwrap();
        check(folder_names, &[layer("a", ""), misnamed, elsewhere], &["crates/a/Cargo.toml"]);
    }

    #[test]
    fn lints_come_from_the_workspace() {
        check(workspace_lints, &[layer("a", "[lints]\nworkspace = true")], &[]);
        check(workspace_lints, &[layer("a", "[workspace]")], &[]);
        check(workspace_lints, &[layer("a", "")], &["crates/a/Cargo.toml"]);
        check(workspace_lints, &[layer("a", "[lints.rust]")], &["crates/a/Cargo.toml"]);
    }

    #[test]
    fn ranks_are_declared() {
        check(declared_ranks, &[ranked("a", 1, ""), layer(TESTKIT, "")], &[]);
        check(declared_ranks, &[layer("a", "")], &["crates/a/Cargo.toml"]);
        let text = "[package.metadata.layer]\nrank = \"1\"";
        check(declared_ranks, &[layer("a", text)], &["crates/a/Cargo.toml"]);
    }

    #[track_caller]
    fn check_edge(rest: &str, is_fine: bool) {
        let manifests = [
            ranked("low", 1, ""),
            ranked("middle", 2, rest),
            ranked("equal", 2, ""),
            ranked("high", 3, ""),
            layer(TESTKIT, "publish = false"),
        ];
        let paths: &[&str] = if is_fine { &[] } else { &["crates/middle/Cargo.toml"] };
        check(dependency_ranks, &manifests, paths);
    }

    #[test]
    fn dependencies_point_down() {
        check_edge("[dependencies]\nlow = { workspace = true }\nserde = \"1\"", true);
        check_edge("[dependencies]\nequal = \"1\"", false);
        check_edge("[dependencies]\nhigh = \"1\"", false);
        check_edge("[build-dependencies]\nhigh = \"1\"", false);
        check_edge("[target.'cfg(unix)'.dependencies]\nhigh = \"1\"", false);
        check_edge("[dependencies]\nother = { package = \"high\", path = \"x\" }", false);
        check_edge("[dependencies]\npagestone-testkit = { path = \"x\" }", false);
        check_edge("[dev-dependencies]\nhigh = \"1\"\npagestone-testkit = \"1\"", true);
    }

    #[test]
    fn xtask_stands_apart() {
        let text = "[package]\nname = \"xtask\"\n[dependencies]\nlow = \"1\"";
        let xtask = Manifest::new("xtask/Cargo.toml", text).unwrap();
        check(dependency_ranks, &[ranked("low", 1, ""), xtask], &["xtask/Cargo.toml"]);
        let text = text.replace("xtask", "bench-own");
        let bench = Manifest::new("benches/own/Cargo.toml", &text).unwrap();
        check(dependency_ranks, &[ranked("low", 1, ""), bench], &[]);
    }

    #[test]
    fn the_testkit_is_not_published() {
        check(testkit, &[layer(TESTKIT, "publish = false")], &[]);
        check(testkit, &[layer(TESTKIT, "")], &["crates/pagestone-testkit/Cargo.toml"]);
    }
}
