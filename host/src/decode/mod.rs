//! From raw records to the columns and the event time that a pipeline needs.
//!
//! A [`Projection`] is planned once: which fields, of which kinds, and where event time comes from. A [`Decoder`] then reads
//! each batch in one pass over its bytes, by templates (`template`) where the source's records repeat each other and by a
//! scan (`scan`) where not: nothing that is not wanted is made, and no record costs an allocation. It knows no step, no window and no
//! plugin. What makes a whole record unusable is a reject; a field that is missing or of another
//! kind is only a null here, since some other step may not care, and [`explain`] says why where one does.

mod changes;
mod explain;
mod field;
mod keys;
mod lanes;
mod number;
mod projection;
mod scan;
mod template;
pub mod text;
mod time;

pub use explain::{explain, explain_other_kind};
pub use keys::{canonical_keys, key_text};
pub use projection::{Projection, ProjectionError};
pub use scan::{JsonFault, Member, members};
pub use time::{EVENT_TIME_MAX, EVENT_TIME_MIN, rfc3339_ms};

use crate::batch::{Batch, EventTime, RawBatch, Reject};
use crate::column::Column;

use changes::Envelopes;
use scan::Scanner;
use std::sync::Arc;
use template::Templates;

/// A batch in columns, and the rows of the raw batch that could not be read.
#[derive(Debug)]
pub struct Decoded {
    /// The rows that could be read: columns in the projection's order, times filled in, the raw records kept.
    pub batch: Batch,
    /// The others, by their row in the raw batch, in order.
    pub rejects: Vec<Reject>,
    /// The rejected records themselves, without columns; their times are the records' own.
    pub rejected: Option<Batch>,
}

/// The timestamp of a record that has none.
const NO_TIME: i64 = -1;

/// How many rows are read before their fields go to the columns, one column after the other.
const ROWS_TOGETHER: usize = 32;

/// Decodes the batches of one source.
#[derive(Debug)]
pub struct Decoder {
    projection: Projection,
    templates: Templates,
    /// Where the records are changes of a table's rows.
    envelopes: Option<Envelopes>,
}

impl Decoder {
    /// A decoder of what `projection` wants.
    pub fn new(projection: Projection) -> Self {
        Decoder { projection, templates: Templates::new(), envelopes: None }
    }

    /// The same of records in Debezium's envelope: what is read is the row that each is about.
    ///
    /// # Errors
    /// None for a projection that could be planned.
    pub fn of_changes(self) -> Result<Self, ProjectionError> {
        Ok(Decoder { envelopes: Some(Envelopes::new()?), ..self })
    }

    /// What is read.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Reads a batch. A row that is not a JSON object, or has no usable event time, is rejected and is not in the batch.
    ///
    /// A tombstone is a record without fields: every column is null, and its time is the record's own.
    pub fn decode(&mut self, raw: RawBatch) -> Decoded {
        let Some(envelopes) = &self.envelopes else { return self.decode_rows(raw) };
        let (rows, rejects, rejected) = envelopes.open(raw);
        changes::with_refused(self.decode_rows(rows), rejects, rejected)
    }

    fn decode_rows(&mut self, raw: RawBatch) -> Decoded {
        let rows = raw.rows.records.len();
        if !self.projection.parses() {
            return self.decode_unparsed(raw);
        }
        let arena = Arc::clone(&raw.rows.arena);
        let mut columns: Vec<Column> = self.projection.columns.iter().map(|it| Column::empty(it.kind, rows)).collect();
        let mut times = Vec::with_capacity(rows);
        let mut rejects = Vec::new();
        let width = self.projection.slots;
        let mut slots = vec![None; width * ROWS_TOGETHER];
        let mut row = 0;
        while row < rows {
            let mut read = 0;
            while read < ROWS_TOGETHER && row < rows {
                match self.read(&arena, &raw, row, &mut slots[read * width..(read + 1) * width]) {
                    Ok(time) => {
                        times.push(time);
                        read += 1;
                    }
                    Err(reason) => rejects.push(Reject { row: row as u32, reason }),
                }
                row += 1;
            }
            for (column, wanted) in columns.iter_mut().zip(&self.projection.columns) {
                field::extend(column, &arena, slots[..read * width].iter().skip(wanted.slot).step_by(width).copied());
            }
        }
        finish(raw, columns, times, rejects)
    }

    /// Fills `slots` with the texts of the wanted fields of `row` and answers its event time.
    fn read<'a>(
        &mut self,
        arena: &'a [u8],
        raw: &RawBatch,
        row: usize,
        slots: &mut [Option<&'a [u8]>],
    ) -> Result<EventTime, String> {
        slots.fill(None);
        let Some(value) = raw.rows.records[row].value.of(arena) else {
            return self.own_time(raw.timestamps[row]);
        };
        if !self.templates.read(value, slots) {
            self.scan(value, slots)?;
        }
        match &self.projection.time {
            None => self.own_time(raw.timestamps[row]),
            Some(time) => time::of_field(slots[time.slot], time.format)
                .map_err(|fault| fault.reason(&time.path, slots[time.slot], time.format)),
        }
    }

    /// Reads a record that no template fits, as it is, and learns from it.
    fn scan<'a>(&mut self, value: &'a [u8], slots: &mut [Option<&'a [u8]>]) -> Result<(), String> {
        slots.fill(None);
        let root = &self.projection.root;
        Scanner::new(value).and_then(|mut it| it.document(root, slots)).map_err(|fault| fault.reason(value))?;
        self.templates.learn(value, root);
        Ok(())
    }

    /// The time that a record has without its value.
    #[inline]
    fn own_time(&self, timestamp: i64) -> Result<EventTime, String> {
        match time::of_record(timestamp) {
            Err(_) if self.projection.timeless && timestamp == NO_TIME => Ok(NO_TIME),
            time => time,
        }
    }

    /// Nothing of the value is wanted: only the records' own times are looked at.
    fn decode_unparsed(&self, raw: RawBatch) -> Decoded {
        let mut times = Vec::with_capacity(raw.timestamps.len());
        let mut rejects = Vec::new();
        for (row, &timestamp) in raw.timestamps.iter().enumerate() {
            match self.own_time(timestamp) {
                Ok(time) => times.push(time),
                Err(reason) => rejects.push(Reject { row: row as u32, reason }),
            }
        }
        finish(raw, Vec::new(), times, rejects)
    }
}

/// Joins the columns of the rows that were read with those rows' raw records and offsets.
fn finish(raw: RawBatch, columns: Vec<Column>, times: Vec<EventTime>, rejects: Vec<Reject>) -> Decoded {
    let whole = Batch {
        rows: raw.offsets.len(),
        origin: Some(raw.origin),
        offsets: raw.offsets,
        times: raw.timestamps,
        raw: Some(raw.rows),
        key: None,
        value: None,
        headers: Vec::new(),
        columns: Vec::new(),
    };
    if rejects.is_empty() {
        return Decoded { batch: Batch { times, columns, ..whole }, rejects, rejected: None };
    }
    let refused: Vec<u32> = rejects.iter().map(|it| it.row).collect();
    let mut next = refused.iter().peekable();
    let kept: Vec<u32> = (0..whole.rows as u32).filter(|row| next.next_if_eq(&row).is_none()).collect();
    let rejected = Some(whole.gather(&refused));
    Decoded { batch: Batch { times, columns, ..whole.gather(&kept) }, rejects, rejected }
}

#[cfg(test)]
mod tests;
