//! Sizes and ids as people write them: `24`, `64M`, `1G`; `0xfaba7830`.

use pagestone_storage::RECORD_SIZE_MAX;

/// Parses a number of bytes, with `K`, `M`, `G` or `T` for powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err("expected bytes, as in 24, 64M or 1G".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|error| format!("{error}"))?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}

pub(super) fn record_size(text: &str) -> Result<usize, String> {
    let bytes = usize::try_from(size(text)?).unwrap_or(usize::MAX);
    if (1..=RECORD_SIZE_MAX).contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("a record has 1 to {RECORD_SIZE_MAX} bytes"))
}

/// Parses the id of an object, hexadecimal behind `0x`, else decimal.
pub(crate) fn id(text: &str) -> Result<u64, String> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let id = match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    id.map_err(|error| format!("{error}; expected an id, as in 0xfaba7830 or 4206524464"))
}

#[cfg(test)]
mod tests {
    use super::{id, record_size, size};

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(size(text).ok(), expected, "{text}");
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        check("24", Some(24));
        check("64M", Some(64 << 20));
        check("1g", Some(1 << 30));
        check("2KiB", Some(2048));
        check("0", Some(0));
        check("", None);
        check("M", None);
        check("1X", None);
        check("-1", None);
        check("1.5M", None);
        check("99999999999T", None);
        check("1\u{e9}", None);
    }

    #[test]
    fn records_have_bytes_but_not_too_many() {
        assert_eq!(record_size("16M"), Ok(16 << 20));
        assert!(record_size("0").is_err());
        assert!(record_size("17M").is_err());
    }

    #[test]
    fn ids_are_hexadecimal_or_decimal() {
        assert_eq!(id("0xFABA7830"), Ok(0xfaba_7830));
        assert_eq!(id("42"), Ok(42));
        assert!(id("0x").is_err());
        assert!(id("fa").is_err());
    }
}
