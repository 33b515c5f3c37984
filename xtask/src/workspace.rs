//! The tree as the tasks see it: its Rust sources, its manifests, the length of its documents.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::source::Source;

/// Every file of the tree that a task looks at, read once.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) sources: Vec<Source>,
    pub(crate) manifests: Vec<Manifest>,
}

/// One `Cargo.toml`, with its text for line numbers.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) table: toml::Table,
}

/// The root of the workspace: the parent of this crate's folder.
pub(crate) fn root() -> Result<PathBuf> {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = own.parent().context("the xtask folder has no parent")?;
    Ok(root.to_path_buf())
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// The folder cargo builds into.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

impl Workspace {
    /// Reads every `.rs` file and every `Cargo.toml` below `root`.
    pub(crate) fn read(root: PathBuf) -> Result<Self> {
        let mut sources = Vec::new();
        let mut manifests = Vec::new();
        for path in list(&root)? {
            let extension = Path::new(&path).extension();
            let is_source = extension.is_some_and(|extension| extension == "rs");
            let is_manifest = path == "Cargo.toml" || path.ends_with("/Cargo.toml");
            if !is_source && !is_manifest {
                continue;
            }
            let text = fs::read_to_string(root.join(&path)).with_context(|| path.clone())?;
            if is_source {
                sources.push(Source::new(&path, &text));
            } else {
                manifests.push(Manifest::new(&path, &text)?);
            }
        }
        Ok(Self { root, sources, manifests })
    }
}

impl Manifest {
    pub(crate) fn new(path: &str, text: &str) -> Result<Self> {
        let table = text.parse().with_context(|| format!("parse {path}"))?;
        Ok(Self { path: path.to_owned(), text: text.to_owned(), table })
    }

    /// The folder of the package, `""` for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The name of the package; a virtual manifest has none.
    pub(crate) fn name(&self) -> Option<&str> {
        self.table.get("package")?.get("name")?.as_str()
    }

    pub(crate) fn is_published(&self) -> bool {
        let publish = self.table.get("package").and_then(|package| package.get("publish"));
        publish.and_then(toml::Value::as_bool).unwrap_or(true)
    }

    /// Whether this is a layer crate's folder: directly below `crates/`.
    pub(crate) fn is_layer_folder(&self) -> bool {
        self.folder().strip_prefix("crates/").is_some_and(|name| !name.contains('/'))
    }

    /// The first line, counted from 1, that starts with `start`; 1 if none does.
    pub(crate) fn line_of(&self, start: &str) -> usize {
        let found = self.text.lines().position(|line| line.trim_start().starts_with(start));
        found.map_or(1, |index| index + 1)
    }
}

/// The paths of all files that git tracks or would track, sorted; without git, of all files.
fn list(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let mut paths = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split_terminator('\0')
            .map(str::to_owned)
            .filter(|path| root.join(path).is_file()) // tracked, but deleted here
            .collect(),
        _ => walk(root)?,
    };
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = folder.join(&name);
            let hidden = name.to_string_lossy().starts_with('.');
            if entry.file_type()?.is_dir() {
                if !hidden && name != "target" {
                    folders.push(path);
                }
            } else {
                paths.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walking_skips_target_and_hidden_folders() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/src/lib.rs", "a/Cargo.toml", "target/x.rs", ".git/y.rs"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut paths = walk(dir.path()).unwrap();
        paths.sort();
        assert_eq!(paths, ["a/Cargo.toml", "a/src/lib.rs"]);
    }

    #[test]
    fn a_workspace_holds_sources_and_manifests_of_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [("x.rs", "//! X."), ("y.txt", ""), ("Cargo.toml", "[workspace]")] {
            fs::write(dir.path().join(path), text).unwrap();
        }
        let workspace = Workspace::read(dir.path().to_path_buf()).unwrap();
        assert_eq!(workspace.sources.len(), 1);
        assert_eq!(workspace.manifests.len(), 1);
        assert_eq!(workspace.manifests[0].name(), None);
    }

    #[test]
    fn a_manifest_knows_its_place() {
        let text = "[package]\nname = \"pagestone-heap\"\npublish = false\n";
        let manifest = Manifest::new("crates/pagestone-heap/Cargo.toml", text).unwrap();
        assert_eq!(manifest.name(), Some("pagestone-heap"));
        assert_eq!(manifest.folder(), "crates/pagestone-heap");
        assert!(manifest.is_layer_folder());
        assert!(!manifest.is_published());
        assert_eq!(manifest.line_of("publish"), 3);
    }
}
