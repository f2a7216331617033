//! From the texts of a field to rows of a column.

use super::{number, text};
use crate::column::{Column, Number, Strings, Values};

/// Adds the values of a field to its column, one for each of `texts`: null where the field is missing, null, or of another kind. The
/// texts are valid JSON, and parts of `arena`.
pub(super) fn extend<'a>(column: &mut Column, arena: &[u8], texts: impl Iterator<Item = Option<&'a [u8]>>) {
    let Column { values, nulls } = column;
    match values {
        Values::S64(values) => each(values, 0, nulls, texts, |it| number::integer_in(arena, it)),
        Values::F64(values) => each(values, 0.0, nulls, texts, |it| number(arena, it)),
        Values::Number(values) => each(values, Number::Int(0), nulls, texts, |it| any_number(arena, it)),
        Values::Boolean(values) => each(values, 0, nulls, texts, boolean),
        Values::Text(strings) | Values::Bytes(strings) => each_string(strings, nulls, texts, string),
        Values::Json(strings) => each_string(strings, nulls, texts, |to, it| json(to, arena, it)),
    }
}

#[inline(always)]
fn each<'a, T: Copy>(
    values: &mut Vec<T>,
    none: T,
    nulls: &mut Vec<u8>,
    texts: impl Iterator<Item = Option<&'a [u8]>>,
    read: impl Fn(&[u8]) -> Option<T>,
) {
    for text in texts {
        let value = text.and_then(&read);
        mark(nulls, values.len(), value.is_none());
        values.push(value.unwrap_or(none));
    }
}

#[inline(always)]
fn each_string<'a>(
    strings: &mut Strings,
    nulls: &mut Vec<u8>,
    texts: impl Iterator<Item = Option<&'a [u8]>>,
    read: impl Fn(&mut Strings, &[u8]) -> Option<()>,
) {
    for text in texts {
        let pushed = text.and_then(|it| read(strings, it));
        if pushed.is_none() {
            strings.finish();
        }
        mark(nulls, strings.len() - 1, pushed.is_none());
    }
}

/// Says whether the row behind `rows` rows is null.
#[inline(always)]
fn mark(nulls: &mut Vec<u8>, rows: usize, is_null: bool) {
    if is_null {
        nulls.resize(rows, 0);
    }
    if is_null | !nulls.is_empty() {
        nulls.push(u8::from(is_null));
    }
}

/// Any number as a float; an integer beyond 2^53 is rounded to the nearest.
fn number(arena: &[u8], text: &[u8]) -> Option<f64> {
    match number::integer_in(arena, text) {
        Some(0) if text[0] == b'-' => Some(-0.0),
        Some(value) => Some(value as f64),
        None => number::float(text),
    }
}

fn any_number(arena: &[u8], text: &[u8]) -> Option<Number> {
    number::integer_in(arena, text).map(Number::Int).or_else(|| number::float(text).map(Number::Float))
}

fn boolean(text: &[u8]) -> Option<u8> {
    match text {
        b"true" => Some(1),
        b"false" => Some(0),
        _ => None,
    }
}

fn string(strings: &mut Strings, text: &[u8]) -> Option<()> {
    let plain = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', plain).is_none() {
        strings.push(plain);
        return Some(());
    }
    text::unescape(text, &mut strings.data).ok()?;
    strings.finish();
    Some(())
}

fn json(strings: &mut Strings, arena: &[u8], text: &[u8]) -> Option<()> {
    // The most common value that has one text only.
    if number::is_short_in(arena, text) {
        strings.push(text);
        return Some(());
    }
    if text == b"null" {
        return None;
    }
    text::write_canonical(&mut strings.data, text);
    strings.finish();
    Some(())
}
