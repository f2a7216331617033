//! Pipelines over the interface: deployed, watched, paused, changed, deleted.

use serde_json::{Value, json};
use wasmill_tests::daemon::{Daemon, LIMIT, pipeline};
use wasmill_tests::folder::Folder;
use wasmill_tests::kafka;
use wasmill_tests::settings;
use wasmill_tests::topic::Writer;
use wasmill_tests::wait::until;

/// Made-up transactions through the fraud rule to files.
pub(super) fn fraud(plugin: &str, max_amount: u32, count: u64, rate: u64) -> String {
    format!(
        r#"
name = "fraud"
checkpoint_interval = "50ms"

[sources.transactions]
connector = "generator"
kind = "transactions"
seed = 7
count = {count}
rate = {rate}
partitions = 2

[steps.rules]
from = "transactions"
plugin = "{plugin}"
config = {{ max_amount = {max_amount} }}

[sinks.alerts]
from = "rules"
connector = "file"
path = "alerts"
"#
    )
}

pub(super) fn with_rules(folder: &Folder) -> Daemon<'_> {
    let daemon = Daemon::start(folder);
    let rules = std::fs::read(settings::plugin("fraud-rules")).expect("a plugin that was built");
    daemon.push("fraud-rules", "1.0.0", &rules).expect(201);
    daemon
}

fn records_in(status: &Value) -> u64 {
    status["figures"]["records_in"].as_u64().expect("a count")
}

#[test]
fn a_pipeline_is_deployed_watched_and_runs_to_its_end() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    let definition = fraud("fraud-rules@latest", 1, 2_000, 100_000);
    let dry = daemon.ask("PUT", "/api/v1/pipelines/fraud?dry_run=true", "application/toml", definition.as_bytes());
    let dry = dry.expect(200).json();
    assert_eq!((&dry["outcome"], &dry["pipeline"]), (&json!("created"), &Value::Null));
    daemon.get(&pipeline("fraud")).expect_problem(404, "no_such_pipeline", &["none is deployed"]);

    let made = daemon.apply("fraud", &definition).expect(201).json();
    assert_eq!(made["outcome"], "created");
    let done = daemon.wait_for("fraud", "completed");
    assert_eq!(records_in(&done), 2_000, "{done}");
    assert_eq!(done["figures"]["steps"][0]["step"], "rules");
    assert_eq!(done["plugins"][0]["version"], "1.0.0");
    assert_eq!(done["definition"].as_str(), Some(definition.as_str()));
    assert!(done["figures"]["epoch"].as_u64() > Some(0), "{done}");
    assert_eq!(
        folder.lines("daemon/files/alerts").len() as u64,
        done["figures"]["records_out"].as_u64().expect("a count")
    );

    let checkpoints = daemon.get("/api/v1/pipelines/fraud/checkpoints").expect(200).json();
    assert_eq!(checkpoints["checkpoints"][0]["epoch"], done["figures"]["epoch"], "{checkpoints}");
    assert_eq!(checkpoints["checkpoints"][0]["committed"], true, "{checkpoints}");
    let plan = daemon.get("/api/v1/pipelines/fraud/plan").expect(200).json();
    assert_eq!(plan["nodes"][1]["does"], "plugin fraud-rules@1.0.0", "{plan}");
    let drawn = daemon.get("/api/v1/pipelines/fraud/plan?format=mermaid").expect(200).text;
    assert!(drawn.starts_with("flowchart LR\n") && drawn.contains("n0 --> n1"), "{drawn}");
    let metrics = daemon.get("/metrics").expect(200).text;
    assert!(metrics.contains("wasmill_records_in_total{pipeline=\"fraud\"} 2000\n"), "{metrics}");
    daemon.get("/readyz").expect(200);
    daemon.stop();
}

