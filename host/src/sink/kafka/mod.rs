//! Writes Kafka topics: one producer for all topics of a pipeline, so that outputs, dead letters and positions become
//! true in one transaction.
//!
//! Two producers can do it: one of our own (`native`), several times cheaper, and librdkafka, which speaks TLS and SASL and every
//! version of the protocol. Which one writes does not show in what is written. Questions about topics and groups are librdkafka's.
//!
//! The order of a commit is the delivery guarantee: everything written is acknowledged and the positions have joined the
//! transaction, then it is committed. See [`KafkaSink::commit`] for what each outcome obliges the caller to do.

mod commit;
mod librdkafka;
mod limits;
mod native;
mod positions;

use crate::batch::RawRows;
use crate::config::{ClientProperties, Produce};
pub use crate::kafka::KafkaError;
use crate::kafka::ffi::{Client, Fault};
use crate::kafka::wire::{self, Trouble};
use crate::kafka::{Deadline, Outgoing};
use crate::sink::partition::Partitioner;
use librdkafka::Librdkafka;
use limits::{Limits, Times};
use native::Native;
pub use positions::{Committed, OffsetCommit};
use std::sync::Arc;

/// Size of one record batch before compression, bytes: below a broker's default limit, and below every topic's.
const BATCH_BYTES_MAX: usize = 900_000;
/// A record's share of its batch's header, at most, and of its own lengths, bytes.
const RECORD_OVERHEAD_BYTES: usize = 96;
/// One call into the client that can be made again, ms.
const SLICE_MS_MAX: u64 = 1_000;
/// One request, ms.
const REQUEST_MS_MAX: u64 = 30_000;

/// A topic to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOptions {
    /// Its name.
    pub topic: String,
    /// `none`, `lz4`, `zstd`, `gzip` or `snappy`.
    pub compression: String,
}

/// How what is written becomes visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All or nothing, with the positions: exactly-once.
    Transactional {
        /// The same for every start of the pipeline, and no other's: a newer producer with it fences the older.
        transactional_id: String,
    },
    /// As soon as it is acknowledged; positions are committed afterwards: at-least-once.
    Idempotent,
}

impl Mode {
    fn transactional_id(&self) -> Option<&str> {
        match self {
            Mode::Transactional { transactional_id } => Some(transactional_id),
            Mode::Idempotent => None,
        }
    }
}

/// How long the sink waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a broker at start, ms.
    pub wait_ms: u64,
    /// How long the broker lets a transaction stay open, ms; also bounds a commit, and the delivery of a record.
    pub transaction_ms: u64,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything appended and the positions hold.
    Committed,
    /// Nobody knows. The only thing to do: drop the sink, open a new one, [`KafkaSink::init`], and see what
    /// [`KafkaSink::committed`] says.
    Unknown(String),
    /// Nothing of it holds: [`KafkaSink::abort`], then replay from the last checkpoint.
    MustAbort(String),
    /// Another instance has the transactional id: stop. See [`KafkaError::Fenced`].
    Fenced,
}

/// Where the producer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No transaction is open.
    Idle,
    /// Records were appended.
    Open,
    /// The outcome of a commit is unknown, or another instance took over: only a new sink helps.
    Lost,
}

struct Target {
    options: TopicOptions,
    partitions: Vec<i32>,
    partitioner: Partitioner,
    limits: Limits,
}

/// Who writes.
enum Plane {
    Native(Box<Native>),
    Librdkafka(Librdkafka),
}

impl Plane {
    fn name(&self) -> &'static str {
        match self {
            Plane::Native(_) => "native",
            Plane::Librdkafka(_) => "librdkafka",
        }
    }
}

/// Why a part of a commit did not succeed.
enum Unsent {
    /// Nothing holds.
    Refused(KafkaError),
    /// Nobody knows.
    Silence(String),
}

/// Rows on their way to a topic.
struct Rows<'a> {
    rows: &'a RawRows,
    times: &'a [i64],
    accepted: Times,
    /// Where rows without a key go.
    keyless: i32,
    target: &'a Target,
}

impl<'a> Rows<'a> {
    fn len(&self) -> usize {
        self.rows.records.len()
    }

