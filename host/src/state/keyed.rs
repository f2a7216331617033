//! Keyed state and timers: what a keyed plugin keeps for each key, and when it asked to be called again.
//!
//! A key has state (bytes in the plugin's own form, or none) and timers: an id with an event time, at most one of each id.
//! A key with neither is forgotten. It knows no plugin and no clock: event time is handed in as a watermark.
//!
//! The entry of a key in a [`Delta`] has the key's canonical text as its key, and this value, little-endian:
//!
//! | bytes  | field                                        |
//! |--------|----------------------------------------------|
//! | 1      | version: 1, or 2 where state expires         |
//! | 1      | 1 where there is state, else 0               |
//! | 4      | how many timers                              |
//! | 12 * n | timers by id: `id: u32`, `at: i64`           |
//! | 8      | version 2: last use, `i64`                   |
//! | rest   | the state                                    |
//!
//! State may expire: so long after the key was last used, in event time, it is as though there were none, for whichever
//! record or timer comes then. It is deleted when the watermark is there. A key that was restored without a last use is taken to have been used at
//! the watermark of the restart.
//!
//! Keys that were not used of late may be moved to the disk (`cold`). Whoever is about to use keys by name says so first
//! ([`KeyedState::warm`]); what event time reaches comes back by itself.

mod cold;

use super::{Chest, Delta, Entry, Spills, TableId};
use crate::batch::{self, EventTime, Keys};
use crate::spill::{Copied, SpillError};
use hashbrown::HashTable;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const VERSION: u8 = 1;
/// The version of entries of state that expires.
const VERSION_USED: u8 = 2;
const USED_BYTES: usize = 8;
/// Of a key that was never used since its state counts as state that expires.
const NEVER: EventTime = EventTime::MIN;
const HEAD_BYTES: usize = 6;
const TIMER_BYTES: usize = 12;
/// Memory that a key takes besides its text and state: its slot, its place in the index, and what allocations cost. About.
const SLOT_COST: usize = size_of::<Slot>() + 48;
/// Memory that a timer takes. About.
const TIMER_COST: usize = 80;

/// The keyed state of one step in one worker.
///
/// Cost: one hash lookup a key and call; a timer costs one ordered-map operation, and holds a key's text by reference.
#[derive(Debug)]
pub struct KeyedState {
    table: TableId,
    /// Index into `slots`, by the key's hash.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots changed since the last [`KeyedState::seal`], in the order of their first change.
    dirty: Vec<u32>,
    /// Timers that fire when the watermark reaches them.
    timers: Timers,
    /// Timers set while a timer fires, for a time that has fired already: they join the others when the watermark moves.
    deferred: Timers,
    watermark: EventTime,
    /// How long after its last use state expires, ms.
    ttl_ms: Option<i64>,
    /// When to look at a slot whether its state has expired, at most once a slot.
    expiries: BTreeSet<(EventTime, u32)>,
    /// Memory in use, bytes, about.
    held: usize,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
    /// True where a key went to the disk without a last use, although state expires.
    unused: bool,
    /// The text of a slot that has no key.
    nothing: Arc<[u8]>,
}

/// In the order in which they fire, with the slot of the key.
type Timers = BTreeMap<(EventTime, Arc<[u8]>, u32), u32>;

#[derive(Debug)]
struct Slot {
    hash: u64,
    key: Arc<[u8]>,
    state: Option<Vec<u8>>,
    /// By id.
    timers: Vec<(u32, EventTime)>,
    /// The time of the timer of this key that fired last.
    fired: EventTime,
    /// The latest time for which the key was used; kept only where state expires.
    used: EventTime,
    /// Where the slot is in `expiries`.
    looked_at: Option<EventTime>,
    /// True when the next snapshot must hold it, or that it is gone.
    dirty: bool,
    /// True where the slot is in the list of dirty ones, for whichever key it has by then.
    listed: bool,
    /// True when a snapshot may hold the key, so that forgetting it must be written.
    stored: bool,
    /// True when it was used since it was last looked at for a key to move to the disk.
    hot: bool,
    /// What the disk has of it.
    copied: Copied,
}

/// Timers that fire together: each key at most once, as one call of a plugin gets and sets the state of each key once.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// The keys.
    pub keys: Keys,
    /// Which of the key's timers, one a row.
    pub ids: Vec<u32>,
    /// The event time that it was set for, ms, one a row.
    pub times: Vec<EventTime>,
}

