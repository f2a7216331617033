//! Joins: which rows of two streams belong together, decided by key and event time.
//!
//! Pure: rows come as bytes that mean nothing here ([`row`] makes them), with their keys, their times and what event time
//! is; what goes out is pairs of them. It knows no clock, no thread, no Kafka and no plugin.
//!
//! | operator     | left                                     | right                             | rules of                         |
//! |--------------|------------------------------------------|-----------------------------------|----------------------------------|
//! | [`Interval`] | kept until no match can come             | the same                          | Flink's interval join            |
//! | [`Windowed`] | kept until its windows have closed       | the same                          | Flink's window join              |
//! | [`AsOf`]     | waits until the watermark has its time   | versions, the newest at each time | Flink's event-time temporal join |
//! | [`Latest`]   | answered on arrival                      | the value of each key             | Kafka Streams' `KStream`-`KTable` |
//!
//! [`tables`] joins two tables by a foreign key, with rules of its own.
//!
//! Rules that all others share: an empty key is no key and matches nothing (SQL's null); rows of one key keep the order in which they came. A
//! record is late when its time is *before* the watermark, and one at the watermark is taken, as Flink's joins have it; for windows it
//! is late when they have all closed.

mod as_of;
mod grid;
mod interval;
mod latest;
pub mod row;
mod store;
pub mod tables;
mod windowed;

pub use as_of::AsOf;
pub use interval::Interval;
pub use latest::Latest;
pub use store::{EntryError, Store};
pub use windowed::Windowed;

use crate::batch::{EventTime, Keys, RowTimes};
use crate::column::Strings;

/// One of the two inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// What the step reads `from`.
    #[default]
    Left,
    /// What it joins `with`.
    Right,
}

impl Side {
    /// 0 and 1.
    pub fn index(self) -> usize {
        match self {
            Side::Left => 0,
            Side::Right => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// Records of one side.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals<'a> {
    /// Their keys; an empty text is no key.
    pub keys: &'a Keys,
    /// Their event times.
    pub times: &'a [EventTime],
    /// The records as bytes.
    pub rows: &'a Strings,
    /// Records that say that their key has no value any more; empty for none, else one a row.
    pub deletes: &'a [bool],
    /// Event time at each of them, both inputs counted.
    pub clock: &'a RowTimes,
}

impl Arrivals<'_> {
    /// The watermark at each row that is behind it, in order of rows.
    fn late(&self) -> Vec<u32> {
        let before = |it: &&(u32, EventTime)| self.times[it.0 as usize] < it.1;
        self.clock.stragglers.iter().filter(before).map(|it| it.0).collect()
    }
}

/// Rows that belong together.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// The key of each; empty for none.
    pub keys: Strings,
    /// The event time of each: the later of the two, or the last millisecond of the window that they are in.
    pub times: Vec<EventTime>,
    /// The first millisecond of the window of each; empty where the join has none.
    pub starts: Vec<EventTime>,
    /// The left and the right rows.
    pub rows: [Half; 2],
    /// The arrival that made each; empty where event time did, as it does for all windows.
    pub origins: Vec<u32>,
}

/// One side of pairs.
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// The rows; empty bytes where there is none.
    pub rows: Strings,
    /// True where there is none.
    pub missing: Vec<bool>,
}

impl Half {
    fn push(&mut self, row: Option<&[u8]>) {
        self.rows.push(row.unwrap_or_default());
        self.missing.push(row.is_none());
    }
}

impl Pairs {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a pair of a row of `side` with one of the other side, or with none.
    fn push(&mut self, key: &[u8], time: EventTime, side: Side, row: &[u8], other: Option<&[u8]>) {
        self.keys.push(key);
        self.times.push(time);
        self.rows[side.index()].push(Some(row));
        self.rows[side.other().index()].push(other);
    }
}

/// What came of a batch.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// Rows that belong together.
    pub pairs: Pairs,
    /// Records that were too late, in order.
    pub late: Vec<u32>,
}

#[cfg(test)]
mod tests;
