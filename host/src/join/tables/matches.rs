//! Both tables by the foreign key: the right row, and the left rows that name it. A change of either is answered at once.
//!
//! Every row is an entry of its own in a snapshot. Little-endian:
//!
//! | key    | field                                                |
//! |--------|------------------------------------------------------|
//! | 1      | side: 0 left, 1 right                                |
//! | 4      | length of the foreign key: `u32`                     |
//! | ..     | the foreign key                                      |
//! | rest   | the left row's own key; nothing for the right row    |
//!
//! | value  | field                                                |
//! |--------|------------------------------------------------------|
//! | 1      | version of this form, 1                              |
//! | 8      | time: `i64`, ms                                      |
//! | 8      | the left row's version: `i64`; 0 for the right row   |
//! | rest   | the row                                              |

mod cold;

use super::{Answers, Instruction, Instructions, Version};
use crate::batch::{self, EventTime, Keys};
use crate::column::Strings;
use crate::join::Side;
use crate::spill::{Copied, SpillError};
use crate::state::{Chest, Delta, Entry, Spills, TableId};
use hashbrown::HashTable;
use std::collections::BTreeMap;
use std::sync::Arc;

const FORM: u8 = 1;
const VALUE_HEAD_BYTES: usize = 17;
/// Memory that a row takes besides its bytes, and a foreign key besides its text. About.
const ROW_COST: usize = size_of::<Row>() + 64;
const SLOT_COST: usize = size_of::<Slot>() + 32;

/// A row of either table.
#[derive(Debug)]
struct Row {
    time: EventTime,
    version: Version,
    bytes: Box<[u8]>,
    /// True where the next snapshot must hold it.
    dirty: bool,
    /// True where a snapshot may hold it.
    stored: bool,
}

/// What is known of one foreign key.
#[derive(Debug)]
struct Slot {
    hash: u64,
    key: Arc<[u8]>,
    right: Option<Row>,
    /// By their own keys.
    left: BTreeMap<Arc<[u8]>, Row>,
    /// True when it was used since it was last looked at for a key to move to the disk.
    hot: bool,
    /// What the disk has of it.
    copied: Copied,
}

/// A row that changed: the foreign key with its hash, and the own key of a left row.
type Changed = (u64, Arc<[u8]>, Option<Arc<[u8]>>);

/// Why an entry cannot be taken back.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MatchesEntryError {
    /// No version of this code wrote it.
    #[error(
        "a row of two joined tables is not what was written: {key_bytes} bytes of key and {value_bytes} of value do not hold one"
    )]
    Damaged {
        /// Length of the entry's key.
        key_bytes: usize,
        /// Length of its value.
        value_bytes: usize,
    },
    /// There is no room for it.
    #[error(transparent)]
    Spill(#[from] SpillError),
}

/// Both tables by the foreign key, in one worker.
///
/// Cost of a change of a left row: one look-up of the foreign key, and one among the rows that name it. A change of a right row costs an answer for
/// each of these.
#[derive(Debug)]
pub struct Matches {
    /// Whether left rows go on that name no right row.
    keeps: bool,
    /// Index into `slots`, by the foreign key's hash.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Rows changed since the last seal.
    dirty: Vec<Changed>,
    /// Entries that snapshots hold and that are gone since the last seal.
    deleted: Vec<(u16, Vec<u8>)>,
    /// Memory in use, bytes, about.
    held: usize,
    /// What the next seal writes, bytes, about.
    changed: usize,
    /// The foreign keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
}

impl Matches {
    /// `keeps` says whether left rows go on that name no right row.
    pub fn new(keeps: bool) -> Self {
        Matches {
            keeps,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            deleted: Vec::new(),
            held: 0,
            changed: 0,
            cold: None,
        }
    }

    /// Changes of left rows. `hashes` are those of their foreign keys.
    ///
    /// # Errors
    /// The disk's, where foreign keys are there.
    pub fn left(&mut self, input: &Instructions, hashes: &[u64]) -> Result<Answers, SpillError> {
        self.warm_texts(&input.foreign, hashes)?;
        let mut answers = Answers::default();
        for (at, &hash) in hashes.iter().enumerate() {
            let (foreign, own, row) = (input.foreign.get(at), input.own.get(at), input.rows.get(at));
            let (version, time) = (input.versions[at], input.times[at]);
            match input.instructions[at] {
                // Nothing to wait for: a null is no key.
                Instruction::Arrives if foreign.is_empty() => {
                    answers.push(own, version, time, self.keeps.then_some((row, None)));
                }
                Instruction::Arrives => self.arrives((hash, foreign), own, (version, time, row), &mut answers),
                Instruction::Leaves => self.forget((hash, foreign), own),
                Instruction::Ends => {
                    self.forget((hash, foreign), own);
                    answers.push(own, version, time, None);
                }
            }
        }
        Ok(answers)
    }

