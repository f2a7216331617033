//! Canonical keys: what keyed state, key groups and record keys are made of.

use super::text;
use crate::batch::{Batch, Keys, hash};
use crate::column::{Column, Number, Strings, Values};
use std::borrow::Cow;

/// The canonical key of each row of `batch`, made of `columns`, and the rows where one of them is null.
///
/// One column gives the JSON text of its value, several (or none) a JSON array. The keys have an entry for every row;
/// that of a row without a key is empty, and the caller takes such rows out. Bytes that are not UTF-8 and numbers that
/// are not finite have no JSON text: such a row is without a key too.
pub fn canonical_keys(batch: &Batch, columns: &[&Column]) -> (Keys, Vec<u32>) {
    let mut texts = Strings::with_capacity(batch.rows, batch.rows * 16 * columns.len().max(1));
    let mut hashes = Vec::with_capacity(batch.rows);
    let mut missing = Vec::new();
    for row in 0..batch.rows {
        let start = texts.data.len();
        if !write_key(&mut texts.data, columns, row) {
            texts.data.truncate(start);
            missing.push(row as u32);
        }
        hashes.push(hash(&texts.data[start..]));
        texts.finish();
    }
    (Keys { texts, hashes }, missing)
}

/// What a record key or the slot `key` holds for a canonical key: the characters of a JSON string, the text of anything
/// else.
pub fn key_text(canonical: &[u8]) -> Cow<'_, [u8]> {
    match canonical {
        [b'"', plain @ .., b'"'] if memchr::memchr(b'\\', plain).is_none() => Cow::Borrowed(plain),
        [b'"', .., b'"'] => {
            let mut plain = Vec::with_capacity(canonical.len());
            match text::unescape(canonical, &mut plain) {
                Ok(()) => Cow::Owned(plain),
                Err(text::LoneSurrogate) => Cow::Borrowed(canonical),
            }
        }
        _ => Cow::Borrowed(canonical),
    }
}

fn write_key(out: &mut Vec<u8>, columns: &[&Column], row: usize) -> bool {
    if let [column] = columns {
        return write_value(out, column, row);
    }
    out.push(b'[');
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if !write_value(out, column, row) {
            return false;
        }
    }
    out.push(b']');
    true
}

/// Writes one value of a key; false where it has none.
fn write_value(out: &mut Vec<u8>, column: &Column, row: usize) -> bool {
    if column.is_null(row) {
        return false;
    }
    match &column.values {
        Values::S64(values) => text::write_i64(out, values[row]),
        Values::F64(values) => return write_finite(out, values[row]),
        Values::Number(values) => match values[row] {
            Number::Int(value) => text::write_i64(out, value),
            Number::Float(value) => return write_finite(out, value),
        },
        Values::Boolean(values) => out.extend_from_slice(if values[row] != 0 { b"true" } else { b"false" }),
        Values::Text(strings) => text::write_string(out, strings.get(row)),
        Values::Bytes(strings) => {
            let bytes = strings.get(row);
            if std::str::from_utf8(bytes).is_err() {
                return false;
            }
            text::write_string(out, bytes);
        }
        Values::Json(strings) => out.extend_from_slice(strings.get(row)),
    }
    true
}

fn write_finite(out: &mut Vec<u8>, value: f64) -> bool {
    text::write_f64(out, value);
    value.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Kind;

    fn texts(values: &[&str]) -> Column {
        let mut strings = Strings::default();
        values.iter().for_each(|it| strings.push(it.as_bytes()));
        Column::from(Values::Text(strings))
    }

    fn batch(rows: usize) -> Batch {
        Batch {
            rows,
            origin: None,
            offsets: Vec::new(),
            times: vec![0; rows],
            raw: None,
            key: None,
            value: None,
            headers: Vec::new(),
            columns: Vec::new(),
        }
    }

    fn keys(rows: usize, columns: &[&Column]) -> (Vec<String>, Vec<u32>) {
        let (keys, missing) = canonical_keys(&batch(rows), columns);
        assert!(keys.texts.iter().zip(&keys.hashes).all(|(text, &it)| hash(text) == it));
        (keys.texts.iter().map(|it| String::from_utf8(it.to_vec()).unwrap()).collect(), missing)
    }

    #[test]
    fn one_field_is_its_text_and_several_are_an_array() {
        let names = texts(&["ann", "a\"b"]);
        let numbers = Column::from(Values::Number(vec![Number::Int(7), Number::Float(0.5)]));
        assert_eq!(keys(2, &[&names]).0, [r#""ann""#, r#""a\"b""#]);
        assert_eq!(keys(2, &[&names, &numbers]).0, [r#"["ann",7]"#, r#"["a\"b",0.5]"#]);
        assert_eq!(keys(1, &[]).0, ["[]"]);
    }

    #[test]
    fn a_row_without_a_key_is_listed_and_leaves_no_bytes() {
        let mut names = texts(&["ann"]);
        names.push_null();
        let numbers = Column::from(Values::F64(vec![1.0, 2.0]));
        assert_eq!(keys(2, &[&numbers, &names]), (vec![r#"[1.0,"ann"]"#.into(), String::new()], vec![1]));
        let odd = Column::from(Values::F64(vec![f64::NAN]));
        assert_eq!(keys(1, &[&odd]).1, [0]);
        assert_eq!(keys(3, &[&Column::null(Kind::Json, 3)]).1, [0, 1, 2]);
    }

    #[test]
    fn the_text_of_a_key_is_a_strings_characters_or_the_text_itself() {
        assert_eq!(key_text(br#""ann""#), &b"ann"[..]);
        assert_eq!(key_text(br#""a\"b\n""#), &b"a\"b\n"[..]);
        assert_eq!(key_text(b"[1,2]"), &b"[1,2]"[..]);
        assert_eq!(key_text(b"\"\""), &b""[..]);
    }
}