#[test]
fn every_error_of_a_definition_is_said_and_nothing_is_changed() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    let wrong = r#"
name = "other"
delivery = "twice"
[sources.in]
connector = "file"
path = "../in.jsonl"
[steps.rules]
from = "im"
plugin = "fraud-rules@9.0.0"
[sinks.out]
from = "rules"
connector = "stdout"
lineage = true
"#;
    let refused = daemon.apply("fraud", wrong);
    let texts = ["has only 1.0.0", "did you mean `in`?", "twice", "only records of Kafka have headers"];
    let refused = refused.expect_problem(422, "bad_pipeline", &texts).json();
    let keys: Vec<_> = refused["errors"].as_array().expect("errors").iter().map(|it| it["key"].clone()).collect();
    assert!(keys.contains(&json!("steps.rules.plugin")) && keys.contains(&json!("delivery")), "{keys:?}");
    assert_eq!(refused["errors"][0]["line"], 3, "{refused}");

    let right = wrong.replace("\"im\"", "\"in\"").replace("twice", "exactly-once").replace("9.0.0", "1.0.0");
    let right = right.replace("lineage = true\n", "");
    let refused = daemon.apply("fraud", &right).expect_problem(422, "bad_pipeline", &["as in the address", "stdout"]);
    assert_eq!(refused.json()["errors"].as_array().map(Vec::len), Some(3), "{}", refused.text);

    let config = fraud("fraud-rules@1.0.0", 1, 1, 1).replace("max_amount", "max_amont");
    daemon.apply("fraud", &config).expect_problem(422, "bad_pipeline", &["fraud-rules@1.0.0", "max_amont"]);
    daemon.ask("PUT", &pipeline("fraud"), "text/html", b"").expect_problem(415, "bad_content_type", &["text/html"]);
    assert_eq!(daemon.get("/api/v1/pipelines").expect(200).json(), json!({"pipelines": []}));
    daemon.stop();
}

#[test]
fn a_pipeline_is_paused_stopped_and_goes_on_where_it_was() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    daemon.apply("fraud", &fraud("fraud-rules@1.0.0", 0, 12_000, 2_000)).expect(201);
    daemon.wait_for("fraud", "running");
    until("records", LIMIT, || records_in(&daemon.show("fraud")) > 0);

    assert_eq!(daemon.post("/api/v1/pipelines/fraud/pause").expect(200).json()["state"], "paused");
    // What was read is still counted for a moment; then nothing is.
    let mut last = 0;
    until("nothing is read", LIMIT, || {
        let now = records_in(&daemon.show("fraud"));
        std::mem::replace(&mut last, now) == now
    });
    assert!(last < 12_000, "the input ended before it could be paused");
    daemon.get("/readyz").expect(200);
    daemon.post("/api/v1/pipelines/fraud/resume").expect(200);
    until("records", LIMIT, || records_in(&daemon.show("fraud")) > last);

    let stopped = daemon.post("/api/v1/pipelines/fraud/stop").expect(200).json();
    assert_eq!((&stopped["state"], &stopped["desired"]), (&json!("stopped"), &json!("stopped")));
    daemon.post("/api/v1/pipelines/fraud/restart").expect_problem(409, "not_running", &["resume it"]);
    daemon.post("/api/v1/pipelines/fraud/explode").expect_problem(
        404,
        "no_such_path",
        &["pause, resume, stop or restart"],
    );
    daemon.post("/api/v1/pipelines/fraud/resume").expect(200);
    daemon.post("/api/v1/pipelines/fraud/restart").expect(200);
    daemon.wait_for("fraud", "completed");
    assert_eq!(folder.lines("daemon/files/alerts").len(), 12_000);
    daemon.stop();
}

#[test]
fn a_change_is_told_and_takes_effect_and_the_same_again_is_none() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    let old = fraud("fraud-rules@latest", 10, 100_000, 1_000);
    daemon.apply("fraud", &old).expect(201);
    let same = daemon.apply("fraud", &old).expect(200).json();
    assert_eq!((&same["outcome"], &same["pipeline"]["revision"]), (&json!("unchanged"), &json!(1)));
    let new = old.replace("max_amount = 10", "max_amount = 20");
    let changed = daemon.apply("fraud", &new).expect(200).json();
    assert_eq!(changed["outcome"], "changed");
    assert_eq!(changed["changes"], json!([{"key": "steps.rules.config.max_amount", "from": 10, "to": 20}]));
    assert_eq!(changed["pipeline"]["revision"], 2);

    // `latest` was pinned: a newer version changes nothing until the pipeline is applied again.
    let newer = std::fs::read(settings::plugin("large-amounts")).expect("a plugin that was built");
    let taken = std::fs::read(settings::plugin("fraud-rules")).expect("a plugin that was built");
    daemon.push("large-amounts", "1.0.0", &newer).expect(201);
    daemon.push("fraud-rules", "1.1.0", &taken).expect(201);
    daemon.post("/api/v1/pipelines/fraud/restart").expect(200);
    assert_eq!(daemon.show("fraud")["plugins"][0]["version"], "1.0.0");
    let pinned = daemon.apply("fraud", &new).expect(200).json();
    assert_eq!(pinned["outcome"], "changed");
    assert_eq!(pinned["pipeline"]["plugins"][0]["version"], "1.1.0");

    let used = daemon.delete("/api/v1/plugins/fraud-rules/versions/1.1.0");
    assert_eq!(used.expect_problem(409, "plugin_in_use", &["fraud"]).json()["users"], json!(["fraud"]));
    daemon.delete("/api/v1/plugins/fraud-rules/versions/1.0.0").expect(204);
    daemon.delete(&pipeline("fraud")).expect_problem(400, "state_unsaid", &["state=keep", "state=discard"]);
    daemon.delete(&format!("{}?state=keep", pipeline("fraud"))).expect(204);
    daemon.delete("/api/v1/plugins/fraud-rules/versions/1.1.0").expect(204);
    daemon.stop();
}

