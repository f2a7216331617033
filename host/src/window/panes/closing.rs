//! Which windows close, what they write, and what is freed then.

use super::Panes;
use super::planner::{Planner, Row};
use crate::config::Emit;
use crate::window::accumulators::Accumulators;
use crate::window::cold;
use crate::window::fired::Fired;
use crate::window::keys::KeyId;

/// How many keys of a closing window are merged at once: bounds the accumulators that exist only meanwhile.
const MERGED_KEYS_MAX: usize = 1024;

impl<A: Accumulators> Panes<A> {
    /// The next window that has a row of a key in memory, open or not.
    fn next_window(&self) -> Option<i128> {
        if !self.active.is_empty() || self.part.is_some() {
            return Some(self.open);
        }
        let (&pane, _) = self.ahead.first_key_value()?;
        Some(self.open.max(self.layout.first_window(pane).into()))
    }

    /// True when a window with rows closes at `watermark`.
    pub(super) fn due(&self, watermark: i64) -> bool {
        watermark > self.watermark && self.next_window().is_some_and(|it| it < self.layout.open(watermark))
    }

    /// Closes what `watermark` has reached, window by window until there are `rows_max` rows or keys on the disk are needed that
    /// [`Panes::warm_due`] did not yet bring. False where windows are left.
    pub(super) fn close_until(
        &mut self,
        watermark: i64,
        rows_max: usize,
        out: &mut Fired<A::Output>,
    ) -> Result<bool, A::Error> {
        if watermark <= self.watermark {
            return Ok(true);
        }
        let open = self.layout.open(watermark);
        while let Some(window) = self.next_window().filter(|it| *it < open) {
            let waits = self.next.as_ref().is_some_and(|it| i128::from(it.number) < window);
            // A window has a pane with records, so it is an `i64`.
            if waits || out.len() >= rows_max || !self.close(window as i64, rows_max, out)? {
                return Ok(false);
            }
            self.open = window + 1;
        }
        if self.next.is_some() {
            return Ok(false);
        }
        debug_assert!(!self.waits_for(watermark), "keys are brought back before their windows close");
        self.reach(watermark);
        Ok(true)
    }

    pub(super) fn reach(&mut self, watermark: i64) {
        self.watermark = watermark;
        self.open = self.layout.open(watermark);
        self.floor = self.layout.floor(self.open);
    }

    /// Writes the rows of `window` and frees what no later window needs, as far as its keys are in memory and until there are `rows_max` rows. False
    /// where some are left.
    fn close(&mut self, window: i64, rows_max: usize, out: &mut Fired<A::Output>) -> Result<bool, A::Error> {
        let last = self.layout.last_pane(window);
        self.enter(last);
        let next = self.next.take_if(|it| it.number == window);
        let room = if self.emit == Emit::OnUpdate { usize::MAX } else { rows_max - out.len() };
        let in_parts = next.is_some() || self.part.is_some() || self.active.len() > room;
        let mut keys = std::mem::take(&mut self.active);
        if (in_parts || self.emit != Emit::OnUpdate) && !std::mem::replace(&mut self.ordered, true) {
            keys.sort_by(|a, b| self.keys.compare(*a, *b)); // Mostly in order already: a stable sort is quick then.
        }
        if in_parts {
            self.open = window.into();
            keys = cold::turn_some(&mut self.part, keys, next, &self.keys, (window, room));
        }
        let floor = self.layout.floor(i128::from(window) + 1);
        let left = self.leave_chunk(floor);
        let mut stay = Vec::with_capacity(keys.len());
        // Some at a time: what is looked up for their rows is still in the caches when they are released.
        for keys in keys.chunks(MERGED_KEYS_MAX) {
            match self.emit {
                Emit::OnUpdate => {}
                Emit::Every { .. } => {
                    let rows = keys.iter().copied().filter(|it| self.keys[*it].state.unreported(last));
                    let rows: Vec<KeyId> = rows.collect();
                    self.emit(window, &rows, out)?;
                }
                Emit::OnClose | Emit::Repeatedly(_) => self.emit(window, keys, out)?,
            }
            stay.extend(keys.iter().copied().filter(|it| self.release(*it, floor, left)));
        }
        let whole = self.part.is_none();
        if in_parts {
            self.written.append(&mut stay);
            if whole {
                self.active = std::mem::take(&mut self.written);
                self.ordered = std::mem::replace(&mut self.written_ordered, true);
            }
        } else {
            self.active = stay;
        }
        Ok(whole)
    }