impl Due {
    /// True when nothing is due.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// An entry that no version of this code wrote.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// The value is of another version.
    #[error(
        "keyed state of key {key} is of version {found}, this wasmill reads versions 1 and 2; use the version that wrote it"
    )]
    Version {
        /// The key.
        key: String,
        /// The version found.
        found: u8,
    },
    /// The value is cut short or does not add up.
    #[error("keyed state of key {key} is not what was written: {bytes} bytes do not hold what they declare")]
    Damaged {
        /// The key.
        key: String,
        /// Length of the value.
        bytes: usize,
    },
    /// What is on the disk of it cannot be read or written.
    #[error(transparent)]
    Spill(#[from] SpillError),
}

impl KeyedState {
    /// No keys yet. `table` is the step's table in the snapshots.
    pub fn new(table: TableId) -> KeyedState {
        KeyedState {
            table,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            timers: Timers::new(),
            deferred: Timers::new(),
            watermark: EventTime::MIN,
            ttl_ms: None,
            expiries: BTreeSet::new(),
            held: 0,
            cold: None,
            unused: false,
            nothing: Arc::default(),
        }
    }

    /// State that expires `ttl_ms` after its last use, if ever.
    pub fn expiring(self, ttl_ms: Option<i64>) -> KeyedState {
        KeyedState { ttl_ms, ..self }
    }

    /// How long after its last use state expires, ms.
    pub fn ttl_ms(&self) -> Option<i64> {
        self.ttl_ms
    }

    /// How many keys have state or timers.
    pub fn len(&self) -> usize {
        // A key that lost all it had is in `dirty` until it is forgotten.
        let is_lost = |it: &&u32| self.slots[**it as usize].dirty && self.slots[**it as usize].is_empty();
        let lost = self.dirty.iter().filter(is_lost).count();
        self.index.len() - lost + self.cold_keys()
    }