#[test]
fn json_says_the_same_as_toml() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    let definition = json!({
        "name": "fraud",
        "sources": {"transactions": {"connector": "generator", "kind": "transactions", "count": 500}},
        "steps": {"rules": {"from": "transactions", "plugin": "fraud-rules@1.0.0", "config": {"max_amount": 0.5}}},
        "sinks": {"alerts": {"from": "rules", "connector": "file", "path": "alerts"}},
    });
    daemon.ask("PUT", &pipeline("fraud"), "application/json", definition.to_string().as_bytes()).expect(201);
    let done = daemon.wait_for("fraud", "completed");
    assert_eq!(records_in(&done), 500);
    daemon.stop();
}

#[test]
fn state_is_kept_or_thrown_away_as_was_said() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    let definition = fraud("fraud-rules@1.0.0", 0, 300, 100_000);
    let run = |fate: &str, lines: usize| {
        daemon.apply("fraud", &definition).expect(201);
        daemon.wait_for("fraud", "completed");
        assert_eq!(folder.lines("daemon/files/alerts").len(), lines);
        daemon.delete(&format!("{}?state={fate}", pipeline("fraud"))).expect(204);
    };
    run("keep", 300);
    run("discard", 300); // It went on from its end.
    let _ = std::fs::remove_dir_all(folder.path("daemon/files/alerts"));
    run("keep", 300); // It began anew.
    daemon.stop();
}

#[test]
fn a_pipeline_that_fails_says_why_and_what_to_do_and_goes_on_by_itself() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let definition = r#"
name = "lines"
[sources.in]
connector = "file"
path = "in.jsonl"
[sinks.out]
from = "in"
connector = "file"
path = "out"
"#;
    daemon.apply("lines", definition).expect(201);
    let failed = daemon.wait_for("lines", "failed");
    assert!(failed["reason"].as_str().is_some_and(|it| it.contains("in.jsonl")), "{failed}");
    assert!(failed["advice"].is_string() && failed["next_start_at"].is_string(), "{failed}");
    let ready = daemon.get("/readyz").expect(503).json();
    assert_eq!(
        (&ready["not_ready"][0]["pipeline"], &ready["not_ready"][0]["state"]),
        (&json!("lines"), &json!("failed"))
    );
    folder.write("daemon/files/in.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    daemon.wait_for("lines", "completed");
    assert_eq!(folder.lines("daemon/files/out").len(), 2);
    assert!(daemon.show("lines")["restarts"].as_u64() > Some(0));
    daemon.stop();
}

/// Counts by key in windows of ten seconds, from a topic of two partitions.
fn windowed(topic: &str) -> String {
    format!(
        r#"
name = "windowed"
checkpoint_interval = "50ms"
bad_records = "drop"
[sources.in]
connector = "kafka"
connection = "main"
topic = "{topic}"
event_time = {{ field = "t", delay = "0s" }}
[steps.count]
from = "in"
key = "k"
window = {{ tumbling = "10s" }}
aggregate = {{ n = "count()" }}
[sinks.out]
from = "count"
connector = "file"
path = "counts"
"#
    )
}

