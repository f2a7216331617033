//! Smallest and largest values.

use crate::column::Number;
use crate::window::StateError;
use crate::window::entry::{put_bytes, put_varint, take, take_bytes, take_varint, unzigzag, zigzag};
use std::cmp::Ordering;

/// The order of numbers: by value, exactly, with -0.0 before 0.0 and NaN at the ends (`f64::total_cmp`), and an integer before
/// the float that equals it. A total order, so that a minimum does not depend on the order of records.
pub(in crate::window) fn compare(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.cmp(&b),
        (Number::Float(a), Number::Float(b)) => a.total_cmp(&b),
        (Number::Int(a), Number::Float(b)) => mixed(a, b),
        (Number::Float(a), Number::Int(b)) => mixed(b, a).reverse(),
    }
}

fn mixed(int: i64, float: f64) -> Ordering {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63, exactly.
    if float.is_nan() {
        return if float.is_sign_negative() { Ordering::Greater } else { Ordering::Less };
    }
    if float >= LIMIT {
        return Ordering::Less;
    }
    if float < -LIMIT {
        return Ordering::Greater;
    }
    let whole = float.trunc(); // Fits, exactly.
    int.cmp(&(whole as i64)).then(whole.total_cmp(&float)).then(Ordering::Less)
}

/// Keeps the smaller (or larger) of the two in `kept`.
pub(super) fn keep(kept: &mut Option<Number>, value: Number, largest: bool) {
    let wanted = if largest { Ordering::Greater } else { Ordering::Less };
    if kept.is_none_or(|it| compare(value, it) == wanted) {
        *kept = Some(value);
    }
}

/// As [`keep`], by bytes. The text kept is written over, so it costs no allocation once it is long enough.
pub(super) fn keep_text(kept: &mut Option<Vec<u8>>, value: &[u8], largest: bool) {
    let wanted = if largest { Ordering::Greater } else { Ordering::Less };
    match kept {
        None => *kept = Some(value.to_vec()),
        Some(text) if value.cmp(text) == wanted => {
            text.clear();
            text.extend_from_slice(value);
        }
        Some(_) => {}
    }
}

const NONE: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const TEXT: u8 = 3;

/// A tag, then the value: nothing, a signed `varint` or an `f64`.
pub(in crate::window) fn encode(value: Option<Number>, out: &mut Vec<u8>) {
    match value {
        None => out.push(NONE),
        Some(Number::Int(value)) => {
            out.push(INT);
            put_varint(out, zigzag(value.into()));
        }
        Some(Number::Float(value)) => {
            out.push(FLOAT);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

pub(in crate::window) fn decode(bytes: &mut &[u8]) -> Result<Option<Number>, StateError> {
    match take(bytes, "tag of an extreme")? {
        [INT] => Ok(Some(Number::Int(unzigzag(take_varint(bytes, "an extreme")?) as i64))),
        [FLOAT] => Ok(Some(Number::Float(f64::from_le_bytes(take(bytes, "an extreme")?)))),
        _ => Ok(None),
    }
}

/// A tag, then the length as a `varint` and the bytes.
pub(super) fn encode_text(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        None => out.push(NONE),
        Some(text) => {
            out.push(TEXT);
            put_bytes(out, text);
        }
    }
}

pub(super) fn decode_text(bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, StateError> {
    match take(bytes, "tag of an extreme")? {
        [TEXT] => Ok(Some(take_bytes(bytes, "an extreme")?.to_vec())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_by_value_where_a_conversion_would_round() {
        let exact = 9_007_199_254_740_993; // 2^53 + 1: as a float it is 2^53.
        assert_eq!(compare(Number::Int(exact), Number::Float(9_007_199_254_740_992.0)), Ordering::Greater);
        assert_eq!(compare(Number::Int(i64::MAX), Number::Float(9_223_372_036_854_775_808.0)), Ordering::Less);
        assert_eq!(compare(Number::Int(i64::MIN), Number::Float(-9_223_372_036_854_775_808.0)), Ordering::Less);
        assert_eq!(compare(Number::Int(-1), Number::Float(-1.5)), Ordering::Greater);
        assert_eq!(compare(Number::Int(1), Number::Float(1.5)), Ordering::Less);
        assert_eq!(compare(Number::Float(1.0), Number::Int(1)), Ordering::Greater);
    }
}
