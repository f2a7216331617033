//! Panes in a snapshot and back.

use super::{Cell, Panes};
use crate::batch;
use crate::state::{Delta, Entry, TableId};
use crate::window::accumulators::Accumulators;
use crate::window::entry::{self, StateError};

impl<A: Accumulators> Panes<A> {
    /// Writes what changed since the last seal.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        self.removed.seal(table, delta);
        let (mut key_bytes, mut value) = (Vec::new(), Vec::new());
        for (id, pane) in std::mem::take(&mut self.dirty) {
            let key = &mut self.keys[id];
            let Some(cell) = key.state.find(pane).filter(|it| it.dirty) else { continue };
            (cell.dirty, cell.sealed) = (false, true);
            value.clear();
            value.push(if cell.changed { entry::CHANGED } else { 0 });
            self.folds.encode(cell.slot, &mut value);
            entry::key(&mut key_bytes, &key.text, pane);
            delta.put(table, batch::key_group(key.hash), &key_bytes, &value);
        }
    }

    /// A restore begins that will end at `watermark`: keys that go to the disk meanwhile are due with windows that are still open then.
    pub fn begin(&mut self, watermark: i64) {
        self.reach(watermark);
    }

    /// Takes back an entry that [`Panes::seal`] wrote; a later one of the same key holds. After the last, [`Panes::resume`].
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        let (text, pane) = entry::split(entry.key)?;
        let id = self.keys.intern(batch::hash(text), text);
        let cells = &mut self.keys[id].state.cells;
        let at = cells.partition_point(|it| it.pane < pane);
        if cells.get(at).is_some_and(|it| it.pane == pane) {
            cells.remove(at).into_iter().for_each(|it| self.folds.free(it.slot));
            self.cells -= 1;
        }
        if let Some(mut value) = entry.value {
            let [flags] = entry::take(&mut value, "flags of a pane")?;
            let (slot, changed) = (self.folds.decode(value)?, flags & entry::CHANGED != 0);
            cells.insert(at, Cell { pane, slot, dirty: false, sealed: true, changed });
            self.cells += 1;
        }
        if cells.is_empty() {
            self.keys.remove(id);
        }
        Ok(())
    }

    /// Ends a restore: windows that `watermark` closes have fired before.
    pub fn resume(&mut self, watermark: i64) {
        self.ahead.clear(); // Of keys that were on the disk meanwhile.
        for id in self.keys.ids() {
            for cell in &self.keys[id].state.cells {
                self.ahead.entry(cell.pane).or_default().push(id);
                if cell.changed {
                    self.changed.push((id, cell.pane));
                }
            }
        }
        self.reach(watermark);
    }
}
