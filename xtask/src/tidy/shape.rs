//! Rules on the shape of files: opening docs, lengths, files that must not be.

use super::Finding;
use crate::source::Source;

pub(super) const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const ARCHITECTURE_LEN_MAX: usize = 300;
const LIB_LEN_MAX: usize = 150;
const CODE_LEN_MAX: usize = 600;
const PLACEHOLDER_LEN_MAX: usize = 4;

/// A file that may be longer than the limit, and why.
#[derive(Debug)]
pub(super) struct LongFile {
    pub(super) path: &'static str,
    pub(super) reason: &'static str,
}

/// The exceptions of `file_len`; one that is no longer needed is a finding itself.
pub(super) const LONG_FILES: &[LongFile] = &[];

/// Every file says in its first line what it owns.
pub(super) fn opening_doc(source: &Source) -> Vec<Finding> {
    if source.lines.first().is_some_and(|line| line.comment.starts_with("//!")) {
        return vec![];
    }
    finding(source, "a file opens with `//!`: one sentence saying what it owns")
}

/// `lib.rs` of a crate is its table of contents.
pub(super) fn lib_len(source: &Source) -> Vec<Finding> {
    let is_lib = source.path.starts_with("crates/") && source.path.ends_with("/src/lib.rs");
    let len = source.lines.len();
    if !is_lib || len <= LIB_LEN_MAX {
        return vec![];
    }
    finding(source, format!("lib.rs has {len} lines, at most {LIB_LEN_MAX}: a table of contents"))
}

/// `foo.rs` and `foo/part.rs`, never `mod.rs`.
pub(super) fn mod_file(source: &Source) -> Vec<Finding> {
    if source.file_name() != "mod.rs" {
        return vec![];
    }
    finding(source, "mod.rs is out: name the file after its module")
}

/// A crate that is only planned is no member.
pub(super) fn placeholder(source: &Source) -> Vec<Finding> {
    let below = source.path.strip_prefix("crates/").and_then(|path| path.split_once('/'));
    let is_root = below.is_some_and(|(_, path)| path == "src/lib.rs" || path == "src/main.rs");
    let code = source.lines.iter().map(|line| line.code.trim()).filter(|code| !code.is_empty());
    let len = code.filter(|code| !code.starts_with("#![")).count();
    if !is_root || PLACEHOLDER_LEN_MAX < len {
        return vec![];
    }
    finding(source, format!("the crate root has {len} lines of code: a placeholder is no member"))
}

/// No file is longer than 600 lines of code unless it is excepted, and needs to be.
pub(super) fn file_len(sources: &[Source], exceptions: &[LongFile]) -> Vec<Finding> {
    let is_excepted = |path: &str| exceptions.iter().any(|exception| exception.path == path);
    let is_long = |source: &Source| CODE_LEN_MAX < source.code_line_count();
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| is_long(source) && !is_excepted(&source.path)) {
        let len = source.code_line_count();
        let message = format!("{len} lines of code, at most {CODE_LEN_MAX}: cut where it is thin");
        findings.push(Finding::new(&source.path, 1, message));
    }
    for LongFile { path, reason } in exceptions {
        if !sources.iter().any(|source| source.path == *path && is_long(source)) {
            let message = format!("the exception \"{reason}\" is needed no more: remove it");
            findings.push(Finding::new(path, 1, message));
        }
    }
    findings
}

/// The architecture stays short enough to be read.
pub(super) fn architecture_len(text: &str) -> Vec<Finding> {
    let len = text.lines().count();
    if len <= ARCHITECTURE_LEN_MAX {
        return vec![];
    }
    vec![Finding::new(ARCHITECTURE, 1, format!("{len} lines, at most {ARCHITECTURE_LEN_MAX}"))]
}

fn finding(source: &Source, message: impl Into<String>) -> Vec<Finding> {
    vec![Finding::new(&source.path, 1, message)]
}

#[cfg(test)]
mod tests {
    use super::{super::check_lines, *};

    #[test]
    fn every_file_opens_with_its_doc() {
        check_lines(opening_doc, ("xtask/src/a.rs", "//! A.\nfn a() {}"), &[]);
        check_lines(opening_doc, ("xtask/src/a.rs", "fn a() {}\n//! A."), &[1]);
        check_lines(opening_doc, ("xtask/src/a.rs", "// A.\nfn a() {}"), &[1]);
        check_lines(opening_doc, ("xtask/src/a.rs", "/// A.\nfn a() {}"), &[1]);
        check_lines(opening_doc, ("xtask/src/a.rs", ""), &[1]);
    }

    #[test]
    fn lib_is_short() {
        let at_limit = "//! A.\n".repeat(150);
        let over = "//! A.\n".repeat(151);
        check_lines(lib_len, ("crates/a/src/lib.rs", &at_limit), &[]);
        check_lines(lib_len, ("crates/a/src/lib.rs", &over), &[1]);
        check_lines(lib_len, ("crates/a/src/heap.rs", &over), &[]);
    }

    #[test]
    fn mod_files_are_out() {
        check_lines(mod_file, ("crates/a/src/b/mod.rs", "//! A."), &[1]);
        check_lines(mod_file, ("crates/a/src/b.rs", "//! A."), &[]);
        check_lines(mod_file, ("crates/a/src/remod.rs", "//! A."), &[]);
    }

    #[test]
    fn placeholders_are_no_members() {
        let four = "//! A.\n#![forbid(unsafe_code)]\nmod a;\nmod b;\nmod c;\n\nmod d;\n";
        let five = format!("{four}pub use a::A;\n");
        check_lines(placeholder, ("crates/a/src/lib.rs", four), &[1]);
        check_lines(placeholder, ("crates/a/src/main.rs", four), &[1]);
        check_lines(placeholder, ("crates/a/src/lib.rs", &five), &[]);
        check_lines(placeholder, ("crates/a/src/b.rs", four), &[]);
        check_lines(placeholder, ("xtask/src/main.rs", four), &[]);
    }

    #[track_caller]
    fn check_len(text: &str, exceptions: &[LongFile], count: usize) {
        let sources = [Source::new("crates/a/src/b.rs", text)];
        assert_eq!(file_len(&sources, exceptions).len(), count);
    }

    #[test]
    fn files_are_short() {
        let at_limit = "x;\n".repeat(600);
        let over = "x;\n".repeat(601);
        check_len(&at_limit, &[], 0);
        check_len(&over, &[], 1);
        check_len(&format!("{at_limit}{}", "/// A.\n\n// B.\n".repeat(9)), &[], 0);
        check_len(&format!("#[cfg(test)]\nmod tests {{\n{over}}}\n"), &[], 0);
    }

    #[test]
    fn exceptions_are_needed() {
        let exception = || [LongFile { path: "crates/a/src/b.rs", reason: "a table" }];
        check_len(&"x;\n".repeat(601), &exception(), 0);
        check_len(&"x;\n".repeat(600), &exception(), 1);
        let elsewhere = [LongFile { path: "crates/a/src/c.rs", reason: "a table" }];
        check_len("x;\n", &elsewhere, 1);
    }

    #[test]
    fn the_architecture_is_short() {
        assert_eq!(architecture_len(&"x\n".repeat(300)), []);
        assert_eq!(architecture_len(&"x\n".repeat(301)).len(), 1);
    }
}
