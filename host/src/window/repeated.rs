//! Windows that may write several results, *panes*, and remember what they wrote.
//!
//! Each window of a key is kept by itself, with its accumulator, and says when its next pane is due. A pane is early, on time or
//! late: before, when or after the watermark reaches the window's last millisecond. A window is held for the allowed lateness
//! after that, and then it *expires*. Without early panes and lateness it writes the same as [`super::Panes`] and
//! [`super::Sessions`] do, which share what can be shared because nothing is remembered.
//!
//! | due                                   | pane    | written                                                  |
//! |---------------------------------------|---------|----------------------------------------------------------|
//! | `records` since the last pane         | early   | at the record                                            |
//! | a multiple of `event_time` is passed  | early   | when the watermark moves, where something changed         |
//! | `every`, in processing time           | early   | when asked, where something changed                       |
//! | the last millisecond is reached       | on time | always; where discarding or after every record, if changed |
//! | a record after that                   | late    | at the record, or at the expiry where something changed   |
//!
//! With `unchanged`, what is due is written although nothing changed, and one more pane at the expiry.
//!
//! Keys that do not fit into memory are on the disk until the first of their windows has something to do: `cold`.

mod cold;
mod firing;
mod merging;
mod sealing;

use super::Input;
use super::accumulators::{Accumulators, Add, SlotId};
use super::calendar::Calendar;
use super::cold::{Part, Place};
use super::entry::{Removed, Scratch};
use super::fired::{Fired, Processed, Timing};
use super::keys::{KeyId, KeyTable};
use super::layout::Layout;
use crate::config::{Firing, LatePanes, Window};
use crate::state::{Chest, Spills};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No early pane is due.
const NEVER: i64 = i64::MAX;

/// Where a record belongs.
#[derive(Debug)]
enum Assigner {
    /// Windows of one length; each is known by its number.
    Aligned(Layout),
    Calendar(Calendar),
    Global,
    /// Sessions of this gap; true where those that only touch are one.
    Sessions(i64, bool),
}

/// A row that was written and still stands, with the bounds that it gave.
#[derive(Clone, Copy, Debug)]
struct Stands {
    start: i64,
    end: i64,
    /// What it said; only where it may have to be taken back.
    slot: Option<SlotId>,
}

/// One window of a key.
#[derive(Debug)]
struct Held {
    start: i64,
    /// Exclusive; `i64::MAX` where it is beyond that.
    end: i64,
    slot: SlotId,
    /// The earliest and the latest time of its records.
    seen: (i64, i64),
    /// Since the last pane.
    records: u64,
    /// Written so far.
    panes: u64,
    /// True when the pane on time was due for the present end.
    closed: bool,
    /// When the next early pane by event time is due.
    early: i64,
    /// Its timer; others of it are void.
    timer: Option<i64>,
    /// Rows that the next one replaces; empty where nobody needs to know.
    stands: Vec<Stands>,
    /// Changed since the last seal.
    dirty: bool,
    /// In a snapshot, under `start`.
    sealed: bool,
}

impl Held {
    /// The last millisecond.
    fn last(&self) -> i64 {
        self.end.saturating_sub(1)
    }

    /// When it has something to do next: its next early pane, the one on time, or its expiry.
    fn next(&self, lateness_ms: i64) -> i64 {
        match self.closed {
            true => self.last().saturating_add(lateness_ms),
            false => self.last().min(self.early),
        }
    }
}

/// The windows of a key by start, and in which lists the key is.
#[derive(Debug, Default)]
pub(super) struct Windows {
    held: Vec<Held>,
    dirty: bool,
    changed: bool,
}

impl Windows {
    fn find(&self, start: i64) -> Option<usize> {
        match self.held.last() {
            Some(it) if it.start == start => Some(self.held.len() - 1),
            _ => self.held.binary_search_by_key(&start, |it| it.start).ok(),
        }
    }
}

