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

use super::{Answers, Instruction, Instructions, Version};
use crate::batch::{self, EventTime, Keys};
use crate::column::Strings;
use crate::join::Side;
use crate::state::{Delta, Entry, TableId};
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
}

/// A row that changed: the foreign key with its hash, and the own key of a left row.
type Changed = (u64, Arc<[u8]>, Option<Arc<[u8]>>);

/// An entry that no version of this code wrote.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a row of two joined tables is not what was written: {key_bytes} bytes of key and {value_bytes} of value do not hold one"
)]
pub struct MatchesEntryError {
    /// Length of the entry's key.
    pub key_bytes: usize,
    /// Length of its value.
    pub value_bytes: usize,
}

/// Both tables by the foreign key, in one worker.
///
/// Cost of a change of a left row: one look-up of the foreign key, and one among the rows that name it. A change of a right row costs an answer for
/// each of these.
#[derive(Debug)]
pub struct Matches {
    /// Whether left rows go on that name no right row.
    keeps: bool,
    slots: HashTable<Slot>,
    /// Rows changed since the last seal.
    dirty: Vec<Changed>,
    /// Entries that snapshots hold and that are gone since the last seal.
    deleted: Vec<(u16, Vec<u8>)>,
    /// Memory of the rows, bytes, about.
    held: usize,
}

impl Matches {
    /// `keeps` says whether left rows go on that name no right row.
    pub fn new(keeps: bool) -> Self {
        Matches { keeps, slots: HashTable::new(), dirty: Vec::new(), deleted: Vec::new(), held: 0 }
    }

    /// Changes of left rows. `hashes` are those of their foreign keys.
    pub fn left(&mut self, input: &Instructions, hashes: &[u64]) -> Answers {
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
        answers
    }

    fn arrives(
        &mut self,
        (hash, foreign): (u64, &[u8]),
        own: &[u8],
        (version, time, bytes): (Version, EventTime, &[u8]),
        answers: &mut Answers,
    ) {
        let keeps = self.keeps;
        let slot = slot(&mut self.slots, hash, foreign);
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
            self.dirty.push((hash, Arc::clone(&slot.key), Some(own.into())));
        }
    }

    fn forget(&mut self, (hash, foreign): (u64, &[u8]), own: &[u8]) {
        let Some(slot) = find(&mut self.slots, hash, foreign) else { return };
        let removed = slot.left.remove(own);
        self.held -= removed.as_ref().map_or(0, Row::cost);
        if removed.is_some_and(|it| it.stored) {
            self.deleted.push((batch::key_group(hash), entry_key(Side::Left, foreign, own)));
        }
        tidy(&mut self.slots, hash, foreign);
    }

    /// Rows of the right table, by the foreign keys that name them; `deletes` says which are gone.
    pub fn right(&mut self, keys: &Keys, times: &[EventTime], rows: &Strings, deletes: &[bool]) -> Answers {
        let mut answers = Answers::default();
        for (at, &time) in times.iter().enumerate() {
            let (key, hash) = (keys.texts.get(at), keys.hashes[at]);
            let bytes = (!deletes[at]).then(|| rows.get(at));
            if bytes.is_none() && find(&mut self.slots, hash, key).is_none() {
                continue;
            }
            let slot = slot(&mut self.slots, hash, key);
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
                        self.dirty.push((hash, Arc::clone(&slot.key), None));
                    }
                }
                None => {
                    if stored {
                        self.deleted.push((batch::key_group(hash), entry_key(Side::Right, key, b"")));
                    }
                    tidy(&mut self.slots, hash, key);
                }
            }
        }
        answers
    }

    /// Writes what changed since the last call.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        for (group, key) in self.deleted.drain(..) {
            delta.delete(table, group, &key);
        }
        let mut value = Vec::new();
        for (hash, foreign, own) in std::mem::take(&mut self.dirty) {
            // What has gone since was never stored, or is deleted above.
            let Some(slot) = find(&mut self.slots, hash, &foreign) else { continue };
            let (row, side) = match &own {
                Some(own) => (slot.left.get_mut(own), Side::Left),
                None => (slot.right.as_mut(), Side::Right),
            };
            let Some(row) = row.filter(|it| it.dirty) else { continue };
            value.clear();
            value.push(FORM);
            value.extend(row.time.to_le_bytes());
            value.extend(row.version.to_le_bytes());
            value.extend_from_slice(&row.bytes);
            let key = entry_key(side, &foreign, own.as_deref().unwrap_or_default());
            delta.put(table, batch::key_group(hash), &key, &value);
            (row.dirty, row.stored) = (false, true);
        }
    }

    /// Takes an entry back.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), MatchesEntryError> {
        let value_bytes = entry.value.map_or(0, <[u8]>::len);
        let damaged = || MatchesEntryError { key_bytes: entry.key.len(), value_bytes };
        let (side, foreign, own) = parts(entry.key).ok_or_else(damaged)?;
        let hash = batch::hash(foreign);
        let Some(value) = entry.value else {
            if let Some(slot) = find(&mut self.slots, hash, foreign) {
                let removed = match side {
                    Side::Left => slot.left.remove(own),
                    Side::Right => slot.right.take(),
                };
                self.held -= removed.as_ref().map_or(0, Row::cost);
                tidy(&mut self.slots, hash, foreign);
            }
            return Ok(());
        };
        let (head, bytes) = value.split_first_chunk::<VALUE_HEAD_BYTES>().ok_or_else(damaged)?;
        if head[0] != FORM {
            return Err(damaged());
        }
        let number = |from: usize| i64::from_le_bytes(std::array::from_fn(|it| head[from + it]));
        let row = Row { time: number(1), version: number(9), bytes: bytes.into(), dirty: false, stored: true };
        let slot = slot(&mut self.slots, hash, foreign);
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
        self.slots.len()
    }

    /// Memory in use, bytes, about.
    pub fn bytes(&self) -> usize {
        self.held + self.slots.len() * SLOT_COST
    }
}

impl Row {
    /// Memory that it takes, bytes, about.
    fn cost(&self) -> usize {
        ROW_COST + self.bytes.len()
    }
}

fn find<'a>(slots: &'a mut HashTable<Slot>, hash: u64, key: &[u8]) -> Option<&'a mut Slot> {
    slots.find_mut(hash, |it| it.hash == hash && *it.key == *key)
}

fn slot<'a>(slots: &'a mut HashTable<Slot>, hash: u64, key: &[u8]) -> &'a mut Slot {
    let entry = slots.entry(hash, |it| it.hash == hash && *it.key == *key, |it| it.hash);
    entry.or_insert_with(|| Slot { hash, key: key.into(), right: None, left: BTreeMap::new() }).into_mut()
}

/// Forgets the key if it has no rows.
fn tidy(slots: &mut HashTable<Slot>, hash: u64, key: &[u8]) {
    let same = |it: &Slot| it.hash == hash && *it.key == *key && it.right.is_none() && it.left.is_empty();
    if let Ok(found) = slots.find_entry(hash, same) {
        found.remove();
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
