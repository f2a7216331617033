//! `/metrics`, in the text format of Prometheus.

use crate::daemon::Daemon;
use crate::daemon::api::{Figures, PartitionFigures, PipelineStatus, State, StepFigures};
use crate::daemon::status_ready;
use crate::metrics::{self, COMMIT_US, LATENESS_MS, METRICS, Metric};
use axum::extract;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::sync::Arc;

/// Samples, by metric in the order of the table.
struct Samples(Vec<(Metric, String)>);

impl Samples {
    fn add(&mut self, metric: Metric, labels: &[&str], value: f64) {
        let Some((_, text)) = self.0.iter_mut().find(|it| it.0 == metric) else { return };
        let pairs: Vec<_> =
            metric.labels.iter().zip(labels).map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        let _ = writeln!(text, "{}{labels} {value}", metric.name);
    }

    fn add_lateness(&mut self, pipeline: &str, figures: &Figures) {
        let seconds: Vec<f64> = LATENESS_MS.iter().map(|it| *it as f64 / 1e3).collect();
        let up_to = |ms: Option<u64>| ms.map(|ms| ms as f64 / 1e3);
        let found = figures.lateness.iter().map(|it| (up_to(it.up_to_ms), it.records)).collect();
        self.add_histogram(metrics::LATENESS, pipeline, &seconds, found, figures.lateness_sum_ms as f64 / 1e3);
    }

    fn add_commits(&mut self, pipeline: &str, figures: &Figures) {
        let seconds: Vec<f64> = COMMIT_US.iter().map(|it| *it as f64 / 1e6).collect();
        let up_to = |us: Option<u64>| us.map(|us| us as f64 / 1e6);
        let found = figures.commits.iter().map(|it| (up_to(it.up_to_us), it.commits)).collect();
        self.add_histogram(metrics::COMMITS, pipeline, &seconds, found, figures.commits_sum_us as f64 / 1e6);
    }

    /// What was `found` by the bound that it is under, in s; none: above all `bounds`.
    fn add_histogram(
        &mut self,
        metric: Metric,
        pipeline: &str,
        bounds: &[f64],
        found: Vec<(Option<f64>, u64)>,
        sum: f64,
    ) {
        let Some((_, text)) = self.0.iter_mut().find(|it| it.0 == metric) else { return };
        let (name, pipeline) = (metric.name, escape(pipeline));
        let mut bucket = |bound: &str, count: u64| {
            let _ = writeln!(text, "{name}_bucket{{pipeline=\"{pipeline}\",le=\"{bound}\"}} {count}");
        };
        for bound in bounds {
            let within = found.iter().filter(|it| it.0.is_some_and(|it| it <= *bound));
            bucket(&bound.to_string(), within.map(|it| it.1).sum());
        }
        let all = found.iter().map(|it| it.1).sum();
        bucket("+Inf", all);
        let _ = writeln!(text, "{name}_sum{{pipeline=\"{pipeline}\"}} {sum}");
        let _ = writeln!(text, "{name}_count{{pipeline=\"{pipeline}\"}} {all}");
    }

    fn text(self) -> String {
        self.0.into_iter().filter(|it| !it.1.is_empty()).fold(String::new(), |mut out, (metric, samples)| {
            let _ = writeln!(out, "# HELP {} {}", metric.name, metric.help);
            let _ = writeln!(out, "# TYPE {} {}", metric.name, metric.kind.name());
            out + &samples
        })
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All samples of now.
pub(super) async fn scrape(extract::State(daemon): extract::State<Arc<Daemon>>) -> Response {
    let mut samples = Samples(METRICS.iter().map(|it| (*it, String::new())).collect());
    samples.add(metrics::BUILD, &[env!("CARGO_PKG_VERSION")], 1.0);
    samples.add(metrics::PLUGINS, &[], daemon.catalog.len() as f64);
    for (outcome, count) in daemon.uploads() {
        samples.add(metrics::UPLOADS, &[&outcome], count as f64);
    }
    for pipeline in daemon.pipelines.list() {
        add(&mut samples, &pipeline);
    }
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, format)], samples.text()).into_response()
}

