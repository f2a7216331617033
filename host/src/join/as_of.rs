//! A stream joined with a table as it was at each record's time: the newest version of the key whose time is at most the
//! record's.
//!
//! A record waits until the watermark has come to its time: until then a version that it has to see may still come. Of
//! the versions at or before the watermark only the newest is kept. A version that deletes is one without a value.

use super::store::{EntryError, Store};
use super::{Arrivals, Joined, Pairs, Side};
use crate::batch::EventTime;
use crate::spill::SpillError;
use crate::state::{Delta, Entry, Spills, TableId};
use crate::watermark::WATERMARK_NONE;

/// The join with a table as of event time, in one worker.
#[derive(Debug)]
pub struct AsOf {
    /// Whether records without a version go on.
    keeps: bool,
    store: Store,
    watermark: EventTime,
    /// True while an advance has stopped before its end.
    unfinished: bool,
}

impl AsOf {
    /// `keeps` says whether records go on whose key has no value at their time.
    pub fn new(keeps: bool) -> Self {
        AsOf { keeps, store: Store::default(), watermark: WATERMARK_NONE, unfinished: false }
    }

    /// Records of the stream, or versions of the table. A version is late when the table already has a newer one that the
    /// watermark has passed: no record will ask for it.
    ///
    /// # Errors
    /// Where keys that are on the disk cannot be read.
    pub fn process(&mut self, side: Side, input: &Arrivals<'_>) -> Result<Joined, SpillError> {
        self.store.warm(input.keys)?;
        let mut joined = Joined::default();
        if side == Side::Left {
            joined.late = input.late();
        }
        let mut late = std::mem::take(&mut joined.late).into_iter().peekable();
        for (row, &time) in input.times.iter().enumerate() {
            let (key, hash) = (input.keys.texts.get(row), input.keys.hashes[row]);
            if late.next_if_eq(&(row as u32)).is_some() {
                joined.late.push(row as u32);
            } else if side == Side::Right {
                let deletes = input.deletes.get(row).is_some_and(|it| *it);
                if !key.is_empty() && !self.version(key, hash, time, input.rows.get(row), deletes) {
                    joined.late.push(row as u32);
                }
            } else if !key.is_empty() {
                let slot = self.store.find_or_add(hash, key);
                self.store.insert(slot, Side::Left, time, input.rows.get(row), false, false);
                self.schedule(slot);
            } else if self.keeps {
                joined.pairs.push(key, time, Side::Left, input.rows.get(row), None);
                joined.pairs.origins.push(row as u32);
            }
        }
        Ok(joined)
    }

    /// Adds a version, in the place of one of the same time. False where it is too old to be asked for.
    fn version(&mut self, key: &[u8], hash: u64, time: EventTime, row: &[u8], deletes: bool) -> bool {
        let slot = self.store.find_or_add(hash, key);
        self.prune(slot);
        let versions = &self.store.slot(slot).sides[Side::Right.index()];
        if versions.front().is_some_and(|it| it.time <= self.watermark && time < it.time) {
            return false;
        }
        if let Some(same) = versions.iter().rposition(|it| it.time == time) {
            self.store.remove(slot, Side::Right, same);
        }
        self.store.insert(slot, Side::Right, time, row, false, deletes);
        self.prune(slot);
        self.schedule(slot);
        self.store.tidy(slot);
        true
    }

    /// Drops the versions that no record can ask for.
    fn prune(&mut self, slot: u32) {
        loop {
            let sides = &self.store.slot(slot).sides;
            // A record that still waits asks for what was there at its time.
            let asked = sides[0].front().map_or(self.watermark, |it| it.time.min(self.watermark));
            let versions = &sides[1];
            let hidden = versions.get(1).is_some_and(|it| it.time <= asked);
            let gone = versions.len() == 1 && versions.front().is_some_and(|it| it.deletes && it.time <= asked);
            if !hidden && !gone {
                return;
            }
            self.store.pop(slot, Side::Right);
        }
    }

    /// There is something to do when the first record that waits is due, or a version stops being the newest.
    fn schedule(&mut self, slot: u32) {
        let [records, versions] = &self.store.slot(slot).sides;
        let hidden = match versions.get(1) {
            Some(second) => Some(second.time),
            None => versions.front().filter(|it| it.deletes).map(|it| it.time),
        };
        let next = records.front().map(|it| it.time).into_iter().chain(hidden).min();
        self.store.schedule(slot, next);
    }

    /// Event time has come to `watermark`: answers the records that have waited for it, by key in order of time.
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
    /// As those of [`AsOf::advance`].
    pub fn advance_some(&mut self, watermark: EventTime, pairs_max: usize) -> Result<(Pairs, bool), SpillError> {
        let mut pairs = Pairs::default();
        if watermark <= self.watermark && !self.unfinished {
            return Ok((pairs, true));
        }
        self.watermark = watermark;
        self.unfinished = true;
        while let Some((_, slot)) = self.store.next_due(watermark)? {
            while pairs.len() < pairs_max
                && self.store.slot(slot).sides[0].front().is_some_and(|it| it.time <= watermark)
            {
                let Some(record) = self.store.pop(slot, Side::Left) else { break };
                let Slice { key, version } = self.look_up(slot, record.time);
                if version.is_some() || self.keeps {
                    pairs.push(key, record.time, Side::Left, &record.bytes, version);
                }
            }
            self.prune(slot);
            self.schedule(slot);
            self.store.tidy(slot);
            if pairs.len() >= pairs_max {
                return Ok((pairs, false));
            }
        }
        self.unfinished = false;
        Ok((pairs, true))
    }

    fn look_up(&self, slot: u32, time: EventTime) -> Slice<'_> {
        let slot = self.store.slot(slot);
        let versions = &slot.sides[1];
        let newer = versions.partition_point(|it| it.time <= time);
        let version = newer.checked_sub(1).and_then(|it| versions.get(it)).filter(|it| !it.deletes);
        Slice { key: &slot.key, version: version.map(|it| &*it.bytes) }
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
            self.schedule(slot);
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

/// A key with what was found for it.
struct Slice<'a> {
    key: &'a [u8],
    version: Option<&'a [u8]>,
}
