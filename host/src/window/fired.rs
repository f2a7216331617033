//! What a window writes.

use super::accumulators::{Accumulators, SlotId};
use crate::column::Strings;

/// When a pane was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Before the watermark reached the window's last millisecond.
    Early,
    /// When it did.
    OnTime,
    /// After it.
    Late,
}

impl Timing {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Timing::Early => "early",
            Timing::OnTime => "on-time",
            Timing::Late => "late",
        }
    }
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// The window's values.
    Result,
    /// The values of an earlier row, which no longer hold.
    Retraction,
    /// That there is no window of these bounds any more; the values mean nothing.
    Tombstone,
}

/// Which pane of its window a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pane {
    /// When it was written.
    pub timing: Timing,
    /// How many were written before it.
    pub index: u64,
    /// What the row says.
    pub kind: RowKind,
}

/// Rows of windows: by the window's end, then in a fixed order of keys; the rows of `emit = "on-update"` in the order of the
/// records that made them.
///
/// Invariant: every list, and `values`, has one entry a row.
#[derive(Clone, Debug)]
pub struct Fired<O> {
    /// The keys' canonical texts.
    pub keys: Strings,
    /// The windows' first milliseconds.
    pub starts: Vec<i64>,
    /// The windows' ends, exclusive; `i64::MAX` where the end is beyond it.
    pub ends: Vec<i64>,
    /// Which pane of its window each row is; empty where windows do not remember what they wrote.
    pub panes: Vec<Pane>,
    /// What was computed.
    pub values: O,
}

impl<O> Fired<O> {
    /// No rows yet.
    pub(super) fn new<A: Accumulators<Output = O>>(folds: &A) -> Self {
        let (starts, ends, panes) = (Vec::new(), Vec::new(), Vec::new());
        Fired { keys: Strings::default(), starts, ends, panes, values: folds.output(0) }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Makes room for `rows` more, but for their keys' bytes and their values.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.keys.reserve(rows);
        self.starts.reserve(rows);
        self.ends.reserve(rows);
    }

    pub(super) fn push<A: Accumulators<Output = O>>(
        &mut self,
        folds: &A,
        key: &[u8],
        bounds: (i64, i64),
        slot: SlotId,
    ) {
        self.keys.push(key);
        self.starts.push(bounds.0);
        self.ends.push(bounds.1);
        folds.collect(slot, &mut self.values);
    }

    /// As [`Fired::push`], with which pane it is. An operator writes either all rows with it or none.
    pub(super) fn push_pane<A: Accumulators<Output = O>>(
        &mut self,
        folds: &A,
        key: &[u8],
        bounds: (i64, i64),
        slot: SlotId,
        pane: Pane,
    ) {
        self.push(folds, key, bounds, slot);
        self.panes.push(pane);
    }
}

/// What a batch led to.
#[derive(Clone, Debug)]
pub struct Processed<O> {
    /// Rows that the batch's records made: those of `emit = "on-update"`, and of windows that had closed before a straggler.
    pub fired: Fired<O>,
    /// Rolling only: the answers, one for each row of the batch; those of late rows are over no records.
    pub answers: Option<O>,
    /// Rows that were late for all their windows, in order. They changed nothing.
    pub late: Vec<u32>,
}

impl<O> Processed<O> {
    pub(super) fn new<A: Accumulators<Output = O>>(folds: &A) -> Self {
        Processed { fired: Fired::new(folds), answers: None, late: Vec::new() }
    }
}
