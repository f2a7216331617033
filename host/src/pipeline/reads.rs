//! Where a step's inputs come from: a column of the batch, as it is or converted, or something that every record has.

use crate::batch::{Batch, Keys, TopicPartition, headers};
use crate::column::{Column, Kind, Number, Strings, Values};
use crate::decode::key_text;
use crate::schema::{Field, Shape, Slot};
use std::borrow::Cow;
use std::sync::Arc;

/// A column of a batch, in the kind that a step wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    /// The column's place in the batch.
    pub index: usize,
    /// The kind that is wanted.
    pub kind: Kind,
}

impl Pick {
    /// Finds the field `name` in `shape`: a column that a step made wins over the record's own field of that name.
    pub(super) fn find(shape: &Shape, name: &str, kind: Kind) -> Option<Pick> {
        let made = shape.columns.iter().position(|it| it.made && &*it.name == name);
        let index = made.or_else(|| shape.find(name, kind))?;
        Some(Pick { index, kind })
    }

    /// The column, converted where its kind is another one: a value that does not fit is null.
    pub(super) fn of<'a>(&self, batch: &'a Batch) -> Cow<'a, Column> {
        let column = &batch.columns[self.index];
        if column.kind() == self.kind { Cow::Borrowed(column) } else { Cow::Owned(convert(column, self.kind)) }
    }
}

/// What a plugin reads at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A field.
    Column(Pick),
    /// The whole value.
    Value,
    /// The record's key, or the step's; text or bytes.
    Key(Kind),
    /// Event time.
    Time,
    /// A header.
    Header(Arc<str>),
    /// Source topic.
    Topic,
    /// Source partition.
    Partition,
    /// Source offset.
    Offset,
    /// A window's bound: filled in when windows are finished, null elsewhere.
    Window,
}

impl Read {
    /// Where `field` comes from in batches of `shape`; none where it has no such field.
    pub(super) fn new(field: &Field, shape: &Shape) -> Option<Read> {
        Some(match &field.slot {
            Slot::Field(name) => Read::Column(Pick::find(shape, name, field.kind)?),
            Slot::Value => Read::Value,
            Slot::Key => Read::Key(field.kind),
            Slot::Time => Read::Time,
            Slot::Header(name) => Read::Header(Arc::clone(name)),
            Slot::Topic => Read::Topic,
            Slot::Partition => Read::Partition,
            Slot::Offset => Read::Offset,
            Slot::WindowStart | Slot::WindowEnd => Read::Window,
        })
    }

    /// The values for every row of `batch`. `keys` are the step's, where it is keyed; `topic` is the source's.
    pub(super) fn of<'a>(&self, batch: &'a Batch, keys: Option<&Keys>, topic: &str) -> Cow<'a, Column> {
        Cow::Owned(match self {
            Read::Column(pick) => return pick.of(batch),
            Read::Value => value(batch),
            Read::Key(kind) => key(batch, keys, *kind),
            Read::Time => Values::S64(batch.times.clone()).into(),
            Read::Header(name) => header(batch, name),
            Read::Topic if batch.origin.is_some() => {
                let mut topics = Strings::with_capacity(batch.rows, batch.rows * topic.len());
                (0..batch.rows).for_each(|_| topics.push(topic.as_bytes()));
                Values::Text(topics).into()
            }
            Read::Topic => Column::null(Kind::Text, batch.rows),
            Read::Partition => match batch.origin {
                Some(origin) => {
                    Values::S64(vec![i64::from(TopicPartition::of(origin.partition).number); batch.rows]).into()
                }
                None => Column::null(Kind::S64, batch.rows),
            },
            Read::Offset if batch.offsets.len() == batch.rows => Values::S64(batch.offsets.clone()).into(),
            Read::Offset | Read::Window => Column::null(Kind::S64, batch.rows),
        })
    }
}

/// A column of what `get` answers for each row, copied into place.
fn optional<'a>(rows: usize, kind: Kind, get: impl Fn(usize) -> Option<Cow<'a, [u8]>>) -> Column {
    let mut column = Column::empty(kind, rows);
    for row in 0..rows {
        match get(row) {
            Some(bytes) => push(&mut column, &bytes),
            None => column.push_null(),
        }
    }
    column
}

fn push(column: &mut Column, bytes: &[u8]) {
    if let Values::Text(strings) | Values::Bytes(strings) | Values::Json(strings) = &mut column.values {
        strings.push(bytes);
    }
    column.pushed();
}

/// The whole values of a batch, as a plugin gets them.
fn value(batch: &Batch) -> Column {
    match (&batch.value, &batch.raw) {
        (Some(value), _) => value.clone(),
        (None, Some(raw)) => optional(batch.rows, Kind::Bytes, |row| raw.value(row).map(Cow::Borrowed)),
        (None, None) => Column::null(Kind::Bytes, batch.rows),
    }
}

