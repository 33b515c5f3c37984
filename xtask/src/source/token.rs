//! Words and punctuation of the code, the attributes among them, and matching brackets.

use super::Line;

/// A word or a single punctuation character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// The tokens `start..end` of one `#[…]` or `#![…]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) is_inner: bool,
}

pub(super) fn tokens(lines: &[Line]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, number) in lines.iter().zip(1..) {
        let mut rest = line.code.trim_start();
        while let Some(first) = rest.chars().next() {
            let word_len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let len = if word_len == 0 { first.len_utf8() } else { word_len };
            let (text, after) = rest.split_at(len);
            tokens.push(Token { text, line: number });
            rest = after.trim_start();
        }
    }
    tokens
}

/// All attributes, in order; those inside the tokens of a macro too.
pub(crate) fn attributes(tokens: &[Token<'_>]) -> Vec<Attribute> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text);
    let mut found = Vec::new();
    for start in 0..tokens.len() {
        let is_inner = text(start + 1) == "!";
        let open = start + 1 + usize::from(is_inner);
        if text(start) == "#"
            && text(open) == "["
            && let Some(close) = closing(tokens, open)
        {
            found.push(Attribute { start, end: close + 1, is_inner });
        }
    }
    found
}

/// The index of the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::{super::Source, *};

    #[test]
    fn words_and_punctuation() {
        let source = Source::new("a.rs", "fn a_b() {\n    \"x\" // c\n}");
        let texts: Vec<_> = source.tokens().iter().map(|token| (token.text, token.line)).collect();
        let first = [("fn", 1), ("a_b", 1), ("(", 1), (")", 1), ("{", 1)];
        assert_eq!(texts[..5], first);
        assert_eq!(texts[5..], [("\"", 2), ("\"", 2), ("}", 3)]);
    }

    #[test]
    fn attributes_span_lines() {
        let source = Source::new("a.rs", "#![a]\n#[b(\n    [c]\n)]\nfn d() {}");
        let tokens = source.tokens();
        let found = attributes(&tokens);
        assert_eq!(found.len(), 2);
        assert!(found[0].is_inner && !found[1].is_inner);
        assert_eq!(tokens[found[1].end].text, "fn");
    }

    #[test]
    fn brackets_that_never_close_are_none() {
        let source = Source::new("a.rs", "fn a( {");
        assert_eq!(closing(&source.tokens(), 2), None);
    }
}
