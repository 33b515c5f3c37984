//! Names as people write them: the JVM's modified UTF-8 and its internal class names, converted.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::format::Primitive;

/// Converts a class name from its internal form: `java/lang/String` to `java.lang.String`,
/// `[[I` to `int[][]`, `[Ljava/lang/String;` to `java.lang.String[]`.
///
/// Bytes that are no modified UTF-8 become U+FFFD. At most three times as long as `internal`.
pub(crate) fn class_name(internal: &[u8]) -> String {
    let depth = internal.iter().take_while(|&&byte| byte == b'[').count();
    let element = internal.get(depth..).unwrap_or_default();
    let mut name = match (depth, element) {
        (0, element) => decode(element),
        (_, [b'L', class @ .., b';']) => decode(class),
        (_, [code]) => match primitive(*code) {
            Some(primitive) => primitive.name().to_owned(),
            None => return decode(internal),
        },
        _ => return decode(internal),
    };
    (0..depth).for_each(|_| name.push_str("[]"));
    name
}

fn primitive(code: u8) -> Option<Primitive> {
    Some(match code {
        b'Z' => Primitive::Boolean,
        b'C' => Primitive::Char,
        b'F' => Primitive::Float,
        b'D' => Primitive::Double,
        b'B' => Primitive::Byte,
        b'S' => Primitive::Short,
        b'I' => Primitive::Int,
        b'J' => Primitive::Long,
        _ => return None,
    })
}

/// Decodes modified UTF-8.
///
/// Bytes that are none become U+FFFD. At most three times as long as `bytes`.
pub(crate) fn text(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes)
        && bytes.is_ascii()
    {
        return text.to_owned();
    }
    let units = Units { rest: bytes };
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Decodes modified UTF-8, with dots for slashes.
fn decode(bytes: &[u8]) -> String {
    if bytes.is_ascii() {
        let dotted = |byte| if byte == b'/' { '.' } else { char::from(byte) };
        return bytes.iter().copied().map(dotted).collect();
    }
    let units = Units { rest: bytes };
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .map(|unit| if unit == '/' { '.' } else { unit })
        .collect()
}

/// The UTF-16 units that modified UTF-8 stands for, U+FFFD for each byte that stands for none.
struct Units<'a> {
    rest: &'a [u8],
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let (unit, rest) = match *self.rest {
            [] => return None,
            [one @ 0..0x80, ref rest @ ..] => (u16::from(one), rest),
            [one @ 0xc0..0xe0, two @ 0x80..0xc0, ref rest @ ..] => {
                (u16::from(one & 0x1f) << 6 | u16::from(two & 0x3f), rest)
            }
            [one @ 0xe0..0xf0, two @ 0x80..0xc0, three @ 0x80..0xc0, ref rest @ ..] => {
                let low = u16::from(two & 0x3f) << 6 | u16::from(three & 0x3f);
                (u16::from(one & 0x0f) << 12 | low, rest)
            }
            [_, ref rest @ ..] => (0xfffd, rest),
        };
        self.rest = rest;
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::class_name;

    #[track_caller]
    fn check(internal: &[u8], expected: &str) {
        assert_eq!(class_name(internal), expected);
    }

    #[test]
    fn classes_and_arrays_are_named_as_in_java() {
        check(b"java/lang/String", "java.lang.String");
        check(b"[Ljava/lang/String;", "java.lang.String[]");
        check(b"[[I", "int[][]");
        check(b"[Z", "boolean[]");
        check(b"A$$Lambda$21+0x80000002d", "A$$Lambda$21+0x80000002d");
        check(b"", "");
    }

    #[test]
    fn what_is_no_class_name_stays_as_it_is() {
        check(b"[", "[");
        check(b"[X", "[X");
        check(b"[Lopen", "[Lopen");
        check(b"[II", "[II");
    }

    #[test]
    fn modified_utf8_is_decoded() {
        check(b"a\xc0\x80b", "a\0b");
        check(b"f\xed\xa0\xbd\xed\xb8\x80/g", "f\u{1f600}.g");
        check(b"[L\xc3\xa9;", "\u{e9}[]");
        check(b"\xff\xed\xa0\xbdx\xe2\x82", "\u{fffd}\u{fffd}x\u{fffd}\u{fffd}");
    }
}