    fn topic(&self) -> &'a str {
        &self.target.options.topic
    }

    /// A row as it is written; an error where the topic does not take it.
    #[inline]
    fn record(&self, row: usize) -> Result<Outgoing<'a>, KafkaError> {
        let key = self.rows.key(row);
        let record = Outgoing {
            partition: key.map_or(self.keyless, |key| self.target.partitioner.of_key(key)),
            key,
            value: self.rows.value(row),
            headers: self.rows.headers(row),
            timestamp: self.accepted.timestamp(self.times.get(row).copied()),
        };
        let (bytes, bytes_max) = (limits::size(&record), self.target.limits.bytes_max);
        if bytes > bytes_max {
            return Err(KafkaError::RowTooLarge { topic: self.topic().to_owned(), row, bytes, bytes_max });
        }
        Ok(record)
    }
}

/// A producer of some topics.
pub struct KafkaSink {
    targets: Vec<Target>,
    plane: Plane,
    produce: Produce,
    /// Commits positions of the group it was made for (at-least-once only).
    committer: Option<(String, Arc<Client>)>,
    /// The group whose coordinator has answered.
    group: Option<String>,
    phase: Phase,
    /// The open transaction has the positions that it is to be committed with.
    has_positions: bool,
    brokers: String,
    properties: ClientProperties,
    mode: Mode,
    timeouts: Timeouts,
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let topics = Vec::from_iter(self.targets.iter().map(|it| &it.options.topic));
        out.debug_struct("KafkaSink")
            .field("topics", &topics)
            .field("plane", &self.plane.name())
            .field("mode", &self.mode)
            .field("phase", &self.phase)
            .finish()
    }
}

impl KafkaSink {
    /// Opens a producer, checks that the topics exist, and learns their partitions and limits. Topics are known by their
    /// index from here on. Waits up to `timeouts.wait_ms` for a broker. `properties` are further ones of the clients.
    pub fn open(
        brokers: &str,
        properties: &ClientProperties,
        produce: Produce,
        topics: &[TopicOptions],
        mode: Mode,
        timeouts: Timeouts,
    ) -> Result<Self, KafkaError> {
        let deadline = Deadline::after(timeouts.wait_ms);
        let names: Vec<_> = topics.iter().map(|it| it.topic.as_str()).collect();
        let asked = limits::ask(brokers, properties, &names, &deadline)?;
        let target = |(options, (partitions, limits)): (&TopicOptions, (Vec<i32>, Limits))| {
            let partitioner = Partitioner::new(partitions.len() as u32);
            Target { options: options.clone(), partitions, partitioner, limits }
        };
        let targets: Vec<_> = topics.iter().zip(asked).map(target).collect();
        let by_librdkafka = || Librdkafka::open(brokers, properties, &targets, &mode, timeouts).map(Plane::Librdkafka);
        let plane = match (produce, wire::refusal(brokers, properties)) {
            // Positions alone are librdkafka's business.
            _ if targets.is_empty() => by_librdkafka()?,
            (Produce::Librdkafka, _) => by_librdkafka()?,
            (Produce::Native, Some(reason)) => return Err(refused(reason)),
            (Produce::Auto, Some(reason)) => {
                tell(&reason);
                by_librdkafka()?
            }
            (Produce::Native | Produce::Auto, None) => {
                let native = Native::open(brokers, &targets, &mode, timeouts).map_err(|it| refused(it.to_string()))?;
                Plane::Native(Box::new(native))
            }
        };
        let (brokers, properties) = (brokers.to_owned(), properties.clone());
        let (committer, group, phase) = (None, None, Phase::Idle);
        let has_positions = false;
        let sink = KafkaSink {
            targets,
            plane,
            produce,
            committer,
            group,
            phase,
            has_positions,
            brokers,
            properties,
            mode,
            timeouts,
        };
        Ok(sink)
    }

    /// Fences an older instance with the same transactional id and aborts what it left open. The first call after
    /// [`KafkaSink::open`].
    pub fn init(&mut self) -> Result<(), KafkaError> {
        let deadline = Deadline::after(self.timeouts.wait_ms);
        let native = match &mut self.plane {
            Plane::Librdkafka(it) => return it.init(&deadline),
            Plane::Native(it) => it,
        };
        match native.init(&deadline) {
            Ok(()) => Ok(()),
            Err(Trouble::Unsupported(reason)) if self.produce == Produce::Auto => {
                tell(&reason);
                let KafkaSink { brokers, properties, targets, mode, .. } = &*self;
                let librdkafka = Librdkafka::open(brokers, properties, targets, mode, self.timeouts)?;
                librdkafka.init(&deadline)?;
                self.plane = Plane::Librdkafka(librdkafka);
                Ok(())
            }
            Err(Trouble::Unsupported(reason)) => Err(refused(reason)),
            Err(Trouble::Refused(reason)) => Err(other_reason("start the producer".to_owned(), reason)),
            Err(Trouble::Silence(reason)) => {
                let (brokers, waited_ms) = (self.brokers.clone(), deadline.waited_ms());
                Err(KafkaError::Unreachable { brokers, waited_ms, reason })
            }
            Err(Trouble::Fenced) => Err(native.error("start the producer", Trouble::Fenced)),
        }
    }

