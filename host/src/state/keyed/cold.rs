//! Keyed state that is on the disk. The value of a key there, little-endian:
//!
//! | bytes | field                                                  |
//! |-------|--------------------------------------------------------|
//! | 1     | 1 where a snapshot may hold the key, else 0            |
//! | 8     | the time of its timer that fired last: `i64`           |
//! | rest  | as in a snapshot                                       |

use super::{Decoded, KeyedState, NEVER, decode};
use crate::batch::{self, EventTime, Keys};
use crate::spill::{Cold, Copied, Due, Moved, Queue, SpillError};
use crate::state::{Chest, Spills};
use std::sync::Arc;

/// Keys brought back at once, at most, where many are due.
const WARMED_MAX: usize = 1_024;
const HEAD_BYTES: usize = 9;

impl KeyedState {
    /// None where the value is not one that was moved.
    fn put_back(&mut self, hash: u64, key: &[u8], value: &[u8]) -> Option<u32> {
        let (&[stored, ref fired @ ..], value) = value.split_first_chunk::<HEAD_BYTES>()?;
        let Decoded { state, timers, used } = decode(key, value).ok()?;
        let at = self.insert(hash, key);
        self.fill(at, state, timers);
        let slot = &mut self.slots[at as usize];
        slot.fired = EventTime::from_le_bytes(*fired);
        (slot.stored, slot.used, slot.copied) = (stored == 1, used, Copied::Same);
        if let Some(ttl_ms) = self.ttl_ms.filter(|_| used != NEVER) {
            let look = used.saturating_add(ttl_ms);
            slot.looked_at = Some(look);
            self.expiries.insert((look, at));
        }
        Some(at)
    }

    /// Brings the keys back whose timers are next, those that `watermark` has reached. The first one that stays on the
    /// disk with such a timer, if there is one.
    pub(super) fn warm_due(&mut self, watermark: EventTime, rows_max: usize) -> Result<Option<Due>, SpillError> {
        let Some(chest) = &mut self.cold else { return Ok(None) };
        let max = rows_max.clamp(1, WARMED_MAX);
        let mut due = chest.cold.due(Queue::Timers, watermark, max + 1)?;
        let next = due.split_off(due.len().min(max)).pop();
        self.warm_all(&due)?;
        Ok(next)
    }

    /// Brings some keys back whose state has expired by `watermark`. False where there are none.
    pub(super) fn warm_expired(&mut self, watermark: EventTime) -> Result<bool, SpillError> {
        let Some(chest) = &mut self.cold else { return Ok(false) };
        let due = chest.cold.due(Queue::Expiries, watermark, WARMED_MAX)?;
        self.warm_all(&due)?;
        Ok(!due.is_empty())
    }

    fn warm_all(&mut self, due: &[Due]) -> Result<(), SpillError> {
        due.iter().try_for_each(|it| self.warm_key(batch::hash(&it.key), &it.key).map(drop))
    }

    /// The keys on the disk that were restored without a last use get one.
    pub(super) fn resume_cold(&mut self, watermark: EventTime) -> Result<(), SpillError> {
        if watermark == EventTime::MIN || !std::mem::take(&mut self.unused) {
            return Ok(());
        }
        let (mut after, ttl_ms) = (None, self.ttl_ms.unwrap_or_default());
        while let Some(keys) = self.warm_page(&mut after)? {
            for (row, &hash) in keys.hashes.iter().enumerate() {
                let Some(at) = self.find(hash, keys.texts.get(row)) else { continue };
                let slot = &mut self.slots[at as usize];
                if slot.used == NEVER && slot.state.is_some() {
                    let look = watermark.saturating_add(ttl_ms);
                    (slot.used, slot.looked_at) = (watermark, Some(look));
                    slot.copied.changed();
                    self.expiries.insert((look, at));
                }
            }
            self.settle()?;
        }
        Ok(())
    }

    /// Brings the next keys back that are on the disk, in an order of their own, from `after` on. None where there are no more.
    pub fn warm_page(&mut self, after: &mut Option<Box<[u8]>>) -> Result<Option<Keys>, SpillError> {
        let Some(chest) = self.cold.as_mut().filter(|it| !it.cold.is_empty()) else { return Ok(None) };
        let page = chest.cold.page(after.as_deref(), WARMED_MAX)?;
        let Some(last) = page.last() else { return Ok(None) };
        *after = Some(last.clone());
        let mut keys = Keys::default();
        for key in &page {
            let hash = batch::hash(key);
            // A copy of a key that is in memory is no key.
            if self.find(hash, key).is_none() && self.warm_key(hash, key)?.is_some() {
                keys.texts.push(key);
                keys.hashes.push(hash);
            }
        }
        Ok(Some(keys))
    }
}

impl Spills for KeyedState {
    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn bytes(&self) -> usize {
        self.held
    }

    fn changed_bytes(&self) -> usize {
        let early = self.cold.as_ref().map_or(0, |it| it.early.bytes().len());
        early + self.dirty.len() * (self.held / self.index.len().max(1))
    }

    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn touch(&mut self, hash: u64, key: &[u8]) -> Option<u32> {
        let at = self.find(hash, key)?;
        self.slots[at as usize].hot = true;
        Some(at)
    }

    fn take_back(&mut self, chest: &mut Chest, hash: u64, key: &[u8]) -> Result<Option<u32>, SpillError> {
        if !chest.cold.take(key, &mut chest.value)? {
            return Ok(None);
        }
        self.put_back(hash, key, &chest.value).map(Some).ok_or_else(|| chest.cold.damaged())
    }

    fn pass(&mut self, chest: &mut Chest) -> Result<(), SpillError> {
        let at = chest.hand as u32;
        let slot = &mut self.slots[chest.hand];
        if std::mem::take(&mut slot.hot) || (slot.is_empty() && !slot.dirty) {
            return Ok(());
        }
        // One that was set for a time already passed waits for the watermark to move: it must not come back as one that is due.
        if slot.timers.iter().any(|it| it.1 <= self.watermark) || slot.key.len() > Cold::KEY_BYTES_MAX {
            return Ok(());
        }
        if std::mem::take(&mut slot.dirty) {
            chest.value.clear();
            slot.write(self.table, &mut chest.value, &mut chest.early);
            if slot.is_empty() {
                if slot.copied != Copied::Not {
                    chest.cold.forget(&slot.key);
                }
                self.vacate(at);
                return Ok(());
            }
        }
        let expires = self.ttl_ms.filter(|_| slot.state.is_some());
        self.unused |= expires.is_some() && slot.used == NEVER;
        let until = expires.filter(|_| slot.used != NEVER).map(|it| slot.used.saturating_add(it));
        let due = [slot.timers.iter().map(|it| it.1).min(), until];
        if slot.copied == Copied::Same && due == [None; 2] {
            chest.cold.put_again();
        } else {
            chest.value.clear();
            chest.value.push(u8::from(slot.stored));
            chest.value.extend_from_slice(&slot.fired.to_le_bytes());
            slot.encode(&mut chest.value);
            chest.cold.put(Moved { key: &slot.key, value: &chest.value, due })?;
        }
        for &(id, time) in &slot.timers {
            self.timers.remove(&(time, Arc::clone(&slot.key), id));
        }
        self.vacate(at);
        Ok(())
    }
}

#[cfg(test)]
#[path = "cold_tests.rs"]
mod tests;
