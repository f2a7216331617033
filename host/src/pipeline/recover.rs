//! Where to begin: what was committed, and nothing else.

use super::RunOptions;
use super::commit::{Anchor, store_failed};
use super::error::{Failure, PipelineError};
use super::sinks::{CommitPoint, Sinks, kafka_failed, kafka_identity, kafka_sinks, source_failed};
use crate::batch::TopicPartition;
use crate::checkpoint::{Pointer, Restored, Store};
use crate::config::{KafkaOptions, KafkaStart, Pipeline, SourceConnector};
use crate::sink::kafka::{Committed, KafkaSink, Mode, Timeouts};
use crate::source::file::Files;
use crate::source::generator::GeneratorOptions;
use crate::source::{PartitionInfo, kafka};
use std::collections::BTreeMap;

/// A source as it was found: its partitions, and what is needed to read them.
pub(super) struct Found {
    /// The partitions.
    pub partitions: Vec<PartitionInfo>,
    /// A file source's files.
    pub files: Option<Files>,
}

/// Lists a source's partitions.
pub(super) fn discover(pipeline: &Pipeline, source: usize) -> Result<Found, PipelineError> {
    let name = &pipeline.sources[source].name;
    match &pipeline.sources[source].connector {
        SourceConnector::Kafka(options) => {
            let mut found = Vec::new();
            for (index, topic) in options.topics().enumerate() {
                let partitions =
                    kafka::partitions(&options.of_topic(topic)).map_err(|error| kafka_failed(name, error))?;
                found.extend(partitions.into_iter().map(|it| of_topic(options, (index, topic), it)));
            }
            Ok(Found { partitions: found, files: None })
        }
        SourceConnector::File { path } => {
            let files = Files::discover(path).map_err(|error| source_failed(name, error))?;
            Ok(Found { partitions: files.partitions(), files: Some(files) })
        }
        SourceConnector::Generator { .. } => {
            let options = generator(&pipeline.sources[source].connector);
            Ok(Found { partitions: options.map(|it| it.partitions()).unwrap_or_default(), files: None })
        }
    }
}

/// A partition of one of the topics that a source reads.
///
/// Positions are kept by number where there is one topic, and by topic and number where there are several. A source that has come to
/// read several goes on where it was in the first of them.
fn of_topic(options: &KafkaOptions, (index, topic): (usize, &str), it: kafka::Partition) -> PartitionInfo {
    let (plain, whole) = (it.id.to_string(), format!("{topic}/{}", it.id));
    let (name, former_name) = match (options.more_topics.is_empty(), index) {
        (true, _) => (plain, Some(whole)),
        (false, 0) => (whole, Some(plain)),
        (false, _) => (whole, None),
    };
    let id = TopicPartition { topic: index, number: it.id }.partition();
    PartitionInfo { id, name, former_name, low: it.low, high: Some(it.high) }
}

/// A generator's options; none for another connector.
pub(super) fn generator(connector: &SourceConnector) -> Option<GeneratorOptions> {
    match *connector {
        SourceConnector::Generator { kind, seed, rate, count, partitions } => {
            Some(GeneratorOptions { kind, seed, rate, count, partitions })
        }
        _ => None,
    }
}

/// What was committed, ready to go on from.
#[derive(Default)]
pub(super) struct Recovered {
    /// The snapshot; none for a first run.
    pub restored: Option<Restored>,
    /// Positions without a snapshot, by source name and partition name: only where the user asked for them.
    pub offsets: BTreeMap<(String, String), i64>,
    /// The last epoch that was given a number.
    pub epoch: u64,
    /// True when `CURRENT` tells that there is committed state here.
    pub marked: bool,
}

/// The partitions whose committed offsets carry (or show) the pointer.
pub(super) fn anchors(pipeline: &Pipeline, commit_point: CommitPoint, found: &[Found]) -> Vec<Anchor> {
    let cluster = cluster(pipeline, commit_point).map(|it| it.brokers.clone());
    let mut anchors = Vec::new();
    for (source, found) in pipeline.sources.iter().zip(found) {
        let SourceConnector::Kafka(options) = &source.connector else { continue };
        if Some(&options.brokers) == cluster.as_ref() {
            let topics: Vec<&str> = options.topics().collect();
            let anchor = |it: &PartitionInfo| {
                let place = TopicPartition::of(it.id);
                let position = Some((source.name.clone(), it.name.clone()));
                Some(Anchor { topic: (*topics.get(place.topic)?).to_owned(), partition: place.number, position })
            };
            anchors.extend(found.partitions.iter().filter_map(anchor));
        }
    }
    if anchors.is_empty() && commit_point == CommitPoint::Transaction {
        let sink = kafka_sinks(pipeline).next();
        anchors.extend(sink.map(|it| Anchor { topic: it.topic.clone(), partition: 0, position: None }));
    }
    anchors
}

/// The cluster that offsets are committed to.
fn cluster(pipeline: &Pipeline, commit_point: CommitPoint) -> Option<&KafkaOptions> {
    let source = pipeline.sources.iter().find_map(|it| match &it.connector {
        SourceConnector::Kafka(options) => Some(options),
        SourceConnector::File { .. } | SourceConnector::Generator { .. } => None,
    });
    match commit_point {
        CommitPoint::Transaction => kafka_sinks(pipeline).next(),
        CommitPoint::Manifest => source,
    }
}

/// Opens what commits offsets for others to see: only where the commit point is the manifest.
pub(super) fn advisory(pipeline: &Pipeline, commit_point: CommitPoint) -> Result<Option<KafkaSink>, PipelineError> {
    match (commit_point, cluster(pipeline, commit_point)) {
        (CommitPoint::Manifest, Some(options)) => {
            let timeouts = Timeouts { wait_ms: options.wait_ms, transaction_ms: options.transaction_timeout_ms };
            let opened = KafkaSink::open(
                &options.brokers,
                &options.properties,
                options.produce,
                &[],
                Mode::Idempotent,
                timeouts,
            );
            opened.map(Some).map_err(|error| kafka_failed("kafka", error))
        }
        _ => Ok(None),
    }
}

