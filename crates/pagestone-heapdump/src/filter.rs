//! What is asked of the instances of a class, as text: `CLASS where field op value and …`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::{cmp::Ordering, fmt};

use crate::error::{Error, Result};

/// A filter over the instances of a class.
///
/// ```text
/// java.util.HashMap where size > 100 and table != null
/// com.shop.Order where status = "PAID" and total >= 99.5
/// java.lang.Thread where name ~ "worker" and daemon = true
/// ```
///
/// Operators are `=` (or `==`), `!=`, `<`, `<=`, `>`, `>=`, and `~` for a string that contains
/// another. Values are integers (decimal, or hexadecimal behind `0x`, which is how a reference is
/// compared with an object's id), decimal fractions, `true`, `false`, `null` and strings in single
/// or double quotes, with `\\`, `\'`, `\"`, `\n`, `\t` and `\u{…}`. Of several fields with one name
/// that of the class nearest to the instance's own is meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub(crate) class_name: String,
    pub(crate) conditions: Vec<Condition>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) field: String,
    /// Where the field stands in the text, from 1.
    pub(crate) field_column: usize,
    pub(crate) operator: Operator,
    pub(crate) value: Literal,
    pub(crate) value_column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

impl Operator {
    /// Whether it holds for two values that compare so; none where they cannot be compared.
    pub(crate) fn holds(self, order: Option<Ordering>) -> bool {
        match (self, order) {
            (Self::NotEqual, order) => order != Some(Ordering::Equal),
            (_, None) | (Self::Contains, _) => false,
            (Self::Equal, Some(order)) => order.is_eq(),
            (Self::Less, Some(order)) => order.is_lt(),
            (Self::LessOrEqual, Some(order)) => order.is_le(),
            (Self::Greater, Some(order)) => order.is_gt(),
            (Self::GreaterOrEqual, Some(order)) => order.is_ge(),
        }
    }

    /// Whether it asks for more than being equal or not.
    pub(crate) fn is_ordering(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Integer(i128),
    Fraction(f64),
    Boolean(bool),
    Null,
    Text(String),
}

impl fmt::Display for Literal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(_) => formatter.write_str("an integer"),
            Self::Fraction(_) => formatter.write_str("a fraction"),
            Self::Boolean(_) => formatter.write_str("a truth value"),
            Self::Null => formatter.write_str("null"),
            Self::Text(_) => formatter.write_str("a string"),
        }
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// `InvalidFilter`, naming the column.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, rest: text };
        parser.skip_space();
        let class_name = parser.word("the name of a class", |letter| !letter.is_whitespace())?;
        let mut conditions = Vec::new();
        parser.skip_space();
        if !parser.rest.is_empty() {
            parser.keyword("where")?;
            loop {
                conditions.push(parser.condition()?);
                parser.skip_space();
                if parser.rest.is_empty() {
                    break;
                }
                parser.keyword("and")?;
            }
        }
        Ok(Self { class_name: class_name.to_owned(), conditions })
    }

    /// Returns the name of the class that is asked about.
    #[must_use]
    pub fn class_name(&self) -> &str {
        &self.class_name
    }
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Parser<'t> {
    /// The column of what comes next: characters from 1.
    fn column(&self) -> usize {
        let done = self.text.len().saturating_sub(self.rest.len());
        self.text.get(..done).map_or(0, |done| done.chars().count()).saturating_add(1)
    }

    #[cold]
    fn expected(&self, what: &str) -> Error {
        let found = match self.rest.split_whitespace().next() {
            Some(found) => format!("{:?}", found.chars().take(40).collect::<String>()),
            None => "the end".to_owned(),
        };
        Error::filter(self.column(), format!("expected {what}, found {found}"))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes letters, at least one.
    fn word(&mut self, what: &str, is_part: impl Fn(char) -> bool) -> Result<&'t str> {
        let end = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        if word.is_empty() {
            return Err(self.expected(what));
        }
        self.rest = rest;
        Ok(word)
    }

    fn keyword(&mut self, keyword: &str) -> Result<()> {
        self.skip_space();
        let before = self.rest;
        match self.word(keyword, char::is_alphanumeric) {
            Ok(word) if word == keyword => Ok(()),
            _ => {
                self.rest = before;
                Err(self.expected(&format!("`{keyword}`")))
            }
        }
    }

    fn condition(&mut self) -> Result<Condition> {
        self.skip_space();
        let field_column = self.column();
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
        let field = self.word("the name of a field", is_part)?.to_owned();
        self.skip_space();
        let operator = self.operator()?;
        self.skip_space();
        let value_column = self.column();
        let value = self.literal()?;
        Ok(Condition { field, field_column, operator, value, value_column })
    }

    fn operator(&mut self) -> Result<Operator> {
        // The longer ones first.
        let all = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("~", Operator::Contains),
        ];
        for (sign, operator) in all {
            if let Some(rest) = self.rest.strip_prefix(sign) {
                self.rest = rest;
                return Ok(operator);
            }
        }
        Err(self.expected("an operator (= != < <= > >= ~)"))
    }

    fn literal(&mut self) -> Result<Literal> {
        if let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            return self.string(quote);
        }
        let before = self.rest;
        let what = "a value (a number, true, false, null or a string in quotes)";
        let word = self.word(what, |letter| !letter.is_whitespace())?;
        let literal = match word {
            "true" => Some(Literal::Boolean(true)),
            "false" => Some(Literal::Boolean(false)),
            "null" => Some(Literal::Null),
            word => number(word),
        };
        literal.ok_or_else(|| {
            self.rest = before;
            self.expected(what)
        })
    }

    /// A string, whose quote comes next.
    fn string(&mut self, quote: char) -> Result<Literal> {
        let begin = self.rest;
        let mut text = String::new();
        let mut letters = self.rest.chars();
        letters.next();
        loop {
            let at = letters.as_str();
            match letters.next() {
                None => {
                    self.rest = begin;
                    let column = self.column();
                    return Err(Error::filter(column, "a string without its closing quote"));
                }
                Some(letter) if letter == quote => break,
                Some('\\') => {
                    let Some(letter) = escape(&mut letters) else {
                        self.rest = at;
                        let what = "one of \\\\ \\' \\\" \\n \\t \\u{…}";
                        return Err(self.expected(what));
                    };
                    text.push(letter);
                }
                Some(letter) => text.push(letter),
            }
        }
        self.rest = letters.as_str();
        Ok(Literal::Text(text))
    }
}

