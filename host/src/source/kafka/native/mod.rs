//! The reader of our own: walks through record batches where they lie in memory, without an object a record.
//!
//! `kafka::wire` fetches batches ahead; here, on the worker's thread, they are checked (`piece`), expanded (`codec`), left out
//! where their transaction was aborted (`aborted`), and turned into ranges (`walk`). Uncompressed records stay where the
//! kernel put them.

mod aborted;
mod codec;
mod piece;
#[cfg(test)]
mod tests;
mod walk;

use super::{Polled, Start};
use crate::batch::{Origin, RawBatch, RawRows};
use crate::config::KafkaOptions;
use crate::kafka::KafkaError;
use crate::kafka::wire::{self, Failure, Fetched, Reader, Taken, addresses};
use piece::{Limits, Piece, Run, Tools};
use walk::len;

/// Bytes fetched ahead, all partitions together, and the bounds of one partition's share.
const PREFETCH_BYTES_MAX: usize = 16 << 20;
const PREFETCH_BYTES_PER_PARTITION: std::ops::RangeInclusive<usize> = 1 << 20..=4 << 20;
/// Bytes of a run at most, whatever is asked for.
const RUN_BYTES_MAX: usize = 64 << 20;

/// Why reading cannot go on.
#[derive(Debug)]
pub(super) enum NativeError {
    /// Not by this reader; another may.
    Unsupported(String),
    /// Not at all.
    Kafka(KafkaError),
}

/// A reader of some partitions of one topic.
#[derive(Debug)]
pub(super) struct Native {
    reader: Reader,
    reading: Vec<Reading>,
    tools: Tools,
    turn: usize,
    source: u32,
    topic: String,
    brokers: String,
}

/// One partition.
#[derive(Debug)]
struct Reading {
    partition: i32,
    /// The next offset that is not accounted for.
    position: i64,
    end: Option<i64>,
    /// The end was reached: nothing is read any more.
    over: bool,
    /// The end was said.
    said: bool,
    /// What is left of a run, from the row `given` on.
    run: Option<Run>,
    given: usize,
    piece: Option<Piece>,
    copies: bool,
}

impl Native {
    /// Starts to read; does not wait for a broker. What may be fetched ahead is shared by `partitions`.
    pub(super) fn open(
        options: &KafkaOptions,
        source: u32,
        starts: &[Start],
        partitions: usize,
    ) -> std::io::Result<Native> {
        let span = |it: &Start| wire::Span { partition: it.partition, offset: it.offset, end: it.end };
        let share = PREFETCH_BYTES_MAX / partitions.max(1);
        let reader = Reader::start(wire::Reading {
            brokers: addresses(&options.brokers),
            topic: options.topic.clone(),
            spans: starts.iter().map(span).collect(),
            queued_bytes_max: share.clamp(*PREFETCH_BYTES_PER_PARTITION.start(), *PREFETCH_BYTES_PER_PARTITION.end()),
            bytes_max: options.fetch_bytes_max,
        })?;
        let reading = |it: &Start| Reading {
            partition: it.partition,
            position: it.offset,
            end: it.end,
            over: it.end.is_some_and(|end| it.offset >= end),
            said: false,
            run: None,
            given: 0,
            piece: None,
            copies: false,
        };
        let reading = starts.iter().map(reading).collect();
        let (topic, brokers) = (options.topic.clone(), options.brokers.clone());
        Ok(Native { reader, reading, tools: Tools::default(), turn: 0, source, topic, brokers })
    }

    /// As [`super::KafkaSource::poll_unless`].
    pub(super) fn poll(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        held: &dyn Fn(i32) -> bool,
    ) -> Result<Polled, NativeError> {
        for _ in 0..self.reading.len() {
            let at = self.turn;
            self.turn = (self.turn + 1) % self.reading.len();
            if self.reading.get(at).is_some_and(|it| held(it.partition)) {
                continue;
            }
            if let Some(polled) = self.read(at, rows_max.max(1), bytes_max.clamp(1, RUN_BYTES_MAX))? {
                return Ok(polled);
            }
        }
        Ok(Polled::Empty)
    }

    /// What one partition has, if anything.
    fn read(&mut self, at: usize, rows_max: usize, bytes_max: usize) -> Result<Option<Polled>, NativeError> {
        let Some(reading) = self.reading.get_mut(at) else { return Ok(None) };
        if reading.over {
            return Ok((!std::mem::replace(&mut reading.said, true)).then_some(Polled::Ended(reading.partition)));
        }
        if reading.run.is_none() {
            if reading.piece.as_ref().is_none_or(Piece::is_empty) {
                match self.reader.take(at) {
                    Taken::Piece(fetched) => reading.begin(fetched),
                    Taken::Failed(failure) => return Err(self.failed(at, failure)),
                    Taken::Empty => return Ok(None),
                }
            }
            let Some(piece) = &mut reading.piece else { return Ok(None) };
            let limits = Limits { from: reading.position, end: reading.end.unwrap_or(i64::MAX), rows_max, bytes_max };
            match piece.run(limits, &mut self.tools) {
                Ok(run) => reading.run = Some(run),
                Err(error) => return Err(self.failed(at, Failure::Unreadable(error.to_string()))),
            }
        }
        Ok(reading.hand_over(self.source, rows_max, bytes_max).map(Polled::Batch))
    }

