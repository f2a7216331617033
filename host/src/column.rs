//! Columns: the values of one field for every record of a batch, in the layout of the boundary (`wit/wasmill.wit`).
//!
//! A column is what `decode` makes, what steps read and write, and what a plugin is handed without a copy of our own. It
//! knows no JSON, no plugin and no window.

/// What a column holds. The first six are the boundary's; `Number` never crosses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A 64-bit signed integer.
    S64,
    /// A 64-bit float; a JSON integer is accepted and widened.
    F64,
    /// True or false.
    Boolean,
    /// Valid UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// Any JSON value as its text.
    Json,
    /// A JSON number whose kind was not declared: an integer is an `i64`, any other number an `f64`, row by row.
    Number,
}

impl Kind {
    /// The name used in pipeline files and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::S64 => "s64",
            Kind::F64 => "f64",
            Kind::Boolean => "boolean",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
            Kind::Json => "json",
            Kind::Number => "number",
        }
    }
}

/// A number of undeclared kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer that fits 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
}

/// Byte strings laid end to end: string `i` is `data[offsets[i]..offsets[i + 1]]`.
///
/// Invariant: `offsets` has one entry more than there are strings, the first 0, never decreasing, the last `data.len()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strings {
    /// Where each string starts, in bytes, and where the last one ends.
    pub offsets: Vec<u32>,
    /// The strings' bytes, end to end.
    pub data: Vec<u8>,
}

impl Default for Strings {
    fn default() -> Self {
        Strings { offsets: vec![0], data: Vec::new() }
    }
}

impl Strings {
    /// No strings yet, with room for `rows` strings of `bytes` bytes together.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Strings { offsets, data: Vec::with_capacity(bytes) }
    }

    /// Makes room for `rows` more strings, but not for their bytes.
    pub fn reserve(&mut self, rows: usize) {
        self.offsets.reserve(rows);
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// String `row`. Panics past the end.
    pub fn get(&self, row: usize) -> &[u8] {
        &self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// Adds a string at the end.
    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.finish();
    }

    /// Ends the string whose bytes the caller has just written to the end of `data`.
    pub fn finish(&mut self) {
        self.offsets.push(self.data.len() as u32);
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.offsets.windows(2).map(|it| &self.data[it[0] as usize..it[1] as usize])
    }

    /// The strings of `rows`, in that order.
    pub fn gather(&self, rows: &[u32]) -> Strings {
        let bytes = rows.iter().map(|&row| self.get(row as usize).len()).sum();
        let mut out = Strings::with_capacity(rows.len(), bytes);
        for &row in rows {
            out.push(self.get(row as usize));
        }
        out
    }
}

/// The values of a column. A null row holds 0, 0.0 or an empty string.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// See [`Kind::S64`].
    S64(Vec<i64>),
    /// See [`Kind::F64`].
    F64(Vec<f64>),
    /// One byte a row: 0 is false, 1 is true.
    Boolean(Vec<u8>),
    /// Valid UTF-8.
    Text(Strings),
    /// Any bytes.
    Bytes(Strings),
    /// JSON texts.
    Json(Strings),
    /// See [`Kind::Number`].
    Number(Vec<Number>),
}

/// The values of one field, one a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The values.
    pub values: Values,
    /// Empty when no row is null; otherwise one byte a row, 1 for null.
    pub nulls: Vec<u8>,
}

impl From<Values> for Column {
    /// A column without nulls.
    fn from(values: Values) -> Self {
        Column { values, nulls: Vec::new() }
    }
}

impl Column {
    /// A column of `kind` without rows, with room for `rows`.
    pub fn empty(kind: Kind, rows: usize) -> Self {
        let strings = || Strings::with_capacity(rows, rows * 16);
        Column::from(match kind {
            Kind::S64 => Values::S64(Vec::with_capacity(rows)),
            Kind::F64 => Values::F64(Vec::with_capacity(rows)),
            Kind::Boolean => Values::Boolean(Vec::with_capacity(rows)),
            Kind::Text => Values::Text(strings()),
            Kind::Bytes => Values::Bytes(strings()),
            Kind::Json => Values::Json(strings()),
            Kind::Number => Values::Number(Vec::with_capacity(rows)),
        })
    }

