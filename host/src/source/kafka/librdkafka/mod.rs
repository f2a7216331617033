//! The reader that librdkafka is: for every connection that the native one cannot have, and the one it is compared with.

mod records;

use super::{Polled, Start};
use crate::batch::{Origin, RawBatch};
use crate::config::KafkaOptions;
use crate::kafka::ffi::{Client, Fault, Reader, Role, Topic, code};
use crate::kafka::{KafkaError, metadata};
use records::Taken;
use std::sync::Arc;

/// Bytes that librdkafka may fetch ahead, all partitions together, and its bounds for one partition, KiB.
const PREFETCH_KIB_MAX: usize = 64 << 10;
const PREFETCH_KIB_PER_PARTITION: std::ops::RangeInclusive<usize> = 1 << 10..=16 << 10;
/// Messages taken out of a partition's queue at a time.
const TAKEN_MAX: usize = 4_096;
/// After so many batches in a row, callbacks are served although there is something to read.
const POLLS_BETWEEN_CALLBACKS: u32 = 256;

/// A client that reads so many partitions.
pub(super) fn connect(options: &KafkaOptions, partitions: usize) -> Result<Arc<Client>, KafkaError> {
    let share = PREFETCH_KIB_MAX / partitions.max(1);
    let prefetch_kib = share.clamp(*PREFETCH_KIB_PER_PARTITION.start(), *PREFETCH_KIB_PER_PARTITION.end());
    let settings = [
        ("bootstrap.servers", options.brokers.clone()),
        ("client.id", "wasmill".to_owned()),
        ("isolation.level", "read_committed".to_owned()),
        ("check.crcs", "true".to_owned()),
        ("auto.offset.reset", "error".to_owned()), // A lost position is an error, never a jump.
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        ("enable.partition.eof", "true".to_owned()), // The only way to learn of a position after the last record.
        ("allow.auto.create.topics", "false".to_owned()),
        ("queued.min.messages", "20000".to_owned()),
        ("queued.max.messages.kbytes", prefetch_kib.to_string()),
        ("fetch.queue.backoff.ms", "10".to_owned()), // The default of a second idles a fast reader.
        ("fetch.error.backoff.ms", "100".to_owned()),
        ("reconnect.backoff.max.ms", "1000".to_owned()),
        ("enable.metrics.push", "false".to_owned()),
    ];
    let settings = options.properties.after(settings);
    Client::new(Role::Consumer, &settings).map_err(|it| other(&format!("set up a reader of `{}`", options.brokers), it))
}

/// The topic of `options`.
pub(super) fn open_topic(client: &Arc<Client>, options: &KafkaOptions) -> Result<Arc<Topic>, KafkaError> {
    let topic = client.topic(&options.topic, &[]);
    topic.map(Arc::new).map_err(|it| other(&format!("open topic `{}`", options.topic), it))
}

/// What no caller tells apart.
pub(super) fn other(doing: &str, fault: Fault) -> KafkaError {
    KafkaError::Other { doing: doing.to_owned(), reason: fault.text }
}

/// A reader of some partitions of one topic.
pub(super) struct Librdkafka {
    reading: Vec<Reading>,
    turn: usize,
    polls: u32,
    source: u32,
    options: KafkaOptions,
    topic: Arc<Topic>,
    client: Arc<Client>,
}

/// One partition.
struct Reading {
    partition: i32,
    /// The next offset that is not accounted for.
    position: i64,
    end: Option<i64>,
    /// None when the end was reached.
    reader: Option<Reader>,
    /// The end was reached and not yet said.
    ended: bool,
}