/// Windows of time that may write several results.
#[derive(Debug)]
pub struct Repeated<A> {
    assigner: Assigner,
    firing: Firing,
    folds: A,
    keys: KeyTable<Windows>,
    timers: BinaryHeap<Reverse<(i64, KeyId, i64)>>,
    watermark: i64,
    adds: Vec<Add>,
    dirty: Vec<KeyId>,
    /// Keys with windows that have records since their last pane; only where somebody asks for what changed.
    changed: Vec<KeyId>,
    /// True when something changed since somebody asked for all.
    touched: bool,
    /// True while an advance has stopped before its end.
    unfinished: bool,
    removed: Removed,
    /// Windows there are.
    held: usize,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
    /// The first row that waits for a key on the disk, as far as the watermark has come.
    next: Option<Box<Place>>,
    scratch: Scratch,
    /// What is due at one time is done in part.
    part: Option<Box<Part>>,
}

impl<A: Accumulators> Repeated<A> {
    /// Windows of time, written as `firing` says.
    pub fn new(window: &Window, firing: Firing, folds: A) -> Self {
        let assigner = match window {
            Window::Tumbling { size_ms, offset_ms } => Assigner::Aligned(Layout::apart(*size_ms, *size_ms, *offset_ms)),
            Window::Hopping { size_ms, slide_ms, offset_ms } => {
                Assigner::Aligned(Layout::apart(*size_ms, *slide_ms, *offset_ms))
            }
            Window::Session { gap_ms, touching, .. } => Assigner::Sessions(*gap_ms, *touching),
            Window::Calendar { unit, zone } => Assigner::Calendar(Calendar::new(*unit, zone)),
            // The others have operators of their own and never come here.
            Window::Global | Window::Rolling { .. } | Window::Sliding { .. } | Window::Count { .. } => Assigner::Global,
        };
        Repeated {
            assigner,
            firing,
            folds,
            keys: KeyTable::new(),
            timers: BinaryHeap::new(),
            watermark: i64::MIN,
            adds: Vec::new(),
            dirty: Vec::new(),
            changed: Vec::new(),
            touched: false,
            unfinished: false,
            removed: Removed::default(),
            held: 0,
            cold: None,
            next: None,
            scratch: Scratch::default(),
            part: None,
        }
    }

    /// Folds a batch. Late rows are listed and change nothing.
    pub fn process(&mut self, input: &Input<'_>) -> Result<Processed<A::Output>, A::Error> {
        let mut out = Processed::new(&self.folds);
        let mut next = 0;
        for &(row, watermark) in &input.clock.stragglers {
            self.assign_all(input, next..row as usize, &mut out)?;
            // What was due before this record must not see it. The rows between are ahead of the watermark.
            if self.due(watermark) {
                self.fold(input)?;
            }
            self.fire_until(watermark, usize::MAX, &mut out.fired)?;
            self.assign_all(input, row as usize..row as usize + 1, &mut out)?;
            next = row as usize + 1;
        }
        self.assign_all(input, next..input.times.len(), &mut out)?;
        self.fold(input)?;
        Ok(out)
    }