    fn arrives(
        &mut self,
        (hash, foreign): (u64, &[u8]),
        own: &[u8],
        (version, time, bytes): (Version, EventTime, &[u8]),
        answers: &mut Answers,
    ) {
        let keeps = self.keeps;
        let at = self.find_or_add(hash, foreign);
        let slot = &mut self.slots[at as usize];
        slot.copied.changed();
        match &slot.right {
            Some(right) => answers.push(own, version, time.max(right.time), Some((bytes, Some(&right.bytes)))),
            None => answers.push(own, version, time, keeps.then_some((bytes, None))),
        }
        let row = |stored| Row { time, version, bytes: bytes.into(), dirty: true, stored };
        self.held += ROW_COST + bytes.len();
        let was_dirty = match slot.left.get_mut(own) {
            Some(held) => {
                self.held -= held.cost();
                std::mem::replace(held, row(held.stored)).dirty
            }
            None => {
                slot.left.insert(own.into(), row(false));
                false
            }
        };
        if !was_dirty {
            self.changed += ROW_COST + bytes.len();
            self.dirty.push((hash, Arc::clone(&slot.key), Some(own.into())));
        }
    }

    fn forget(&mut self, (hash, foreign): (u64, &[u8]), own: &[u8]) {
        let Some(at) = self.find(hash, foreign) else { return };
        let slot = &mut self.slots[at as usize];
        slot.copied.changed();
        let removed = slot.left.remove(own);
        self.held -= removed.as_ref().map_or(0, Row::cost);
        if removed.is_some_and(|it| it.stored) {
            self.changed += foreign.len() + own.len();
            self.deleted.push((batch::key_group(hash), entry_key(Side::Left, foreign, own)));
        }
        self.tidy(at);
    }

    /// Rows of the right table, by the foreign keys that name them; `deletes` says which are gone.
    ///
    /// # Errors
    /// The disk's, where foreign keys are there.
    pub fn right(
        &mut self,
        keys: &Keys,
        times: &[EventTime],
        rows: &Strings,
        deletes: &[bool],
    ) -> Result<Answers, SpillError> {
        self.warm(keys)?;
        let mut answers = Answers::default();
        for (at, &time) in times.iter().enumerate() {
            let (key, hash) = (keys.texts.get(at), keys.hashes[at]);
            let bytes = (!deletes[at]).then(|| rows.get(at));
            if bytes.is_none() && self.find(hash, key).is_none() {
                continue;
            }
            let slot_at = self.find_or_add(hash, key);
            let slot = &mut self.slots[slot_at as usize];
            slot.copied.changed();
            for (own, left) in &slot.left {
                let row = (bytes.is_some() || self.keeps).then_some((&*left.bytes, bytes));
                // A row that was not there does not end.
                if bytes.is_some() || slot.right.is_some() {
                    answers.push(own, left.version, time.max(left.time), row);
                }
            }
            let before = slot.right.take();
            self.held -= before.as_ref().map_or(0, Row::cost);
            self.held += bytes.map_or(0, |it| ROW_COST + it.len());
            let (stored, dirty) = before.map_or((false, false), |it| (it.stored, it.dirty));
            match bytes {
                Some(bytes) => {
                    slot.right = Some(Row { time, version: 0, bytes: bytes.into(), dirty: true, stored });
                    if !dirty {
                        self.changed += ROW_COST + bytes.len();
                        self.dirty.push((hash, Arc::clone(&slot.key), None));
                    }
                }
                None => {
                    if stored {
                        self.changed += key.len();
                        self.deleted.push((batch::key_group(hash), entry_key(Side::Right, key, b"")));
                    }
                    self.tidy(slot_at);
                }
            }
        }
        Ok(answers)
    }

