//! Rules on where unsafe code lives, and on the lints of files that decode bytes.

use super::Finding;
use crate::source::{Source, Token, closing};

const LIFECYCLE: &str = "crates/pagestone-heap/src/region/lifecycle.rs";
/// What the rows of benches are held against: mapped files and an allocator, by hand.
const BENCH_RAW: &str = "benches/own/src/raw.rs";
/// An engine that rows are held against, whose interface is unsafe to open.
const BENCH_LMDB: &str = "benches/peers/src/lmdb.rs";
const TESTKIT_FOLDER: &str = "crates/pagestone-testkit/";
/// Crates whose `lib.rs` cannot forbid unsafe code.
const UNSAFE_CRATES: &[&str] = &["pagestone-storage", "pagestone-heap", "pagestone-testkit"];
const EXPECTS: &str = "expect(unsafe_code,reason=";
const DECODING_LINTS: &[&str] =
    &["clippy::arithmetic_side_effects", "clippy::indexing_slicing", "clippy::as_conversions"];

/// Unsafe code lives in its homes, behind `#![expect(unsafe_code, …)]`; elsewhere a program
/// asserts its `TrustedDir`, once.
pub(super) fn unsafe_home(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let uses: Vec<usize> =
        (0..tokens.len()).filter(|&index| tokens[index].text == "unsafe").collect();
    let Some(&first) = uses.first() else { return vec![] };
    let finding =
        |index: usize, message: &str| vec![Finding::new(&source.path, tokens[index].line, message)];
    let is_home = is_home(source);
    if is_home && source.opens_with(EXPECTS) {
        return vec![];
    }
    if is_program(source) && uses.iter().all(|&index| asserts_trust(&tokens, index)) {
        return match uses.get(1) {
            Some(&second) => finding(second, "a program asserts `TrustedDir` in one place"),
            None => vec![],
        };
    }
    if !is_home {
        return finding(first, "`unsafe` outside its homes (docs/ARCHITECTURE.md)");
    }
    finding(first, "a file with `unsafe` begins with `#![expect(unsafe_code, reason = \"…\")]`")
}

/// Every crate without unsafe code says so where nothing can overrule it.
pub(super) fn forbids_unsafe(source: &Source) -> Vec<Finding> {
    let Some(name) =
        source.path.strip_prefix("crates/").and_then(|p| p.strip_suffix("/src/lib.rs"))
    else {
        return vec![];
    };
    if UNSAFE_CRATES.contains(&name) || source.opens_with("forbid(unsafe_code") {
        return vec![];
    }
    vec![Finding::new(&source.path, 1, "lib.rs begins with `#![forbid(unsafe_code)]`")]
}

/// What decodes bytes neither overflows, nor indexes out of bounds, nor truncates unseen.
pub(super) fn decoding_lints(source: &Source) -> Vec<Finding> {
    // A `layout.rs` of the testkit or of a test compares layouts; it decodes nothing.
    let decodes = source.path.contains("/src/") && !source.path.starts_with(TESTKIT_FOLDER);
    if source.file_name() != "layout.rs" || !decodes {
        return vec![];
    }
    let lints: Vec<String> =
        source.opening_attributes().into_iter().filter(|a| a.starts_with("#![warn(")).collect();
    if DECODING_LINTS.iter().all(|lint| lints.iter().any(|attribute| attribute.contains(lint))) {
        return vec![];
    }
    let message = format!("a decoding file begins with `#![warn({})]`", DECODING_LINTS.join(", "));
    vec![Finding::new(&source.path, 1, message)]
}

fn is_home(source: &Source) -> bool {
    source.path == LIFECYCLE
        || source.path == BENCH_RAW
        || source.path == BENCH_LMDB
        || source.path.starts_with("crates/pagestone-storage/")
        || source.path.starts_with(TESTKIT_FOLDER)
}

/// Code that runs rather than being called: binaries, tests, benches, examples, fuzz targets.
fn is_program(source: &Source) -> bool {
    let path = &source.path;
    let folders = ["tests", "benches", "examples", "fuzz", "bin"];
    path.starts_with("crates/pagestone-cli/src/") || folders.iter().any(|f| source.is_below(f))
}

