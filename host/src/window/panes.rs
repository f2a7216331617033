//! Tumbling and hopping windows over panes.
//!
//! A record is folded into its key's accumulator of one pane (a *cell*), whatever `size / slide` is; a window that closes
//! merges its cells, and those that no open window needs are freed. After every record (`on-update`) a row is due for each
//! window anyway: then each window is a pane of its own.
//!
//! Where windows have many cells and share most of them with each other, a row costs a few merges, however many cells there are: `sums`
//! says how. Sums are in memory only; a snapshot holds the cells. Keys without records in a window cost nothing at its close.
//! Keys that do not fit into memory are on the disk until the first of their windows closes: `cold`.

mod cells;
mod closing;
mod cold;
mod groups;
mod merging;
mod planner;
mod sealing;
mod sums;

use super::Input;
use super::accumulators::{Accumulators, Add, SlotId};
use super::cold::{Part, Place};
use super::entry::Removed;
use super::fired::{Fired, Processed};
use super::keys::{KeyId, KeyTable};
use super::layout::Layout;
use crate::config::Emit;
use crate::state::{Chest, Spills};
use cells::{Cell, Cells};
use groups::Groups;
use merging::Merging;
use std::collections::BTreeMap;

/// Tumbling and hopping windows.
#[derive(Debug)]
pub struct Panes<A> {
    layout: Layout,
    /// None where windows are merged from their cells.
    groups: Option<Groups>,
    /// The chunk of `floor`: totals of earlier ones are gone.
    first_chunk: Option<i64>,
    emit: Emit,
    folds: A,
    keys: KeyTable<Cells>,
    /// Keys with cells in panes up to `entered`; the next window that closes has a row for each of them.
    active: Vec<KeyId>,
    /// `active` is in the order of rows.
    ordered: bool,
    entered: i64,
    /// For panes after `entered`: the keys that have a cell there.
    ahead: BTreeMap<i64, Vec<KeyId>>,
    watermark: i64,
    /// The first window that is open. Wider than a window's number: at the end of time there is none left.
    open: i128,
    /// Panes below have no open window.
    floor: i128,
    /// The pane of the last record: its first and last millisecond and its number.
    recent: (i64, i64, i64),
    adds: Vec<Add>,
    dirty: Vec<(KeyId, i64)>,
    changed: Vec<(KeyId, i64)>,
    removed: Removed,
    merging: Merging,
    /// Cells there are, and keys with sums.
    cells: usize,
    summed_keys: usize,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
    /// The first row that waits for a key on the disk, as far as the watermark has come.
    next: Option<Box<Place>>,
    /// The window `open` is written in part.
    part: Option<Box<Part>>,
    /// Keys that are written of it, and stay active.
    written: Vec<KeyId>,
    /// `written` is in the order of rows: none has come back since it was written.
    written_ordered: bool,
}

impl<A: Accumulators> Panes<A> {
    /// Windows of `size_ms` every `slide_ms`, the starts shifted by `offset_ms`; see [`crate::config::Window`] for the bounds.
    pub fn new(size_ms: i64, slide_ms: i64, offset_ms: i64, emit: Emit, folds: A) -> Self {
        let layout = match emit {
            Emit::OnUpdate => Layout::apart(size_ms, slide_ms, offset_ms),
            Emit::OnClose | Emit::Every { .. } | Emit::Repeatedly(_) => Layout::shared(size_ms, slide_ms, offset_ms),
        };
        // Sums of what grows would hold each record many times.
        let groups = if folds.grows() { None } else { Groups::new(&layout) };
        let mut panes = Panes {
            layout,
            groups,
            first_chunk: None,
            emit,
            folds,
            keys: KeyTable::new(),
            active: Vec::new(),
            ordered: true,
            entered: i64::MIN,
            ahead: BTreeMap::new(),
            watermark: i64::MIN,
            open: i128::MIN,
            floor: i128::MIN,
            recent: (i64::MAX, i64::MIN, 0), // Holds no time.
            adds: Vec::new(),
            dirty: Vec::new(),
            changed: Vec::new(),
            removed: Removed::default(),
            merging: Merging::default(),
            cells: 0,
            summed_keys: 0,
            cold: None,
            next: None,
            part: None,
            written: Vec::new(),
            written_ordered: true,
        };
        panes.reach(i64::MIN);
        panes
    }

    /// Folds a batch. Late rows are listed and change nothing.
    pub fn process(&mut self, input: &Input<'_>) -> Result<Processed<A::Output>, A::Error> {
        let mut out = Processed::new(&self.folds);
        let mut next = 0;
        for &(row, watermark) in &input.clock.stragglers {
            self.assign(input, next..row as usize, &mut out)?;
            // What had closed before this record must not see it: close it now. What lies between is on time.
            if self.due(watermark) {
                self.fold(input)?;
            }
            self.close_until(watermark, usize::MAX, &mut out.fired)?;
            self.assign(input, row as usize..row as usize + 1, &mut out)?;
            next = row as usize + 1;
        }
        self.assign(input, next..input.times.len(), &mut out)?;
        self.fold(input)?;
        Ok(out)
    }

