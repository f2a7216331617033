//! Keys of sessions that are on the disk, due when the first of their sessions closes. The value of a key there, for each session, little-endian:
//!
//! | bytes | field                                                    |
//! |-------|----------------------------------------------------------|
//! | 8     | time of its first record: `i64`                          |
//! | 8     | time of its last record: `i64`                           |
//! | 1     | 1 where a snapshot may hold it, else 0                   |
//! | rest  | length of the accumulator: `varint`, and the accumulator |

use super::{Session, Sessions};
use crate::spill::{Moved, SpillError};
use crate::state::{Chest, Spills};
use crate::window::StateError;
use crate::window::accumulators::Accumulators;
use crate::window::cold;
use crate::window::entry;
use crate::window::keys::KeyId;
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

    /// The keys with sessions that close at `at`, in the order of rows, as far as they are before the next one on the disk.
    pub(super) fn turn(&mut self, at: i64) -> Vec<KeyId> {
        let mut keys = Vec::new();
        while let Some(Reverse((_, id))) = self.timers.peek().filter(|it| it.0.0 == at).copied() {
            self.timers.pop();
            if self.keys[id].state.timer == Some(at) {
                keys.push(id);
            }
        }
        keys.sort_unstable_by(|a, b| self.keys.compare(*a, *b));
        keys.dedup();
        let next = self.next.take_if(|it| it.number == at);
        cold::turn(&mut self.part, keys, next, &self.keys)
    }

    /// A key as it was moved.
    fn put_back(&mut self, hash: u64, text: &[u8], mut value: &[u8]) -> Result<KeyId, StateError> {
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

    /// Writes what the next snapshot must hold of a key into `chest.early`, and the key into `chest.value`.
    fn write(&mut self, id: KeyId, chest: &mut Chest) {
        let table = chest.table();
        self.removed.seal(table, &mut chest.early);
        self.seal_key(id, table, &mut chest.early);
        chest.value.clear();
        let mut accumulator = Vec::new();
        for session in &self.keys[id].state.sessions {
            chest.value.extend_from_slice(&session.first.to_le_bytes());
            chest.value.extend_from_slice(&session.last.to_le_bytes());
            chest.value.push(u8::from(session.sealed));
            accumulator.clear();
            self.folds.encode(session.slot, &mut accumulator);
            entry::put_bytes(&mut chest.value, &accumulator);
        }
    }
}

impl<A: Accumulators> Spills for Sessions<A> {
    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn bytes(&self) -> usize {
        self.keys.live_bytes() + self.keys.len() * SESSIONS_BYTES + self.folds.bytes()
    }

    fn changed_bytes(&self) -> usize {
        let early = self.cold.as_ref().map_or(0, |it| it.early.bytes().len());
        early + self.removed.bytes() + self.dirty.len() * (self.bytes() / self.keys.len().max(1))
    }

    fn slots(&self) -> usize {
        self.keys.slots()
    }

    fn touch(&mut self, hash: u64, key: &[u8]) -> Option<u32> {
        let id = self.keys.find(hash, key)?;
        self.keys.touch(id);
        Some(id.slot())
    }

    fn take_back(&mut self, chest: &mut Chest, hash: u64, key: &[u8]) -> Result<Option<u32>, SpillError> {
        if !cold::take(chest, hash, key)? {
            return Ok(None);
        }
        let id = self.put_back(hash, key, &chest.value).map_err(|_| chest.cold.damaged())?;
        self.keys.touch(id);
        Ok(Some(id.slot()))
    }

    fn pass(&mut self, chest: &mut Chest) -> Result<(), SpillError> {
        let id = KeyId::of(chest.hand);
        if self.keys.cool(id) {
            return Ok(());
        }
        let key = &self.keys[id];
        let Some(first) = key.state.sessions.first().copied() else { return Ok(()) };
        // What waits to be reported is looked for in memory.
        if key.text.len() > cold::TEXT_BYTES_MAX || key.state.sessions.iter().any(|it| it.changed) {
            return Ok(());
        }
        self.write(id, chest);
        let (mut name, due) = (Vec::new(), self.last_ms(first.last));
        cold::name(&mut name, self.keys[id].hash, &self.keys[id].text);
        chest.cold.put(Moved { key: &name, value: &chest.value, due: [Some(due), None] })?;
        for session in std::mem::take(&mut self.keys[id].state.sessions) {
            self.folds.free(session.slot);
        }
        self.keys.leave(id);
        Ok(())
    }

    fn moved(&mut self) {
        if !self.keys.left() {
            return;
        }
        // What is free is in no list: its id is about to name another key.
        let keys = &self.keys;
        self.timers.retain(|it| keys[it.0.1].state.timer == Some(it.0.0));
        self.part.iter_mut().for_each(|it| it.rest.retain(|id| keys[*id].state.timer == Some(it.until.number)));
        self.keys.reuse();
    }
}
