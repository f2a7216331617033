//! A pipeline as checked: every default filled in, every name resolved, every duration in milliseconds.
//!
//! Only [`super::check`] makes one, so the rest of the host never meets a half-valid pipeline.

use super::condition::Condition;
use crate::batch::TopicPartition;
use crate::column::Kind;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A whole pipeline file.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// The pipeline's name: part of its transactional id, group and data directory.
    pub name: String,
    /// What a reader of the output may rely on.
    pub delivery: Delivery,
    /// Time between two barriers, ms; at least 1.
    pub checkpoint_interval_ms: u64,
    /// Rows in a batch at most; 1 to 65,536.
    pub batch_rows_max: usize,
    /// What its state may take of memory, bytes, over all workers; none for any amount.
    pub memory: Option<u64>,
    /// What becomes of records that cannot be processed.
    pub bad_records: BadRecords,
    /// Sources in the order of the file. A source's index is its id.
    pub sources: Vec<Source>,
    /// Steps in an order in which each comes after what it reads from.
    pub steps: Vec<Step>,
    /// Sinks in the order of the file.
    pub sinks: Vec<Sink>,
    /// Where rejected and poisonous records go.
    pub dead_letters: Option<Sink>,
}

/// `delivery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each record counts once in committed output and state.
    ExactlyOnce,
    /// Nothing is lost; after a failure output may be repeated.
    AtLeastOnce,
}

/// `bad_records`: default `dead-letter` where there are `dead_letters`, else `stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRecords {
    /// Written to the dead letters.
    DeadLetter,
    /// The pipeline stops before it, with exit code 65.
    Stop,
    /// Counted and dropped.
    Drop,
}

/// What a step or sink reads: `from = "name"` or `"name.port"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Index into `sources`.
    Source(usize),
    /// Index into `steps`, and the name of the port (none for the default output).
    Step(usize, Option<String>),
}

/// A source and what is read out of its records.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name in the file.
    pub name: String,
    /// Where the records come from.
    pub connector: SourceConnector,
    /// How a record's value is decoded.
    pub format: Format,
    /// Whether its records are changes of a table's rows in Debezium's envelope.
    pub changes: bool,
    /// Whether it is read up to its present end before any other source is.
    pub first: bool,
    /// Declared kinds, by field.
    pub schema: Vec<(Arc<str>, Kind)>,
    /// Where a record's event time comes from.
    pub event_time: EventTimeOptions,
}

impl Source {
    /// The topic of a partition, where several are read.
    pub fn topic(&self, partition: i32) -> Option<&str> {
        match &self.connector {
            SourceConnector::Kafka(options) if !options.more_topics.is_empty() => {
                options.topics().nth(TopicPartition::of(partition).topic)
            }
            _ => None,
        }
    }
}

/// `connector` of a source with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceConnector {
    /// Kafka topics.
    Kafka(KafkaOptions),
    /// JSON lines in files.
    File {
        /// A path, a folder (every `*.jsonl` and `*.json` in it) or a glob, resolved against the pipeline file's folder.
        path: String,
    },
    /// Records made from a seed.
    Generator {
        /// `transactions`, `orders`, `sensors`, `rides` or `nexmark`.
        kind: GeneratorKind,
        /// Same seed, same bytes.
        seed: u64,
        /// Records a second, all partitions together; none for as fast as they are taken.
        rate: Option<u64>,
        /// Records in all; none for no end.
        count: Option<u64>,
        /// Partitions to spread them over; record `i` is in partition `i % partitions` at offset `i / partitions`.
        partitions: u32,
    },
}

/// `kind` of a generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratorKind {
    /// Card transactions of some thousand customers, a few of them fraudulent.
    Transactions,
    /// Orders of a shop.
    Orders,
    /// Device temperatures.
    Sensors,
    /// Ride requests with a geo cell.
    Rides,
    /// Nexmark's persons, auctions and bids.
    Nexmark,
}

