//! Sliding windows: every different set of records of a key that are at most `difference` apart, as Kafka Streams has them.
//!
//! A window spans `difference` and has both its ends. There is one that ends with each record, and one that begins right after each
//! record where any record is in it; those of the same bounds are one. Records in the first `difference` of 1970 end no window of
//! their own but share the one that begins with it, so that none begins before.
//!
//! Which windows there are follows from the times of a key's records alone. So nothing is kept but the records, each with an
//! accumulator of its own, and a window is merged from them, in the order in which they came, when it is written. That costs as
//! many merges as the window has records. A record is kept until the window that begins right after it has closed.
//!
//! A key has one timer: when, after what was done for it last, one of its windows may close or a record of it goes. Keys that do not fit into memory
//! are on the disk until then: `cold`.

mod cold;
mod sealing;

use super::Input;
use super::accumulators::{Accumulators, Add, Merge, SlotId};
use super::cold::{Part, Place};
use super::entry::{Removed, Scratch};
use super::fired::{Fired, Processed};
use super::keys::{KeyId, KeyTable};
use crate::state::{Chest, Spills};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// One record.
#[derive(Clone, Copy, Debug)]
struct Element {
    time: i64,
    /// Larger than those of the key's records that came before.
    number: u64,
    slot: SlotId,
    /// In a snapshot.
    sealed: bool,
}

/// The records of a key by time, then arrival.
#[derive(Debug, Default)]
pub(super) struct Elements {
    by_time: VecDeque<Element>,
    /// The number of the next one.
    next: u64,
    /// The key's timer; others of the key in the heap are void.
    timer: Option<i64>,
}

impl Elements {
    /// Where the records from `first` to `last` are.
    fn range(&self, first: i64, last: i64) -> std::ops::Range<usize> {
        let from = self.by_time.partition_point(|it| it.time < first);
        let to = self.by_time.partition_point(|it| it.time <= last);
        from..to.max(from)
    }

    /// Sees to it that the next record has a number beyond those of all that there are.
    fn number_next(&mut self) {
        let last = self.by_time.iter().map(|it| it.number).max();
        self.next = self.next.max(last.map_or(0, |it| it.saturating_add(1)));
    }

    fn any(&self, first: i64, last: i64) -> bool {
        !self.range(first, last).is_empty()
    }
}

/// Sliding windows.
#[derive(Debug)]
pub struct Sliding<A> {
    difference: i64,
    /// Written whenever a record changes them, and not when they close.
    on_update: bool,
    folds: A,
    keys: KeyTable<Elements>,
    timers: BinaryHeap<Reverse<(i64, KeyId)>>,
    watermark: i64,
    /// The accumulator that windows are merged in.
    answer: SlotId,
    merges: Vec<Merge>,
    dirty: Vec<(KeyId, i64)>,
    removed: Removed,
    /// Records there are.
    records: usize,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
    /// The first row that waits for a key on the disk, as far as the watermark has come.
    next: Option<Box<Place>>,
    scratch: Scratch,
    /// What closes at one time is written in part.
    part: Option<Box<Part>>,
}

impl<A: Accumulators> Sliding<A> {
    /// Windows of records at most `difference_ms` apart.
    pub fn new(difference_ms: i64, on_update: bool, mut folds: A) -> Self {
        let answer = folds.create();
        Sliding {
            difference: difference_ms,
            on_update,
            folds,
            keys: KeyTable::new(),
            timers: BinaryHeap::new(),
            watermark: i64::MIN,
            answer,
            merges: Vec::new(),
            dirty: Vec::new(),
            removed: Removed::default(),
            records: 0,
            cold: None,
            next: None,
            scratch: Scratch::default(),
            part: None,
        }
    }

    /// Takes a batch. Late rows are listed and change nothing: those that no open window can hold.
    pub fn process(&mut self, input: &Input<'_>) -> Result<Processed<A::Output>, A::Error> {
        let mut out = Processed::new(&self.folds);
        out.late = self.late(input);
        let adds = self.elements(input, &out.late)?;
        let mut adds = adds.iter().peekable();
        let mut stragglers = input.clock.stragglers.iter().peekable();
        for row in 0..input.times.len() as u32 {
            // What had closed before this record must not see it. Those that are not behind are in no window that closes meanwhile.
            if let Some(straggler) = stragglers.next_if(|it| it.0 == row) {
                self.close_until(straggler.1, usize::MAX, &mut out.fired)?;
            }
            let Some(add) = adds.next_if(|it| it.row == row) else { continue };
            let id = self.keys.intern(input.keys.hashes[row as usize], input.keys.texts.get(row as usize));
            let time = input.times[row as usize];
            self.insert(id, time, add.slot);
            if self.on_update {
                self.write_changed(id, time, &mut out.fired)?;
            }
        }
        Ok(out)
    }

