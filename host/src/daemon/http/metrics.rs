//! `/metrics`, in the text format of Prometheus.

use crate::daemon::Daemon;
use crate::daemon::api::{PipelineStatus, State};
use crate::daemon::status_ready;
use crate::metrics::{self, METRICS, Metric};
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
    ] {
        samples.add(metric, &[name], value as f64);
    }
    let ms = |it: Option<u64>| it.map(|ms| ms as f64 / 1e3);
    let watermark = figures.watermark_ms.filter(|it| *it != i64::MAX && *it != i64::MIN).map(|ms| ms as f64 / 1e3);
    for (metric, value) in [
        (metrics::LAG, figures.lag.map(|it| it as f64)),
        (metrics::WATERMARK, watermark),
        (metrics::CHECKPOINT_SECONDS, ms(figures.checkpoint_ms)),
        (metrics::CHECKPOINT_AGE, ms(figures.checkpoint_age_ms)),
    ] {
        if let Some(value) = value {
            samples.add(metric, &[name], value);
        }
    }
    for step in &figures.steps {
        samples.add(metrics::STEP_IN, &[name, &step.step], step.records_in as f64);
        samples.add(metrics::STEP_OUT, &[name, &step.step], step.records_out as f64);
        let Some(plugin) = &step.plugin else { continue };
        let labels = [name, step.step.as_str()];
        samples.add(metrics::PLUGIN_CALLS, &labels, plugin.calls as f64);
        samples.add(metrics::PLUGIN_SECONDS, &labels, plugin.busy_ns as f64 / 1e9);
        samples.add(metrics::PLUGIN_MEMORY, &labels, plugin.memory_bytes as f64);
        samples.add(metrics::PLUGIN_RECYCLED, &labels, plugin.instances_replaced as f64);
        for (kind, count) in &plugin.faults {
            samples.add(metrics::PLUGIN_FAULTS, &[name, &step.step, kind], *count as f64);
        }
    }
    for sink in &figures.sinks {
        samples.add(metrics::SINK_OUT, &[name, &sink.sink], sink.records_out as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