/// A topic and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOptions {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Those that are read beside it (sources only).
    pub more_topics: Vec<String>,
    /// Where a partition without a committed position starts (sources only).
    pub start: KafkaStart,
    /// Which reader reads (sources only).
    pub fetch: Fetch,
    /// Bytes that the native reader asks for at once; none for the best. Not a key of the file: tests ask for few.
    pub fetch_bytes_max: Option<i32>,
    /// Which producer writes (sinks only).
    pub produce: Produce,
    /// Codec of written batches (sinks only): `none`, `lz4`, `zstd`, `gzip` or `snappy`.
    pub compression: String,
    /// How long to wait for the broker at start, ms.
    pub wait_ms: u64,
    /// How long the broker lets a transaction stay open, ms.
    pub transaction_timeout_ms: u64,
    /// Further properties of the client: those of a named connection.
    pub properties: ClientProperties,
}

impl KafkaOptions {
    /// All topics that are read, in the order of the file.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.topic).chain(&self.more_topics).map(String::as_str)
    }

    /// The way to one of several topics alone.
    pub fn of_topic(&self, topic: &str) -> Self {
        KafkaOptions { topic: topic.to_owned(), more_topics: Vec::new(), ..self.clone() }
    }
}

/// Properties of the Kafka client by name. Values may be credentials, so they are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientProperties(pub Vec<(String, String)>);

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|it| &it.0)).finish()
    }
}

impl ClientProperties {
    /// `settings` and then these, as a client takes them.
    pub fn after<'a>(&'a self, settings: impl IntoIterator<Item = (&'a str, String)>) -> Vec<(&'a str, String)> {
        let own = self.0.iter().map(|(name, value)| (name.as_str(), value.clone()));
        settings.into_iter().chain(own).collect()
    }
}

/// `start` of a Kafka source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaStart {
    /// The oldest record kept.
    Earliest,
    /// Records that arrive from now on.
    Latest,
}

/// `fetch` of a Kafka source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The native reader where it can, else librdkafka.
    Auto,
    /// The native reader, or an error.
    Native,
    /// librdkafka.
    Librdkafka,
}

/// `produce` of a Kafka sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produce {
    /// The native producer where it can, else librdkafka.
    Auto,
    /// The native producer, or an error.
    Native,
    /// librdkafka.
    Librdkafka,
}

/// `format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a record.
    Json,
    /// Bytes that are passed on as they are.
    Raw,
}

/// `event_time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTimeOptions {
    /// The field that holds it; none for the record's own timestamp.
    pub field: Option<Arc<str>>,
    /// How the field is written.
    pub format: TimeFormat,
    /// How far records may be out of order, ms: the watermark is `max_ts - delay - 1`.
    pub delay_ms: i64,
    /// A partition without records for so long no longer holds the watermark back, ms; none for never.
    pub idle_timeout_ms: Option<u64>,
    /// How far ahead of the slowest partition of the sources that say so its partitions are read, ms; none for as far as they go.
    pub drift_ms_max: Option<i64>,
    /// What becomes of late records of every step after this source that does not say otherwise.
    pub late: Late,
}

/// `event_time.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Milliseconds since the Unix epoch.
    EpochMs,
    /// Seconds since the Unix epoch, an integer or a fraction.
    EpochS,
    /// Microseconds since the Unix epoch.
    EpochUs,
    /// RFC 3339, with an offset.
    Rfc3339,
}

/// `late`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Counted and dropped.
    Drop,
    /// Written to the dead letters (needs `dead_letters`).
    DeadLetter,
    /// Passed on, unchanged, by the step's output `late`.
    SideOutput,
}

