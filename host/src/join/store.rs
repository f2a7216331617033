//! What a join keeps: for each key, rows of both sides in the order of their times.
//!
//! Every row is an entry of its own in a snapshot, so that a key with many rows costs what changed and not what there is.
//! Little-endian:
//!
//! | key    | field                                                                     |
//! |--------|---------------------------------------------------------------------------|
//! | 1      | side: 0 left, 1 right                                                     |
//! | 8      | time: `i64`, ms                                                           |
//! | 8      | number: `u64`, tells rows of one time apart and keeps the order of arrival |
//! | rest   | the canonical key                                                         |
//!
//! | value  | field                                                                     |
//! |--------|---------------------------------------------------------------------------|
//! | 1      | version, 1                                                                |
//! | 1      | flags: 1 for a row that has matched, 2 for one that deletes               |
//! | rest   | the row                                                                   |

use super::Side;
use crate::batch::{self, EventTime};
use crate::state::{Delta, Entry, TableId};
use hashbrown::HashTable;
use std::collections::{BTreeSet, VecDeque};

const VERSION: u8 = 1;
const KEY_HEAD_BYTES: usize = 17;
const MATCHED: u8 = 1;
const DELETES: u8 = 2;

/// One row that is kept.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) time: EventTime,
    number: u64,
    /// True once it was part of a pair.
    pub(super) matched: bool,
    /// True where it says that its key has no value.
    pub(super) deletes: bool,
    /// True where the next snapshot must hold it.
    dirty: bool,
    /// True where a snapshot may hold it.
    stored: bool,
    pub(super) bytes: Box<[u8]>,
}

/// The rows of one key.
#[derive(Debug)]
pub(super) struct Slot {
    hash: u64,
    pub(super) key: Box<[u8]>,
    /// By time, then in the order in which they came.
    pub(super) sides: [VecDeque<Row>; 2],
    due: Option<EventTime>,
    dirty: bool,
}

/// An entry that no version of this code wrote.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// The value is of another version.
    #[error("a row of a join is of version {found}, this wasmill reads version 1; use the version that wrote it")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The entry is cut short or does not add up.
    #[error(
        "a row of a join is not what was written: {key_bytes} bytes of key and {value_bytes} of value do not hold one"
    )]
    Damaged {
        /// Length of the entry's key.
        key_bytes: usize,
        /// Length of its value.
        value_bytes: usize,
    },
}

/// The rows of all keys of one worker.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Index into `slots`, by the key's hash.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots with rows that changed since the last seal.
    dirty: Vec<u32>,
    /// Entries that snapshots hold and that are gone since the last seal.
    deleted: Vec<(u16, Vec<u8>)>,
    /// When there is something to do for a slot, at most once a slot.
    due: BTreeSet<(EventTime, u32)>,
    next_number: u64,
}

impl Slot {
    /// When there is something to do for it.
    pub(super) fn due(&self) -> Option<EventTime> {
        self.due
    }
}

impl Store {
    /// Keys that have rows.
    pub(super) fn keys(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |&at: &u32| {
            let slot = &self.slots[at as usize];
            slot.hash == hash && *slot.key == *key
        };
        self.index.find(hash, same).copied()
    }

