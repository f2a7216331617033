//! What a plugin answered.

use crate::wire::{Body, Column, Port, Produced, Slot, Values};
use crate::{Level, testing::Row};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// What a plugin did with the records, keys or windows that a test handed to it, in order.
///
/// As text it is one line for each emitted row (`PORT: JSON`), then `reject ROW: REASON`, log lines and counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The rows of all ports, in the order of the ports.
    pub emitted: Vec<Emitted>,
    /// The records refused, by the plugin or, not fitting what it reads, before it: the record's index and the reason.
    pub rejects: Vec<(usize, String)>,
    /// What was logged.
    pub logs: Vec<(Level, String)>,
    /// What was counted.
    pub counts: Vec<(String, u64)>,
}

/// A row that came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The port's name.
    pub port: String,
    /// The index of the record, the timer or the window that it was made from.
    pub origin: usize,
    /// Whether it is its record, passed on as it was.
    pub passed: bool,
    /// The value as its JSON text, with the fields in the plugin's order.
    pub text: String,
    /// The key that the row sets.
    pub key: Option<Vec<u8>>,
    /// The event time that the row sets.
    pub time: Option<i64>,
}

impl Run {
    /// All rows of all ports as `T`. Panics when one is no `T`.
    pub fn rows<T: DeserializeOwned>(&self) -> Vec<T> {
        self.emitted.iter().map(Emitted::row).collect()
    }

    /// The rows of one port as `T`. Panics when one is no `T`.
    pub fn port<T: DeserializeOwned>(&self, port: &str) -> Vec<T> {
        self.emitted.iter().filter(|it| it.port == port).map(Emitted::row).collect()
    }

    /// The indexes of the records that were passed on as they were.
    pub fn passed(&self) -> Vec<usize> {
        self.emitted.iter().filter(|it| it.passed).map(|it| it.origin).collect()
    }

    /// Adds an answer; `origins[i]` is the index of the record that the plugin knew as row `i`, and `record` its value.
    pub(super) fn add(
        &mut self,
        ports: &[Port],
        produced: Produced,
        origins: &[usize],
        record: impl Fn(usize) -> Value,
    ) {
        for table in produced.tables {
            let port = ports.get(table.port as usize).expect("the plugin emits to a port that it declared");
            for (at, &origin) in table.origins.iter().enumerate() {
                let origin = *origins.get(origin as usize).expect("an origin is a row of the batch");
                let mut emitted = Emitted {
                    port: port.name.clone(),
                    origin,
                    passed: matches!(table.body, Body::Unchanged),
                    text: String::new(),
                    key: None,
                    time: None,
                };
                match &table.body {
                    Body::Unchanged => emitted.text = record(origin).to_string(),
                    Body::Columns(columns) => emitted.fill(port, columns, at),
                }
                self.emitted.push(emitted);
            }
        }
        self.rejects.extend(produced.rejects.into_iter().map(|it| (origins[it.row as usize], it.reason)));
        self.rejects.sort();
    }
}

impl Emitted {
    /// The row as `T`. Panics when it is none.
    pub fn row<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_str(&self.text) {
            Ok(row) => row,
            Err(error) => panic!("{self:?} is another type: {error}"),
        }
    }

    /// Reads row `at` of `columns`.
    fn fill(&mut self, port: &Port, columns: &[Column], at: usize) {
        assert_eq!(port.fields.len(), columns.len(), "one column for each field");
        let mut members = Vec::new();
        for (field, column) in port.fields.iter().zip(columns) {
            match &field.slot {
                Slot::Field(name) => members.push(format!("{}:{}", Value::from(name.as_str()), text_at(column, at))),
                Slot::Key => self.key = raw_at(column, at),
                Slot::Time => self.time = int_at(column, at),
                Slot::Header(name) => members.push(format!("\"header {name}\":{}", text_at(column, at))),
                other => members.push(format!("\"{other:?}\":{}", text_at(column, at))),
            }
        }
        self.text = format!("{{{}}}", members.join(","));
    }
}

fn is_null(column: &Column, at: usize) -> bool {
    column.nulls.get(at) == Some(&1)
}

fn int_at(column: &Column, at: usize) -> Option<i64> {
    match &column.values {
        Values::S64(values) if !is_null(column, at) => Some(values[at]),
        _ => None,
    }
}

fn raw_at(column: &Column, at: usize) -> Option<Vec<u8>> {
    match &column.values {
        Values::Text(it) | Values::Bytes(it) | Values::Json(it) if !is_null(column, at) => {
            Some(it.data[it.offsets[at] as usize..it.offsets[at + 1] as usize].to_vec())
        }
        _ => None,
    }
}

/// The value of row `at` as JSON text.
fn text_at(column: &Column, at: usize) -> String {
    if is_null(column, at) {
        return "null".into();
    }
    let raw = || String::from_utf8_lossy(&raw_at(column, at).unwrap_or_default()).into_owned();
    match &column.values {
        Values::S64(values) => values[at].to_string(),
        Values::F64(values) => Value::from(values[at]).to_string(),
        Values::Boolean(values) => (values[at] != 0).to_string(),
        Values::Text(_) | Values::Bytes(_) => Value::from(raw()).to_string(),
        Values::Json(_) => raw(),
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let emitted = self.emitted.iter().map(|it| {
            let key = it.key.as_ref().map(|it| format!(" key={}", String::from_utf8_lossy(it))).unwrap_or_default();
            let time = it.time.map(|it| format!(" time={it}")).unwrap_or_default();
            format!("{}{key}{time}: {}", it.port, it.text)
        });
        let rejects = self.rejects.iter().map(|(row, reason)| format!("reject {row}: {reason}"));
        let logs = self.logs.iter().map(|(level, message)| format!("{level:?}: {message}").to_lowercase());
        let counts = self.counts.iter().map(|(name, amount)| format!("count {name}: {amount}"));
        f.write_str(&emitted.chain(rejects).chain(logs).chain(counts).collect::<Vec<_>>().join("\n"))
    }
}

/// The records that fit what the plugin reads, with their indexes, and why the others do not.
pub(super) fn admit<'a>(rows: &'a [Row], fields: &[crate::wire::Field], run: &mut Run) -> Vec<(usize, &'a Row)> {
    let mut fitting = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match row.misfit(fields) {
            Some(reason) => run.rejects.push((index, reason)),
            None => fitting.push((index, row)),
        }
    }
    fitting
}
