//! The text of an object's members with places for the values.

use super::EncodeError;
use crate::column::{Column, Number, Values};
use crate::decode::text;
use std::sync::Arc;

/// What a value is taken to need.
const VALUE_BYTES: usize = 16;

/// Members in order, each the text before its value and the column that the value comes from.
#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<(Box<[u8]>, usize)>,
    /// The text after the last value.
    end: Box<[u8]>,
}

/// A name with a value, or with the names in it.
#[derive(Default)]
struct Branch<'a> {
    name: &'a str,
    column: Option<usize>,
    children: Vec<Branch<'a>>,
}

impl Template {
    /// A template of `fields`: a name (nested where it has dots) and the column.
    ///
    /// # Errors
    /// Where a name is there twice, or is both a value and an object.
    pub(super) fn new(fields: &[(Arc<str>, usize)]) -> Result<Self, EncodeError> {
        let mut root = Branch::default();
        for (name, column) in fields {
            let free = root.insert(name, *column);
            free.then_some(()).ok_or_else(|| EncodeError::Conflict { field: Arc::clone(name) })?;
        }
        let (mut pieces, mut pending) = (Vec::new(), Vec::new());
        root.lay_out(&mut pieces, &mut pending);
        Ok(Template { pieces, end: pending.into_boxed_slice() })
    }

    /// About how many bytes [`Template::write`] writes: room for numbers and short texts.
    pub(super) fn row_bytes(&self) -> usize {
        let fixed: usize = self.pieces.iter().map(|(before, _)| before.len()).sum();
        fixed + self.end.len() + self.pieces.len() * VALUE_BYTES
    }

    /// Writes the members of `row`, without the braces around them.
    pub(super) fn write(&self, out: &mut Vec<u8>, columns: &[Column], row: usize) {
        for (before, column) in &self.pieces {
            out.extend_from_slice(before);
            write_cell(out, &columns[*column], row);
        }
        out.extend_from_slice(&self.end);
    }
}

impl<'a> Branch<'a> {
    /// False where something is in the way.
    fn insert(&mut self, path: &'a str, column: usize) -> bool {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let found = self.children.iter().position(|it| it.name == name);
        let at = found.unwrap_or(self.children.len());
        if found.is_none() {
            self.children.push(Branch { name, ..Branch::default() });
        }
        let child = &mut self.children[at];
        match rest {
            Some(rest) => child.column.is_none() && child.insert(rest, column),
            None => found.is_none() && child.column.replace(column).is_none(),
        }
    }

    fn lay_out(&self, pieces: &mut Vec<(Box<[u8]>, usize)>, pending: &mut Vec<u8>) {
        for (index, child) in self.children.iter().enumerate() {
            if index > 0 {
                pending.push(b',');
            }
            text::write_string(pending, child.name.as_bytes());
            pending.push(b':');
            match child.column {
                Some(column) => pieces.push((std::mem::take(pending).into_boxed_slice(), column)),
                None => {
                    pending.push(b'{');
                    child.lay_out(pieces, pending);
                    pending.push(b'}');
                }
            }
        }
    }
}

/// Writes one value as JSON. Bytes, which the encoder's plan refuses, are written as text as far as they are.
pub(super) fn write_cell(out: &mut Vec<u8>, column: &Column, row: usize) {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match &column.values {
        Values::S64(values) => text::write_i64(out, values[row]),
        Values::F64(values) => text::write_f64(out, values[row]),
        Values::Number(values) => match values[row] {
            Number::Int(value) => text::write_i64(out, value),
            Number::Float(value) => text::write_f64(out, value),
        },
        Values::Boolean(values) => out.extend_from_slice(if values[row] != 0 { b"true" } else { b"false" }),
        Values::Text(strings) => text::write_string(out, strings.get(row)),
        Values::Bytes(strings) => text::write_string(out, String::from_utf8_lossy(strings.get(row)).as_bytes()),
        Values::Json(strings) => out.extend_from_slice(strings.get(row)),
    }
}
