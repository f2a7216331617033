//! Keys of panes that are on the disk, due with the first of their windows. The value of a key there, for each of its cells, little-endian:
//!
//! | bytes | field                                                   |
//! |-------|---------------------------------------------------------|
//! | 8     | number of the pane: `i64`                               |
//! | 1     | 1 where a snapshot may hold it, else 0                  |
//! | rest  | length of the accumulator: `varint`, and the accumulator |

use super::{Cell, Cells, Panes};
use crate::batch;
use crate::spill::SpillError;
use crate::state::Chest;
use crate::window::StateError;
use crate::window::accumulators::Accumulators;
use crate::window::cold::{self, ColdWindows};
use crate::window::entry;
use crate::window::keys::{KeyId, KeyTable};

/// What a key takes besides what the table of keys has of it, bytes, about: room for four cells.
const CELLS_BYTES: usize = 4 * size_of::<Cell>() + 16;
/// What a cell takes in lists: of the keys of its pane, of what changed.
const LISTED_BYTES: usize = 24;

impl<A: Accumulators> Panes<A> {
    /// Brings some of the keys back that are needed to close what `watermark` has reached. See
    /// [`crate::window::Operator::warm_due`].
    ///
    /// # Errors
    /// The disk's.
    pub fn warm_due(&mut self, watermark: i64) -> Result<(), SpillError> {
        self.next = match self.until(watermark) {
            Some(until) => cold::warm_due(self, until)?,
            None => None,
        };
        Ok(())
    }

    /// True where keys on the disk may be needed to close what `watermark` has reached.
    pub fn waits_for(&self, watermark: i64) -> bool {
        watermark > self.watermark && self.until(watermark).is_some_and(|it| cold::may_be_due(self, it))
    }

    /// The last window that `watermark` closes.
    fn until(&self, watermark: i64) -> Option<i64> {
        self.cold.as_ref()?;
        let last = self.layout.open(watermark) - 1;
        (last >= i64::MIN.into()).then(|| last.min(i64::MAX.into()) as i64)
    }

    /// True where the window `open` is written in part, and of this key it is.
    pub(super) fn is_written(&self, id: KeyId) -> bool {
        self.part.as_ref().is_some_and(|it| it.until.is_after(id, &self.keys))
    }

    /// The first window of a key that is to be written.
    fn first_window(&self, id: KeyId, pane: i64) -> i64 {
        let open = self.open + i128::from(self.is_written(id));
        open.max(self.layout.first_window(pane).into()) as i64 // It has a pane with records, so it is an `i64`.
    }
}

impl<A: Accumulators> ColdWindows for Panes<A> {
    type Kept = Cells;

    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn table(&self) -> &KeyTable<Cells> {
        &self.keys
    }

    fn table_mut(&mut self) -> &mut KeyTable<Cells> {
        &mut self.keys
    }

    fn bytes(&self) -> usize {
        let sums = self.groups.map_or(0, |it| it.bytes()) * self.summed_keys;
        let cells = self.keys.len() * CELLS_BYTES + self.cells * (size_of::<Cell>() + LISTED_BYTES);
        self.keys.live_bytes() + cells + sums + self.folds.bytes()
    }

    fn unsealed_bytes(&self) -> usize {
        self.removed.bytes() + self.dirty.len() * (ColdWindows::bytes(self) / self.cells.max(1))
    }

    fn may_go(&self, id: KeyId) -> bool {
        let cells = &self.keys[id].state.cells;
        // What waits to be reported is looked for in memory.
        !cells.is_empty() && cells.iter().all(|it| !it.changed)
    }

    fn due(&self, id: KeyId) -> Option<i64> {
        self.keys[id].state.cells.front().map(|it| self.first_window(id, it.pane))
    }

    fn pack(&mut self, id: KeyId, chest: &mut Chest) {
        let table = chest.table();
        self.removed.seal(table, &mut chest.early);
        let key = &mut self.keys[id];
        let (mut name, mut accumulator) = (Vec::new(), Vec::new());
        chest.value.clear();
        for cell in &mut key.state.cells {
            accumulator.clear();
            accumulator.push(0); // Nothing in it waits to be reported.
            self.folds.encode(cell.slot, &mut accumulator);
            if std::mem::take(&mut cell.dirty) {
                cell.sealed = true;
                entry::key(&mut name, &key.text, cell.pane);
                chest.early.put(table, batch::key_group(key.hash), &name, &accumulator);
            }
            chest.value.extend_from_slice(&cell.pane.to_le_bytes());
            chest.value.push(u8::from(cell.sealed));
            entry::put_bytes(&mut chest.value, accumulator.get(1..).unwrap_or_default());
        }
    }

    fn free(&mut self, id: KeyId) {
        self.forget_sums_of(id);
        for cell in std::mem::take(&mut self.keys[id].state.cells) {
            self.folds.free(cell.slot);
            self.cells -= 1;
        }
    }

    fn unpack(&mut self, hash: u64, text: &[u8], mut value: &[u8]) -> Result<KeyId, StateError> {
        let id = self.keys.intern(hash, text);
        while !value.is_empty() {
            let pane = i64::from_le_bytes(entry::take(&mut value, "number of a pane")?);
            let [sealed] = entry::take(&mut value, "flags of a pane")?;
            let slot = self.folds.decode(entry::take_bytes(&mut value, "an accumulator")?)?;
            let cell = Cell { pane, slot, dirty: false, sealed: sealed == 1, changed: false };
            self.keys[id].state.cells.push_back(cell);
            self.cells += 1;
            self.place(id, pane);
        }
        Ok(id)
    }

    fn unlist(&mut self) {
        let keys = &self.keys;
        let is_active = |id: &KeyId| keys[*id].state.active;
        self.active.retain(is_active);
        self.written.retain(is_active);
        self.part.iter_mut().for_each(|it| it.rest.retain(is_active));
        self.ahead.retain(|_, ids| {
            ids.retain(|id| !keys[*id].state.cells.is_empty());
            !ids.is_empty()
        });
    }
}
