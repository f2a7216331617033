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

mod cold;

use super::Side;
use crate::batch::{self, EventTime};
use crate::spill::{Copied, SpillError};
use crate::state::{Chest, Delta, Entry, Spills, TableId};
use hashbrown::HashTable;
use std::collections::{BTreeSet, VecDeque};

const VERSION: u8 = 1;
const KEY_HEAD_BYTES: usize = 17;
const MATCHED: u8 = 1;
const DELETES: u8 = 2;
/// Memory that a key takes besides its text and rows, and a row besides its bytes. About.
const SLOT_COST: usize = size_of::<Slot>() + 48;
const ROW_COST: usize = size_of::<Row>() + 16;

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
    /// True when it was used since it was last looked at for a key to move to the disk.
    hot: bool,
    /// What the disk has of it.
    copied: Copied,
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
    /// What is on the disk of it cannot be read or written.
    #[error(transparent)]
    Spill(#[from] SpillError),
}

/// The rows of all keys of one worker.
///
/// Keys that were not used of late may be moved to the disk (`cold`). Whoever is about to use keys by name says so first
/// (`warm`); what event time reaches comes back by itself.
#[derive(Debug, Default)]
pub struct Store {
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
    /// Memory in use, bytes, about.
    held: usize,
    /// What the next seal writes, bytes, about.
    changed: usize,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
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
        self.index.len() + self.cold_keys()
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
        let (sides, copied) = Default::default();
        let slot = Slot { hash, key: key.into(), sides, due: None, dirty: false, hot: true, copied };
        self.held += SLOT_COST + key.len();
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
        self.changed += ROW_COST + bytes.len();
        self.place(at, side, row);
        self.touch(at);
    }

    fn place(&mut self, at: u32, side: Side, row: Row) {
        self.held += ROW_COST + row.bytes.len();
        let slot = &mut self.slots[at as usize];
        slot.copied.changed();
        let rows = &mut slot.sides[side.index()];
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
            self.changed += ROW_COST + row.bytes.len();
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
        slot.hot = true;
        slot.copied.changed();
        self.held -= ROW_COST + row.bytes.len();
        if row.stored {
            let key = entry_key(side, &row, &slot.key);
            self.changed += key.len() + size_of_val(&key);
            self.deleted.push((batch::key_group(slot.hash), key));
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

    /// The next slot that is due when event time has come to `time`, and since when; it is scheduled no more.
    pub(super) fn next_due(&mut self, time: EventTime) -> Result<Option<(EventTime, u32)>, SpillError> {
        self.warm_due(time)?;
        let Some(&(due, first)) = self.due.first().filter(|it| it.0 <= time) else { return Ok(None) };
        self.due.pop_first();
        self.slots[first as usize].due = None;
        Ok(Some((due, first)))
    }

    /// Forgets the key if it has no rows.
    pub(super) fn tidy(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        if !slot.is_empty() {
            return;
        }
        if let (Some(chest), true) = (&mut self.cold, slot.copied != Copied::Not) {
            chest.cold.forget(&slot.key);
        }
        self.vacate(at);
    }

    /// Makes the slot free for another key. What its rows took is no longer counted.
    fn vacate(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        if let Ok(entry) = self.index.find_entry(slot.hash, |&it| it == at) {
            entry.remove();
        }
        self.schedule(at, None);
        let slot = &mut self.slots[at as usize];
        let rows = slot.sides.iter().flatten().map(|it| ROW_COST + it.bytes.len()).sum::<usize>();
        self.held -= SLOT_COST + slot.key.len() + rows;
        (slot.key, slot.sides) = (Box::default(), Default::default());
        self.free.push(at);
    }

    /// Writes the rows that changed since the last call.
    pub(super) fn seal(&mut self, table: TableId, delta: &mut Delta) {
        self.changed = 0;
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        for (group, key) in self.deleted.drain(..) {
            delta.delete(table, group, &key);
        }
        let mut value = Vec::new();
        for at in std::mem::take(&mut self.dirty) {
            let slot = &mut self.slots[at as usize];
            slot.dirty = false;
            slot.write(table, &mut value, delta);
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
        self.settle()?;
        if let Some(at) = self.warm_key(hash, key)? {
            // A later entry wins.
            let slot = &mut self.slots[at as usize];
            slot.copied.changed();
            let (rows, held) = (&mut slot.sides[side.index()], &mut self.held);
            rows.retain(|it| {
                let stays = (it.time, it.number) != (time, number);
                *held -= if stays { 0 } else { ROW_COST + it.bytes.len() };
                stays
            });
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
        slot.hot = true;
        slot.copied.changed();
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(at);
        }
    }
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.sides.iter().all(VecDeque::is_empty)
    }

    /// Writes the rows that the next snapshot must hold. `value` is scratch.
    fn write(&mut self, table: TableId, value: &mut Vec<u8>, delta: &mut Delta) {
        for side in [Side::Left, Side::Right] {
            for row in self.sides[side.index()].iter_mut().filter(|it| it.dirty) {
                value.clear();
                value.extend([VERSION, row.flags()]);
                value.extend_from_slice(&row.bytes);
                delta.put(table, batch::key_group(self.hash), &entry_key(side, row, &self.key), value);
                (row.dirty, row.stored) = (false, true);
            }
        }
    }
}

impl Row {
    fn flags(&self) -> u8 {
        (if self.matched { MATCHED } else { 0 }) | (if self.deletes { DELETES } else { 0 })
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
