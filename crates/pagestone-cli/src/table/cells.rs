//! Values of columns: from the text of an input or an argument, and as cells.

use pagestone_index::{AnyTable, NamedColumn};
use pagestone_storage::{Field, Kind, Value};

use crate::{
    output::{Align, Cell, hex},
    value,
};

/// The value that a text means to a column, or what was expected.
///
/// Bytes are text that is filled up with zeros, or all of them in hexadecimal behind `0x`: what
/// has so many digits is too long to be text.
pub(super) fn parse(field: Field, text: &[u8]) -> Result<Value<'static>, &'static str> {
    if let Kind::Bytes(size) = field.kind() {
        return bytes(text, size as usize);
    }
    let number = str::from_utf8(text).ok().and_then(|text| value::of_text(field, text.trim()));
    number.ok_or(match field.kind() {
        Kind::F32 | Kind::F64 => "a number",
        _ => "an integer",
    })
}

fn bytes(text: &[u8], size: usize) -> Result<Value<'static>, &'static str> {
    if text.len() == 2 + 2 * size
        && let Some(digits) = text.strip_prefix(b"0x")
        && let Some(bytes) = str::from_utf8(digits).ok().and_then(value::bytes)
    {
        return Ok(Value::Bytes(bytes.into()));
    }
    if size < text.len() {
        return Err("fewer bytes, or all of them in hexadecimal behind 0x");
    }
    if text.contains(&0) {
        return Err("text without zero bytes");
    }
    let mut filled = text.to_vec();
    filled.resize(size, 0);
    Ok(Value::Bytes(filled.into()))
}

/// The cells of a row, one for each column.
pub(super) fn row(table: &AnyTable, index: u64, into: &mut Vec<Cell>) -> anyhow::Result<()> {
    table.with_row(index, |row| {
        for column in table.schema().columns() {
            let field = column.field();
            let start = field.offset() as usize;
            into.push(cell(field, field.decode(&row[start..start + field.size() as usize])?));
        }
        Ok(())
    })?
}

fn cell(field: Field, value: Value<'_>) -> Cell {
    match value {
        Value::Unsigned(number) => Cell::Unsigned(number),
        Value::Signed(number) => Cell::Signed(number),
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from an f32")]
        Value::Float(number) if field.kind() == Kind::F32 => Cell::Single(number as f32),
        Value::Float(number) => Cell::Double(number),
        Value::Bytes(bytes) => Cell::Text(shown(&bytes)),
        value => Cell::Text(value.to_string()),
    }
}

/// What [`parse`] makes these bytes of.
fn shown(bytes: &[u8]) -> String {
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    match str::from_utf8(&bytes[..len]) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => format!("0x{}", hex(bytes)),
    }
}

/// Titles for the columns of a table.
pub(super) fn titles<'t>(
    table: &'t AnyTable,
    prefix: &'t str,
) -> impl Iterator<Item = (String, Align)> + 't {
    let align = |column: &NamedColumn| match column.field().kind() {
        Kind::Bytes(_) => Align::Left,
        _ => Align::Right,
    };
    let columns = table.schema().columns().iter();
    columns.map(move |column| (format!("{prefix}{}", column.name()), align(column)))
}

#[cfg(test)]
mod tests {
    use pagestone_storage::Value;

    use super::{parse, shown};

    #[track_caller]
    fn check(text: &[u8], bytes: [u8; 4], back: &str) {
        let field = "bytes4@0".parse().unwrap();
        assert_eq!(parse(field, text), Ok(Value::Bytes(bytes[..].into())));
        assert_eq!(shown(&bytes), back);
        assert_eq!(parse(field, back.as_bytes()), Ok(Value::Bytes(bytes[..].into())));
    }

    #[test]
    fn bytes_are_text_or_hexadecimal_and_come_back() {
        check(b"", [0; 4], "");
        check(b"abc", *b"abc\0", "abc");
        check(b"0x12", *b"0x12", "0x12");
        check(b"0x00FF0001", [0, 255, 0, 1], "0x00ff0001");
        check("\u{e9}\u{e9}".as_bytes(), [0xc3, 0xa9, 0xc3, 0xa9], "\u{e9}\u{e9}");
        check(&[0xff, b'a'], [0xff, b'a', 0, 0], "0xff610000");
        check(b"0x61000062", [0x61, 0, 0, 0x62], "0x61000062");
        check(b"0x61620000", *b"ab\0\0", "ab");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refuses = |field: &str, text: &[u8]| parse(field.parse().unwrap(), text).is_err();
        assert!(refuses("bytes4@0", b"abcde"));
        assert!(refuses("bytes4@0", b"a\0"));
        assert!(refuses("bytes4@0", b"0x123456zz"));
        assert!(refuses("u8@0", b""));
        assert!(refuses("u8@0", b"1.5"));
        assert!(refuses("f64@0", b"x"));
        assert_eq!(parse("u8@0".parse().unwrap(), b" 7 "), Ok(Value::Unsigned(7)));
    }
}
