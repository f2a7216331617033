//! Records for a test, and the columns that the host would make of them.

use crate::wire::{Batch, Column, Field, Kind, Slot, Strings, Values};
use serde_json::Value;

/// A record for a test: its value, and what a broker keeps beside it. A JSON value is a record with nothing beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub(super) value: Value,
    /// The value's bytes, where it is no JSON.
    raw: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    time: i64,
    headers: Vec<(String, Vec<u8>)>,
    topic: String,
    partition: i64,
    offset: i64,
}

impl From<Value> for Row {
    fn from(value: Value) -> Self {
        Row { value, ..Row::default() }
    }
}

impl Row {
    /// A record of this value.
    pub fn new(value: Value) -> Self {
        value.into()
    }

    /// A record whose value is these bytes: it has no fields.
    pub fn raw(value: impl AsRef<[u8]>) -> Self {
        Row { raw: Some(value.as_ref().to_vec()), ..Row::default() }
    }

    /// With this key.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// At this event time, in milliseconds since the Unix epoch.
    pub fn time(mut self, time: i64) -> Self {
        self.time = time;
        self
    }

    /// With this header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// From this place.
    pub fn from(mut self, topic: &str, partition: i64, offset: i64) -> Self {
        (self.topic, self.partition, self.offset) = (topic.into(), partition, offset);
        self
    }

    pub(super) fn key_bytes(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// Why the host would dead-letter the record before a plugin that reads `fields` sees it, in the host's words. It asks only of fields of
    /// the value; what is not required and of another kind is null.
    pub(super) fn misfit(&self, fields: &[Field]) -> Option<String> {
        fields.iter().filter(|it| it.required).find_map(|field| match (&field.slot, self.cell(field)) {
            (Slot::Field(path), Err(found)) => Some(format!("field `{path}` {found}")),
            _ => None,
        })
    }

    /// The record's value for `field`. The error is what was found in place of one of its kind.
    fn cell(&self, field: &Field) -> Result<Cell<'_>, String> {
        let text = |it: &Option<Vec<u8>>| it.clone().map_or(Cell::Null, Cell::Bytes);
        Ok(match &field.slot {
            Slot::Field(path) => return self.field(path, field.kind),
            Slot::Value if self.raw.is_some() => text(&self.raw),
            Slot::Value if self.value.is_null() => Cell::Null,
            Slot::Value => Cell::Bytes(self.value.to_string().into_bytes()),
            Slot::Key => text(&self.key),
            Slot::Time => Cell::Int(self.time),
            Slot::Header(name) => {
                self.headers.iter().find(|(it, _)| it == name).map_or(Cell::Null, |(_, it)| Cell::Bytes(it.clone()))
            }
            Slot::Topic => Cell::Text(&self.topic),
            Slot::Partition => Cell::Int(self.partition),
            Slot::Offset => Cell::Int(self.offset),
            Slot::WindowStart | Slot::WindowEnd => Cell::Null,
        })
    }

    /// The field at a path of names joined by dots. The error is what was found in place of a value of this kind.
    fn field(&self, path: &str, kind: Kind) -> Result<Cell<'_>, String> {
        if self.value.is_null() && self.raw.is_none() {
            return Err(format!("is missing: the record is a tombstone, expected {}", kind.name()));
        }
        let Some(value) = path.split('.').try_fold(&self.value, |value, name| value.get(name)) else {
            return Err("is missing".to_owned());
        };
        json_cell(value, kind).ok_or_else(|| format!("is {}, expected {}", shown(&value.to_string()), kind.name()))
    }
}

/// The beginning of a text that may be long, as the host shows it.
fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// One value of a record.
enum Cell<'a> {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    Bytes(Vec<u8>),
}

/// The value as one of this kind.
fn json_cell(value: &Value, kind: Kind) -> Option<Cell<'_>> {
    match (kind, value) {
        (Kind::S64, Value::Number(it)) => it.as_i64().map(Cell::Int),
        (Kind::F64, Value::Number(it)) => it.as_f64().map(Cell::Float),
        (Kind::Boolean, Value::Bool(it)) => Some(Cell::Bool(*it)),
        (Kind::Text, Value::String(it)) => Some(Cell::Text(it)),
        (Kind::Bytes, Value::String(it)) => Some(Cell::Bytes(it.clone().into_bytes())),
        (Kind::Json, it) if !it.is_null() => Some(Cell::Bytes(canonical(it).to_string().into_bytes())),
        _ => None,
    }
}

