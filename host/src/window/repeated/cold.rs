//! Keys of windows that remember what they wrote on the disk, due when the first of their windows has something to do: by that time. The value of a key there,
//! for each of its windows, little-endian:
//!
//! | bytes | field                                                                     |
//! |-------|---------------------------------------------------------------------------|
//! | 8     | its start: `i64`                                                          |
//! | 1     | 1 where a snapshot may hold it, else 0                                    |
//! | rest  | length of the rest of it: `varint`, and that, as it is in a snapshot      |

use super::sealing::encode;
use super::{Held, Repeated, Stands, Windows};
use crate::config::Accumulate;
use crate::spill::SpillError;
use crate::state::Chest;
use crate::window::StateError;
use crate::window::accumulators::Accumulators;
use crate::window::cold::{self, ColdWindows};
use crate::window::entry::{self, Scratch};
use crate::window::keys::{KeyId, KeyTable};
use std::cmp::Reverse;

/// What a key takes besides what the table of keys has of it, bytes, about: room for four windows, and its places in lists of what changed.
const KEY_BYTES: usize = 4 * size_of::<Held>() + 16 + 2 * size_of::<KeyId>();
/// What a window takes: itself, and its timers.
const HELD_BYTES: usize = size_of::<Held>() + 2 * size_of::<Reverse<(i64, KeyId, i64)>>();
/// What a window takes that knows which of its rows stand: room for four.
const STANDS_BYTES: usize = 4 * size_of::<Stands>() + 16;

impl<A: Accumulators> Repeated<A> {
    /// False where all keys stay in memory: what is written whole whenever it is asked for.
    pub fn can_move(&self) -> bool {
        let is_whole = self.firing.complete || (self.firing.unchanged && self.firing.every_ms.is_some());
        !is_whole
    }

    /// Brings some of the keys back that have something to do until `watermark`. See [`crate::window::Operator::warm_due`].
    ///
    /// # Errors
    /// The disk's.
    pub fn warm_due(&mut self, watermark: i64) -> Result<(), SpillError> {
        self.next = cold::warm_due(self, watermark)?;
        Ok(())
    }

    /// True where keys on the disk may have something to do until `watermark`.
    pub fn waits_for(&self, watermark: i64) -> bool {
        watermark > self.watermark && cold::may_be_due(self, watermark)
    }

    /// The windows of keys in memory that have something to do at `time`, in the order of rows, as far as they are before the next one on the
    /// disk and of `keys_max` keys. `due` are those whose timers there were.
    pub(super) fn turn(&mut self, time: i64, due: Vec<(KeyId, i64)>, keys_max: usize) -> Vec<(KeyId, i64)> {
        let is_due = |it: &Held| it.timer == Some(time);
        let mut ids: Vec<KeyId> = due.into_iter().map(|it| it.0).collect();
        ids.retain(|id| self.keys[*id].state.held.iter().any(is_due));
        ids.sort_unstable_by(|a, b| self.keys.compare(*a, *b));
        ids.dedup();
        let next = self.next.take_if(|it| it.number == time);
        let ids = cold::turn_some(&mut self.part, ids, next, &self.keys, (time, keys_max));
        let held = |id: KeyId| self.keys[id].state.held.iter().filter(|it| is_due(it)).map(move |it| (id, it.start));
        ids.into_iter().flat_map(held).collect()
    }
}

impl<A: Accumulators> ColdWindows for Repeated<A> {
    type Kept = Windows;

    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn table(&self) -> &KeyTable<Windows> {
        &self.keys
    }

    fn table_mut(&mut self) -> &mut KeyTable<Windows> {
        &mut self.keys
    }

    fn bytes(&self) -> usize {
        let stand = self.firing.upsert || self.firing.accumulate == Accumulate::Retracting;
        let each = if stand { HELD_BYTES + STANDS_BYTES } else { HELD_BYTES };
        self.keys.live_bytes() + self.keys.len() * KEY_BYTES + self.held * each + self.folds.bytes()
    }

    fn unsealed_bytes(&self) -> usize {
        self.removed.bytes() + self.dirty.len() * (self.bytes() / self.keys.len().max(1))
    }

    fn may_go(&self, id: KeyId) -> bool {
        // What waits to be reported is looked for in memory.
        let windows = &self.keys[id].state;
        !windows.held.is_empty() && !windows.changed
    }

    fn due(&self, id: KeyId) -> Option<i64> {
        self.keys[id].state.held.iter().map(|it| it.next(self.firing.lateness_ms)).min()
    }

    fn pack(&mut self, id: KeyId, chest: &mut Chest) {
        let table = chest.table();
        self.removed.seal(table, &mut chest.early);
        self.seal_key(id, table, &mut chest.early);
        chest.value.clear();
        let Scratch { value, accumulator, .. } = &mut self.scratch;
        for held in &self.keys[id].state.held {
            chest.value.extend_from_slice(&held.start.to_le_bytes());
            chest.value.push(u8::from(held.sealed));
            value.clear();
            encode(&self.folds, held, value, accumulator);
            entry::put_bytes(&mut chest.value, value);
        }
    }

    fn free(&mut self, id: KeyId) {
        for held in std::mem::take(&mut self.keys[id].state).held {
            self.free_held(&held);
        }
    }

    fn unpack(&mut self, hash: u64, text: &[u8], mut value: &[u8]) -> Result<KeyId, StateError> {
        let id = self.keys.intern(hash, text);
        while !value.is_empty() {
            let start = i64::from_le_bytes(entry::take(&mut value, "start of a window")?);
            let [sealed] = entry::take(&mut value, "flags of a window")?;
            let held = self.decode(start, entry::take_bytes(&mut value, "a window")?)?;
            self.keys[id].state.held.push(Held { sealed: sealed == 1, ..held });
        }
        self.arm_all(id);
        Ok(id)
    }

    fn unlist(&mut self) {
        let keys = &self.keys;
        let is_due = |id: KeyId, time: i64| keys[id].state.held.iter().any(|it| it.timer == Some(time));
        self.timers.retain(|Reverse((time, id, start))| {
            let windows = &keys[*id].state;
            windows.find(*start).is_some_and(|at| windows.held[at].timer == Some(*time))
        });
        self.part.iter_mut().for_each(|it| it.rest.retain(|id| is_due(*id, it.until.number)));
    }
}
