//! A schema that fits an input: what kind each column is of.

use super::{
    input::{Input, Look, Row},
    schema::Draft,
};
use crate::{exit::Usage, progress::Bar, value};
use pagestone_storage::Value;

/// Columns at most; lines of JSON may name new ones without end.
const COLUMNS_MAX: usize = 4096;

/// What was seen in a column.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    unsigned_max: u128,
    signed_min: i128,
    has_number: bool,
    has_float: bool,
    has_text: bool,
    len_max: usize,
}

impl Seen {
    fn add(&mut self, look: Look, text: &[u8]) {
        self.len_max = self.len_max.max(text.len());
        let word = str::from_utf8(text).ok();
        let is_special = word.is_some_and(|word| matches!(word, "NaN" | "inf" | "-inf"));
        match look {
            Look::Empty => {}
            _ if is_special => self.has_float = true,
            Look::Text => self.has_text = true,
            Look::Plain => match word.and_then(number) {
                Some(Value::Unsigned(number)) => {
                    self.has_number = true;
                    self.unsigned_max = self.unsigned_max.max(number);
                }
                Some(Value::Signed(number)) => {
                    self.has_number = true;
                    self.signed_min = self.signed_min.min(number);
                }
                Some(_) => self.has_float = true,
                None => self.has_text = true,
            },
        }
    }

    /// The kind that holds it all: integers of 8 bytes, of 16 where they need it, floats, bytes.
    fn kind(self) -> String {
        let kind = match (self.has_text, self.has_float, self.has_number) {
            (false, true, _) => Some("f64"),
            (false, false, true) => self.integer(),
            _ => None,
        };
        kind.map_or_else(|| format!("bytes{}", self.len_max.max(1)), str::to_owned)
    }

    fn integer(self) -> Option<&'static str> {
        if self.signed_min == 0 {
            let is_short = u64::try_from(self.unsigned_max).is_ok();
            return Some(if is_short { "u64" } else { "u128" });
        }
        let max = i128::try_from(self.unsigned_max).ok()?;
        let is_short = i64::try_from(max).is_ok() && i64::try_from(self.signed_min).is_ok();
        Some(if is_short { "i64" } else { "i128" })
    }
}

/// A number that reads back as it is written, about; `007` and what has too many digits are text.
fn number(word: &str) -> Option<Value<'static>> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let begins = |next: char| next.is_ascii_digit() || next == '.';
    if !digits.starts_with(begins) || !digits.bytes().all(|next| b"0123456789.eE+-".contains(&next))
    {
        return None;
    }
    let is_integer = digits.bytes().all(|next| next.is_ascii_digit());
    if is_integer && digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    if is_integer && word != "-0" {
        return value::integer(word);
    }
    word.parse().ok().map(Value::Float)
}

/// Reads an input to its end and drafts a schema of its columns.
pub(super) fn draft(mut input: Input) -> anyhow::Result<Draft> {
    let mut seen: Vec<Seen> = Vec::new();
    let (mut row, bar) = (Row::default(), Bar::new("look at the columns"));
    while input.next(&mut row)? {
        bar.set(input.read_len(), input.len);
        if row.problem.is_some() {
            continue;
        }
        let columns = input.columns().len();
        if COLUMNS_MAX < columns {
            let path = input.path().display();
            return Err(Usage(format!("{path}: more than {COLUMNS_MAX} columns")).into());
        }
        seen.resize(columns, Seen::default());
        for (number, seen) in seen.iter_mut().enumerate() {
            let (look, text) = row.cell(number);
            seen.add(look, text);
        }
    }
    if input.columns().is_empty() {
        let path = input.path().display();
        return Err(Usage(format!("{path}: no columns to make a schema of")).into());
    }
    seen.resize(input.columns().len(), Seen::default());
    let names = input.columns().iter().cloned();
    let columns = names.zip(seen).map(|(name, seen)| (name, seen.kind())).collect();
    Ok(Draft::of(columns))
}

#[cfg(test)]
mod tests {
    use super::{Look, Seen};

    #[track_caller]
    fn check(words: &[&str], expected: &str) {
        let mut seen = Seen::default();
        for word in words {
            let look = if word.is_empty() { Look::Empty } else { Look::Plain };
            seen.add(look, word.as_bytes());
        }
        assert_eq!(seen.kind(), expected, "{words:?}");
    }

    #[test]
    fn a_kind_holds_all_that_was_seen() {
        check(&["0", "18446744073709551615"], "u64");
        check(&["18446744073709551616", ""], "u128");
        check(&["-1", "9223372036854775807"], "i64");
        check(&["-1", "9223372036854775808"], "i128");
        check(&["-1", &u128::MAX.to_string()], "bytes39");
        check(&[&format!("{}0", u128::MAX)], "bytes40");
        check(&["1", "1.5", "-2e9"], "f64");
        check(&["1", "NaN", "-inf"], "f64");
        check(&["-0"], "f64");
        check(&["1", "x"], "bytes1");
        check(&["007"], "bytes3");
        check(&["0x10"], "bytes4");
        check(&["1 "], "bytes2");
        check(&["2026-11-20"], "bytes10");
        check(&["", ""], "bytes1");
    }
}
