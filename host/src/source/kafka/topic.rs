//! One topic of a source, whoever reads it.

use super::librdkafka::Librdkafka;
use super::native::{Native, NativeError};
use super::{ASK_MS_MAX, KafkaError, Polled, Start, partitions};
use crate::config::{Fetch, KafkaOptions};
use crate::kafka::wire;

/// A reader of some partitions of one topic.
pub(super) struct TopicReader {
    plane: Plane,
    source: u32,
    /// Of all topics of the source.
    partitions: usize,
    options: KafkaOptions,
}

/// Who reads.
enum Plane {
    Native(Box<Native>),
    Librdkafka(Box<Librdkafka>),
}

impl std::fmt::Debug for TopicReader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (plane, positions) = match &self.plane {
            Plane::Native(it) => ("native", Vec::from_iter(it.positions())),
            Plane::Librdkafka(it) => ("librdkafka", Vec::from_iter(it.positions())),
        };
        out.debug_struct("TopicReader")
            .field("topic", &self.options.topic)
            .field("plane", &plane)
            .field("positions", &positions)
            .finish()
    }
}

impl TopicReader {
    /// Starts to read; does not wait for a broker. `source` is the index that goes into every batch's origin. It shares what may be fetched
    /// ahead with the others of `partitions`.
    pub(super) fn open(
        options: &KafkaOptions,
        source: u32,
        starts: &[Start],
        partitions: usize,
    ) -> Result<Self, KafkaError> {
        let plane = match (options.fetch, wire::refusal(&options.brokers, &options.properties)) {
            (Fetch::Native, Some(reason)) => return Err(refused(options, reason)),
            (Fetch::Native | Fetch::Auto, None) => {
                let opened = Native::open(options, source, starts, partitions);
                Plane::Native(Box::new(opened.map_err(|it| refused(options, it.to_string()))?))
            }
            (Fetch::Auto, Some(reason)) => {
                tell(options, &reason);
                by_librdkafka(options, source, starts, partitions)?
            }
            (Fetch::Librdkafka, _) => by_librdkafka(options, source, starts, partitions)?,
        };
        Ok(TopicReader { plane, source, partitions, options: options.clone() })
    }

    /// As [`super::KafkaSource::poll_unless`].
    pub(super) fn poll(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        held: &dyn Fn(i32) -> bool,
    ) -> Result<Polled, KafkaError> {
        let native = match &mut self.plane {
            Plane::Librdkafka(it) => return it.poll(rows_max, bytes_max, held),
            Plane::Native(it) => it,
        };
        match native.poll(rows_max, bytes_max, held) {
            Ok(polled) => Ok(polled),
            // What was handed over is accounted for by the positions, and the rest is the same records.
            Err(NativeError::Unsupported(reason)) if self.options.fetch == Fetch::Auto => {
                tell(&self.options, &reason);
                self.plane = by_librdkafka(&self.options, self.source, &native.rest(), self.partitions)?;
                Ok(Polled::Empty)
            }
            Err(NativeError::Unsupported(reason)) => Err(refused(&self.options, reason)),
            Err(NativeError::Kafka(error)) => Err(explained(&self.options, error)),
        }
    }

    /// As [`super::KafkaSource::lags`].
    pub(super) fn lags(&self) -> Vec<(i32, i64)> {
        match &self.plane {
            Plane::Native(it) => it.lags(),
            Plane::Librdkafka(it) => it.lags(),
        }
    }

    /// As [`super::KafkaSource::trouble`].
    pub(super) fn trouble(&mut self) -> Option<String> {
        match &self.plane {
            Plane::Native(it) => it.trouble(),
            Plane::Librdkafka(it) => it.trouble(),
        }
    }
}

fn by_librdkafka(
    options: &KafkaOptions,
    source: u32,
    starts: &[Start],
    partitions: usize,
) -> Result<Plane, KafkaError> {
    Librdkafka::open(options, source, starts, partitions).map(|it| Plane::Librdkafka(Box::new(it)))
}

fn tell(options: &KafkaOptions, reason: &str) {
    tracing::info!(topic = options.topic, "reading with librdkafka, which costs more: {reason}");
}

fn refused(options: &KafkaOptions, reason: String) -> KafkaError {
    KafkaError::Other { doing: format!("read `{}` with fetch = \"native\"", options.topic), reason }
}

/// Adds to an error what only a question to the brokers can tell.
fn explained(options: &KafkaOptions, error: KafkaError) -> KafkaError {
    let asked = KafkaOptions { wait_ms: ASK_MS_MAX, ..options.clone() };
    match error {
        KafkaError::OffsetOutOfRange { topic, partition, offset, .. } => {
            let found = partitions(&asked).unwrap_or_default().into_iter().find(|it| it.id == partition);
            let (low, high) = found.map_or((-1, -1), |it| (it.low, it.high));
            KafkaError::OffsetOutOfRange { topic, partition, offset, low, high }
        }
        KafkaError::TopicMissing { .. } => partitions(&asked).err().unwrap_or(error),
        other => other,
    }
}
