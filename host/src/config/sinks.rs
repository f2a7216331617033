//! `[sinks.NAME]` and `[dead_letters]`.

use super::document::{Entry, Value};
use super::errors::{Errors, Place};
use super::graph::{Names, Reference};
use super::keys;
use super::model::{Delivery, Format, Input, KafkaOptions, KafkaStart, Sink, SinkConnector};
use super::section::Section;
use super::sources::{brokers, format, topic};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Reads one sink. None only where it is not a table.
pub(super) fn sink(entry: &Entry, base: &Path, names: &Names, errors: &mut Errors) -> Option<Sink> {
    let mut section = Section::open(entry, format!("sinks.{}", entry.name), &keys::SINK, errors)?;
    let connector = connector(&mut section, base, errors);
    section.check_keys(errors);
    let format = format(&section, errors);
    let select = select(&section, errors);
    if format == Format::Raw && select.is_some() {
        section.wrong(
            "select",
            "picks fields, but format = \"raw\" writes bytes as they are; use format = \"json\"",
            errors,
        );
    }
    let from = Reference::read(&section, errors).and_then(|it| names.resolve(&it, errors));
    Some(Sink { name: entry.name.clone(), from: from.unwrap_or(Input::Source(0)), connector, format, select })
}

/// Reads `[dead_letters]`. None only where it is not a table.
pub(super) fn dead_letters(entry: &Entry, base: &Path, errors: &mut Errors) -> Option<Sink> {
    let mut section = Section::open(entry, entry.name.clone(), &keys::DEAD_LETTERS, errors)?;
    let connector = connector(&mut section, base, errors);
    section.check_keys(errors);
    // In Kafka a dead letter's value is the record's own, and headers say the rest; a line has to hold it all.
    let format = if matches!(connector, SinkConnector::Kafka(_)) { Format::Raw } else { Format::Json };
    Some(Sink { name: entry.name.clone(), from: Input::Source(0), connector, format, select: None })
}

fn connector(section: &mut Section<'_>, base: &Path, errors: &mut Errors) -> SinkConnector {
    match section.connector(&keys::SINK_CONNECTORS, errors) {
        Some("kafka") => SinkConnector::Kafka(kafka(section, errors)),
        Some("file") => {
            SinkConnector::File { path: section.text("path", errors).map(|it| base.join(it)).unwrap_or_default() }
        }
        _ => SinkConnector::Stdout,
    }
}

fn kafka(section: &Section<'_>, errors: &mut Errors) -> KafkaOptions {
    let codecs = ["none", "lz4", "zstd", "gzip", "snappy"].map(|it| (it, it));
    KafkaOptions {
        brokers: brokers(section, errors),
        topic: topic(section, errors),
        start: KafkaStart::Earliest,
        compression: section.choice("compression", &codecs, errors).unwrap_or("none").to_owned(),
        wait_ms: section.duration("wait", errors).unwrap_or_default(),
        transaction_timeout_ms: section.duration("transaction_timeout", errors).unwrap_or_default(),
    }
}

/// The key `select` of a step or sink: new names and fields, in the order of the file.
pub(super) fn select(section: &Section<'_>, errors: &mut Errors) -> Option<Vec<(Arc<str>, Arc<str>)>> {
    let entries = section.map("select", errors)?;
    if entries.is_empty() {
        section.wrong("select", "found no fields, expected at least one; drop `select` to pass on all", errors);
    }
    let mut picked: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(entries.len());
    for entry in entries {
        match &entry.node.value {
            Value::Text(field) if !field.trim().is_empty() => {
                picked.push((entry.name.as_str().into(), field.as_str().into()));
            }
            _ => {
                let problem = format!(
                    "found {}, expected the name of a field; write `{} = \"FIELD\"`",
                    entry.node.shown(),
                    entry.name
                );
                errors.push(&entry.node.at, format!("{}.{}", section.path_of("select"), entry.name), problem);
            }
        }
    }
    Some(picked)
}

/// A sink with the place and path of its table.
pub(super) struct Placed<'a> {
    pub(super) sink: &'a Sink,
    pub(super) at: &'a Place,
    pub(super) path: String,
}

/// What sinks must agree on to be written as one.
pub(super) fn check_together(
    sinks: &[Placed<'_>],
    delivery: Delivery,
    checkpoint_interval_ms: u64,
    errors: &mut Errors,
) {
    let mut folders: Vec<(&Path, &str)> = Vec::new();
    let mut first: Option<(&KafkaOptions, &str)> = None;
    for Placed { sink, at, path } in sinks {
        match &sink.connector {
            SinkConnector::File { path: folder } => {
                if let Some((_, other)) = folders.iter().find(|it| it.0 == folder) {
                    let problem = format!("found the folder of `{other}`, expected one of its own");
                    errors.push(at, format!("{path}.path"), problem);
                }
                folders.push((folder, path));
            }
            SinkConnector::Kafka(kafka) if delivery == Delivery::ExactlyOnce => {
                if kafka.transaction_timeout_ms <= checkpoint_interval_ms {
                    let problem = format!(
                        "found {} ms, expected more than checkpoint_interval ({checkpoint_interval_ms} ms): a \
                         transaction stays open from one checkpoint to the next",
                        kafka.transaction_timeout_ms
                    );
                    errors.push(at, format!("{path}.transaction_timeout"), problem);
                }
                match first {
                    Some((other, other_path)) => one_transaction(kafka, at, path, other, other_path, errors),
                    None => first = Some((kafka, path)),
                }
            }
            SinkConnector::Kafka(_) | SinkConnector::Stdout => {}
        }
    }
}

fn one_transaction(
    kafka: &KafkaOptions,
    at: &Place,
    path: &str,
    other: &KafkaOptions,
    other_path: &str,
    errors: &mut Errors,
) {
    if addresses(&kafka.brokers).is_disjoint(&addresses(&other.brokers)) {
        let problem = format!(
            "found another cluster than that of `{other_path}` ({}): a transaction cannot span two clusters; write to one, \
             use a pipeline for each, or set delivery = \"at-least-once\"",
            other.brokers
        );
        errors.push(at, format!("{path}.brokers"), problem);
    } else if kafka.transaction_timeout_ms != other.transaction_timeout_ms {
        let problem = format!(
            "found {} ms, expected {} ms as in `{other_path}`: all Kafka sinks share one transaction",
            kafka.transaction_timeout_ms, other.transaction_timeout_ms
        );
        errors.push(at, format!("{path}.transaction_timeout"), problem);
    }
}

/// The brokers as a set. Two lists that share a broker are one cluster.
pub(super) fn addresses(brokers: &str) -> BTreeSet<String> {
    let address = |it: &str| {
        let it = it.trim().to_lowercase();
        let it = it.split_once("://").map_or(it.as_str(), |(_, address)| address).to_owned();
        if it.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) { it } else { format!("{it}:9092") }
    };
    brokers.split(',').filter(|it| !it.trim().is_empty()).map(address).collect()
}