/// Reads what was committed. Call it after the producer has fenced whoever was there before.
pub(super) fn recover(
    pipeline: &Pipeline,
    options: &RunOptions,
    sinks: &mut Sinks,
    advisory: Option<&mut KafkaSink>,
    anchors: &[Anchor],
    store: &mut Store,
) -> Result<Recovered, PipelineError> {
    let group = kafka_identity(pipeline);
    let partitions: Vec<(String, i32)> = anchors.iter().map(|it| (it.topic.clone(), it.partition)).collect();
    let commit_point = CommitPoint::of(pipeline);
    let kafka = match commit_point {
        CommitPoint::Transaction => sinks.producer(),
        CommitPoint::Manifest => advisory,
    };
    let committed = match kafka {
        Some(kafka) => kafka.committed(&group, &partitions).map_err(|error| kafka_failed("kafka", error))?,
        None => Vec::new(),
    };
    let current = store.current().map_err(|error| store_failed(&error))?;
    let pointer = match commit_point {
        CommitPoint::Transaction => newest(&committed),
        CommitPoint::Manifest => current.clone(),
    };
    let epoch = pointer.iter().chain(&current).map(|it| it.epoch.0).max().unwrap_or(0);
    if options.discard_state {
        store.restore_nothing();
        return Ok(Recovered { epoch, ..Recovered::default() });
    }
    let offsets = committed_positions(anchors, &committed);
    let marked = current.is_some();
    match pointer {
        Some(pointer) => match store.restore(&pointer) {
            Ok(restored) => Ok(Recovered { restored: Some(restored), offsets: BTreeMap::new(), epoch, marked }),
            Err(error) if options.anew_without_state => {
                tracing::warn!("beginning anew, whatever was committed before: {error}");
                store.restore_nothing();
                Ok(Recovered { epoch, marked, ..Recovered::default() })
            }
            Err(error) if options.allow_missing_state => {
                tracing::warn!("going on from the committed offsets without state: {error}");
                store.restore_nothing();
                Ok(Recovered { offsets, epoch, marked, restored: None })
            }
            Err(error) => Err(no_state(&group, &options.data_dir, &error.to_string())),
        },
        None if !offsets.is_empty() && options.anew_without_state => {
            tracing::warn!("beginning anew, whatever was committed before");
            store.restore_nothing();
            Ok(Recovered { epoch, marked, ..Recovered::default() })
        }
        None if !offsets.is_empty() && !options.allow_missing_state => {
            Err(no_state(&group, &options.data_dir, "no snapshot is named by them or lies there"))
        }
        None => match current {
            Some(current) if commit_point == CommitPoint::Transaction => {
                Err(no_offsets(&group, &options.data_dir, &current))
            }
            _ => {
                store.restore_nothing();
                Ok(Recovered { offsets, epoch, marked, restored: None })
            }
        },
    }
}

/// The pointer that the committed offsets carry. All are written by one transaction; a partition that is new since has none.
fn newest(committed: &[Committed]) -> Option<Pointer> {
    let pointers =
        committed.iter().filter(|it| it.offset.is_some()).filter_map(|it| it.metadata.parse::<Pointer>().ok());
    pointers.max_by_key(|it| it.epoch)
}

fn committed_positions(anchors: &[Anchor], committed: &[Committed]) -> BTreeMap<(String, String), i64> {
    let pairs = anchors.iter().zip(committed);
    let position = |(anchor, committed): (&Anchor, &Committed)| Some((anchor.position.clone()?, committed.offset?));
    pairs.filter_map(position).collect()
}

fn no_state(group: &str, data_dir: &std::path::Path, why: &str) -> PipelineError {
    PipelineError::stop(
        Failure::Config,
        format!(
            "group `{group}` has committed offsets, but their state is not in `{}`: {why}; use the data directory of the earlier runs, or \
             --allow-missing-state to go on from the offsets with empty state, or --discard-state to begin anew",
            data_dir.display()
        ),
    )
}

fn no_offsets(group: &str, data_dir: &std::path::Path, current: &Pointer) -> PipelineError {
    PipelineError::stop(
        Failure::Config,
        format!(
            "`{}` holds state of epoch {}, but group `{group}` has no committed offsets that name it (deleted, expired, or another \
             cluster); restore them, or use --discard-state to begin anew",
            data_dir.display(),
            current.epoch
        ),
    )
}

/// Where a partition is read from.
pub(super) fn start_of(pipeline: &Pipeline, source: usize, found: &PartitionInfo, recovered: &Recovered) -> i64 {
    let name = &pipeline.sources[source].name;
    if let Some(position) = position_of(name, found, recovered) {
        return position.next_offset;
    }
    if let Some(offset) = recovered.offsets.get(&(name.clone(), found.name.clone())) {
        return *offset;
    }
    match &pipeline.sources[source].connector {
        SourceConnector::Kafka(KafkaOptions { start: KafkaStart::Latest, .. }) => found.high.unwrap_or(found.low),
        _ => found.low,
    }
}

/// What the manifest says of a partition.
pub(super) fn position_of(
    source: &str,
    found: &PartitionInfo,
    recovered: &Recovered,
) -> Option<crate::checkpoint::Position> {
    let manifest = &recovered.restored.as_ref()?.manifest;
    let positions = manifest.meta.positions.get(source)?;
    positions.get(&found.name).or_else(|| positions.get(found.former_name.as_ref()?)).copied()
}
