//! Sliding windows in a snapshot and back.

use super::{Element, Sliding};
use crate::batch;
use crate::state::{Delta, Entry, TableId};
use crate::window::accumulators::Accumulators;
use crate::window::entry::{self, Scratch, StateError};
use crate::window::keys::KeyId;

impl<A: Accumulators> Sliding<A> {
    /// Writes what changed since the last seal: the records of each time that one came for.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        self.removed.seal(table, delta);
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for (id, time) in dirty {
            self.seal_time(id, time, table, delta);
        }
    }

    /// Writes the records of a key at `time`, where one has come.
    pub(super) fn seal_time(&mut self, id: KeyId, time: i64, table: TableId, delta: &mut Delta) {
        let key = &mut self.keys[id];
        let range = key.state.range(time, time);
        if key.state.by_time.range(range.clone()).all(|it| it.sealed) {
            return; // Or all are gone.
        }
        let Scratch { name, value, accumulator } = &mut self.scratch;
        value.clear();
        for element in key.state.by_time.range_mut(range) {
            element.sealed = true;
            entry::put_varint(value, element.number.into());
            entry::put_accumulator(value, &self.folds, element.slot, accumulator);
        }
        entry::key(name, &key.text, time);
        delta.put(table, batch::key_group(key.hash), name, value);
    }

    /// A restore begins that [`Sliding::resume`] will end at `watermark`.
    pub fn begin(&mut self, watermark: i64) {
        self.watermark = watermark;
    }

    /// Takes back an entry that [`Sliding::seal`] wrote; a later one of the same key holds. After the last,
    /// [`Sliding::resume`].
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        let (text, time) = entry::split(entry.key)?;
        let id = self.keys.intern(batch::hash(text), text);
        let elements = &mut self.keys[id].state;
        let range = elements.range(time, time);
        let mut at = range.start;
        self.records -= range.len();
        elements.next = 0; // Known when all have come.
        elements.by_time.drain(range).for_each(|it| self.folds.free(it.slot));
        let mut value = entry.value.unwrap_or_default();
        while !value.is_empty() {
            let number = entry::take_varint(&mut value, "number of a record")? as u64;
            let slot = self.folds.decode(entry::take_bytes(&mut value, "an accumulator")?)?;
            elements.by_time.insert(at, Element { time, number, slot, sealed: true });
            self.records += 1;
            at += 1;
        }
        if elements.by_time.is_empty() {
            self.keys.remove(id);
        } else {
            // So that the key may go to the disk meanwhile.
            self.keys[id].state.timer = self.next_due(id, self.watermark);
        }
        Ok(())
    }

    /// Ends a restore: what `watermark` closes has been written before the seal.
    pub fn resume(&mut self, watermark: i64) {
        self.watermark = watermark;
        self.timers.clear(); // Void ones, of keys that were on the disk meanwhile.
        for id in self.keys.ids() {
            self.keys[id].state.number_next();
            self.set_timer(id, self.next_due(id, watermark));
        }
    }
}
