//! What a running pipeline counts. Workers and the coordinator add once a batch; whoever watches reads when it likes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a scraper sees: the one list of names, kinds and labels. The reference page is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// With the unit at its end, as Prometheus has it.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// What a sample is told apart by.
    pub labels: &'static [&'static str],
    /// What it counts, in a sentence.
    pub help: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, and begins again at 0 when a pipeline or the process is started.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl MetricKind {
    /// As Prometheus has it.
    pub fn name(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const PIPELINE: &[&str] = &["pipeline"];

/// The version that runs.
pub const BUILD: Metric = gauge("wasmill_build_info", &["version"], "Always 1; the label is the version that runs.");
/// Stored versions of plugins.
pub const PLUGINS: Metric = gauge("wasmill_plugin_versions", &[], "Versions of plugins in the catalog.");
/// Uploads.
pub const UPLOADS: Metric = counter(
    "wasmill_plugin_uploads_total",
    &["outcome"],
    "Uploads of plugins by outcome: `stored`, `unchanged`, or the code of the refusal.",
);
/// State of a pipeline.
pub const STATE: Metric = gauge(
    "wasmill_pipeline_state",
    &["pipeline", "state"],
    "1 for the state that the pipeline is in, 0 for the others.",
);
/// Readiness of a pipeline.
pub const READY: Metric =
    gauge("wasmill_pipeline_ready", PIPELINE, "1 where the pipeline is as was asked, otherwise 0.");
/// Starts after a failure.
pub const RESTARTS: Metric =
    counter("wasmill_pipeline_restarts_total", PIPELINE, "Starts of the pipeline after a failure.");
/// Records read.
pub const RECORDS_IN: Metric = counter("wasmill_records_in_total", PIPELINE, "Records read from the sources.");
/// Records written.
pub const RECORDS_OUT: Metric =
    counter("wasmill_records_out_total", PIPELINE, "Records written to the sinks, dead letters apart.");
/// Late records.
pub const RECORDS_LATE: Metric =
    counter("wasmill_records_late_total", PIPELINE, "Records that came after all their windows had closed.");
/// Dead letters.
pub const DEAD_LETTERS: Metric =
    counter("wasmill_dead_letters_total", PIPELINE, "Records written to the dead letters.");
/// Dropped records.
pub const RECORDS_DROPPED: Metric =
    counter("wasmill_records_dropped_total", PIPELINE, "Records dropped because they could not be processed.");
/// Records dropped by conditions.
pub const RECORDS_FILTERED: Metric =
    counter("wasmill_records_filtered_total", PIPELINE, "Records that did not meet the `where` of a step.");
/// Lag.
pub const LAG: Metric =
    gauge("wasmill_lag_records", PIPELINE, "Records still to read; absent where the sources do not know.");
/// Watermark.
pub const WATERMARK: Metric = gauge(
    "wasmill_watermark_timestamp_seconds",
    PIPELINE,
    "The lowest watermark of the steps, since the Unix epoch; absent before the first and at the end of time.",
);
/// Last committed epoch.
pub const EPOCH: Metric = gauge("wasmill_checkpoint_epoch", PIPELINE, "The last committed epoch.");
/// Duration of the last checkpoint.
pub const CHECKPOINT_SECONDS: Metric = gauge(
    "wasmill_checkpoint_duration_seconds",
    PIPELINE,
    "How long the last checkpoint took from barrier to commit; absent before the first.",
);
/// Age of the last checkpoint.
pub const CHECKPOINT_AGE: Metric =
    gauge("wasmill_checkpoint_age_seconds", PIPELINE, "How long ago the last checkpoint was; absent before the first.");
/// Keys in state.
pub const STATE_KEYS: Metric = gauge("wasmill_state_keys", PIPELINE, "Keys held in state, over all steps.");
/// Records into a step.
pub const STEP_IN: Metric =
    counter("wasmill_step_records_in_total", &["pipeline", "step"], "Records that the step took.");
/// Records out of a step.
pub const STEP_OUT: Metric =
    counter("wasmill_step_records_out_total", &["pipeline", "step"], "Records that the step made.");
/// Calls of a step's plugin.
pub const PLUGIN_CALLS: Metric = counter(
    "wasmill_plugin_calls_total",
    &["pipeline", "step"],
    "Calls of the step's plugin, those that failed included.",
);
/// Time in calls of a step's plugin.
pub const PLUGIN_SECONDS: Metric = counter(
    "wasmill_plugin_call_seconds_total",
    &["pipeline", "step"],
    "Time in calls of the step's plugin, over all workers: a call never waits, so it is CPU time where a core is free.",
);
/// Failed calls of a step's plugin.
pub const PLUGIN_FAULTS: Metric = counter(
    "wasmill_plugin_faults_total",
    &["pipeline", "step", "kind"],
    "Calls of the step's plugin that failed: `deadline`, `memory`, `output`, `trap`, `refused` or `answer`. One bad record is found by several.",
);
/// Memory of a step's plugin.
pub const PLUGIN_MEMORY: Metric = gauge(
    "wasmill_plugin_memory_bytes",
    &["pipeline", "step"],
    "Linear memory of the instances of the step's plugin, over all workers.",
);
/// Instances thrown away.
pub const PLUGIN_RECYCLED: Metric = counter(
    "wasmill_plugin_instances_replaced_total",
    &["pipeline", "step"],
    "Instances of the step's plugin that were thrown away after a fault or because their memory had grown.",
);
/// Records to a sink.
pub const SINK_OUT: Metric =
    counter("wasmill_sink_records_out_total", &["pipeline", "sink"], "Records written to the sink.");

/// All metrics, in the order in which they are written.
pub const METRICS: [Metric; 26] = [
    BUILD,
    PLUGINS,
    UPLOADS,
    STATE,
    READY,
    RESTARTS,
    RECORDS_IN,
    RECORDS_OUT,
    RECORDS_LATE,
    DEAD_LETTERS,
    RECORDS_DROPPED,
    RECORDS_FILTERED,
    LAG,
    WATERMARK,
    EPOCH,
    CHECKPOINT_SECONDS,
    CHECKPOINT_AGE,
    STATE_KEYS,
    STEP_IN,
    STEP_OUT,
    PLUGIN_CALLS,
    PLUGIN_SECONDS,
    PLUGIN_FAULTS,
    PLUGIN_MEMORY,
    PLUGIN_RECYCLED,
    SINK_OUT,
];

/// The reference page of the metrics, Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n`GET /metrics` answers these in the text format of Prometheus. The page is made of the table in \
         `host/src/metrics.rs`.\n\n| name | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for Metric { name, kind, labels, help } in METRICS {
        let labels: Vec<_> = labels.iter().map(|it| format!("`{it}`")).collect();
        page.push_str(&format!("| `{name}` | {} | {} | {help} |\n", kind.name(), labels.join(", ")));
    }
    page
}

/// The counters of one pipeline, shared by its threads. Plain atomics, written once a batch.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records read.
    pub records_in: AtomicU64,
    /// Records written to sinks, dead letters apart.
    pub records_out: AtomicU64,
    /// Records that came after all their windows had closed.
    pub late: AtomicU64,
    /// How far behind the watermark they were.
    pub lateness: Lateness,
    /// Records written to the dead letters.
    pub dead_letters: AtomicU64,
    /// Records dropped as `bad_records = "drop"` says.
    pub dropped: AtomicU64,
    /// Records that no condition of a step let pass.
    pub filtered: AtomicU64,
    /// Records between what was read and the end of the sources; -1 where unknown.
    pub lag: AtomicI64,
    /// The lowest watermark of the steps, ms since the Unix epoch; `i64::MIN` before the first.
    pub watermark: AtomicI64,
    /// The last committed epoch.
    pub epoch: AtomicU64,
    /// How long the last checkpoint took from barrier to commit, ms.
    pub checkpoint_ms: AtomicU64,
    /// When the last checkpoint committed, ms since the process's start; 0 before the first.
    pub checkpoint_at_ms: AtomicU64,
    /// Keys held in state, over all steps and workers.
    pub state_keys: AtomicU64,
    /// Records in and out of each step, by step.
    pub per_step: Vec<(AtomicU64, AtomicU64)>,
    /// What the plugin of each step did, by step.
    pub per_plugin: Vec<PluginCounters>,
    /// Records written to each sink, by sink.
    pub per_sink: Vec<AtomicU64>,
    /// What the pipeline is doing or waiting for, where that is not plain running.
    pub status: Mutex<Option<String>>,
}

