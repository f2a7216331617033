//! Writes Kafka topics: one producer for all topics of a pipeline, so that outputs, dead letters and positions become
//! true in one transaction.
//!
//! The order of a commit is the delivery guarantee: everything written is acknowledged, then the positions join the
//! transaction, then it is committed. See [`KafkaSink::commit`] for what each outcome obliges the caller to do.

mod commit;
mod limits;
mod positions;

use crate::batch::RawRows;
use crate::config::ClientProperties;
pub use crate::kafka::KafkaError;
use crate::kafka::ffi::{Client, Fault, Outgoing, Role, Topic, code};
use crate::kafka::{Deadline, metadata};
use crate::sink::partition::Partitioner;
use limits::Limits;
pub use positions::{Committed, OffsetCommit};
use std::sync::Arc;

/// Records that wait in the client, all topics together; then `append` takes fewer.
const QUEUE_RECORDS_MAX: usize = 250_000;
/// Bytes of values that wait in the client, KiB.
const QUEUE_KIB_MAX: usize = 128 << 10;
/// Size of one record batch before compression, bytes: below a broker's default limit, and below every topic's.
const BATCH_BYTES_MAX: usize = 900_000;
/// A record's share of its batch's header, at most, and of its own lengths, bytes.
const RECORD_OVERHEAD_BYTES: usize = 96;
/// One call into the client that can be made again, ms.
const SLICE_MS_MAX: u64 = 1_000;

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
    topic: Topic,
    partitioner: Partitioner,
    limits: Limits,
}

/// A producer of some topics.
pub struct KafkaSink {
    targets: Vec<Target>,
    client: Arc<Client>,
    /// Commits positions of the group it was made for (at-least-once only).
    committer: Option<(String, Arc<Client>)>,
    /// The group whose coordinator has answered.
    group: Option<String>,
    phase: Phase,
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
            .field("mode", &self.mode)
            .field("phase", &self.phase)
            .finish()
    }
}

impl KafkaSink {
    /// Opens a producer, checks that the topics exist, and learns their partitions and limits. Topics are known by their
    /// index from here on. Waits up to `timeouts.wait_ms` for a broker.
    pub fn open(brokers: &str, topics: &[TopicOptions], mode: Mode, timeouts: Timeouts) -> Result<Self, KafkaError> {
        Self::open_with(brokers, &ClientProperties::default(), topics, mode, timeouts)
    }

    /// As [`KafkaSink::open`], with further properties of the clients.
    pub fn open_with(
        brokers: &str,
        properties: &ClientProperties,
        topics: &[TopicOptions],
        mode: Mode,
        timeouts: Timeouts,
    ) -> Result<Self, KafkaError> {
        let deadline = Deadline::after(timeouts.wait_ms);
        let names: Vec<_> = topics.iter().map(|it| it.topic.as_str()).collect();
        let limits = limits::ask(brokers, properties, &names, &deadline)?;
        let client = Client::new(Role::Producer, &properties.after(settings(brokers, &mode, timeouts, &limits)))
            .map_err(|it| other(format!("set up a producer for `{brokers}`"), it))?;
        let target = |(options, &limits): (&TopicOptions, &Limits)| {
            let name = &options.topic;
            let topic = client.topic(name, &[("compression.codec", &options.compression)]);
            let topic = topic.map_err(|it| other(format!("open topic `{name}`"), it))?;
            let partitions = metadata::partitions_of(&client, &topic, name, brokers, &deadline)?.len();
            let partitioner = Partitioner::new(partitions as u32);
            Ok(Target { options: options.clone(), topic, partitioner, limits })
        };
        let targets = topics.iter().zip(&limits).map(target).collect::<Result<_, _>>()?;
        let (brokers, properties) = (brokers.to_owned(), properties.clone());
        let (committer, group, phase) = (None, None, Phase::Idle);
        Ok(KafkaSink { targets, client, committer, group, phase, brokers, properties, mode, timeouts })
    }

