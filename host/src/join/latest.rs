//! A stream joined with a table as it is on arrival: each record meets the value that its key has by then, whatever the
//! times of the two. Records are never late, and event time is not waited for; so the result depends on which input
//! was read first.

use super::store::{EntryError, Store};
use super::{Arrivals, Joined, Side};
use crate::batch::EventTime;
use crate::spill::SpillError;
use crate::state::{Delta, Entry, Spills, TableId};

/// The join with the present value of a table, in one worker.
#[derive(Debug)]
pub struct Latest {
    /// Whether records without a value go on.
    keeps: bool,
    store: Store,
}

/// Values are stored under one time: a newer one takes the place of the older.
const NO_TIME: EventTime = 0;

impl Latest {
    /// `keeps` says whether records go on whose key has no value.
    pub fn new(keeps: bool) -> Self {
        Latest { keeps, store: Store::default() }
    }

    /// Records of the stream, or values of the table.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn process(&mut self, side: Side, input: &Arrivals<'_>) -> Result<Joined, SpillError> {
        self.store.warm(input.keys)?;
        let mut joined = Joined::default();
        for (row, &time) in input.times.iter().enumerate() {
            let (key, hash) = (input.keys.texts.get(row), input.keys.hashes[row]);
            let bytes = input.rows.get(row);
            match side {
                Side::Right if key.is_empty() => {}
                Side::Right => self.set(key, hash, bytes, input.deletes.get(row).is_some_and(|it| *it)),
                Side::Left => {
                    let slot = self.store.find(hash, key);
                    let value = slot.and_then(|it| self.store.slot(it).sides[1].front()).map(|it| &*it.bytes);
                    if value.is_some() || self.keeps {
                        joined.pairs.push(key, time, Side::Left, bytes, value);
                        joined.pairs.origins.push(row as u32);
                    }
                }
            }
        }
        Ok(joined)
    }

    fn set(&mut self, key: &[u8], hash: u64, value: &[u8], deletes: bool) {
        let slot = self.store.find_or_add(hash, key);
        self.store.pop(slot, Side::Right);
        if deletes {
            self.store.tidy(slot);
        } else {
            self.store.insert(slot, Side::Right, NO_TIME, value, false, false);
        }
    }

    /// Writes what changed since the last call.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        self.store.seal(table, delta);
    }

    /// Takes an entry back.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        self.store.restore(entry).map(|_| ())
    }

    /// What is kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same, to be moved.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Keys that have values.
    pub fn keys(&self) -> usize {
        self.store.keys()
    }
}
