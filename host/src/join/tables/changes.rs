//! The left table by its own key: which foreign key each row names, so that a row that names another one leaves the first.
//!
//! What is kept of a row is, as the state of its key ([`KeyedState`]), its version (`i64`, little-endian) and its foreign key.

use super::{Instruction, Instructions, Version};
use crate::batch::{EventTime, Keys};
use crate::column::Strings;
use crate::spill::SpillError;
use crate::state::{Delta, Entry, EntryError, KeyedState, Spills, TableId};

/// The changes of the left table, in one worker.
///
/// Cost of a record: one look-up of its key, and one change of its state.
#[derive(Debug)]
pub struct Changes {
    state: KeyedState,
    next: Version,
}

/// Records of the left table.
#[derive(Clone, Copy, Debug)]
pub struct LeftRows<'a> {
    /// Their keys; none is empty.
    pub own: &'a Keys,
    /// The foreign keys that they name; empty for none.
    pub foreign: &'a Strings,
    /// Their times.
    pub times: &'a [EventTime],
    /// The records as bytes.
    pub rows: &'a Strings,
    /// Which of them say that their row is gone.
    pub deletes: &'a [bool],
}

impl Changes {
    /// No rows yet. `table` is the step's in the snapshots.
    pub fn new(table: TableId) -> Self {
        Changes { state: KeyedState::new(table), next: 0 }
    }

    /// A batch of records: what they mean to the owners of foreign keys, in order.
    ///
    /// # Errors
    /// The disk's, where keys are there.
    pub fn process(&mut self, input: &LeftRows<'_>) -> Result<Instructions, SpillError> {
        self.state.warm(input.own)?;
        let mut out = Instructions::default();
        let mut state = Vec::new();
        for (at, &time) in input.times.iter().enumerate() {
            let (own, hash) = (input.own.texts.get(at), input.own.hashes[at]);
            let before = self.state.get(hash, own).and_then(foreign_of);
            if input.deletes[at] {
                // A row that was never there has nobody to tell.
                let Some(before) = before else { continue };
                out.push((before, own), self.next, Instruction::Ends, time, b"");
                self.state.set(hash, own, None);
            } else {
                let foreign = input.foreign.get(at);
                if let Some(before) = before.filter(|it| *it != foreign && !it.is_empty()) {
                    out.push((before, own), self.next, Instruction::Leaves, time, b"");
                }
                out.push((foreign, own), self.next, Instruction::Arrives, time, input.rows.get(at));
                state.clear();
                state.extend(self.next.to_le_bytes());
                state.extend_from_slice(foreign);
                self.state.set(hash, own, Some(&state));
            }
            self.next += 1;
        }
        Ok(out)
    }

    /// Writes what changed since the last call.
    pub fn seal(&mut self, delta: &mut Delta) {
        self.state.seal(delta);
    }

    /// Takes an entry back.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        self.state.restore(entry)
    }

    /// Everything has been taken back: versions go on after those that are in use.
    ///
    /// # Errors
    /// The disk's, where keys are there.
    pub fn resume(&mut self) -> Result<(), SpillError> {
        let mut newest = self.state.states().filter_map(|it| version_of(it.2)).max();
        let mut after = None;
        while let Some(keys) = self.state.warm_page(&mut after)? {
            let states = keys.hashes.iter().enumerate().map(|(row, &hash)| self.state.get(hash, keys.texts.get(row)));
            newest = newest.max(states.filter_map(|it| version_of(it?)).max());
            self.state.settle()?;
        }
        self.next = newest.map_or(0, |it| it + 1).max(self.next);
        Ok(())
    }

    /// Rows of the table.
    pub fn keys(&self) -> usize {
        self.state.len()
    }

    /// What is kept.
    pub fn state(&self) -> &KeyedState {
        &self.state
    }

    /// The same, to be moved.
    pub fn state_mut(&mut self) -> &mut KeyedState {
        &mut self.state
    }
}

fn version_of(state: &[u8]) -> Option<Version> {
    state.first_chunk().map(|it| Version::from_le_bytes(*it))
}

fn foreign_of(state: &[u8]) -> Option<&[u8]> {
    state.get(size_of::<Version>()..)
}
