//! Every key of a pipeline file, in one list: what reads it, the error about an unknown one and the reference page all
//! come from here, defaults included.

mod steps;

pub(super) use steps::{DEDUPE, EMIT, JOIN, LIMITS, STEP, TOP, WINDOW, WITHIN};

/// The keys that a table of the file may have.
#[derive(Debug)]
pub(super) struct Keys {
    /// What a message calls the table.
    pub(super) name: &'static str,
    /// Its heading in the reference.
    pub(super) title: &'static str,
    /// What it is for, for the reference.
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

/// A key of the pipeline file.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) expects: Expects,
    pub(super) absent: Absent,
    /// What it means, for the reference.
    pub(super) meaning: &'static str,
}

/// What a key may be set to.
#[derive(Debug)]
pub(super) enum Expects {
    /// A text that is not empty.
    Text,
    /// One of the names in `now`; those in `later` are known, but not supported by this version.
    Choice { now: &'static [&'static str], later: &'static [&'static str] },
    /// A duration of at least `min_ms`; where `never` is set, the text `"never"` too.
    Duration { min_ms: u64, never: bool },
    /// A duration, which may have a minus before it.
    SignedDuration,
    /// A size of at least `min` bytes.
    Size { min: u64 },
    /// An integer.
    Integer { min: i64, max: i64 },
    /// A list of texts, at least one.
    Texts,
    /// A field, or a list of fields.
    Fields,
    /// The same, or a table of fields by field.
    FieldPairs,
    /// A table with keys of its own.
    Table(&'static Keys),
    /// A table whose keys the user names; the text says what they hold.
    Map(&'static str),
    /// A duration, or this word.
    DurationOr(&'static str),
    /// `true` or `false`.
    Boolean,
    /// One of `now`, or a table.
    ChoiceOr { now: &'static [&'static str], table: &'static Keys },
    /// Known, but not supported by this version; what to do instead.
    NotYet(&'static str),
}

/// What holds where a key is absent.
#[derive(Debug)]
pub(super) enum Absent {
    /// It is an error.
    Required,
    /// This text, read as if it had been written.
    Text(&'static str),
    /// This integer, read as if it had been written.
    Integer(i64),
    /// What the words say.
    Means(&'static str),
}

use Absent::{Means, Required};
use Expects::{
    Boolean, Choice, ChoiceOr, Duration, DurationOr, FieldPairs, Fields, Integer, Map, NotYet, SignedDuration, Size,
    Table, Text, Texts,
};

const fn key(name: &'static str, expects: Expects, absent: Absent, meaning: &'static str) -> Key {
    Key { name, expects, absent, meaning }
}

const fn not_yet(name: &'static str, instead: &'static str) -> Key {
    Key { name, expects: NotYet(instead), absent: Means("-"), meaning: instead }
}

const FORMAT: Expects = Choice { now: &["json", "raw"], later: &["avro", "csv"] };
const LATE: Expects = Choice { now: &["drop", "dead-letter", "side-output"], later: &[] };
const BROKERS: Key =
    key("brokers", Text, Required, "The Kafka brokers to ask first: `host:port`, with commas between several.");
const TOPIC: Key = key("topic", Text, Required, "The topic. It is not created: it must exist.");
const CONNECTION: Key = not_yet(
    "connection",
    "connections are for pipelines of the daemon (`wasmill serve`); name the brokers with `brokers` instead",
);
const WAIT: Key = key(
    "wait",
    Duration { min_ms: 1, never: false },
    Absent::Text("30s"),
    "How long to wait for the brokers at the start before giving up with exit code 69.",
);

pub(super) static PIPELINE: Keys = Keys {
    name: "the top level",
    title: "The top level",
    about: "A pipeline is named sources, steps and sinks, each saying what it reads `from`. The names of sources and \
            steps are one set: no two may be the same. Names are made of letters, digits, `_` and `-`.",
    keys: &[
        key(
            "name",
            Text,
            Required,
            "The pipeline's name: part of its consumer group, its transactional id and its folder of state, so a new \
             name is a new pipeline without state. Letters, digits, `_`, `-` and `.`, at most 100.",
        ),
        key(
            "delivery",
            Choice { now: &["exactly-once", "at-least-once"], later: &[] },
            Absent::Text("exactly-once"),
            "`exactly-once`: each record counts once in committed output and state. `at-least-once`: nothing is lost, \
             and after a failure output may be repeated.",
        ),
        key(
            "checkpoint_interval",
            Duration { min_ms: 1, never: false },
            Absent::Text("1s"),
            "Time between two checkpoints, and so how soon committed output can be read. After a start it is an eighth of that, then twice as long each time, up to it.",
        ),
        key(
            "batch_rows_max",
            Integer { min: 1, max: 65_536 },
            Absent::Integer(4_096),
            "How many records a batch has at most. Results do not depend on it.",
        ),
        key(
            "memory",
            Size { min: 65_536 },
            Means("as much as there is"),
            "What the state of its steps may take of memory, over all workers. What does not fit goes to the disk, in the pipeline's \
             folder; windows that are all written whenever it is time (`output = \"complete\"`, or `every` with `unchanged`) stay in \
             memory, and end the pipeline with exit code 70 where they do not fit. Plugins' own memory, batches and Kafka's buffers come \
             on top. See the guide on memory.",
        ),
        key(
            "bad_records",
            Choice { now: &["dead-letter", "stop", "drop"], later: &[] },
            Means("`\"dead-letter\"` where there are `[dead_letters]`, otherwise `\"stop\"`"),
            "What becomes of a record that cannot be processed: it goes to the dead letters, the pipeline stops before \
             it with exit code 65, or it is counted and dropped.",
        ),
        key("sources", Map("`[sources.NAME]` tables"), Required, "Where records come from; at least one."),
        key("steps", Map("`[steps.NAME]` tables"), Means("none"), "What is done to them, in any order."),
        key("sinks", Map("`[sinks.NAME]` tables"), Required, "Where results go; at least one."),
        key(
            "dead_letters",
            Table(&DEAD_LETTERS),
            Means("there are none"),
            "Where rejected and poisonous records go, committed together with the results.",
        ),
    ],
};

pub(super) static SOURCE: Keys = Keys {
    name: "a source",
    title: "`[sources.NAME]`",
    about: "One source of records. The keys of its `connector` stand beside these.",
    keys: &[
        key(
            "connector",
            Choice { now: &["kafka", "file", "generator"], later: &["http"] },
            Required,
            "Where the records come from.",
        ),
        key(
            "format",
            Choice { now: &["json", "debezium", "raw"], later: &["avro", "csv"] },
            Absent::Text("json"),
            "How a record's value is decoded: `json` is one JSON object a record, `debezium` a change of a row in Debezium's \
             JSON envelope, which is read as the row (its time is that of the change, and a row that was deleted is a tombstone), `raw` is bytes that are passed on as \
             they are and have no fields.",
        ),
        key(
            "read_first",
            Boolean,
            Means("`false`"),
            "Whether its records up to its present end are in place before any source without this key is read, at each start: for a table \
             that others look things up in (`as_of = \"latest\"`). A checkpoint is between the two.",
        ),
        key(
            "event_time",
            Table(&EVENT_TIME),
            Means("the record's own timestamp, with the defaults below"),
            "When a record happened, and how long to wait for records that are out of order.",
        ),
        key(
            "schema",
            Map("kinds by field: `s64`, `f64`, `boolean`, `text`, `bytes` or `json`"),
            Means("nothing is declared"),
            "Kinds of fields. An undeclared integer is an `s64`, any other number an `f64`. A record that holds another \
             kind in a declared field is a bad record.",
        ),
    ],
};

pub(super) static SOURCE_KAFKA: Keys = Keys {
    name: "a Kafka source",
    title: "`[sources.NAME]` with `connector = \"kafka\"`",
    about: "Reads one topic or several, committed records only. Exactly-once: the positions are committed in the transaction of the \
            output.",
    keys: &[
        BROKERS,
        key("topic", Text, Means("-; needed without `topics`"), "The topic. It is not created: it must exist."),
        key(
            "topics",
            Texts,
            Means("`topic` alone"),
            "Several topics, which are read as one stream: `[\"orders-eu\", \"orders-us\"]`. Each partition has a watermark of its own. Topics may be \
             added and taken away between two runs; those that stay are read on from where they were.",
        ),
        key(
            "start",
            Choice { now: &["earliest", "latest"], later: &[] },
            Absent::Text("earliest"),
            "Where a partition without a committed position starts: at the oldest record kept, or with the records that \
             arrive from now on.",
        ),
        key(
            "fetch",
            Choice { now: &["auto", "native", "librdkafka"], later: &[] },
            Absent::Text("auto"),
            "Which reader fetches the records; what is read is the same. `native` costs a fraction, and needs brokers of Kafka \
             2.7 or later without TLS and SASL. `auto` is `native` where it can be and `librdkafka` elsewhere; the log says \
             why.",
        ),
        WAIT,
        CONNECTION,
    ],
};

pub(super) static SOURCE_FILE: Keys = Keys {
    name: "a file source",
    title: "`[sources.NAME]` with `connector = \"file\"`",
    about: "Reads JSON lines. Exactly-once: the position is part of the checkpoint.",
    keys: &[key(
        "path",
        Text,
        Required,
        "A file, a folder (every `*.jsonl` and `*.json` in it) or a glob, relative to the pipeline file.",
    )],
};

pub(super) static SOURCE_GENERATOR: Keys = Keys {
    name: "a generator source",
    title: "`[sources.NAME]` with `connector = \"generator\"`",
    about: "Makes records from a seed: the same seed gives the same bytes. Exactly-once: the position is part of the \
            checkpoint.",
    keys: &[
        key(
            "kind",
            Choice { now: &["transactions", "orders", "sensors", "rides", "nexmark"], later: &[] },
            Required,
            "What the records are about.",
        ),
        key("seed", Integer { min: 0, max: i64::MAX }, Absent::Integer(1), "What the records are made from."),
        key(
            "rate",
            Integer { min: 1, max: 1_000_000_000 },
            Means("as fast as they are taken"),
            "Records a second, all partitions together.",
        ),
        key("count", Integer { min: 0, max: i64::MAX }, Means("no end"), "Records in all."),
        key(
            "partitions",
            Integer { min: 1, max: 1_024 },
            Absent::Integer(1),
            "Partitions to spread them over, in turn.",
        ),
    ],
};

pub(super) static EVENT_TIME: Keys = Keys {
    name: "`event_time`",
    title: "`event_time` of a source",
    about: "The watermark of a partition is its latest event time less `delay` less 1 ms; that of the source is the \
            least of its partitions. A window closes when the watermark reaches its last millisecond.",
    keys: &[
        key(
            "field",
            Text,
            Means("the record's own timestamp"),
            "The field that holds the event time; nested fields are joined by dots. A record without it is a bad record.",
        ),
        key(
            "format",
            Choice { now: &["epoch_ms", "epoch_s", "epoch_us", "rfc3339"], later: &[] },
            Absent::Text("epoch_ms"),
            "How the field is written: milli-, micro- or seconds since the Unix epoch, or a text such as \
             `2026-01-31T12:00:00Z`.",
        ),
        key(
            "delay",
            Duration { min_ms: 0, never: false },
            Absent::Text("0s"),
            "How far records may be out of order and still be on time.",
        ),
        key(
            "idle_timeout",
            Duration { min_ms: 1, never: true },
            Absent::Text("30s"),
            "A partition without records for so long no longer holds the watermark back. Time in which nobody reads, since something \
             further on is full, does not count.",
        ),
        key(
            "max_drift",
            Duration { min_ms: 1, never: false },
            Means("no bound"),
            "How far, in event time, a partition is read ahead of the slowest one that is not idle, of all sources that have this key: so a \
             replay of what was recorded side by side holds no more state than that, however fast the partitions are. A batch may go past it.",
        ),
        key(
            "late",
            LATE,
            Absent::Text("drop"),
            "What becomes of late records, in every step after this source that does not say otherwise: they are \
             counted and dropped, go to the dead letters, or are passed on by the step's output `late`.",
        ),
    ],
};

pub(super) static SINK: Keys = Keys {
    name: "a sink",
    title: "`[sinks.NAME]`",
    about: "One place where results go. The keys of its `connector` stand beside these.",
    keys: &[
        key(
            "from",
            Text,
            Required,
            "What it writes: the name of a source or step, or `STEP.PORT` for a plugin's side output.",
        ),
        key(
            "connector",
            Choice { now: &["kafka", "file", "stdout"], later: &["http"] },
            Required,
            "Where the records go.",
        ),
        key(
            "format",
            FORMAT,
            Absent::Text("json"),
            "How a record's value is written. A record that no step changed is written byte for byte as it was read.",
        ),
        key(
            "select",
            Map("fields by their new name"),
            Means("all fields are written"),
            "Which fields are written, under which names and in which order: `{ user = \"customer_id\" }`.",
        ),
        key(
            "lineage",
            Boolean,
            Means("`false`"),
            "Whether each record says in the header `wasmill-lineage` which plugins it passed: `STEP=SHA256`, with commas between \
             several, in the order of its way. Only with `connector = \"kafka\"`: lines have no headers.",
        ),
    ],
};

pub(super) static SINK_KAFKA: Keys = Keys {
    name: "a Kafka sink",
    title: "`[sinks.NAME]` and `[dead_letters]` with `connector = \"kafka\"`",
    about: "Writes to a topic. Exactly-once: in one transaction for the whole pipeline, so all Kafka sinks of a pipeline \
            write to one cluster; readers use `isolation.level=read_committed`. A record keeps its key, which chooses the \
            partition as Kafka's own clients do; one without a key that a keyed step answered, and a window, has the step's.",
    keys: &[
        BROKERS,
        TOPIC,
        key(
            "compression",
            Choice { now: &["none", "lz4", "zstd", "gzip", "snappy"], later: &[] },
            Absent::Text("none"),
            "How batches of records are compressed.",
        ),
        key(
            "produce",
            Choice { now: &["auto", "native", "librdkafka"], later: &[] },
            Absent::Text("auto"),
            "Which producer writes the records; what is written is the same. `native` costs a fraction, and needs brokers of Kafka \
             2.8 or later without TLS and SASL. `auto` is `native` where it can be and `librdkafka` elsewhere; the log says why. \
             One producer writes all Kafka sinks of a pipeline: it is what one of them asks for.",
        ),
        WAIT,
        key(
            "transaction_timeout",
            Duration { min_ms: 1_000, never: false },
            Absent::Text("60s"),
            "How long the broker lets a transaction stay open; longer than `checkpoint_interval`, the same for all Kafka \
             sinks, and at most the broker's `transaction.max.timeout.ms` (15 minutes unless changed).",
        ),
        CONNECTION,
    ],
};

pub(super) static SINK_FILE: Keys = Keys {
    name: "a file sink",
    title: "`[sinks.NAME]` and `[dead_letters]` with `connector = \"file\"`",
    about: "Writes JSON lines to `part-*.jsonl`. Exactly-once: a file is seen under its name only when it is committed.",
    keys: &[key("path", Text, Required, "The folder, relative to the pipeline file. It is made where it is missing.")],
};

pub(super) static SINK_STDOUT: Keys = Keys {
    name: "a stdout sink",
    title: "`[sinks.NAME]` and `[dead_letters]` with `connector = \"stdout\"`",
    about: "Writes lines to standard output as soon as they are made. Not exactly-once: after a failure lines may be \
            repeated.",
    keys: &[],
};

pub(super) static DEAD_LETTERS: Keys = Keys {
    name: "`dead_letters`",
    title: "`[dead_letters]`",
    about: "Where records go that cannot be processed, with the reason, the step and the place that they came from in \
            headers. In Kafka a dead letter's key and value are the record's own; in files and on standard output it is a \
            JSON object with `reason`, `step`, `plugin` (its digest), `topic` (or the file), `partition`, `offset`, `key` and \
            `value` (`key_hex`, `value_hex` where they are no text). The keys of the `connector` stand beside this one.",
    keys: &[key(
        "connector",
        Choice { now: &["kafka", "file", "stdout"], later: &["http"] },
        Required,
        "Where the dead letters go.",
    )],
};

/// Every table, in the order of the reference.
pub(super) static ALL: [&Keys; 19] = [
    &PIPELINE,
    &SOURCE,
    &SOURCE_KAFKA,
    &SOURCE_FILE,
    &SOURCE_GENERATOR,
    &EVENT_TIME,
    &STEP,
    &WINDOW,
    &DEDUPE,
    &TOP,
    &JOIN,
    &WITHIN,
    &EMIT,
    &LIMITS,
    &SINK,
    &SINK_KAFKA,
    &SINK_FILE,
    &SINK_STDOUT,
    &DEAD_LETTERS,
];

/// The keys that each connector adds to a source.
pub(super) static SOURCE_CONNECTORS: [(&str, &Keys); 3] =
    [("kafka", &SOURCE_KAFKA), ("file", &SOURCE_FILE), ("generator", &SOURCE_GENERATOR)];

/// The keys that each connector adds to a sink.
pub(super) static SINK_CONNECTORS: [(&str, &Keys); 3] =
    [("kafka", &SINK_KAFKA), ("file", &SINK_FILE), ("stdout", &SINK_STDOUT)];

impl Expects {
    /// What is expected, for a message.
    pub(super) fn described(&self) -> String {
        fn either(names: &[&str]) -> String {
            format!("one of {}", names.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", "))
        }
        match self {
            Text => "a text".to_owned(),
            Choice { now, .. } => either(now),
            Duration { never: false, .. } => "a duration with its unit such as \"5s\"".to_owned(),
            Duration { never: true, .. } => "a duration with its unit such as \"5s\", or \"never\"".to_owned(),
            SignedDuration => "a duration with its unit such as \"5s\" or \"-5s\"".to_owned(),
            Size { .. } => "a size with its unit such as \"64MiB\"".to_owned(),
            Integer { min, max: i64::MAX } => format!("an integer of at least {min}"),
            Integer { min, max } => format!("an integer from {min} to {max}"),
            Texts => "a list of texts".to_owned(),
            Fields => "a field or a list of fields".to_owned(),
            FieldPairs => "a field, a list of fields, or a table of fields of the left and the right input".to_owned(),
            Table(keys) => format!("a table with {}", super::errors::listed(keys.usable())),
            Map(holds) => format!("a table: {holds}"),
            DurationOr(word) => format!("a duration with its unit such as \"5s\", or \"{word}\""),
            Boolean => "true or false".to_owned(),
            ChoiceOr { now, table } => {
                format!("{}, or a table with {}", either(now), super::errors::listed(table.usable()))
            }
            NotYet(_) => "nothing".to_owned(),
        }
    }
}

impl Keys {
    /// The key `name`.
    pub(super) fn get(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|it| it.name == name)
    }

    /// The names of the keys that this version supports.
    pub(super) fn usable(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keys.iter().filter(|it| !matches!(it.expects, NotYet(_))).map(|it| it.name)
    }
}