    /// Writes what changed since the last call.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        self.changed = 0;
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        for (group, key) in self.deleted.drain(..) {
            delta.delete(table, group, &key);
        }
        let mut value = Vec::new();
        for (hash, foreign, own) in std::mem::take(&mut self.dirty) {
            // What has gone since was never stored, or is deleted above, or went to the disk.
            let Some(at) = self.find(hash, &foreign) else { continue };
            let slot = &mut self.slots[at as usize];
            let row = match &own {
                Some(own) => slot.left.get_mut(own),
                None => slot.right.as_mut(),
            };
            if let Some(row) = row {
                row.write((table, hash), (&foreign, own.as_deref()), &mut value, delta);
            }
        }
    }

    /// Takes an entry back.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), MatchesEntryError> {
        let value_bytes = entry.value.map_or(0, <[u8]>::len);
        let damaged = || MatchesEntryError::Damaged { key_bytes: entry.key.len(), value_bytes };
        let (side, foreign, own) = parts(entry.key).ok_or_else(damaged)?;
        let hash = batch::hash(foreign);
        self.settle()?;
        let known = self.warm_key(hash, foreign)?;
        let Some(value) = entry.value else {
            if let Some(at) = known {
                let slot = &mut self.slots[at as usize];
                slot.copied.changed();
                let removed = match side {
                    Side::Left => slot.left.remove(own),
                    Side::Right => slot.right.take(),
                };
                self.held -= removed.as_ref().map_or(0, Row::cost);
                self.tidy(at);
            }
            return Ok(());
        };
        let (head, bytes) = value.split_first_chunk::<VALUE_HEAD_BYTES>().ok_or_else(damaged)?;
        if head[0] != FORM {
            return Err(damaged());
        }
        let number = |from: usize| i64::from_le_bytes(std::array::from_fn(|it| head[from + it]));
        let row = Row { time: number(1), version: number(9), bytes: bytes.into(), dirty: false, stored: true };
        let at = self.find_or_add(hash, foreign);
        let slot = &mut self.slots[at as usize];
        slot.copied.changed();
        self.held += row.cost();
        let replaced = match side {
            Side::Left => slot.left.insert(own.into(), row),
            Side::Right => slot.right.replace(row),
        };
        self.held -= replaced.as_ref().map_or(0, Row::cost);
        Ok(())
    }

    /// Foreign keys that are named or there.
    pub fn keys(&self) -> usize {
        self.index.len() + self.cold_keys()
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |&at: &u32| {
            let slot = &self.slots[at as usize];
            slot.hash == hash && *slot.key == *key
        };
        self.index.find(hash, same).copied()
    }

    fn find_or_add(&mut self, hash: u64, key: &[u8]) -> u32 {
        if let Some(at) = self.find(hash, key) {
            self.slots[at as usize].hot = true;
            return at;
        }
        self.held += SLOT_COST + key.len();
        let slot =
            Slot { hash, key: key.into(), right: None, left: BTreeMap::new(), hot: true, copied: Copied::default() };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |it| slots[*it as usize].hash);
        at
    }

    /// Forgets the key if it has no rows.
    fn tidy(&mut self, at: u32) {
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
        let slot = &mut self.slots[at as usize];
        if let Ok(entry) = self.index.find_entry(slot.hash, |&it| it == at) {
            entry.remove();
        }
        let rows = slot.left.values().chain(&slot.right).map(Row::cost).sum::<usize>();
        self.held -= SLOT_COST + slot.key.len() + rows;
        (slot.key, slot.right, slot.left) = (Arc::default(), None, BTreeMap::new());
        self.free.push(at);
    }
}

impl Slot {
    /// True where it has no rows: then it is free, or about to be.
    fn is_empty(&self) -> bool {
        self.right.is_none() && self.left.is_empty()
    }
}

impl Row {
    /// Memory that it takes, bytes, about.
    fn cost(&self) -> usize {
        ROW_COST + self.bytes.len()
    }

    /// Writes the row of a foreign key, and the left one's own, if it has changed since it was last written.
    fn write(
        &mut self,
        (table, hash): (TableId, u64),
        (foreign, own): (&[u8], Option<&[u8]>),
        value: &mut Vec<u8>,
        delta: &mut Delta,
    ) {
        if !self.dirty {
            return;
        }
        value.clear();
        value.push(FORM);
        value.extend(self.time.to_le_bytes());
        value.extend(self.version.to_le_bytes());
        value.extend_from_slice(&self.bytes);
        let side = if own.is_some() { Side::Left } else { Side::Right };
        let key = entry_key(side, foreign, own.unwrap_or_default());
        delta.put(table, batch::key_group(hash), &key, value);
        (self.dirty, self.stored) = (false, true);
    }
}

fn entry_key(side: Side, foreign: &[u8], own: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + foreign.len() + own.len());
    out.push(side.index() as u8);
    out.extend((foreign.len() as u32).to_le_bytes());
    out.extend_from_slice(foreign);
    out.extend_from_slice(own);
    out
}

/// The side, the foreign key and the own key that an entry's key holds.
fn parts(key: &[u8]) -> Option<(Side, &[u8], &[u8])> {
    let (&[side, a, b, c, d], rest) = key.split_first_chunk::<5>()?;
    let (foreign, own) = rest.split_at_checked(u32::from_le_bytes([a, b, c, d]) as usize)?;
    match side {
        0 => Some((Side::Left, foreign, own)),
        1 if own.is_empty() => Some((Side::Right, foreign, own)),
        _ => None,
    }
}
