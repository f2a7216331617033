//! Two streams joined within a window: when a window of a key closes, every left row in it goes out with every right row in
//! it, as Flink's window join does. Where one side has none, the rows of the other go out alone, if the join keeps that side.
//!
//! A row is kept once, however many windows it is in, until the last of them has closed; which windows are open is what the
//! watermark says, so nothing of them is kept.
//!
//! | windows | a row at `t` is in                                       | and is kept until the watermark is at        |
//! |---------|----------------------------------------------------------|----------------------------------------------|
//! | aligned | each `[start, start + size)` that holds `t`              | the last millisecond of the last of them     |
//! | session | the rows of its key, of both sides, with no gap between  | the last row's time, the gap less 1 ms later |
//!
//! Lateness is that of windows: a row is late when all its windows have closed. A session is judged after merging.

use super::grid::Grid;
use super::store::{EntryError, Row, Slot, Store};
use super::{Arrivals, Joined, Pairs, Side};
use crate::batch::EventTime;
use crate::spill::SpillError;
use crate::state::{Delta, Entry, Spills, TableId};
use crate::watermark::WATERMARK_NONE;
use std::collections::VecDeque;

/// The join of two streams within windows, in one worker.
///
/// Cost of a record: one look-up of its key and one allocation; for sessions two binary searches more. A window that closes costs what it gives
/// out.
#[derive(Debug)]
pub struct Windowed {
    windows: Windows,
    /// Whether rows of each side go on without a match.
    keeps: [bool; 2],
    store: Store,
    watermark: EventTime,
}

#[derive(Clone, Copy, Debug)]
enum Windows {
    Aligned(Grid),
    Session(Gap),
}

/// The distance in ms that parts two sessions.
#[derive(Clone, Copy, Debug)]
struct Gap(i64);

impl Gap {
    /// The last millisecond of a session whose last row is at `time`.
    fn closes(self, time: EventTime) -> EventTime {
        time.saturating_add(self.0 - 1)
    }

    /// True where rows at these times are of one session.
    fn joins(self, earlier: EventTime, later: EventTime) -> bool {
        later <= self.closes(earlier)
    }
}

/// How far windows are closed, and after how many pairs that stops.
#[derive(Clone, Copy, Debug)]
struct Close {
    watermark: EventTime,
    pairs_max: usize,
}

impl Windowed {
    /// Windows of `size_ms`, one every `slide_ms`, the starts shifted by `offset_ms`: `1 <= slide <= size`, `0 <= offset < slide`. `keeps`
    /// says for each side whether rows without a match go on.
    pub fn aligned(size_ms: i64, slide_ms: i64, offset_ms: i64, keeps: [bool; 2]) -> Self {
        Self::new(Windows::Aligned(Grid::new(size_ms, slide_ms, offset_ms)), keeps)
    }

    /// Sessions that end when a key has had no row of either side for `gap_ms`, at least 1.
    pub fn sessions(gap_ms: i64, keeps: [bool; 2]) -> Self {
        Self::new(Windows::Session(Gap(gap_ms)), keeps)
    }

    fn new(windows: Windows, keeps: [bool; 2]) -> Self {
        Windowed { windows, keeps, store: Store::default(), watermark: WATERMARK_NONE }
    }

