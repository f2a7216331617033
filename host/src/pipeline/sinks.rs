//! Everything that a pipeline writes, and the one place where an epoch becomes true.
//!
//! Where a Kafka sink is transactional its transaction is the commit point, for output, positions and state together.
//! Elsewhere the commit point is the manifest: `CURRENT` is renamed over, and what is written outside is idempotent under
//! it. See docs/adr/0002-commit-point.md.

use super::error::{Failure, PipelineError, chain};
use super::worker::{DEAD_LETTERS, Output, Sealed};
use crate::checkpoint::{Epoch, Meta, Pointer, Store, failpoint};
use crate::config::{Delivery, Pipeline, SinkConnector};
use crate::sink::file::{FileSink, Staged};
use crate::sink::kafka::{KafkaSink, OffsetCommit, Outcome};
use crate::sink::stdout::StdoutSink;
use crate::state::Delta;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an append waits when a producer's queue is full, before it tries again.
const FULL_WAIT: Duration = Duration::from_millis(1);

/// Where the commit point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitPoint {
    /// The transaction of the Kafka sinks.
    Transaction,
    /// The manifest that `CURRENT` names.
    Manifest,
}

/// One sink as the coordinator writes it.
enum Writer {
    /// A topic of the producer, by its number there.
    Kafka(usize),
    File(FileSink),
    Stdout(StdoutSink),
}

/// A partition whose committed offset carries the pointer to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionOf {
    /// The offset is the next one to read of this source partition: (source name, partition name, partition).
    Source(String, String, i32),
    /// The offset is the epoch: a partition of an output topic stands in where no source is on the sinks' cluster.
    Epoch,
}

/// What is committed to Kafka with every epoch.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    /// The group.
    pub group: String,
    /// Topic, partition, and what its offset says.
    pub partitions: Vec<(String, i32, PositionOf)>,
}

/// The sinks of one attempt.
pub struct Sinks {
    writers: Vec<(String, Writer)>,
    dead_letters: Option<(String, Writer)>,
    producer: Option<KafkaSink>,
    /// Where the commit point is.
    pub commit_point: CommitPoint,
    /// What is committed to Kafka.
    pub anchors: Anchors,
    /// Offsets committed for others to see, where the commit point is the manifest.
    pub advisory: Option<crate::source::kafka::OffsetCommitter>,
    store: Store,
    meta: Meta,
    source_names: Vec<(String, Vec<(i32, String)>)>,
    step_names: Vec<String>,
}

/// Where the commit point of `pipeline` is.
pub fn commit_point(pipeline: &Pipeline) -> CommitPoint {
    let kafka = pipeline.sinks.iter().chain(&pipeline.dead_letters);
    let transactional = pipeline.delivery == Delivery::ExactlyOnce
        && kafka.into_iter().any(|it| matches!(it.connector, SinkConnector::Kafka(_)));
    if transactional { CommitPoint::Transaction } else { CommitPoint::Manifest }
}

impl Sinks {
    /// Adds records to the epoch under way.
    pub fn append(&mut self, output: Output) -> Result<(), PipelineError> {
        let writer = if output.sink == DEAD_LETTERS {
            self.dead_letters.as_mut()
        } else {
            self.writers.get_mut(output.sink)
        };
        let Some((name, writer)) = writer else { return Ok(()) };
        match writer {
            Writer::File(file) => file.append(&output.rows).map_err(|error| write_failed(name, &error)),
            Writer::Stdout(stdout) => stdout.append(&output.rows).map_err(|error| write_failed(name, &error)),
            Writer::Kafka(topic) => {
                let Some(producer) = &mut self.producer else { return Ok(()) };
                append_all(producer, *topic, &output).map_err(|error| kafka_failed(name, &error))
            }
        }
    }
}

fn append_all(
    producer: &mut KafkaSink,
    topic: usize,
    output: &Output,
) -> Result<(), crate::sink::kafka::KafkaError> {
    let mut done = 0;
    while done < output.rows.records.len() {
        let taken = producer.append(topic, &output.rows, done, &output.times)?;
        done += taken;
        if taken == 0 {
            producer.poll();
            std::thread::park_timeout(FULL_WAIT);
        }
    }
    Ok(())
}

fn write_failed(name: &str, error: &dyn std::error::Error) -> PipelineError {
    PipelineError::stop(Failure::Internal, format!("sink `{name}`: {}", chain(error)))
}
