//! Everything that a pipeline writes, and the one place where an epoch becomes true.
//!
//! Where a Kafka sink is transactional its transaction is the commit point, for output, positions and state together.
//! Elsewhere the commit point is the manifest: `CURRENT` is renamed over, and what is written outside is idempotent under
//! it. See docs/adr/0002-commit-point.md.

use super::error::{Failure, PipelineError, chain};
use super::worker::{DEAD_LETTERS, Output};
use crate::batch::RawRows;
use crate::checkpoint::StagedFile;
use crate::config::{self, Delivery, KafkaOptions, Pipeline, Produce, SinkConnector};
use crate::failpoint::failpoint;
use crate::kafka::KafkaError;
use crate::metrics::Counters;
use crate::sink::file::{FileSink, Staged};
use crate::sink::kafka::{KafkaSink, Mode, OffsetCommit, Outcome, Timeouts, TopicOptions};
use crate::sink::stdout::{StdoutError, StdoutSink};
use crate::source::SourceError;
use std::collections::BTreeMap;
use std::io::Stdout;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long an append waits when a producer's queue is full, before it tries again.
const FULL_WAIT: Duration = Duration::from_millis(1);

/// Where the commit point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitPoint {
    /// The transaction of the Kafka sinks.
    Transaction,
    /// The manifest that `CURRENT` names.
    Manifest,
}

impl CommitPoint {
    /// Where the commit point of `pipeline` is.
    pub(super) fn of(pipeline: &Pipeline) -> Self {
        let kafka = kafka_sinks(pipeline).next().is_some();
        if pipeline.delivery == Delivery::ExactlyOnce && kafka {
            CommitPoint::Transaction
        } else {
            CommitPoint::Manifest
        }
    }
}

/// The name under which Kafka knows a pipeline: its group and its transactional id.
pub(super) fn kafka_identity(pipeline: &Pipeline) -> String {
    format!("wasmill-{}", pipeline.name)
}

/// The Kafka sinks, dead letters last.
pub(super) fn kafka_sinks(pipeline: &Pipeline) -> impl Iterator<Item = &KafkaOptions> {
    pipeline.sinks.iter().chain(&pipeline.dead_letters).filter_map(|it| match &it.connector {
        SinkConnector::Kafka(options) => Some(options),
        SinkConnector::File { .. } | SinkConnector::Stdout => None,
    })
}

/// One sink as the coordinator writes it.
enum Writer {
    /// A topic of the producer, by its number there.
    Kafka(usize),
    File(FileSink, PathBuf),
    Stdout(StdoutSink<Stdout>),
}

/// The sinks of one attempt.
pub(super) struct Sinks {
    writers: Vec<(String, Writer)>,
    dead_letters: Option<(String, Writer)>,
    producer: Option<KafkaSink>,
    counters: Arc<Counters>,
    pipeline: String,
}

impl Sinks {
    /// Opens every sink. A producer with transactions fences whoever had its id before.
    pub(super) fn open(pipeline: &Pipeline, counters: &Arc<Counters>) -> Result<Self, PipelineError> {
        let mut topics = Vec::new();
        let mut writers = 0;
        let mut open = |sink: &config::Sink| -> Result<(String, Writer), PipelineError> {
            let writer = match &sink.connector {
                SinkConnector::Kafka(options) => {
                    topics
                        .push(TopicOptions { topic: options.topic.clone(), compression: options.compression.clone() });
                    Writer::Kafka(topics.len() - 1)
                }
                SinkConnector::File { path } => {
                    writers += 1; // Tells sinks into one folder apart.
                    let file = FileSink::open(path, &pipeline.name, writers - 1, sink.format);
                    Writer::File(file.map_err(|error| write_failed(&sink.name, &error))?, path.clone())
                }
                SinkConnector::Stdout => Writer::Stdout(StdoutSink::new(std::io::stdout(), sink.format)),
            };
            Ok((sink.name.clone(), writer))
        };
        let writers = pipeline.sinks.iter().map(&mut open).collect::<Result<_, _>>()?;
        let dead_letters = pipeline.dead_letters.as_ref().map(&mut open).transpose()?;
        let producer = open_producer(pipeline, &topics)?;
        let pipeline = pipeline.name.clone();
        Ok(Sinks { writers, dead_letters, producer, counters: Arc::clone(counters), pipeline })
    }

    /// The producer, where a sink is Kafka.
    pub(super) fn producer(&mut self) -> Option<&mut KafkaSink> {
        self.producer.as_mut()
    }