    /// Queues copies of `rows` for topic `topic` (its index), opening a transaction where none is open. Answers how many
    /// rows were taken: fewer than there are when the queue is full; the caller goes on with the rest later.
    ///
    /// `times[i]` is the Kafka timestamp of row `i`, ms since the Unix epoch; -1 (and a missing one) is now. Kafka has no
    /// times before 1970, and this client cannot write 0: both become 1. A time that the topic refuses (more than
    /// `message.timestamp.after.max.ms` ahead, by default an hour) is written as now.
    ///
    /// After [`KafkaError::RowTooLarge`] the rows before the large one are taken, and the caller may go on after it. Any
    /// other error means that the transaction cannot be committed.
    pub fn append(&mut self, topic: usize, rows: &RawRows, times: &[i64]) -> Result<usize, KafkaError> {
        match &mut self.plane {
            Plane::Native(it) => it.check()?,
            Plane::Librdkafka(it) => it.check()?,
        }
        self.begin()?;
        let target = &mut self.targets[topic];
        let keyless = target.partitioner.of_next_batch();
        let accepted = target.limits.times(limits::now());
        let rows = Rows { rows, times, accepted, keyless, target };
        match &mut self.plane {
            Plane::Native(it) => it.append(topic, &rows),
            Plane::Librdkafka(it) => it.append(topic, &rows),
        }
    }

    /// Waits until everything appended is acknowledged.
    pub fn flush(&mut self) -> Result<(), KafkaError> {
        self.drain(&Deadline::after(self.timeouts.transaction_ms))
    }

    /// Sends on what may wait no longer, and says the newest trouble that is being waited out (a broker that does not answer),
    /// once; none when there was none since the last call.
    pub fn trouble(&mut self) -> Option<String> {
        match &mut self.plane {
            Plane::Native(it) => {
                let _ = it.tick(); // What went wrong is told by the next call that can fail.
                it.trouble()
            }
            Plane::Librdkafka(it) => it.trouble(),
        }
    }

    fn begin(&mut self) -> Result<(), KafkaError> {
        match (self.phase, &self.plane) {
            (Phase::Open, _) | (Phase::Idle, Plane::Native(_)) => {}
            (Phase::Idle, Plane::Librdkafka(it)) => it.begin()?,
            (Phase::Lost, _) => {
                let reason = "the outcome of its last commit is not known; a new one is needed".to_owned();
                return Err(other_reason("use the producer".to_owned(), reason));
            }
        }
        self.phase = Phase::Open;
        Ok(())
    }

    fn drain(&mut self, deadline: &Deadline) -> Result<(), KafkaError> {
        match &mut self.plane {
            Plane::Native(it) => it.drain(deadline),
            Plane::Librdkafka(it) => it.drain(deadline),
        }
    }
}

/// How long a broker lets a transaction stay open, ms.
fn transaction_ms(timeouts: Timeouts) -> u64 {
    timeouts.transaction_ms.clamp(1_000, 900_000)
}

/// How long a record may take, ms: one that is given up must be known before the broker ends the transaction on its own.
fn delivery_ms(timeouts: Timeouts) -> u64 {
    transaction_ms(timeouts) - transaction_ms(timeouts) / 10
}

/// The size of a topic's batches.
fn batch_bytes(limits: &Limits) -> usize {
    (limits.bytes_max - limits.bytes_max / 8).clamp(1, BATCH_BYTES_MAX)
}

fn not_acknowledged(deadline: &Deadline, trouble: Option<String>) -> KafkaError {
    let trouble = trouble.unwrap_or_else(|| "no answer".to_owned());
    let reason = format!("not everything was acknowledged within {} ms: {trouble}", deadline.waited_ms());
    KafkaError::MustAbort { reason }
}

fn tell(reason: &str) {
    tracing::info!("writing with librdkafka, which costs more: {reason}");
}

fn refused(reason: String) -> KafkaError {
    other_reason("write with produce = \"native\"".to_owned(), reason)
}

fn other(doing: String, fault: Fault) -> KafkaError {
    other_reason(doing, fault.text)
}

fn other_reason(doing: String, reason: String) -> KafkaError {
    KafkaError::Other { doing, reason }
}
