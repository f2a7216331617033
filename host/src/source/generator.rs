//! Records made from a seed: record `i` is a function of the seed and `i` alone, so any partition can be read from
//! anywhere, by any number of workers, and always has the same bytes.
//!
//! The draws are SplitMix64, written out here: no version of any crate can change them. Keys are null; a record's
//! timestamp is its event time.

mod kinds;

use super::{PartitionInfo, Polled, SourceError, Start};
use crate::batch::{Origin, RawBatch, RawRecord, RawRows, Span};
use crate::config::GeneratorKind;
use std::sync::Arc;

/// What is made, as the pipeline file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorOptions {
    /// Which records.
    pub kind: GeneratorKind,
    /// Same seed, same bytes.
    pub seed: u64,
    /// Records a second of all partitions together; none for as fast as they are taken.
    pub rate: Option<u64>,
    /// Records in all; none for no end.
    pub count: Option<u64>,
    /// Record `i` is in partition `i % partitions` at offset `i / partitions`; at least 1.
    pub partitions: u32,
}

impl GeneratorOptions {
    /// The partitions, from 0, and where each ends.
    pub fn partitions(&self) -> Vec<PartitionInfo> {
        let info = |id: u32| PartitionInfo {
            id: id as i32,
            name: id.to_string(),
            former_name: None,
            low: 0,
            high: self.count.map(|count| self.offset_of(count, id)),
        };
        (0..self.partitions).map(info).collect()
    }

    /// How many of the first `count` records are in partition `id`.
    fn offset_of(&self, count: u64, id: u32) -> i64 {
        let partitions = u64::from(self.partitions.max(1));
        (count / partitions + u64::from(count % partitions > u64::from(id))) as i64
    }
}

/// Makes the records of some partitions, in turns.
#[derive(Debug)]
pub struct GeneratorSource {
    options: GeneratorOptions,
    source: u32,
    cursors: Vec<Cursor>,
    /// Whose turn it is.
    next: usize,
    /// The time of the first poll, and the first record that was due then.
    started: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Cursor {
    partition: u32,
    offset: i64,
    end: Option<i64>,
    said_end: bool,
}

impl GeneratorSource {
    /// A source of the partitions that `starts` names. `source` is its index in the pipeline file.
    ///
    /// # Errors
    /// Where there is no such partition.
    pub fn open(options: GeneratorOptions, source: u32, starts: &[Start]) -> Result<Self, SourceError> {
        let partitions = options.partitions();
        let cursor = |start: &Start| {
            let info = usize::try_from(start.partition).ok().and_then(|it| partitions.get(it));
            let info =
                info.ok_or(SourceError::NoSuchPartition { partition: start.partition, count: partitions.len() })?;
            let end = [start.end, info.high].into_iter().flatten().min();
            Ok(Cursor { partition: info.id as u32, offset: start.offset.max(0), end, said_end: false })
        };
        let cursors = starts.iter().map(cursor).collect::<Result<_, SourceError>>()?;
        Ok(GeneratorSource { options, source, cursors, next: 0, started: None })
    }

    /// The next batch: at most `rows_max` records, and no more once they have `bytes_max` bytes.
    ///
    /// With a rate, record `i` is due `i / rate` seconds after the first poll, counted from where this source was
    /// opened; what was missed is made up for at once.
    ///
    /// # Errors
    /// None; the signature is that of every source.
    pub fn poll(&mut self, rows_max: usize, bytes_max: usize, now_ms: u64) -> Result<Polled, SourceError> {
        self.poll_unless(rows_max, bytes_max, now_ms, &|_| false)
    }

    /// As [`GeneratorSource::poll`], passing over the partitions that are `held`.
    ///
    /// # Errors
    /// None, as there.
    pub fn poll_unless(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        now_ms: u64,
        held: &dyn Fn(i32) -> bool,
    ) -> Result<Polled, SourceError> {
        let due = self.due(now_ms);
        for _ in 0..self.cursors.len() {
            let at = self.next % self.cursors.len();
            self.next = at + 1;
            if held(self.cursors[at].partition as i32) {
                continue;
            }
            let limit = match due {
                Some(due) => self.options.offset_of(due, self.cursors[at].partition),
                None => i64::MAX,
            };
            let cursor = &mut self.cursors[at];
            let end = cursor.end.unwrap_or(i64::MAX);
            let until = end.min(limit).min(cursor.offset.saturating_add(rows_max.max(1) as i64));
            if cursor.offset < until {
                return Ok(Polled::Batch(make(&self.options, self.source, cursor, until, bytes_max)));
            }
            if cursor.offset >= end && !cursor.said_end {
                cursor.said_end = true;
                return Ok(Polled::Ended(cursor.partition as i32));
            }
        }
        Ok(Polled::Empty)
    }

    /// Records below this one are due now; none for all.
    fn due(&mut self, now_ms: u64) -> Option<u64> {
        let rate = self.options.rate?;
        let (started_ms, first) = match self.started {
            Some(started) => started,
            None => {
                let partitions = u64::from(self.options.partitions);
                let index = |it: &Cursor| it.offset as u64 * partitions + u64::from(it.partition);
                *self.started.insert((now_ms, self.cursors.iter().map(index).min().unwrap_or(0)))
            }
        };
        let elapsed = u128::from(now_ms.saturating_sub(started_ms)) * u128::from(rate) / 1000;
        Some(first.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX)).saturating_add(1))
    }
}

/// Makes the records from the cursor's offset up to `until`, and moves the cursor.
fn make(options: &GeneratorOptions, source: u32, cursor: &mut Cursor, until: i64, bytes_max: usize) -> RawBatch {
    let rows = (until - cursor.offset) as usize;
    let mut arena = Vec::with_capacity((rows * 300).min(bytes_max.saturating_add(1024)));
    let mut records = Vec::with_capacity(rows);
    let mut timestamps = Vec::with_capacity(rows);
    let first = cursor.offset;
    while cursor.offset < until && arena.len() < bytes_max.max(1) {
        let start = arena.len();
        let index = cursor.offset as u64 * u64::from(options.partitions) + u64::from(cursor.partition);
        timestamps.push(kinds::write(options.kind, options.seed, index, &mut arena));
        let value = Span { start: start as u32, len: (arena.len() - start) as u32 };
        records.push(RawRecord { key: Span::NULL, value, headers: Span::NULL });
        cursor.offset += 1;
    }
    RawBatch {
        origin: Origin { source, partition: cursor.partition as i32 },
        rows: RawRows { arena: Arc::new(arena), records },
        offsets: (first..cursor.offset).collect(),
        timestamps,
        next_offset: cursor.offset,
    }
}

#[cfg(test)]
mod tests;
