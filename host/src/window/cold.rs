//! Windows whose keys are on the disk: what their operators do alike.
//!
//! A key goes there whole, with all that is kept of it, and comes back when a record of it arrives or when something of it is due: mostly the close of
//! the first of its windows. Keys are there by hash and text: the order of the rows of a window. So those of a window that closes are read one after
//! the other, and the window is written in parts, each of them of some keys from the disk and of those in memory that lie between.
//!
//! What is due is numbered by the operator: by window, by bucket, or by time.

use super::StateError;
use super::keys::{KeyId, KeyTable};
use crate::spill::{Cold, Due, Moved, Queue, SpillError};
use crate::state::{Chest, Spills};
use std::collections::VecDeque;

/// Keys brought back at once, at most, where many are due. Tests have many where there are a few.
const WARMED_MAX: usize = if cfg!(test) { 2 } else { 1_024 };
const HASH_BYTES: usize = 8;
/// Bytes of a key's text, at most; longer ones stay in memory.
const TEXT_BYTES_MAX: usize = Cold::KEY_BYTES_MAX - HASH_BYTES;

/// Windows whose keys go to the disk: what each kind does in its own way. The rest is [`Spills`], the same for all.
pub(super) trait ColdWindows {
    /// What is kept of a key.
    type Kept: Default;

    /// As [`Spills::chest`].
    fn chest(&self) -> Option<&Chest>;

    /// As [`Spills::chest_mut`].
    fn chest_mut(&mut self) -> &mut Option<Box<Chest>>;

    /// The keys in memory.
    fn table(&self) -> &KeyTable<Self::Kept>;

    /// The same, to be changed.
    fn table_mut(&mut self) -> &mut KeyTable<Self::Kept>;

    /// As [`Spills::bytes`].
    fn bytes(&self) -> usize;

    /// What the next snapshot will hold of keys in memory and of what was removed, bytes, about.
    fn unsealed_bytes(&self) -> usize;

    /// False where a key is to stay, and where `id` names none.
    fn may_go(&self, id: KeyId) -> bool;

    /// When a key that goes has to be back, as the operator numbers what is due; none where only a record brings it back.
    fn due(&self, id: KeyId) -> Option<i64>;

    /// Writes what the next snapshot must hold of a key that goes into `chest.early`, and over `chest.value` the key itself. Nothing where nothing is left
    /// of it: then it is gone.
    fn pack(&mut self, id: KeyId, chest: &mut Chest);

    /// Frees what a key holds that was written.
    fn free(&mut self, id: KeyId);

    /// A key as [`ColdWindows::pack`] wrote it.
    ///
    /// # Errors
    /// Where it wrote something else.
    fn unpack(&mut self, hash: u64, text: &[u8], value: &[u8]) -> Result<KeyId, StateError>;

    /// Keys have gone: takes what names no key out of all lists that are not checked when they are read.
    fn unlist(&mut self);
}

impl<W: ColdWindows> Spills for W {
    fn chest(&self) -> Option<&Chest> {
        ColdWindows::chest(self)
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        ColdWindows::chest_mut(self)
    }

    fn bytes(&self) -> usize {
        ColdWindows::bytes(self)
    }

    fn changed_bytes(&self) -> usize {
        let early = ColdWindows::chest(self).map_or(0, |it| it.early.bytes().len());
        early + self.unsealed_bytes()
    }

    fn slots(&self) -> usize {
        self.table().slots()
    }

    fn touch(&mut self, hash: u64, key: &[u8]) -> Option<u32> {
        let id = self.table().find(hash, key)?;
        self.table_mut().touch(id);
        Some(id.slot())
    }

    fn take_back(&mut self, chest: &mut Chest, hash: u64, key: &[u8]) -> Result<Option<u32>, SpillError> {
        if !take(chest, hash, key)? {
            return Ok(None);
        }
        let id = self.unpack(hash, key, &chest.value).map_err(|_| chest.cold.damaged())?;
        self.table_mut().touch(id);
        Ok(Some(id.slot()))
    }

    fn pass(&mut self, chest: &mut Chest) -> Result<(), SpillError> {
        let id = KeyId::of(chest.hand);
        if self.table_mut().cool(id) || !self.may_go(id) || self.table()[id].text.len() > TEXT_BYTES_MAX {
            return Ok(());
        }
        let due = self.due(id);
        self.pack(id, chest);
        if !chest.value.is_empty() {
            let (mut place, key) = (Vec::new(), &self.table()[id]);
            name(&mut place, key.hash, &key.text);
            chest.cold.put(Moved { key: &place, value: &chest.value, due: [due, None] })?;
        }
        self.free(id);
        self.table_mut().leave(id);
        Ok(())
    }

    fn moved(&mut self) {
        if self.table().left() {
            // What is free is in no list: its id is about to name another key.
            self.unlist();
            self.table_mut().reuse();
        }
    }
}

/// A row in the order in which rows are written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The window, or when it closes.
    pub(super) number: i64,
    hash: u64,
    text: Box<[u8]>,
}