fn add(samples: &mut Samples, status: &PipelineStatus) {
    let name = status.name.as_str();
    let one = |yes: bool| if yes { 1.0 } else { 0.0 };
    for state in State::ALL {
        samples.add(metrics::STATE, &[name, state.name()], one(state == status.state));
    }
    samples.add(metrics::READY, &[name], one(status_ready(status)));
    samples.add(metrics::RESTARTS, &[name], status.restarts as f64);
    let figures = &status.figures;
    for (metric, value) in [
        (metrics::RECORDS_IN, figures.records_in),
        (metrics::RECORDS_OUT, figures.records_out),
        (metrics::RECORDS_LATE, figures.late),
        (metrics::DEAD_LETTERS, figures.dead_letters),
        (metrics::RECORDS_DROPPED, figures.dropped),
        (metrics::RECORDS_FILTERED, figures.filtered),
        (metrics::EPOCH, figures.epoch),
        (metrics::STATE_KEYS, figures.state_keys),
        (metrics::STATE_BYTES, figures.state_bytes),
        (metrics::SPILLED_BYTES, figures.spilled_bytes),
    ] {
        samples.add(metric, &[name], value as f64);
    }
    samples.add_lateness(name, figures);
    samples.add_commits(name, figures);
    let ms = |it: Option<u64>| it.map(|ms| ms as f64 / 1e3);
    for (metric, value) in [
        (metrics::LAG, figures.lag.map(|it| it as f64)),
        (metrics::WATERMARK, seconds(figures.watermark_ms)),
        (metrics::CHECKPOINT_SECONDS, ms(figures.checkpoint_ms)),
        (metrics::CHECKPOINT_AGE, ms(figures.checkpoint_age_ms)),
    ] {
        if let Some(value) = value {
            samples.add(metric, &[name], value);
        }
    }
    for (index, worker) in figures.workers.iter().enumerate() {
        let labels = [name, &index.to_string()];
        samples.add(metrics::WORKER_BUSY, &labels, worker.busy);
        samples.add(metrics::WORKER_BACKPRESSURED, &labels, worker.backpressured);
    }
    for source in &figures.sources {
        source.partitions.iter().for_each(|it| add_partition(samples, [name, &source.source], it));
    }
    for step in &figures.steps {
        add_step(samples, name, step);
    }
    for sink in &figures.sinks {
        samples.add(metrics::SINK_OUT, &[name, &sink.sink], sink.records_out as f64);
    }
}

fn add_partition(samples: &mut Samples, [name, source]: [&str; 2], figures: &PartitionFigures) {
    let labels = [name, source, &figures.name()];
    samples.add(metrics::PARTITION_IN, &labels, figures.records_in as f64);
    if let Some(lag) = figures.lag {
        samples.add(metrics::PARTITION_LAG, &labels, lag as f64);
    }
    if let Some(watermark) = seconds(figures.watermark_ms) {
        samples.add(metrics::PARTITION_WATERMARK, &labels, watermark);
    }
}

fn add_step(samples: &mut Samples, name: &str, step: &StepFigures) {
    let labels = [name, step.step.as_str()];
    for (metric, value) in [
        (metrics::STEP_IN, step.records_in as f64),
        (metrics::STEP_OUT, step.records_out as f64),
        (metrics::STEP_REFUSED, step.refused as f64),
        (metrics::STEP_BUSY, step.busy),
        (metrics::STEP_BACKPRESSURED, step.backpressured),
        (metrics::STEP_KEYS, step.state_keys as f64),
        (metrics::STEP_MEMORY, step.memory_bytes as f64),
        (metrics::STEP_SPILLED_KEYS, step.spilled_keys as f64),
    ] {
        samples.add(metric, &labels, value);
    }
    if let Some(plugin) = &step.plugin {
        samples.add(metrics::PLUGIN_CALLS, &labels, plugin.calls as f64);
        samples.add(metrics::PLUGIN_SECONDS, &labels, plugin.busy_ns as f64 / 1e9);
        samples.add(metrics::PLUGIN_MEMORY, &labels, plugin.memory_bytes as f64);
        samples.add(metrics::PLUGIN_RECYCLED, &labels, plugin.instances_replaced as f64);
        for (kind, count) in &plugin.faults {
            samples.add(metrics::PLUGIN_FAULTS, &[name, &step.step, kind], *count as f64);
        }
    }
}