    /// Fences an older instance with the same transactional id and aborts what it left open. The first call after
    /// [`KafkaSink::open`]; without transactions it does nothing.
    pub fn init(&mut self) -> Result<(), KafkaError> {
        if self.mode == Mode::Idempotent {
            return Ok(());
        }
        let deadline = Deadline::after(self.timeouts.wait_ms);
        match retry(&deadline, |ms| self.client.init_transactions(ms)) {
            Ok(()) => Ok(()),
            Err(fault) if fault.retriable => Err(metadata::unreachable(&self.client, fault, &self.brokers, &deadline)),
            Err(fault) => Err(self.error("start transactions", fault)),
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
        self.client.poll();
        self.check_delivery()?;
        self.begin()?;
        let target = &mut self.targets[topic];
        let times_accepted = target.limits.times(limits::now());
        let keyless = target.partitioner.of_next_batch();
        for row in 0..rows.records.len() {
            let key = rows.key(row);
            let record = Outgoing {
                partition: key.map_or(keyless, |key| target.partitioner.of_key(key)),
                key,
                value: rows.value(row),
                headers: rows.headers(row),
                timestamp: times_accepted.timestamp(times.get(row).copied()),
            };
            let (bytes, bytes_max) = (limits::size(&record), target.limits.bytes_max);
            if bytes > bytes_max {
                let topic = target.options.topic.clone();
                return Err(KafkaError::RowTooLarge { topic, row, bytes, bytes_max });
            }
            match target.topic.produce(&record) {
                Ok(()) => {}
                Err(fault) if fault.code == code::QUEUE_FULL => return Ok(row),
                Err(fault) => {
                    let doing = format!("write to `{}`", target.options.topic);
                    return Err(self.error(&doing, fault));
                }
            }
        }
        Ok(rows.records.len())
    }

    /// Waits until everything appended is acknowledged.
    pub fn flush(&mut self) -> Result<(), KafkaError> {
        self.drain(&Deadline::after(self.timeouts.transaction_ms))
    }

    /// The newest trouble that is being waited out (a broker that does not answer), once; none when there was none since
    /// the last call.
    pub fn trouble(&mut self) -> Option<String> {
        self.client.events().take_trouble()
    }

    fn begin(&mut self) -> Result<(), KafkaError> {
        match (self.phase, &self.mode) {
            (Phase::Open, _) | (Phase::Idle, Mode::Idempotent) => {}
            (Phase::Idle, Mode::Transactional { .. }) => {
                self.client.begin_transaction().map_err(|it| self.error("begin a transaction", it))?;
            }
            (Phase::Lost, _) => {
                let reason = "the outcome of its last commit is not known; a new one is needed".to_owned();
                return Err(KafkaError::Other { doing: "use the producer".to_owned(), reason });
            }
        }
        self.phase = Phase::Open;
        Ok(())
    }

    /// An error for the first record that was not delivered since the last abort.
    fn check_delivery(&self) -> Result<(), KafkaError> {
        match self.client.events().undelivered() {
            None => Ok(()),
            Some(it) => {
                let reason = format!("a record was not written to `{}` [{}]: {}", it.topic, it.partition, it.reason);
                Err(KafkaError::MustAbort { reason })
            }
        }
    }

    fn drain(&self, deadline: &Deadline) -> Result<(), KafkaError> {
        loop {
            let done = self.client.flush(deadline.left_ms(SLICE_MS_MAX));
            self.check_delivery()?;
            if done {
                return Ok(());
            }
            if deadline.passed() {
                let trouble = self.client.events().take_trouble().unwrap_or_else(|| "no answer".to_owned());
                let reason = format!("not everything was acknowledged within {} ms: {trouble}", deadline.waited_ms());
                return Err(KafkaError::MustAbort { reason });
            }
        }
    }

    /// The typed error for a fault of the producer.
    fn error(&self, doing: &str, fault: Fault) -> KafkaError {
        match &self.mode {
            Mode::Transactional { transactional_id } if code::FENCED.contains(&fault.code) => {
                KafkaError::Fenced { transactional_id: transactional_id.clone() }
            }
            _ if fault.requires_abort => KafkaError::MustAbort { reason: format!("could not {doing}: {}", fault.text) },
            _ => other(doing.to_owned(), fault),
        }
    }
}

fn settings(brokers: &str, mode: &Mode, timeouts: Timeouts, limits: &[Limits]) -> Vec<(&'static str, String)> {
    let transaction_ms = timeouts.transaction_ms.clamp(1_000, 900_000);
    // A record that is given up must be known before the broker ends the transaction on its own.
    let delivery_ms = transaction_ms - transaction_ms / 10;
    // One for all topics. A larger record goes alone.
    let batch_bytes = limits.iter().map(|it| it.bytes_max - it.bytes_max / 8).min().unwrap_or(BATCH_BYTES_MAX);
    let batch_bytes = batch_bytes.clamp(1, BATCH_BYTES_MAX);
    let mut settings = vec![
        ("bootstrap.servers", brokers.to_owned()),
        ("client.id", "wasmill".to_owned()),
        ("enable.idempotence", "true".to_owned()),
        ("delivery.report.only.error", "true".to_owned()),
        ("message.timeout.ms", delivery_ms.to_string()),
        ("request.timeout.ms", delivery_ms.min(30_000).to_string()),
        ("allow.auto.create.topics", "false".to_owned()),
        ("message.max.bytes", (2 * limits::RECORD_BYTES_MAX).to_string()),
        ("batch.size", batch_bytes.to_string()),
        ("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string()),
        ("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string()),
        // The broker answers "concurrent transactions" while it still writes the last one's markers; the default wait of
        // 100 ms before the next try would be most of a commit.
        ("retry.backoff.ms", "5".to_owned()),
        ("retry.backoff.max.ms", "20".to_owned()),
        ("reconnect.backoff.max.ms", "1000".to_owned()),
        ("enable.metrics.push", "false".to_owned()),
    ];
    match mode {
        // Nothing is visible before the commit, which does not linger: large batches cost no latency. And while the oldest
        // record is past its linger but may not be sent yet, librdkafka's broker thread spins.
        Mode::Transactional { transactional_id } => settings.extend([
            ("transactional.id", transactional_id.clone()),
            ("transaction.timeout.ms", transaction_ms.to_string()),
            ("linger.ms", LINGER_MS.min(delivery_ms / 2).to_string()),
        ]),
        Mode::Idempotent => settings.push(("linger.ms", "5".to_owned())),
    }
    settings
}

/// How long a batch of a transaction waits to become full.
const LINGER_MS: u64 = 5_000;

/// Makes a call again until it succeeds, cannot succeed, or the deadline has passed.
fn retry(deadline: &Deadline, mut call: impl FnMut(i32) -> Result<(), Fault>) -> Result<(), Fault> {
    loop {
        match call(deadline.left_ms(SLICE_MS_MAX).max(1)) {
            Err(fault) if fault.retriable && !deadline.passed() => {}
            result => return result,
        }
    }
}

fn other(doing: String, fault: Fault) -> KafkaError {
    KafkaError::Other { doing, reason: fault.text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_given_up_before_the_broker_ends_its_transaction() {
        let mode = Mode::Transactional { transactional_id: "t".into() };
        let settings = settings("b:1", &mode, Timeouts { wait_ms: 1, transaction_ms: 60_000 }, &[]);
        let value = |name| settings.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
        assert_eq!(value("message.timeout.ms"), Some("54000"));
        assert_eq!(value("transaction.timeout.ms"), Some("60000"));
    }
}
