//! What a running pipeline counts. Workers and the coordinator add once a batch; whoever watches reads when it likes.

mod commits;
mod counters;
mod lateness;
mod view;

pub use commits::{COMMIT_US, Commits, CommitsRead};
pub use counters::{Counters, FAULTS, PluginCounters, PluginWork, Progress, Summary};
pub use lateness::{LATENESS_MS, Lateness, LatenessRead};
pub use view::{PartitionView, StepView, View, Views, WorkerView};

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
    /// Counts values by size: `_bucket` with the label `le`, `_sum` and `_count`.
    Histogram,
}

impl MetricKind {
    /// As Prometheus has it.
    pub fn name(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
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
/// How late the late records were.
pub const LATENESS: Metric = Metric {
    name: "wasmill_record_lateness_seconds",
    kind: MetricKind::Histogram,
    labels: PIPELINE,
    help: "How far behind the watermark late records were: by how much `delay` or `allowed_lateness` is too short for them.",
};
/// Dead letters.
pub const DEAD_LETTERS: Metric =
    counter("wasmill_dead_letters_total", PIPELINE, "Records written to the dead letters.");
/// Dropped records.
pub const RECORDS_DROPPED: Metric =
    counter("wasmill_records_dropped_total", PIPELINE, "Records dropped because they could not be processed.");
/// Records dropped by conditions.
pub const RECORDS_FILTERED: Metric = counter(
    "wasmill_records_filtered_total",
    PIPELINE,
    "Records that did not meet the `where` of a step, that repeated another in `dedupe`, or that had nothing to join by.",
);
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
/// How long commits took.
pub const COMMITS: Metric = Metric {
    name: "wasmill_commit_duration_seconds",
    kind: MetricKind::Histogram,
    labels: PIPELINE,
    help: "How long commits took, from when all workers had sealed their state until output, positions and state were committed; workers go on meanwhile.",
};
/// Keys in state.
pub const STATE_KEYS: Metric = gauge("wasmill_state_keys", PIPELINE, "Keys held in state, over all steps.");
/// Size of the state.
pub const STATE_BYTES: Metric =
    gauge("wasmill_state_bytes", PIPELINE, "The files of the last checkpoint: what a restart reads.");
/// State that does not fit into memory.
pub const SPILLED_BYTES: Metric =
    gauge("wasmill_spilled_bytes", PIPELINE, "What state takes on the disk because it does not fit into `memory`.");
/// Work of a worker.
pub const WORKER_BUSY: Metric = gauge(
    "wasmill_worker_busy_ratio",
    &["pipeline", "worker"],
    "The share of the last seconds in which the worker worked, 0 to 1.",
);
/// Backpressure of a worker.
pub const WORKER_BACKPRESSURED: Metric = gauge(
    "wasmill_worker_backpressured_ratio",
    &["pipeline", "worker"],
    "The share of the last seconds in which the worker waited for room in a queue or for a commit, 0 to 1.",
);
/// Records of a partition.
pub const PARTITION_IN: Metric = counter(
    "wasmill_partition_records_in_total",
    &["pipeline", "source", "partition"],
    "Records read from the partition.",
);
/// Lag of a partition.
pub const PARTITION_LAG: Metric = gauge(
    "wasmill_partition_lag_records",
    &["pipeline", "source", "partition"],
    "Records still to read of the partition; absent where the source does not know.",
);
/// Watermark of a partition.
pub const PARTITION_WATERMARK: Metric = gauge(
    "wasmill_partition_watermark_timestamp_seconds",
    &["pipeline", "source", "partition"],
    "The partition's own watermark, since the Unix epoch; absent before its first record.",
);
/// Refused records of a step.
pub const STEP_REFUSED: Metric =
    counter("wasmill_step_records_refused_total", &["pipeline", "step"], "Records that the step could not process.");
/// Work of a step.
pub const STEP_BUSY: Metric = gauge(
    "wasmill_step_busy_ratio",
    &["pipeline", "step"],
    "The share of the workers' last seconds in which the step worked, 0 to 1.",
);
/// Backpressure of a step.
pub const STEP_BACKPRESSURED: Metric = gauge(
    "wasmill_step_backpressured_ratio",
    &["pipeline", "step"],
    "The share of the workers' last seconds in which what the step made waited for room further on, 0 to 1.",
);
/// Keys of a step.
pub const STEP_KEYS: Metric =
    gauge("wasmill_step_state_keys", &["pipeline", "step"], "Keys that the step held at the last checkpoint.");
/// Memory of a step.
pub const STEP_MEMORY: Metric =
    gauge("wasmill_step_state_memory_bytes", &["pipeline", "step"], "What the step's state takes of memory, about.");
/// Keys of a step that are not in memory.
pub const STEP_SPILLED_KEYS: Metric = gauge(
    "wasmill_step_spilled_keys",
    &["pipeline", "step"],
    "Keys of the step's state that are on the disk because they do not fit into `memory`.",
);
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
pub const METRICS: [Metric; 41] = [
    BUILD,
    PLUGINS,
    UPLOADS,
    STATE,
    READY,
    RESTARTS,
    RECORDS_IN,
    RECORDS_OUT,
    RECORDS_LATE,
    LATENESS,
    DEAD_LETTERS,
    RECORDS_DROPPED,
    RECORDS_FILTERED,
    LAG,
    WATERMARK,
    EPOCH,
    CHECKPOINT_SECONDS,
    CHECKPOINT_AGE,
    COMMITS,
    STATE_KEYS,
    STATE_BYTES,
    SPILLED_BYTES,
    WORKER_BUSY,
    WORKER_BACKPRESSURED,
    PARTITION_IN,
    PARTITION_LAG,
    PARTITION_WATERMARK,
    STEP_IN,
    STEP_OUT,
    STEP_REFUSED,
    STEP_BUSY,
    STEP_BACKPRESSURED,
    STEP_KEYS,
    STEP_MEMORY,
    STEP_SPILLED_KEYS,
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