/// What a step's plugin did, over all workers. Written once a checkpoint.
#[derive(Debug, Default)]
pub struct PluginCounters {
    /// Calls.
    pub calls: AtomicU64,
    /// Time in calls, ns.
    pub busy_ns: AtomicU64,
    /// Calls that failed, in the order of [`FAULTS`].
    pub faults: [AtomicU64; FAULTS.len()],
    /// Linear memory, bytes.
    pub memory_bytes: AtomicU64,
    /// Instances thrown away.
    pub replaced: AtomicU64,
}

/// Kinds of faults of a plugin, as the label `kind` says them.
pub const FAULTS: [&str; 6] = ["deadline", "memory", "output", "trap", "refused", "answer"];

/// What one instance did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginWork {
    /// Calls.
    pub calls: u64,
    /// Time in calls.
    pub busy: Duration,
    /// Calls that failed, in the order of [`FAULTS`].
    pub faults: [u64; FAULTS.len()],
    /// Linear memory, bytes.
    pub memory_bytes: u64,
    /// Instances thrown away.
    pub replaced: u64,
}

impl PluginCounters {
    /// Adds what one worker's instance has done since `last`.
    pub fn add(&self, last: &PluginWork, now: &PluginWork) {
        self.calls.fetch_add(now.calls - last.calls, Relaxed);
        self.busy_ns.fetch_add((now.busy - last.busy).as_nanos() as u64, Relaxed);
        self.replaced.fetch_add(now.replaced - last.replaced, Relaxed);
        for (count, (now, last)) in self.faults.iter().zip(now.faults.iter().zip(&last.faults)) {
            count.fetch_add(now - last, Relaxed);
        }
        // Less is more of the rest of the ring.
        self.memory_bytes.fetch_add(now.memory_bytes.wrapping_sub(last.memory_bytes), Relaxed);
    }
}