/// A step: a plugin or a built-in window.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name in the file.
    pub name: String,
    /// What it reads.
    pub from: Input,
    /// The fields that make its key; empty for none (a window without a key is one key for all).
    pub key: Vec<Arc<str>>,
    /// Which records it reads; none for all.
    pub condition: Option<Condition>,
    /// What it does.
    pub operation: Operation,
    /// Which fields go on, under which names (`new name`, `field`); none for all.
    pub select: Option<Vec<(Arc<str>, Arc<str>)>>,
    /// What becomes of records that are too late for it.
    pub late: Late,
    /// How long after the last record of a key the state of a keyed plugin is kept, ms of event time; none for ever.
    pub state_ttl_ms: Option<i64>,
    /// Whether its windows are by the time at which records come to it, and not by theirs.
    pub processing_time: bool,
}

impl Step {
    /// The other input of a step that has two.
    pub fn with(&self) -> Option<&Input> {
        match &self.operation {
            Operation::Join(join) | Operation::Tables(Tables { part: TablesPart::Matches, join, .. }) => {
                Some(&join.with)
            }
            _ => None,
        }
    }

    /// True where what it does with a record depends on those before it.
    pub fn keeps_state(&self) -> bool {
        match &self.operation {
            Operation::Plugin(_) | Operation::Select => !self.key.is_empty(),
            Operation::Window { .. } | Operation::Join(_) | Operation::Tables(_) | Operation::Dedupe { .. } => true,
        }
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `plugin` without a `window`: a transform, or a keyed plugin (which wants a `key`).
    Plugin(PluginOptions),
    /// `window` with `aggregate`.
    Window {
        /// The assigner.
        window: Window,
        /// Built-in aggregates by output name, or an aggregate plugin.
        fold: Fold,
        /// When results are written.
        emit: Emit,
    },
    /// `join`: two inputs become one.
    Join(Join),
    /// One of the three parts of a `join` of two tables.
    Tables(Tables),
    /// `dedupe`: of records of a key less than this far apart in event time only the first to come goes on.
    Dedupe {
        /// ms, at least 1.
        within_ms: i64,
    },
    /// Neither plugin nor window: only `select` or `where`.
    Select,
}

/// `join`. The step's `from` is its left input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Its right input.
    pub with: Input,
    /// The fields that must be equal, of the left and of the right input; at least one pair.
    pub on: Vec<(Arc<str>, Arc<str>)>,
    /// Whether rows of the left and of the right input go on without a match.
    pub keeps: [bool; 2],
    /// Which rows of a key match.
    pub kind: JoinKind,
    /// The fields of the left input that are its own key, where that is a table; otherwise empty.
    pub key: Vec<Arc<str>>,
}

/// A part of a `join` of two tables, which is a step of its own: what it needs is elsewhere than what the others need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Which part.
    pub part: TablesPart,
    /// The left table: what the first part reads.
    pub left: Input,
    /// The whole join; the second part reads what it is `with`.
    pub join: Join,
}

/// The parts of a join of two tables, in the order in which they read each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TablesPart {
    /// The left table by its own key.
    Changes,
    /// Both tables by the foreign key.
    Matches,
    /// The result by the left table's key.
    Results,
}

/// Which rows of a key a join matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// A left row at `t` and right rows in `[t - before, t + after]`; either may be negative.
    Within {
        /// ms.
        before_ms: i64,
        /// ms.
        after_ms: i64,
    },
    /// Left and right rows that are in the same window.
    Window(JoinWindow),
    /// Each left row with the right row that was the newest at its time.
    AsOf,
    /// Each left row with the right row that is the newest when it arrives.
    Latest,
    /// The row of each left key with the right row that it names, whenever one of the two changes.
    Tables,
}

impl JoinKind {
    /// True where the right input is a table, and its records are the values of their keys.
    pub fn has_table(self) -> bool {
        match self {
            JoinKind::Within { .. } | JoinKind::Window(_) => false,
            JoinKind::AsOf | JoinKind::Latest | JoinKind::Tables => true,
        }
    }
}