    /// Records of one side. A straggler is judged when what its watermark closes has been given out.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn process(&mut self, side: Side, input: &Arrivals<'_>) -> Result<Joined, SpillError> {
        self.store.warm(input.keys)?;
        let mut joined = Joined::default();
        let mut stragglers = input.clock.stragglers.iter().peekable();
        for (row, &time) in input.times.iter().enumerate() {
            if let Some((_, watermark)) = stragglers.next_if(|it| it.0 as usize == row) {
                self.close_until(*watermark, usize::MAX, &mut joined.pairs)?;
            }
            let (key, bytes) = (input.keys.texts.get(row), input.rows.get(row));
            let taken = if key.is_empty() {
                self.alone(side, time, bytes, &mut joined.pairs)
            } else {
                self.keep(side, (key, input.keys.hashes[row]), time, bytes)
            };
            if !taken {
                joined.late.push(row as u32);
            }
        }
        Ok(joined)
    }

    /// A row without a key matches nothing in any of its windows, which need not close to say so. False where they all have.
    fn alone(&self, side: Side, time: EventTime, row: &[u8], pairs: &mut Pairs) -> bool {
        let mut give = |start: EventTime, last: EventTime| {
            if self.keeps[side.index()] {
                pairs.push(b"", last, side, row, None);
                pairs.starts.push(start);
            }
        };
        match self.windows {
            Windows::Aligned(grid) => {
                let (first, last) = (grid.first(time).max(grid.open(self.watermark)), grid.last(time));
                (first..=last).map(|it| grid.bounds(it)).for_each(|(start, last)| give(start, last));
                first <= last
            }
            Windows::Session(gap) => {
                let open = gap.closes(time) > self.watermark;
                if open {
                    give(time, gap.closes(time));
                }
                open
            }
        }
    }

    /// Keeps a row. False where it is late.
    fn keep(&mut self, side: Side, (key, hash): (&[u8], u64), time: EventTime, row: &[u8]) -> bool {
        let due = match self.windows {
            Windows::Aligned(grid) => {
                let first = grid.first(time).max(grid.open(self.watermark));
                if first > grid.last(time) {
                    return false;
                }
                grid.bounds(first).1
            }
            Windows::Session(gap) => {
                let merges = || self.store.find(hash, key).is_some_and(|it| merges(self.store.slot(it), gap, time));
                if gap.closes(time) <= self.watermark && !merges() {
                    return false;
                }
                gap.closes(time)
            }
        };
        let slot = self.store.find_or_add(hash, key);
        self.store.insert(slot, side, time, row, false, false);
        // For a session this is never later than its close; what comes too early is looked at again.
        if self.store.slot(slot).due().is_none_or(|it| due < it) {
            self.store.schedule(slot, Some(due));
        }
        true
    }

    /// Event time has come to `watermark`: gives out the windows that this closes, and forgets the rows that are in no other.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn advance(&mut self, watermark: EventTime) -> Result<Pairs, SpillError> {
        self.advance_some(watermark, usize::MAX).map(|it| it.0)
    }

    /// The same, but stops when there are `pairs_max`, at least 1, at the end of a window of a key. False where something may be left: the call is
    /// to be repeated with the same watermark before anything else is done.
    ///
    /// # Errors
    /// As those of [`Windowed::advance`].
    pub fn advance_some(&mut self, watermark: EventTime, pairs_max: usize) -> Result<(Pairs, bool), SpillError> {
        let mut pairs = Pairs::default();
        let done = self.close_until(watermark, pairs_max, &mut pairs)?;
        Ok((pairs, done))
    }

    /// False where `pairs_max` stopped it.
    fn close_until(&mut self, watermark: EventTime, pairs_max: usize, pairs: &mut Pairs) -> Result<bool, SpillError> {
        if watermark <= self.watermark {
            return Ok(true);
        }
        while let Some((due, slot)) = self.store.next_due(watermark)? {
            let close = Close { watermark, pairs_max };
            let next = match self.windows {
                Windows::Aligned(grid) => {
                    // What was given out at the last watermark, and in the call before this one.
                    let given = grid.open(self.watermark).max(grid.open(due.saturating_sub(1)));
                    self.close_aligned(slot, grid, given, close, pairs)
                }
                Windows::Session(gap) => self.close_sessions(slot, gap, close, pairs),
            };
            self.store.schedule(slot, next);
            self.store.tidy(slot);
            if pairs.len() >= pairs_max {
                return Ok(false);
            }
        }
        self.watermark = watermark;
        Ok(true)
    }

    /// Closes the windows of a key from number `next` on. Answers when the next one of those that stay open is due.
    fn close_aligned(
        &mut self,
        slot: u32,
        grid: Grid,
        mut next: i128,
        close: Close,
        pairs: &mut Pairs,
    ) -> Option<EventTime> {
        let open = grid.open(close.watermark);
        while let Some(earliest) = earliest(self.store.slot(slot)) {
            let window = grid.first(earliest).max(next);
            let (start, last) = grid.bounds(window);
            // Those that end with time end together: none of them is known from its end.
            if window >= open || (pairs.len() >= close.pairs_max && last < EventTime::MAX) {
                return Some(last);
            }
            self.give(slot, (start, last), last, pairs);
            next = window + 1;
            self.forget(slot, |time| grid.last(time) < next);
        }
        None
    }

    /// Closes the sessions of a key whose time has come. Answers when the next one is due, as far as is known.
    fn close_sessions(&mut self, slot: u32, gap: Gap, close: Close, pairs: &mut Pairs) -> Option<EventTime> {
        while let Some((first, last)) = first_session(self.store.slot(slot), gap) {
            let closes = gap.closes(last);
            if closes > close.watermark || pairs.len() >= close.pairs_max {
                return Some(closes);
            }
            self.give(slot, (first, last), closes, pairs);
            self.forget(slot, |time| time <= last);
        }
        None
    }

    /// Gives out the rows of a key in `[first, last]` as those of a window that starts at `first` and whose last millisecond is `closes`.
    fn give(&self, slot: u32, (first, last): (EventTime, EventTime), closes: EventTime, pairs: &mut Pairs) {
        let slot = self.store.slot(slot);
        let [left, right] = [0, 1].map(|side: usize| {
            let rows = &slot.sides[side];
            let (from, to) = (rows.partition_point(|it| it.time < first), rows.partition_point(|it| it.time <= last));
            rows.range(from..to)
        });
        if left.len() > 0 && right.len() > 0 {
            for row in left {
                for other in right.clone() {
                    pairs.push(&slot.key, closes, Side::Left, &row.bytes, Some(&other.bytes));
                }
            }
        } else {
            for (side, rows) in [(Side::Left, left), (Side::Right, right)] {
                let rows = rows.filter(|_| self.keeps[side.index()]);
                rows.for_each(|row| pairs.push(&slot.key, closes, side, &row.bytes, None));
            }
        }
        pairs.starts.resize(pairs.len(), first);
    }

    /// Forgets the earliest rows of a key for which `is_over` says so.
    fn forget(&mut self, slot: u32, is_over: impl Fn(EventTime) -> bool) {
        for side in [Side::Left, Side::Right] {
            while self.store.slot(slot).sides[side.index()].front().is_some_and(|it| is_over(it.time)) {
                self.store.pop(slot, side);
            }
        }
    }

    /// Writes what changed since the last call.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        self.store.seal(table, delta);
    }

    /// Takes an entry back. When it is due is only sure when [`Windowed::resume`] has said how far event time is.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        if let Some(slot) = self.store.restore(entry)? {
            let earliest = earliest(self.store.slot(slot));
            let due = earliest.map(|time| match self.windows {
                Windows::Aligned(grid) => grid.bounds(grid.first(time)).1,
                Windows::Session(gap) => gap.closes(time),
            });
            self.store.schedule(slot, due);
        }
        Ok(())
    }

    /// Goes on from a watermark that was reached before a restart: windows that it had closed stay so.
    pub fn resume(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark);
    }

    /// What is kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same, to be moved.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Keys that have rows.
    pub fn keys(&self) -> usize {
        self.store.keys()
    }
}