    /// Rows that come when every window that could hold them has closed.
    fn late(&self, input: &Input<'_>) -> Vec<u32> {
        let is_late = |it: &&(u32, i64)| {
            let last = input.times[it.0 as usize].saturating_add(self.difference);
            last <= it.1.max(self.watermark)
        };
        input.clock.stragglers.iter().filter(is_late).map(|it| it.0).collect()
    }

    /// An accumulator for each row that is not late, filled by one call for the whole batch.
    fn elements(&mut self, input: &Input<'_>, late: &[u32]) -> Result<Vec<Add>, A::Error> {
        let mut late = late.iter().peekable();
        let on_time = (0..input.times.len() as u32).filter(|row| late.next_if(|it| *it == row).is_none());
        let adds: Vec<Add> = on_time.map(|row| Add { slot: self.folds.create(), row }).collect();
        if !adds.is_empty() {
            self.folds.add(input, &adds)?;
        }
        Ok(adds)
    }

    fn insert(&mut self, id: KeyId, time: i64, slot: SlotId) {
        self.records += 1;
        let elements = &mut self.keys[id].state;
        let number = elements.next;
        elements.next += 1;
        let behind = elements.by_time.iter().rev().take_while(|it| it.time > time).count();
        let at = elements.by_time.len() - behind;
        let repeats = at.checked_sub(1).is_some_and(|it| elements.by_time[it].time == time);
        elements.by_time.insert(at, Element { time, number, slot, sealed: false });
        self.dirty.push((id, time));
        if !repeats {
            let (_, ends) = self.ending_with(time);
            let due = if !self.on_update && ends > self.watermark { ends } else { self.after(time).1 };
            if self.keys[id].state.timer.is_none_or(|it| due < it) {
                self.set_timer(id, Some(due));
            }
        }
    }

    /// When, after `passed`, the next window of a key may close or a record of it goes.
    fn next_due(&self, id: KeyId, passed: i64) -> Option<i64> {
        let by_time = &self.keys[id].state.by_time;
        let (_, goes) = self.after(by_time.front()?.time);
        if self.on_update {
            return Some(goes);
        }
        // The ends of the windows that end with a record are in the order of the records.
        let ends = |it: &Element| self.ending_with(it.time).1;
        let next = by_time.get(by_time.partition_point(|it| ends(it) <= passed)).map(ends);
        Some(next.map_or(goes, |it| it.min(goes)))
    }

    fn set_timer(&mut self, id: KeyId, due: Option<i64>) {
        self.keys[id].state.timer = due;
        self.timers.extend(due.map(|it| Reverse((it, id))));
    }

    /// The window that ends with a record at `time`, or that it shares with the others at the beginning of 1970.
    fn ending_with(&self, time: i64) -> (i64, i64) {
        if (0..self.difference).contains(&time) {
            (0, self.difference)
        } else {
            (time.saturating_sub(self.difference), time)
        }
    }

    /// The window that begins right after a record at `time`.
    fn after(&self, time: i64) -> (i64, i64) {
        let start = time.saturating_add(1);
        (start, start.saturating_add(self.difference))
    }

    /// Writes every open window that a record at `time` is in or made, in the order of their bounds.
    fn write_changed(&mut self, id: KeyId, time: i64, out: &mut Fired<A::Output>) -> Result<(), A::Error> {
        let elements = &self.keys[id].state;
        let mut windows = Vec::new();
        let before = elements.range(time.saturating_sub(self.difference).saturating_sub(1), time.saturating_sub(1));
        windows.extend(elements.by_time.range(before).map(|it| self.after(it.time)));
        let from = elements.range(time, time.saturating_add(self.difference));
        windows.extend(elements.by_time.range(from).map(|it| self.ending_with(it.time)));
        if (0..self.difference).contains(&time) {
            windows.push((0, self.difference));
        }
        windows.retain(|it| it.0 <= time && time <= it.1);
        let (first, last) = self.after(time);
        if elements.any(first, last) {
            windows.push((first, last));
        }
        windows.retain(|it| it.1 > self.watermark);
        windows.sort_unstable();
        windows.dedup();
        windows.into_iter().try_for_each(|it| self.write(id, it, out))
    }

