//! Windows of a number of records: the last `records` of a key, whenever `every` more have come.
//!
//! As Flink's `countWindow`: the first windows are of fewer records where `every` is less than `records`, and what has not
//! come to a window at the end is not written. Records count in the order in which they arrive; no time is too late. A window
//! spans from its earliest record to right after its latest.
//!
//! Records are folded into parts of `gcd(records, every)` that windows share. Keys that do not fit into memory are on the disk until a
//! record of theirs comes: `cold`.

mod cold;

use super::Input;
use super::accumulators::{Accumulators, Add, Merge, SlotId};
use super::entry::{self, Scratch, StateError, put_accumulator, put_varint, take_bytes, take_varint};
use super::fired::Processed;
use super::keys::{KeyId, KeyTable};
use crate::batch;
use crate::state::{Chest, Delta, Entry, Spills, TableId};
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
pub(super) struct Parts {
    parts: VecDeque<Part>,
    /// Records since the last window.
    waiting: u64,
    dirty: bool,
    sealed: bool,
}

impl Parts {
    /// Writes them to the end of `out`, as they are in a snapshot. `scratch` is overwritten.
    fn encode<A: Accumulators>(&self, folds: &A, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        put_varint(out, self.waiting.into());
        for part in &self.parts {
            out.extend_from_slice(&part.first.to_le_bytes());
            out.extend_from_slice(&part.last.to_le_bytes());
            put_varint(out, part.records.into());
            put_accumulator(out, folds, part.slot, scratch);
        }
    }

    /// What [`Parts::encode`] wrote; not dirty, and in no snapshot yet.
    fn decode<A: Accumulators>(folds: &mut A, mut value: &[u8]) -> Result<Self, StateError> {
        let waiting = take_varint(&mut value, "waiting records")? as u64;
        let mut parts = VecDeque::new();
        while !value.is_empty() {
            let first = i64::from_le_bytes(entry::take(&mut value, "first time of a part")?);
            let last = i64::from_le_bytes(entry::take(&mut value, "last time of a part")?);
            let records = take_varint(&mut value, "records of a part")? as u64;
            let slot = folds.decode(take_bytes(&mut value, "an accumulator")?)?;
            parts.push_back(Part { slot, first, last, records });
        }
        Ok(Parts { parts, waiting, ..Parts::default() })
    }
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
    /// Parts there are.
    parts: usize,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
    scratch: Scratch,
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl<A: Accumulators> Counted<A> {
    /// Windows of `records`, one after every `every`; `1 <= every <= records`.
    pub fn new(records: u64, every: u64, folds: A) -> Self {
        let part = gcd(records, every);
        Counted {
            part,
            span: records / part,
            every,
            folds,
            keys: KeyTable::new(),
            adds: Vec::new(),
            dirty: Vec::new(),
            parts: 0,
            cold: None,
            scratch: Scratch::default(),
        }
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
                self.parts += 1;
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
            self.parts -= 1;
        }
        Ok(())
    }

    /// Writes what changed since the last seal.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        for id in std::mem::take(&mut self.dirty) {
            self.seal_key(id, table, delta);
            let key = &self.keys[id];
            if key.state.parts.is_empty() {
                self.keys.remove(id);
            }
        }
    }

    /// Writes what changed of a key.
    fn seal_key(&mut self, id: KeyId, table: TableId, delta: &mut Delta) {
        let key = &mut self.keys[id];
        if !std::mem::take(&mut key.state.dirty) {
            return;
        }
        let Scratch { name, value, accumulator } = &mut self.scratch;
        entry::key(name, &key.text, 0);
        if !key.state.parts.is_empty() {
            key.state.sealed = true;
            value.clear();
            key.state.encode(&self.folds, value, accumulator);
            delta.put(table, batch::key_group(key.hash), name, value);
        } else if key.state.sealed {
            // A window has just taken all that there was.
            delta.delete(table, batch::key_group(key.hash), name);
        }
    }

    /// Takes back an entry that [`Counted::seal`] wrote; a later one of the same key holds.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        let (text, _) = entry::split(entry.key)?;
        let parts = entry.value.map(|it| Parts::decode(&mut self.folds, it)).transpose()?.unwrap_or_default();
        self.parts += parts.parts.len();
        let id = self.keys.intern(batch::hash(text), text);
        let old = std::mem::replace(&mut self.keys[id].state, Parts { sealed: true, ..parts });
        self.parts -= old.parts.len();
        old.parts.iter().for_each(|it| self.folds.free(it.slot));
        if entry.value.is_none() {
            self.keys.remove(id);
        }
        Ok(())
    }

    /// How many keys have records.
    pub fn keys(&self) -> usize {
        self.keys.len() + self.cold_keys()
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        &mut self.folds
    }
}
