//! What a window writes.

use super::accumulators::{Accumulators, SlotId};
use crate::column::Strings;

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
    /// What was computed.
    pub values: O,
}

impl<O> Fired<O> {
    /// No rows yet.
    pub(super) fn new<A: Accumulators<Output = O>>(folds: &A) -> Self {
        Fired { keys: Strings::default(), starts: Vec::new(), ends: Vec::new(), values: folds.output(0) }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
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
