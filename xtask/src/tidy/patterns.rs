//! Rules on code that compiles but does not do what it looks like, or silences what it should not.

use super::Finding;
use crate::source::{Source, Token, attributes, closing};

/// `matches!(…);` as a statement tests nothing.
pub(super) fn bare_matches(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text);
    let starts_statement = |index: usize| index == 0 || [";", "{", "}"].contains(&text(index - 1));
    let mut findings = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.text != "matches" || text(index + 1) != "!" {
            continue;
        }
        let is_path = index >= 3 && text(index - 1) == ":" && text(index - 2) == ":";
        let start = if is_path { index - 3 } else { index };
        let end = closing(&tokens, index + 2).map_or(index, |close| close + 1);
        if starts_statement(start) && text(end) == ";" {
            let message = "a bare `matches!(…);` tests nothing: assert it";
            findings.push(Finding::new(&source.path, token.line, message));
        }
    }
    findings
}

/// A test runs always and fails by an assertion.
pub(super) fn test_attributes(source: &Source) -> Vec<Finding> {
    each_attribute(source, |words| match words {
        ["ignore", ..] => Some("`#[ignore]` is out: slow tests run by `cargo xtask`"),
        ["should_panic", ..] => Some("`#[should_panic]` is out: assert on the error"),
        _ => None,
    })
}

/// `#[expect(…, reason = "…")]` ends when it is needed no more; `#[allow(…)]` stays for ever.
pub(super) fn allow_attributes(source: &Source) -> Vec<Finding> {
    each_attribute(source, |words| {
        let allows = words.windows(2).any(|pair| pair == ["allow", "("]);
        allows.then_some("`#[allow(…)]` is out: use `#[expect(…, reason = \"…\")]`")
    })
}

/// A test waits for a condition, not for a time.
pub(super) fn sleeps(source: &Source) -> Vec<Finding> {
    let is_sleep =
        |token: &&Token<'_>| token.text == "sleep" && source.lines[token.line - 1].in_test;
    let tokens = source.tokens();
    let found = tokens.iter().filter(is_sleep);
    let message = "a test does not sleep: wait for the condition itself";
    found.map(|token| Finding::new(&source.path, token.line, message)).collect()
}

/// Findings on the attributes whose tokens, brackets left out, `judge` has a word about.
fn each_attribute(
    source: &Source,
    judge: impl Fn(&[&str]) -> Option<&'static str>,
) -> Vec<Finding> {
    let tokens = source.tokens();
    let mut findings = Vec::new();
    for attribute in attributes(&tokens) {
        let first = attribute.start + if attribute.is_inner { 3 } else { 2 };
        let inside = &tokens[first..attribute.end - 1];
        let words: Vec<&str> = inside.iter().map(|token| token.text).collect();
        if let Some(message) = judge(&words) {
            findings.push(Finding::new(&source.path, tokens[attribute.start].line, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::check_lines, *};

    const SRC: &str = "crates/a/src/a.rs";
    const TEST: &str = "crates/a/tests/it/a.rs";

    #[test]
    fn bare_matches_are_found() {
        let bare = "fn a() {\n    matches!(b, C { .. });\n}";
        check_lines(bare_matches, (SRC, bare), &[2]);
        check_lines(bare_matches, (TEST, bare), &[2]);
        check_lines(bare_matches, (SRC, "{ a(); std::matches!(\n    b,\n    C\n); }"), &[1]);
        check_lines(bare_matches, (SRC, "{ let a = matches!(b, C); }"), &[]);
        check_lines(bare_matches, (SRC, "{ assert!(matches!(b, C)); }"), &[]);
        check_lines(bare_matches, (SRC, "fn a() -> bool {\n    matches!(b, C)\n}"), &[]);
        check_lines(bare_matches, (SRC, "// matches!(b, C);\nlet a = \"matches!(b);\";"), &[]);
    }

    #[test]
    fn tests_run_always() {
        check_lines(test_attributes, (TEST, "#[test]\n#[ignore]\nfn a() {}"), &[2]);
        check_lines(test_attributes, (SRC, "#[ignore = \"slow\"]"), &[1]);
        check_lines(test_attributes, (TEST, "#[should_panic(expected = \"a\")]"), &[1]);
        check_lines(test_attributes, (TEST, "#[test]\nfn ignore() {} // #[ignore]"), &[]);
    }

    #[test]
    fn tests_do_not_sleep() {
        check_lines(sleeps, (TEST, "use std::thread;\nthread::sleep(a);"), &[2]);
        check_lines(sleeps, (SRC, "#[cfg(test)]\nmod tests {\n    fn a() { sleep(b) }\n}"), &[3]);
        check_lines(sleeps, (SRC, "fn a() { std::thread::sleep(b) }"), &[]);
        check_lines(sleeps, (TEST, "// thread::sleep\nlet a = \"sleep\"; asleep();"), &[]);
    }

    #[test]
    fn allow_is_out() {
        check_lines(allow_attributes, (SRC, "#![allow(a)]\n#[allow(b)]\nfn c() {}"), &[1, 2]);
        check_lines(allow_attributes, (TEST, "#[cfg_attr(a, allow(b))]"), &[1]);
        check_lines(allow_attributes, (SRC, "#[expect(a, reason = \"allow(b)\")]"), &[]);
        check_lines(allow_attributes, (SRC, "fn allow(a: u8) {} // #[allow(b)]"), &[]);
    }
}