impl Place {
    fn of<T: Default>(number: i64, id: KeyId, keys: &KeyTable<T>) -> Self {
        Place { number, hash: keys[id].hash, text: keys[id].text.clone() }
    }

    /// True where the key is before that of this row.
    pub(super) fn is_after<T: Default>(&self, id: KeyId, keys: &KeyTable<T>) -> bool {
        keys.is_before(id, (self.hash, &self.text))
    }
}

/// What closes at one time is written in part: some keys of it are on the disk, or there are many.
#[derive(Debug)]
pub(super) struct Part {
    /// The first row that was not written.
    pub(super) until: Place,
    /// Keys in memory that were not written, in the order of rows.
    pub(super) rest: VecDeque<KeyId>,
}

/// What is written next, in order, of what closes at one time: `keys`, which are in order, and those that wait in `part`, as far as they are before
/// `next`, which is the first that is on the disk. All others wait.
fn turn<T: Default>(
    part: &mut Option<Box<Part>>,
    mut keys: Vec<KeyId>,
    next: Option<Box<Place>>,
    table: &KeyTable<T>,
) -> Vec<KeyId> {
    let before = |id: &KeyId| next.as_ref().is_none_or(|it| it.is_after(*id, table));
    let mut rest = part.take().map_or_else(VecDeque::new, |it| it.rest);
    let mut now: Vec<KeyId> = rest.drain(..rest.partition_point(before)).collect();
    let waiting = keys.split_off(keys.partition_point(before));
    now.append(&mut keys);
    now.sort_by(|a, b| table.compare(*a, *b)); // Two runs at most.
    if let Some(until) = next {
        rest.extend(waiting);
        rest.make_contiguous().sort_by(|a, b| table.compare(*a, *b));
        *part = Some(Box::new(Part { until: *until, rest }));
    }
    now
}

/// As [`turn`], but at most `rows_max` keys of what closes as `number`, and at least one.
pub(super) fn turn_some<T: Default>(
    part: &mut Option<Box<Part>>,
    keys: Vec<KeyId>,
    next: Option<Box<Place>>,
    table: &KeyTable<T>,
    (number, rows_max): (i64, usize),
) -> Vec<KeyId> {
    let rows_max = rows_max.max(1);
    // Those that wait are not moved: there may be a thousand times as many.
    if let Some(part) = part.as_mut().filter(|it| it.rest.len() > rows_max && keys.is_empty() && next.is_none()) {
        let now = part.rest.drain(..rows_max).collect();
        part.until = Place::of(number, part.rest[0], table);
        return now;
    }
    let mut now = turn(part, keys, next, table);
    if now.len() > rows_max {
        let mut rest = VecDeque::from(now.split_off(rows_max));
        let until = Place::of(number, rest[0], table);
        rest.extend(part.take().into_iter().flat_map(|it| it.rest));
        *part = Some(Box::new(Part { until, rest }));
    }
    now
}

/// Writes the name that a key has on the disk.
fn name(out: &mut Vec<u8>, hash: u64, text: &[u8]) {
    out.clear();
    out.extend_from_slice(&hash.to_be_bytes());
    out.extend_from_slice(text);
}

/// Takes a key off the disk, without a copy that stays there: its bytes are in the chest's `value`. False where it is not there.
fn take(chest: &mut Chest, hash: u64, text: &[u8]) -> Result<bool, SpillError> {
    let mut key = Vec::with_capacity(HASH_BYTES + text.len());
    name(&mut key, hash, text);
    let found = chest.cold.take(&key, &mut chest.value)?;
    if found {
        chest.cold.forget(&key);
    }
    Ok(found)
}

/// True where something on the disk may be due by `until`.
pub(super) fn may_be_due(windows: &impl Spills, until: i64) -> bool {
    windows.chest().is_some_and(|it| it.cold.may_be_due(Queue::Timers, until))
}

/// Brings the next keys back that are due by `until`, as many as may be at once. The first one that stays, if there is one.
pub(super) fn warm_due(windows: &mut impl Spills, until: i64) -> Result<Option<Box<Place>>, SpillError> {
    if !may_be_due(windows, until) {
        return Ok(None);
    }
    windows.settle()?;
    let Some(chest) = windows.chest_mut() else { return Ok(None) };
    let mut due = chest.cold.due(Queue::Timers, until, WARMED_MAX + 1)?;
    let next = due.split_off(due.len().min(WARMED_MAX)).pop();
    for it in &due {
        let (hash, text) = hash_and_text(it);
        windows.warm_key(hash, text)?;
    }
    if let (None, Some(chest)) = (&next, windows.chest_mut()) {
        // Nothing is: so it is known that nothing is due.
        chest.cold.due(Queue::Timers, until, 1)?;
    }
    Ok(next.map(|it| {
        let (hash, text) = hash_and_text(&it);
        Box::new(Place { number: it.at, hash, text: text.into() })
    }))
}

/// What [`name`] wrote.
fn hash_and_text(due: &Due) -> (u64, &[u8]) {
    due.key.split_first_chunk().map_or((0, &[]), |(hash, text)| (u64::from_be_bytes(*hash), text))
}