    fn failed(&self, at: usize, failure: Failure) -> NativeError {
        let (partition, offset) = self.reading.get(at).map_or((-1, -1), |it| (it.partition, it.position));
        let topic = self.topic.clone();
        NativeError::Kafka(match failure {
            Failure::Unsupported(reason) => return NativeError::Unsupported(reason),
            Failure::OutOfRange => KafkaError::OffsetOutOfRange { topic, partition, offset, low: -1, high: -1 },
            Failure::Missing => KafkaError::TopicMissing { topic, brokers: self.brokers.clone(), similar: Vec::new() },
            Failure::Unreadable(reason) => KafkaError::Unreadable { topic, partition, offset, reason },
        })
    }

    /// What is left to read, for another reader.
    pub(super) fn rest(&self) -> Vec<Start> {
        let left = self.reading.iter().filter(|it| !it.said);
        left.map(|it| Start { partition: it.partition, offset: it.position, end: it.end }).collect()
    }

    /// Each partition with its position.
    pub(super) fn positions(&self) -> impl Iterator<Item = (i32, i64)> {
        self.reading.iter().map(|it| (it.partition, it.position))
    }

    /// As [`super::KafkaSource::lags`].
    pub(super) fn lags(&self) -> Vec<(i32, i64)> {
        let left = |(at, it): (usize, &Reading)| {
            let end = it.end.or_else(|| Some(self.reader.high(at)).filter(|it| *it >= 0))?;
            Some((it.partition, (end - it.position).max(0)))
        };
        self.reading.iter().enumerate().filter_map(left).collect()
    }

    /// As [`super::KafkaSource::trouble`].
    pub(super) fn trouble(&self) -> Option<String> {
        self.reader.take_trouble()
    }
}

impl Reading {
    fn begin(&mut self, fetched: Fetched) {
        let copies = self.piece.take().map_or(self.copies, |it| it.copies());
        self.copies = copies;
        self.piece = Some(Piece::new(fetched, copies));
    }

    /// The next rows of the run; none where it has neither rows nor moves the position.
    fn hand_over(&mut self, source: u32, rows_max: usize, bytes_max: usize) -> Option<RawBatch> {
        let mut run = self.run.take()?;
        let count = run.rows.offsets.len();
        let origin = Origin { source, partition: self.partition };
        let batch = if self.given == 0 && count <= rows_max && run.payload <= bytes_max {
            let rows = RawRows { arena: run.arena, records: run.rows.records };
            let (offsets, timestamps) = (run.rows.offsets, run.rows.timestamps);
            RawBatch { origin, rows, offsets, timestamps, next_offset: run.next_offset }
        } else {
            let (from, until) = (self.given, fits(&run, self.given, rows_max, bytes_max));
            let last = until == count;
            let cut = |it: &[i64]| it.get(from..until).unwrap_or_default().to_vec();
            let records = run.rows.records.get(from..until).unwrap_or_default().to_vec();
            let (offsets, timestamps) = (cut(&run.rows.offsets), cut(&run.rows.timestamps));
            let next_offset = if last { run.next_offset } else { offsets.last().map_or(self.position, |it| it + 1) };
            let arena = if last { std::mem::take(&mut run.arena) } else { run.arena.clone() };
            self.given = if last { 0 } else { until };
            self.run = (!last).then_some(run);
            RawBatch { origin, rows: RawRows { arena, records }, offsets, timestamps, next_offset }
        };
        let moved = batch.next_offset > self.position;
        self.position = batch.next_offset;
        self.over = self.end.is_some_and(|end| self.position >= end);
        moved.then_some(batch)
    }
}

/// The row up to which a batch of the run's rows from `from` on goes: one row at least, and no more than the limits.
fn fits(run: &Run, from: usize, rows_max: usize, bytes_max: usize) -> usize {
    let rows = run.rows.records.iter().enumerate().skip(from).take(rows_max);
    let mut bytes = 0;
    for (row, record) in rows {
        bytes += len(record.key) + len(record.value) + len(record.headers);
        if bytes > bytes_max && row > from {
            return row;
        }
    }
    run.rows.records.len().min(from.saturating_add(rows_max))
}
