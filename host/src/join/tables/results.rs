//! The result by the left table's key: takes the answers in the order in which they come, drops those that are older than what
//! was seen, and tells a row that ends from one that was never there.
//!
//! What is kept of a row that is out is, as the state of its key ([`KeyedState`]), nothing but that it is there.

use super::Version;
use crate::batch::Keys;
use crate::spill::SpillError;
use crate::state::{Delta, Entry, EntryError, KeyedState, Spills, TableId};
use std::collections::HashMap;
use std::collections::hash_map::Entry as Seen;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The row goes out.
    Row,
    /// The row that is out is gone: a tombstone.
    End,
    /// Nothing: it is stale, or nothing was there before.
    Nothing,
}

/// The result, in one worker.
#[derive(Debug)]
pub struct Results {
    /// The keys whose rows are out.
    out: KeyedState,
    /// The newest version of each key that was answered in this epoch.
    newest: HashMap<Box<[u8]>, Version>,
}

impl Results {
    /// No rows yet. `table` is the step's in the snapshots.
    pub fn new(table: TableId) -> Self {
        Results { out: KeyedState::new(table), newest: HashMap::new() }
    }

    /// Answers by left key; `rows` says which of them are a row that is to be out.
    ///
    /// # Errors
    /// The disk's, where keys are there.
    pub fn process(&mut self, own: &Keys, versions: &[Version], rows: &[bool]) -> Result<Vec<Outcome>, SpillError> {
        self.out.warm(own)?;
        let each = versions.iter().zip(rows).enumerate();
        Ok(each.map(|(at, (&version, &row))| self.take((own.hashes[at], own.texts.get(at)), version, row)).collect())
    }

    fn take(&mut self, (hash, own): (u64, &[u8]), version: Version, row: bool) -> Outcome {
        match self.newest.entry(own.into()) {
            Seen::Occupied(mut seen) => {
                if version < *seen.get() {
                    return Outcome::Nothing;
                }
                seen.insert(version);
            }
            Seen::Vacant(seen) => drop(seen.insert(version)),
        }
        let was_out = self.out.get(hash, own).is_some();
        self.out.set(hash, own, row.then_some(b""));
        match (row, was_out) {
            (true, _) => Outcome::Row,
            (false, true) => Outcome::End,
            (false, false) => Outcome::Nothing,
        }
    }

    /// Writes what changed since the last call. It is called at a barrier, behind which no answer comes that is older than one before it.
    pub fn seal(&mut self, delta: &mut Delta) {
        self.newest.clear();
        self.out.seal(delta);
    }

    /// Takes an entry back.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        self.out.restore(entry)
    }

    /// Rows that are out.
    pub fn keys(&self) -> usize {
        self.out.len()
    }

    /// What is kept.
    pub fn state(&self) -> &KeyedState {
        &self.out
    }

    /// The same, to be moved.
    pub fn state_mut(&mut self) -> &mut KeyedState {
        &mut self.out
    }
}
