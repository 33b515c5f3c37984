//! One value of a row: for people, as CSV and as JSON.

use serde::{Serialize, Serializer};

use super::number::thousands;

/// A value to be shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Unsigned(u128),
    Signed(i128),
    Single(f32),
    Double(f64),
    Text(String),
    Truth(bool),
    Absent,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The text for people: separators, nothing that a terminal would obey.
    pub(crate) fn for_people(&self) -> String {
        match self {
            Self::Unsigned(number) => thousands(*number),
            Self::Signed(number) if *number < 0 => format!("-{}", thousands(number.unsigned_abs())),
            Self::Signed(number) => thousands(number.unsigned_abs()),
            Self::Text(text) => printable(text),
            Self::Truth(truth) => if *truth { "yes" } else { "no" }.to_owned(),
            Self::Absent => "-".to_owned(),
            Self::Single(_) | Self::Double(_) => self.plain(),
        }
    }

    /// The text for programs.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Unsigned(number) => number.to_string(),
            Self::Signed(number) => number.to_string(),
            Self::Single(number) => format!("{number:?}"),
            Self::Double(number) => format!("{number:?}"),
            Self::Text(text) => text.clone(),
            Self::Truth(truth) => truth.to_string(),
            Self::Absent => String::new(),
        }
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Unsigned(number.into())
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unsigned(number) => number.serialize(serializer),
            Self::Signed(number) => number.serialize(serializer),
            Self::Single(number) if number.is_finite() => number.serialize(serializer),
            Self::Double(number) if number.is_finite() => number.serialize(serializer),
            // JSON has no word for them, and `null` would be a lie.
            Self::Single(_) | Self::Double(_) => self.plain().serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Truth(truth) => truth.serialize(serializer),
            Self::Absent => serializer.serialize_none(),
        }
    }
}

/// The text without control characters: names in a damaged dump may hold any.
pub(crate) fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::Cell;

    #[track_caller]
    fn check(cell: &Cell, people: &str, json: &str) {
        assert_eq!(cell.for_people(), people);
        assert_eq!(serde_json::to_string(cell).unwrap(), json);
    }

    #[test]
    fn values_are_shown_for_people_and_programs() {
        check(&Cell::Unsigned(1_234_567), "1,234,567", "1234567");
        check(&Cell::Signed(-1000), "-1,000", "-1000");
        check(
            &Cell::Signed(i128::MIN),
            &format!("-{}", super::thousands(1u128 << 127)),
            &i128::MIN.to_string(),
        );
        check(&Cell::Single(0.1), "0.1", "0.1");
        check(&Cell::Double(f64::NAN), "NaN", "\"NaN\"");
        check(&Cell::Double(f64::NEG_INFINITY), "-inf", "\"-inf\"");
        check(&Cell::text("a\u{1b}[31m"), "a\\u{1b}[31m", "\"a\\u001b[31m\"");
        check(&Cell::Truth(true), "yes", "true");
        check(&Cell::Absent, "-", "null");
    }
}
