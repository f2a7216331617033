//! `[sources.NAME]`.

use super::document::{Entry, Node, Value};
use super::errors::{Errors, Place, listed, nearest};
use super::keys;
use super::model::{
    ClientProperties, EventTimeOptions, Fetch, Format, GeneratorKind, KafkaOptions, KafkaStart, Late, Produce, Source,
    SourceConnector, TimeFormat,
};
use super::section::{Section, Span};
use crate::batch::TopicPartition;
use crate::column::Kind;
use std::path::Path;
use std::sync::Arc;

const KINDS: [(&str, Kind); 6] = [
    ("s64", Kind::S64),
    ("f64", Kind::F64),
    ("boolean", Kind::Boolean),
    ("text", Kind::Text),
    ("bytes", Kind::Bytes),
    ("json", Kind::Json),
];

/// Reads one source. None only where it is not a table.
pub(super) fn source(entry: &Entry, base: &Path, errors: &mut Errors) -> Option<Source> {
    let mut section = Section::open(entry, format!("sources.{}", entry.name), &keys::SOURCE, errors)?;
    let kind = section.connector(&keys::SOURCE_CONNECTORS, errors);
    section.check_keys(errors);
    let connector = match kind {
        Some("kafka") => SourceConnector::Kafka(kafka(&section, errors)),
        Some("generator") => generator(&section, errors),
        Some("file") => SourceConnector::File { path: file(&section, base, errors) },
        _ => SourceConnector::File { path: String::new() }, // Reported; never leaves `check`.
    };
    let formats = [("json", (Format::Json, false)), ("debezium", (Format::Json, true)), ("raw", (Format::Raw, false))];
    let (format, changes) = section.choice("format", &formats, errors).unwrap_or((Format::Json, false));
    let event_time = event_time(&section, errors);
    let schema = schema(&section, errors);
    if format == Format::Raw {
        if event_time.field.is_some() {
            section.wrong(
                "event_time",
                "names a field, but raw records have none; use format = \"json\" or drop `field`",
                errors,
            );
        }
        if !schema.is_empty() {
            section.wrong("schema", "declares fields, but raw records have none; use format = \"json\"", errors);
        }
    }
    let first = section.boolean("read_first", errors);
    if first && matches!(connector, SourceConnector::Generator { count: None, .. }) {
        section.wrong("read_first", "found it with records that never end; give the generator a `count`", errors);
    }
    if first && event_time.drift_ms_max.is_some() {
        let problem = "found it beside `event_time.max_drift`: the sources that it would wait for wait for it; drop one of the two";
        section.wrong("read_first", problem, errors);
    }
    Some(Source { name: entry.name.clone(), connector, format, changes, first, schema, event_time })
}

/// The key `format` of a sink.
pub(super) fn format(section: &Section<'_>, errors: &mut Errors) -> Format {
    section.choice("format", &[("json", Format::Json), ("raw", Format::Raw)], errors).unwrap_or(Format::Json)
}

/// The key `late` of a source's event time or of a step.
pub(super) fn late(section: &Section<'_>, errors: &mut Errors) -> Option<Late> {
    let values = [("drop", Late::Drop), ("dead-letter", Late::DeadLetter), ("side-output", Late::SideOutput)];
    section.choice("late", &values, errors)
}