    /// A column of `rows` nulls.
    pub fn null(kind: Kind, rows: usize) -> Self {
        let mut column = Column::empty(kind, rows);
        for _ in 0..rows {
            column.push_null();
        }
        column
    }

    /// What the column holds.
    pub fn kind(&self) -> Kind {
        match &self.values {
            Values::S64(_) => Kind::S64,
            Values::F64(_) => Kind::F64,
            Values::Boolean(_) => Kind::Boolean,
            Values::Text(_) => Kind::Text,
            Values::Bytes(_) => Kind::Bytes,
            Values::Json(_) => Kind::Json,
            Values::Number(_) => Kind::Number,
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::S64(values) => values.len(),
            Values::F64(values) => values.len(),
            Values::Boolean(values) => values.len(),
            Values::Text(strings) | Values::Bytes(strings) | Values::Json(strings) => strings.len(),
            Values::Number(values) => values.len(),
        }
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when `row` is null.
    pub fn is_null(&self, row: usize) -> bool {
        !self.nulls.is_empty() && self.nulls[row] != 0
    }

    /// Adds a null row.
    pub fn push_null(&mut self) {
        let rows = self.len();
        match &mut self.values {
            Values::S64(values) => values.push(0),
            Values::F64(values) => values.push(0.0),
            Values::Boolean(values) => values.push(0),
            Values::Text(strings) | Values::Bytes(strings) | Values::Json(strings) => strings.finish(),
            Values::Number(values) => values.push(Number::Int(0)),
        }
        self.nulls.resize(rows, 0);
        self.nulls.push(1);
    }

    /// Call after a value was pushed to `values` directly: keeps `nulls` as long as the column where it is in use.
    pub fn pushed(&mut self) {
        if !self.nulls.is_empty() {
            self.nulls.push(0);
        }
    }

    /// The rows `rows`, in that order.
    pub fn gather(&self, rows: &[u32]) -> Column {
        fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|&row| values[row as usize]).collect()
        }
        let values = match &self.values {
            Values::S64(values) => Values::S64(pick(values, rows)),
            Values::F64(values) => Values::F64(pick(values, rows)),
            Values::Boolean(values) => Values::Boolean(pick(values, rows)),
            Values::Text(strings) => Values::Text(strings.gather(rows)),
            Values::Bytes(strings) => Values::Bytes(strings.gather(rows)),
            Values::Json(strings) => Values::Json(strings.gather(rows)),
            Values::Number(values) => Values::Number(pick(values, rows)),
        };
        let nulls = if self.nulls.is_empty() { Vec::new() } else { pick(&self.nulls, rows) };
        let nulls = if nulls.contains(&1) { nulls } else { Vec::new() };
        Column { values, nulls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_after_values_marks_only_itself() {
        let mut column = Column::from(Values::S64(vec![7, 8]));
        column.push_null();
        assert_eq!((column.is_null(0), column.is_null(1), column.is_null(2)), (false, false, true));
        assert_eq!(column.len(), 3);
    }

    #[test]
    fn gather_keeps_order_and_drops_a_mask_that_marks_nothing() {
        let mut column = Column::empty(Kind::Text, 2);
        let Values::Text(strings) = &mut column.values else { unreachable!() };
        strings.push(b"ann");
        strings.push(b"bob");
        column.push_null();
        let picked = column.gather(&[1, 0, 1]);
        let Values::Text(strings) = &picked.values else { unreachable!() };
        assert_eq!(strings.iter().collect::<Vec<_>>(), [b"bob", b"ann", b"bob"]);
        assert!(picked.nulls.is_empty());
        assert!(column.gather(&[2]).is_null(0));
    }
}