    /// Writes the window from `first` to `last`, both of them in it.
    fn write(&mut self, id: KeyId, (first, last): (i64, i64), out: &mut Fired<A::Output>) -> Result<(), A::Error> {
        let key = &self.keys[id];
        let inside = key.state.range(first, last);
        let mut records: Vec<(u64, SlotId)> = key.state.by_time.range(inside).map(|it| (it.number, it.slot)).collect();
        records.sort_unstable_by_key(|it| it.0); // Mostly in order already.
        self.merges.clear();
        self.merges.extend(records.iter().map(|it| Merge { into: self.answer, from: it.1 }));
        self.folds.reset(self.answer);
        self.folds.merge(&self.merges)?;
        out.push(&self.folds, &key.text, (first, last.saturating_add(1)), self.answer);
        Ok(())
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

    /// Closes what `watermark` has reached, in the order of the windows' ends until there are `rows_max` rows or keys on the disk are needed that
    /// [`Sliding::warm_due`] did not yet bring. False where some are left.
    fn close_until(&mut self, watermark: i64, rows_max: usize, out: &mut Fired<A::Output>) -> Result<bool, A::Error> {
        if watermark <= self.watermark {
            return Ok(true);
        }
        let mut ids = Vec::new();
        while let Some(last) = self.next_timer().filter(|it| *it <= watermark) {
            let waits = self.next.as_ref().is_some_and(|it| it.number < last);
            if waits || out.len() >= rows_max {
                return Ok(false);
            }
            let room = if self.on_update { usize::MAX } else { rows_max - out.len() };
            self.take_due(last, room, &mut ids);
            for id in ids.drain(..) {
                self.close(id, last, out)?;
                self.set_timer(id, self.next_due(id, last));
            }
            if self.part.is_some() {
                return Ok(false);
            }
        }
        if self.next.is_some() {
            return Ok(false);
        }
        debug_assert!(!self.waits_for(watermark), "keys are brought back before their windows close");
        self.watermark = watermark;
        Ok(true)
    }

    /// When the next timer is due of a key in memory.
    fn next_timer(&self) -> Option<i64> {
        match &self.part {
            Some(part) => Some(part.until.number),
            None => self.timers.peek().map(|it| it.0.0),
        }
    }

    /// The keys whose timers are due at `last`, in the order of rows, as far as they are before the next one on the disk, `keys_max` of them.
    fn take_due(&mut self, last: i64, keys_max: usize, ids: &mut Vec<KeyId>) {
        while let Some(Reverse((_, id))) = self.timers.peek().filter(|it| it.0.0 == last).copied() {
            self.timers.pop();
            if self.keys[id].state.timer == Some(last) {
                ids.push(id); // Else it is void: the key was given an earlier one, or is gone.
            }
        }
        ids.sort_unstable_by(|a, b| self.keys.compare(*a, *b));
        ids.dedup();
        let next = self.next.take_if(|it| it.number == last);
        if next.is_some() || self.part.is_some() || ids.len() > keys_max {
            *ids = super::cold::turn_some(&mut self.part, std::mem::take(ids), next, &self.keys, (last, keys_max));
        }
    }

    /// Writes what closes with `last`, where there is such a window, and lets go what no later one needs.
    fn close(&mut self, id: KeyId, last: i64, out: &mut Fired<A::Output>) -> Result<(), A::Error> {
        let first = last.saturating_sub(self.difference);
        let before = first.checked_sub(1);
        let elements = &self.keys[id].state;
        let begins = 0..self.difference;
        let ends = !begins.contains(&last) && elements.any(last, last);
        let shared = last == self.difference && elements.any(begins.start, last - 1);
        let follows = before.is_some_and(|it| elements.any(it, it)) && elements.any(first, last);
        if !self.on_update && (ends || shared || follows) {
            self.write(id, (first, last), out)?;
        }
        // Windows that would go on beyond the end of time are none.
        self.evict(id, if last == i64::MAX { last } else { before.unwrap_or(i64::MIN) });
        Ok(())
    }

    /// Frees the records of a key up to `time`.
    fn evict(&mut self, id: KeyId, time: i64) {
        let key = &mut self.keys[id];
        let mut gone = None;
        while let Some(element) = key.state.by_time.pop_front_if(|it| it.time <= time) {
            self.folds.free(element.slot);
            self.records -= 1;
            if element.sealed && gone.replace(element.time) != Some(element.time) {
                self.removed.push(key.hash, &key.text, element.time);
            }
        }
        if key.state.by_time.is_empty() {
            self.keys.remove(id);
        }
    }

    /// How many keys have records.
    pub fn keys(&self) -> usize {
        self.keys.len() + self.cold_keys()
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        &mut self.folds
    }
}