/// JSON as the host hands it over: an integer of more than 64 bits is a float.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(it) if it.as_i64().is_none() => it.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(members) => members.iter().map(|(name, it)| (name.clone(), canonical(it))).collect(),
        other => other.clone(),
    }
}

trait KindName {
    fn name(self) -> &'static str;
}

impl KindName for Kind {
    /// The name in pipeline files.
    fn name(self) -> &'static str {
        match self {
            Kind::S64 => "s64",
            Kind::F64 => "f64",
            Kind::Boolean => "boolean",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
            Kind::Json => "json",
        }
    }
}

/// The columns of `fields` for `rows`, which all fit.
pub(super) fn of_rows(rows: &[&Row], fields: &[Field], watermark: i64) -> Batch {
    let columns =
        fields.iter().map(|field| column(field.kind, rows.iter().map(|row| row.cell(field).unwrap_or(Cell::Null))));
    Batch { rows: rows.len() as u32, columns: columns.collect(), watermark }
}

/// Rows that stand for keys and times, not for records: every field but `filled` is null.
pub(super) fn of_keys(
    rows: usize,
    fields: &[Field],
    watermark: i64,
    filled: impl Fn(&Slot, usize) -> Option<Filled>,
) -> Batch {
    let columns = fields.iter().map(|field| {
        let cells = (0..rows).map(|row| match filled(&field.slot, row) {
            Some(Filled::Int(it)) => Cell::Int(it),
            Some(Filled::Bytes(it)) => Cell::Bytes(it),
            None => Cell::Null,
        });
        column(field.kind, cells)
    });
    Batch { rows: rows as u32, columns: columns.collect(), watermark }
}

/// What `of_keys` fills in.
pub(super) enum Filled {
    Int(i64),
    Bytes(Vec<u8>),
}

fn column<'a>(kind: Kind, cells: impl Iterator<Item = Cell<'a>>) -> Column {
    let (mut ints, mut floats, mut bools, mut nulls) = (vec![], vec![], vec![], vec![]);
    let mut strings = strings();
    for cell in cells {
        let (mut int, mut float, mut bool) = (0, 0.0, 0);
        nulls.push(u8::from(matches!(cell, Cell::Null)));
        match cell {
            Cell::Null => {}
            Cell::Int(it) => int = it,
            Cell::Float(it) => float = it,
            Cell::Bool(it) => bool = u8::from(it),
            Cell::Text(it) => strings.data.extend_from_slice(it.as_bytes()),
            Cell::Bytes(it) => strings.data.extend_from_slice(&it),
        }
        strings.offsets.push(strings.data.len() as u32);
        ints.push(int);
        floats.push(float);
        bools.push(bool);
    }
    if !nulls.contains(&1) {
        nulls.clear();
    }
    let values = match kind {
        Kind::S64 => Values::S64(ints),
        Kind::F64 => Values::F64(floats),
        Kind::Boolean => Values::Boolean(bools),
        Kind::Text => Values::Text(strings),
        Kind::Bytes => Values::Bytes(strings),
        Kind::Json => Values::Json(strings),
    };
    Column { values, nulls }
}

/// No strings.
pub(super) fn strings() -> Strings {
    Strings { offsets: vec![0], data: Vec::new() }
}

/// A column of `bytes`, one a group.
pub(super) fn bytes_column<'a>(groups: impl Iterator<Item = Option<&'a [u8]>>) -> Column {
    column(Kind::Bytes, groups.map(|it| it.map_or(Cell::Null, |it| Cell::Bytes(it.to_vec()))))
}

/// The byte string of each row, or none where it is null.
pub(super) fn bytes_of(column: &Column) -> Vec<Option<Vec<u8>>> {
    let Values::Bytes(strings) = &column.values else { panic!("expected a column of bytes, found {column:?}") };
    let row = |(at, bounds): (usize, &[u32])| {
        (column.nulls.get(at) != Some(&1)).then(|| strings.data[bounds[0] as usize..bounds[1] as usize].to_vec())
    };
    strings.offsets.windows(2).enumerate().map(row).collect()
}
