//! The pipelines that are measured, as pipeline files.

use std::path::Path;

/// A pipeline from one topic to another.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// Records per CPU-second that it should reach; none where it is there to be compared with.
    pub target: Option<f64>,
    /// Keys of the source.
    source: &'static str,
    /// The steps; the sink reads from the one named `last`, or from the source.
    steps: &'static str,
    last: &'static str,
}

/// All of them, in the order in which they run.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "filter",
        what: "two-field filter in wasm, nearly no output",
        target: Some(1.5e6),
        source: "",
        steps: r#"
            [steps.large]
            from = "payments"
            plugin = "PLUGINS/large-amounts.wasm"
            config = { min_amount = 9990, currency = "EUR" }
        "#,
        last: "large",
    },
    Scenario {
        name: "forward",
        what: "the same filter lets every record pass",
        target: Some(0.9e6),
        source: "",
        steps: r#"
            [steps.large]
            from = "payments"
            plugin = "PLUGINS/large-amounts.wasm"
            config = { min_amount = 0 }
        "#,
        last: "large",
    },
    Scenario {
        name: "filter-native",
        what: "the filter as a `where`, to compare wasm with",
        target: None,
        source: "",
        steps: r#"
            [steps.large]
            from = "payments"
            where = "amount >= 9990 and currency = 'EUR'"
        "#,
        last: "large",
    },
    Scenario {
        name: "forward-native",
        what: "a `where` that lets every record pass",
        target: None,
        source: "",
        steps: r#"
            [steps.large]
            from = "payments"
            where = "amount >= 0"
        "#,
        last: "large",
    },
    Scenario {
        name: "copy",
        what: "no step at all, nothing decoded",
        target: None,
        source: "",
        steps: "",
        last: "payments",
    },
    Scenario {
        name: "fraud",
        what: "rolling count by customer, then rules in wasm",
        target: None,
        source: r#"event_time = { field = "timestamp", format = "rfc3339", delay = "5s" }"#,
        steps: r#"
            [steps.velocity]
            from = "payments"
            key = "customer_id"
            window = { rolling = "5m" }
            aggregate = { txn_count = "count()" }

            [steps.rules]
            from = "velocity"
            plugin = "PLUGINS/fraud-rules.wasm"
            config = { max_amount = 10000, max_count = 5 }
        "#,
        last: "rules",
    },
];

impl Scenario {
    /// The pipeline file: exactly once, a checkpoint every second, under a name that no other run has.
    pub fn pipeline(&self, name: &str, brokers: &str, from: &str, to: &str, plugins: &Path) -> String {
        let Scenario { source, last, .. } = self;
        let steps = self.steps.replace("PLUGINS", &plugins.display().to_string());
        format!(
            r#"
            name = "{name}"
            delivery = "exactly-once"
            checkpoint_interval = "1s"

            [sources.payments]
            connector = "kafka"
            brokers = "{brokers}"
            topic = "{from}"
            {source}
            {steps}
            [sinks.out]
            from = "{last}"
            connector = "kafka"
            brokers = "{brokers}"
            topic = "{to}"
            "#
        )
    }
}