#[test]
fn each_partition_step_and_worker_says_how_it_is() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let topic = broker.topic("figures", 2);
    folder.write("wasmill.toml", format!("[connections.main]\nbrokers = \"{}\"\n", broker.address()));
    let daemon = Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    daemon.apply("windowed", &windowed(&topic)).expect(201);
    let writer = Writer::new(broker, &topic);
    let record = |partition: i32, t: i64| (partition, None, Some(format!("{{\"k\":{t},\"t\":{t}}}").into_bytes()));
    // Windows end at 60,000 in partition 0, and at 20,000 in partition 1, which holds them back.
    writer.send((0..60).map(|it| record(0, it * 1_000)).chain((0..21).map(|it| record(1, it * 1_000))));
    let mut status = Value::Null;
    until("the figures of all records", LIMIT, || {
        status = daemon.get(&pipeline("windowed")).expect(200).json();
        let source = &status["figures"]["sources"][0];
        source["partitions"][0]["records_in"] == 60
            && source["partitions"][1]["records_in"] == 21
            && status["figures"]["steps"][0]["state_keys"] == 40
            && status["figures"]["state_keys"] == 40 // And it is committed.
    });
    let figures = &status["figures"];
    let (source, step) = (&figures["sources"][0], &figures["steps"][0]);
    let of = |partition: usize| {
        let it = &source["partitions"][partition];
        ["next_offset", "lag", "watermark_ms", "idle", "ended"].map(|key| it[key].clone())
    };
    assert_eq!(of(0), [json!(60), json!(0), json!(58_999), json!(false), json!(false)], "{status}");
    assert_eq!(of(1), [json!(21), json!(0), json!(19_999), json!(false), json!(false)], "{status}");
    assert_eq!((&source["source"], &source["held_back_by"]), (&json!("in"), &json!(1)), "{status}");
    assert_eq!((&step["watermark_ms"], &step["held_back_by"]), (&json!(19_999), &json!("in/1")), "{status}");
    assert_eq!((&step["refused"], &figures["lag"], &figures["late"]), (&json!(0), &json!(0), &json!(0)), "{status}");
    assert!(figures["state_bytes"].as_u64() > Some(0), "{status}");
    for share in [&step["busy"], &step["backpressured"], &figures["workers"][0]["busy"]] {
        assert!(share.as_f64().is_some_and(|it| (0.0..=1.0).contains(&it)), "{status}");
    }
    assert!(source["partitions"][0]["rate"].as_f64() > Some(0.0), "{status}");

    // 15,000 is 5 s behind, 1,000 is 19 s; both windows have closed.
    writer.send([record(1, 15_000), record(1, 1_000)]);
    until("late records", LIMIT, || {
        status = daemon.get(&pipeline("windowed")).expect(200).json();
        status["figures"]["late"] == 2
    });
    let expected = json!([{"up_to_ms": 10_000, "records": 1}, {"up_to_ms": 60_000, "records": 1}]);
    assert_eq!(status["figures"]["lateness"], expected, "{status}");
    // A record without a key is refused, and says so.
    writer.send([(1, None, Some(b"{\"t\":20000}".to_vec()))]);
    until("a refused record", LIMIT, || {
        status = daemon.get(&pipeline("windowed")).expect(200).json();
        status["figures"]["steps"][0]["refused"] == 1
    });
    let figures = &status["figures"];
    let commits: u64 =
        figures["commits"].as_array().into_iter().flatten().filter_map(|it| it["commits"].as_u64()).sum();
    // Each is counted just before its epoch is told.
    let epoch = figures["epoch"].as_u64().unwrap();
    assert!(epoch > 0 && (epoch..=epoch + 1).contains(&commits), "{status}");
    assert!(figures["commits_sum_us"].as_u64() > Some(0), "{status}");
    let metrics = daemon.get("/metrics").expect(200).text;
    for line in [
        "wasmill_commit_duration_seconds_bucket{pipeline=\"windowed\",le=\"60\"} ",
        "wasmill_partition_lag_records{pipeline=\"windowed\",source=\"in\",partition=\"1\"} 0\n",
        "wasmill_partition_watermark_timestamp_seconds{pipeline=\"windowed\",source=\"in\",partition=\"1\"} 19.999\n",
        "wasmill_record_lateness_seconds_bucket{pipeline=\"windowed\",le=\"10\"} 1\n",
        "wasmill_record_lateness_seconds_bucket{pipeline=\"windowed\",le=\"60\"} 2\n",
        "wasmill_record_lateness_seconds_sum{pipeline=\"windowed\"} 23.998\n",
        "wasmill_record_lateness_seconds_count{pipeline=\"windowed\"} 2\n",
        "wasmill_step_records_refused_total{pipeline=\"windowed\",step=\"count\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    let shown = daemon.command(&["pipeline", "show", "windowed"]).expect_code(0).stdout;
    assert!(shown.contains("holds the watermark back"), "{shown}");
    daemon.stop();
}
