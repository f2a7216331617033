//! Which panes are due, what they write, and when a window goes.

use super::{Assigner, Held, Repeated, Stands};
use crate::config::{Accumulate, LatePanes};
use crate::window::accumulators::{Accumulators, Merge};
use crate::window::cold;
use crate::window::fired::{Fired, Pane, RowKind, Timing};
use crate::window::keys::KeyId;
use std::cmp::Reverse;

impl<A: Accumulators> Repeated<A> {
    /// True when a timer is due, and so perhaps a window.
    pub(super) fn due(&self, watermark: i64) -> bool {
        self.timers.peek().is_some_and(|it| it.0.0 <= watermark)
    }

    /// Sets the timer of a window to when it has something to do next.
    pub(super) fn arm(&mut self, id: KeyId, at: usize) {
        let lateness_ms = self.firing.lateness_ms;
        let held = &mut self.keys[id].state.held[at];
        let next = held.next(lateness_ms);
        // One that comes too early is set again when it does.
        if held.timer.is_none_or(|it| next < it) {
            held.timer = Some(next);
            self.timers.push(Reverse((next, id, held.start)));
        }
    }

    /// Writes what is due up to `watermark`: by time, then by key, then by window, until there are the rows of `rows_max` keys or keys on the disk
    /// are needed that [`Repeated::warm_due`] did not yet bring. False where something is left.
    pub(super) fn fire_until(
        &mut self,
        watermark: i64,
        rows_max: usize,
        out: &mut Fired<A::Output>,
    ) -> Result<bool, A::Error> {
        if watermark <= self.watermark && !self.unfinished {
            return Ok(true);
        }
        (self.watermark, self.unfinished) = (watermark, true);
        let mut same = Vec::new();
        while let Some(time) = self.next_timer().filter(|it| *it <= watermark) {
            let waits = self.next.as_ref().is_some_and(|it| it.number < time);
            if waits || out.len() >= rows_max {
                return Ok(false);
            }
            while let Some(Reverse((_, id, start))) = self.timers.peek().filter(|it| it.0.0 == time).copied() {
                self.timers.pop();
                same.push((id, start));
            }
            let room = rows_max - out.len();
            if self.part.is_some() || self.next.as_ref().is_some_and(|it| it.number == time) || same.len() > room {
                same = self.turn(time, same, room);
            } else {
                same.sort_unstable_by(|a, b| self.keys.compare(a.0, b.0).then(a.1.cmp(&b.1)));
            }
            for (id, start) in same.drain(..) {
                // Void where the window is gone, has grown or was given an earlier one.
                let found = self.keys[id].state.find(start);
                if let Some(at) = found.filter(|&at| self.keys[id].state.held[at].timer == Some(time)) {
                    self.keys[id].state.held[at].timer = None;
                    self.fire(id, at, time, out)?;
                }
            }
            if self.part.is_some() {
                return Ok(false);
            }
        }
        self.unfinished = self.next.is_some();
        debug_assert!(
            self.unfinished || !cold::may_be_due(self, watermark),
            "keys are brought back before they are due"
        );
        Ok(!self.unfinished)
    }

    /// When the next timer is due of a key in memory.
    fn next_timer(&self) -> Option<i64> {
        match &self.part {
            Some(part) => Some(part.until.number),
            None => self.timers.peek().map(|it| it.0.0),
        }
    }

    /// Does what a window has to do at `time`, which the watermark has reached.
    fn fire(&mut self, id: KeyId, at: usize, time: i64, out: &mut Fired<A::Output>) -> Result<(), A::Error> {
        let firing = self.firing;
        let held = &mut self.keys[id].state.held[at];
        let expiry = held.last().saturating_add(firing.lateness_ms);
        let changed = held.records > 0 || firing.unchanged;
        if !held.closed && held.last() <= time {
            held.closed = true;
            self.mark(id, at);
            // Nothing new to say: every record was a pane, or the records since the last one are none.
            let said = firing.accumulate == Accumulate::Discarding || firing.records == Some(1);
            if !firing.complete && (changed || !said) {
                self.write(id, at, Timing::OnTime, out)?;
            }
        } else if !held.closed && held.early <= time {
            // However far the watermark has come, one pane says all.
            if let Some(interval) = firing.event_time_ms {
                let passed = self.watermark.div_euclid(interval).saturating_mul(interval);
                held.early = passed.saturating_add(interval);
            }
            if held.last() > self.watermark && changed {
                self.write(id, at, Timing::Early, out)?;
            } else {
                self.mark(id, at);
            }
        }
        let held = &self.keys[id].state.held[at];
        if held.closed && expiry <= time {
            let last = firing.lateness_ms > 0 && !firing.complete && (held.records > 0 || firing.unchanged);
            if last {
                self.write(id, at, Timing::Late, out)?;
            }
            self.expire(id, at);
            return Ok(());
        }
        self.arm(id, at);
        Ok(())
    }