    /// Makes the keys of the panes up to `last` active.
    fn enter(&mut self, last: i64) {
        while let Some(pane) = self.ahead.first_entry().filter(|it| *it.key() <= last) {
            for key in pane.remove() {
                if !std::mem::replace(&mut self.keys[key].state.active, true) {
                    self.active.push(key);
                    self.ordered = false;
                }
            }
        }
        self.entered = self.entered.max(last);
    }

    /// Writes a row of `window` for each of `keys`, each of which has a cell in it.
    pub(super) fn emit(&mut self, window: i64, keys: &[KeyId], out: &mut Fired<A::Output>) -> Result<(), A::Error> {
        let (first, last) = (self.layout.first_pane(window), self.layout.last_pane(window));
        let bounds = self.layout.bounds(window);
        let reach = self.groups.map(|it| it.reach(&self.layout, window));
        for keys in keys.chunks(MERGED_KEYS_MAX) {
            let mut planner = Planner { reach, folds: &mut self.folds, merging: &mut self.merging };
            let mut rows: Vec<Row> = Vec::with_capacity(keys.len());
            for &key in keys {
                let state = &mut self.keys[key].state;
                let inside = state.range(first, last);
                let (row, begins) = planner.row(state, inside);
                self.summed_keys += usize::from(begins);
                rows.push(row);
            }
            self.merging.run(&mut self.folds)?;
            out.reserve(keys.len());
            for (&key, row) in keys.iter().zip(rows) {
                out.push(&self.folds, &self.keys[key].text, bounds, row.slot);
                if row.own {
                    self.folds.free(row.slot);
                }
            }
        }
        Ok(())
    }

    /// The chunk of `floor`, where the windows before it leave an earlier one.
    fn leave_chunk(&mut self, floor: i128) -> Option<i64> {
        let chunk = self.groups.map(|it| it.chunk_of(floor));
        let left = self.first_chunk != chunk;
        if self.part.is_none() {
            self.first_chunk = chunk;
        }
        chunk.filter(|_| left)
    }

    /// Frees the panes of an active key below `floor`, totals of chunks before `left`, and the key where it has no cell left. True where it is still active.
    fn release(&mut self, id: KeyId, floor: i128, left: Option<i64>) -> bool {
        let key = &mut self.keys[id];
        while let Some(cell) = key.state.pop_before(floor) {
            self.cells -= 1;
            self.folds.free(cell.slot);
            if cell.sealed {
                self.removed.push(key.hash, &key.text, cell.pane);
            }
        }
        let stays = key.state.cells.front().is_some_and(|it| it.pane <= self.entered);
        key.state.active = stays;
        if let (true, Some(sums), Some(chunk)) = (stays, &mut key.state.sums, left) {
            sums.release(chunk, &mut self.folds);
        }
        if !stays {
            self.forget_sums_of(id);
            if self.keys[id].state.cells.is_empty() {
                self.keys.remove(id);
            }
        }
        stays
    }

    /// Frees what was made of the cells of a key. It is made anew when a window asks for it.
    pub(super) fn forget_sums_of(&mut self, id: KeyId) {
        let state = &mut self.keys[id].state;
        state.summed = None;
        if let Some(sums) = state.sums.take() {
            sums.free(&mut self.folds);
            self.summed_keys -= 1;
        }
    }

    /// The same for all keys.
    pub fn forget_sums(&mut self) {
        self.keys.ids().into_iter().for_each(|it| self.forget_sums_of(it));
    }
}
