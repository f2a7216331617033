//! Records that could not be processed, with why, in headers.

use super::template::write_cell;
use crate::batch::{Batch, RawRecord, RawRows, Span, headers};
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

/// Collects dead letters into one run of records.
#[derive(Debug, Default)]
pub struct DeadLetters {
    arena: Vec<u8>,
    records: Vec<RawRecord>,
}

impl DeadLetters {
    /// None yet.
    pub fn new() -> Self {
        DeadLetters::default()
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
        let key = self.add(rows.key(row));
        let value = self.add(rows.value(row));
        let headers = self.add_headers(rows.headers(row), refusal);
        self.records.push(RawRecord { key, value, headers });
    }

    /// Adds a row of a batch: the record that it was read from, or, for a row that a step made, a JSON object of its
    /// columns.
    pub fn push_row(&mut self, batch: &Batch, shape: &Shape, row: usize, refusal: &Refusal<'_>) {
        if let Some(raw) = &batch.raw {
            return self.push_raw(raw, row, refusal);
        }
        let key = batch.key.as_ref().and_then(|it| super::slot_bytes(it, row));
        let key = self.add(key);
        let start = self.arena.len();
        self.arena.push(b'{');
        for (at, column) in shape.columns.iter().enumerate() {
            if shape.columns[..at].iter().any(|it| it.name == column.name) {
                continue; // The same field in another kind.
            }
            if at > 0 {
                self.arena.push(b',');
            }
            text::write_string(&mut self.arena, column.name.as_bytes());
            self.arena.push(b':');
            write_cell(&mut self.arena, &batch.columns[at], row);
        }
        self.arena.push(b'}');
        let value = super::span(&self.arena, start);
        let headers = self.add_headers(&[], refusal);
        self.records.push(RawRecord { key, value, headers });
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
}
