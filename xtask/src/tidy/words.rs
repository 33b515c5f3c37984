//! The rule on names: words that say nothing, or say what a persistent name is not.

use super::Finding;
use crate::source::{Source, Token, closing};

const BANNED: &[&str] = &[
    "data", "item", "info", "manager", "helper", "util", "process", "chunk", "bucket", "blob",
    "delete", "handle", "pointer",
];

/// Words between `pub` and the keyword that says what is named.
const QUALIFIERS: &[&str] = &["async", "unsafe", "extern", "auto", "\""];
const NAMING: &[&str] =
    &["fn", "struct", "enum", "union", "trait", "type", "const", "mod", "static"];

/// No `pub` name has a banned word in it; enum variants are free.
pub(super) fn banned(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in public_names(&source.tokens()) {
        for word in words(name.text).iter().filter(|word| BANNED.contains(&word.as_str())) {
            let message = format!("`{}`: the word `{word}` is not used in pub names", name.text);
            findings.push(Finding::new(&source.path, name.line, message));
        }
    }
    findings
}

fn public_names<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut names = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.text == "pub" {
            names.extend(name_after(tokens, index + 1));
            names.extend(trait_names(tokens, index + 1));
        }
    }
    names
}

/// The name that the declaration at `start`, just behind `pub`, introduces.
fn name_after<'a>(tokens: &[Token<'a>], start: usize) -> Option<Token<'a>> {
    let mut at = start;
    while QUALIFIERS.contains(&tokens.get(at)?.text) {
        at += 1;
    }
    if !NAMING.contains(&tokens.get(at)?.text) {
        let is_field = tokens.get(at + 1)?.text == ":" && tokens.get(at + 2)?.text != ":";
        return is_field.then(|| tokens[at]);
    }
    at += 1;
    // `const fn`, `const unsafe fn`, `static mut`: the name is behind the last of them.
    while ["unsafe", "extern", "\"", "fn", "mut", "async"].contains(&tokens.get(at)?.text) {
        at += 1;
    }
    if tokens.get(at)?.text == "r" && tokens.get(at + 1)?.text == "#" {
        at += 2;
    }
    tokens.get(at).copied()
}

/// The names that a `pub trait` at `start` declares in its body.
fn trait_names<'a>(tokens: &[Token<'a>], start: usize) -> Vec<Token<'a>> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text);
    let is_trait =
        text(start) == "trait" || (text(start) == "unsafe" && text(start + 1) == "trait");
    if !is_trait {
        return vec![];
    }
    let open = (start..tokens.len()).find(|&index| ["{", ";"].contains(&text(index)));
    let Some((open, close)) = open.and_then(|open| Some((open, closing(tokens, open)?))) else {
        return vec![];
    };
    let mut names = Vec::new();
    let mut at = open + 1;
    while at < close {
        match text(at) {
            "fn" | "type" | "const" if text(at + 1) != "fn" => names.extend(tokens.get(at + 1)),
            "{" => at = closing(tokens, at).unwrap_or(close),
            _ => {}
        }
        at += 1;
    }
    names
}

/// The words of a `snake_case`, `SCREAMING_CASE` or `CamelCase` name, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split('_') {
        let chars: Vec<char> = part.chars().collect();
        let mut word = String::new();
        for (index, &c) in chars.iter().enumerate() {
            let after_lower = index.checked_sub(1).is_some_and(|at| !chars[at].is_uppercase());
            let before_lower = chars.get(index + 1).is_some_and(|next| next.is_lowercase());
            if c.is_uppercase() && (after_lower || before_lower) {
                words.push(std::mem::take(&mut word));
            }
            word.extend(c.to_lowercase());
        }
        words.push(word);
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{super::check_lines, *};

    #[track_caller]
    fn check(text: &str, lines: &[usize]) {
        check_lines(banned, ("crates/pagestone-heap/src/a.rs", text), lines);
    }

    #[test]
    fn each_kind_of_pub_name_is_looked_at() {
        check("pub fn data() {}", &[1]);
        check("pub const unsafe fn free_chunk() {}", &[1]);
        check("pub unsafe extern \"C\" fn delete() {}", &[1]);
        check("pub struct HeapManager;", &[1]);
        check("pub enum BlobKind {}", &[1]);
        check("pub trait Helper {}", &[1]);
        check("pub type PageHandle = u8;", &[1]);
        check("pub const ITEM_LEN: u8 = 1;", &[1]);
        check("pub mod util;", &[1]);
        check("pub static mut BUCKET: u8 = 1;", &[1]);
        check("pub struct A {\n    pub info: u8,\n}", &[2]);
        check("pub trait A {\n    fn pointer(&self) {}\n    type Process;\n}", &[2, 3]);
    }

    #[test]
    fn other_names_are_free() {
        check("fn data() {}\npub(crate) fn item() {}\nstruct Info;", &[]);
        check("pub enum A {\n    Process,\n    Data { info: u8 },\n}", &[]);
        check("pub struct A(pub data::B);\npub use a::Info;", &[]);
        check("// pub fn data()\npub fn a() { let data = \"pub fn info\"; }", &[]);
        check("pub trait A {\n    fn a(data: u8) { fn item() {} }\n}", &[]);
    }

    #[test]
    fn only_whole_words_count() {
        check("pub fn database() {}\npub struct Processor;\npub const ITEMISED: u8 = 1;", &[]);
        assert_eq!(words("HTTPInfo2_x"), ["http", "info2", "x"]);
        assert_eq!(words("ITEM_LEN"), ["item", "len"]);
        assert_eq!(words("rawDataOffset"), ["raw", "data", "offset"]);
    }
}
