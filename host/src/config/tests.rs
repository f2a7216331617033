mod joins;
mod ranking;
mod steps;
mod topics;

use super::*;
use expect_test::{Expect, expect};
use std::path::PathBuf;

fn parsed(text: &str, overrides: &[(&str, &str)]) -> Result<Pipeline, ConfigErrors> {
    let overrides: Vec<_> = overrides.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    parse(text, "p.toml", Path::new("jobs"), &overrides)
}

/// The errors and warnings of a file, or `ok`.
#[track_caller]
fn check(text: &str, expected: Expect) {
    check_set(text, &[], expected);
}

#[track_caller]
fn check_set(text: &str, overrides: &[(&str, &str)], expected: Expect) {
    let mut lines = match parsed(text, overrides) {
        Ok(pipeline) if warnings(&pipeline).is_empty() => "ok".to_owned(),
        Ok(pipeline) => warnings(&pipeline).join("\n"),
        Err(errors) => errors.to_string(),
    };
    lines.push('\n');
    expected.assert_eq(&lines);
}

/// A file that is right but for `lines`, which stand in the step `s`.
fn with_step(lines: &str) -> String {
    format!("{GENERATED}[steps.s]\nfrom = \"in\"\n{lines}\n[sinks.out]\nfrom = \"s\"\nconnector = \"stdout\"\n")
}

const GENERATED: &str = "name = \"t\"\n[sources.in]\nconnector = \"generator\"\nkind = \"orders\"\n";
const SINK: &str = "[sinks.out]\nfrom = \"in\"\nconnector = \"stdout\"\n";

