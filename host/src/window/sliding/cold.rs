//! Keys of sliding windows that are on the disk, due at their timers. The value of a key there, little-endian:
//!
//! | bytes | field                                                                        |
//! |-------|------------------------------------------------------------------------------|
//! | 8     | its timer: `i64`                                                             |
//! | 8     | the number of its next record: `u64`                                         |
//! | rest  | for each record: time `i64`, number `u64`, 1 where a snapshot may hold it or |
//! |       | else 0, length of the accumulator `varint`, and the accumulator              |

use super::{Element, Elements, Sliding};
use crate::spill::SpillError;
use crate::state::Chest;
use crate::window::StateError;
use crate::window::accumulators::Accumulators;
use crate::window::cold::{self, ColdWindows};
use crate::window::entry;
use crate::window::keys::{KeyId, KeyTable};
use std::cmp::Reverse;

/// What a key takes besides what the table of keys has of it, bytes, about: room for four records, and its timer.
const KEY_BYTES: usize = 4 * size_of::<Element>() + 16 + 2 * size_of::<Reverse<(i64, KeyId)>>();
/// What a record takes: itself, and its place in the list of what changed.
const RECORD_BYTES: usize = size_of::<Element>() + size_of::<(KeyId, i64)>();

impl<A: Accumulators> Sliding<A> {
    /// Brings some of the keys back that are needed to close what `watermark` has reached. See
    /// [`crate::window::Operator::warm_due`].
    ///
    /// # Errors
    /// The disk's.
    pub fn warm_due(&mut self, watermark: i64) -> Result<(), SpillError> {
        self.next = cold::warm_due(self, watermark)?;
        Ok(())
    }

    /// True where keys on the disk may be needed to close what `watermark` has reached.
    pub fn waits_for(&self, watermark: i64) -> bool {
        watermark > self.watermark && cold::may_be_due(self, watermark)
    }
}

impl<A: Accumulators> ColdWindows for Sliding<A> {
    type Kept = Elements;

    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn table(&self) -> &KeyTable<Elements> {
        &self.keys
    }

    fn table_mut(&mut self) -> &mut KeyTable<Elements> {
        &mut self.keys
    }

    fn bytes(&self) -> usize {
        let kept = self.keys.len() * KEY_BYTES + self.records * RECORD_BYTES;
        self.keys.live_bytes() + kept + self.folds.bytes()
    }

    fn unsealed_bytes(&self) -> usize {
        self.removed.bytes() + self.dirty.len() * (self.bytes() / self.records.max(1))
    }

    fn may_go(&self, id: KeyId) -> bool {
        !self.keys[id].state.by_time.is_empty()
    }

    fn due(&self, id: KeyId) -> Option<i64> {
        self.keys[id].state.timer
    }

    fn pack(&mut self, id: KeyId, chest: &mut Chest) {
        let table = chest.table();
        self.removed.seal(table, &mut chest.early);
        let elements = &self.keys[id].state;
        let mut times: Vec<i64> = elements.by_time.iter().filter(|it| !it.sealed).map(|it| it.time).collect();
        times.dedup();
        times.into_iter().for_each(|it| self.seal_time(id, it, table, &mut chest.early));
        let elements = &self.keys[id].state;
        chest.value.clear();
        chest.value.extend_from_slice(&elements.timer.unwrap_or(i64::MIN).to_le_bytes()); // A key with records has one.
        chest.value.extend_from_slice(&elements.next.to_le_bytes());
        for element in &elements.by_time {
            chest.value.extend_from_slice(&element.time.to_le_bytes());
            chest.value.extend_from_slice(&element.number.to_le_bytes());
            chest.value.push(u8::from(element.sealed));
            entry::put_accumulator(&mut chest.value, &self.folds, element.slot, &mut self.scratch.accumulator);
        }
    }

    fn free(&mut self, id: KeyId) {
        let elements = std::mem::take(&mut self.keys[id].state);
        self.records -= elements.by_time.len();
        elements.by_time.iter().for_each(|it| self.folds.free(it.slot));
    }

    fn unpack(&mut self, hash: u64, text: &[u8], mut value: &[u8]) -> Result<KeyId, StateError> {
        let timer = i64::from_le_bytes(entry::take(&mut value, "timer of a key")?);
        let next = u64::from_le_bytes(entry::take(&mut value, "number of the next record")?);
        let id = self.keys.intern(hash, text);
        let elements = &mut self.keys[id].state;
        while !value.is_empty() {
            let time = i64::from_le_bytes(entry::take(&mut value, "time of a record")?);
            let number = u64::from_le_bytes(entry::take(&mut value, "number of a record")?);
            let [sealed] = entry::take(&mut value, "flags of a record")?;
            let slot = self.folds.decode(entry::take_bytes(&mut value, "an accumulator")?)?;
            elements.by_time.push_back(Element { time, number, slot, sealed: sealed == 1 });
            self.records += 1;
        }
        elements.next = next;
        elements.number_next();
        self.set_timer(id, Some(timer));
        Ok(id)
    }

    fn unlist(&mut self) {
        let keys = &self.keys;
        self.timers.retain(|it| keys[it.0.1].state.timer == Some(it.0.0));
        self.part.iter_mut().for_each(|it| it.rest.retain(|id| keys[*id].state.timer == Some(it.until.number)));
    }
}