/// The topics of a source, in the order of the file.
fn topics(section: &Section<'_>, errors: &mut Errors) -> Vec<String> {
    let Some(entry) = section.entry("topics") else {
        if section.entry("topic").is_none() {
            let problem = "missing, expected a text; add `topic = ...`, or `topics = [...]` for several";
            section.wrong("topic", problem, errors);
            return Vec::new();
        }
        return vec![topic(section, errors)];
    };
    if section.entry("topic").is_some() {
        section.wrong("topic", "found it beside `topics`; drop one of the two", errors);
    }
    let Value::List(items) = &entry.node.value else {
        let problem = format!("found {}, expected a list of topics such as [\"a\", \"b\"]", entry.node.shown());
        section.wrong("topics", problem, errors);
        return Vec::new();
    };
    if items.is_empty() || items.len() > TopicPartition::TOPICS_MAX {
        let problem = format!("found {} topics, expected 1 to {}", items.len(), TopicPartition::TOPICS_MAX);
        section.wrong("topics", problem, errors);
    }
    let mut topics: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        let problem = match &item.value {
            Value::Text(topic) if topics.contains(topic) => format!("found {topic:?} twice, expected each topic once"),
            Value::Text(topic) => {
                topics.push(topic.clone());
                match wrong_topic(topic) {
                    Some(problem) => problem,
                    None => continue,
                }
            }
            _ => format!("found {}, expected the name of a topic", item.shown()),
        };
        errors.push(&item.at, section.path_of("topics"), problem);
    }
    topics
}

fn kafka(section: &Section<'_>, errors: &mut Errors) -> KafkaOptions {
    let mut topics = topics(section, errors).into_iter();
    let fetches = [("auto", Fetch::Auto), ("native", Fetch::Native), ("librdkafka", Fetch::Librdkafka)];
    let starts = [("earliest", KafkaStart::Earliest), ("latest", KafkaStart::Latest)];
    KafkaOptions {
        brokers: brokers(section, errors),
        topic: topics.next().unwrap_or_default(),
        more_topics: topics.collect(),
        start: section.choice("start", &starts, errors).unwrap_or(KafkaStart::Earliest),
        fetch: section.choice("fetch", &fetches, errors).unwrap_or(Fetch::Auto),
        fetch_bytes_max: None,
        produce: Produce::Auto,
        compression: "none".to_owned(),
        wait_ms: section.duration("wait", errors).unwrap_or_default(),
        transaction_timeout_ms: 60_000,
        properties: ClientProperties::default(),
    }
}

/// The key `brokers`: each a host with an optional port.
pub(super) fn brokers(section: &Section<'_>, errors: &mut Errors) -> String {
    let Some(brokers) = section.text("brokers", errors) else { return String::new() };
    for broker in brokers.split(',').map(str::trim) {
        let address = broker.split_once("://").map_or(broker, |(_, address)| address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (address, "9092"),
        };
        if host.is_empty()
            || host.contains(char::is_whitespace)
            || port.parse::<u16>().is_ok_and(|it| it == 0)
            || port.parse::<u16>().is_err()
        {
            section.wrong(
                "brokers",
                format!("found {broker:?}, expected host:port, with commas between several"),
                errors,
            );
        }
    }
    brokers
}

/// The key `topic`, by Kafka's own rule for names.
pub(super) fn topic(section: &Section<'_>, errors: &mut Errors) -> String {
    let Some(topic) = section.text("topic", errors) else { return String::new() };
    if let Some(problem) = wrong_topic(&topic) {
        section.wrong("topic", problem, errors);
    }
    topic
}

/// What is wrong with the name of a topic.
fn wrong_topic(topic: &str) -> Option<String> {
    const TOPIC_LEN_MAX: usize = 249;
    let legal = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    let is_right =
        topic.chars().all(legal) && (1..=TOPIC_LEN_MAX).contains(&topic.len()) && topic != "." && topic != "..";
    (!is_right).then(|| {
        format!("found {topic:?}, expected a Kafka topic: at most {TOPIC_LEN_MAX} letters, digits, `.`, `_`, `-`")
    })
}

fn file(section: &Section<'_>, base: &Path, errors: &mut Errors) -> String {
    let Some(path) = section.text("path", errors) else { return String::new() };
    if let Err(error) = glob::Pattern::new(&path) {
        section.wrong("path", format!("found {path:?}, expected a path or a glob: {}", error.msg), errors);
    }
    if Path::new(&path).is_absolute() || base.as_os_str().is_empty() {
        return path;
    }
    let base = base.display().to_string();
    // Only what the user wrote is a glob, not the folder that the file happens to be in.
    let base = if path.contains(['*', '?', '[']) { glob::Pattern::escape(&base) } else { base };
    Path::new(&base).join(path).display().to_string()
}

