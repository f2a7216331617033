//! What goes into a call and what comes out of it.

use crate::column::Column;

/// Records for a plugin.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// How many there are; at most `u32::MAX`.
    pub rows: usize,
    /// One column of `rows` rows for each field that the plugin reads, in the order of `spec.reads`, of its kind.
    pub columns: &'a [&'a Column],
    /// No record on time is older than this, ms since the Unix epoch; `i64::MIN` before the first watermark.
    pub watermark: i64,
}

/// The checked answers to a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Produced {
    /// Output. A port may have several tables: its rows are theirs in this order. None is empty.
    pub tables: Vec<Table>,
    /// Rows that go to the dead letters, by row; each once.
    pub rejects: Vec<Rejected>,
}

/// Output rows for one port.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Index into `spec.ports`.
    pub port: usize,
    /// What each output row was made from: the row of the call. In `on_timers` that is the timer's row (and so its
    /// group), in `finish` the window's.
    pub origins: Vec<u32>,
    /// The rows' content.
    pub body: Body,
}

/// The content of output rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Each is its origin record, byte for byte. Never from `on_timers` and `finish`: those rows have no record.
    Unchanged,
    /// One column for each field of the port, in that order, as long as `origins`.
    Columns(Vec<Column>),
}

/// A row that goes to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The row of the call.
    pub row: u32,
    /// Why; at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// False: the plugin refused the row. True: the plugin failed on it.
    pub fault: bool,
}

/// Length of a reason, in bytes: it travels in a header.
pub const REASON_BYTES_MAX: usize = 2_048;

/// `text`, cut to `bytes_max` bytes where it is longer.
pub(super) fn clip(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
