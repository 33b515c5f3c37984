//! How far two values of a field are apart.

use std::cmp::Ordering;

use crate::field::Value;

/// How far two values are apart.
#[derive(Debug)]
pub(super) enum Distance {
    Whole(u128),
    Float(f64),
    Bytes(Vec<u8>),
}

impl Distance {
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => left.cmp(right),
            (Self::Bytes(left), Self::Bytes(right)) => left.cmp(right),
            (Self::Float(left), Self::Float(right)) => left.total_cmp(right),
            _ => Ordering::Equal,
        }
    }
}

/// `high - low`, both of one field, `low` not above `high`.
pub(super) fn distance(low: &Value<'_>, high: &Value<'_>) -> Distance {
    match (low, high) {
        (Value::Float(low), Value::Float(high)) => Distance::Float(high - low),
        (Value::Float(low), high) => Distance::Float(as_float(high) - low),
        (low, Value::Float(high)) => Distance::Float(high - as_float(low)),
        (Value::Bytes(low), Value::Bytes(high)) => Distance::Bytes(subtract(high, low)),
        (low, high) => Distance::Whole(whole(high).wrapping_sub(whole(low))),
    }
}

/// A whole number modulo 2^128: differences come out right whatever the signs.
fn whole(value: &Value<'_>) -> u128 {
    match value {
        Value::Unsigned(value) => *value,
        Value::Signed(value) => value.cast_unsigned(),
        Value::Float(_) | Value::Bytes(_) => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "distances to a float are floats")]
fn as_float(value: &Value<'_>) -> f64 {
    match value {
        Value::Unsigned(value) => *value as f64,
        Value::Signed(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bytes(_) => f64::NAN,
    }
}

/// Long subtraction of byte strings, the shorter padded with zeros behind.
fn subtract(high: &[u8], low: &[u8]) -> Vec<u8> {
    let len = high.len().max(low.len());
    let at = |bytes: &[u8], index: usize| i16::from(bytes.get(index).copied().unwrap_or(0));
    let mut borrow = 0;
    let mut difference = vec![0; len];
    for index in (0..len).rev() {
        let digit = at(high, index) - at(low, index) - borrow;
        borrow = i16::from(digit < 0);
        difference[index] = digit.rem_euclid(256).to_le_bytes()[0];
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::subtract;

    #[test]
    fn long_subtraction_borrows() {
        assert_eq!(subtract(&[1, 0, 0], &[0, 0, 1]), [0, 255, 255]);
        assert_eq!(subtract(&[5], &[4, 1]), [0, 255]);
    }
}
