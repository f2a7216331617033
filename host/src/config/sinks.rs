//! `[sinks.NAME]` and `[dead_letters]`.

use super::document::{Entry, Value};
use super::errors::Errors;
use super::graph::{Names, Reference};
use super::keys;
use super::model::{
    ClientProperties, Delivery, Fetch, Format, Input, KafkaOptions, KafkaStart, Produce, Sink, SinkConnector,
};
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
    let lineage = section.boolean("lineage", errors);
    if lineage && !matches!(connector, SinkConnector::Kafka(_)) {
        let problem = "found true, but only records of Kafka have headers; drop it, or use connector = \"kafka\"";
        section.wrong("lineage", problem, errors);
    }
    let from = Reference::read(&section, "from", errors).and_then(|it| names.resolve(&it, errors));
    Some(Sink { name: entry.name.clone(), from: from.unwrap_or(Input::Source(0)), connector, format, select, lineage })
}

/// Reads `[dead_letters]`. None only where it is not a table.
pub(super) fn dead_letters(entry: &Entry, base: &Path, errors: &mut Errors) -> Option<Sink> {
    let mut section = Section::open(entry, entry.name.clone(), &keys::DEAD_LETTERS, errors)?;
    let connector = connector(&mut section, base, errors);
    section.check_keys(errors);
    // In Kafka a dead letter's value is the record's own, and headers say the rest; a line has to hold it all.
    let format = if matches!(connector, SinkConnector::Kafka(_)) { Format::Raw } else { Format::Json };
    Some(Sink { name: entry.name.clone(), from: Input::Source(0), connector, format, select: None, lineage: false })
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
    let produces = [("auto", Produce::Auto), ("native", Produce::Native), ("librdkafka", Produce::Librdkafka)];
    let codecs = ["none", "lz4", "zstd", "gzip", "snappy"].map(|it| (it, it));
    KafkaOptions {
        more_topics: Vec::new(),
        brokers: brokers(section, errors),
        topic: topic(section, errors),
        start: KafkaStart::Earliest,
        fetch: Fetch::Auto,
        fetch_bytes_max: None,
        produce: section.choice("produce", &produces, errors).unwrap_or(Produce::Auto),
        compression: section.choice("compression", &codecs, errors).unwrap_or("none").to_owned(),
        wait_ms: section.duration("wait", errors).unwrap_or_default(),
        transaction_timeout_ms: section.duration("transaction_timeout", errors).unwrap_or_default(),
        properties: ClientProperties::default(),
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

/// A sink with where it was written.
pub(super) struct Placed<'a> {
    pub(super) sink: &'a Sink,
    pub(super) entry: &'a Entry,
    pub(super) path: String,
}

impl Placed<'_> {
    /// Adds an error about the key `name`.
    fn wrong(&self, name: &str, problem: String, errors: &mut Errors) {
        let written = match &self.entry.node.value {
            Value::Table(table) => table.get(name).map(|it| &it.node.at),
            _ => None,
        };
        errors.push(written.unwrap_or(&self.entry.at), format!("{}.{name}", self.path), problem);
    }
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
    check_producer(sinks, errors);
    for placed in sinks {
        match &placed.sink.connector {
            SinkConnector::File { path: folder } if !folder.as_os_str().is_empty() => {
                if let Some((_, other)) = folders.iter().find(|it| it.0 == folder) {
                    placed.wrong("path", format!("found the folder of `{other}`, expected one of its own"), errors);
                }
                folders.push((folder, &placed.path));
            }
            SinkConnector::Kafka(kafka) if delivery == Delivery::ExactlyOnce && !kafka.brokers.is_empty() => {
                if kafka.transaction_timeout_ms <= checkpoint_interval_ms {
                    let problem = format!(
                        "found {} ms, expected more than checkpoint_interval ({checkpoint_interval_ms} ms): a \
                         transaction stays open from one checkpoint to the next",
                        kafka.transaction_timeout_ms
                    );
                    placed.wrong("transaction_timeout", problem, errors);
                }
                match first {
                    Some((other, path)) => one_transaction(placed, kafka, other, path, errors),
                    None => first = Some((kafka, &placed.path)),
                }
            }
            _ => {}
        }
    }
}

/// One producer writes all Kafka sinks.
fn check_producer(sinks: &[Placed<'_>], errors: &mut Errors) {
    let mut first: Option<(Produce, &str)> = None;
    for placed in sinks {
        let SinkConnector::Kafka(KafkaOptions { produce, .. }) = &placed.sink.connector else { continue };
        match first {
            Some((other, path)) if *produce != Produce::Auto && *produce != other => {
                let problem =
                    format!("found another producer than in `{path}`: one writes all Kafka sinks of a pipeline");
                placed.wrong("produce", problem, errors);
            }
            None if *produce != Produce::Auto => first = Some((*produce, &placed.path)),
            _ => {}
        }
    }
}

fn one_transaction(placed: &Placed<'_>, kafka: &KafkaOptions, other: &KafkaOptions, path: &str, errors: &mut Errors) {
    if addresses(&kafka.brokers).is_disjoint(&addresses(&other.brokers)) {
        let problem = format!(
            "found {:?}, another cluster than that of `{path}` ({}): a transaction cannot span two clusters; write to one, \
             use a pipeline for each, or set delivery = \"at-least-once\"",
            kafka.brokers, other.brokers
        );
        placed.wrong("brokers", problem, errors);
    } else if kafka.transaction_timeout_ms != other.transaction_timeout_ms {
        let problem = format!(
            "found {} ms, expected {} ms as in `{path}`: all Kafka sinks share one transaction",
            kafka.transaction_timeout_ms, other.transaction_timeout_ms
        );
        placed.wrong("transaction_timeout", problem, errors);
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