impl Counters {
    /// Zeroes for so many steps and sinks.
    pub fn new(steps: usize, sinks: usize) -> Self {
        let counters = Counters {
            per_step: (0..steps).map(|_| Default::default()).collect(),
            per_plugin: (0..steps).map(|_| Default::default()).collect(),
            per_sink: (0..sinks).map(|_| Default::default()).collect(),
            ..Counters::default()
        };
        counters.watermark.store(i64::MIN, Relaxed);
        counters
    }

    /// Says what the pipeline is doing; none for plain running.
    pub fn set_status(&self, status: Option<String>) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// A reading, `now_ms` after the process's start.
    pub fn progress(&self, now_ms: u64) -> Progress {
        let checkpoint_at_ms = self.checkpoint_at_ms.load(Relaxed);
        let done = checkpoint_at_ms > 0;
        Progress {
            records_in: self.records_in.load(Relaxed),
            records_out: self.records_out.load(Relaxed),
            late: self.late.load(Relaxed),
            lateness: self.lateness.counts(),
            dead_letters: self.dead_letters.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            lag: u64::try_from(self.lag.load(Relaxed)).ok(),
            watermark: Some(self.watermark.load(Relaxed)).filter(|it| *it != i64::MIN),
            epoch: self.epoch.load(Relaxed),
            checkpoint_ms: done.then(|| self.checkpoint_ms.load(Relaxed)),
            checkpoint_age_ms: done.then(|| now_ms.saturating_sub(checkpoint_at_ms)),
            state_keys: self.state_keys.load(Relaxed),
            status: self.status.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Upper bounds of the buckets of [`Lateness`], ms; what is later is in one more.
pub const LATENESS_MS: [u64; 8] = [10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000];

/// How late records were that came too late, as a histogram. It says how much longer `delay` or `allowed_lateness` would have to be
/// for how many records.
#[derive(Debug, Default)]
pub struct Lateness([AtomicU64; LATENESS_MS.len() + 1]);

impl Lateness {
    /// Records so many ms behind the watermark.
    pub fn add(&self, behind_ms: &[u64]) {
        for behind_ms in behind_ms {
            let bucket = LATENESS_MS.partition_point(|it| it < behind_ms);
            if let Some(count) = self.0.get(bucket) {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// How many were at most as late as each bound and later than the one before; the last: later than all.
    pub fn counts(&self) -> [u64; LATENESS_MS.len() + 1] {
        std::array::from_fn(|it| self.0[it].load(Relaxed))
    }
}

/// A reading of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records read.
    pub records_in: u64,
    /// Records written to sinks, dead letters apart.
    pub records_out: u64,
    /// Records that came after all their windows had closed.
    pub late: u64,
    /// How late they were: see [`Lateness::counts`].
    pub lateness: [u64; LATENESS_MS.len() + 1],
    /// Records written to the dead letters.
    pub dead_letters: u64,
    /// Bad records dropped.
    pub dropped: u64,
    /// Records that the conditions of steps dropped.
    pub filtered: u64,
    /// Records still to read, where the sources know.
    pub lag: Option<u64>,
    /// The lowest watermark of the steps, ms since the Unix epoch; none before the first.
    pub watermark: Option<i64>,
    /// The last committed epoch; 0 before the first.
    pub epoch: u64,
    /// How long the last checkpoint took, ms.
    pub checkpoint_ms: Option<u64>,
    /// How long ago it was, ms.
    pub checkpoint_age_ms: Option<u64>,
    /// Keys held in state.
    pub state_keys: u64,
    /// What the pipeline is doing or waiting for, where that is not plain running.
    pub status: Option<String>,
}

/// What a pipeline did, when it has ended well.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The last reading.
    pub progress: Progress,
    /// From start to end.
    pub elapsed: Duration,
    /// Records written, by sink.
    pub per_sink: Vec<(String, u64)>,
    /// Records in and out, by step.
    pub per_step: Vec<(String, u64, u64)>,
    /// Why it ended: `end of input`, `stopped`.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_that_of_the_table() {
        expect_test::expect_file!["../../docs/reference/metrics.md"].assert_eq(&reference());
    }

    #[test]
    fn dashboards_and_alerts_name_only_metrics_that_there_are() {
        for file in ["grafana/wasmill.json", "prometheus/wasmill.rules.yml"] {
            let path = format!("{}/../packaging/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap();
            let letter = |it: char| it.is_ascii_lowercase() || it == '_';
            let words = text.split(|it| !letter(it)).filter(|it| it.starts_with("wasmill_"));
            let unknown: Vec<_> = words.filter(|word| METRICS.iter().all(|it| it.name != *word)).collect();
            assert!(unknown.is_empty(), "{file}: {unknown:?}");
            assert!(text.contains("wasmill_pipeline_ready"), "{file}");
        }
    }

    #[test]
    fn names_say_their_kind_as_prometheus_wants_it() {
        for Metric { name, kind, .. } in METRICS {
            assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
        }
    }
}