    /// Frees a window, and its key with the last one.
    fn expire(&mut self, id: KeyId, at: usize) {
        self.touched = true;
        let held = self.keys[id].state.held.remove(at);
        self.let_go(id, &held);
        if self.keys[id].state.held.is_empty() {
            self.keys.remove(id);
        }
    }

    /// Frees what a window held that is a window no longer.
    pub(super) fn let_go(&mut self, id: KeyId, held: &Held) {
        self.free_held(held);
        if held.sealed {
            self.removed.push(self.keys[id].hash, &self.keys[id].text, held.start);
        }
    }

    /// Frees the accumulators of a window that is here no longer.
    pub(super) fn free_held(&mut self, held: &Held) {
        self.held -= 1;
        self.folds.free(held.slot);
        held.stands.iter().filter_map(|it| it.slot).for_each(|it| self.folds.free(it));
    }

    /// Writes a pane of a window; what it replaces before it.
    pub(super) fn write(
        &mut self,
        id: KeyId,
        at: usize,
        timing: Timing,
        out: &mut Fired<A::Output>,
    ) -> Result<(), A::Error> {
        if !self.firing.complete {
            self.mark(id, at);
        }
        let retracting = self.firing.accumulate == Accumulate::Retracting;
        let all_time = matches!(self.assigner, Assigner::Global);
        let key = &mut self.keys[id];
        let held = &mut key.state.held[at];
        // A window of all time says from when to when there were records.
        let (start, end) = if all_time { (held.seen.0, held.seen.1.saturating_add(1)) } else { (held.start, held.end) };
        let mut pane = Pane { timing, index: held.panes, kind: RowKind::Result };
        for stood in std::mem::take(&mut held.stands) {
            let bounds = (stood.start, stood.end);
            if let Some(slot) = stood.slot {
                pane.kind = RowKind::Retraction;
                out.push_pane(&self.folds, &key.text, bounds, slot, pane);
                self.folds.free(slot);
            } else if bounds != (start, end) && !all_time {
                pane.kind = RowKind::Tombstone;
                out.push_pane(&self.folds, &key.text, bounds, held.slot, pane);
            }
        }
        pane.kind = RowKind::Result;
        out.push_pane(&self.folds, &key.text, (start, end), held.slot, pane);
        held.panes += 1;
        held.records = 0;
        if retracting {
            let copy = self.folds.create();
            self.folds.merge(&[Merge { into: copy, from: held.slot }])?;
            held.stands.push(Stands { start, end, slot: Some(copy) });
        } else if self.firing.upsert {
            held.stands.push(Stands { start, end, slot: None });
        }
        if self.firing.accumulate == Accumulate::Discarding {
            self.folds.reset(held.slot);
        }
        Ok(())
    }

    /// The windows that changed since their last pane, or all of them: what is due by processing time.
    pub fn changed(&mut self) -> Result<Fired<A::Output>, A::Error> {
        let mut out = Fired::new(&self.folds);
        if self.firing.every_ms.is_none() {
            return Ok(out);
        }
        let ids = if self.firing.complete {
            if std::mem::take(&mut self.touched) { self.keys.ids() } else { Vec::new() }
        } else if self.firing.unchanged {
            self.keys.ids()
        } else {
            std::mem::take(&mut self.changed)
        };
        let mut rows = Vec::new();
        for id in ids {
            let windows = &mut self.keys[id].state;
            windows.changed = false;
            let waits = self.firing.late == LatePanes::AtExpiry;
            let written = |it: &&Held| {
                self.firing.complete
                    || (!(it.closed && waits) && (it.records > 0 || (self.firing.unchanged && !it.closed)))
            };
            rows.extend(windows.held.iter().filter(written).map(|it| (it.end, id, it.start)));
        }
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.keys.compare(a.1, b.1)).then(a.2.cmp(&b.2)));
        rows.dedup();
        for (_, id, start) in rows {
            if let Some(at) = self.keys[id].state.find(start) {
                let timing = if self.keys[id].state.held[at].closed { Timing::Late } else { Timing::Early };
                self.write(id, at, timing, &mut out)?;
            }
        }
        Ok(out)
    }
}
