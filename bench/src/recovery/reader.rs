//! What was committed, as it comes.

use crate::clock::now;
use crate::nexmark::digest::Digest;
use anyhow::{Context, Result, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long nothing may come.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// How long to wait before it is asked whether anything can still come.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A `read_committed` reader of a topic that is there from before the first record until after the last.
pub struct Reader {
    consumer: BaseConsumer,
    /// Of all that was read.
    pub digest: Digest,
}

impl Reader {
    /// Of a topic with so many partitions.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn new(brokers: &str, topic: &str, partitions: u32) -> Result<Reader> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", "recovery").set("enable.auto.commit", "false");
        config.set("isolation.level", "read_committed").set("auto.offset.reset", "error").set("check.crcs", "true");
        // A broker does not end the wait of such a reader when a transaction is committed, so it is short.
        config.set("fetch.wait.max.ms", "10").set("fetch.queue.backoff.ms", "2");
        config.set("queued.max.messages.kbytes", "16384"); // A child's peak is never below its parent's at the start.
        let consumer: BaseConsumer = config.create().context("a consumer")?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(Reader { consumer, digest: Digest::default() })
    }

    /// Reads until there are `records` in all: when the first of those that were missing came, and when the last.
    ///
    /// # Errors
    /// Nothing comes any more, or `can_come` says that nothing can.
    pub fn read_until(&mut self, records: u64, mut can_come: impl FnMut() -> Result<()>) -> Result<(Instant, Instant)> {
        let (mut first, mut last) = (None, now());
        while self.digest.records < records {
            let Some(message) = self.consumer.poll(ASK_EVERY) else {
                can_come()?;
                ensure!(last.elapsed() < SILENCE_MAX, "only {} of {records} records came out", self.digest.records);
                continue;
            };
            self.digest.add(message?.payload().unwrap_or_default());
            last = now();
            first.get_or_insert(last);
        }
        Ok((first.unwrap_or(last), last))
    }
}
