//! Windows that remember what they wrote, in a snapshot and back.

use super::{Held, Repeated, Stands};
use crate::batch;
use crate::state::{Delta, Entry, TableId};
use crate::window::accumulators::Accumulators;
use crate::window::entry::{self, StateError, put_bytes, put_varint, take_bytes, take_varint};

/// Flag: the pane on time was due.
const CLOSED: u8 = 1;

impl<A: Accumulators> Repeated<A> {
    /// Writes what changed since the last seal.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        self.removed.seal(table, delta);
        let (mut key_bytes, mut value, mut accumulator) = (Vec::new(), Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.dirty) {
            let key = &mut self.keys[id];
            key.state.dirty = false;
            for held in key.state.held.iter_mut().filter(|it| it.dirty) {
                (held.dirty, held.sealed) = (false, true);
                value.clear();
                value.push(if held.closed { CLOSED } else { 0 });
                value.extend_from_slice(&held.end.to_le_bytes());
                value.extend_from_slice(&held.early.to_le_bytes());
                value.extend_from_slice(&held.seen.0.to_le_bytes());
                value.extend_from_slice(&held.seen.1.to_le_bytes());
                put_varint(&mut value, held.records.into());
                put_varint(&mut value, held.panes.into());
                accumulator.clear();
                self.folds.encode(held.slot, &mut accumulator);
                put_bytes(&mut value, &accumulator);
                for stood in &held.stands {
                    value.extend_from_slice(&stood.start.to_le_bytes());
                    value.extend_from_slice(&stood.end.to_le_bytes());
                    accumulator.clear();
                    if let Some(slot) = stood.slot {
                        self.folds.encode(slot, &mut accumulator);
                    }
                    value.push(u8::from(stood.slot.is_some()));
                    put_bytes(&mut value, &accumulator);
                }
                entry::key(&mut key_bytes, &key.text, held.start);
                delta.put(table, batch::key_group(key.hash), &key_bytes, &value);
            }
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
            self.folds.free(old.slot);
            old.stands.iter().filter_map(|it| it.slot).for_each(|it| self.folds.free(it));
        }
        if let Some(held) = held {
            windows.insert(at, held);
        }
        if windows.is_empty() {
            self.keys.remove(id);
        }
        Ok(())
    }

    fn decode(&mut self, start: i64, mut value: &[u8]) -> Result<Held, StateError> {
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
        for id in self.keys.ids() {
            let held = self.keys[id].state.held.len();
            (0..held).for_each(|at| self.arm(id, at));
            let windows = &mut self.keys[id].state;
            windows.changed = self.firing.every_ms.is_some() && windows.held.iter().any(|it| it.records > 0);
            if windows.changed {
                self.changed.push(id);
            }
        }
    }
}
