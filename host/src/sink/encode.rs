//! From a batch to the records that a sink writes.
//!
//! An [`Encoder`] is planned once from the stream's shape. What passes unchanged is written from the very bytes that
//! were read; fields that steps made are spliced into the original object; rows that steps made become a JSON object.

mod dead_letter;
mod template;

pub use dead_letter::{DeadLetters, LetterForm, Refusal};

use crate::batch::{Batch, EventTime, RawRecord, RawRows, Reject, Span, headers};
use crate::column::{Column, Kind, Values};
use crate::config::Format;
use crate::decode::{members, text};
use crate::schema::Shape;
use memchr::memmem::Finder;
use std::sync::Arc;
use template::Template;

/// Why rows cannot be written as the pipeline says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// `select` names a field that the stream does not have.
    #[error("select: field `{field}` is not in the stream; it has {known}")]
    UnknownField {
        /// The field.
        field: Arc<str>,
        /// The stream's fields.
        known: String,
    },
    /// JSON has no bytes.
    #[error("field `{field}` is bytes, which JSON cannot hold; make it text, or leave it out with select")]
    Bytes {
        /// The field.
        field: Arc<str>,
    },
    /// Two fields in one place.
    #[error(
        "field `{field}` is written twice, or is both a value and an object; give one of them another name with select"
    )]
    Conflict {
        /// The field.
        field: Arc<str>,
    },
    /// A field within an object of the original record.
    #[error(
        "field `{field}` would be written into an object of the original record; give it a name without a dot, or \
         choose all fields with select"
    )]
    Nested {
        /// The field.
        field: Arc<str>,
    },
    /// Raw bytes have no fields.
    #[error("format = \"raw\" writes a record's bytes as they are, and `{field}` would be lost; use format = \"json\"")]
    RawHasNoFields {
        /// The field.
        field: Arc<str>,
    },
    /// Rows that a step made, without a value.
    #[error("format = \"raw\" writes values as they are, and these rows were made of fields; use format = \"json\"")]
    NoValue,
    /// A slot holds a kind that it cannot.
    #[error("slot `{slot}` is {}, expected text or bytes", kind.name())]
    SlotKind {
        /// `key`, `value` or the header's name.
        slot: String,
        /// What it is.
        kind: Kind,
    },
    /// Too much for one batch.
    #[error("a batch of rows is more than 4 GiB when written; use a smaller batch_rows_max")]
    TooLarge,
}

/// The records of a batch, ready to be written.
#[derive(Debug)]
pub struct Encoded {
    /// The records.
    pub rows: RawRows,
    /// Their event times, one a record.
    pub times: Vec<EventTime>,
    /// Rows of the batch that could not be written, in order, with why; they are not in `rows`.
    pub rejects: Vec<Reject>,
}

/// Room for a row's braces and its key.
const BESIDES_BYTES: usize = 16;

/// The header that says which plugins a record passed.
pub const LINEAGE_HEADER: &str = "wasmill-lineage";

/// Encodes the batches of one stream for one sink.
#[derive(Debug)]
pub struct Encoder {
    plan: Plan,
    /// A header for every record, encoded; empty for none.
    lineage: Vec<u8>,
}

#[derive(Debug)]
enum Plan {
    /// The value as it is.
    Unchanged,
    /// The original object with fields added, or replaced where they were there.
    Splice { names: Vec<Name>, template: Template },
    /// An object of columns, in order. `selected` ones count more than a whole value that a plugin set.
    Object { template: Template, selected: bool },
}

/// A top-level name that is added to the original object.
#[derive(Debug)]
struct Name {
    quoted: Vec<u8>,
    finder: Finder<'static>,
}

impl Encoder {
    /// Plans how rows of `shape` are written. `select` is the new names and the fields, in order; none for the original
    /// with what was made.
    ///
    /// # Errors
    /// Where a field cannot be written so.
    pub fn new(shape: &Shape, select: Option<&[(Arc<str>, Arc<str>)]>, format: Format) -> Result<Self, EncodeError> {
        let fields: Vec<(Arc<str>, usize)> = match select {
            Some(select) => select.iter().map(|it| selected(shape, it)).collect::<Result<_, _>>()?,
            None => {
                let made = shape.columns.iter().enumerate().filter(|(_, it)| it.made);
                made.map(|(at, it)| (Arc::clone(&it.name), at)).collect()
            }
        };
        if let Some((field, _)) = fields.first().filter(|_| format == Format::Raw) {
            return Err(EncodeError::RawHasNoFields { field: Arc::clone(field) });
        }
        if let Some((field, _)) = fields.iter().find(|(_, at)| shape.columns[*at].kind == Kind::Bytes) {
            return Err(EncodeError::Bytes { field: Arc::clone(field) });
        }
        let template = Template::new(&fields)?;
        let plan = if format == Format::Raw || (shape.raw && fields.is_empty() && select.is_none()) {
            Plan::Unchanged
        } else if !shape.raw || select.is_some() {
            Plan::Object { template, selected: select.is_some() }
        } else {
            Plan::Splice { names: fields.iter().map(|(name, _)| top_level(name)).collect::<Result<_, _>>()?, template }
        };
        Ok(Encoder { plan, lineage: Vec::new() })
    }

