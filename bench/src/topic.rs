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
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("linger.ms", "50").set("acks", "1");
    // Little memory: a child's peak is never below its parent's at the start.
    config.set("queue.buffering.max.kbytes", "16384");
    let producer: BaseProducer = config.create().context("a producer")?;
    let mut value = Vec::new();
    for index in 0..count {
        value.clear();
        let timestamp = make(index, &mut value);
        let partition = (index % u64::from(partitions)) as i32;
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(&value);
        send(&producer, record.timestamp(timestamp))?;
    }
    producer.flush(FLUSH_MAX).context("the records are not acknowledged in time")
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
