//! Two streams joined within an interval: a left row at `t` matches the right rows of its key in `[t - before, t + after]`.
//!
//! A row is kept until the watermark has passed the last time of its matches. A row without any is then given out alone, where
//! the join keeps its side; one without a key at once.
//!
//! | row               | matches rows of the other side in | kept while the watermark is at most |
//! |-------------------|-----------------------------------|-------------------------------------|
//! | left, at `t`      | `[t - before, t + after]`         | `t + after`                         |
//! | right, at `t`     | `[t - after, t + before]`         | `t + before`                        |

use super::store::{EntryError, Store};
use super::{Arrivals, Joined, Pairs, Side};
use crate::batch::EventTime;
use crate::spill::SpillError;
use crate::state::{Delta, Entry, Spills, TableId};
use crate::watermark::WATERMARK_NONE;

/// The join of two streams within an interval, in one worker.
///
/// Cost of a record: one look-up of its key, a binary search, and what it matches; being kept costs one allocation.
#[derive(Debug)]
pub struct Interval {
    before_ms: i64,
    after_ms: i64,
    /// Whether rows of each side go on without a match.
    keeps: [bool; 2],
    store: Store,
    watermark: EventTime,
}

impl Interval {
    /// Matches in `[t - before, t + after]` of a left row's time, ms, either of which may be negative. `keeps` says for each side
    /// whether rows without a match go on.
    pub fn new(before_ms: i64, after_ms: i64, keeps: [bool; 2]) -> Self {
        Interval { before_ms, after_ms, keeps, store: Store::default(), watermark: WATERMARK_NONE }
    }

    /// How far behind the watermark the times of rows may be that go out for want of a match, ms: who reads them must hear of a
    /// watermark that is so much earlier.
    pub fn hold_ms(&self) -> i64 {
        let waits = [self.after_ms, self.before_ms];
        let waits = waits.into_iter().zip(self.keeps).filter(|it| it.1).map(|it| it.0.max(0).saturating_add(1));
        waits.max().unwrap_or(0)
    }

    /// How long after its time a row of `side` is kept, ms.
    fn wait_ms(&self, side: Side) -> i64 {
        match side {
            Side::Left => self.after_ms,
            Side::Right => self.before_ms,
        }
    }

    /// Records of one side.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn process(&mut self, side: Side, input: &Arrivals<'_>) -> Result<Joined, SpillError> {
        self.store.warm(input.keys)?;
        let mut joined = Joined { pairs: Pairs::default(), late: input.late() };
        let mut late = joined.late.iter().copied().peekable();
        for (row, &time) in input.times.iter().enumerate() {
            if late.next_if_eq(&(row as u32)).is_some() {
                continue;
            }
            self.take(
                side,
                input.keys.texts.get(row),
                input.keys.hashes[row],
                time,
                input.rows.get(row),
                &mut joined.pairs,
            );
            joined.pairs.origins.resize(joined.pairs.len(), row as u32);
        }
        Ok(joined)
    }

    fn take(&mut self, side: Side, key: &[u8], hash: u64, time: EventTime, row: &[u8], pairs: &mut Pairs) {
        if key.is_empty() {
            if self.keeps[side.index()] {
                pairs.push(key, time, side, row, None);
            }
            return;
        }
        let slot = self.store.find_or_add(hash, key);
        let matches = self.matches(slot, side, time);
        let other = side.other();
        for at in matches.clone() {
            let found = &self.store.slot(slot).sides[other.index()][at];
            pairs.push(key, time.max(found.time), side, row, Some(&found.bytes));
            if self.keeps[other.index()] {
                self.store.mark(slot, other, at);
            }
        }
        self.store.insert(slot, side, time, row, self.keeps[side.index()] && !matches.is_empty(), false);
        let until = time.saturating_add(self.wait_ms(side));
        if self.store.slot(slot).due().is_none_or(|due| until < due) {
            self.store.schedule(slot, Some(until));
        }
    }

    /// The rows of the other side, by index, that a row of `side` at `time` matches.
    fn matches(&self, slot: u32, side: Side, time: EventTime) -> std::ops::Range<usize> {
        let (back, on) = match side {
            Side::Left => (self.before_ms, self.after_ms),
            Side::Right => (self.after_ms, self.before_ms),
        };
        let (low, high) = (time.saturating_sub(back), time.saturating_add(on));
        let rows = &self.store.slot(slot).sides[side.other().index()];
        let start = rows.partition_point(|it| it.time < low);
        // Mostly few: counted on from the first.
        let count = rows.range(start..).take_while(|it| it.time <= high).count();
        start..start + count
    }

    /// Event time has come to `watermark`: gives out the rows that can find no match any more, by the time at which that was sure,
    /// and forgets all whose time is over.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn advance(&mut self, watermark: EventTime) -> Result<Pairs, SpillError> {
        self.advance_some(watermark, usize::MAX).map(|it| it.0)
    }

    /// The same, but stops when there are `pairs_max`, at least 1. False where something may be left: the call is to be repeated with the same
    /// watermark before anything else is done.
    ///
    /// # Errors
    /// As those of [`Interval::advance`].
    pub fn advance_some(&mut self, watermark: EventTime, pairs_max: usize) -> Result<(Pairs, bool), SpillError> {
        let mut pairs = Pairs::default();
        if watermark <= self.watermark {
            return Ok((pairs, true));
        }
        // What is kept while the watermark is at most `until` is due at the next millisecond; at the end of time all is.
        let done = if watermark == EventTime::MAX { watermark } else { watermark.saturating_sub(1) };
        while let Some((_, slot)) = self.store.next_due(done)? {
            while let Some((side, _)) = self.first(slot).filter(|it| it.1 <= done && pairs.len() < pairs_max) {
                let Some(row) = self.store.pop(slot, side) else { break };
                if self.keeps[side.index()] && !row.matched {
                    pairs.push(&self.store.slot(slot).key, row.time, side, &row.bytes, None);
                }
            }
            let next = self.first(slot).map(|it| it.1);
            self.store.schedule(slot, next);
            self.store.tidy(slot);
            if pairs.len() >= pairs_max {
                return Ok((pairs, false));
            }
        }
        self.watermark = watermark;
        Ok((pairs, true))
    }

    /// The row of a slot whose time is over first: its side, and until when it is kept.
    fn first(&self, slot: u32) -> Option<(Side, EventTime)> {
        let sides = &self.store.slot(slot).sides;
        let until = |side: Side| {
            let row = sides[side.index()].front()?;
            Some((side, row.time.saturating_add(self.wait_ms(side))))
        };
        match (until(Side::Left), until(Side::Right)) {
            (Some(left), Some(right)) if right.1 < left.1 => Some(right),
            (None, right) => right,
            (left, _) => left,
        }
    }

    /// Writes what changed since the last call.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        self.store.seal(table, delta);
    }

    /// Takes an entry back.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        if let Some(slot) = self.store.restore(entry)? {
            let first = self.first(slot).map(|it| it.1);
            self.store.schedule(slot, first);
        }
        Ok(())
    }

    /// Goes on from a watermark that was reached before a restart.
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
