//! Windows of a number of records: the last `records` of a key, whenever `every` more have come.
//!
//! As Flink's `countWindow`: the first windows are of fewer records where `every` is less than `records`, and what has not
//! come to a window at the end is not written. Records count in the order in which they arrive; no time is too late. A window
//! spans from its earliest record to right after its latest.
//!
//! Records are folded into parts of `gcd(records, every)` that windows share.

use super::Input;
use super::accumulators::{Accumulators, Add, Merge, SlotId};
use super::entry::{self, StateError, put_bytes, put_varint, take_bytes, take_varint};
use super::fired::Processed;
use super::keys::{KeyId, KeyTable};
use crate::batch;
use crate::state::{Delta, Entry, TableId};
use std::collections::VecDeque;

/// Some records in a row.
#[derive(Debug)]
struct Part {
    slot: SlotId,
    first: i64,
    last: i64,
    records: u64,
}

/// The parts that the next window may need.
#[derive(Debug, Default)]
struct Parts {
    parts: VecDeque<Part>,
    /// Records since the last window.
    waiting: u64,
    dirty: bool,
    sealed: bool,
}

/// Windows of a number of records.
#[derive(Debug)]
pub struct Counted<A> {
    /// Records of a part.
    part: u64,
    /// Parts of a window.
    span: u64,
    every: u64,
    folds: A,
    keys: KeyTable<Parts>,
    adds: Vec<Add>,
    dirty: Vec<KeyId>,
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl<A: Accumulators> Counted<A> {
    /// Windows of `records`, one after every `every`; `1 <= every <= records`.
    pub fn new(records: u64, every: u64, folds: A) -> Self {
        let part = gcd(records, every);
        let (adds, dirty) = (Vec::new(), Vec::new());
        Counted { part, span: records / part, every, folds, keys: KeyTable::new(), adds, dirty }
    }

    /// Folds a batch and writes the windows that its records complete, in their order. No row is late.
    pub fn process(&mut self, input: &Input<'_>) -> Result<Processed<A::Output>, A::Error> {
        let mut out = Processed::new(&self.folds);
        for (row, &time) in input.times.iter().enumerate() {
            let id = self.keys.intern(input.keys.hashes[row], input.keys.texts.get(row));
            let state = &mut self.keys[id].state;
            if !std::mem::replace(&mut state.dirty, true) {
                self.dirty.push(id);
            }
            if state.parts.back().is_none_or(|it| it.records == self.part) {
                let slot = self.folds.create();
                state.parts.push_back(Part { slot, first: time, last: time, records: 0 });
            }
            let Some(part) = state.parts.back_mut() else { continue };
            part.records += 1;
            (part.first, part.last) = (part.first.min(time), part.last.max(time));
            self.adds.push(Add { slot: part.slot, row: row as u32 });
            state.waiting += 1;
            if state.waiting == self.every {
                state.waiting = 0;
                self.fold(input)?;
                self.write(id, &mut out)?;
            }
        }
        self.fold(input)?;
        Ok(out)
    }

    fn fold(&mut self, input: &Input<'_>) -> Result<(), A::Error> {
        if !self.adds.is_empty() {
            self.folds.add(input, &self.adds)?;
            self.adds.clear();
        }
        Ok(())
    }

    /// Writes the window of all parts that there are, and drops those that no later one needs.
    fn write(&mut self, id: KeyId, out: &mut Processed<A::Output>) -> Result<(), A::Error> {
        let key = &mut self.keys[id];
        let parts = &mut key.state.parts;
        let bounds = parts.iter().fold((i64::MAX, i64::MIN), |it, part| (it.0.min(part.first), it.1.max(part.last)));
        let into = self.folds.create();
        let merges: Vec<Merge> = parts.iter().map(|it| Merge { into, from: it.slot }).collect();
        self.folds.merge(&merges)?;
        out.fired.push(&self.folds, &key.text, (bounds.0, bounds.1.saturating_add(1)), into);
        self.folds.free(into);
        let needed = self.span - self.every / self.part;
        while parts.len() as u64 > needed {
            let Some(part) = parts.pop_front() else { break };
            self.folds.free(part.slot);
        }
        Ok(())
    }

    /// Writes what changed since the last seal.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        let (mut key_bytes, mut value, mut accumulator) = (Vec::new(), Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.dirty) {
            let key = &mut self.keys[id];
            if !std::mem::take(&mut key.state.dirty) {
                continue;
            }
            if key.state.parts.is_empty() {
                // A window has just taken all that there was.
                if key.state.sealed {
                    entry::key(&mut key_bytes, &key.text, 0);
                    delta.delete(table, batch::key_group(key.hash), &key_bytes);
                }
                self.keys.remove(id);
                continue;
            }
            key.state.sealed = true;
            value.clear();
            put_varint(&mut value, key.state.waiting.into());
            for part in &key.state.parts {
                value.extend_from_slice(&part.first.to_le_bytes());
                value.extend_from_slice(&part.last.to_le_bytes());
                put_varint(&mut value, part.records.into());
                accumulator.clear();
                self.folds.encode(part.slot, &mut accumulator);
                put_bytes(&mut value, &accumulator);
            }
            entry::key(&mut key_bytes, &key.text, 0);
            delta.put(table, batch::key_group(key.hash), &key_bytes, &value);
        }
    }

    /// Takes back an entry that [`Counted::seal`] wrote; a later one of the same key holds.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        let (text, _) = entry::split(entry.key)?;
        let mut parts = VecDeque::new();
        let mut waiting = 0;
        if let Some(mut value) = entry.value {
            waiting = take_varint(&mut value, "waiting records")? as u64;
            while !value.is_empty() {
                let first = i64::from_le_bytes(entry::take(&mut value, "first time of a part")?);
                let last = i64::from_le_bytes(entry::take(&mut value, "last time of a part")?);
                let records = take_varint(&mut value, "records of a part")? as u64;
                let slot = self.folds.decode(take_bytes(&mut value, "an accumulator")?)?;
                parts.push_back(Part { slot, first, last, records });
            }
        }
        let id = self.keys.intern(batch::hash(text), text);
        let old = std::mem::replace(&mut self.keys[id].state, Parts { parts, waiting, dirty: false, sealed: true });
        old.parts.iter().for_each(|it| self.folds.free(it.slot));
        if entry.value.is_none() {
            self.keys.remove(id);
        }
        Ok(())
    }

    /// How many keys have records.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Memory in use, bytes, roughly.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + self.folds.bytes()
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        &mut self.folds
    }
}
