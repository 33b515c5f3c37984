//! Values as people write them: integers, `0x…`, floats, hexadecimal bytes, and ranges of them.

use pagestone_storage::{Field, Kind, Value};

use crate::exit::Usage;

/// Parses a value to look for in a field.
pub(crate) fn parse(field: Field, text: &str) -> anyhow::Result<Value<'static>> {
    let parsed = match field.kind() {
        Kind::Bytes(_) => bytes(text).map(|bytes| Value::Bytes(bytes.into())),
        _ => of_text(field, text),
    };
    parsed.ok_or_else(|| {
        let expected = match field.kind() {
            Kind::Bytes(_) => "bytes in hexadecimal, two digits each",
            Kind::F32 | Kind::F64 => "a number",
            _ => "an integer, decimal or behind 0x",
        };
        Usage(format!("`{text}` is no value of {field}: expected {expected}")).into()
    })
}

/// The number that a text means to a field of numbers.
pub(crate) fn of_text(field: Field, text: &str) -> Option<Value<'static>> {
    match field.kind() {
        Kind::F32 => text.parse::<f32>().ok().map(Value::from),
        Kind::F64 => text.parse::<f64>().ok().map(Value::from),
        _ => integer(text),
    }
}

pub(crate) fn integer(text: &str) -> Option<Value<'static>> {
    let (digits, is_negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) if digits.starts_with('+') => return None,
        Some(digits) => u128::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    if is_negative {
        return Some(Value::Signed(0i128.checked_sub_unsigned(magnitude)?));
    }
    Some(Value::Unsigned(magnitude))
}

/// Two hexadecimal digits for each byte, behind `0x` or not.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// A range of values; a bound that was left out is none.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) low: Option<Value<'static>>,
    pub(crate) high: Option<High>,
}

/// Where a range ends.
#[derive(Debug)]
pub(crate) enum High {
    Before(Value<'static>),
    At(Value<'static>),
}

/// Parses `LOW..HIGH`, `LOW..=HIGH` and what is left of them without a bound.
pub(crate) fn span(field: Field, text: &str) -> anyhow::Result<Span> {
    let Some((low, high)) = text.split_once("..") else {
        return Err(Usage(format!("`{text}` is no range: expected LOW..HIGH or LOW..=HIGH")).into());
    };
    let low = if low.is_empty() { None } else { Some(parse(field, low)?) };
    let high = match high.strip_prefix('=') {
        Some(high) => Some(High::At(parse(field, high)?)),
        None if high.is_empty() => None,
        None => Some(High::Before(parse(field, high)?)),
    };
    Ok(Span { low, high })
}

#[cfg(test)]
mod tests {
    use super::{parse, span};

    #[track_caller]
    fn check(field: &str, text: &str, expected: Option<&str>) {
        let parsed = parse(field.parse().unwrap(), text).ok();
        assert_eq!(parsed.map(|value| value.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn values_are_parsed_as_the_field_is() {
        check("u64le@0", "12", Some("12"));
        check("u64le@0", "0xff", Some("255"));
        check("i8@0", "-0x80", Some("-128"));
        check("i8@0", "-5", Some("-5"));
        check("u128le@0", &u128::MAX.to_string(), Some(&u128::MAX.to_string()));
        check("i128le@0", &i128::MIN.to_string(), Some(&i128::MIN.to_string()));
        check("f32le@0", "-1.5", Some("-1.5"));
        check("f64le@0", "1e3", Some("1000"));
        check("bytes2@0", "0aFF", Some("0aff"));
        check("bytes2@0", "", Some(""));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["", "-", "0x", "+1", "0x+1", "1.5", "x", "--1", &format!("{}0", u128::MAX)] {
            check("u64le@0", text, None);
        }
        check("f64le@0", "0x1", None);
        check("bytes2@0", "abc", None);
        check("bytes2@0", "zz", None);
    }

    #[test]
    fn ranges_have_up_to_two_bounds() {
        let field = "i32le@0".parse().unwrap();
        let shown = |text| format!("{:?}", span(field, text).unwrap());
        assert_eq!(shown("-5..=7"), "Span { low: Some(Signed(-5)), high: Some(At(Unsigned(7))) }");
        assert_eq!(
            shown("1..3"),
            "Span { low: Some(Unsigned(1)), high: Some(Before(Unsigned(3))) }"
        );
        assert_eq!(shown(".."), "Span { low: None, high: None }");
        for text in ["", "5", "1..=", "a..b", "1..2..3"] {
            assert!(span(field, text).is_err(), "{text}");
        }
    }
}