    /// Records from here on have the header [`LINEAGE_HEADER`] with this text.
    pub fn set_lineage(&mut self, text: &str) {
        self.lineage.clear();
        headers::push(&mut self.lineage, LINEAGE_HEADER.as_bytes(), Some(text.as_bytes()));
    }

    /// The records of a batch. Its `key`, `value` and `headers` count more than the original record's; a tombstone
    /// stays one.
    ///
    /// # Errors
    /// Where the batch as a whole cannot be written; a single row that cannot is among the rejects.
    pub fn encode(&self, batch: &Batch) -> Result<Encoded, EncodeError> {
        let set = !batch.headers.is_empty() || !self.lineage.is_empty();
        let replaced = batch.key.is_some() || batch.value.is_some() || set;
        if let (Plan::Unchanged, Some(raw), false) = (&self.plan, &batch.raw, replaced) {
            return Ok(Encoded { rows: raw.clone(), times: batch.times.clone(), rejects: Vec::new() });
        }
        check_slots(batch)?;
        if matches!(self.plan, Plan::Unchanged) && batch.raw.is_none() && batch.value.is_none() {
            return Err(EncodeError::NoValue);
        }
        self.rewrite(batch)
    }

    /// Writes every row into an arena of its own.
    fn rewrite(&self, batch: &Batch) -> Result<Encoded, EncodeError> {
        let values = batch.raw.iter().flat_map(|it| &it.records).map(|it| it.value).filter(|it| !it.is_null());
        let read = values.map(|it| it.len as usize);
        let room = match &self.plan {
            Plan::Unchanged => read.sum(),
            Plan::Splice { template, .. } => read.sum::<usize>() + batch.rows * template.row_bytes(),
            Plan::Object { template, .. } => batch.rows * (template.row_bytes() + BESIDES_BYTES),
        };
        let mut out = Vec::with_capacity(room);
        let mut records = Vec::with_capacity(batch.rows);
        let mut times = Vec::with_capacity(batch.rows);
        let mut rejects = Vec::new();
        for row in 0..batch.rows {
            let start = out.len();
            match self.write_value(&mut out, batch, row) {
                Ok(written) => {
                    let value = if written { span(&out, start) } else { Span::NULL };
                    let key = write_key(&mut out, batch, row);
                    let headers = write_headers(&mut out, batch, row, &self.lineage);
                    records.push(RawRecord { key, value, headers });
                    times.push(batch.times[row]);
                }
                Err(reason) => {
                    out.truncate(start);
                    rejects.push(Reject { row: row as u32, reason });
                }
            }
            if out.len() >= u32::MAX as usize {
                return Err(EncodeError::TooLarge);
            }
        }
        Ok(Encoded { rows: RawRows { arena: Arc::new(out), records }, times, rejects })
    }

    /// Writes the value of a row; false for a tombstone. The error is a reject's reason.
    fn write_value(&self, out: &mut Vec<u8>, batch: &Batch, row: usize) -> Result<bool, String> {
        let whole = match (&batch.value, &batch.raw) {
            (Some(column), _) => slot_bytes(column, row),
            (None, Some(raw)) => raw.value(row),
            (None, None) => None,
        };
        let ends = whole.is_none() && batch.value.is_some();
        match (&self.plan, whole) {
            (Plan::Object { template, selected }, _) if !ends && (*selected || batch.value.is_none()) => {
                out.push(b'{');
                template.write(out, &batch.columns, row);
                out.push(b'}');
            }
            (_, None) => return Ok(false),
            (Plan::Splice { names, template }, Some(value)) => {
                open_object(out, value, names)?;
                template.write(out, &batch.columns, row);
                out.push(b'}');
            }
            (Plan::Unchanged | Plan::Object { .. }, Some(value)) => out.extend_from_slice(value),
        }
        Ok(true)
    }
}

/// The column that a pair of `select` takes: where a field is there in several kinds, the one that keeps most of it.
fn selected(shape: &Shape, (name, field): &(Arc<str>, Arc<str>)) -> Result<(Arc<str>, usize), EncodeError> {
    let loss = |kind: Kind| match kind {
        Kind::Json => 0,
        Kind::Number => 1,
        Kind::Text | Kind::Boolean | Kind::S64 => 2,
        Kind::F64 => 3,
        Kind::Bytes => 4,
    };
    let columns = shape.columns.iter().enumerate().filter(|(_, it)| it.name == *field);
    let best = columns.min_by_key(|(_, it)| (!it.made, loss(it.kind)));
    best.map(|(at, _)| (Arc::clone(name), at)).ok_or_else(|| {
        let mut known: Vec<_> = shape.columns.iter().map(|it| format!("`{}`", it.name)).collect();
        known.dedup();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        EncodeError::UnknownField { field: Arc::clone(field), known }
    })
}

