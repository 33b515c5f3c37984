//! One Rust file as the rules see it: code without comments and strings, comments, tokens.

mod scanner; // splits a text into code and comments
mod token; // words and punctuation, attributes, matching brackets

pub(crate) use self::token::{Token, attributes, closing};

use self::token::tokens;

/// A Rust file, split into lines.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the workspace root, with `/`.
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
}

/// One line, split into what the compiler reads and what people read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The code; comments and the contents of literals are blanks.
    pub(crate) code: String,
    /// The comments of the line, slashes included.
    pub(crate) comment: String,
    /// Whether the line belongs to test code: a test file or an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut source = Self { path: path.to_owned(), lines: scanner::scan(text) };
        source.mark_tests();
        source
    }

    /// Every word and every punctuation character of the code, in order.
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        tokens(&self.lines)
    }

    /// The attributes that open the file, `#![…]`, each as one string without spaces.
    pub(crate) fn opening_attributes(&self) -> Vec<String> {
        let tokens = self.tokens();
        let mut end = 0;
        let mut found = Vec::new();
        for attribute in attributes(&tokens) {
            if !attribute.is_inner || attribute.start != end {
                break;
            }
            end = attribute.end;
            found.push(tokens[attribute.start..end].iter().map(|token| token.text).collect());
        }
        found
    }

    /// Whether the file opens with `#![<attribute>…`, spaces aside.
    pub(crate) fn opens_with(&self, attribute: &str) -> bool {
        let start = format!("#![{attribute}");
        self.opening_attributes().iter().any(|found| found.starts_with(&start))
    }

    /// The number of lines with code, those of tests left out.
    pub(crate) fn code_line_count(&self) -> usize {
        self.lines.iter().filter(|line| !line.in_test && !line.code.trim().is_empty()).count()
    }

    /// Whether a folder of this name is on the path.
    pub(crate) fn is_below(&self, folder: &str) -> bool {
        let mut parts: Vec<&str> = self.path.split('/').collect();
        parts.pop();
        parts.contains(&folder)
    }

    /// The name of the file alone.
    pub(crate) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn mark_tests(&mut self) {
        if self.is_below("tests") || self.file_name() == "tests.rs" {
            self.lines.iter_mut().for_each(|line| line.in_test = true);
            return;
        }
        let spans = test_spans(&self.tokens(), self.lines.len());
        for (first, last) in spans {
            for line in &mut self.lines[first - 1..last] {
                line.in_test = true;
            }
        }
    }
}

/// The lines, counted from 1 and inclusive, of each module, function or impl under `#[cfg(test)]`.
fn test_spans(tokens: &[Token<'_>], line_count: usize) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let found = attributes(tokens);
    for attribute in &found {
        let text: String = tokens[attribute.start..attribute.end].iter().map(|t| t.text).collect();
        let text = text.replace('!', "");
        if text != "#[cfg(test)]" && !text.starts_with("#[cfg(all(test,") {
            continue;
        }
        let first = tokens[attribute.start].line;
        if attribute.is_inner {
            spans.push((first, line_count));
            continue;
        }
        let mut item = attribute.end;
        while let Some(next) = found.iter().find(|next| next.start == item) {
            item = next.end;
        }
        if let Some(last) = item_end(tokens, item) {
            spans.push((first, last));
        }
    }
    spans
}

/// The last line of the module, function or impl that starts at token `start`.
fn item_end(tokens: &[Token<'_>], start: usize) -> Option<usize> {
    let mut at = start;
    if tokens.get(at)?.text == "pub" {
        at += 1;
        if tokens.get(at)?.text == "(" {
            at = closing(tokens, at)? + 1;
        }
    }
    if !["mod", "fn", "impl"].contains(&tokens.get(at)?.text) {
        return None;
    }
    while at < tokens.len() {
        match tokens[at].text {
            "{" => return Some(tokens[closing(tokens, at)?].line),
            ";" => return Some(tokens[at].line),
            "(" | "[" => at = closing(tokens, at)?,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_tests(path: &str, text: &str, expected: &[usize]) {
        let source = Source::new(path, text);
        let marked: Vec<usize> =
            (1..).zip(&source.lines).filter(|(_, line)| line.in_test).map(|(n, _)| n).collect();
        assert_eq!(marked, expected);
    }

    #[test]
    fn test_code_is_marked() {
        let module = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}";
        check_tests("crates/x/src/a.rs", module, &[2, 3, 4, 5]);
        let function = "#[cfg(test)]\n#[inline]\npub(crate) fn a(x: [u8; 2]) {\n}\nfn b() {}";
        check_tests("crates/x/src/a.rs", function, &[1, 2, 3, 4]);
        check_tests("crates/x/src/a.rs", "#[cfg(test)]\nmod tests;\nfn b() {}", &[1, 2]);
        check_tests("crates/x/src/a.rs", "//! A.\n#![cfg(test)]\nfn b() {}", &[2, 3]);
        check_tests("crates/x/src/a.rs", "#[cfg(not(test))]\nmod a {}", &[]);
        check_tests("crates/x/tests/it/main.rs", "fn a() {}", &[1]);
        check_tests("crates/x/src/a/tests.rs", "fn a() {}", &[1]);
    }

    #[test]
    fn opening_attributes_end_at_the_first_item() {
        let text = "//! A.\n\n#![expect(\n    unsafe_code,\n    reason = \"x\"\n)]\nuse a;\n\
                    mod b { #![warn(c)] }";
        let source = Source::new("a.rs", text);
        assert_eq!(source.opening_attributes(), ["#![expect(unsafe_code,reason=\"\")]"]);
        assert!(source.opens_with("expect(unsafe_code,reason="));
        assert!(!source.opens_with("warn("));
    }

    #[test]
    fn code_lines_leave_out_docs_blank_lines_and_tests() {
        let text = "//! A.\n\n/// B.\nfn b() {} // c\n/* d\n*/\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(Source::new("src/a.rs", text).code_line_count(), 1);
    }
}
