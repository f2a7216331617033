//! How two values compare; not at all where one is null or they are of two classes.

use super::Truth;
use crate::column::{Column, Number, Values};
use crate::config::Literal;
use crate::decode::key_text;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Each row's value compared with `value`. What null rows get is the caller's to overwrite.
pub(super) fn with_literal(column: &Column, value: &Literal, truth: impl Fn(Option<Ordering>) -> Truth) -> Vec<Truth> {
    match (&column.values, value) {
        (Values::S64(rows), Literal::Int(value)) => rows.iter().map(|it| truth(Some(it.cmp(value)))).collect(),
        (Values::F64(rows), Literal::Float(value)) => rows.iter().map(|it| truth(it.partial_cmp(value))).collect(),
        (Values::Text(rows) | Values::Bytes(rows), Literal::Text(value)) => {
            rows.iter().map(|it| truth(Some(it.cmp(value.as_bytes())))).collect()
        }
        (Values::S64(_) | Values::F64(_) | Values::Number(_), Literal::Int(_) | Literal::Float(_)) => {
            let value = of_literal(value);
            (0..column.len()).map(|row| truth(two(&plain(column, row), &value))).collect()
        }
        (Values::Boolean(rows), Literal::Boolean(value)) => {
            rows.iter().map(|it| truth(Some((*it != 0).cmp(value)))).collect()
        }
        _ => vec![truth(None); column.len()],
    }
}

/// Two columns' values in one row.
pub(super) fn rows(left: &Column, right: &Column, row: usize) -> Option<Ordering> {
    if left.is_null(row) || right.is_null(row) {
        return None;
    }
    two(&plain(left, row), &plain(right, row))
}

/// Two written values.
pub(super) fn literals(left: &Literal, right: &Literal) -> Option<Ordering> {
    two(&of_literal(left), &of_literal(right))
}

/// A value without its column.
enum Plain<'a> {
    Int(i64),
    Float(f64),
    Text(Cow<'a, [u8]>),
    Boolean(bool),
    /// A list, an object, or anything else that has no order.
    Other,
}

fn of_literal(literal: &Literal) -> Plain<'_> {
    match literal {
        Literal::Int(value) => Plain::Int(*value),
        Literal::Float(value) => Plain::Float(*value),
        Literal::Text(text) => Plain::Text(Cow::Borrowed(text.as_bytes())),
        Literal::Boolean(value) => Plain::Boolean(*value),
    }
}

fn plain(column: &Column, row: usize) -> Plain<'_> {
    match &column.values {
        Values::S64(values) => Plain::Int(values[row]),
        Values::F64(values) => Plain::Float(values[row]),
        Values::Boolean(values) => Plain::Boolean(values[row] != 0),
        Values::Number(values) => match values[row] {
            Number::Int(value) => Plain::Int(value),
            Number::Float(value) => Plain::Float(value),
        },
        Values::Text(strings) | Values::Bytes(strings) => Plain::Text(Cow::Borrowed(strings.get(row))),
        Values::Json(strings) => of_json(strings.get(row)),
    }
}

fn of_json(text: &[u8]) -> Plain<'_> {
    match text {
        b"true" => Plain::Boolean(true),
        b"false" => Plain::Boolean(false),
        [b'"', ..] => Plain::Text(key_text(text)),
        [b'-' | b'0'..=b'9', ..] => {
            let text = std::str::from_utf8(text).unwrap_or_default();
            match (text.parse(), text.parse()) {
                (Ok(value), _) => Plain::Int(value),
                (_, Ok(value)) => Plain::Float(value),
                _ => Plain::Other,
            }
        }
        _ => Plain::Other,
    }
}

fn two(left: &Plain<'_>, right: &Plain<'_>) -> Option<Ordering> {
    match (left, right) {
        (Plain::Int(left), Plain::Int(right)) => Some(left.cmp(right)),
        (Plain::Float(left), Plain::Float(right)) => left.partial_cmp(right),
        (Plain::Int(left), Plain::Float(right)) => int_with_float(*left, *right),
        (Plain::Float(left), Plain::Int(right)) => int_with_float(*right, *left).map(Ordering::reverse),
        (Plain::Text(left), Plain::Text(right)) => Some(left.cmp(right)),
        (Plain::Boolean(left), Plain::Boolean(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// By exact value: an integer beyond 2^53 is not rounded to meet the float.
fn int_with_float(int: i64, float: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= TWO_TO_63 {
        return Some(Ordering::Less);
    }
    if float < -TWO_TO_63 {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    Some(int.cmp(&(whole as i64)).then_with(|| whole.partial_cmp(&float).unwrap_or(Ordering::Equal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_other_numbers_compare_by_their_exact_values() {
        let big = (1_i64 << 53) + 1;
        assert_eq!(int_with_float(big, (1_i64 << 53) as f64), Some(Ordering::Greater));
        assert_eq!(int_with_float(i64::MAX, 9_223_372_036_854_775_808.0), Some(Ordering::Less));
        assert_eq!(int_with_float(i64::MIN, -9_223_372_036_854_775_808.0), Some(Ordering::Equal));
        assert_eq!(int_with_float(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(int_with_float(-2, -1.5), Some(Ordering::Less));
        assert_eq!(int_with_float(1, 1.5), Some(Ordering::Less));
        assert_eq!(int_with_float(0, -0.0), Some(Ordering::Equal));
        assert_eq!(int_with_float(0, f64::NAN), None);
    }
}