#[test]
fn a_file_with_only_what_is_required_gets_every_default() {
    let text = "name = \"t\"\n[sources.in]\nconnector = \"kafka\"\nbrokers = \"b:9092\"\ntopic = \"t\"\n[steps.s]\nfrom = \"in\"\n\
                plugin = \"./p.wasm\"\n[sinks.out]\nfrom = \"s\"\nconnector = \"kafka\"\nbrokers = \"b:9092\"\ntopic = \"o\"\n";
    expect![[r#"
        Pipeline {
            name: "t",
            delivery: ExactlyOnce,
            checkpoint_interval_ms: 1000,
            batch_rows_max: 4096,
            memory: None,
            bad_records: Stop,
            sources: [
                Source {
                    name: "in",
                    connector: Kafka(
                        KafkaOptions {
                            brokers: "b:9092",
                            topic: "t",
                            more_topics: [],
                            start: Earliest,
                            fetch: Auto,
                            fetch_bytes_max: None,
                            produce: Auto,
                            compression: "none",
                            wait_ms: 30000,
                            transaction_timeout_ms: 60000,
                            properties: [],
                        },
                    ),
                    format: Json,
                    changes: false,
                    first: false,
                    schema: [],
                    event_time: EventTimeOptions {
                        field: None,
                        format: EpochMs,
                        delay_ms: 0,
                        idle_timeout_ms: Some(
                            30000,
                        ),
                        drift_ms_max: None,
                        late: Drop,
                    },
                },
            ],
            steps: [
                Step {
                    name: "s",
                    from: Source(
                        0,
                    ),
                    key: [],
                    condition: None,
                    operation: Plugin(
                        PluginOptions {
                            path: "jobs/./p.wasm",
                            config: "{}",
                            limits: PluginLimits {
                                call_ms_max: 5000,
                                memory_bytes_max: 268435456,
                                output_rows_per_row_max: 64,
                                output_bytes_max: 67108864,
                                log_lines_max: 100,
                            },
                        },
                    ),
                    select: None,
                    late: Drop,
                    state_ttl_ms: None,
                    processing_time: false,
                },
            ],
            sinks: [
                Sink {
                    name: "out",
                    from: Step(
                        0,
                        None,
                    ),
                    connector: Kafka(
                        KafkaOptions {
                            brokers: "b:9092",
                            topic: "o",
                            more_topics: [],
                            start: Earliest,
                            fetch: Auto,
                            fetch_bytes_max: None,
                            produce: Auto,
                            compression: "none",
                            wait_ms: 30000,
                            transaction_timeout_ms: 60000,
                            properties: [],
                        },
                    ),
                    format: Json,
                    select: None,
                    lineage: false,
                },
            ],
            dead_letters: None,
        }
    "#]]
    .assert_debug_eq(&parsed(text, &[]).unwrap());
}

#[test]
fn every_key_reaches_the_model() {
    let text = r#"
        name = "all"
        delivery = "at-least-once"
        checkpoint_interval = "250ms"
        batch_rows_max = 100
        bad_records = "drop"

        [sources.files]
        connector = "file"
        path = "in/*.jsonl"
        event_time = { field = "at.ms", format = "epoch_us", delay = "5s", idle_timeout = "never", late = "dead-letter" }
        schema = { amount = "f64", card.country = "text" }

        [sources.made]
        connector = "generator"
        kind = "nexmark"
        seed = 7
        rate = 1000
        count = 5
        partitions = 4
        format = "raw"

        [steps.last]
        from = "hops"
        plugin = "/opt/p.wasm"
        config = { b = [1, 2.5, true], a = { when = 2026-01-31, text = "x" } }
        limits = { call = "1s", memory = "1MiB", output_bytes = "2KB", output_rows_per_row = 3, log_lines = 0 }

        [steps.hops]
        from = "files"
        key = ["user", "card.country"]
        window = { hopping = "1h", slide = "15m", offset = "5m" }
        aggregate = { n = "count()", spent = "sum(amount)", hi = "max(amount)" }
        emit = { every = "30s" }
        output = "update"
        late = "drop"
        select = { start = "window_start", n = "n" }

        [sinks.side]
        from = "last.audit"
        connector = "file"
        path = "out"
        select = { a = "b" }

        [sinks.topic]
        from = "made"
        connector = "kafka"
        brokers = "a:1,b"
        topic = "t"
        compression = "zstd"
        wait = "1m"
        transaction_timeout = "2m"
        format = "raw"

        [dead_letters]
        connector = "file"
        path = "/dead"
    "#;
    expect![[r#"
        Pipeline {
            name: "all",
            delivery: AtLeastOnce,
            checkpoint_interval_ms: 250,
            batch_rows_max: 100,
            memory: None,
            bad_records: Drop,
            sources: [
                Source {
                    name: "files",
                    connector: File {
                        path: "jobs/in/*.jsonl",
                    },
                    format: Json,
                    changes: false,
                    first: false,
                    schema: [
                        (
                            "amount",
                            F64,
                        ),
                        (
                            "card.country",
                            Text,
                        ),
                    ],
                    event_time: EventTimeOptions {
                        field: Some(
                            "at.ms",
                        ),
                        format: EpochUs,
                        delay_ms: 5000,
                        idle_timeout_ms: None,
                        drift_ms_max: None,
                        late: DeadLetter,
                    },
                },
                Source {
                    name: "made",
                    connector: Generator {
                        kind: Nexmark,
                        seed: 7,
                        rate: Some(
                            1000,
                        ),
                        count: Some(
                            5,
                        ),
                        partitions: 4,
                    },
                    format: Raw,
                    changes: false,
                    first: false,
                    schema: [],
                    event_time: EventTimeOptions {
                        field: None,
                        format: EpochMs,
                        delay_ms: 0,
                        idle_timeout_ms: Some(
                            30000,
                        ),
                        drift_ms_max: None,
                        late: Drop,
                    },
                },
            ],
            steps: [
                Step {
                    name: "hops",
                    from: Source(
                        0,
                    ),
                    key: [
                        "user",
                        "card.country",
                    ],
                    condition: None,
                    operation: Window {
                        window: Hopping {
                            size_ms: 3600000,
                            slide_ms: 900000,
                            offset_ms: 300000,
                        },
                        fold: Builtin(
                            [
                                Aggregate {
                                    name: "n",
                                    function: Count,
                                    field: None,
                                },
                                Aggregate {
                                    name: "spent",
                                    function: Sum,
                                    field: Some(
                                        "amount",
                                    ),
                                },
                                Aggregate {
                                    name: "hi",
                                    function: Max,
                                    field: Some(
                                        "amount",
                                    ),
                                },
                            ],
                        ),
                        emit: Every {
                            interval_ms: 30000,
                        },
                    },
                    select: Some(
                        [
                            (
                                "start",
                                "window_start",
                            ),
                            (
                                "n",
                                "n",
                            ),
                        ],
                    ),
                    late: Drop,
                    state_ttl_ms: None,
                    processing_time: false,
                },
                Step {
                    name: "last",
                    from: Step(
                        0,
                        None,
                    ),
                    key: [],
                    condition: None,
                    operation: Plugin(
                        PluginOptions {
                            path: "/opt/p.wasm",
                            config: "{\"a\":{\"text\":\"x\",\"when\":\"2026-01-31\"},\"b\":[1,2.5,true]}",
                            limits: PluginLimits {
                                call_ms_max: 1000,
                                memory_bytes_max: 1048576,
                                output_rows_per_row_max: 3,
                                output_bytes_max: 2000,
                                log_lines_max: 0,
                            },
                        },
                    ),
                    select: None,
                    late: DeadLetter,
                    state_ttl_ms: None,
                    processing_time: false,
                },
            ],
            sinks: [
                Sink {
                    name: "side",
                    from: Step(
                        1,
                        Some(
                            "audit",
                        ),
                    ),
                    connector: File {
                        path: "jobs/out",
                    },
                    format: Json,
                    select: Some(
                        [
                            (
                                "a",
                                "b",
                            ),
                        ],
                    ),
                    lineage: false,
                },
                Sink {
                    name: "topic",
                    from: Source(
                        1,
                    ),
                    connector: Kafka(
                        KafkaOptions {
                            brokers: "a:1,b",
                            topic: "t",
                            more_topics: [],
                            start: Earliest,
                            fetch: Auto,
                            fetch_bytes_max: None,
                            produce: Auto,
                            compression: "zstd",
                            wait_ms: 60000,
                            transaction_timeout_ms: 120000,
                            properties: [],
                        },
                    ),
                    format: Raw,
                    select: None,
                    lineage: false,
                },
            ],
            dead_letters: Some(
                Sink {
                    name: "dead_letters",
                    from: Source(
                        0,
                    ),
                    connector: File {
                        path: "/dead",
                    },
                    format: Json,
                    select: None,
                    lineage: false,
                },
            ),
        }
    "#]]
    .assert_debug_eq(&parsed(text, &[]).unwrap());
}

#[test]
fn errors_are_all_reported_at_once_in_the_order_of_the_file() {
    check(
        r#"nam = "t"
checkpoint_interval = 5

[sources.orders]
connector = "kafak"
topic = "orders"

[steps.velocity]
from = "order"
windw = { tumbling = "5m" }
aggregate = { n = "coun()" }

[sinks.out]
connector = "stdout"
path = "x"
"#,
        expect![[r#"
            p.toml: name: missing, expected a text; add `name = ...`
            p.toml:1:1: nam: unknown key, expected one of `name`, `delivery`, `checkpoint_interval`, `batch_rows_max`, `memory`, `bad_records`, `sources`, `steps`, `sinks`, `dead_letters`; did you mean `name`?
            p.toml:2:23: checkpoint_interval: found 5, expected a duration with its unit such as "5s"; write "5s" if seconds are meant
            p.toml:5:13: sources.orders.connector: found "kafak", expected one of "kafka", "file", "generator"; did you mean `kafka`?
            p.toml:9:8: steps.velocity.from: found "order", expected the name of a source or step: one of `orders`, `velocity`; did you mean `orders`?
            p.toml:10:1: steps.velocity.windw: unknown key, expected one of `from`, `key`, `plugin`, `config`, `limits`, `where`, `window`, `aggregate`, `emit`, `output`, `allowed_lateness`, `accumulate`, `panes`, `upsert`, `join`, `late`, `select`, `dedupe`, `top`, `state_ttl`; did you mean `window`?
            p.toml:11:13: steps.velocity.aggregate: goes with a `window`, which is missing; add `window = { tumbling = "5m" }` or drop it
            p.toml:13:8: sinks.out.from: missing, expected a text; add `from = ...`
            p.toml:15:1: sinks.out.path: unknown key, expected one of `from`, `connector`, `format`, `select`, `lineage`; `path` is a key of a file source
        "#]],
    );
}

#[test]
fn an_empty_file_lacks_all_that_is_required() {
    check(
        "",
        expect![[r#"
            p.toml: sources: missing, expected a table: `[sources.NAME]` tables; add a table [sources.NAME]
            p.toml: sinks: missing, expected a table: `[sinks.NAME]` tables; add a table [sinks.NAME]
            p.toml: name: missing, expected a text; add `name = ...`
        "#]],
    );
    check(
        "name = \"t\"\n[sources]\n[sinks]\n",
        expect![[r#"
        p.toml:2:1: sources: found none, expected at least one table [sources.NAME]
        p.toml:3:1: sinks: found none, expected at least one table [sinks.NAME]
    "#]],
    );
}

#[test]
fn broken_syntax_is_reported_with_its_line() {
    check(
        "name = \"t\n[sources.in\nx = = 1\n",
        expect![[r#"
        p.toml:1:10: not TOML: invalid basic string, expected `"`
        p.toml:2:12: not TOML: unclosed table, expected `]`
        p.toml:3:5: not TOML: extra `=`, expected nothing
        p.toml:3:7: not TOML: unexpected key or value, expected newline, `#`
    "#]],
    );
}

#[test]
fn a_name_written_twice_is_an_error_and_the_rest_is_still_checked() {
    check(
        &format!("{GENERATED}seed = \"x\"\n[sources.in]\n{SINK}"),
        expect![[r#"
        p.toml:5:8: sources.in.seed: found "x", expected an integer of at least 0
        p.toml:6:10: in: written twice, expected once; rename or remove one of the two
    "#]],
    );
    check(
        &format!("{GENERATED}kind = \"orders\"\n{SINK}"),
        expect![[r#"
        p.toml:5:1: kind: written twice, expected once; rename or remove one of the two
    "#]],
    );
    check(
        &with_step("plugin = \"./p.wasm\"\n[steps.in]\nfrom = \"in\"\nplugin = \"./p.wasm\"\n"),
        expect![[r#"
        p.toml:8:8: steps.in: found the name of a source in line 2, expected another: `from` could mean either; rename one
    "#]],
    );
}

#[test]
fn a_name_with_a_dot_or_a_blank_is_an_error() {
    check(
        "name = \"my pipeline\"\n[sources.\"a.b\"]\nconnector = \"file\"\npath = \"x\"\n[sinks.\"\"]\nfrom = \"a.b\"\nconnector = \"stdout\"\n",
        expect![[r#"
            p.toml:1:8: name: found "my pipeline", expected at most 100 letters, digits, `_`, `-` and `.`, the first no `.`: it names a folder and a consumer group
            p.toml:2:10: sources.a.b: found the name "a.b", expected at most 100 letters, digits, `_` and `-`
            p.toml:5:8: sinks.: found the name "", expected at most 100 letters, digits, `_` and `-`
            p.toml:6:8: sinks..from: found "a", expected the name of a source or step: one of `a.b`
        "#]],
    );
}

#[test]
fn values_of_a_wrong_type_say_what_was_found_and_expected() {
    check(
        r#"name = 7
delivery = "twice"
batch_rows_max = "100"
bad_records = true
sources = "in"
steps = []
[sinks.out]
from = ["a", "b"]
connector = "stdout"
select = { a = 1 }
"#,
        expect![[r#"
            p.toml:1:8: name: found 7, expected a text; put it in quotes
            p.toml:2:12: delivery: found "twice", expected one of "exactly-once", "at-least-once"
            p.toml:3:18: batch_rows_max: found "100", expected an integer from 1 to 65536; leave out the quotes
            p.toml:4:15: bad_records: found true, expected one of "dead-letter", "stop", "drop"
            p.toml:5:11: sources: found "in", expected a table: `[sources.NAME]` tables
            p.toml:6:9: steps: found a list, expected a table: `[steps.NAME]` tables
            p.toml:8:8: sinks.out.from: found a list, expected a text; this version reads one input a step or sink
            p.toml:10:16: sinks.out.select.a: found 1, expected the name of a field; write `a = "FIELD"`
        "#]],
    );
    check(
        r#"name = "t"
batch_rows_max = 65537
[sources.in]
connector = "generator"
kind = "order"
rate = 0
seed = 99999999999999999999
partitions = 1.5
event_time = "timestamp"
schema = { amount = "float", n = 5 }
[sinks]
out = 5
"#,
        expect![[r#"
            p.toml:2:18: batch_rows_max: found 65537, expected an integer from 1 to 65536
            p.toml:5:8: sources.in.kind: found "order", expected one of "transactions", "orders", "sensors", "rides", "nexmark"; did you mean `orders`?
            p.toml:6:8: sources.in.rate: found 0, expected an integer from 1 to 1000000000
            p.toml:7:8: sources.in.seed: found 99999999999999999999, expected an integer that fits 64 bits
            p.toml:8:14: sources.in.partitions: found 1.5, expected an integer from 1 to 1024
            p.toml:9:14: sources.in.event_time: found "timestamp", expected a table with `field`, `format`, `delay`, `idle_timeout`, `max_drift`, `late`
            p.toml:10:21: sources.in.schema.amount: found "float", expected a kind: one of `s64`, `f64`, `boolean`, `text`, `bytes`, `json`
            p.toml:10:34: sources.in.schema.n: found 5, expected a kind: one of `s64`, `f64`, `boolean`, `text`, `bytes`, `json`
            p.toml:12:7: sinks.out: found 5, expected a table with `from`, `connector`, `format`, `select`, `lineage`
        "#]],
    );
}

#[test]
fn a_duration_needs_its_unit_and_a_size_too() {
    check(
        &with_step(
            "plugin = \"./p.wasm\"\nlimits = { call = 5, memory = \"256\", output_bytes = \"1mb\", log_lines = -1 }",
        ),
        expect![[r#"
            p.toml:8:19: steps.s.limits.call: found 5, expected a duration with its unit such as "5s"; write "5s" if seconds are meant
            p.toml:8:31: steps.s.limits.memory: found "256", expected a size with its unit (B, KB, MB, GB, KiB, MiB, GiB); write "256B" if that is meant
            p.toml:8:53: steps.s.limits.output_bytes: found "1mb", expected a size with one of the units B, KB, MB, GB, KiB, MiB, GiB
            p.toml:8:72: steps.s.limits.log_lines: found -1, expected an integer from 0 to 1000000
        "#]],
    );
    let source = |times: &str| format!("{GENERATED}event_time = {{ {times} }}\n{SINK}");
    check(
        &source("delay = \"5\""),
        expect![[r#"
            p.toml:5:24: sources.in.event_time.delay: found "5", expected a duration with its unit (ms, s, m, h, d); write "5s" if that is meant
        "#]],
    );
    check(
        &source("delay = \"5sec\", idle_timeout = \"0s\""),
        expect![[r#"
            p.toml:5:24: sources.in.event_time.delay: found "5sec", expected a duration with one of the units ms, s, m, h, d
            p.toml:5:47: sources.in.event_time.idle_timeout: found "0s", expected at least 1ms
        "#]],
    );
    check(
        &source("delay = \"-5s\", idle_timeout = \"nevr\""),
        expect![[r#"
            p.toml:5:24: sources.in.event_time.delay: found "-5s", expected a duration: a whole number and a unit (ms, s, m, h, d) such as "5s"
            p.toml:5:46: sources.in.event_time.idle_timeout: found "nevr", expected a duration: a whole number and a unit (ms, s, m, h, d) such as "5s", or "never"
        "#]],
    );
    check(
        &source("delay = \"0s\", idle_timeout = \"never\""),
        expect![[r#"
        ok
    "#]],
    );
}

#[test]
fn a_key_of_another_table_says_where_it_belongs() {
    check(
        &format!("{GENERATED}delay = \"5s\"\nbrokers = \"b\"\n{SINK}"),
        expect![[r#"
            p.toml:5:1: sources.in.delay: unknown key, expected one of `connector`, `format`, `read_first`, `event_time`, `schema`, `kind`, `seed`, `rate`, `count`, `partitions`; `delay` is a key of `event_time`
            p.toml:6:1: sources.in.brokers: unknown key, expected one of `connector`, `format`, `read_first`, `event_time`, `schema`, `kind`, `seed`, `rate`, `count`, `partitions`; `brokers` is a key of a Kafka source
        "#]],
    );
}

#[test]
fn what_the_design_has_and_this_version_not_is_refused_honestly() {
    check(
        &with_step("window = { tumbling = \"5m\" }\naggregate = { a = \"top(x)\" }"),
        expect![[r#"
            p.toml:8:19: steps.s.aggregate.a: found "top(x)", expected one of `count()`, `sum(f)`, `min(f)`, `max(f)`, `avg(f)`, `first(f)`, `last(f)`, `distinct(f)`, `collect(f)`, `percentile(f, 99)`; a step of its own has `top = { k = 10, by = "FIELD" }` in the place of `aggregate`
        "#]],
    );
    check(
        "name = \"t\"\n[sources.in]\nconnector = \"http\"\nformat = \"avro\"\n[sources.k]\nconnector = \"kafka\"\nconnection = \"main\"\n\
         topic = \"t\"\nbrokers = \"b\"\n[sinks.out]\nfrom = \"in\"\nconnector = \"http\"\nformat = \"csv\"\n",
        expect![[r#"
            p.toml:3:13: sources.in.connector: "http" is not supported by this version of wasmill; use one of "kafka", "file", "generator"
            p.toml:4:10: sources.in.format: "avro" is not supported by this version of wasmill; use one of "json", "debezium", "raw"
            p.toml:7:1: sources.k.connection: `connection` is not supported by this version of wasmill; connections are for pipelines of the daemon (`wasmill serve`); name the brokers with `brokers` instead
            p.toml:12:13: sinks.out.connector: "http" is not supported by this version of wasmill; use one of "kafka", "file", "stdout"
            p.toml:13:10: sinks.out.format: "csv" is not supported by this version of wasmill; use one of "json", "raw"
        "#]],
    );
}

#[test]
fn a_plugin_is_a_path() {
    check(
        &with_step("plugin = \"fraud-rules@1.1.0\""),
        expect![[r#"
        p.toml:7:10: steps.s.plugin: found "fraud-rules@1.1.0", expected a path such as "./fraud-rules.wasm"; plugins by name or digest are for pipelines of the daemon (`wasmill serve`)
    "#]],
    );
    check(
        &with_step("plugin = \"sha256:00ff\""),
        expect![[r#"
        p.toml:7:10: steps.s.plugin: found "sha256:00ff", expected a path such as "./NAME.wasm"; plugins by name or digest are for pipelines of the daemon (`wasmill serve`)
    "#]],
    );
    check(
        &with_step("plugin = \"../target/p.wasm\""),
        expect![[r#"
        ok
    "#]],
    );
}

#[test]
fn a_plugin_that_is_not_there_is_reported_when_the_file_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    std::fs::write(&file, with_step("plugin = \"plugins/p.wasm\"")).unwrap();
    let error = load(&file, &[]).unwrap_err().to_string();
    let error = error.replace(&folder.path().display().to_string(), "FOLDER");
    expect![[r#"FOLDER/p.toml:7:10: steps.s.plugin: found "plugins/p.wasm", expected a component, but there is no file FOLDER/plugins/p.wasm; build the plugin or correct the path"#]].assert_eq(&error);
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    std::fs::write(folder.path().join("plugins/p.wasm"), "").unwrap();
    assert!(load(&file, &[]).is_ok());
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    assert!(
        load(&missing, &[])
            .unwrap_err()
            .to_string()
            .ends_with("none.toml: cannot be read: No such file or directory (os error 2)")
    );
    std::fs::write(&missing, b"name = \"\xff\"").unwrap();
    assert!(load(&missing, &[]).unwrap_err().to_string().contains("not UTF-8 at offset 8"));
}

/// Kafka sinks with these brokers and further keys.
fn to_kafka(head: &str, sinks: &[(&str, &str)]) -> String {
    let mut text = format!("{head}{GENERATED}");
    for (index, (brokers, more)) in sinks.iter().enumerate() {
        text.push_str(&format!(
            "[sinks.s{index}]\nfrom = \"in\"\nconnector = \"kafka\"\ntopic = \"t\"\nbrokers = \"{brokers}\"\n{more}\n"
        ));
    }
    text
}

#[test]
fn one_producer_writes_all_kafka_sinks() {
    let ours = "produce = \"native\"";
    check(
        &to_kafka("", &[("a", ""), ("a", ours), ("a", ours)]),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &to_kafka("", &[("a", ours), ("a", ""), ("a", "produce = \"librdkafka\"")]),
        expect![[r#"
            p.toml:22:11: sinks.s2.produce: found another producer than in `sinks.s0`: one writes all Kafka sinks of a pipeline
        "#]],
    );
}

#[test]
fn exactly_once_is_one_transaction_of_one_cluster() {
    check(
        &to_kafka("", &[("a:9092,b:9092", ""), ("B", "")]),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &to_kafka("", &[("a:9092", ""), ("b:9092", "")]),
        expect![[r#"
            p.toml:15:11: sinks.s1.brokers: found "b:9092", another cluster than that of `sinks.s0` (a:9092): a transaction cannot span two clusters; write to one, use a pipeline for each, or set delivery = "at-least-once"
        "#]],
    );
    check(
        &to_kafka("delivery = \"at-least-once\"\n", &[("a:9092", ""), ("b:9092", "")]),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &to_kafka("", &[("a", ""), ("a", "transaction_timeout = \"30s\"")]),
        expect![[r#"
            p.toml:16:23: sinks.s1.transaction_timeout: found 30000 ms, expected 60000 ms as in `sinks.s0`: all Kafka sinks share one transaction
        "#]],
    );
    check(
        &to_kafka("checkpoint_interval = \"60s\"\n", &[("a", "")]),
        expect![[r#"
        p.toml:6:8: sinks.s0.transaction_timeout: found 60000 ms, expected more than checkpoint_interval (60000 ms): a transaction stays open from one checkpoint to the next
    "#]],
    );
    let letters = "[dead_letters]\nconnector = \"kafka\"\ntopic = \"d\"\nbrokers = \"elsewhere\"";
    check(
        &to_kafka("", &[("a", letters)]),
        expect![[r#"
            p.toml:13:11: dead_letters.brokers: found "elsewhere", another cluster than that of `sinks.s0` (a): a transaction cannot span two clusters; write to one, use a pipeline for each, or set delivery = "at-least-once"
        "#]],
    );
}

#[test]
fn a_sink_must_not_have_the_name_of_the_dead_letters() {
    let both = "[sinks.dead_letters]\nfrom = \"in\"\nconnector = \"stdout\"\n[dead_letters]\nconnector = \"stdout\"\n";
    check(
        &format!("{GENERATED}{both}"),
        expect![[r#"
        p.toml:5:8: sinks.dead_letters: found the name of the table [dead_letters], expected another; rename the sink
    "#]],
    );
}

#[test]
fn names_that_kafka_would_refuse_are_refused_here() {
    check(
        &to_kafka("", &[("", ""), ("a:0,b:x,:1", "")]).replace("topic = \"t\"", "topic = \"a b\""),
        expect![[r#"
            p.toml:8:9: sinks.s0.topic: found "a b", expected a Kafka topic: at most 249 letters, digits, `.`, `_`, `-`
            p.toml:9:11: sinks.s0.brokers: found "", expected a text that is not empty
            p.toml:14:9: sinks.s1.topic: found "a b", expected a Kafka topic: at most 249 letters, digits, `.`, `_`, `-`
            p.toml:15:11: sinks.s1.brokers: found "a:0", expected host:port, with commas between several
            p.toml:15:11: sinks.s1.brokers: found "b:x", expected host:port, with commas between several
            p.toml:15:11: sinks.s1.brokers: found ":1", expected host:port, with commas between several
        "#]],
    );
}

#[test]
fn two_file_sinks_need_folders_of_their_own() {
    let sinks = "[sinks.a]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n[sinks.b]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out/\"\n";
    check(
        &format!("{GENERATED}{sinks}"),
        expect![[r#"
            p.toml:12:8: sinks.b.path: found the folder of `sinks.a`, expected one of its own
        "#]],
    );
}

#[test]
fn raw_records_have_no_fields() {
    check(
        "name = \"t\"\n[sources.in]\nconnector = \"file\"\npath = \"x\"\nformat = \"raw\"\nevent_time = { field = \"t\" }\nschema = { a = \"text\" }\n\
         [sinks.out]\nfrom = \"in\"\nconnector = \"stdout\"\nformat = \"raw\"\nselect = { a = \"b\" }\n",
        expect![[r#"
            p.toml:6:14: sources.in.event_time: names a field, but raw records have none; use format = "json" or drop `field`
            p.toml:7:10: sources.in.schema: declares fields, but raw records have none; use format = "json"
            p.toml:12:10: sinks.out.select: picks fields, but format = "raw" writes bytes as they are; use format = "json"
        "#]],
    );
    check(
        &format!("{GENERATED}event_time = {{ format = \"rfc3339\" }}\n{SINK}"),
        expect![[r#"
        p.toml:5:25: sources.in.event_time.format: says how a field is written, but `field` is missing; add `field`, or drop `format` to use the record's own timestamp
    "#]],
    );
}

#[test]
fn set_overrides_any_key_and_its_errors_name_the_flag() {
    let text = &with_step("plugin = \"./p.wasm\"\nconfig = { max = 5 }");
    let set = [
        ("name", "other"),
        ("sources.in.rate", "100"),
        ("sources.in.rate", "200"),
        ("steps.s.config.max", "7"),
        ("steps.s.config.\"a b\"", "{ x = [1] }"),
        ("checkpoint_interval", "5s"),
        ("delivery", "\"at-least-once\""),
    ];
    let pipeline = parsed(text, &set).unwrap();
    assert_eq!((pipeline.name.as_str(), pipeline.checkpoint_interval_ms), ("other", 5_000));
    assert_eq!(pipeline.delivery, Delivery::AtLeastOnce);
    assert!(matches!(pipeline.sources[0].connector, SourceConnector::Generator { rate: Some(200), .. }));
    let Operation::Plugin(plugin) = &pipeline.steps[0].operation else { panic!("the step has a plugin") };
    assert_eq!(plugin.config, r#"{"a b":{"x":[1]},"max":7}"#);

    check_set(
        text,
        &[
            ("checkpoint_interval", "5"),
            ("sources.inn.rate", "100"),
            ("sources.in.rte", "100"),
            ("name.x", "1"),
            ("a = 1\nb", "2"),
            ("sorces.in.rate", "1"),
        ],
        expect![[r#"
            --set sources.inn.rate=100: sources.inn: the file has no `sources` of this name, expected one of `in`; did you mean `in`?
            --set name.x=1: name: found "t", expected a table; only a table has keys to set
            --set a = 1 b=2: found the key "a = 1\nb", expected a path such as sources.orders.topic
            --set sorces.in.rate=1: sorces: unknown key, expected one of `name`, `delivery`, `checkpoint_interval`, `batch_rows_max`, `memory`, `bad_records`, `sources`, `steps`, `sinks`, `dead_letters`; did you mean `sources`?
            --set checkpoint_interval=5: checkpoint_interval: found 5, expected a duration with its unit such as "5s"; write "5s" if seconds are meant
            --set sources.in.rte=100: sources.in.rte: unknown key, expected one of `connector`, `format`, `read_first`, `event_time`, `schema`, `kind`, `seed`, `rate`, `count`, `partitions`; did you mean `rate`?
        "#]],
    );
    let whole = "{ connector = \"file\", path = \"x.jsonl\" }";
    let pipeline = parsed(text, &[("sources.in", whole)]).unwrap();
    assert_eq!(pipeline.sources[0].connector, SourceConnector::File { path: "jobs/x.jsonl".into() });
}

#[test]
fn the_defaults_of_the_list_are_those_of_the_model() {
    let pipeline = parsed(&with_step("plugin = \"./p.wasm\"\nlimits = {}"), &[]).unwrap();
    let Operation::Plugin(plugin) = &pipeline.steps[0].operation else { panic!("the step has a plugin") };
    assert_eq!(plugin.limits, PluginLimits::default());
    assert_eq!(plugin.path, PathBuf::from("jobs/./p.wasm"));
}

#[test]
fn every_key_of_the_list_is_read_somewhere() {
    const READERS: [&str; 7] = [
        include_str!("check.rs"),
        include_str!("joins.rs"),
        include_str!("ranking.rs"),
        include_str!("sinks.rs"),
        include_str!("sources.rs"),
        include_str!("steps.rs"),
        include_str!("windows.rs"),
    ];
    let elsewhere = ["connector", "from"]; // Read by `Section::connector` and `Reference::read`.
    for table in keys::ALL {
        for name in table.usable().filter(|it| !elsewhere.contains(it)) {
            let quoted = format!("\"{name}\"");
            assert!(READERS.iter().any(|it| it.contains(&quoted)), "nothing reads `{name}` of {}", table.name);
        }
    }
}

#[test]
fn the_examples_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "toml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let pipeline = parse(&std::fs::read_to_string(&path).unwrap(), &name, &folder, &[]);
        let pipeline = pipeline.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(warnings(&pipeline), Vec::<String>::new());
        assert_eq!(pipeline.name, name, "an example's name is its file's");
        names.push(name);
    }
    names.sort();
    let all = ["dashboard", "demo", "fraud", "invoices", "orders-enriched", "revenue", "sensors", "surge", "trending"];
    assert_eq!(names, all);
}

#[test]
fn the_files_of_the_guide_are_right() {
    let guide = include_str!("../../../docs/guide/first-pipeline.md");
    let blocks: Vec<&str> = guide.split("```toml\n").skip(1).filter_map(|it| it.split("```").next()).collect();
    let [first, window, kafka, dead_letters] = blocks[..] else { panic!("the guide has {} files", blocks.len()) };
    let (head, _) = first.split_once("[sinks.out]").unwrap();
    let (step, _) = window.split_once("[sinks.out]").unwrap();
    let name = "name = \"orders\"\n";
    for file in [first.to_owned(), [head, window].concat(), [name, step, kafka, dead_letters].concat()] {
        check(
            &file,
            expect![[r#"
                ok
            "#]],
        );
    }
}

proptest::proptest! {
    /// Whatever is in the file, checking answers rather than panics.
    #[test]
    fn a_damaged_file_never_panics(at in 0usize..4_000, len in 0usize..40, junk in "[ -~\n]{0,8}", example in 0usize..2) {
        let files = [include_str!("../../../examples/fraud.toml"), include_str!("../../../examples/revenue.toml")];
        let mut text = files[example].to_owned();
        let start = at % (text.len() + 1);
        let end = (start + len).min(text.len());
        text.replace_range(start..end, &junk);
        if let Err(errors) = parsed(&text, &[]) {
            proptest::prop_assert!(!errors.to_string().is_empty());
        }
    }
}
