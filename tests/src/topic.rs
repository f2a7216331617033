//! Writing to a topic and watching one while something else works on it.

use crate::kafka::{Broker, flush};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

/// How long a broker may take to answer.
const WAIT: Duration = Duration::from_secs(30);

/// A record to write: partition, key, value.
pub type Record = (i32, Option<Vec<u8>>, Option<Vec<u8>>);

/// Writes records to one topic, each where it is told to.
pub struct Writer {
    producer: BaseProducer,
    topic: String,
}

impl Writer {
    /// For `topic`.
    pub fn new(broker: &Broker, topic: &str) -> Self {
        Writer { producer: broker.producer(None), topic: topic.to_owned() }
    }

    /// Writes records and waits until the broker has them.
    pub fn send(&self, records: impl IntoIterator<Item = Record>) {
        self.post(records);
        flush(&self.producer);
    }

    /// Writes records without waiting for the broker.
    pub fn post(&self, records: impl IntoIterator<Item = Record>) {
        for (partition, key, value) in records {
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(partition);
            record.key = key.as_deref();
            record.payload = value.as_deref();
            while let Err((error, same)) = self.producer.send(record) {
                let full = error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert!(full, "cannot write to {}: {error}", self.topic);
                self.producer.poll(Duration::from_millis(10));
                record = same;
            }
        }
        self.producer.poll(Duration::ZERO);
    }
}

/// Watches a topic grow.
pub struct Watch {
    consumer: BaseConsumer,
    topic: String,
    partitions: Vec<i32>,
}

impl Watch {
    /// Of `topic`, from its end on.
    pub fn new(broker: &Broker, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.address()).set("group.id", "watch").set("enable.auto.commit", "false");
        config.set("isolation.level", "read_committed").set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), WAIT).expect("metadata");
        let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|it| it.id()).collect();
        Watch { consumer, topic: topic.to_owned(), partitions }
    }

    /// The ends of all partitions together: it grows with every record written, committed or not.
    pub fn end(&self) -> u64 {
        let end = |it: &i32| self.consumer.fetch_watermarks(&self.topic, *it, WAIT).expect("the ends of a partition").1;
        self.partitions.iter().map(|it| end(it) as u64).sum()
    }

    /// Begins to read at the ends as they are now.
    pub fn follow(&self) {
        let mut list = TopicPartitionList::new();
        for partition in &self.partitions {
            let end = self.consumer.fetch_watermarks(&self.topic, *partition, WAIT).expect("the ends of a partition").1;
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(end)).expect("a list");
        }
        self.consumer.assign(&list).expect("an assignment");
    }

    /// The value of the next committed record as text, where one comes within `wait`.
    pub fn next(&self, wait: Duration) -> Option<String> {
        match self.consumer.poll(wait)? {
            Ok(message) => Some(String::from_utf8(message.payload().unwrap_or_default().to_vec()).expect("text")),
            Err(error) => panic!("reading {}: {error}", self.topic),
        }
    }
}
