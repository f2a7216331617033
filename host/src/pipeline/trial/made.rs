//! What came out of a step: rows as a sink would write them, and what was refused.

use super::super::plan::StepPlan;
use super::super::step::{Refused, Results};
use crate::batch::{Batch, RawRows, headers};
use crate::column::{Column, Kind, Strings, Values};
use crate::config::Format;
use crate::pipeline::{Failure, PipelineError};
use crate::schema::{Shape, Slot};
use crate::sink::encode::{DeadLetters, Encoder, LetterForm, Refusal};
use std::sync::Arc;

/// What a call, or several, made of records.
#[derive(Debug, Default)]
pub struct Made {
    tables: Vec<Rows>,
    refused: Vec<Refused>,
}

/// Rows of one port.
#[derive(Debug)]
struct Rows {
    port: usize,
    name: Arc<str>,
    rows: RawRows,
    /// Event times, where the port sets them.
    times: Option<Vec<i64>>,
    sets_key: bool,
    sets_headers: bool,
}

/// A row that came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeRow<'a> {
    /// The port, as an index into the plugin's ports.
    pub port: usize,
    /// The port's name.
    pub name: &'a str,
    /// The value, JSON most often; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// The key, where the plugin sets it.
    pub key: Option<&'a [u8]>,
    /// The event time in ms since the Unix epoch, where the plugin sets it.
    pub time: Option<i64>,
    /// The headers, where the plugin sets some.
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A record, by its offset.
    Record(i64),
    /// A timer or a window of a key.
    Key(String),
}

impl Made {
    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = MadeRow<'_>> {
        self.tables.iter().flat_map(|table| (0..table.rows.records.len()).map(|row| table.row(row)))
    }

    /// Values of each port, in order: the port's index and the values, none for a tombstone. Quicker than
    /// [`Made::rows`].
    pub fn values(&self) -> impl Iterator<Item = (usize, Option<&[u8]>)> {
        self.tables.iter().flat_map(|it| (0..it.rows.records.len()).map(|row| (it.port, it.rows.value(row))))
    }

    /// What was refused, records first by their offsets, with the reasons.
    pub fn rejects(&self) -> Vec<(Place, &str)> {
        let mut rejects = Vec::new();
        for refused in &self.refused {
            for (row, reason) in refused.reasons.iter().enumerate() {
                rejects.push((place(&refused.batch, row), reason.as_str()));
            }
        }
        rejects.sort_by(|a, b| a.0.cmp(&b.0));
        rejects
    }

    /// What was refused as dead letters: a JSON object each, as a file sink holds it. `source` says where records came
    /// from.
    pub fn letters(&self, source: &str) -> RawRows {
        let mut letters = DeadLetters::new(LetterForm::Object);
        for refused in &self.refused {
            for (row, reason) in refused.reasons.iter().enumerate() {
                let origin = refused.batch.offsets.get(row).map(|&offset| (source, 0, offset));
                let refusal = Refusal { reason, step: &refused.step, plugin: refused.plugin.as_deref(), origin };
                letters.push_row(&refused.batch, &Shape::default(), row, &refusal);
            }
        }
        letters.take()
    }

    /// Adds what came later.
    pub fn append(&mut self, later: Made) {
        self.tables.extend(later.tables);
        self.refused.extend(later.refused);
    }

    pub(super) fn refuse(&mut self, refused: Option<Refused>) {
        self.refused.extend(refused);
    }
}

fn place(batch: &Batch, row: usize) -> Place {
    if let Some(&offset) = batch.offsets.get(row) {
        return Place::Record(offset);
    }
    let key = batch.key.as_ref().map(|it| match &it.values {
        Values::Text(strings) | Values::Bytes(strings) => String::from_utf8_lossy(strings.get(row)).into_owned(),
        _ => String::new(),
    });
    Place::Key(key.unwrap_or_default())
}

impl Rows {
    fn row(&self, row: usize) -> MadeRow<'_> {
        MadeRow {
            port: self.port,
            name: &self.name,
            value: self.rows.value(row),
            key: self.rows.key(row).filter(|_| self.sets_key),
            time: self.times.as_ref().map(|it| it[row]),
            headers: if self.sets_headers { headers::iter(self.rows.headers(row)).collect() } else { Vec::new() },
        }
    }
}

/// Writes what a step made as a JSON sink does. Bytes, which JSON cannot hold, are written as text as far as they are.
pub(super) struct Writer {
    ports: Vec<PortWriter>,
}

struct PortWriter {
    name: Arc<str>,
    encoder: Encoder,
    sets_key: bool,
    sets_time: bool,
    sets_headers: bool,
}

impl Writer {
    /// A writer for all ports of `step`.
    pub(super) fn new(step: &StepPlan) -> Result<Writer, PipelineError> {
        let mut ports = Vec::new();
        for port in &step.ports {
            let mut shape = port.stream.shape.clone();
            shape.columns.iter_mut().filter(|it| it.kind == Kind::Bytes).for_each(|it| it.kind = Kind::Text);
            let encoder = Encoder::new(&shape, None, Format::Json)
                .map_err(|error| PipelineError::stop(Failure::Config, format!("port `{}`: {error}", port.name)))?;
            let sets = |wanted: fn(&Slot) -> bool| port.fields.iter().any(|it| wanted(&it.slot));
            ports.push(PortWriter {
                name: port.name.as_str().into(),
                encoder,
                sets_key: sets(|it| *it == Slot::Key),
                sets_time: sets(|it| *it == Slot::Time),
                sets_headers: sets(|it| matches!(it, Slot::Header(_))),
            });
        }
        Ok(Writer { ports })
    }

    /// Adds `results` to `made`.
    pub(super) fn write(&self, results: Results, made: &mut Made) -> Result<(), PipelineError> {
        made.refused.extend(results.refused);
        made.refused.extend(results.late);
        for (number, mut batch, _) in results.outputs {
            let port = &self.ports[number];
            batch.columns = batch.columns.into_iter().map(printable).collect();
            let encoded = port
                .encoder
                .encode(&batch)
                .map_err(|error| PipelineError::stop(Failure::Config, format!("port `{}`: {error}", port.name)))?;
            if !encoded.rejects.is_empty() {
                let rows: Vec<u32> = encoded.rejects.iter().map(|it| it.row).collect();
                let reasons = encoded.rejects.into_iter().map(|it| it.reason).collect();
                let (batch, step) = (batch.gather(&rows), port.name.to_string());
                made.refused.push(Refused { batch, reasons, step, plugin: None, fault: false });
            }
            made.tables.push(Rows {
                port: number,
                name: Arc::clone(&port.name),
                rows: encoded.rows,
                times: port.sets_time.then_some(encoded.times),
                sets_key: port.sets_key,
                sets_headers: port.sets_headers,
            });
        }
        Ok(())
    }
}

/// Bytes as text; other columns as they are.
fn printable(column: Column) -> Column {
    match column.values {
        Values::Bytes(strings) => {
            let mut texts = Strings::with_capacity(strings.len(), strings.data.len());
            strings.iter().for_each(|it| texts.push(String::from_utf8_lossy(it).as_bytes()));
            Column { values: Values::Text(texts), nulls: column.nulls }
        }
        values => Column { values, nulls: column.nulls },
    }
}