fn top_level(name: &Arc<str>) -> Result<Name, EncodeError> {
    if name.contains('.') {
        return Err(EncodeError::Nested { field: Arc::clone(name) });
    }
    let mut quoted = Vec::new();
    text::write_string(&mut quoted, name.as_bytes());
    Ok(Name { finder: Finder::new(&quoted).into_owned(), quoted })
}

fn check_slots(batch: &Batch) -> Result<(), EncodeError> {
    let slots = [("key", batch.key.as_ref()), ("value", batch.value.as_ref())];
    let headers = batch.headers.iter().map(|(name, column)| (&**name, Some(column)));
    for (slot, column) in slots.into_iter().chain(headers) {
        match column.map(Column::kind) {
            None | Some(Kind::Text | Kind::Bytes | Kind::Json) => {}
            Some(kind) => return Err(EncodeError::SlotKind { slot: slot.to_owned(), kind }),
        }
    }
    Ok(())
}

/// The bytes of a row of a slot; its kind was checked.
fn slot_bytes(column: &Column, row: usize) -> Option<&[u8]> {
    match &column.values {
        Values::Text(strings) | Values::Bytes(strings) | Values::Json(strings) if !column.is_null(row) => {
            Some(strings.get(row))
        }
        _ => None,
    }
}

/// What was written to `out` from `start` on.
fn span(out: &[u8], start: usize) -> Span {
    Span { start: start as u32, len: (out.len() - start) as u32 }
}

fn write_key(out: &mut Vec<u8>, batch: &Batch, row: usize) -> Span {
    let key = match (&batch.key, &batch.raw) {
        (Some(column), _) => slot_bytes(column, row),
        (None, Some(raw)) => raw.key(row),
        (None, None) => None,
    };
    let Some(key) = key else { return Span::NULL };
    let start = out.len();
    out.extend_from_slice(key);
    span(out, start)
}

/// The original's headers without those that were set, then those that were set, `lineage` last.
fn write_headers(out: &mut Vec<u8>, batch: &Batch, row: usize, lineage: &[u8]) -> Span {
    let start = out.len();
    let original = batch.raw.as_ref().map(|it| it.headers(row)).unwrap_or_default();
    if batch.headers.is_empty() && (lineage.is_empty() || original.is_empty()) {
        out.extend_from_slice(original);
    } else {
        let lineage = |name: &[u8]| !lineage.is_empty() && name == LINEAGE_HEADER.as_bytes();
        let set = |name: &[u8]| lineage(name) || batch.headers.iter().any(|it| it.0.as_bytes() == name);
        headers::iter(original).filter(|it| !set(it.0)).for_each(|(name, value)| headers::push(out, name, value));
        for (name, column) in &batch.headers {
            if let Some(value) = slot_bytes(column, row) {
                headers::push(out, name.as_bytes(), Some(value));
            }
        }
    }
    out.extend_from_slice(lineage);
    if out.len() == start { Span::NULL } else { span(out, start) }
}

/// Writes the object `value` up to where the fields `names` go: without its last brace, without members of those names,
/// and with the comma that is needed.
fn open_object(out: &mut Vec<u8>, value: &[u8], names: &[Name]) -> Result<(), String> {
    // A name may be there with escapes: then only reading it tells.
    let maybe_there = memchr::memchr(b'\\', value).is_some() || names.iter().any(|it| it.finder.find(value).is_some());
    if maybe_there && open_without(out, value, names)? {
        return Ok(());
    }
    let trimmed = value.trim_ascii();
    let Some(body) = trimmed.strip_prefix(b"{").and_then(|it| it.strip_suffix(b"}")) else {
        let fault = members(value).err().map(|it| it.reason(value));
        return Err(fault.unwrap_or_else(|| "value is not a JSON object".to_owned()));
    };
    out.push(b'{');
    out.extend_from_slice(body.trim_ascii_end());
    if !body.trim_ascii().is_empty() {
        out.push(b',');
    }
    Ok(())
}

/// Where `value` has members of those names, writes it without them; otherwise answers false and writes nothing.
fn open_without(out: &mut Vec<u8>, value: &[u8], names: &[Name]) -> Result<bool, String> {
    let mut kept = members(value).map_err(|fault| fault.reason(value))?;
    let before = kept.len();
    kept.retain(|member| {
        let mut canonical = Vec::new();
        text::write_canonical(&mut canonical, &value[member.name.clone()]);
        !names.iter().any(|it| it.quoted == canonical)
    });
    if kept.len() == before {
        return Ok(false);
    }
    out.push(b'{');
    for member in &kept {
        out.extend_from_slice(&value[member.whole.clone()]);
        out.push(b',');
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