/// The time of the earliest row of a key.
fn earliest(slot: &Slot) -> Option<EventTime> {
    slot.sides.iter().filter_map(|it| Some(it.front()?.time)).min()
}

/// First and last time of the rows that are the first session of a key.
fn first_session(slot: &Slot, gap: Gap) -> Option<(EventTime, EventTime)> {
    let first = earliest(slot)?;
    let mut last = first;
    let [mut left, mut right] = [0, 1].map(|side: usize| slot.sides[side].iter().map(|it| it.time).peekable());
    loop {
        let next = |time: &EventTime| gap.joins(last, *time);
        // Either side's next row may be the one without a gap; `last` only grows.
        let Some(time) = left.next_if(next).or_else(|| right.next_if(next)) else { return Some((first, last)) };
        last = last.max(time);
    }
}

/// True where a row at `time` is of a session that is there: rows are kept as long as theirs is open.
fn merges(slot: &Slot, gap: Gap, time: EventTime) -> bool {
    let near = |rows: &VecDeque<Row>| {
        let later = rows.partition_point(|it| it.time < time);
        let before = later.checked_sub(1).and_then(|it| rows.get(it));
        before.is_some_and(|it| gap.joins(it.time, time)) || rows.get(later).is_some_and(|it| gap.joins(time, it.time))
    };
    slot.sides.iter().any(near)
}