fn generator(section: &Section<'_>, errors: &mut Errors) -> SourceConnector {
    let kinds = [
        ("transactions", GeneratorKind::Transactions),
        ("orders", GeneratorKind::Orders),
        ("sensors", GeneratorKind::Sensors),
        ("rides", GeneratorKind::Rides),
        ("nexmark", GeneratorKind::Nexmark),
    ];
    SourceConnector::Generator {
        kind: section.choice("kind", &kinds, errors).unwrap_or(GeneratorKind::Transactions),
        seed: section.integer("seed", errors).unwrap_or_default() as u64,
        rate: section.integer("rate", errors).map(|it| it as u64),
        count: section.integer("count", errors).map(|it| it as u64),
        partitions: section.integer("partitions", errors).unwrap_or(1) as u32,
    }
}

fn event_time(source: &Section<'_>, errors: &mut Errors) -> EventTimeOptions {
    let empty = super::document::Table::default();
    let written = source.table("event_time", errors);
    let absent = written.is_none();
    let section = written.unwrap_or_else(|| Section::root(&empty, source.at, &keys::EVENT_TIME));
    section.check_keys(errors);
    let formats = [
        ("epoch_ms", TimeFormat::EpochMs),
        ("epoch_s", TimeFormat::EpochS),
        ("epoch_us", TimeFormat::EpochUs),
        ("rfc3339", TimeFormat::Rfc3339),
    ];
    let field = section.text("field", errors);
    if field.is_none() && !absent && section.entry("format").is_some() && section.entry("field").is_none() {
        let problem = "says how a field is written, but `field` is missing; add `field`, or drop `format` to use the \
                       record's own timestamp";
        section.wrong("format", problem, errors);
    }
    EventTimeOptions {
        field: field.map(Into::into),
        format: section.choice("format", &formats, errors).unwrap_or(TimeFormat::EpochMs),
        delay_ms: section.duration("delay", errors).unwrap_or_default() as i64,
        drift_ms_max: section.duration("max_drift", errors).map(|it| it as i64),
        idle_timeout_ms: match section.span("idle_timeout", errors) {
            Some(Span::Ms(ms)) => Some(ms),
            Some(Span::Never) | None => None,
        },
        late: late(&section, errors).unwrap_or(Late::Drop),
    }
}

fn schema(section: &Section<'_>, errors: &mut Errors) -> Vec<(Arc<str>, Kind)> {
    let mut fields = Vec::new();
    for entry in section.map("schema", errors).unwrap_or_default() {
        declare(&entry.name, &entry.node, &entry.at, section, &mut fields, errors);
    }
    fields
}

/// Declares `field`. A table holds nested fields: `card.country = "text"` is TOML for one.
fn declare(
    field: &str,
    node: &Node,
    at: &Place,
    section: &Section<'_>,
    fields: &mut Vec<(Arc<str>, Kind)>,
    errors: &mut Errors,
) {
    let names = || KINDS.iter().map(|it| it.0);
    match &node.value {
        Value::Table(table) => {
            for entry in &table.entries {
                declare(&format!("{field}.{}", entry.name), &entry.node, &entry.at, section, fields, errors);
            }
        }
        Value::Text(kind) if names().any(|it| it == kind) => {
            if fields.iter().any(|(it, _)| **it == *field) {
                errors.push(at, format!("{}.schema.{field}", section.path), "declared twice, expected once");
            }
            fields.extend(KINDS.iter().filter(|it| it.0 == kind).map(|it| (Arc::from(field), it.1)));
        }
        value => {
            let near = if let Value::Text(kind) = value { nearest(kind, names()) } else { None };
            let problem = format!("found {}, expected a kind: one of {}", node.shown(), listed(names()));
            errors.push_near(&node.at, format!("{}.schema.{field}", section.path), problem, near);
        }
    }
}
