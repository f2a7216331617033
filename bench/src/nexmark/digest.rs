//! What a topic holds, as a number that does not depend on the order.

use anyhow::{Context, Result, bail};
use md5::{Digest as _, Md5};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::fmt;
use std::time::Duration;

/// How long the broker may take for an answer.
const WAIT: Duration = Duration::from_secs(60);

/// Values, and the sum modulo 2^128 of their MD5 as big-endian numbers: equal multisets have equal sums, and a value that
/// is lost, doubled or changed by a bit has another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Values.
    pub records: u64,
    /// The sum.
    pub sum: u128,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records {:032x}", self.records, self.sum)
    }
}

impl Digest {
    /// Counts a value in.
    pub fn add(&mut self, value: &[u8]) {
        self.records += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(Md5::digest(value).into()));
    }

    /// That of all values of `topic` which a `read_committed` reader sees, and the least of their timestamps.
    ///
    /// # Errors
    /// The broker does not answer, or a transaction stays open.
    pub fn of_topic(brokers: &str, topic: &str) -> Result<(Digest, Option<i64>)> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", "digest").set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true").set("check.crcs", "true").set("auto.offset.reset", "error");
        config.set("isolation.level", "read_committed").set("queued.max.messages.kbytes", "16384");
        config.set("fetch.queue.backoff.ms", "10"); // Else it rests for a second whenever so much is waiting.
        let consumer: BaseConsumer = config.create().context("a consumer")?;
        let metadata = consumer.fetch_metadata(Some(topic), WAIT).context("metadata")?;
        let partitions = metadata.topics().first().map_or(0, |it| it.partitions().len()) as i32;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            settle(&consumer, brokers, topic, partition)?;
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let (mut digest, mut first_ms, mut open) = (Digest::default(), None::<i64>, partitions);
        while open > 0 {
            match consumer.poll(WAIT).context("no record in time")? {
                Ok(message) => {
                    let ms = message.timestamp().to_millis();
                    first_ms = first_ms.into_iter().chain(ms).min();
                    digest.add(message.payload().unwrap_or_default());
                }
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => bail!("reading {topic}: {error}"),
            }
        }
        Ok((digest, first_ms))
    }
}

/// Waits until no transaction is open: a broker answers a commit before its markers are in every partition.
fn settle(committed: &BaseConsumer, brokers: &str, topic: &str, partition: i32) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("isolation.level", "read_uncommitted");
    let all: BaseConsumer = config.create().context("a consumer")?;
    let end = |it: &BaseConsumer| Ok::<_, KafkaError>(it.fetch_watermarks(topic, partition, WAIT)?.1);
    for _ in 0..1_000 {
        if end(committed)? == end(&all)? {
            return Ok(());
        }
    }
    bail!("{topic}/{partition}: a transaction stays open")
}