/// The letter that an escape stands for, whose backslash was taken.
fn escape(letters: &mut std::str::Chars<'_>) -> Option<char> {
    match letters.next()? {
        letter @ ('\\' | '\'' | '"') => Some(letter),
        'n' => Some('\n'),
        't' => Some('\t'),
        'u' => {
            let (digits, rest) = letters.as_str().strip_prefix('{')?.split_once('}')?;
            *letters = rest.chars();
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        }
        _ => None,
    }
}

fn number(word: &str) -> Option<Literal> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word),
    };
    if !digits.starts_with(|digit: char| digit.is_ascii_digit()) {
        return None;
    }
    let integer = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None => digits.parse().ok(),
    };
    match integer {
        Some(integer) => Some(Literal::Integer(i128::from(integer).saturating_mul(sign))),
        None => word.parse().ok().map(Literal::Fraction),
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Filter, Literal, Operator};

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Operator, Literal)]) {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.class_name(), "a.B$C");
        let found: Vec<(&str, Operator, Literal)> = filter
            .conditions
            .iter()
            .map(|Condition { field, operator, value, .. }| (&**field, *operator, value.clone()))
            .collect();
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(Filter::parse(text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn filters_are_read() {
        check("a.B$C", &[]);
        check("  a.B$C where x=1", &[("x", Operator::Equal, Literal::Integer(1))]);
        check(
            "a.B$C where _x1 >= -2 and y<0x10 and z ~ 'it\\'s \\u{1F600}'",
            &[
                ("_x1", Operator::GreaterOrEqual, Literal::Integer(-2)),
                ("y", Operator::Less, Literal::Integer(16)),
                ("z", Operator::Contains, Literal::Text("it's \u{1f600}".to_owned())),
            ],
        );
        check(
            "a.B$C where a == true and b != null and c > 1.5e3 and d <= \" and \"",
            &[
                ("a", Operator::Equal, Literal::Boolean(true)),
                ("b", Operator::NotEqual, Literal::Null),
                ("c", Operator::Greater, Literal::Fraction(1500.0)),
                ("d", Operator::LessOrEqual, Literal::Text(" and ".to_owned())),
            ],
        );
    }

    #[test]
    fn errors_name_the_column() {
        check_error("", "column 1: expected the name of a class, found the end");
        check_error("a.B were x = 1", "column 5: expected `where`, found \"were\"");
        check_error("a.B where", "column 10: expected the name of a field, found the end");
        check_error(
            "a.B where x 1",
            "column 13: expected an operator (= != < <= > >= ~), found \"1\"",
        );
        let what = "expected a value (a number, true, false, null or a string in quotes)";
        check_error("a.B where x = y", &format!("column 15: {what}, found \"y\""));
        check_error("a.B where x =", &format!("column 14: {what}, found the end"));
        check_error("a.B where x = 1 or y = 2", "column 17: expected `and`, found \"or\"");
        check_error("é where x = \"abc", "column 13: a string without its closing quote");
        let escapes = "expected one of \\\\ \\' \\\" \\n \\t \\u{…}";
        check_error("a where x = '\\q'", &format!("column 14: {escapes}, found \"\\\\q'\""));
        check_error(
            "a where x = '\\u{110000}'",
            &format!("column 14: {escapes}, found \"\\\\u{{110000}}'\""),
        );
    }
}