/// The keys of a batch in `kind`: the step's where it is keyed, else those a step before it set, else the records'.
pub(super) fn key(batch: &Batch, keys: Option<&Keys>, kind: Kind) -> Column {
    let text = |bytes: &[u8]| kind != Kind::Text || std::str::from_utf8(bytes).is_ok();
    if let Some(keys) = keys {
        return optional(batch.rows, kind, |row| Some(key_text(keys.texts.get(row))));
    }
    match (&batch.key, &batch.raw) {
        (Some(column), _) if column.kind() == kind => column.clone(),
        (Some(column), _) => {
            let (Values::Text(strings) | Values::Bytes(strings)) = &column.values else {
                return Column::null(kind, batch.rows);
            };
            let get =
                |row: usize| (!column.is_null(row) && text(strings.get(row))).then(|| Cow::Borrowed(strings.get(row)));
            optional(batch.rows, kind, get)
        }
        (None, Some(raw)) => optional(batch.rows, kind, |row| raw.key(row).filter(|it| text(it)).map(Cow::Borrowed)),
        (None, None) => Column::null(kind, batch.rows),
    }
}

/// The records' keys, with those of the step for records that have none, so that what a key made stays in order wherever
/// it is written to.
pub(super) fn own_key(batch: &Batch, keys: Option<&Keys>) -> Column {
    let own = key(batch, None, Kind::Bytes);
    let (Some(keys), false, Values::Bytes(texts)) = (keys, own.nulls.is_empty(), &own.values) else { return own };
    optional(batch.rows, Kind::Bytes, |row| {
        Some(if own.is_null(row) { key_text(keys.texts.get(row)) } else { Cow::Borrowed(texts.get(row)) })
    })
}

fn header(batch: &Batch, name: &str) -> Column {
    if let Some((_, column)) = batch.headers.iter().find(|it| &*it.0 == name) {
        return column.clone();
    }
    let Some(raw) = &batch.raw else { return Column::null(Kind::Bytes, batch.rows) };
    // As Kafka's `lastHeader`: the last one of a name is the one that counts.
    optional(batch.rows, Kind::Bytes, |row| {
        let last = headers::iter(raw.headers(row)).filter(|it| it.0 == name.as_bytes()).last();
        last.and_then(|it| it.1).map(Cow::Borrowed)
    })
}

/// The same values in another kind. A value that does not fit is null.
pub(super) fn convert(column: &Column, kind: Kind) -> Column {
    let rows = column.len();
    let mut out = Column::empty(kind, rows);
    for row in 0..rows {
        if column.is_null(row) || !convert_row(column, row, &mut out) {
            out.push_null();
        }
    }
    out
}

/// Adds one converted value; false where it does not fit.
fn convert_row(column: &Column, row: usize, out: &mut Column) -> bool {
    let number = match &column.values {
        Values::S64(values) => Some(Number::Int(values[row])),
        Values::F64(values) => Some(Number::Float(values[row])),
        Values::Number(values) => Some(values[row]),
        Values::Json(strings) => parse_number(strings.get(row)),
        _ => None,
    };
    let done = match (&mut out.values, number) {
        (Values::S64(values), Some(Number::Int(value))) => {
            values.push(value);
            true
        }
        (Values::F64(values), Some(Number::Float(value))) => {
            values.push(value);
            true
        }
        (Values::F64(values), Some(Number::Int(value))) => {
            values.push(value as f64);
            true
        }
        (Values::Number(values), Some(value)) => {
            values.push(value);
            true
        }
        (Values::Json(strings), _) => {
            json_of(column, row, &mut strings.data);
            strings.finish();
            true
        }
        (Values::Boolean(values), _) => match &column.values {
            Values::Json(strings) if matches!(strings.get(row), b"true" | b"false") => {
                values.push(u8::from(strings.get(row) == b"true"));
                true
            }
            _ => false,
        },
        (Values::Text(out), _) => match &column.values {
            Values::Json(strings) if strings.get(row).first() == Some(&b'"') => {
                out.push(&key_text(strings.get(row)));
                true
            }
            Values::Bytes(strings) if std::str::from_utf8(strings.get(row)).is_ok() => {
                out.push(strings.get(row));
                true
            }
            _ => false,
        },
        (Values::Bytes(out), _) => match &column.values {
            Values::Text(strings) => {
                out.push(strings.get(row));
                true
            }
            _ => false,
        },
        _ => false,
    };
    if done {
        out.pushed();
    }
    done
}

fn parse_number(text: &[u8]) -> Option<Number> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.starts_with(|it: char| it == '-' || it.is_ascii_digit()) {
        return None;
    }
    text.parse().map(Number::Int).ok().or_else(|| text.parse().ok().map(Number::Float))
}

/// The canonical JSON text of one value: as `decode` makes it, so that a key is the same wherever it comes from.
fn json_of(column: &Column, row: usize, out: &mut Vec<u8>) {
    let float = |value: f64, out: &mut Vec<u8>| {
        // A float that JSON cannot say is null there too; writing to memory does not fail.
        let _ = serde_json::to_writer(out, &value);
    };
    match &column.values {
        Values::S64(values) => out.extend_from_slice(itoa::Buffer::new().format(values[row]).as_bytes()),
        Values::F64(values) => float(values[row], out),
        Values::Number(values) => match values[row] {
            Number::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Number::Float(value) => float(value, out),
        },
        Values::Boolean(values) => out.extend_from_slice(if values[row] == 0 { b"false" } else { b"true" }),
        Values::Text(strings) | Values::Bytes(strings) => {
            let _ = serde_json::to_writer(out, &String::from_utf8_lossy(strings.get(row)));
        }
        Values::Json(strings) => out.extend_from_slice(strings.get(row)),
    }
}