/// Whether the `unsafe` at `index` is a block that holds `TrustedDir::assert(…)` and no more.
fn asserts_trust(tokens: &[Token<'_>], index: usize) -> bool {
    let open = index + 1;
    if tokens.get(open).is_none_or(|token| token.text != "{") {
        return false;
    }
    let Some(close) = closing(tokens, open) else { return false };
    let inside: Vec<&str> = tokens[open + 1..close].iter().map(|token| token.text).collect();
    let Some(call) = inside.windows(4).position(|w| w == ["TrustedDir", ":", ":", "assert"]) else {
        return false;
    };
    let path_only = inside[..call].iter().all(|text| !["(", ";", "{", "="].contains(text));
    let call_end = closing(tokens, open + 1 + call + 4);
    path_only && call_end.is_some_and(|end| end + 1 == close || tokens[end + 1].text == "?")
}

#[cfg(test)]
mod tests {
    use super::{super::check_lines, *};

    const EXPECT: &str = "//! A.\n#![expect(unsafe_code, reason = \"maps\")]\n";

    #[track_caller]
    fn check_home(path: &str, text: &str, lines: &[usize]) {
        check_lines(unsafe_home, (path, text), lines);
    }

    #[test]
    fn unsafe_stays_at_home() {
        let block = "fn a() { unsafe { b() } }";
        let expected = format!("{EXPECT}{block}");
        let [storage, testkit] =
            ["crates/pagestone-storage/src/map.rs", "crates/pagestone-testkit/src/a.rs"];
        for home in [LIFECYCLE, BENCH_RAW, storage, testkit] {
            check_home(home, &expected, &[]);
            check_home(home, block, &[1]);
            check_home(home, &format!("#[expect(unsafe_code, reason = \"x\")]\n{block}"), &[2]);
        }
        check_home("crates/pagestone-heap/src/heap.rs", &expected, &[3]);
        check_home("crates/pagestone-slab/src/lifecycle.rs", &expected, &[3]);
        check_home("crates/pagestone-heap/src/heap.rs", "// unsafe\nlet a = \"unsafe\";", &[]);
        check_home("crates/pagestone-heap/src/lib.rs", "#![forbid(unsafe_code)]", &[]);
    }

    #[test]
    fn programs_assert_trust_once() {
        let assert = "fn main() { let dir = unsafe { storage::TrustedDir::assert(\"x\")? }; }";
        for program in ["crates/pagestone-cli/src/main.rs", "benches/own/benches/own.rs"] {
            check_home(program, assert, &[]);
            check_home(program, &format!("{assert}\n{assert}"), &[2]);
            check_home(program, "fn a() { unsafe { b() } }", &[1]);
            check_home(program, "fn a() { unsafe { b(); TrustedDir::assert(c) } }", &[1]);
            check_home(program, "fn a() { unsafe { TrustedDir::assert(c); b() } }", &[1]);
            check_home(program, "unsafe fn a() {}", &[1]);
        }
        let twice = format!("{EXPECT}{assert}\n{assert}");
        check_home("crates/pagestone-storage/tests/it/main.rs", &twice, &[]);
        check_home("crates/pagestone-slab/tests/it/main.rs", &twice, &[4]);
        check_home("crates/pagestone-slab/tests/it/main.rs", assert, &[]);
        check_home("crates/pagestone-slab/src/slab.rs", assert, &[1]);
    }

    #[test]
    fn crates_forbid_unsafe() {
        let forbid = "//! A.\n\n#![forbid(unsafe_code)]\nmod a;";
        check_lines(forbids_unsafe, ("crates/pagestone-slab/src/lib.rs", forbid), &[]);
        check_lines(forbids_unsafe, ("crates/pagestone-slab/src/lib.rs", "//! A.\nmod a;"), &[1]);
        let late = "//! A.\nmod a {\n    #![forbid(unsafe_code)]\n}";
        check_lines(forbids_unsafe, ("crates/pagestone-slab/src/lib.rs", late), &[1]);
        check_lines(forbids_unsafe, ("crates/pagestone-heap/src/lib.rs", "mod a;"), &[]);
        check_lines(forbids_unsafe, ("crates/pagestone-slab/src/slab.rs", "mod a;"), &[]);
    }

    #[test]
    fn decoding_files_warn() {
        let path = "crates/a/src/b/layout.rs";
        let all = format!("//! A.\n#![warn({})]\nuse a;", DECODING_LINTS.join(",\n    "));
        check_lines(decoding_lints, (path, &all), &[]);
        check_lines(decoding_lints, (path, "//! A.\n#![warn(clippy::indexing_slicing)]"), &[1]);
        check_lines(decoding_lints, (path, "//! A.\nuse a;"), &[1]);
        check_lines(decoding_lints, ("crates/a/src/b.rs", "//! A.\nuse a;"), &[]);
        let comparing = "crates/pagestone-testkit/src/layout.rs";
        check_lines(decoding_lints, (comparing, "//! A.\nuse a;"), &[]);
    }
}
