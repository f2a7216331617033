//! Session windows: records of a key closer than the gap to each other.
//!
//! A session is `[first, last + gap)`; a record is `[t, t + gap)`, joins every session of its key that it overlaps, and so
//! may make one of two. A distance of exactly the gap splits: windows are half-open, and those that touch do not overlap.
//! Lateness is judged on the merged window (as Flink's `MergingWindowSet` does): a record that is old by itself is on time
//! when it joins a session that is still open.
//!
//! A key has at most one timer, never later than its first session closes; a session that grows does not move it. A timer
//! that comes too early is set again. Keys that do not fit into memory are on the disk until the first of their sessions closes: `cold`.

mod cold;
mod sealing;

use super::Input;
use super::accumulators::{Accumulators, Add, Merge, SlotId};
use super::cold::{Part, Place};
use super::entry::{Removed, Scratch};
use super::fired::{Fired, Processed};
use super::keys::{KeyId, KeyTable};
use crate::config::Emit;
use crate::state::{Chest, Spills};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One open session.
#[derive(Clone, Copy, Debug)]
struct Session {
    /// Time of its first record.
    first: i64,
    /// Time of its last record.
    last: i64,
    slot: SlotId,
    /// Changed since the last seal.
    dirty: bool,
    /// In a snapshot, under `first`.
    sealed: bool,
    /// Changed since the last report (`Every` only).
    changed: bool,
}

/// The open sessions of a key, by time; between two there is at least the gap.
#[derive(Debug, Default)]
pub(super) struct Open {
    sessions: Vec<Session>,
    /// The key's timer; others of the key in the heap are void.
    timer: Option<i64>,
    /// In the list `dirty`.
    dirty: bool,
    /// In the list `changed`.
    changed: bool,
}

/// Session windows.
#[derive(Debug)]
pub struct Sessions<A> {
    gap: i64,
    emit: Emit,
    folds: A,
    keys: KeyTable<Open>,
    timers: BinaryHeap<Reverse<(i64, KeyId)>>,
    watermark: i64,
    adds: Vec<Add>,
    dirty: Vec<KeyId>,
    changed: Vec<KeyId>,
    removed: Removed,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
    /// The first row that waits for a key on the disk, as far as the watermark has come.
    next: Option<Box<Place>>,
    scratch: Scratch,
    /// What closes at one time is written in part.
    part: Option<Box<Part>>,
}

impl<A: Accumulators> Sessions<A> {
    /// Sessions that end after `gap_ms` without a record; at least 1.
    pub fn new(gap_ms: i64, emit: Emit, folds: A) -> Self {
        Sessions {
            gap: gap_ms,
            emit,
            folds,
            keys: KeyTable::new(),
            timers: BinaryHeap::new(),
            watermark: i64::MIN,
            adds: Vec::new(),
            dirty: Vec::new(),
            changed: Vec::new(),
            removed: Removed::default(),
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
            // It must not join what had closed before it. The rows between cannot: they are ahead of the watermark.
            if self.due(watermark) {
                self.fold(input)?;
            }
            self.close_until(watermark, usize::MAX, &mut out.fired);
            self.assign(input, row as usize, &mut out)?;
            next = row as usize + 1;
        }
        self.assign_all(input, next..input.times.len(), &mut out)?;
        self.fold(input)?;
        Ok(out)
    }