    pub(super) fn find_or_add(&mut self, hash: u64, key: &[u8]) -> u32 {
        if let Some(at) = self.find(hash, key) {
            return at;
        }
        let slot = Slot { hash, key: key.into(), sides: Default::default(), due: None, dirty: false };
        let at = match self.free.pop() {
            Some(at) => {
                // It may still be in the list of dirty ones: then it is there once, for whichever key it has by then.
                let dirty = self.slots[at as usize].dirty;
                self.slots[at as usize] = Slot { dirty, ..slot };
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |&it| slots[it as usize].hash);
        at
    }

    pub(super) fn slot(&self, at: u32) -> &Slot {
        &self.slots[at as usize]
    }

    /// Keeps a row, after those of its time.
    pub(super) fn insert(&mut self, at: u32, side: Side, time: EventTime, bytes: &[u8], matched: bool, deletes: bool) {
        let number = self.next_number;
        self.next_number += 1;
        let row = Row { time, number, matched, deletes, dirty: true, stored: false, bytes: bytes.into() };
        self.place(at, side, row);
        self.touch(at);
    }

    fn place(&mut self, at: u32, side: Side, row: Row) {
        let rows = &mut self.slots[at as usize].sides[side.index()];
        // Mostly the newest one: looked for from the end.
        let order = (row.time, row.number);
        if rows.back().is_none_or(|last| (last.time, last.number) < order) {
            rows.push_back(row);
        } else {
            let place = rows.partition_point(|it| (it.time, it.number) < order);
            rows.insert(place, row);
        }
    }

    /// Marks row `row` of a side as part of a pair.
    pub(super) fn mark(&mut self, at: u32, side: Side, row: usize) {
        let row = &mut self.slots[at as usize].sides[side.index()][row];
        if !row.matched {
            (row.matched, row.dirty) = (true, true);
            self.touch(at);
        }
    }

    /// Takes the oldest row of a side.
    pub(super) fn pop(&mut self, at: u32, side: Side) -> Option<Row> {
        self.remove(at, side, 0)
    }

    /// Takes row `row` of a side.
    pub(super) fn remove(&mut self, at: u32, side: Side, row: usize) -> Option<Row> {
        let slot = &mut self.slots[at as usize];
        let row = slot.sides[side.index()].remove(row)?;
        if row.stored {
            self.deleted.push((batch::key_group(slot.hash), entry_key(side, &row, &slot.key)));
        }
        Some(row)
    }

    /// Sees to it that [`Store::next_due`] answers the slot when the watermark has passed `time`; none for never.
    pub(super) fn schedule(&mut self, at: u32, time: Option<EventTime>) {
        let slot = &mut self.slots[at as usize];
        if slot.due == time {
            return;
        }
        if let Some(old) = slot.due {
            self.due.remove(&(old, at));
        }
        slot.due = time;
        self.due.extend(time.map(|it| (it, at)));
    }

    /// The next slot that is due when event time has come to `time`; it is scheduled no more.
    pub(super) fn next_due(&mut self, time: EventTime) -> Option<u32> {
        let first = self.due.first().filter(|it| it.0 <= time)?.1;
        self.due.pop_first();
        self.slots[first as usize].due = None;
        Some(first)
    }

    /// Forgets the key if it has no rows.
    pub(super) fn tidy(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        if slot.sides.iter().any(|it| !it.is_empty()) {
            return;
        }
        if let Ok(entry) = self.index.find_entry(slot.hash, |&it| it == at) {
            entry.remove();
        }
        self.schedule(at, None);
        let slot = &mut self.slots[at as usize];
        (slot.key, slot.sides) = (Box::default(), Default::default());
        self.free.push(at);
    }

    /// Writes the rows that changed since the last call.
    pub(super) fn seal(&mut self, table: TableId, delta: &mut Delta) {
        for (group, key) in self.deleted.drain(..) {
            delta.delete(table, group, &key);
        }
        let mut value = Vec::new();
        for at in std::mem::take(&mut self.dirty) {
            let Slot { hash, key, sides, dirty, .. } = &mut self.slots[at as usize];
            *dirty = false;
            for side in [Side::Left, Side::Right] {
                for row in sides[side.index()].iter_mut().filter(|it| it.dirty) {
                    value.clear();
                    let matched = if row.matched { MATCHED } else { 0 };
                    let deletes = if row.deletes { DELETES } else { 0 };
                    value.extend([VERSION, matched | deletes]);
                    value.extend_from_slice(&row.bytes);
                    delta.put(table, batch::key_group(*hash), &entry_key(side, row, key), &value);
                    (row.dirty, row.stored) = (false, true);
                }
            }
        }
    }

    /// Takes an entry back. Answers the slot that has it now; none for an entry that deletes.
    pub(super) fn restore(&mut self, entry: Entry<'_>) -> Result<Option<u32>, EntryError> {
        let damaged =
            || EntryError::Damaged { key_bytes: entry.key.len(), value_bytes: entry.value.map_or(0, <[u8]>::len) };
        let (head, key) = entry.key.split_first_chunk::<KEY_HEAD_BYTES>().ok_or_else(damaged)?;
        let time = EventTime::from_le_bytes(std::array::from_fn(|it| head[1 + it]));
        let number = u64::from_le_bytes(std::array::from_fn(|it| head[9 + it]));
        let side = match head[0] {
            0 => Side::Left,
            1 => Side::Right,
            _ => return Err(damaged()),
        };
        let hash = batch::hash(key);
        if let Some(at) = self.find(hash, key) {
            // A later entry wins.
            let rows = &mut self.slots[at as usize].sides[side.index()];
            rows.retain(|it| (it.time, it.number) != (time, number));
            if entry.value.is_none() {
                self.tidy(at);
            }
        }
        let Some(value) = entry.value else { return Ok(None) };
        let (&[version, flags], bytes) = value.split_first_chunk::<2>().ok_or_else(damaged)?;
        if version != VERSION {
            return Err(EntryError::Version { found: version });
        }
        if flags & !(MATCHED | DELETES) != 0 {
            return Err(damaged());
        }
        let at = self.find_or_add(hash, key);
        let (matched, deletes) = (flags & MATCHED != 0, flags & DELETES != 0);
        self.place(at, side, Row { time, number, matched, deletes, dirty: false, stored: true, bytes: bytes.into() });
        self.next_number = self.next_number.max(number + 1);
        Ok(Some(at))
    }

    fn touch(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(at);
        }
    }
}

fn entry_key(side: Side, row: &Row, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(KEY_HEAD_BYTES + key.len());
    out.push(side.index() as u8);
    out.extend_from_slice(&row.time.to_le_bytes());
    out.extend_from_slice(&row.number.to_le_bytes());
    out.extend_from_slice(key);
    out
}