    /// Adds records to the epoch under way.
    pub(super) fn append(&mut self, output: Output) -> Result<(), PipelineError> {
        let writer =
            if output.sink == DEAD_LETTERS { self.dead_letters.as_mut() } else { self.writers.get_mut(output.sink) };
        let Some((name, writer)) = writer else { return Ok(()) };
        match writer {
            Writer::File(file, _) => file.append(&output.rows).map_err(|error| write_failed(name, &error)),
            Writer::Stdout(stdout) => match stdout.append(&output.rows) {
                Ok(()) => Ok(()),
                Err(StdoutError::Closed) => Err(PipelineError::closed()),
                Err(error) => Err(write_failed(name, &error)),
            },
            Writer::Kafka(topic) => {
                let Some(producer) = &mut self.producer else { return Ok(()) };
                append_all(producer, *topic, output.rows, &output.times).map_err(|error| match error {
                    KafkaError::MustAbort { reason } => aborted(producer, &format!("`{name}`: {reason}")),
                    error => kafka_failed(name, error),
                })
            }
        }
    }

    /// Says what is being waited out, if anything. Called about as often as the coordinator has nothing else to do.
    pub(super) fn poll(&mut self) {
        if let Some(trouble) = self.producer.as_mut().and_then(KafkaSink::trouble) {
            tracing::warn!("waiting for Kafka: {trouble}");
            self.counters.set_status(Some(format!("waiting for Kafka: {trouble}")));
        }
    }

    /// Makes the epoch's files durable under names that hide them.
    pub(super) fn stage(&mut self, epoch: u64) -> Result<BTreeMap<String, Vec<StagedFile>>, PipelineError> {
        let mut staged = BTreeMap::new();
        for (name, writer) in self.writers.iter_mut().chain(&mut self.dead_letters) {
            if let Writer::File(file, _) = writer {
                let file = file.seal(epoch).map_err(|error| write_failed(name, &error))?;
                if let Some(Staged { staged: hidden, published: visible, bytes, crc }) = file {
                    staged.insert(name.clone(), vec![StagedFile { staged: hidden, visible, bytes, crc32c: crc }]);
                }
            }
        }
        Ok(staged)
    }

    /// The epoch is complete: what its commit needs is sent, without waiting for it. `group` is whose positions it will have, if any.
    pub(super) fn begin_commit(&mut self, group: Option<&str>) -> Result<(), PipelineError> {
        let Some(producer) = &mut self.producer else { return Ok(()) };
        producer.begin_commit(group).map_err(|error| not_committed(producer, error))
    }

    /// Adds positions to the transaction, where that may be done before its commit.
    pub(super) fn add_positions(&mut self, offsets: &[OffsetCommit], group: &str) -> Result<(), PipelineError> {
        let Some(producer) = &mut self.producer else { return Ok(()) };
        producer.add_positions(offsets, group).map_err(|error| not_committed(producer, error))
    }

    /// At least once: output is acknowledged before anything says that it was made.
    pub(super) fn flush(&mut self) -> Result<(), PipelineError> {
        let Some(producer) = &mut self.producer else { return Ok(()) };
        producer.flush().map_err(|error| kafka_failed("kafka", error))
    }

    /// The commit point, where it is the transaction.
    pub(super) fn commit_transaction(&mut self, offsets: &[OffsetCommit], group: &str) -> Result<(), PipelineError> {
        let Some(producer) = &mut self.producer else { return Ok(()) };
        match producer.commit(offsets, group) {
            Outcome::Committed => Ok(()),
            Outcome::MustAbort(reason) => Err(aborted(producer, &reason)),
            Outcome::Unknown(reason) => {
                Err(PipelineError::restart(format!("nobody knows whether the transaction committed: {reason}")))
            }
            Outcome::Fenced => Err(taken_over()),
        }
    }

    /// Makes the staged files of the committed epoch visible where the last attempt did not come to it, and leaves their
    /// names alone from now on: a file of theirs that is published is not staged, and one that is staged is not published.
    pub(super) fn publish_again(&mut self, staged: &BTreeMap<String, Vec<StagedFile>>) -> Result<(), PipelineError> {
        for (name, writer) in self.writers.iter_mut().chain(&mut self.dead_letters) {
            let (Writer::File(file, folder), Some(files)) = (writer, staged.get(name)) else { continue };
            let files = as_staged(files);
            for taken in FileSink::publish_again(folder, &files).map_err(|error| write_failed(name, &error))? {
                tracing::warn!(
                    sink = name,
                    "{} was published and is gone or changed since; it is left so",
                    taken.display()
                );
            }
            file.skip_names_of(&files);
        }
        Ok(())
    }

    /// Makes staged files visible.
    pub(super) fn publish(&mut self, staged: &BTreeMap<String, Vec<StagedFile>>) -> Result<(), PipelineError> {
        for (name, writer) in self.writers.iter().chain(&self.dead_letters) {
            if let (Writer::File(_, folder), Some(files)) = (writer, staged.get(name)) {
                FileSink::publish(folder, &as_staged(files)).map_err(|error| write_failed(name, &error))?;
            }
        }
        failpoint("publish.done");
        Ok(())
    }

    /// Removes what an attempt that did not commit has left behind.
    pub(super) fn discard_uncommitted(&mut self) -> Result<(), PipelineError> {
        for (name, writer) in self.writers.iter().chain(&self.dead_letters) {
            if let Writer::File(_, folder) = writer {
                FileSink::discard_unknown(folder, &self.pipeline, &[]).map_err(|error| write_failed(name, &error))?;
            }
        }
        Ok(())
    }
}

