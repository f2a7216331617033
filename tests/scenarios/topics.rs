//! Several topics in one source, and what is told and kept of each of them.

use serde_json::{Value, json};
use wasmill_tests::compare::same_records;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse, text};
use wasmill_tests::kafka::{self, Isolation, unique};
use wasmill_tests::topic::{Record, Writer};

fn record(partition: i32, value: &Value) -> Record {
    (partition, None, Some(value.to_string().into_bytes()))
}

/// A pipeline that passes on what it reads of `topics` (as written in the file) to `out`, with dead letters in the folder `dead`.
fn pipeline(name: &str, topics: &str, fetch: &str, sink: &str) -> String {
    let brokers = kafka::shared().address();
    format!(
        r#"
name = "{name}"
checkpoint_interval = "50ms"
[sources.in]
connector = "kafka"
brokers = "{brokers}"
{topics}
fetch = "{fetch}"
event_time = {{ field = "at", delay = "1h", idle_timeout = "never" }}
[steps.checked]
from = "in"
key = "id"
window = {{ rolling = "1s" }}
aggregate = {{ n = "count()" }}
[sinks.out]
from = "checked"
{sink}
select = {{ id = "id" }}
[dead_letters]
connector = "file"
path = "dead"
"#
    )
}

fn ids(found: &[Value]) -> Vec<i64> {
    let mut ids: Vec<i64> = found.iter().map(|it| int(it, "id")).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn topics_are_read_as_one_stream_and_a_dead_letter_names_its_own() {
    let broker = kafka::shared();
    let topics = [broker.topic("eu", 2), broker.topic("us", 3)];
    for (topic, partitions) in topics.iter().zip([2, 3]) {
        let good = (0..30).map(|it| record(it % partitions, &json!({"id": it, "at": 1_000 + it})));
        Writer::new(broker, topic).send(good);
    }
    Writer::new(broker, &topics[1]).send([record(2, &json!({"id": "no time"}))]);
    for (fetch, workers) in [("native", "1"), ("native", "3"), ("librdkafka", "2")] {
        let folder = Folder::new();
        let sink = "connector = \"file\"\npath = \"out\"";
        folder.write("pipeline.toml", pipeline(&unique("p"), &format!("topics = {topics:?}"), fetch, sink));
        folder.run("pipeline.toml").args(["--workers", workers]).until_end();
        let expected: Vec<i64> = (0..60).map(|it| it / 2).collect();
        assert_eq!(ids(&folder.records("out")), expected, "{fetch}, {workers} workers");
        let dead = folder.records("dead");
        let places: Vec<_> =
            dead.iter().map(|it| (text(it, "topic"), int(it, "partition"), int(it, "offset"))).collect();
        assert_eq!(places, [(topics[1].as_str(), 2, 10)], "{dead:?}");
    }
}

#[test]
fn topics_come_and_go_between_runs_and_what_stays_is_read_on() {
    let broker = kafka::shared();
    let topics = ["a", "b", "c"].map(|it| broker.topic(it, 2));
    let [a, b, c] = &topics;
    let mut next = 0;
    // Ten records more in each topic.
    let mut more = || {
        for topic in &topics {
            Writer::new(broker, topic)
                .send((next..next + 10).map(|it| record(it % 2, &json!({"id": it, "at": 1_000 + it}))));
            next += 10;
        }
    };
    for to_kafka in [false, true] {
        let folder = Folder::new();
        let (name, out) = (unique("p"), broker.topic("out", 1));
        let sink = match to_kafka {
            true => format!("connector = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{out}\"", broker.address()),
            false => "connector = \"file\"\npath = \"out\"".to_owned(),
        };
        let count = |topic: &str| broker.read(topic, Isolation::Committed).len();
        let mut expected = 0;
        let mut read = [0; 3];
        for written in [
            format!("topic = {a:?}"),
            format!("topics = [{a:?}, {b:?}]"),
            format!("topics = [{c:?}, {b:?}, {a:?}]"),
            format!("topics = [{b:?}]"),
        ] {
            more();
            folder.write("pipeline.toml", pipeline(&name, &written, "auto", &sink));
            folder.run("pipeline.toml").until_end();
            for (topic, read) in topics.iter().zip(&mut read).filter(|it| written.contains(it.0.as_str())) {
                expected += count(topic) - *read;
                *read = count(topic);
            }
            let found = match to_kafka {
                true => broker.read(&out, Isolation::Committed).iter().map(|it| parse(it.text())).collect(),
                false => folder.records("out"),
            };
            let mut ids = ids(&found);
            assert_eq!(ids.len(), expected, "{written}");
            ids.dedup();
            assert_eq!(ids.len(), expected, "{written}: each record once");
        }
    }
}

#[test]
fn one_of_several_topics_that_is_missing_is_named() {
    let (folder, broker) = (Folder::new(), kafka::shared());
    let (there, missing) = (broker.topic("there", 1), unique("missing"));
    let sink = "connector = \"stdout\"";
    let topics = format!("topics = [{there:?}, {missing:?}]");
    folder.write("pipeline.toml", pipeline(&there, &topics, "auto", sink));
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end().expect_code(78);
    ended.expect_error(&[&missing, "does not exist"]);
}

const DRIFT_MS: i64 = 5_000;
const BATCH: i64 = 20;
const FAST_STEP_MS: i64 = 1_000;
const SLOW_END_MS: i64 = 20_000;

#[test]
fn a_fast_topic_is_read_no_further_ahead_of_a_slow_one_than_it_may() {
    // A batch may go past it.
    let most = DRIFT_MS + BATCH * FAST_STEP_MS;
    for fetch in ["native", "librdkafka"] {
        let ahead = read_ahead(", max_drift = \"5s\"", fetch);
        assert!(ahead <= most, "{fetch}: {ahead} ms ahead");
    }
    // Without a bound it is, unless the other one's records all happen to come first.
    assert!((0..10).any(|_| read_ahead("", "native") > most), "it never was ahead: the test shows nothing");
}

/// Reads a slow and a fast topic and answers how far ahead the fast one was, ms.
fn read_ahead(bound: &str, fetch: &str) -> i64 {
    let (broker, folder) = (kafka::shared(), Folder::new());
    let slow: Vec<Value> = (0..SLOW_END_MS / 10).map(|it| json!({"name": "slow", "at": it * 10})).collect();
    let fast: Vec<Value> = (0..200).map(|it| json!({"name": "fast", "at": it * FAST_STEP_MS})).collect();
    let topics = [broker.topic("slow", 1), broker.topic("fast", 1)];
    let pipeline = format!(
        "name = \"{}\"\n[sources.in]\nconnector = \"kafka\"\nbrokers = \"{}\"\ntopics = {topics:?}\nfetch = \"{fetch}\"\n\
         event_time = {{ field = \"at\", idle_timeout = \"never\"{bound} }}\n\
         [sinks.out]\nfrom = \"in\"\nconnector = \"stdout\"\n",
        unique("drift"),
        broker.address()
    );
    folder.write("pipeline.toml", pipeline);
    let run = || folder.run("pipeline.toml").args(["--workers", "1"]).set("batch_rows_max", BATCH).until_end();
    let written = |ended: wasmill_tests::process::Ended| ended.stdout.lines().map(parse).collect::<Vec<Value>>();
    // A topic without records holds nobody back: it has one, from which the second run goes on.
    let (first, rest) = slow.split_at(1);
    Writer::new(broker, &topics[0]).send(first.iter().map(|it| record(0, it)));
    let mut found = written(run());
    Writer::new(broker, &topics[0]).send(rest.iter().map(|it| record(0, it)));
    Writer::new(broker, &topics[1]).send(fast.iter().map(|it| record(0, it)));
    found.extend(written(run()));
    same_records("all", &found, &slow.iter().chain(&fast).cloned().collect::<Vec<_>>());
    let ahead = ahead(&found);
    println!("{fetch}{bound}: {ahead} ms ahead");
    ahead
}

/// How far the fast records were read ahead of the slow ones, at most, while there were any left.
fn ahead(lines: &[Value]) -> i64 {
    let (mut slow, mut ahead) = (0, 0);
    for line in lines {
        match text(line, "name") {
            "slow" => slow = int(line, "at"),
            _ if slow + 10 < SLOW_END_MS => ahead = ahead.max(int(line, "at") - slow),
            _ => {}
        }
    }
    ahead
}

#[test]
fn a_topic_that_is_read_first_is_there_for_every_record_of_another() {
    let (folder, broker) = (Folder::new(), kafka::shared());
    let (orders, levels) = (broker.topic("orders", 2), broker.topic("levels", 3));
    let order = |it: i64| json!({"id": it, "user": it % 40});
    Writer::new(broker, &orders).send((0..1_000).map(|it| record(it as i32 % 2, &order(it))));
    // Many more than the orders, each user's last one last.
    let level = |it: i64| {
        let key = (it % 40).to_string().into_bytes();
        let value = json!({"user": it % 40, "level": it}).to_string().into_bytes();
        ((it % 40 % 3) as i32, Some(key), Some(value))
    };
    Writer::new(broker, &levels).send((0..20_000).map(level));
    let expected: Vec<Value> = (0..1_000).map(|it| json!({"id": it, "level": 19_960 + it % 40})).collect();
    for (fetch, workers) in [("native", "1"), ("native", "2"), ("librdkafka", "2")] {
        let source = |name: &str, topic: &str, more: &str| {
            format!(
                "[sources.{name}]\nconnector = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{topic}\"\nfetch = \"{fetch}\"\n{more}\n",
                broker.address()
            )
        };
        let steps = "[steps.named]\nfrom = \"orders\"\njoin = { with = \"levels\", on = \"user\", type = \"left\", as_of = \"latest\" }\n\
                     [sinks.out]\nfrom = \"named\"\nconnector = \"file\"\npath = \"out\"\nselect = { id = \"left.id\", level = \"right.level\" }\n";
        let text = format!("name = \"{}\"\ncheckpoint_interval = \"20ms\"\n", unique("first"));
        let text = text + &source("orders", &orders, "") + &source("levels", &levels, "read_first = true") + steps;
        folder.write("pipeline.toml", text);
        for path in ["data", "out"] {
            let _ = std::fs::remove_dir_all(folder.path(path));
        }
        folder.run("pipeline.toml").args(["--available-now", "--workers", workers]).end().expect_code(0);
        same_records("looked up", &folder.records("out"), &expected);
    }
}
