//! Numbers, bytes, times and dates as people read them.

use std::time::Duration;

/// Puts a comma between groups of three digits.
pub(crate) fn thousands(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if 0 < index && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Two hexadecimal digits per byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A time taken, in milliseconds below a second.
pub(crate) fn elapsed(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.2} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// A date and time from milliseconds since 1970-01-01 UTC.
pub(crate) fn date(milliseconds: u64) -> String {
    const DAY: u64 = 86_400;
    let seconds = milliseconds / 1000;
    let (days, time) = (seconds / DAY, seconds % DAY);
    // Years begin in March here, so that the day that comes and goes is the last; the
    // remainders are those of 400, 100, 4 years and 1 year since March of the year 0.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{date, elapsed, thousands};

    #[track_caller]
    fn check(number: u64, expected: &str) {
        assert_eq!(thousands(number), expected);
    }

    #[test]
    fn digits_are_grouped() {
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(123_456, "123,456");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn times_have_their_unit() {
        assert_eq!(elapsed(Duration::from_micros(40)), "0.04 ms");
        assert_eq!(elapsed(Duration::from_millis(1230)), "1.23 s");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_827_696_000), "2000-02-29 12:34:56 UTC");
        assert_eq!(date(1_795_212_176_694), "2026-11-20 22:02:56 UTC");
        assert_eq!(date(4_107_542_400_000), "2100-03-01 00:00:00 UTC");
        assert!(date(u64::MAX).ends_with("UTC"));
    }
}
