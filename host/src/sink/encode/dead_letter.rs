//! Records that could not be processed, with why: in headers, or, where there are none, in an object around the record.

use super::template::write_cell;
use crate::batch::{Batch, RawRecord, RawRows, Span, headers};
use crate::config::SinkConnector;
use crate::decode::text;
use crate::schema::Shape;
use std::sync::Arc;

/// Why a record was refused, by whom, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// What was found and what was expected: header `wasmill-reason`.
    pub reason: &'a str,
    /// The step, or the source where the record could not even be read: `wasmill-step`.
    pub step: &'a str,
    /// The digest of the step's plugin, if it has one: `wasmill-plugin`.
    pub plugin: Option<&'a str>,
    /// Topic (or the source's name), partition and offset: `wasmill-topic`, `wasmill-partition`, `wasmill-offset`; none
    /// for a row that a window made.
    pub origin: Option<(&'a str, i32, i64)>,
}

/// Where a dead letter says why it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterForm {
    /// In headers of its own; key and value are the record's, bit for bit.
    Headers,
    /// In a JSON object of one line, with the record's key and value as texts. Bytes that are no UTF-8 are under
    /// `key_hex` and `value_hex` instead.
    Object,
}

impl LetterForm {
    /// The form that a sink can hold.
    pub fn of(connector: &SinkConnector) -> Self {
        match connector {
            SinkConnector::Kafka(_) => LetterForm::Headers,
            SinkConnector::File { .. } | SinkConnector::Stdout => LetterForm::Object,
        }
    }
}

/// Collects dead letters into one run of records.
#[derive(Debug)]
pub struct DeadLetters {
    form: LetterForm,
    arena: Vec<u8>,
    records: Vec<RawRecord>,
}

impl DeadLetters {
    /// None yet.
    pub fn new(form: LetterForm) -> Self {
        DeadLetters { form, arena: Vec::new(), records: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True while there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds a raw record: its key and value bit for bit, its own headers and then those of the refusal.
    pub fn push_raw(&mut self, rows: &RawRows, row: usize, refusal: &Refusal<'_>) {
        self.push(rows.key(row), rows.value(row), rows.headers(row), refusal);
    }

    /// Adds a row of a batch: the record that it was read from, or, for a row that a step made, a JSON object of its
    /// columns.
    pub fn push_row(&mut self, batch: &Batch, shape: &Shape, row: usize, refusal: &Refusal<'_>) {
        if let Some(raw) = &batch.raw {
            return self.push_raw(raw, row, refusal);
        }
        let mut value = vec![b'{'];
        for (at, column) in shape.columns.iter().enumerate() {
            if shape.columns[..at].iter().any(|it| it.name == column.name) {
                continue; // The same field in another kind.
            }
            member(&mut value, &column.name);
            write_cell(&mut value, &batch.columns[at], row);
        }
        value.push(b'}');
        let key = batch.key.as_ref().and_then(|it| super::slot_bytes(it, row));
        self.push(key, Some(&value), &[], refusal);
    }

    fn push(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, original: &[u8], refusal: &Refusal<'_>) {
        let record = match self.form {
            LetterForm::Headers => {
                let (key, value) = (self.add(key), self.add(value));
                RawRecord { key, value, headers: self.add_headers(original, refusal) }
            }
            LetterForm::Object => {
                RawRecord { key: Span::NULL, value: self.add_object(key, value, refusal), headers: Span::NULL }
            }
        };
        self.records.push(record);
    }

    /// The records, in the order in which they were added; none are left.
    pub fn take(&mut self) -> RawRows {
        let arena = Arc::new(std::mem::take(&mut self.arena));
        RawRows { arena, records: std::mem::take(&mut self.records) }
    }

    fn add(&mut self, bytes: Option<&[u8]>) -> Span {
        let Some(bytes) = bytes else { return Span::NULL };
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        super::span(&self.arena, start)
    }

    fn add_headers(&mut self, original: &[u8], refusal: &Refusal<'_>) -> Span {
        let start = self.arena.len();
        let out = &mut self.arena;
        out.extend_from_slice(original);
        headers::push(out, b"wasmill-reason", Some(refusal.reason.as_bytes()));
        headers::push(out, b"wasmill-step", Some(refusal.step.as_bytes()));
        if let Some(digest) = refusal.plugin {
            headers::push(out, b"wasmill-plugin", Some(digest.as_bytes()));
        }
        if let Some((topic, partition, offset)) = refusal.origin {
            headers::push(out, b"wasmill-topic", Some(topic.as_bytes()));
            headers::push(out, b"wasmill-partition", Some(partition.to_string().as_bytes()));
            headers::push(out, b"wasmill-offset", Some(offset.to_string().as_bytes()));
        }
        super::span(out, start)
    }

    fn add_object(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, refusal: &Refusal<'_>) -> Span {
        let start = self.arena.len();
        let out = &mut self.arena;
        out.push(b'{');
        member(out, "reason");
        text::write_string(out, refusal.reason.as_bytes());
        member(out, "step");
        text::write_string(out, refusal.step.as_bytes());
        if let Some(digest) = refusal.plugin {
            member(out, "plugin");
            text::write_string(out, digest.as_bytes());
        }
        if let Some((topic, partition, offset)) = refusal.origin {
            member(out, "topic");
            text::write_string(out, topic.as_bytes());
            member(out, "partition");
            text::write_i64(out, i64::from(partition));
            member(out, "offset");
            text::write_i64(out, offset);
        }
        for (name, bytes) in [("key", key), ("value", value)] {
            member_of_bytes(out, name, bytes);
        }
        out.push(b'}');
        super::span(out, start)
    }
}

/// Begins a member of the object that ends `out`.
fn member(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    text::write_string(out, name.as_bytes());
    out.push(b':');
}

fn member_of_bytes(out: &mut Vec<u8>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|it| (it, std::str::from_utf8(it))) {
        None => {
            member(out, name);
            out.extend_from_slice(b"null");
        }
        Some((_, Ok(it))) => {
            member(out, name);
            text::write_string(out, it.as_bytes());
        }
        Some((bytes, Err(_))) => {
            member(out, &format!("{name}_hex"));
            let hex: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
            text::write_string(out, hex.as_bytes());
        }
    }
}