    /// Writes what is due at `watermark`. A lower watermark than before changes nothing.
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
        let done = self.fire_until(watermark, rows_max, &mut out)?;
        Ok((out, done))
    }

    fn assign_all(
        &mut self,
        input: &Input<'_>,
        rows: std::ops::Range<usize>,
        out: &mut Processed<A::Output>,
    ) -> Result<(), A::Error> {
        for row in rows {
            let on_time = match self.assigner {
                Assigner::Sessions(..) => self.assign_session(input, row, out)?,
                _ => self.assign(input, row, out)?,
            };
            if !on_time {
                out.late.push(row as u32);
            }
        }
        Ok(())
    }

    /// Adds a row to each of its windows that is held or not yet closed for it. False where there is none.
    fn assign(&mut self, input: &Input<'_>, row: usize, out: &mut Processed<A::Output>) -> Result<bool, A::Error> {
        let time = input.times[row];
        let one = match &mut self.assigner {
            Assigner::Calendar(calendar) => Some(calendar.window(time)),
            Assigner::Aligned(_) => None,
            Assigner::Global | Assigner::Sessions(..) => Some((i64::MIN, i64::MAX)),
        };
        if let Some(bounds) = one {
            return self.assign_to(input, row, bounds, &mut None, out);
        }
        let Assigner::Aligned(layout) = &self.assigner else { return Ok(false) };
        let (first, last) = layout.panes(time);
        let (mut on_time, mut id) = (false, None);
        for window in first..=last {
            let Assigner::Aligned(layout) = &self.assigner else { break };
            let bounds = layout.bounds(window);
            on_time |= self.assign_to(input, row, bounds, &mut id, out)?;
        }
        Ok(on_time)
    }

    /// Adds a row to one window, unless that has expired. `id` is its key, looked up for the first window that has not.
    fn assign_to(
        &mut self,
        input: &Input<'_>,
        row: usize,
        (start, end): (i64, i64),
        id: &mut Option<KeyId>,
        out: &mut Processed<A::Output>,
    ) -> Result<bool, A::Error> {
        if self.expired(end) {
            return Ok(false);
        }
        let id = *id.get_or_insert_with(|| self.keys.intern(input.keys.hashes[row], input.keys.texts.get(row)));
        let at = match self.keys[id].state.find(start) {
            Some(at) => at,
            None => self.open(id, (start, end)),
        };
        self.add(input, row, (id, at), out)?;
        Ok(true)
    }

    /// True when a window that ends at `end` is held no longer.
    fn expired(&self, end: i64) -> bool {
        end.saturating_sub(1).saturating_add(self.firing.lateness_ms) <= self.watermark
    }

    /// A window without records.
    fn open(&mut self, id: KeyId, (start, end): (i64, i64)) -> usize {
        let held = Held {
            start,
            end,
            slot: self.folds.create(),
            seen: (i64::MAX, i64::MIN),
            records: 0,
            panes: 0,
            closed: end.saturating_sub(1) <= self.watermark,
            early: NEVER,
            timer: None,
            stands: Vec::new(),
            dirty: false,
            sealed: false,
        };
        let windows = &mut self.keys[id].state.held;
        let at = windows.partition_point(|it| it.start < start);
        windows.insert(at, held);
        self.held += 1;
        at
    }

    /// Adds a row to a window that is held, and writes the pane that the record makes due.
    fn add(
        &mut self,
        input: &Input<'_>,
        row: usize,
        (id, at): (KeyId, usize),
        out: &mut Processed<A::Output>,
    ) -> Result<(), A::Error> {
        self.touched = true;
        self.mark(id, at);
        let firing = self.firing;
        let held = &mut self.keys[id].state.held[at];
        held.records += 1;
        held.seen = (held.seen.0.min(input.times[row]), held.seen.1.max(input.times[row]));
        self.adds.push(Add { slot: held.slot, row: row as u32 });
        if let (Some(interval), NEVER) = (firing.event_time_ms, held.early) {
            let time = input.times[row];
            held.early = time.div_euclid(interval).saturating_mul(interval).saturating_add(interval);
        }
        let timing = if held.closed { Timing::Late } else { Timing::Early };
        let due = match timing {
            _ if firing.complete => false,
            Timing::Late => firing.late == LatePanes::PerRecord,
            _ => firing.records.is_some_and(|it| held.records >= it),
        };
        if due {
            self.fold(input)?;
            self.write(id, at, timing, &mut out.fired)?;
        } else if firing.every_ms.is_some() && !std::mem::replace(&mut self.keys[id].state.changed, true) {
            self.changed.push(id);
        }
        self.arm(id, at);
        Ok(())
    }

    /// Notes that a window has changed since the last seal.
    fn mark(&mut self, id: KeyId, at: usize) {
        let windows = &mut self.keys[id].state;
        windows.held[at].dirty = true;
        if !std::mem::replace(&mut windows.dirty, true) {
            self.dirty.push(id);
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

    /// How many keys have windows.
    pub fn keys(&self) -> usize {
        self.keys.len() + self.cold_keys()
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        &mut self.folds
    }
}
