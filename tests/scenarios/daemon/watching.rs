//! What passes, looked at while it passes: taps, logs, dead letters, and a version beside the one that runs.

use super::pipelines::{fraud, with_rules};
use super::upgrades::component;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wasmill_tests::components::with_note;
use wasmill_tests::daemon::{Daemon, LIMIT, pipeline};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse, text};
use wasmill_tests::kafka::{self, Isolation};
use wasmill_tests::topic::Writer;
use wasmill_tests::wait::until;

/// The data of the events with a name.
fn events(answer: &str, name: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut event = "";
    for line in answer.lines() {
        if let Some(name) = line.strip_prefix("event: ") {
            event = name;
        } else if let Some(data) = line.strip_prefix("data: ").filter(|_| event == name) {
            found.push(parse(data));
        }
    }
    found
}

#[test]
fn a_tap_shows_a_sample_of_what_comes_out_of_a_source_or_a_step() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    daemon.apply("fraud", &fraud("fraud-rules@1.0.0", 100, 10_000_000, 20_000)).expect(201);
    daemon.wait_for("fraud", "running");
    let tap = |query: &str| daemon.get(&format!("/api/v1/pipelines/fraud/tap?{query}"));
    let seen = tap("step=transactions&rate=1000&limit=50").expect(200);
    assert_eq!(seen.content_type, "text/event-stream");
    let records = events(&seen.text, "record");
    assert_eq!((records.len(), &events(&seen.text, "end")[0]["sent"]), (50, &json!(50)));
    let places: BTreeSet<_> = records.iter().map(|it| (int(it, "partition"), int(it, "offset"))).collect();
    assert_eq!(places.len(), 50, "a record was shown twice");
    assert!(records.iter().all(|it| it["value"]["amount"].is_number()), "{records:?}");

    let alerts =
        events(&tap("step=rules&limit=5&where=amount%3E150%20and%20customer_id~c-").expect(200).text, "record");
    assert_eq!(alerts.len(), 5);
    assert!(alerts.iter().all(|it| it["value"]["amount"].as_f64() > Some(150.0)), "{alerts:?}");
    let told =
        daemon.command(&["pipeline", "tap", "fraud", "--step", "rules", "--limit", "3", "-o", "json"]).expect_code(0);
    assert_eq!(told.stdout.lines().filter(|it| parse(it)["value"]["alerts"].is_array()).count(), 3, "{}", told.stdout);

    tap("step=rule").expect_problem(400, "bad_query", &["`transactions`, `rules`"]);
    tap("rate=5").expect_problem(400, "bad_query", &["step=NAME"]);
    tap("step=rules&rate=5000").expect_problem(400, "bad_query", &["from 1 to 1000"]);
    tap("step=rules&where=amount").expect_problem(400, "bad_query", &["FIELD OP VALUE"]);
    daemon.post("/api/v1/pipelines/fraud/stop").expect(200);
    tap("step=rules").expect_problem(409, "not_running", &["resume it"]);
    daemon.stop();
}

#[test]
fn logs_have_the_lines_of_the_host_and_of_guests_and_what_came_too_fast_is_counted() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    daemon.push("noisy", "1.0.0", &component("misbehaving")).expect(201);
    let definition = |mode: &str| {
        format!(
            r#"
name = "noisy"
checkpoint_interval = "100ms"
bad_records = "drop"
[sources.in]
connector = "generator"
kind = "orders"
rate = 2000
[steps.numbered]
from = "in"
key = "customer_id"
window = {{ rolling = "1h" }}
aggregate = {{ id = "count()" }}
[steps.noise]
from = "numbered"
plugin = "noisy@1.0.0"
config = {{ mode = "{mode}", when = {{ field = "id", every = 1 }} }}
[sinks.out]
from = "noise"
connector = "file"
path = "noise"
"#
        )
    };
    daemon.apply("noisy", &definition("log-flood")).expect(201);
    let lines = || events(&daemon.get("/api/v1/pipelines/noisy/logs?last=1000").expect(200).text, "line");
    until("lines of the guest", LIMIT, || lines().iter().any(|it| it["source"] == "guest"));
    until("lines were dropped", LIMIT, || lines().iter().any(|it| it["dropped"].as_u64() > Some(0)));
    daemon.post("/api/v1/pipelines/noisy/stop").expect(200);
    let found = lines();
    assert!(found.iter().any(|it| it["source"] == "host"), "{found:?}");
    assert!(found.iter().all(|it| !text(it, "message").contains('\n')), "{found:?}");
    let told = daemon.command(&["pipeline", "logs", "noisy", "--last", "2"]).expect_code(0).stdout;
    assert_eq!(told.lines().count(), 2, "{told}");
    daemon.get("/api/v1/pipelines/nobody/logs").expect_problem(404, "no_such_pipeline", &["`noisy`"]);
    daemon.stop();
}

