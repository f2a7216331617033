//! Sessions in a snapshot and back.

use super::{Session, Sessions};
use crate::batch;
use crate::state::{Delta, Entry, TableId};
use crate::window::accumulators::Accumulators;
use crate::window::entry::{self, Scratch, StateError};
use crate::window::keys::KeyId;

impl<A: Accumulators> Sessions<A> {
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
        for session in key.state.sessions.iter_mut().filter(|it| it.dirty) {
            (session.dirty, session.sealed) = (false, true);
            let Scratch { name, value, .. } = &mut self.scratch;
            value.clear();
            value.push(if session.changed { entry::CHANGED } else { 0 });
            value.extend_from_slice(&session.last.to_le_bytes());
            self.folds.encode(session.slot, value);
            entry::key(name, &key.text, session.first);
            delta.put(table, batch::key_group(key.hash), name, value);
        }
    }

    /// Takes back an entry that [`Sessions::seal`] wrote; a later one of the same key holds. After the last,
    /// [`Sessions::resume`].
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        let (text, first) = entry::split(entry.key)?;
        let id = self.keys.intern(batch::hash(text), text);
        let sessions = &mut self.keys[id].state.sessions;
        let at = sessions.partition_point(|it| it.first < first);
        if sessions.get(at).is_some_and(|it| it.first == first) {
            self.folds.free(sessions.remove(at).slot);
        }
        if let Some(mut value) = entry.value {
            let [flags] = entry::take(&mut value, "flags of a session")?;
            let last = i64::from_le_bytes(entry::take(&mut value, "last time of a session")?);
            let (slot, changed) = (self.folds.decode(value)?, flags & entry::CHANGED != 0);
            sessions.insert(at, Session { first, last, slot, dirty: false, sealed: true, changed });
        }
        if sessions.is_empty() {
            self.keys.remove(id);
        }
        Ok(())
    }

    /// Ends a restore: sessions that `watermark` closes have fired before.
    pub fn resume(&mut self, watermark: i64) {
        self.timers.clear(); // Of keys that were on the disk meanwhile.
        for id in self.keys.ids() {
            self.set_timer(id);
            let state = &mut self.keys[id].state;
            state.changed = state.sessions.iter().any(|it| it.changed);
            if state.changed {
                self.changed.push(id);
            }
        }
        self.watermark = watermark;
    }
}
