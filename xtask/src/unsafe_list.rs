//! `cargo xtask unsafe`: the inventory of unsafe code, with the first line of each reason.

use std::{collections::BTreeMap, fmt};

use anyhow::Result;

use crate::{
    Outcome,
    source::{Line, Source, Token},
    workspace::Workspace,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Block,
    Function,
    Impl,
    Trait,
    Extern,
}

/// One place where the compiler takes our word.
#[derive(Debug)]
struct Site {
    line: usize,
    kind: Kind,
    /// The first line of the `SAFETY` comment, of a function that of its `# Safety` section.
    reason: Option<String>,
}

/// Prints every site; a block or an impl without a reason is a finding.
#[expect(clippy::unnecessary_wraps, reason = "every task answers a result")]
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut total = BTreeMap::new();
    let mut missing = 0;
    for source in &workspace.sources {
        let sites = sites(source);
        if sites.is_empty() {
            continue;
        }
        println!("{}: {}", source.path, counts_text(&counts(&sites)));
        for site in &sites {
            let reason = site.reason.as_deref().unwrap_or("-");
            println!("  {:>5}  {:<8}  {reason}", site.line, site.kind.to_string());
            *total.entry(site.kind).or_insert(0) += 1;
            if is_missing(site) {
                missing += 1;
                println!("         ^ no `// SAFETY:` comment");
            }
        }
    }
    println!("total: {}; without a reason: {missing}", counts_text(&total));
    Ok(if missing == 0 { Outcome::Fine } else { Outcome::Findings })
}

fn is_missing(site: &Site) -> bool {
    site.reason.is_none() && [Kind::Block, Kind::Impl].contains(&site.kind)
}

fn counts(sites: &[Site]) -> BTreeMap<Kind, usize> {
    let mut counts = BTreeMap::new();
    for site in sites {
        *counts.entry(site.kind).or_insert(0) += 1;
    }
    counts
}

fn counts_text(counts: &BTreeMap<Kind, usize>) -> String {
    let parts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn sites(source: &Source) -> Vec<Site> {
    let tokens = source.tokens();
    let mut sites = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "unsafe") {
        let Some(kind) = kind(&tokens, index) else { continue };
        let mark =
            if kind == Kind::Function || kind == Kind::Trait { "# Safety" } else { "SAFETY:" };
        let reason = reason(&source.lines, token.line - 1, mark);
        sites.push(Site { line: token.line, kind, reason });
    }
    sites
}

/// What the `unsafe` at `index` opens; a type such as `unsafe fn()` opens nothing.
fn kind(tokens: &[Token<'_>], index: usize) -> Option<Kind> {
    let text = |ahead: usize| tokens.get(index + ahead).map_or("", |token| token.text);
    match text(1) {
        "{" => Some(Kind::Block),
        "impl" => Some(Kind::Impl),
        "trait" => Some(Kind::Trait),
        "fn" if text(2) != "(" => Some(Kind::Function),
        "extern" => match (text(4), text(5)) {
            ("fn", "(") => None,
            ("fn", _) => Some(Kind::Function),
            _ => Some(Kind::Extern),
        },
        _ => None,
    }
}

/// The text behind `mark` in the comments of the line at `index` or above its statement.
fn reason(lines: &[Line], index: usize, mark: &str) -> Option<String> {
    let mut at = index;
    loop {
        if let Some((_, after)) = lines[at].comment.split_once(mark) {
            // `# Safety` is a heading: its first line stands below it.
            let below = lines[at..=index].iter().skip(1).map(|line| text_of(&line.comment));
            return std::iter::once(text_of(after)).chain(below).find(|text| !text.is_empty());
        }
        at = at.checked_sub(1)?;
        let code = lines[at].code.trim();
        let is_blank = code.is_empty() && lines[at].comment.is_empty();
        let ends_before = code.ends_with([';', '{', '}']) && !code.starts_with('#');
        if is_blank || ends_before || code.contains("unsafe ") {
            return None;
        }
    }
}

fn text_of(comment: &str) -> String {
    comment.trim_start_matches(['/', '!', '*']).trim().to_owned()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::Function => "fn",
            Self::Impl => "impl",
            Self::Trait => "trait",
            Self::Extern => "extern",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts the marks of reasons into a text; clippy would take them for reasons of ours.
    fn source(text: &str) -> Source {
        Source::new("crates/a/src/a.rs", &text.replace("WHY", "// SAFETY:"))
    }

    #[track_caller]
    fn check(text: &str, expected: &[(usize, Kind, Option<&str>)]) {
        let sites = sites(&source(text));
        let found: Vec<_> =
            sites.iter().map(|site| (site.line, site.kind, site.reason.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_reason_of_a_block_stands_above_its_statement() {
        let text = "WHY checked above;\n// and below.\nlet a =\n    unsafe { b() };\n\
                    let c = unsafe { d() };";
        check(text, &[(4, Kind::Block, Some("checked above;")), (5, Kind::Block, None)]);
        check("WHY far.\n\nunsafe { a() };", &[(3, Kind::Block, None)]);
        check("WHY other.\na();\nunsafe { b() };", &[(3, Kind::Block, None)]);
        check("WHY near.\n#[expect(a)]\nunsafe { b() };", &[(3, Kind::Block, Some("near."))]);
        check("WHY\n// below.\nunsafe { a() };", &[(3, Kind::Block, Some("below."))]);
    }

    #[test]
    fn each_kind_is_listed() {
        let text = "/// A.\n///\n/// # Safety\n///\n/// Mapped.\npub unsafe fn a() {}";
        check(text, &[(6, Kind::Function, Some("Mapped."))]);
        check("WHY plain.\nunsafe impl A for B {}", &[(2, Kind::Impl, Some("plain."))]);
        check("unsafe trait A {}", &[(1, Kind::Trait, None)]);
        check("unsafe extern \"C\" {}", &[(1, Kind::Extern, None)]);
        check("unsafe extern \"C\" fn a() {}", &[(1, Kind::Function, None)]);
        check("type A = unsafe fn(u8);\n#[unsafe(no_mangle)]\nfn a() {} // unsafe {}", &[]);
    }

    #[test]
    fn a_block_without_a_reason_fails_the_run() {
        let check = |text: &str, expected| {
            let sources = vec![source(text)];
            let workspace = Workspace { root: "".into(), sources, manifests: vec![] };
            assert_eq!(run(&workspace).unwrap(), expected);
        };
        check("WHY a.\nunsafe { b() };\nunsafe fn c() {}", Outcome::Fine);
        check("unsafe { b() };", Outcome::Findings);
        check("unsafe impl A for B {}", Outcome::Findings);
    }
}
