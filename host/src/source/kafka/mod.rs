//! Reads Kafka topics: static partitions, committed records only, positions that account for everything read.
//!
//! There is no group membership: the caller says which partitions to read from where, and commits positions through the
//! sink's transaction. A partition's position passes what is never handed over: transaction markers, the records of
//! aborted transactions, and gaps that compaction left.
//!
//! Two readers can do it: one of our own (`native`), several times cheaper, and librdkafka, which speaks TLS and SASL and
//! every version of the protocol. Which one reads does not show in what is read. Questions at the start are librdkafka's.

mod librdkafka;
mod native;
mod topic;

pub use super::{Polled, Start};
use crate::batch::TopicPartition;
use crate::config::KafkaOptions;
pub use crate::kafka::KafkaError;
use crate::kafka::{Deadline, metadata};
use librdkafka::{connect, open_topic, other};
use topic::TopicReader;

/// A question about watermarks, ms; longer waits are many questions.
const ASK_MS_MAX: u64 = 2_000;

/// A partition and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub id: i32,
    /// The oldest offset kept.
    pub low: i64,
    /// The end of what is decided (the last stable offset): every record before it is committed or aborted.
    pub high: i64,
}

/// The partitions of the first topic of `options` with their watermarks, by number.
///
/// Waits up to `options.wait_ms` for a broker.
pub fn partitions(options: &KafkaOptions) -> Result<Vec<Partition>, KafkaError> {
    let deadline = Deadline::after(options.wait_ms);
    let client = connect(options, 1)?;
    let topic = open_topic(&client, options)?;
    let ids = metadata::partitions_of(&client, &topic, &options.topic, &options.brokers, &deadline)?;
    let watermarks = |id| loop {
        match topic.query_watermarks(id, deadline.left_ms(ASK_MS_MAX).max(1)) {
            Ok((low, high)) => return Ok(Partition { id, low, high }),
            Err(fault) if fault.retriable && !deadline.passed() => {}
            Err(fault) if fault.retriable => {
                return Err(metadata::unreachable(&client, fault, &options.brokers, &deadline));
            }
            Err(fault) => return Err(other(&format!("read the watermarks of `{}` [{id}]", options.topic), fault)),
        }
    };
    ids.into_iter().map(watermarks).collect()
}

/// A reader of some partitions of some topics. Partitions are told apart by [`TopicPartition`].
#[derive(Debug)]
pub struct KafkaSource {
    /// Each with the number of its topic.
    topics: Vec<(usize, TopicReader)>,
    /// Which of them has its turn.
    turn: usize,
}

impl KafkaSource {
    /// Starts to read; does not wait for a broker. `source` is the index that goes into every batch's origin.
    pub fn open(options: &KafkaOptions, source: u32, starts: Vec<Start>) -> Result<Self, KafkaError> {
        let mut topics = Vec::new();
        for (index, topic) in options.topics().enumerate() {
            let own = starts.iter().filter(|it| TopicPartition::of(it.partition).topic == index);
            let own: Vec<Start> =
                own.map(|it| Start { partition: TopicPartition::of(it.partition).number, ..*it }).collect();
            if !own.is_empty() {
                topics.push((index, TopicReader::open(&options.of_topic(topic), source, &own, starts.len())?));
            }
        }
        Ok(KafkaSource { topics, turn: 0 })
    }

    /// The next batch of any partition, each in its turn: at most `rows_max` records and, but for a first record that is
    /// larger, `bytes_max` bytes. Does not wait.
    ///
    /// Brokers that are down are waited out (`Empty`); see [`KafkaSource::trouble`]. After an error the source is of no
    /// further use.
    pub fn poll(&mut self, rows_max: usize, bytes_max: usize) -> Result<Polled, KafkaError> {
        self.poll_unless(rows_max, bytes_max, &|_| false)
    }

    /// As [`KafkaSource::poll`], passing over the partitions that are `held`: what was fetched of them stays in their queues, which have
    /// a bound.
    pub fn poll_unless(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        held: &dyn Fn(i32) -> bool,
    ) -> Result<Polled, KafkaError> {
        for _ in 0..self.topics.len() {
            let at = self.turn;
            self.turn = (self.turn + 1) % self.topics.len();
            let Some((topic, reader)) = self.topics.get_mut(at) else { break };
            let partition = |number: i32| TopicPartition { topic: *topic, number }.partition();
            match reader.poll(rows_max, bytes_max, &|number| held(partition(number)))? {
                Polled::Empty => {}
                Polled::Ended(number) => return Ok(Polled::Ended(partition(number))),
                Polled::Batch(mut batch) => {
                    batch.origin.partition = partition(batch.origin.partition);
                    return Ok(Polled::Batch(batch));
                }
            }
        }
        Ok(Polled::Empty)
    }

    /// How many offsets are left to read, by partition, as of the last fetch: to the end of a bounded one, to the high watermark
    /// of another. Those whose end is not known yet are left out.
    pub fn lags(&self) -> Vec<(i32, i64)> {
        let topics = self.topics.iter().map(|(topic, reader)| (*topic, reader.lags()));
        let partition = |topic, number| TopicPartition { topic, number }.partition();
        topics.flat_map(|(topic, lags)| lags.into_iter().map(move |it| (partition(topic, it.0), it.1))).collect()
    }

    /// The newest trouble that is being waited out (a broker that does not answer), once; none when there was none since
    /// the last call.
    pub fn trouble(&mut self) -> Option<String> {
        self.topics.iter_mut().find_map(|it| it.1.trouble())
    }
}