impl Librdkafka {
    /// Starts to read; does not wait for a broker. What may be fetched ahead is shared by `partitions`.
    pub(super) fn open(
        options: &KafkaOptions,
        source: u32,
        starts: &[Start],
        partitions: usize,
    ) -> Result<Self, KafkaError> {
        let client = connect(options, partitions)?;
        let topic = open_topic(&client, options)?;
        let start = |it: &Start| {
            let ended = it.end.is_some_and(|end| it.offset >= end);
            let doing = || format!("start to read `{}` [{}] at offset {}", options.topic, it.partition, it.offset);
            let reader = if ended { None } else { Some(Reader::start(&topic, it.partition, it.offset)) };
            let reader = reader.transpose().map_err(|fault| other(&doing(), fault))?;
            Ok(Reading { partition: it.partition, position: it.offset, end: it.end, reader, ended })
        };
        let reading = starts.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Librdkafka { reading, turn: 0, polls: 0, source, options: options.clone(), topic, client })
    }

    /// As [`super::KafkaSource::poll_unless`].
    pub(super) fn poll(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        held: &dyn Fn(i32) -> bool,
    ) -> Result<Polled, KafkaError> {
        self.polls = (self.polls + 1) % POLLS_BETWEEN_CALLBACKS;
        if self.polls == 0 {
            self.client.poll();
        }
        for _ in 0..self.reading.len() {
            let at = self.turn;
            self.turn = (self.turn + 1) % self.reading.len();
            if self.reading.get(at).is_some_and(|it| held(it.partition)) {
                continue;
            }
            if let Some(polled) = self.read(at, rows_max, bytes_max)? {
                return Ok(polled);
            }
        }
        self.client.poll();
        Ok(Polled::Empty)
    }

    /// What one partition has, if anything.
    fn read(&mut self, at: usize, rows_max: usize, bytes_max: usize) -> Result<Option<Polled>, KafkaError> {
        let reading = &mut self.reading[at];
        if std::mem::take(&mut reading.ended) {
            return Ok(Some(Polled::Ended(reading.partition)));
        }
        let Some(reader) = &mut reading.reader else { return Ok(None) };
        if !reader.fill(rows_max.clamp(1, TAKEN_MAX)) {
            return Ok(None);
        }
        let taken = records::take(reader, reading.position, reading.end, rows_max, bytes_max);
        let failed = if taken.blocked { reader.peek().map(|it| (it.error, text(it.value))) } else { None };
        let moved = taken.next_offset > reading.position;
        reading.position = taken.next_offset;
        if reading.end.is_some_and(|end| taken.next_offset >= end) {
            reading.reader = None; // Stops the fetch and gives back what was fetched past the end.
            reading.ended = true;
        }
        if moved {
            return Ok(Some(Polled::Batch(self.batch(at, taken))));
        }
        match failed {
            Some((code, reason)) => self.failed(at, code, reason).map(|()| None),
            None => Ok(None),
        }
    }

    fn batch(&self, at: usize, taken: Taken) -> RawBatch {
        RawBatch {
            origin: Origin { source: self.source, partition: self.reading[at].partition },
            rows: taken.rows,
            offsets: taken.offsets,
            timestamps: taken.timestamps,
            next_offset: taken.next_offset,
        }
    }

    /// Passes over an error in a partition's queue that librdkafka gets over by itself; any other ends the source.
    fn failed(&mut self, at: usize, code: i32, reason: String) -> Result<(), KafkaError> {
        let reading = &mut self.reading[at];
        let (topic, partition, offset) = (self.options.topic.clone(), reading.partition, reading.position);
        if code::PASSING.contains(&code) {
            self.client.events().trouble(format!("{topic} [{partition}]: {reason}"));
            if let Some(reader) = &mut reading.reader {
                reader.advance();
            }
            return Ok(());
        }
        Err(match code {
            code::OFFSET_RESET | code::OUT_OF_RANGE => {
                let asked = self.topic.query_watermarks(partition, super::ASK_MS_MAX as i32);
                let (low, high) = asked.unwrap_or_else(|_| self.topic.cached_watermarks(partition));
                KafkaError::OffsetOutOfRange { topic, partition, offset, low, high }
            }
            code::UNKNOWN_TOPIC | code::UNKNOWN_TOPIC_LOCALLY | code::UNKNOWN_PARTITION_LOCALLY => {
                metadata::topic_missing(&self.client, &topic, &self.options.brokers)
            }
            _ => KafkaError::Unreadable { topic, partition, offset, reason },
        })
    }

    /// Each partition with its position.
    pub(super) fn positions(&self) -> impl Iterator<Item = (i32, i64)> {
        self.reading.iter().map(|it| (it.partition, it.position))
    }

    /// As [`super::KafkaSource::lags`].
    pub(super) fn lags(&self) -> Vec<(i32, i64)> {
        let left = |it: &Reading| {
            let known = || Some(self.topic.cached_watermarks(it.partition).1).filter(|it| *it >= 0);
            let end = it.end.or_else(known)?;
            Some((it.partition, (end - it.position).max(0)))
        };
        self.reading.iter().filter_map(left).collect()
    }

    /// As [`super::KafkaSource::trouble`].
    pub(super) fn trouble(&self) -> Option<String> {
        self.client.events().take_trouble()
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
