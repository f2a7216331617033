//! Reads a Kafka topic: static partitions, committed records only, positions that account for everything read.
//!
//! There is no group membership: the caller says which partitions to read from where, and commits positions through the
//! sink's transaction. A partition's position passes what is never handed over: transaction markers, the records of
//! aborted transactions, and gaps that compaction left.
//!
//! Two readers can do it: one of our own (`native`), several times cheaper, and librdkafka, which speaks TLS and SASL and
//! every version of the protocol. Which one reads does not show in what is read. Questions at the start are librdkafka's.

mod librdkafka;
mod native;

pub use super::{Polled, Start};
use crate::config::{Fetch, KafkaOptions};
pub use crate::kafka::KafkaError;
use crate::kafka::{Deadline, metadata, wire};
use librdkafka::{Librdkafka, connect, open_topic, other};
use native::{Native, NativeError};

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

/// The partitions of the topic of `options` with their watermarks, by number.
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

/// A reader of some partitions of one topic.
pub struct KafkaSource {
    plane: Plane,
    source: u32,
    options: KafkaOptions,
}

/// Who reads.
enum Plane {
    Native(Box<Native>),
    Librdkafka(Box<Librdkafka>),
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (plane, positions) = match &self.plane {
            Plane::Native(it) => ("native", Vec::from_iter(it.positions())),
            Plane::Librdkafka(it) => ("librdkafka", Vec::from_iter(it.positions())),
        };
        out.debug_struct("KafkaSource")
            .field("topic", &self.options.topic)
            .field("plane", &plane)
            .field("positions", &positions)
            .finish()
    }
}

impl KafkaSource {
    /// Starts to read; does not wait for a broker. `source` is the index that goes into every batch's origin.
    pub fn open(options: &KafkaOptions, source: u32, starts: Vec<Start>) -> Result<Self, KafkaError> {
        let plane = match (options.fetch, wire::refusal(&options.brokers, &options.properties)) {
            (Fetch::Native, Some(reason)) => return Err(refused(options, reason)),
            (Fetch::Native | Fetch::Auto, None) => {
                let opened = Native::open(options, source, &starts);
                Plane::Native(Box::new(opened.map_err(|it| refused(options, it.to_string()))?))
            }
            (Fetch::Auto, Some(reason)) => {
                tell(options, &reason);
                by_librdkafka(options, source, &starts)?
            }
            (Fetch::Librdkafka, _) => by_librdkafka(options, source, &starts)?,
        };
        Ok(KafkaSource { plane, source, options: options.clone() })
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
        let native = match &mut self.plane {
            Plane::Librdkafka(it) => return it.poll(rows_max, bytes_max, held),
            Plane::Native(it) => it,
        };
        match native.poll(rows_max, bytes_max, held) {
            Ok(polled) => Ok(polled),
            // What was handed over is accounted for by the positions, and the rest is the same records.
            Err(NativeError::Unsupported(reason)) if self.options.fetch == Fetch::Auto => {
                tell(&self.options, &reason);
                self.plane = by_librdkafka(&self.options, self.source, &native.rest())?;
                Ok(Polled::Empty)
            }
            Err(NativeError::Unsupported(reason)) => Err(refused(&self.options, reason)),
            Err(NativeError::Kafka(error)) => Err(explained(&self.options, error)),
        }
    }

    /// How many offsets are left to read, by partition, as of the last fetch: to the end of a bounded one, to the high watermark
    /// of another. Those whose end is not known yet are left out.
    pub fn lags(&self) -> Vec<(i32, i64)> {
        match &self.plane {
            Plane::Native(it) => it.lags(),
            Plane::Librdkafka(it) => it.lags(),
        }
    }

    /// The newest trouble that is being waited out (a broker that does not answer), once; none when there was none since
    /// the last call.
    pub fn trouble(&mut self) -> Option<String> {
        match &self.plane {
            Plane::Native(it) => it.trouble(),
            Plane::Librdkafka(it) => it.trouble(),
        }
    }
}

fn by_librdkafka(options: &KafkaOptions, source: u32, starts: &[Start]) -> Result<Plane, KafkaError> {
    Librdkafka::open(options, source, starts).map(|it| Plane::Librdkafka(Box::new(it)))
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
