//! Windows that remember what they wrote, in a snapshot and back.

use super::{Held, Repeated, Stands};
use crate::batch;
use crate::state::{Delta, Entry, TableId};
use crate::window::accumulators::Accumulators;
use crate::window::entry::{
    self, Scratch, StateError, put_accumulator, put_bytes, put_varint, take_bytes, take_varint,
};
use crate::window::keys::KeyId;

/// Flag: the pane on time was due.
const CLOSED: u8 = 1;

impl<A: Accumulators> Repeated<A> {
    /// Writes what changed since the last seal.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        self.removed.seal(table, delta);
        for id in std::mem::take(&mut self.dirty) {
            self.seal_key(id, table, delta);
        }
    }

    /// Writes what changed of a key.
    pub(super) fn seal_key(&mut self, id: KeyId, table: TableId, delta: &mut Delta) {
        let key = &mut self.keys[id];
        key.state.dirty = false;
        let Scratch { name, value, accumulator } = &mut self.scratch;
        for held in key.state.held.iter_mut().filter(|it| it.dirty) {
            (held.dirty, held.sealed) = (false, true);
            value.clear();
            encode(&self.folds, held, value, accumulator);
            entry::key(name, &key.text, held.start);
            delta.put(table, batch::key_group(key.hash), name, value);
        }
    }

    /// Takes back an entry that [`Repeated::seal`] wrote; a later one of the same key holds. After the last,
    /// [`Repeated::resume`].
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        let (text, start) = entry::split(entry.key)?;
        let held = entry.value.map(|it| self.decode(start, it)).transpose()?;
        let id = self.keys.intern(batch::hash(text), text);
        let windows = &mut self.keys[id].state.held;
        let at = windows.partition_point(|it| it.start < start);
        if windows.get(at).is_some_and(|it| it.start == start) {
            let old = windows.remove(at);
            self.free_held(&old);
        }
        let state = &mut self.keys[id].state;
        if let Some(held) = held {
            state.held.insert(at, held);
        }
        // So that what waits to be reported stays in memory.
        state.changed = self.firing.every_ms.is_some() && state.held.iter().any(|it| it.records > 0);
        if state.held.is_empty() {
            self.keys.remove(id);
        }
        Ok(())
    }

    /// A window as [`encode`] wrote it; in a snapshot, and without a timer.
    pub(super) fn decode(&mut self, start: i64, mut value: &[u8]) -> Result<Held, StateError> {
        let value = &mut value;
        let [flags] = entry::take(value, "flags of a window")?;
        let end = i64::from_le_bytes(entry::take(value, "end of a window")?);
        let early = i64::from_le_bytes(entry::take(value, "next pane of a window")?);
        let first = i64::from_le_bytes(entry::take(value, "first time of a window")?);
        let latest = i64::from_le_bytes(entry::take(value, "last time of a window")?);
        let records = take_varint(value, "records of a window")? as u64;
        let panes = take_varint(value, "panes of a window")? as u64;
        let slot = self.folds.decode(take_bytes(value, "an accumulator")?)?;
        let mut stands = Vec::new();
        while !value.is_empty() {
            let start = i64::from_le_bytes(entry::take(value, "start of a row")?);
            let end = i64::from_le_bytes(entry::take(value, "end of a row")?);
            let [said] = entry::take(value, "flags of a row")?;
            let bytes = take_bytes(value, "an accumulator of a row")?;
            let slot = if said == 0 { None } else { Some(self.folds.decode(bytes)?) };
            stands.push(Stands { start, end, slot });
        }
        self.held += 1;
        let closed = flags & CLOSED != 0;
        let seen = (first, latest);
        Ok(Held {
            start,
            end,
            slot,
            seen,
            records,
            panes,
            closed,
            early,
            timer: None,
            stands,
            dirty: false,
            sealed: true,
        })
    }

    /// Ends a restore: what was due at `watermark` was written before.
    pub fn resume(&mut self, watermark: i64) {
        self.watermark = watermark;
        self.touched = self.keys.len() > 0;
        self.timers.clear(); // Void ones, of keys that were on the disk meanwhile.
        for id in self.keys.ids() {
            self.arm_all(id);
            if self.keys[id].state.changed {
                self.changed.push(id);
            }
        }
    }

    /// Sets the timers of a key that has none in the heap.
    pub(super) fn arm_all(&mut self, id: KeyId) {
        for at in 0..self.keys[id].state.held.len() {
            self.keys[id].state.held[at].timer = None;
            self.arm(id, at);
        }
    }
}

/// Writes a window to the end of `out`, as it is in a snapshot. `accumulator` is scratch.
pub(super) fn encode<A: Accumulators>(folds: &A, held: &Held, out: &mut Vec<u8>, accumulator: &mut Vec<u8>) {
    out.push(if held.closed { CLOSED } else { 0 });
    out.extend_from_slice(&held.end.to_le_bytes());
    out.extend_from_slice(&held.early.to_le_bytes());
    out.extend_from_slice(&held.seen.0.to_le_bytes());
    out.extend_from_slice(&held.seen.1.to_le_bytes());
    put_varint(out, held.records.into());
    put_varint(out, held.panes.into());
    put_accumulator(out, folds, held.slot, accumulator);
    for stood in &held.stands {
        out.extend_from_slice(&stood.start.to_le_bytes());
        out.extend_from_slice(&stood.end.to_le_bytes());
        accumulator.clear();
        if let Some(slot) = stood.slot {
            folds.encode(slot, accumulator);
        }
        out.push(u8::from(stood.slot.is_some()));
        put_bytes(out, accumulator);
    }
}
