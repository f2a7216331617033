//! Two tables joined by a foreign key: a field of the left table's rows names the key of a row of the right one. The result is a
//! table by the left one's key: a change of either side changes it.
//!
//! Three operators, each where its key is owned:
//!
//! | operator    | owned by            | keeps                                           | gives                                          |
//! |-------------|---------------------|-------------------------------------------------|------------------------------------------------|
//! | [`Changes`] | the left key        | the foreign key of each left row                | the row to its foreign key, and word to the one before |
//! | [`Matches`] | the foreign key     | the right row, and the left rows that name it   | an answer for each left row, on a change of either |
//! | [`Results`] | the left key again  | which rows are out                              | the row, or that it is gone                    |
//!
//! Two owners of foreign keys answer in no order that means anything: the earlier one may tell of its right row's change when the left
//! row has gone to the other one. So each change of a left row has a version, its answers carry it, and [`Results`] drops what is
//! older than what it has seen (Kafka Streams compares a hash of the left row: KIP-213). An owner hears of a row's departure in the
//! epoch in which its successor hears of the arrival; so past a barrier nothing stale is under way, and what was seen is forgotten.

mod changes;
mod matches;
mod results;

pub use changes::{Changes, LeftRows};
pub use matches::{Matches, MatchesEntryError};
pub use results::{Outcome, Results};

use super::Half;
use crate::batch::EventTime;
use crate::column::Strings;

/// Numbers the changes of left rows: of two of one row the later one has the larger.
pub type Version = i64;

/// What a change of a left row means to the owner of a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// The row names this foreign key, with these values: to be kept and answered.
    Arrives,
    /// The row named this foreign key and names another one now: to be forgotten.
    Leaves,
    /// The row is gone: to be forgotten and answered.
    Ends,
}

impl Instruction {
    /// As a number, for a column.
    pub fn code(self) -> i64 {
        match self {
            Instruction::Arrives => 0,
            Instruction::Leaves => 1,
            Instruction::Ends => 2,
        }
    }

    /// The instruction of a number; none for any other.
    pub fn of(code: i64) -> Option<Self> {
        [Instruction::Arrives, Instruction::Leaves, Instruction::Ends].into_iter().find(|it| it.code() == code)
    }
}

/// What changes of left rows mean to the owners of foreign keys. Every list has one entry a row.
#[derive(Clone, Debug, Default)]
pub struct Instructions {
    /// The foreign keys; empty for none, which matches nothing.
    pub foreign: Strings,
    /// The left keys.
    pub own: Strings,
    /// The changes' versions.
    pub versions: Vec<Version>,
    /// What is to be done.
    pub instructions: Vec<Instruction>,
    /// The times of the changes.
    pub times: Vec<EventTime>,
    /// The left rows; empty where they end or leave.
    pub rows: Strings,
}

impl Instructions {
    fn push(
        &mut self,
        (foreign, own): (&[u8], &[u8]),
        version: Version,
        instruction: Instruction,
        time: EventTime,
        row: &[u8],
    ) {
        self.foreign.push(foreign);
        self.own.push(own);
        self.versions.push(version);
        self.instructions.push(instruction);
        self.times.push(time);
        self.rows.push(row);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

/// What left rows come to. Every list has one entry a row.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The left keys.
    pub own: Strings,
    /// The versions of the left rows.
    pub versions: Vec<Version>,
    /// The later of the times of the two rows, or of the change that ended one.
    pub times: Vec<EventTime>,
    /// The left and the right rows. Without a left one the result has no row of this key.
    pub rows: [Half; 2],
}

impl Answers {
    fn push(&mut self, own: &[u8], version: Version, time: EventTime, row: Option<(&[u8], Option<&[u8]>)>) {
        self.own.push(own);
        self.versions.push(version);
        self.times.push(time);
        self.rows[0].push(row.map(|it| it.0));
        self.rows[1].push(row.and_then(|it| it.1));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

#[cfg(test)]
mod tests;