    /// Closes every window whose last millisecond `watermark` has reached. A lower watermark than before changes nothing.
    pub fn advance(&mut self, watermark: i64) -> Result<Fired<A::Output>, A::Error> {
        self.advance_some(watermark, usize::MAX).map(|it| it.0)
    }

    /// As [`super::Operator::advance_some`].
    pub(super) fn advance_some(
        &mut self,
        watermark: i64,
        rows_max: usize,
    ) -> Result<(Fired<A::Output>, bool), A::Error> {
        let mut out = Fired::new(&self.folds);
        let done = self.close_until(watermark, rows_max, &mut out)?;
        Ok((out, done))
    }

    /// With [`Emit::Every`], the open windows that changed since they were last reported; otherwise nothing.
    pub fn changed(&mut self) -> Result<Fired<A::Output>, A::Error> {
        let mut out = Fired::new(&self.folds);
        let mut rows = Vec::new();
        for (key, pane) in std::mem::take(&mut self.changed) {
            let Some(cell) = self.keys[key].state.find(pane).filter(|it| it.changed) else { continue };
            cell.changed = false;
            mark(cell, key, &mut self.dirty);
            let first = self.open.max(self.layout.first_window(pane).into()) as i64; // At most the last.
            let windows = first..=self.layout.last_window(pane);
            rows.extend(windows.map(|window| (window, key)));
        }
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.keys.compare(a.1, b.1)));
        rows.dedup();
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            let keys: Vec<KeyId> = group.iter().map(|it| it.1).collect();
            self.emit(group[0].0, &keys, &mut out)?;
        }
        Ok(out)
    }

    fn assign(
        &mut self,
        input: &Input<'_>,
        rows: std::ops::Range<usize>,
        out: &mut Processed<A::Output>,
    ) -> Result<(), A::Error> {
        for row in rows {
            let (first, last) = self.panes_of(input.times[row]);
            if i128::from(last) < self.floor {
                out.late.push(row as u32);
                continue;
            }
            let key = self.keys.intern(input.keys.hashes[row], input.keys.texts.get(row));
            let first = self.floor.max(first.into()) as i64; // At most `last`.
            for pane in first..=last {
                let slot = self.cell(key, pane);
                self.adds.push(Add { slot, row: row as u32 });
            }
            if self.emit == Emit::OnUpdate {
                self.fold(input)?;
                for window in first..=last {
                    let slot = self.cell(key, window); // Each window is a pane of its own here.
                    out.fired.push(&self.folds, &self.keys[key].text, self.layout.bounds(window), slot);
                }
            }
        }
        Ok(())
    }

    fn panes_of(&mut self, time: i64) -> (i64, i64) {
        let (from, to, pane) = self.recent;
        if from <= time && time <= to {
            return (pane, pane);
        }
        let panes = self.layout.panes(time);
        if !self.layout.overlapping() {
            let (from, to) = self.layout.pane_times(panes.0);
            self.recent = (from, to, panes.0);
        }
        panes
    }

    /// The accumulator of `key` and `pane`, about to change.
    fn cell(&mut self, key: KeyId, pane: i64) -> SlotId {
        let state = &mut self.keys[key].state;
        if let Some(groups) = self.groups.filter(|_| Some(pane) <= state.summed) {
            state.sums.iter_mut().for_each(|it| it.void(pane, &groups, &mut self.folds));
        }
        let at = match state.place(pane) {
            Ok(at) => at,
            Err(at) => {
                let cell = Cell { pane, slot: self.folds.create(), dirty: false, sealed: false, changed: false };
                if at == state.cells.len() {
                    state.cells.push_back(cell);
                } else {
                    state.cells.insert(at, cell);
                }
                self.cells += 1;
                self.place(key, pane);
                at
            }
        };
        let state = &mut self.keys[key].state;
        let cell = &mut state.cells[at];
        let slot = cell.slot;
        mark(cell, key, &mut self.dirty);
        if matches!(self.emit, Emit::Every { .. }) && !std::mem::replace(&mut cell.changed, true) {
            state.unreport(pane);
            self.changed.push((key, pane));
        }
        slot
    }

    /// Notes that `key` has a new cell in `pane`.
    fn place(&mut self, key: KeyId, pane: i64) {
        if pane > self.entered {
            self.ahead.entry(pane).or_default().push(key);
        } else if !std::mem::replace(&mut self.keys[key].state.active, true) {
            // Of a window that is written in part, the key may be one that is.
            let (keys, ordered) = match self.is_written(key) {
                true => (&mut self.written, &mut self.written_ordered),
                false => (&mut self.active, &mut self.ordered),
            };
            keys.push(key);
            *ordered = false;
        }
    }

    /// Applies the adds gathered so far.
    fn fold(&mut self, input: &Input<'_>) -> Result<(), A::Error> {
        if !self.adds.is_empty() {
            self.folds.add(input, &self.adds)?;
            self.adds.clear();
        }
        Ok(())
    }

    /// How many keys have open windows.
    pub fn keys(&self) -> usize {
        self.keys.len() + self.cold_keys()
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        &mut self.folds
    }
}

fn mark(cell: &mut Cell, key: KeyId, dirty: &mut Vec<(KeyId, i64)>) {
    if !cell.dirty {
        cell.dirty = true;
        dirty.push((key, cell.pane));
    }
}
