//! Filling a topic before it is measured how fast it is read.

use crate::records::Payments;
use anyhow::{Context, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;
use wasmill_tests::kafka::Broker;

/// How long the broker may take to acknowledge what is still on its way.
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// Writes the first `count` payments to `topic`, in turn to its partitions 0 to `partitions - 1`, with their event times as
/// timestamps and without keys.
///
/// # Errors
/// The broker does not take them.
pub fn fill(broker: &Broker, topic: &str, partitions: u32, count: u64) -> Result<()> {
    let mut payments = Payments::new();
    fill_with(broker, topic, partitions, count, |_, value| {
        value.extend_from_slice(payments.make());
        payments.time_ms()
    })
}

/// As [`fill`], of any records: `make` appends the value of record `index` and answers its timestamp.
///
/// # Errors
/// The broker does not take them.
pub fn fill_with(
    broker: &Broker,
    topic: &str,
    partitions: u32,
    count: u64,
    mut make: impl FnMut(u64, &mut Vec<u8>) -> i64,
) -> Result<()> {
    let writer = Writer::new(broker.address(), topic)?;
    let mut value = Vec::new();
    for index in 0..count {
        value.clear();
        let timestamp = make(index, &mut value);
        writer.write((index % u64::from(partitions)) as i32, None, &value, timestamp)?;
    }
    writer.finish()
}

/// Writes records to a topic, many at a time.
pub struct Writer<'a> {
    producer: BaseProducer,
    topic: &'a str,
}

impl<'a> Writer<'a> {
    /// For a topic of the broker at `brokers`, `host:port`.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn new(brokers: &str, topic: &'a str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("linger.ms", "50").set("acks", "1");
        // Little memory: a child's peak is never below its parent's at the start.
        config.set("queue.buffering.max.kbytes", "16384");
        Ok(Writer { producer: config.create().context("a producer")?, topic })
    }

    /// Writes a record; it is there once [`Writer::finish`] has returned.
    ///
    /// # Errors
    /// The broker does not take it.
    pub fn write(&self, partition: i32, key: Option<&[u8]>, value: &[u8], timestamp: i64) -> Result<()> {
        let record = BaseRecord::<[u8], [u8]>::to(self.topic).partition(partition).payload(value).timestamp(timestamp);
        let record = key.into_iter().fold(record, BaseRecord::key);
        send(&self.producer, record)
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// It is not, in a minute.
    pub fn finish(self) -> Result<()> {
        self.producer.flush(FLUSH_MAX).context("the records are not acknowledged in time")
    }
}

/// Sends a record, serving the producer as long as its queue is full.
fn send(producer: &BaseProducer, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<()> {
    while let Err((error, same)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            bail!("a record cannot be written: {error}");
        }
        producer.poll(Duration::from_millis(10));
        record = same;
    }
    Ok(())
}