#[test]
fn a_version_beside_the_one_that_runs_is_compared_and_promoted() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    daemon.push("fraud-rules", "1.1.0", &with_note(&component("fraud-rules"), "1.1.0")).expect(201);
    daemon.apply("fraud", &fraud("fraud-rules@1.0.0", 100, 10_000_000, 20_000)).expect(201);
    daemon.wait_for("fraud", "running");
    let path = "/api/v1/pipelines/fraud/shadow";
    daemon.get(path).expect_problem(409, "no_shadow", &["begin one"]);
    let other = json!({"step": "rules", "plugin": "fraud-rules@1.1.0", "config": {"max_amount": 200}});

    // An upgrade that is only asked about shows what it would change.
    let dry = daemon.post_json("/api/v1/pipelines/fraud/upgrade?dry_run=true", &other).expect(200).json();
    let sample = &dry["sample"];
    assert!(int(sample, "records") >= 1_000 && int(sample, "different") > 0 && int(sample, "same") > 0, "{dry}");
    let shown = &sample["differences"][0];
    assert!(shown["before"][0].as_str().is_some_and(|it| it.contains("\"alerts\"")), "{shown}");
    assert_eq!(shown["after"], json!([]), "{shown}");
    assert!(sample["before"]["median_ns"].is_u64() && sample["after"]["p99_ns"].is_u64(), "{sample}");

    daemon.post_json(path, &other).expect(201);
    let mut status = Value::Null;
    until("records are compared", LIMIT, || {
        status = daemon.get(path).expect(200).json();
        int(&status["found"], "records") > 5_000
    });
    let found = &status["found"];
    assert_eq!(int(found, "same") + int(found, "different"), int(found, "records"), "{status}");
    assert_eq!((&found["faults"], &status["to"]["plugin"]), (&json!([]), &json!("fraud-rules@1.1.0")));
    assert_eq!(daemon.show("fraud")["plugins"][0]["version"], "1.0.0");

    let told = daemon.command(&["pipeline", "shadow", "show", "fraud"]).expect_code(0).stdout;
    assert!(told.contains("compared") && told.contains("ns at p99"), "{told}");
    let told = daemon.command(&["pipeline", "shadow", "promote", "fraud"]).expect_code(0).stdout;
    assert!(told.ends_with("rules: fraud-rules@1.1.0 is accepted\n"), "{told}");
    daemon.get(path).expect_problem(409, "no_shadow", &[]);

    // The same version makes the same.
    daemon.post_json(path, &json!({"step": "rules", "plugin": "fraud-rules@1.0.0"})).expect(201);
    until("records are compared", LIMIT, || int(&daemon.get(path).expect(200).json()["found"], "records") > 2_000);
    let ended = daemon.delete(path).expect(200).json();
    assert_eq!(int(&ended["found"], "different"), 0, "{ended}");
    daemon.stop();
}

#[test]
fn a_version_that_traps_beside_the_one_that_runs_costs_nothing_and_says_so() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    daemon.push("counter", "1.0.0", &component("misbehaving-keyed")).expect(201);
    daemon.apply("counting", &super::upgrades::counting("1.0.0", "{ state_version = 1 }", "100ms")).expect(201);
    daemon.wait_for("counting", "running");
    let path = "/api/v1/pipelines/counting/shadow";
    // State of the version before is brought to its own, batch by batch.
    daemon.post_json(path, &json!({"step": "count", "plugin": "counter@1.0.0", "config": {}})).expect(201);
    until("records are compared", LIMIT, || int(&daemon.get(path).expect(200).json()["found"], "records") > 1_000);
    let same = daemon.get(path).expect(200).json();
    assert_eq!(int(&same["found"], "different"), 0, "{same}");
    daemon
        .post_json(path, &json!({"step": "count", "plugin": "counter@1.0.0", "config": {"trap_every": 7}}))
        .expect(201);
    until("it failed", LIMIT, || daemon.get(path).expect(200).json()["found"]["faults"] != json!([]));
    let failed = daemon.get(path).expect(200).json();
    assert!(failed["found"]["faults"][0]["fault"].as_str().is_some_and(|it| it.contains("trapped")), "{failed}");
    daemon.stop();
    super::upgrades::counts_are_whole(&folder);
}