fn as_staged(files: &[StagedFile]) -> Vec<Staged> {
    let staged = |it: &StagedFile| Staged {
        staged: it.staged.clone(),
        published: it.visible.clone(),
        bytes: it.bytes,
        crc: it.crc32c,
    };
    files.iter().map(staged).collect()
}

fn open_producer(pipeline: &Pipeline, topics: &[TopicOptions]) -> Result<Option<KafkaSink>, PipelineError> {
    let mut sinks = kafka_sinks(pipeline);
    let Some(first) = sinks.next() else { return Ok(None) };
    if let Some(other) = sinks.find(|it| it.brokers != first.brokers) {
        return Err(PipelineError::stop(
            Failure::Config,
            format!(
                "Kafka sinks at `{}` and `{}`: one pipeline writes to one cluster; use a pipeline for each",
                first.brokers, other.brokers
            ),
        ));
    }
    let mode = match pipeline.delivery {
        Delivery::ExactlyOnce => Mode::Transactional { transactional_id: kafka_identity(pipeline) },
        Delivery::AtLeastOnce => Mode::Idempotent,
    };
    let timeouts = Timeouts { wait_ms: first.wait_ms, transaction_ms: first.transaction_timeout_ms };
    // One producer serves all; they do not ask for different ones, and one that does not care takes what the others ask for.
    let produce = kafka_sinks(pipeline).map(|it| it.produce).find(|it| *it != Produce::Auto).unwrap_or(Produce::Auto);
    let open = || {
        let mut producer = KafkaSink::open(&first.brokers, &first.properties, produce, topics, mode, timeouts)?;
        producer.init()?;
        Ok(producer)
    };
    open().map(Some).map_err(|error| kafka_failed("kafka", error))
}

fn append_all(producer: &mut KafkaSink, topic: usize, mut rows: RawRows, times: &[i64]) -> Result<(), KafkaError> {
    let mut done = 0;
    loop {
        let taken = producer.append(topic, &rows, times.get(done..).unwrap_or_default())?;
        if taken == rows.records.len() {
            return Ok(());
        }
        done += taken;
        rows.records.drain(..taken);
        std::thread::park_timeout(FULL_WAIT);
    }
}

/// What an error before the commit means.
fn not_committed(producer: &mut KafkaSink, error: KafkaError) -> PipelineError {
    match error {
        KafkaError::MustAbort { reason } => aborted(producer, &reason),
        error => kafka_failed("kafka", error),
    }
}

/// Aborts a transaction that cannot be committed, and says what that means: begin again, unless another instance took over.
/// The next attempt would fence that one.
fn aborted(producer: &mut KafkaSink, reason: &str) -> PipelineError {
    match producer.abort() {
        Err(KafkaError::Fenced { .. }) => return taken_over(),
        // Best effort: the next attempt fences this producer, which aborts as well.
        Err(error) => tracing::warn!("the transaction could not be aborted: {error}"),
        Ok(()) => {}
    }
    PipelineError::restart(format!("the transaction was aborted: {reason}"))
}

fn taken_over() -> PipelineError {
    PipelineError::stop(
        Failure::Internal,
        "another instance of this pipeline took over, or a transaction was open for longer than transaction_timeout; this one ends: \
         run one instance, and start it again where there is no other",
    )
}

fn write_failed(name: &str, error: &(dyn std::error::Error + 'static)) -> PipelineError {
    PipelineError::stop(Failure::Internal, format!("sink `{name}`: {}", chain(error)))
}

/// What a Kafka failure means for the pipeline.
pub(super) fn kafka_failed(name: &str, error: KafkaError) -> PipelineError {
    let text = format!("`{name}`: {}", chain(&error));
    match error {
        KafkaError::Unreachable { .. } => PipelineError::stop(Failure::Unreachable, text),
        KafkaError::TopicMissing { .. } => PipelineError::stop(Failure::Config, text),
        KafkaError::RowTooLarge { .. } => PipelineError::stop(Failure::BadData, text),
        KafkaError::Fenced { .. } => taken_over(),
        KafkaError::OffsetOutOfRange { .. } | KafkaError::Unreadable { .. } => {
            PipelineError::stop(Failure::Internal, text)
        }
        KafkaError::MustAbort { .. } | KafkaError::Other { .. } => PipelineError::restart(text),
    }
}

/// What a source's failure means for the pipeline.
pub(super) fn source_failed(name: &str, error: SourceError) -> PipelineError {
    match error {
        SourceError::Kafka(error) => kafka_failed(name, error),
        SourceError::NoFiles { .. } | SourceError::BadGlob { .. } | SourceError::Truncated { .. } => {
            PipelineError::from_error(Failure::Config, &format!("source `{name}`"), &error)
        }
        error => PipelineError::from_error(Failure::Internal, &format!("source `{name}`"), &error),
    }
}
