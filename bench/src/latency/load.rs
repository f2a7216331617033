//! The load: a thread that sends what is due, and one that reads what was committed.

use super::quantiles::Quantiles;
use crate::clock::now;
use crate::records::Payments;
use anyhow::{Context, Result, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long the sender rests when nothing is due.
const REST: Duration = Duration::from_micros(500);
/// How far the sender may be behind before the run is worth nothing.
const BEHIND_MAX: Duration = Duration::from_millis(250);
/// How many records may be on their way where as many are sent as come out: as many as come out between two commits.
const ON_THE_WAY_MAX: u64 = 1_000_000;
/// How long the last records may take.
const WAIT: Duration = Duration::from_secs(60);
/// Where a payment's number is in its JSON: the digits of `{"transaction_id":"t000000000000"`.
const NUMBER: std::ops::Range<usize> = 20..32;

/// An even load.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// `host:port`.
    pub brokers: &'a str,
    /// Where records go, and in how many partitions.
    pub from: &'a str,
    /// Where they come out.
    pub to: &'a str,
    /// Of both topics.
    pub partitions: i32,
    /// Records a second.
    pub rate: f64,
    /// Time before anything counts.
    pub warm_up: Duration,
    /// Time that counts.
    pub measured: Duration,
}

impl Load<'_> {
    /// Sends, reads and measures. `mark` is called when counting begins and when it ends.
    ///
    /// # Errors
    /// The sender cannot keep to its times, or a record does not come out.
    pub fn run(&self, mut mark: impl FnMut() -> Result<()> + Send) -> Result<Quantiles> {
        let producer = self.producer()?;
        let consumer = self.consumer()?;
        let start = now();
        std::thread::scope(|scope| {
            let sender = std::thread::Builder::new().name("sender".into());
            let sender = sender.spawn_scoped(scope, || self.send(&producer, start, &mut mark))?;
            let read = self.read(&consumer, start);
            let sent = sender.join().unwrap_or_else(|_| bail!("the sender panicked"));
            sent.and(read)
        })
    }

    /// Sends `records`, each as soon as there is room for it, and answers how many come out in a second, after the first fifth.
    ///
    /// # Errors
    /// A record does not come out.
    pub fn flat_out(&self, records: u64) -> Result<f64> {
        let producer = self.producer()?;
        let consumer = self.consumer()?;
        let out = AtomicU64::new(0);
        let send = || {
            let mut payments = Payments::new();
            for record in 0..records {
                while record >= out.load(Relaxed) + ON_THE_WAY_MAX {
                    std::thread::sleep(REST);
                    producer.poll(Duration::ZERO);
                }
                self.send_one(&producer, payments.make(), record)?;
            }
            producer.flush(WAIT).context("the records are not acknowledged in time")
        };
        std::thread::scope(|scope| {
            let sender = std::thread::Builder::new().name("sender".into()).spawn_scoped(scope, send)?;
            let (mut counted, mut from) = (0, now());
            for read in 0..records {
                if read == records / 5 {
                    (counted, from) = (records - read, now());
                }
                consumer.poll(WAIT).with_context(|| format!("only {read} of {records} records came out"))??;
                out.store(read + 1, Relaxed);
            }
            let rate = counted as f64 / from.elapsed().as_secs_f64();
            sender.join().unwrap_or_else(|_| bail!("the sender panicked")).map(|()| rate)
        })
    }

    fn records(&self, over: Duration) -> u64 {
        (over.as_secs_f64() * self.rate) as u64
    }

    /// When a record is due after the start.
    fn due(&self, record: u64) -> Duration {
        Duration::from_secs_f64(record as f64 / self.rate)
    }

    fn producer(&self) -> Result<BaseProducer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers).set("linger.ms", "1").set("acks", "1");
        config.create().context("a producer")
    }

    fn send(&self, producer: &BaseProducer, start: Instant, mark: &mut impl FnMut() -> Result<()>) -> Result<()> {
        let (counted, all) = (self.records(self.warm_up), self.records(self.warm_up + self.measured));
        let mut payments = Payments::new();
        let mut record = 0;
        while record < all {
            let due = self.records(start.elapsed()).min(all);
            if record >= due {
                std::thread::sleep(REST);
                producer.poll(Duration::ZERO);
                continue;
            }
            while record < due {
                if record == counted {
                    mark()?;
                }
                self.send_one(producer, payments.make(), record)?;
                record += 1;
            }
            let behind = start.elapsed().saturating_sub(self.due(record));
            ensure!(behind < BEHIND_MAX, "the sender is {behind:?} behind its {:.0} records a second", self.rate);
        }
        mark()?;
        producer.flush(WAIT).context("the records are not acknowledged in time")
    }

    fn send_one(&self, producer: &BaseProducer, value: &[u8], record: u64) -> Result<()> {
        let partition = (record % self.partitions as u64) as i32;
        let mut next = BaseRecord::<[u8], [u8]>::to(self.from).partition(partition).payload(value);
        while let Err((error, same)) = producer.send(next) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                bail!("a record cannot be written: {error}");
            }
            producer.poll(Duration::from_millis(1));
            next = same;
        }
        Ok(())
    }

    fn consumer(&self) -> Result<BaseConsumer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers).set("group.id", "latency").set("enable.auto.commit", "false");
        config
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "5")
            .set("fetch.queue.backoff.ms", "2");
        let consumer: BaseConsumer = config.create().context("a consumer")?;
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(self.to, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(consumer)
    }

    fn read(&self, consumer: &BaseConsumer, start: Instant) -> Result<Quantiles> {
        let (counted, all) = (self.records(self.warm_up), self.records(self.warm_up + self.measured));
        let mut quantiles = Quantiles::default();
        for read in 0..all {
            let message = consumer.poll(WAIT).with_context(|| format!("only {read} of {all} records came out"))??;
            let digits = message.payload().and_then(|it| std::str::from_utf8(it.get(NUMBER)?).ok());
            let record: u64 = digits.and_then(|it| it.parse().ok()).context("a record without its number")?;
            if record >= counted {
                quantiles.add(start.elapsed().saturating_sub(self.due(record)));
            }
        }
        Ok(quantiles)
    }
}
