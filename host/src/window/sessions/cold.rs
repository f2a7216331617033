//! Keys of sessions that are on the disk, due when the first of their sessions closes. The value of a key there, for each session, little-endian:
//!
//! | bytes | field                                                    |
//! |-------|----------------------------------------------------------|
//! | 8     | time of its first record: `i64`                          |
//! | 8     | time of its last record: `i64`                           |
//! | 1     | 1 where a snapshot may hold it, else 0                   |
//! | rest  | length of the accumulator: `varint`, and the accumulator |

use super::{Open, Session, Sessions};
use crate::spill::SpillError;
use crate::state::Chest;
use crate::window::StateError;
use crate::window::accumulators::Accumulators;
use crate::window::cold::{self, ColdWindows};
use crate::window::entry;
use crate::window::keys::{KeyId, KeyTable};
use std::cmp::Reverse;

/// What a key takes besides what the table of keys has of it, bytes, about: room for four sessions, and its timer.
const SESSIONS_BYTES: usize = 4 * size_of::<Session>() + 16 + 2 * size_of::<Reverse<(i64, KeyId)>>();

impl<A: Accumulators> Sessions<A> {
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

    /// The keys with sessions that close at `at`: all of them, or in the order of rows, as far as they are before the next one on the disk, `keys_max` of them.
    pub(super) fn turn(&mut self, at: i64, keys_max: usize) -> Vec<KeyId> {
        let mut keys = Vec::new();
        while let Some(Reverse((_, id))) = self.timers.peek().filter(|it| it.0.0 == at).copied() {
            self.timers.pop();
            if self.keys[id].state.timer == Some(at) {
                keys.push(id); // Else it is void: the key was given an earlier one, or is gone.
            }
        }
        let next = self.next.take_if(|it| it.number == at);
        if next.is_some() || self.part.is_some() || keys.len() > keys_max {
            keys.sort_unstable_by(|a, b| self.keys.compare(*a, *b));
            keys.dedup();
            keys = cold::turn_some(&mut self.part, keys, next, &self.keys, (at, keys_max));
        }
        keys
    }
}

impl<A: Accumulators> ColdWindows for Sessions<A> {
    type Kept = Open;

    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn table(&self) -> &KeyTable<Open> {
        &self.keys
    }

    fn table_mut(&mut self) -> &mut KeyTable<Open> {
        &mut self.keys
    }

    fn bytes(&self) -> usize {
        self.keys.live_bytes() + self.keys.len() * SESSIONS_BYTES + self.folds.bytes()
    }

    fn unsealed_bytes(&self) -> usize {
        self.removed.bytes() + self.dirty.len() * (ColdWindows::bytes(self) / self.keys.len().max(1))
    }

    fn may_go(&self, id: KeyId) -> bool {
        let sessions = &self.keys[id].state.sessions;
        // What waits to be reported is looked for in memory.
        !sessions.is_empty() && sessions.iter().all(|it| !it.changed)
    }

    fn due(&self, id: KeyId) -> Option<i64> {
        self.keys[id].state.sessions.first().map(|it| self.last_ms(it.last))
    }

    fn pack(&mut self, id: KeyId, chest: &mut Chest) {
        let table = chest.table();
        self.removed.seal(table, &mut chest.early);
        self.seal_key(id, table, &mut chest.early);
        chest.value.clear();
        for session in &self.keys[id].state.sessions {
            chest.value.extend_from_slice(&session.first.to_le_bytes());
            chest.value.extend_from_slice(&session.last.to_le_bytes());
            chest.value.push(u8::from(session.sealed));
            entry::put_accumulator(&mut chest.value, &self.folds, session.slot, &mut self.scratch.accumulator);
        }
    }

    fn free(&mut self, id: KeyId) {
        for session in std::mem::take(&mut self.keys[id].state.sessions) {
            self.folds.free(session.slot);
        }
    }

    fn unpack(&mut self, hash: u64, text: &[u8], mut value: &[u8]) -> Result<KeyId, StateError> {
        let id = self.keys.intern(hash, text);
        while !value.is_empty() {
            let first = i64::from_le_bytes(entry::take(&mut value, "first time of a session")?);
            let last = i64::from_le_bytes(entry::take(&mut value, "last time of a session")?);
            let [sealed] = entry::take(&mut value, "flags of a session")?;
            let slot = self.folds.decode(entry::take_bytes(&mut value, "an accumulator")?)?;
            let session = Session { first, last, slot, dirty: false, sealed: sealed == 1, changed: false };
            self.keys[id].state.sessions.push(session);
        }
        self.set_timer(id);
        Ok(id)
    }

    fn unlist(&mut self) {
        let keys = &self.keys;
        self.timers.retain(|it| keys[it.0.1].state.timer == Some(it.0.0));
        self.part.iter_mut().for_each(|it| it.rest.retain(|id| keys[*id].state.timer == Some(it.until.number)));
    }
}
