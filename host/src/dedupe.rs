//! Duplicates: which records of a key are the first within a span of event time.
//!
//! A record goes on unless one of its key that went on is less than the span away from it, before or after. It is answered
//! when it comes, so of two duplicates the one that arrives first goes on; the result does not depend on where a batch ends. A
//! record at or below the watermark is late, since what it would repeat may be forgotten: a time is kept until the watermark is the
//! span past it.
//!
//! Pure: it knows no clock, no thread, no Kafka and no plugin. What is kept of a key is the times of its records that went on, little-endian
//! and ascending, as the state of that key ([`KeyedState`]).

use crate::batch::{EventTime, Keys, RowTimes};
use crate::spill::SpillError;
use crate::state::{Delta, Entry, EntryError, KeyedState, Spills, TableId};

/// Keys forgotten between two looks at what is due.
const DUE_MAX: usize = 4_096;
/// The only timer of a key: when its first time is over.
const OVER: u32 = 0;

/// The duplicates of one step in one worker.
///
/// Cost of a record: one look-up of its key; of one that goes on, a look-up more and one operation on an ordered map.
#[derive(Debug)]
pub struct Dedupe {
    within_ms: i64,
    state: KeyedState,
    watermark: EventTime,
}

/// What became of a batch; all other rows are duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firsts {
    /// The rows that go on, in order.
    pub rows: Vec<u32>,
    /// The rows that were too late to tell, in order.
    pub late: Vec<u32>,
}

impl Dedupe {
    /// Records of a key less than `within_ms` (at least 1) apart are one. `table` is the step's in the snapshots.
    pub fn new(within_ms: i64, table: TableId) -> Self {
        Dedupe { within_ms, state: KeyedState::new(table), watermark: EventTime::MIN }
    }

    /// Tells the first ones of a batch.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn process(&mut self, keys: &Keys, times: &[EventTime], clock: &RowTimes) -> Result<Firsts, SpillError> {
        self.state.warm(keys)?;
        let mut firsts = Firsts::default();
        let mut stragglers = clock.stragglers.iter().peekable();
        let mut kept = Vec::new();
        for (row, &time) in times.iter().enumerate() {
            if stragglers.next_if(|it| it.0 as usize == row).is_some() {
                firsts.late.push(row as u32);
            } else if self.is_first(keys.texts.get(row), keys.hashes[row], time, &mut kept) {
                firsts.rows.push(row as u32);
            }
        }
        Ok(firsts)
    }

    /// Whether no record of the key near `time` went on; then it is noted. `kept` is scratch.
    fn is_first(&mut self, key: &[u8], hash: u64, time: EventTime, kept: &mut Vec<u8>) -> bool {
        let held = self.state.get(hash, key).unwrap_or_default();
        let near = |it: EventTime| it.abs_diff(time) < self.within_ms as u64;
        if of(held).any(near) {
            return false;
        }
        kept.clear();
        let over = |it: &EventTime| it.saturating_add(self.within_ms) <= self.watermark;
        let earliest = of(held).find(|it| !over(it)).map_or(time, |it| it.min(time));
        let mut new = Some(time);
        for before in of(held).filter(|it| !over(it)) {
            if let Some(time) = new.take_if(|it| *it < before) {
                kept.extend(time.to_le_bytes());
            }
            kept.extend(before.to_le_bytes());
        }
        kept.extend(new.into_iter().flat_map(EventTime::to_le_bytes));
        self.state.set(hash, key, Some(kept));
        self.state.set_timer(hash, key, OVER, Some(earliest.saturating_add(self.within_ms)));
        true
    }

    /// Event time has come to `watermark`: forgets the times that no record on time is near. At the end of the input they
    /// stay, for a start that goes on from there.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn advance(&mut self, watermark: EventTime) -> Result<(), SpillError> {
        if watermark <= self.watermark || watermark == EventTime::MAX {
            return Ok(());
        }
        self.watermark = watermark;
        loop {
            let due = self.state.due(watermark, DUE_MAX)?;
            if due.is_empty() {
                return Ok(());
            }
            for (row, &hash) in due.keys.hashes.iter().enumerate() {
                let key = due.keys.texts.get(row);
                let left: Vec<EventTime> = of(self.state.get(hash, key).unwrap_or_default())
                    .filter(|it| it.saturating_add(self.within_ms) > watermark)
                    .collect();
                let bytes: Vec<u8> = left.iter().flat_map(|it| it.to_le_bytes()).collect();
                self.state.set(hash, key, (!bytes.is_empty()).then_some(&bytes));
                self.state.set_timer(hash, key, OVER, left.first().map(|it| it.saturating_add(self.within_ms)));
            }
            self.state.settle()?;
        }
    }

    /// Writes what changed since the last call.
    pub fn seal(&mut self, delta: &mut Delta) {
        self.state.seal(delta);
    }

    /// Takes an entry back.
    ///
    /// # Errors
    /// Where it is none of this operator's.
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        self.state.restore(entry)
    }

    /// Goes on from a watermark that was reached before a restart.
    pub fn resume(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark);
    }

    /// Keys that have times.
    pub fn keys(&self) -> usize {
        self.state.len()
    }

    /// What is kept of the keys.
    pub fn state(&self) -> &KeyedState {
        &self.state
    }

    /// The same, to be moved.
    pub fn state_mut(&mut self) -> &mut KeyedState {
        &mut self.state
    }
}

/// The times in a key's state.
fn of(state: &[u8]) -> impl Iterator<Item = EventTime> {
    let (times, _) = state.as_chunks::<8>();
    times.iter().map(|it| EventTime::from_le_bytes(*it))
}

#[cfg(test)]
mod tests;