#[test]
fn a_tap_of_several_topics_names_that_of_each_record() {
    let (folder, broker) = (Folder::new(), kafka::shared());
    let topics = [broker.topic("eu", 1), broker.topic("us", 2)];
    folder.write("wasmill.toml", format!("[connections.main]\nbrokers = \"{}\"\n", broker.address()));
    let daemon = Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    let definition = format!(
        "name = \"both\"\n[sources.in]\nconnector = \"kafka\"\nconnection = \"main\"\ntopics = {topics:?}\nstart = \"latest\"\n\
         [sinks.out]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n"
    );
    daemon.apply("both", &definition).expect(201);
    daemon.wait_for("both", "running");
    let (shown, topic) = (AtomicBool::new(false), &topics[1]);
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            until("a record that the tap shows", LIMIT, || {
                Writer::new(broker, topic).send([(1, None, Some(b"{}".to_vec()))]);
                shown.load(Relaxed)
            });
        });
        let answer = daemon.get("/api/v1/pipelines/both/tap?step=in&rate=1000&limit=1");
        shown.store(true, Relaxed);
        answer.expect(200).text
    });
    let records = events(&answer, "record");
    assert_eq!((text(&records[0], "topic"), int(&records[0], "partition")), (topic.as_str(), 1), "{answer}");
    daemon.stop();
}

#[test]
fn dead_letters_are_listed_and_each_is_replayed_once() {
    let (folder, broker) = (Folder::new(), kafka::shared());
    let (input, output, dead) =
        (broker.topic("letters-in", 2), broker.topic("letters-out", 2), broker.topic("letters-dead", 1));
    let name = kafka::unique("letters");
    let daemon = Daemon::start(&folder);
    daemon.push("passes", "1.0.0", &component("misbehaving")).expect(201);
    let brokers = broker.address();
    let definition = |config: &str| {
        format!(
            r#"
name = "{name}"
checkpoint_interval = "100ms"
[sources.in]
connector = "kafka"
brokers = "{brokers}"
topic = "{input}"
[steps.rule]
from = "in"
plugin = "passes@1.0.0"
config = {config}
[sinks.out]
from = "rule"
connector = "kafka"
brokers = "{brokers}"
topic = "{output}"
[dead_letters]
connector = "kafka"
brokers = "{brokers}"
topic = "{dead}"
"#
        )
    };
    // Every tenth record fails.
    daemon.apply(&name, &definition("{ mode = \"trap\", when = { field = \"id\", every = 10 } }")).expect(201);
    let writer = Writer::new(broker, &input);
    writer.send((1..=100_i32).map(|id| (id % 2, Some(vec![id as u8]), Some(format!("{{\"id\":{id}}}").into_bytes()))));
    until("all is processed", LIMIT, || daemon.show(&name)["figures"]["dead_letters"] == 10);
    until("all is committed", LIMIT, || broker.read(&dead, Isolation::Committed).len() == 10);
    let letters = daemon.get(&format!("{}/dead-letters?last=4", pipeline(&name))).expect(200).json();
    let letters = letters["dead_letters"].as_array().expect("a list");
    assert_eq!(letters.len(), 4);
    assert_eq!(
        (&letters[3]["step"], &letters[3]["plugin"], &letters[3]["topic"]),
        (&json!("rule"), &json!("passes@1.0.0"), &json!(input))
    );
    assert!(text(&letters[3], "reason").contains("trapped") && text(&letters[3], "value").starts_with("{\"id\":"));
    let told = daemon.command(&["dead-letters", "list", &name]).expect_code(0).stdout;
    assert_eq!(told.lines().count(), 11, "{told}");
    let metrics = daemon.get("/metrics").expect(200).text;
    let faults = format!("wasmill_plugin_faults_total{{pipeline=\"{name}\",step=\"rule\",kind=\"trap\"}}");
    assert!(
        metrics.lines().any(|it| it.starts_with(&faults)) && metrics.contains("wasmill_plugin_call_seconds_total"),
        "{metrics}"
    );

    // With the plugin that failed each comes back; with one that does not each is written once, and no second time.
    let replay = |written: u64| {
        let told = daemon.command(&["dead-letters", "replay", &name]).expect_code(0).stdout;
        assert!(told.contains(&format!("{written} written")), "{told}");
    };
    replay(0);
    daemon.apply(&name, &definition("{ when = { field = \"id\", every = 10 } }")).expect(200);
    replay(10);
    replay(0);
    daemon.stop();
    let found = broker.read(&output, Isolation::Committed);
    let mut ids: Vec<i64> = found.iter().map(|it| int(&parse(it.text()), "id")).collect();
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(1..=100), "{ids:?}");
}