    /// True when no key has any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The state of `key`, whose hash is [`batch::hash`] of it.
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        self.slots[self.find(hash, key)? as usize].state.as_deref()
    }

    /// The state of `key` for a record or timer at event time `at`: none where it had expired by then.
    pub fn get_at(&self, hash: u64, key: &[u8], at: EventTime) -> Option<&[u8]> {
        let slot = &self.slots[self.find(hash, key)? as usize];
        slot.state.as_deref().filter(|_| !self.has_expired(slot, at))
    }

    fn has_expired(&self, slot: &Slot, at: EventTime) -> bool {
        self.ttl_ms.is_some_and(|ttl_ms| slot.used != NEVER && slot.used.saturating_add(ttl_ms) <= at)
    }

    /// The plugin was called for `key` at event time `at`: its state, if it has any, is kept that much longer. To be called
    /// after the state has been set; no effect where state does not expire.
    pub fn use_at(&mut self, hash: u64, key: &[u8], at: EventTime) {
        let (Some(ttl_ms), Some(found)) = (self.ttl_ms, self.find(hash, key)) else { return };
        let slot = &mut self.slots[found as usize];
        if slot.state.is_none() || at <= slot.used {
            return;
        }
        slot.used = at;
        let look = at.saturating_add(ttl_ms);
        // Later than that is where it was set for state that the key had before.
        if slot.looked_at.is_none_or(|it| look < it) {
            if let Some(before) = slot.looked_at.replace(look) {
                self.expiries.remove(&(before, found));
            }
            self.expiries.insert((look, found));
        }
        self.touch(found);
    }

    /// Event time has come to `watermark`: deletes the state that has expired by then. Timers stay. At the end of time
    /// nothing is deleted, for a start that goes on from there.
    pub fn expire(&mut self, watermark: EventTime) -> Result<(), SpillError> {
        let Some(ttl_ms) = self.ttl_ms.filter(|_| watermark != EventTime::MAX) else { return Ok(()) };
        loop {
            self.expire_held(ttl_ms, watermark);
            if !self.warm_expired(watermark)? {
                return Ok(());
            }
        }
    }

    fn expire_held(&mut self, ttl_ms: i64, watermark: EventTime) {
        while let Some((_, at)) = self.expiries.first().copied().filter(|it| it.0 <= watermark) {
            self.expiries.pop_first();
            let slot = &mut self.slots[at as usize];
            // It may have been used since.
            let until = slot.used.saturating_add(ttl_ms);
            slot.looked_at = (until > watermark && slot.state.is_some()).then_some(until);
            match slot.looked_at {
                Some(until) => drop(self.expiries.insert((until, at))),
                None if slot.state.is_some() => {
                    self.held -= slot.state.take().map_or(0, |it| it.len());
                    slot.used = NEVER;
                    self.touch(at);
                }
                None => {}
            }
        }
    }

    /// Everything has been taken back: state without a last use counts as used at `watermark`.
    pub fn resume(&mut self, watermark: EventTime) -> Result<(), SpillError> {
        let Some(ttl_ms) = self.ttl_ms else { return Ok(()) };
        for (at, slot) in self.slots.iter_mut().enumerate().filter(|it| it.1.state.is_some()) {
            if slot.used == NEVER && watermark != EventTime::MIN {
                slot.used = watermark;
            }
            if slot.used != NEVER && slot.looked_at.is_none() {
                let look = slot.used.saturating_add(ttl_ms);
                slot.looked_at = Some(look);
                self.expiries.insert((look, at as u32));
            }
        }
        self.resume_cold(watermark)
    }

    /// Sets the state of `key`; none deletes it and leaves its timers.
    pub fn set(&mut self, hash: u64, key: &[u8], state: Option<&[u8]>) {
        let at = match (self.find(hash, key), state) {
            (None, None) => return,
            (None, Some(_)) => self.insert(hash, key),
            (Some(at), _) => at,
        };
        let slot = &mut self.slots[at as usize];
        let before = slot.state.as_ref().map_or(0, Vec::len);
        match (&mut slot.state, state) {
            (None, None) => return,
            (Some(held), Some(new)) if held == new => return,
            (Some(held), Some(new)) => {
                held.clear();
                held.extend_from_slice(new);
            }
            (held, new) => *held = new.map(<[u8]>::to_vec),
        }
        self.held = self.held + state.map_or(0, <[u8]>::len) - before;
        if slot.state.is_none() {
            slot.used = NEVER;
        }
        self.touch(at);
    }

    /// Sets timer `id` of `key` to fire at `at`, ms of event time, in the place of the one it had; none cancels it.
    ///
    /// A time that the watermark has passed is legal: such a timer fires with the next ones that do. One set by a plugin that
    /// is being called for a timer fires in the same advance where its time is later than that timer's, and otherwise when
    /// the watermark moves again, so that no advance is without end. After the end of the input ([`EventTime::MAX`]) a timer
    /// set by a timer never fires.
    pub fn set_timer(&mut self, hash: u64, key: &[u8], id: u32, at: Option<EventTime>) {
        let slot_at = match (self.find(hash, key), at) {
            (None, None) => return,
            (None, Some(_)) => self.insert(hash, key),
            (Some(slot), _) => slot,
        };
        let slot = &mut self.slots[slot_at as usize];
        let place = slot.timers.binary_search_by_key(&id, |it| it.0);
        let before = place.ok().map(|it| slot.timers[it].1);
        if let Some(before) = before {
            let entry = (before, Arc::clone(&slot.key), id);
            if self.timers.remove(&entry).is_none() {
                self.deferred.remove(&entry);
            }
        }
        match (place, at) {
            (Ok(place), Some(at)) => slot.timers[place].1 = at,
            (Ok(place), None) => {
                slot.timers.remove(place);
                self.held -= TIMER_COST;
            }
            (Err(place), Some(at)) => {
                slot.timers.insert(place, (id, at));
                self.held += TIMER_COST;
            }
            (Err(_), None) => return,
        }
        if let Some(at) = at {
            let entry = (at, Arc::clone(&slot.key), id);
            let late = at <= slot.fired || self.watermark == EventTime::MAX;
            if late {
                self.deferred.insert(entry, slot_at)
            } else {
                self.timers.insert(entry, slot_at)
            };
        }
        if before != at {
            self.touch(slot_at);
        }
    }

    /// Takes the next timers that `watermark` has reached, at most `rows_max` of them, by time, key and id. Call it until it
    /// returns none: a batch ends early where a key would come a second time.
    ///
    /// A timer that is taken is no longer set: it fires once, whatever comes of the call that it is for.
    pub fn due(&mut self, watermark: EventTime, rows_max: usize) -> Result<Due, SpillError> {
        if watermark > self.watermark {
            self.watermark = watermark;
            self.timers.append(&mut self.deferred);
        }
        loop {
            let next = self.warm_due(watermark, rows_max)?;
            let due = self.take_due(watermark, rows_max, next.as_ref());
            if !due.is_empty() || next.is_none() {
                return Ok(due);
            }
        }
    }

    /// The next timers of those in memory. `next` is the first key on the disk that has one: all from there on wait.
    fn take_due(&mut self, watermark: EventTime, rows_max: usize, next: Option<&crate::spill::Due>) -> Due {
        let mut due = Due::default();
        let mut taken = hashbrown::HashSet::<u32, foldhash::fast::FixedState>::default();
        while due.ids.len() < rows_max {
            let Some(first) = self.timers.first_entry() else { break };
            let (at, key, _) = first.key();
            let at = *at;
            let is_later = next.is_some_and(|it| (at, &key[..]) >= (it.at, &it.key[..]));
            if at > watermark || is_later || !taken.insert(*first.get()) {
                break;
            }
            let ((_, key, id), slot_at) = first.remove_entry();
            let slot = &mut self.slots[slot_at as usize];
            slot.timers.retain(|it| it.0 != id);
            self.held -= TIMER_COST;
            slot.fired = at;
            due.keys.texts.push(&key);
            due.keys.hashes.push(slot.hash);
            due.ids.push(id);
            due.times.push(at);
            self.touch(slot_at);
        }
        due
    }

    /// The time of the earliest timer that fires when the watermark reaches it, ms.
    pub fn next_timer(&self) -> Option<EventTime> {
        self.timers.first_key_value().map(|(it, _)| it.0)
    }

    /// Writes the keys that changed since the last call into `delta`, and forgets those that have nothing left.
    pub fn seal(&mut self, delta: &mut Delta) {
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        let mut value = Vec::new();
        for at in std::mem::take(&mut self.dirty) {
            let slot = &mut self.slots[at as usize];
            slot.listed = false;
            if !std::mem::take(&mut slot.dirty) {
                continue; // Its key went to the disk.
            }
            slot.write(self.table, &mut value, delta);
            if slot.is_empty() {
                self.forget(at);
            }
        }
    }

    /// Takes an entry of this step's table back, as [`KeyedState::seal`] wrote it. Later entries win.
    ///
    /// Errors: a value that it never wrote; the key then keeps what it had.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        let decoded = entry.value.map(|value| decode(entry.key, value)).transpose()?;
        let hash = batch::hash(entry.key);
        if let Some(at) = self.warm_key(hash, entry.key)? {
            let slot = &self.slots[at as usize];
            for &(id, time) in &slot.timers {
                self.timers.remove(&(time, Arc::clone(&slot.key), id));
            }
            if slot.listed {
                self.dirty.retain(|&it| it != at);
                (self.slots[at as usize].listed, self.slots[at as usize].dirty) = (false, false);
            }
            self.forget(at);
        }
        let Some(Decoded { state, timers, used }) = decoded else { return Ok(()) };
        let at = self.insert(hash, entry.key);
        self.fill(at, state, timers);
        let slot = &mut self.slots[at as usize];
        (slot.stored, slot.used) = (true, used);
        Ok(self.settle()?)
    }

    /// Gives a slot that has just been made what it holds.
    fn fill(&mut self, at: u32, state: Option<&[u8]>, timers: Vec<(u32, EventTime)>) {
        let slot = &mut self.slots[at as usize];
        for &(id, time) in &timers {
            self.timers.insert((time, Arc::clone(&slot.key), id), at);
        }
        self.held += state.map_or(0, <[u8]>::len) + timers.len() * TIMER_COST;
        (slot.state, slot.timers) = (state.map(<[u8]>::to_vec), timers);
    }

    /// Each key in memory that has state, with it: what a migration reads. In no order that means anything.
    pub fn states(&self) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
        self.slots.iter().filter_map(|it| Some((it.hash, &it.key[..], it.state.as_deref()?)))
    }

    /// Each timer that is set for a key in memory: the key, the timer's id and its time. In no order that means anything.
    pub fn set_timers(&self) -> impl Iterator<Item = (&[u8], u32, EventTime)> {
        self.slots.iter().flat_map(|slot| slot.timers.iter().map(|&(id, at)| (&slot.key[..], id, at)))
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |&at: &u32| {
            let slot = &self.slots[at as usize];
            slot.hash == hash && *slot.key == *key
        };
        self.index.find(hash, same).copied()
    }

    fn insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        let slot = Slot {
            hash,
            key: key.into(),
            state: None,
            timers: Vec::new(),
            fired: EventTime::MIN,
            used: NEVER,
            looked_at: None,
            dirty: false,
            listed: false,
            stored: false,
            hot: true,
            copied: Copied::Not,
        };
        self.held += SLOT_COST + key.len();
        let at = match self.free.pop() {
            Some(at) => {
                let listed = self.slots[at as usize].listed;
                self.slots[at as usize] = Slot { listed, ..slot };
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

    /// The slot has neither timers in the index nor a place in `dirty`.
    fn forget(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        if let (Some(chest), true) = (&mut self.cold, slot.copied != Copied::Not) {
            chest.cold.forget(&slot.key);
        }
        self.vacate(at);
    }

    /// Makes a slot free for another key.
    fn vacate(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        if let Ok(entry) = self.index.find_entry(slot.hash, |&it| it == at) {
            entry.remove();
        }
        let state = slot.state.take();
        let timers = std::mem::take(&mut slot.timers);
        self.held -= SLOT_COST + slot.key.len() + state.map_or(0, |it| it.len()) + timers.len() * TIMER_COST;
        slot.key = Arc::clone(&self.nothing);
        if let Some(look) = slot.looked_at.take() {
            self.expiries.remove(&(look, at));
        }
        self.free.push(at);
    }

    fn touch(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        if !slot.dirty {
            slot.dirty = true;
            slot.hot = true;
            slot.copied.changed();
            if !std::mem::replace(&mut slot.listed, true) {
                self.dirty.push(at);
            }
        }
    }
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.state.is_none() && self.timers.is_empty()
    }

    /// Writes what a snapshot must hold of it. `value` is scratch.
    fn write(&mut self, table: TableId, value: &mut Vec<u8>, delta: &mut Delta) {
        let group = batch::key_group(self.hash);
        if !self.is_empty() {
            value.clear();
            self.encode(value);
            delta.put(table, group, &self.key, value);
            self.stored = true;
        } else if self.stored {
            delta.delete(table, group, &self.key);
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let expires = self.used != NEVER && self.state.is_some();
        out.push(if expires { VERSION_USED } else { VERSION });
        out.push(u8::from(self.state.is_some()));
        out.extend_from_slice(&(self.timers.len() as u32).to_le_bytes());
        for (id, at) in &self.timers {
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&at.to_le_bytes());
        }
        if expires {
            out.extend_from_slice(&self.used.to_le_bytes());
        }
        out.extend_from_slice(self.state.as_deref().unwrap_or_default());
    }
}

