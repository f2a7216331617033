//! Windows: which records belong together, when a result is due, and what is too late.
//!
//! Pure: no clock, no randomness, no thread, no Kafka, no plugin. A worker hands over a batch with the keys of its rows and
//! what event time was at them ([`Input`]), then the watermark, and gets rows back ([`Fired`]). Results depend on the
//! records and on the watermark at each, never on where a batch ends; so does what is late. State is written by
//! `seal` as what changed since the last one, and a restored operator goes on exactly as the one that was sealed.
//!
//! Rules are Flink's: a window closes when the watermark reaches its last millisecond, and a record is late when all its
//! windows have closed.

mod accumulators;
mod builtin;
mod calendar;
mod cold;
mod counted;
mod entry;
mod fired;
mod keys;
mod layout;
mod operator;
mod panes;
mod repeated;
mod rolling;
mod sessions;
mod sliding;
mod top;

pub use accumulators::{Accumulators, Add, Merge, SlotId};
pub use builtin::{Builtin, UnfitField};
pub use counted::Counted;
pub use entry::StateError;
pub use fired::{Fired, Pane, Processed, RowKind, Timing};
pub use operator::Operator;
pub use panes::Panes;
pub use repeated::Repeated;
pub use rolling::Rolling;
pub use sessions::Sessions;
pub use sliding::Sliding;
pub use top::{Ranked, Top};

use crate::batch::{Keys, RowTimes};
use crate::column::Column;

/// One batch, keyed.
///
/// Invariant: `keys`, `times`, each of `columns`, and `gaps` where there are any, have one entry a row. A row that `clock` does not list as a straggler is
/// after every watermark so far.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Each row's key.
    pub keys: &'a Keys,
    /// Each row's event time, ms.
    pub times: &'a [i64],
    /// What the aggregates read: for [`Builtin`] one for each aggregate with a field, in order.
    pub columns: &'a [&'a Column],
    /// The watermark at each row.
    pub clock: &'a RowTimes,
    /// Each row's own gap for sessions, ms; 0 for that of the window, and empty where there is none.
    pub gaps: &'a [i64],
}

#[cfg(test)]
mod tests;
