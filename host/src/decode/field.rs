//! From the text of a field to a row of a column.

use super::{number, text};
use crate::column::{Column, Number, Strings, Values};

/// Adds the value of a field to its column: null where the field is missing, null, or of another kind. `text` is valid
/// JSON.
#[inline]
pub(super) fn push(column: &mut Column, text: Option<&[u8]>) {
    let Some(text) = text else { return column.push_null() };
    let pushed = match &mut column.values {
        Values::S64(values) => number::integer(text).map(|it| values.push(it)),
        Values::F64(values) => number(text).map(|it| values.push(it)),
        Values::Number(values) => any_number(text).map(|it| values.push(it)),
        Values::Boolean(values) => boolean(text).map(|it| values.push(it)),
        Values::Text(strings) | Values::Bytes(strings) => string(strings, text),
        Values::Json(strings) => json(strings, text),
    };
    match pushed {
        Some(()) => column.pushed(),
        None => column.push_null(),
    }
}

/// Any number as a float; an integer beyond 2^53 is rounded to the nearest.
fn number(text: &[u8]) -> Option<f64> {
    match number::integer(text) {
        Some(0) if text[0] == b'-' => Some(-0.0),
        Some(value) => Some(value as f64),
        None => number::float(text),
    }
}

fn any_number(text: &[u8]) -> Option<Number> {
    number::integer(text).map(Number::Int).or_else(|| number::float(text).map(Number::Float))
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

fn json(strings: &mut Strings, text: &[u8]) -> Option<()> {
    if text == b"null" {
        return None;
    }
    text::write_canonical(&mut strings.data, text);
    strings.finish();
    Some(())
}