/// The windows of a join of two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinWindow {
    /// A window of `size` every `slide`; end to end where the two are the same.
    Aligned {
        /// Length, ms.
        size_ms: i64,
        /// Distance between two starts, ms; at most the length.
        slide_ms: i64,
        /// Shift of the starts, ms, `0 <= offset < slide`.
        offset_ms: i64,
    },
    /// Rows of a key, of both inputs, closer than `gap` to each other.
    Session {
        /// Silence that ends a session, ms.
        gap_ms: i64,
    },
}

/// A plugin and what it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginOptions {
    /// The component's file, resolved against the pipeline file's folder.
    pub path: PathBuf,
    /// The step's `config` as JSON text; `{}` where there is none.
    pub config: String,
    /// The step's `limits`.
    pub limits: PluginLimits,
}

/// What one call and one instance of a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Wall time of one call, ms.
    pub call_ms_max: u64,
    /// Linear memory of an instance, bytes; a guest that asks for more is refused it.
    pub memory_bytes_max: usize,
    /// Output rows of one call for each input row, plus 1,024.
    pub output_rows_per_row_max: usize,
    /// Output bytes of one call.
    pub output_bytes_max: usize,
    /// Log lines of one call.
    pub log_lines_max: u32,
}

impl Default for PluginLimits {
    fn default() -> Self {
        PluginLimits {
            call_ms_max: 5_000,
            memory_bytes_max: 256 << 20,
            output_rows_per_row_max: 64,
            output_bytes_max: 64 << 20,
            log_lines_max: 100,
        }
    }
}

/// `window`. Sizes are in ms of event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// `[k * size + offset, (k + 1) * size + offset)`.
    Tumbling {
        /// Length.
        size_ms: i64,
        /// Shift of the starts, `0 <= offset < size`.
        offset_ms: i64,
    },
    /// A window of `size` every `slide`; `slide <= size`.
    Hopping {
        /// Length.
        size_ms: i64,
        /// Distance between two starts.
        slide_ms: i64,
        /// Shift of the starts, `0 <= offset < slide`.
        offset_ms: i64,
    },
    /// Records of a key closer than `gap` to each other.
    Session {
        /// Silence that ends a session.
        gap_ms: i64,
        /// True where a distance of exactly the gap joins; otherwise it splits.
        touching: bool,
        /// The field with a record's own gap, ms; where it is null, `gap_ms` holds.
        gap_field: Option<Arc<str>>,
    },
    /// Days, weeks (from Monday), months or years of a time zone.
    Calendar {
        /// Which.
        unit: CalendarUnit,
        /// The zone's name in the IANA database.
        zone: Arc<str>,
    },
    /// The last `records` records of a key, whenever `every` more have come.
    Count {
        /// How many a window has.
        records: u64,
        /// How many more make the next one; `1 <= every <= records`.
        every: u64,
    },
    /// All records of a key, until the end of time.
    Global,
    /// For every record, the records of its key seen so far in `(t - size, t]`.
    Rolling {
        /// Length.
        size_ms: i64,
    },
    /// Every set of records of a key that are at most so far apart; both ends belong to it.
    Sliding {
        /// ms.
        difference_ms: i64,
    },
}

impl Window {
    /// Sessions that a silence of `gap_ms` ends, for every record the same.
    pub fn session(gap_ms: i64) -> Self {
        Window::Session { gap_ms, touching: false, gap_field: None }
    }
}

/// `window.calendar`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarUnit {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first to the first.
    Month,
    /// From the first of January.
    Year,
}

/// What a window computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fold {
    /// `aggregate = { name = "sum(field)" }`.
    Builtin(Vec<Aggregate>),
    /// `plugin = ...` beside `window`.
    Plugin(PluginOptions),
    /// `top`: the best records of each window.
    Top(Top),
}

/// `top`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// How many records, 1 to 10,000.
    pub k: usize,
    /// The field that ranks them.
    pub by: Arc<str>,
    /// Whether the largest are best.
    pub largest: bool,
}