/// What an entry holds.
struct Decoded<'a> {
    state: Option<&'a [u8]>,
    timers: Vec<(u32, EventTime)>,
    used: EventTime,
}

fn decode<'a>(key: &[u8], value: &'a [u8]) -> Result<Decoded<'a>, EntryError> {
    let key = || String::from_utf8_lossy(key).into_owned();
    let damaged = || EntryError::Damaged { key: key(), bytes: value.len() };
    if let Some(&found) = value.first().filter(|it| !matches!(**it, VERSION | VERSION_USED)) {
        return Err(EntryError::Version { key: key(), found });
    }
    let (head, rest) = value.split_first_chunk::<HEAD_BYTES>().ok_or_else(damaged)?;
    let count = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
    let timers_bytes = count.checked_mul(TIMER_BYTES).ok_or_else(damaged)?;
    let (timers, state) = rest.split_at_checked(timers_bytes).ok_or_else(damaged)?;
    let (timers, _) = timers.as_chunks::<TIMER_BYTES>();
    let timers: Vec<_> = timers
        .iter()
        .map(|it| {
            let id = u32::from_le_bytes(std::array::from_fn(|i| it[i]));
            (id, i64::from_le_bytes(std::array::from_fn(|i| it[4 + i])))
        })
        .collect();
    let in_order = timers.is_sorted_by(|a, b| a.0 < b.0);
    match (head[0], head[1]) {
        (VERSION, 0) if in_order && state.is_empty() && !timers.is_empty() => {
            Ok(Decoded { state: None, timers, used: NEVER })
        }
        (VERSION, 1) if in_order => Ok(Decoded { state: Some(state), timers, used: NEVER }),
        (VERSION_USED, 1) if in_order => {
            let (used, state) = state.split_first_chunk::<USED_BYTES>().ok_or_else(damaged)?;
            Ok(Decoded { state: Some(state), timers, used: EventTime::from_le_bytes(*used) })
        }
        _ => Err(damaged()),
    }
}

#[cfg(test)]
#[path = "keyed_tests.rs"]
mod tests;
