//! What is kept of a key: its accumulators by pane.

use super::sums::Sums;
use crate::window::accumulators::SlotId;
use std::collections::VecDeque;
use std::ops::Range;

/// A key's accumulator of one pane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) pane: i64,
    pub(super) slot: SlotId,
    /// Changed since the last seal.
    pub(super) dirty: bool,
    /// In a snapshot.
    pub(super) sealed: bool,
    /// Changed since the last report (`Every` only).
    pub(super) changed: bool,
}

/// The cells of a key, by pane.
#[derive(Debug, Default)]
pub(in crate::window) struct Cells {
    pub(super) cells: VecDeque<Cell>,
    /// What was made of them, where windows have many.
    pub(super) sums: Option<Box<Sums>>,
    /// Sums may have been made of cells up to this pane: a record in one of these is to be told to them.
    pub(super) summed: Option<i64>,
    /// No cell up to this pane has changes that were not reported (`Every` only).
    pub(super) reported: Option<i64>,
    /// How many cells the last window that was asked for had reached, about.
    near: usize,
    /// The key is in the list of those whose cells windows have reached.
    pub(super) active: bool,
}

impl Cells {
    /// How many cells there are of the panes up to `pane`. Mostly it is one of the last: looked for from the end.
    pub(super) fn until(&self, pane: i64) -> usize {
        let beyond = |at: usize| self.cells.get(at).is_some_and(|it| it.pane > pane);
        let (mut high, mut step) = (self.cells.len(), 1);
        let mut low = 0;
        while let Some(at) = high.checked_sub(step) {
            if !beyond(at) {
                low = at + 1;
                break;
            }
            high = at;
            step *= 2;
        }
        while low < high {
            let middle = low.midpoint(high);
            if beyond(middle) { high = middle } else { low = middle + 1 }
        }
        high
    }

    /// Where the cell of `pane` is, or else would be.
    pub(super) fn place(&self, pane: i64) -> Result<usize, usize> {
        let until = match self.cells.back() {
            Some(it) if it.pane > pane => self.until(pane),
            _ => self.cells.len(),
        };
        match until.checked_sub(1).filter(|it| self.cells[*it].pane == pane) {
            Some(at) => Ok(at),
            None => Err(until),
        }
    }

    pub(super) fn find(&mut self, pane: i64) -> Option<&mut Cell> {
        let at = self.place(pane).ok()?;
        Some(&mut self.cells[at])
    }

    /// Where the cells of the panes `first..=last` are. Quick where windows are asked for one after the other.
    pub(super) fn range(&mut self, first: i64, last: i64) -> Range<usize> {
        let mut to = self.near.min(self.cells.len());
        while self.cells.get(to).is_some_and(|it| it.pane <= last) {
            to += 1;
        }
        while to > 0 && self.cells[to - 1].pane > last {
            to -= 1;
        }
        self.near = to;
        // Those before a window that closes are gone.
        let from = match self.cells.front() {
            Some(it) if it.pane >= first => 0,
            _ => self.cells.partition_point(|it| it.pane < first),
        };
        from.min(to)..to
    }

    /// Takes the earliest cell where it is before `floor`.
    pub(super) fn pop_before(&mut self, floor: i128) -> Option<Cell> {
        let cell = self.cells.pop_front_if(|it| i128::from(it.pane) < floor)?;
        self.near = self.near.saturating_sub(1);
        Some(cell)
    }

    /// True where a cell up to `last` has changes that were not reported.
    pub(super) fn unreported(&mut self, last: i64) -> bool {
        let from = self.reported.map_or(0, |it| self.until(it));
        let changed = self.cells.range(from..).take_while(|it| it.pane <= last).find(|it| it.changed).map(|it| it.pane);
        self.reported = self.reported.max(match changed {
            Some(pane) => pane.checked_sub(1),
            None => Some(last),
        });
        changed.is_some()
    }

    /// Notes that the cell of `pane` has changes that were not reported.
    pub(super) fn unreport(&mut self, pane: i64) {
        self.reported = self.reported.min(pane.checked_sub(1));
    }
}