/// One built-in aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// The output field.
    pub name: Arc<str>,
    /// What is computed.
    pub function: Function,
    /// Over which field; none for `count()`.
    pub field: Option<Arc<str>>,
}

/// The built-in aggregates. All but `count()` skip nulls; over no values they are null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The value of the earliest record, by event time; of several, the first that came.
    First,
    /// The value of the latest record, by event time; of several, the last that came.
    Last,
    /// How many different values there are.
    Distinct,
    /// All values, as a list.
    Collect,
    /// The value that so many thousandths of a percent of all values are at most: within 1 % of it.
    Percentile {
        /// 0 to 100,000; 99,900 is the 99.9th percentile.
        thousandths: u32,
    },
    /// Records.
    Count,
    /// Sum; an integer over integers alone (wrapping to a float where it overflows 64 bits).
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Mean, always a float.
    Avg,
}

/// `emit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Once, when the watermark reaches the window's last millisecond.
    OnClose,
    /// After every record.
    OnUpdate,
    /// The rows changed since the last time, every so often of processing time, and a last time when they close.
    Every {
        /// The interval, ms.
        interval_ms: u64,
    },
    /// As often as these rules say; each window remembers what it wrote.
    Repeatedly(Firing),
}

/// When a window that may write several results (*panes*) does so, and what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Before it closes: after so many records since the last pane; at least 1.
    pub records: Option<u64>,
    /// Before it closes: when the watermark passes a multiple of so many ms.
    pub event_time_ms: Option<i64>,
    /// Before it closes: after so much processing time, ms.
    pub every_ms: Option<u64>,
    /// After it closed.
    pub late: LatePanes,
    /// Panes that are due are written although nothing came since the last one, and one when the window expires.
    pub unchanged: bool,
    /// What is in a pane.
    pub accumulate: Accumulate,
    /// For how long after its close a window accepts records, ms; `i64::MAX` for ever.
    pub lateness_ms: i64,
    /// Every result is all windows that are held, and not those that changed.
    pub complete: bool,
    /// Rows say which pane of their window they are.
    pub panes: bool,
    /// Rows have key and bounds as their record's key, and one that no longer holds is followed by a tombstone.
    pub upsert: bool,
}

impl Firing {
    /// Once, when the window closes.
    pub const ON_CLOSE: Firing = Firing {
        records: None,
        event_time_ms: None,
        every_ms: None,
        late: LatePanes::PerRecord,
        unchanged: false,
        accumulate: Accumulate::Accumulating,
        lateness_ms: 0,
        complete: false,
        panes: false,
        upsert: false,
    };
}

/// `emit.late`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatePanes {
    /// A pane after each late record.
    PerRecord,
    /// One pane with all of them when the window expires.
    AtExpiry,
}

/// `accumulate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// All records of the window so far.
    Accumulating,
    /// Those since the last pane.
    Discarding,
    /// All so far, after a row that takes the last pane back.
    Retracting,
}

/// A sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Sink {
    /// Its name in the file; `dead_letters` for that table.
    pub name: String,
    /// What it reads. Unused for dead letters.
    pub from: Input,
    /// Where the records go.
    pub connector: SinkConnector,
    /// How they are written.
    pub format: Format,
    /// Which fields are written, under which names (`new name`, `field`); none for all.
    pub select: Option<Vec<(Arc<str>, Arc<str>)>>,
    /// Whether a header says which plugins a record passed.
    pub lineage: bool,
}

/// `connector` of a sink with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkConnector {
    /// A Kafka topic.
    Kafka(KafkaOptions),
    /// `part-*.jsonl` files under a folder, visible only when committed.
    File {
        /// The folder, resolved against the pipeline file's.
        path: PathBuf,
    },
    /// Lines on standard output, as soon as they are made.
    Stdout,
}