    /// Closes every session whose last millisecond `watermark` has reached. A lower watermark than before changes nothing.
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
        let done = self.close_until(watermark, rows_max, &mut out);
        Ok((out, done))
    }

    /// With [`Emit::Every`], the open sessions that changed since they were last reported; otherwise nothing.
    pub fn changed(&mut self) -> Result<Fired<A::Output>, A::Error> {
        let mut out = Fired::new(&self.folds);
        let mut rows = Vec::new();
        for id in std::mem::take(&mut self.changed) {
            let state = &mut self.keys[id].state;
            state.changed = false;
            for session in state.sessions.iter_mut().filter(|it| it.changed) {
                session.changed = false;
                session.dirty = true;
                rows.push((id, *session));
            }
            if !std::mem::replace(&mut state.dirty, true) {
                self.dirty.push(id);
            }
        }
        self.report(&mut rows, &mut out);
        Ok(out)
    }

    /// Writes a row for each session: by end, then by key.
    fn report(&self, rows: &mut [(KeyId, Session)], out: &mut Fired<A::Output>) {
        rows.sort_unstable_by(|a, b| a.1.last.cmp(&b.1.last).then_with(|| self.keys.compare(a.0, b.0)));
        for (id, session) in rows {
            out.push(&self.folds, &self.keys[*id].text, self.bounds(session), session.slot);
        }
    }

    fn bounds(&self, session: &Session) -> (i64, i64) {
        (session.first, session.last.saturating_add(self.gap))
    }

    /// The last millisecond of a session whose last record is at `last`.
    fn last_ms(&self, last: i64) -> i64 {
        last.saturating_add(self.gap - 1)
    }

    fn assign_all(
        &mut self,
        input: &Input<'_>,
        rows: std::ops::Range<usize>,
        out: &mut Processed<A::Output>,
    ) -> Result<(), A::Error> {
        for row in rows {
            self.assign(input, row, out)?;
        }
        Ok(())
    }

    fn assign(&mut self, input: &Input<'_>, row: usize, out: &mut Processed<A::Output>) -> Result<(), A::Error> {
        let (time, hash, text) = (input.times[row], input.keys.hashes[row], input.keys.texts.get(row));
        // By itself it has closed; it is late unless it joins a session that has not.
        let closed = self.last_ms(time) <= self.watermark;
        let id = if closed { self.keys.find(hash, text) } else { Some(self.keys.intern(hash, text)) };
        let joined = match id {
            Some(id) => self.join(input, id, time)?.map(|at| (id, at)),
            None => None,
        };
        let (id, at) = match (joined, id) {
            (Some(joined), _) => joined,
            (None, Some(id)) if !closed => (id, self.open(id, time)),
            _ => {
                out.late.push(row as u32);
                return Ok(());
            }
        };
        let state = &mut self.keys[id].state;
        let session = &mut state.sessions[at];
        session.dirty = true;
        self.adds.push(Add { slot: session.slot, row: row as u32 });
        if !std::mem::replace(&mut state.dirty, true) {
            self.dirty.push(id);
        }
        match self.emit {
            Emit::OnClose | Emit::Repeatedly(_) => {}
            Emit::Every { .. } => {
                session.changed = true;
                if !std::mem::replace(&mut state.changed, true) {
                    self.changed.push(id);
                }
            }
            Emit::OnUpdate => {
                let session = *session;
                self.fold(input)?;
                out.fired.push(&self.folds, &self.keys[id].text, self.bounds(&session), session.slot);
            }
        }
        Ok(())
    }

    /// Makes one session of those that a record at `time` overlaps, grown by the record; none where it overlaps none.
    fn join(&mut self, input: &Input<'_>, id: KeyId, time: i64) -> Result<Option<usize>, A::Error> {
        let gap = self.gap;
        let sessions = &self.keys[id].state.sessions;
        let to = sessions.partition_point(|it| it.first.saturating_sub(time) < gap);
        // At most two: between the last record of one and the first of the next but one there are two gaps.
        let from = to - sessions[..to].iter().rev().take_while(|it| time.saturating_sub(it.last) < gap).count();
        if from == to {
            return Ok(None);
        }
        if to - from > 1 {
            self.fold(input)?; // What is to be merged must be complete.
        }
        let key = &mut self.keys[id];
        for absorbed in key.state.sessions.drain(from + 1..to).collect::<Vec<_>>() {
            let into = &mut key.state.sessions[from];
            into.last = absorbed.last;
            self.folds.merge(&[Merge { into: into.slot, from: absorbed.slot }])?;
            self.folds.free(absorbed.slot);
            if absorbed.sealed {
                self.removed.push(key.hash, &key.text, absorbed.first);
            }
        }
        let session = &mut key.state.sessions[from];
        session.last = session.last.max(time);
        if time < session.first {
            if std::mem::take(&mut session.sealed) {
                self.removed.push(key.hash, &key.text, session.first);
            }
            session.first = time;
        }
        Ok(Some(from))
    }

    /// Opens a session of one record that overlaps no other.
    fn open(&mut self, id: KeyId, time: i64) -> usize {
        let slot = self.folds.create();
        let session = Session { first: time, last: time, slot, dirty: true, sealed: false, changed: false };
        let close = self.last_ms(time);
        let state = &mut self.keys[id].state;
        let at = state.sessions.partition_point(|it| it.first < time);
        state.sessions.insert(at, session);
        if state.timer.is_none_or(|it| close < it) {
            state.timer = Some(close);
            self.timers.push(Reverse((close, id)));
        }
        at
    }

    /// Applies the adds gathered so far.
    fn fold(&mut self, input: &Input<'_>) -> Result<(), A::Error> {
        if !self.adds.is_empty() {
            self.folds.add(input, &self.adds)?;
            self.adds.clear();
        }
        Ok(())
    }

    /// True when a timer is due, and so perhaps a session.
    fn due(&self, watermark: i64) -> bool {
        self.timers.peek().is_some_and(|it| it.0.0 <= watermark)
    }

    /// Closes what `watermark` has reached, in the order of the sessions' ends until there are `rows_max` rows or keys on the disk are
    /// needed that [`Sessions::warm_due`] did not yet bring. False where sessions are left.
    fn close_until(&mut self, watermark: i64, rows_max: usize, out: &mut Fired<A::Output>) -> bool {
        if watermark <= self.watermark {
            return true;
        }
        let mut closed = Vec::new();
        while let Some(at) = self.next_timer().filter(|it| *it <= watermark) {
            let waits = self.next.as_ref().is_some_and(|it| it.number < at);
            if waits || out.len() >= rows_max {
                return false;
            }
            // At the end of time sessions close together that end one after the other, and are sorted by it.
            let whole = self.emit == Emit::OnUpdate || at == i64::MAX;
            let room = if whole { usize::MAX } else { rows_max - out.len() };
            self.turn(at, room).into_iter().for_each(|it| self.end(it, at, &mut closed));
            self.let_go(&mut closed, out);
            if self.part.is_some() {
                return false;
            }
        }
        if self.next.is_some() {
            return false;
        }
        debug_assert!(!self.waits_for(watermark), "keys are brought back before their sessions close");
        self.watermark = watermark;
        true
    }

    /// When the next timer is due of a key in memory.
    fn next_timer(&self) -> Option<i64> {
        match &self.part {
            Some(part) => Some(part.until.number),
            None => self.timers.peek().map(|it| it.0.0),
        }
    }

    /// Takes the sessions of a key that close at `at`, for which its timer was.
    fn end(&mut self, id: KeyId, at: i64, closed: &mut Vec<(KeyId, Session)>) {
        let end = self.gap - 1;
        let state = &mut self.keys[id].state;
        if state.timer != Some(at) {
            return; // It was there twice.
        }
        let done = state.sessions.partition_point(|it| it.last.saturating_add(end) <= at);
        closed.extend(state.sessions.drain(..done).map(|it| (id, it)));
        self.set_timer(id);
    }

    /// Sets a key's timer to when the first of its sessions closes, as far as is known.
    fn set_timer(&mut self, id: KeyId) {
        let first = self.keys[id].state.sessions.first().map(|it| self.last_ms(it.last));
        self.keys[id].state.timer = first;
        self.timers.extend(first.map(|it| Reverse((it, id))));
    }

    /// Writes sessions that have closed, and frees what they held.
    fn let_go(&mut self, closed: &mut Vec<(KeyId, Session)>, out: &mut Fired<A::Output>) {
        match self.emit {
            Emit::OnClose | Emit::Repeatedly(_) => self.report(closed, out),
            Emit::OnUpdate => {}
            Emit::Every { .. } => {
                let mut rows: Vec<_> = closed.iter().copied().filter(|it| it.1.changed).collect();
                self.report(&mut rows, out);
            }
        }
        for (id, session) in closed.drain(..) {
            self.folds.free(session.slot);
            if session.sealed {
                self.removed.push(self.keys[id].hash, &self.keys[id].text, session.first);
            }
            if self.keys[id].state.sessions.is_empty() {
                self.keys.remove(id);
            }
        }
    }

    /// How many keys have open sessions.
    pub fn keys(&self) -> usize {
        self.keys.len() + self.cold_keys()
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        &mut self.folds
    }
}