/// Of a watermark that is a time.
fn seconds(watermark_ms: Option<i64>) -> Option<f64> {
    watermark_ms.filter(|it| *it != i64::MAX && *it != i64::MIN).map(|ms| ms as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::api::{CommitTimes, LateRecords};

    #[test]
    fn samples_are_written_in_the_text_format_with_labels_escaped() {
        let mut samples = Samples(METRICS.iter().map(|it| (*it, String::new())).collect());
        samples.add(metrics::STEP_IN, &["a\"b", "c\\d"], 3.0);
        samples.add(metrics::PLUGINS, &[], 2.0);
        expect_test::expect![[r#"
            # HELP wasmill_plugin_versions Versions of plugins in the catalog.
            # TYPE wasmill_plugin_versions gauge
            wasmill_plugin_versions 2
            # HELP wasmill_step_records_in_total Records that the step took.
            # TYPE wasmill_step_records_in_total counter
            wasmill_step_records_in_total{pipeline="a\"b",step="c\\d"} 3
        "#]]
        .assert_eq(&samples.text());
    }

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let mut samples = Samples(METRICS.iter().map(|it| (*it, String::new())).collect());
        let late = |up_to_ms, records| LateRecords { up_to_ms, records };
        let lateness = vec![late(Some(10), 2), late(Some(60_000), 1), late(None, 4)];
        samples.add_lateness("a", &Figures { lateness, lateness_sum_ms: 500_000_250, ..Figures::default() });
        expect_test::expect![[r##"
            # HELP wasmill_record_lateness_seconds How far behind the watermark late records were: by how much `delay` or `allowed_lateness` is too short for them.
            # TYPE wasmill_record_lateness_seconds histogram
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="0.01"} 2
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="0.1"} 2
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="1"} 2
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="10"} 2
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="60"} 3
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="600"} 3
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="3600"} 3
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="86400"} 3
            wasmill_record_lateness_seconds_bucket{pipeline="a",le="+Inf"} 7
            wasmill_record_lateness_seconds_sum{pipeline="a"} 500000.25
            wasmill_record_lateness_seconds_count{pipeline="a"} 7
        "##]].assert_eq(&samples.text());
    }

    #[test]
    fn commits_are_told_in_seconds() {
        let mut samples = Samples(METRICS.iter().map(|it| (*it, String::new())).collect());
        let took = |up_to_us, commits| CommitTimes { up_to_us, commits };
        let commits = vec![took(Some(500), 1), took(Some(5_000), 2), took(None, 1)];
        samples.add_commits("a", &Figures { commits, commits_sum_us: 70_010_500, ..Figures::default() });
        let text = samples.text();
        for line in [
            "_bucket{pipeline=\"a\",le=\"0.0005\"} 1",
            "_bucket{pipeline=\"a\",le=\"0.004\"} 1",
            "_bucket{pipeline=\"a\",le=\"0.005\"} 3",
            "_bucket{pipeline=\"a\",le=\"60\"} 3",
            "_bucket{pipeline=\"a\",le=\"+Inf\"} 4",
            "_sum{pipeline=\"a\"} 70.0105",
            "_count{pipeline=\"a\"} 4",
        ] {
            assert!(text.contains(&format!("\nwasmill_commit_duration_seconds{line}\n")), "{line}\n{text}");
        }
        assert_eq!(text.lines().count(), 2 + COMMIT_US.len() + 3, "{text}");
    }
}
