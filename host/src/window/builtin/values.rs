//! Aggregates that keep values as they are: the first and the last one, different ones, all of them.

use crate::column::{Column, Number, Values};
use crate::window::StateError;
use crate::window::entry::{put_bytes, put_varint, take, take_bytes, take_varint};
use std::collections::BTreeSet;
use std::io::Write;
use xxhash_rust::xxh3::xxh3_128;

/// A value with the event time of its record, as a JSON text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Edge {
    time: i64,
    /// Empty where there is none.
    text: Vec<u8>,
}

impl Edge {
    /// The value, where there is one.
    pub(super) fn value(&self) -> Option<&[u8]> {
        Some(self.text.as_slice()).filter(|it| !it.is_empty())
    }

    /// The time and the value, where there is one.
    pub(super) fn parts(&self) -> Option<(i64, &[u8])> {
        self.value().map(|it| (self.time, it))
    }

    /// Keeps whichever is the latest (or the earliest). Of several at a time the first is the one that came first, and the last the one
    /// that came last.
    pub(super) fn keep(&mut self, latest: bool, time: i64, text: &[u8]) {
        let wanted = if latest { time >= self.time } else { time < self.time };
        if self.text.is_empty() || wanted {
            self.time = time;
            self.text.clear();
            self.text.extend_from_slice(text);
        }
    }

    /// The time as `i64`, then the text with its length before it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_le_bytes());
        put_bytes(out, &self.text);
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, StateError> {
        let time = i64::from_le_bytes(take(bytes, "time of a value")?);
        Ok(Edge { time, text: take_bytes(bytes, "a value")?.to_vec() })
    }
}

/// The different values so far, by a hash of 128 bits: that two of a billion values have the same one is less likely than 1 in 10^20.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Different(BTreeSet<u128>);

impl Different {
    /// What a value takes in the tree, bytes, about.
    pub(super) const VALUE_BYTES: usize = 24;

    /// Takes a JSON text. Texts that say the same are the same value: `1` and `1.0`, `"a"` and `"\u0061"`.
    pub(super) fn add(&mut self, text: &[u8]) {
        self.0.insert(match canonical(text) {
            Some(text) => xxh3_128(&text),
            None => xxh3_128(text),
        });
    }

    pub(super) fn merge(&mut self, from: &Different) {
        self.0.extend(&from.0);
    }

    pub(super) fn count(&self) -> i64 {
        self.0.len() as i64
    }

    /// How many as a `varint`, then the hashes, the smallest first.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u128);
        self.0.iter().for_each(|it| out.extend_from_slice(&it.to_le_bytes()));
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, StateError> {
        let count = take_varint(bytes, "count of different values")?;
        let mut different = Different::default();
        for _ in 0..count {
            different.0.insert(u128::from_le_bytes(take(bytes, "a different value")?));
        }
        Ok(different)
    }
}

/// The one text of all that say the same, where it may be another than `text`.
fn canonical(text: &[u8]) -> Option<Vec<u8>> {
    match text.first()? {
        b'"' if !text.contains(&b'\\') => None,
        b'"' | b'{' | b'[' => {
            let value: serde_json::Value = serde_json::from_slice(text).ok()?;
            serde_json::to_vec(&value).ok()
        }
        b'-' | b'0'..=b'9' if text.iter().any(|it| matches!(it, b'.' | b'e' | b'E')) => {
            let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            let whole = number.trunc() == number && number.abs() < 9_007_199_254_740_992.0; // Exact up to 2^53.
            Some(if whole { (number as i64).to_string() } else { number.to_string() }.into_bytes())
        }
        _ => None,
    }
}

/// Adds a JSON text to the end of a list without its brackets.
pub(super) fn push(list: &mut Vec<u8>, text: &[u8]) {
    if !list.is_empty() && !text.is_empty() {
        list.push(b',');
    }
    list.extend_from_slice(text);
}

/// The value of a row as a JSON text, over `out`.
pub(super) fn text(column: &Column, row: usize, out: &mut Vec<u8>) {
    out.clear();
    // Writing to memory does not fail, and neither does what has no maps with odd keys.
    let written = match &column.values {
        Values::S64(values) => write!(out, "{}", values[row]),
        Values::Boolean(values) => write!(out, "{}", values[row] != 0),
        Values::F64(values) => serde_json::to_writer(&mut *out, &values[row]).map_err(Into::into),
        Values::Number(values) => match values[row] {
            Number::Int(value) => write!(out, "{value}"),
            Number::Float(value) => serde_json::to_writer(&mut *out, &value).map_err(Into::into),
        },
        Values::Text(values) | Values::Bytes(values) => {
            serde_json::to_writer(&mut *out, &String::from_utf8_lossy(values.get(row))).map_err(Into::into)
        }
        Values::Json(values) => out.write_all(values.get(row)),
    };
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_say_the_same_are_one_value() {
        let mut different = Different::default();
        for text in ["1", "1.0", "1e0", "\"a\"", "\"\\u0061\"", "\"1\"", "{\"a\": 1}", "{\"a\":1}", "1.5", "true"] {
            different.add(text.as_bytes());
        }
        assert_eq!(different.count(), 6);
        let mut bytes = Vec::new();
        different.encode(&mut bytes);
        assert_eq!(Different::decode(&mut &bytes[..]), Ok(different));
        assert!(Different::decode(&mut &bytes[..20]).is_err());
    }

    #[test]
    fn of_records_at_one_time_the_first_and_the_last_to_come_count() {
        let (mut first, mut last) = (Edge::default(), Edge::default());
        for (time, text) in [(5, "1"), (5, "2"), (3, "3"), (3, "4"), (5, "5")] {
            first.keep(false, time, text.as_bytes());
            last.keep(true, time, text.as_bytes());
        }
        assert_eq!((first.value(), last.value()), (Some(&b"3"[..]), Some(&b"5"[..])));
        assert_eq!(Edge::default().value(), None);
    }
}
