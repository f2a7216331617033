//! The keys of a table's tombstones: a record without a value has no fields, so its key is read from the record's own key.
//!
//! | the record's key                    | is read as                                                                |
//! |-------------------------------------|---------------------------------------------------------------------------|
//! | a JSON object                       | an object that holds the join's fields; those of a change stream may be in its `payload` |
//! | anything else, for a join on one field | the field: a text, and where it could be one also a number, `true` or `false` |

use crate::batch::{Batch, Keys, hash};
use crate::decode::text::{write_canonical, write_string};
use crate::decode::{Member, members};
use std::sync::Arc;

/// The keys of a batch of a table.
pub(super) struct TableKeys<'a> {
    batch: &'a Batch,
    on: Vec<&'a Arc<str>>,
}

/// What was found.
pub(super) struct Found {
    /// The keys: one for each entry of `rows`.
    pub keys: Keys,
    /// The row of the batch that each is of. A tombstone may be there for each reading of its key.
    pub rows: Vec<u32>,
    /// The entries without a key.
    pub keyless: Vec<u32>,
}

impl<'a> TableKeys<'a> {
    /// Of a batch of a table whose key is the fields `on`.
    pub(super) fn new(on: Vec<&'a Arc<str>>, batch: &'a Batch) -> Self {
        TableKeys { batch, on }
    }

    /// `keys` with those of the rows that are `empty`.
    pub(super) fn with_tombstones(&self, keys: Keys, keyless: &[u32], empty: &[bool]) -> Found {
        let mut found = Found { keys: Keys::default(), rows: Vec::new(), keyless: Vec::new() };
        for (row, empty) in empty.iter().enumerate() {
            let number = row as u32;
            if !empty || keyless.binary_search(&number).is_err() {
                found.push(number, keys.texts.get(row));
                continue;
            }
            let readings = self.readings(row);
            if readings.is_empty() {
                found.push(number, b"");
            }
            readings.iter().for_each(|it| found.push(number, it));
        }
        found
    }

    /// What the key of a record without a value may be.
    fn readings(&self, row: usize) -> Vec<Vec<u8>> {
        let Some(key) = self.own_key(row) else { return Vec::new() };
        if key.trim_ascii_start().first() == Some(&b'{') {
            return self.of_object(key).into_iter().collect();
        }
        let ([_], Ok(_)) = (&*self.on, std::str::from_utf8(key)) else { return Vec::new() };
        let mut text = Vec::new();
        match serde_json::from_slice::<serde_json::Value>(key) {
            Ok(serde_json::Value::String(_)) => {
                write_canonical(&mut text, key.trim_ascii());
                vec![text]
            }
            Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                let mut plain = Vec::new();
                write_canonical(&mut plain, key.trim_ascii());
                write_string(&mut text, key);
                vec![plain, text]
            }
            _ => {
                write_string(&mut text, key);
                vec![text]
            }
        }
    }

    fn own_key(&self, row: usize) -> Option<&'a [u8]> {
        use crate::column::Values;
        match (&self.batch.key, &self.batch.raw) {
            (Some(column), _) if column.is_null(row) => None,
            (Some(column), _) => match &column.values {
                Values::Text(strings) | Values::Bytes(strings) => Some(strings.get(row)),
                _ => None,
            },
            (None, Some(raw)) => raw.key(row),
            (None, None) => None,
        }
    }

    fn of_object(&self, key: &[u8]) -> Option<Vec<u8>> {
        let object = members(key).ok()?;
        let payload = member(key, &object, "payload").filter(|it| it.first() == Some(&b'{'));
        let (text, object) = match payload {
            Some(payload) => (payload, members(payload).ok()?),
            None => (key, object),
        };
        let mut out = Vec::new();
        let several = self.on.len() != 1;
        out.extend(several.then_some(b'['));
        for (at, field) in self.on.iter().enumerate() {
            out.extend((at > 0).then_some(b','));
            let value = member(text, &object, field).filter(|it| *it != b"null")?;
            write_canonical(&mut out, value);
        }
        out.extend(several.then_some(b']'));
        Some(out)
    }
}

/// The text of the last member of that name, as reading the object would give it.
fn member<'a>(text: &'a [u8], object: &[Member], name: &str) -> Option<&'a [u8]> {
    let mut quoted = Vec::new();
    write_string(&mut quoted, name.as_bytes());
    let named = |it: &&Member| {
        let mut canonical = Vec::new();
        write_canonical(&mut canonical, &text[it.name.clone()]);
        canonical == quoted
    };
    let found = object.iter().rev().find(named)?;
    text[found.name.end..found.whole.end].trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii)
}

impl Found {
    fn push(&mut self, row: u32, key: &[u8]) {
        if key.is_empty() {
            self.keyless.push(self.rows.len() as u32);
        }
        self.rows.push(row);
        self.keys.texts.push(key);
        self.keys.hashes.push(hash(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, Strings, Values};

    /// The keys of records without a value that have these keys, for a join on `on`.
    fn keys(on: &[&str], own: &[Option<&str>]) -> Vec<String> {
        let on: Vec<(Arc<str>, Arc<str>)> = on.iter().map(|it| (Arc::from("l"), Arc::from(*it))).collect();
        let mut column = Column::from(Values::Bytes(Strings::default()));
        for key in own {
            match (key, &mut column.values) {
                (Some(key), Values::Bytes(strings)) => {
                    strings.push(key.as_bytes());
                    column.pushed();
                }
                _ => column.push_null(),
            }
        }
        let rows = own.len();
        let batch = Batch {
            rows,
            origin: None,
            offsets: Vec::new(),
            times: vec![0; rows],
            raw: None,
            key: Some(column),
            value: None,
            headers: Vec::new(),
            columns: Vec::new(),
        };
        let mut none = Keys::default();
        for _ in 0..rows {
            none.texts.push(b"");
            none.hashes.push(hash(b""));
        }
        let keyless: Vec<u32> = (0..rows as u32).collect();
        let found = TableKeys::new(on.iter().map(|it| &it.1).collect(), &batch).with_tombstones(
            none,
            &keyless,
            &vec![true; rows],
        );
        let shown = |(at, row): (usize, &u32)| {
            let keyless = found.keyless.contains(&(at as u32));
            assert_eq!(found.keys.hashes[at], hash(found.keys.texts.get(at)));
            assert_eq!(keyless, found.keys.texts.get(at).is_empty());
            format!("{row} {}", String::from_utf8_lossy(found.keys.texts.get(at)))
        };
        found.rows.iter().enumerate().map(shown).collect()
    }

    #[test]
    fn a_tombstones_key_is_read_from_the_records_own_key() {
        assert_eq!(keys(&["id"], &[Some("c-1"), Some("\"c-1\""), None]), ["0 \"c-1\"", "1 \"c-1\"", "2 "]);
        assert_eq!(keys(&["id"], &[Some("42"), Some("true")]), ["0 42", "0 \"42\"", "1 true", "1 \"true\""]);
        assert_eq!(keys(&["id"], &[Some(r#"{"id": 42, "x": 1}"#)]), ["0 42"]);
        assert_eq!(keys(&["id"], &[Some(r#"{"schema":{},"payload":{"id":"a"}}"#)]), ["0 \"a\""]);
        assert_eq!(keys(&["a", "b"], &[Some(r#"{"b":1,"a":"x"}"#)]), ["0 [\"x\",1]"]);
        assert_eq!(
            keys(&["a", "b"], &[Some("x"), Some(r#"{"a":1}"#), Some(r#"{"a":1,"b":null}"#)]),
            ["0 ", "1 ", "2 "]
        );
    }
}
