//! `cargo xtask tidy`: the rules of style.md that carry the mark (tidy).
//!
//! A rule is a function from a file, or from all manifests, to findings; this file lists them.

mod manifests; // layer ranks, lints, names of folders
mod shape; // lengths, opening docs, files that must not be
mod words; // names that are not used
mod patterns; // tests, statements and attributes that are out
mod homes; // where unsafe code may live, what decoding files must warn of

use std::fs;

use anyhow::Result;

use crate::{
    Outcome,
    source::Source,
    workspace::{Manifest, Workspace},
};

/// One breach of a rule, printed as `path:line: message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

type SourceRule = fn(&Source) -> Vec<Finding>;

const SOURCE_RULES: &[SourceRule] = &[
    shape::opening_doc,
    shape::lib_len,
    shape::mod_file,
    shape::placeholder,
    patterns::bare_matches,
    patterns::test_attributes,
    patterns::sleeps,
    patterns::allow_attributes,
    homes::unsafe_home,
    homes::forbids_unsafe,
    homes::decoding_lints,
];

type ManifestRule = fn(&[Manifest]) -> Vec<Finding>;

const MANIFEST_RULES: &[ManifestRule] = &[
    manifests::folder_names,
    manifests::workspace_lints,
    manifests::declared_ranks,
    manifests::dependency_ranks,
    manifests::testkit,
];

/// Prints every finding; none is a fine tree.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut findings = findings(&workspace.sources, &workspace.manifests);
    let architecture = workspace.root.join(shape::ARCHITECTURE);
    if architecture.is_file() {
        findings.extend(shape::architecture_len(&fs::read_to_string(architecture)?));
    }
    findings.sort();
    findings.dedup();
    for Finding { path, line, message } in &findings {
        println!("{path}:{line}: {message}");
    }
    println!("tidy: {} files, {} findings", workspace.sources.len(), findings.len());
    Ok(if findings.is_empty() { Outcome::Fine } else { Outcome::Findings })
}

fn findings(sources: &[Source], manifests: &[Manifest]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sources
        .iter()
        .flat_map(|source| SOURCE_RULES.iter().flat_map(|rule| rule(source)))
        .collect();
    findings.extend(MANIFEST_RULES.iter().flat_map(|rule| rule(manifests)));
    findings.extend(shape::file_len(sources, shape::LONG_FILES));
    for manifest in manifests.iter().filter(|m| m.is_layer_folder() && m.is_published()) {
        let folder = format!("{}/src/", manifest.folder());
        let published = sources.iter().filter(|source| source.path.starts_with(&folder));
        findings.extend(published.flat_map(words::banned));
    }
    findings
}

/// Checks the lines a rule finds in a text, for the tests of the rules.
#[cfg(test)]
#[track_caller]
fn check_lines(rule: SourceRule, (path, text): (&str, &str), lines: &[usize]) {
    let findings = rule(&Source::new(path, text));
    let found: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
    assert_eq!(found, lines, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.path == path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_words_count_in_published_crates_only() {
        let text = "//! A.\npub struct A {\n    pub data: u8,\n}\n\nmod b;\nmod c;\nmod d;\n";
        let check = |publish: &str, count: usize| {
            let sources = [Source::new("crates/a/src/b.rs", text)];
            let text = format!(
                "[package]\nname = \"a\"\n{publish}\n[package.metadata.layer]\nrank = 1\n\
                 [lints]\nworkspace = true"
            );
            let manifests = [Manifest::new("crates/a/Cargo.toml", &text).unwrap()];
            assert_eq!(findings(&sources, &manifests).len(), count);
        };
        check("", 1);
        check("publish = false", 0);
    }

    #[test]
    fn a_finding_fails_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let check = |expected| {
            let workspace = Workspace::read(dir.path().to_path_buf()).unwrap();
            assert_eq!(run(&workspace).unwrap(), expected);
        };
        fs::write(dir.path().join("a.rs"), "//! A.\n").unwrap();
        check(Outcome::Fine);
        fs::create_dir(dir.path().join("docs")).unwrap();
        fs::write(dir.path().join(shape::ARCHITECTURE), "x\n".repeat(301)).unwrap();
        check(Outcome::Findings);
        fs::write(dir.path().join(shape::ARCHITECTURE), "x\n".repeat(300)).unwrap();
        fs::write(dir.path().join("a.rs"), "fn main() {}\n").unwrap();
        check(Outcome::Findings);
    }
}