#[test]
fn dead_letters_in_files_are_replayed_too_and_what_keeps_state_is_refused() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    daemon.push("counter", "1.0.0", &component("misbehaving-keyed")).expect(201);
    let definition = fraud("fraud-rules@1.0.0", 0, 100, 100_000);
    daemon.apply("fraud", &definition).expect(201);
    daemon.get("/api/v1/pipelines/fraud/dead-letters").expect_problem(409, "bad_replay", &["no [dead_letters]"]);
    daemon.delete("/api/v1/pipelines/fraud?state=discard").expect(204);

    let _ = std::fs::remove_dir_all(folder.path("daemon/files/alerts")); // It may have had no time to write any.
    let lines = "{\"customer_id\":\"a\"}\n{\"customer_id\":\"b\",\"transaction_id\":\"t\",\"amount\":5,\"timestamp\":\"x\"}\n7\n";
    folder.write("daemon/files/in.jsonl", lines);
    let definition = definition.replace(
        "connector = \"generator\"\nkind = \"transactions\"\nseed = 7\ncount = 100\nrate = 100000\npartitions = 2\n",
        "connector = \"file\"\npath = \"in.jsonl\"\n",
    );
    daemon.apply("fraud", &format!("{definition}[dead_letters]\nconnector = \"file\"\npath = \"dead\"\n")).expect(201);
    daemon.wait_for("fraud", "completed");
    let letters = daemon.get("/api/v1/pipelines/fraud/dead-letters").expect(200).json();
    assert_eq!(letters["dead_letters"].as_array().map(Vec::len), Some(2), "{letters}");
    let told = daemon.command(&["dead-letters", "replay", "fraud"]).expect_code(0).stdout;
    assert!(told.contains("2 replayed: 0 written, 2 dead letters again"), "{told}");
    assert_eq!(folder.lines("daemon/files/dead/replayed").len(), 2);

    daemon
        .apply(
            "counting",
            &super::upgrades::counting("1.0.0", "{}", "100ms")
                .replace("[sinks.out]", "[dead_letters]\nconnector = \"file\"\npath = \"no\"\n[sinks.out]"),
        )
        .expect(201);
    daemon.post("/api/v1/pipelines/counting/dead-letters/replay").expect_problem(409, "bad_replay", &["keeps state"]);
    let pairs = "name = \"pairs\"\n[sources.in]\nconnector = \"file\"\npath = \"in.jsonl\"\nevent_time = { field = \"timestamp\" }\n[dead_letters]\nconnector = \"file\"\n\
                 path = \"no\"\n[steps.named]\nfrom = \"in\"\nwhere = \"customer_id is not null\"\n[steps.pairs]\nfrom = \"in\"\n\
                 join = { with = \"named\", on = \"customer_id\", within = { before = \"1m\", after = \"1m\" } }\n[sinks.out]\n\
                 from = \"pairs\"\nconnector = \"file\"\npath = \"pairs\"\n";
    daemon.apply("pairs", pairs).expect(201);
    let replay = daemon.post("/api/v1/pipelines/pairs/dead-letters/replay");
    replay.expect_problem(409, "bad_replay", &["step `pairs` keeps state"]);
    daemon.stop();
}
