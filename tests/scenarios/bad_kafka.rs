//! What can be wrong with Kafka: topics, brokers, records.

use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;
use wasmill_tests::compare::same_records;
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::json::parse;
use wasmill_tests::kafka::{self, Broker, Isolation, Message, unique};
use wasmill_tests::process::Signal;
use wasmill_tests::settings;
use wasmill_tests::topic::{Record, Watch, Writer};
use wasmill_tests::wait::{Deadline, until};

/// How long the first output may take.
const FIRST_LIMIT: Duration = Duration::from_secs(60);

/// A pipeline from the topic `from` to the topic `to`; `more` are further tables.
fn pipeline(brokers: &str, from: &str, to: &str, reads: &str, more: &str) -> String {
    format!(
        r#"name = "{from}"
checkpoint_interval = "50ms"

[sources.in]
connector = "kafka"
brokers = "{brokers}"
topic = "{from}"
wait = "3s"

[sinks.out]
from = "{reads}"
connector = "kafka"
brokers = "{brokers}"
topic = "{to}"
wait = "3s"

{more}
"#
    )
}

fn record(id: i64) -> Record {
    (0, Some(id.to_string().into_bytes()), Some(json!({"id": id}).to_string().into_bytes()))
}

fn records(broker: &Broker, topic: &str) -> Vec<Value> {
    broker.read(topic, Isolation::Committed).iter().map(|it| parse(it.text())).collect()
}

fn expected(ids: std::ops::RangeInclusive<i64>) -> Vec<Value> {
    ids.map(|id| json!({"id": id})).collect()
}

#[test]
fn a_missing_topic_is_named_and_read_once_it_is_there() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let from = broker.topic("present", 1);
    let to = broker.topic("results", 1);
    Writer::new(broker, &from).send((1..=10).map(record));
    folder.write("pipeline.toml", pipeline(broker.address(), &from, &to, "in", ""));
    let missing = unique("missing");
    for key in ["sources.in.topic", "sinks.out.topic"] {
        let ended = folder.run("pipeline.toml").set(key, &missing).args(["--until-end"]).end();
        let ended = ended.expect_error(&[&missing, "does not exist"]);
        assert_eq!(ended.code, Some(78), "{}", ended.tails());
    }
    folder.run("pipeline.toml").until_end();
    same_records("out", &records(broker, &to), &expected(1..=10));
}

#[test]
fn an_unreachable_broker_ends_the_run_with_69_within_the_wait() {
    let folder = Folder::new();
    // A port that nobody listens on: it was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    drop(listener);
    folder.write("pipeline.toml", pipeline(&address, "nowhere", "nowhere-else", "in", ""));
    let time = Deadline::after(Duration::from_secs(15));
    let ended = folder.run("pipeline.toml").end().expect_code(69);
    assert!(!time.is_over(), "it took {:?}, with a wait of 3 s", time.elapsed());
    ended.expect_error(&[&address]);
}

#[test]
fn a_broker_that_accepts_and_says_nothing_ends_the_run_with_69_within_the_wait() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    folder.write("pipeline.toml", pipeline(&address, "nowhere", "nowhere-else", "in", ""));
    let time = Deadline::after(Duration::from_secs(15));
    let ended = folder.run("pipeline.toml").end().expect_code(69);
    assert!(!time.is_over(), "it took {:?}, with a wait of 3 s", time.elapsed());
    ended.expect_error(&[&address]);
    drop(listener);
}

#[test]
fn an_empty_topic_ends_at_once_or_is_waited_on() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let (from, to) = (broker.topic("empty", 3), broker.topic("results", 1));
    folder.write("pipeline.toml", pipeline(broker.address(), &from, &to, "in", ""));
    folder.run("pipeline.toml").until_end();
    folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(0);
    assert!(records(broker, &to).is_empty());
    let mut run = folder.run("pipeline.toml").start();
    let watch = Watch::new(broker, &to);
    Writer::new(broker, &from).send((1..=5).map(record));
    until("output", FIRST_LIMIT, || {
        assert!(run.is_running(), "{}", run.stderr());
        watch.end() > 0
    });
    run.signal(Signal::Terminate);
    run.wait(RUN_LIMIT).expect_code(0);
    folder.run("pipeline.toml").until_end();
    same_records("out", &records(broker, &to), &expected(1..=5));
}

#[test]
fn what_is_available_now_can_be_worked_off_in_turns() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let (from, to) = (broker.topic("turns", 1), broker.topic("results", 1));
    folder.write("pipeline.toml", pipeline(broker.address(), &from, &to, "in", ""));
    let writer = Writer::new(broker, &from);
    for turn in 0..3 {
        writer.send((turn * 100 + 1..=turn * 100 + 100).map(record));
        folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(0);
        same_records("out", &records(broker, &to), &expected(1..=turn * 100 + 100));
    }
}

#[test]
fn keys_values_headers_and_tombstones_pass_bit_for_bit() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let (from, to) = (broker.topic("bits", 1), broker.topic("results", 1));
    let bits = || Some(vec![0, 255, 128, 10]);
    let text = |it: &str| Some(it.as_bytes().to_vec());
    Writer::new(broker, &from).send([
        (0, None, bits()),
        (0, bits(), None),
        (0, None, None),
        (0, text(""), text("")),
        (0, text("key"), text("{ \"a\" : 1.0 }")),
    ]);
    let raw =
        pipeline(broker.address(), &from, &to, "in", "").replace("wait = \"3s\"", "wait = \"3s\"\nformat = \"raw\"");
    folder.write("pipeline.toml", raw);
    folder.run("pipeline.toml").until_end();
    let content = |it: &Message| (it.key.clone(), it.value.clone(), it.headers.clone(), it.timestamp);
    let read = |topic: &str| broker.read(topic, Isolation::Committed).iter().map(content).collect::<Vec<_>>();
    assert_eq!(read(&to), read(&from));
}

#[test]
fn a_dead_letter_says_in_headers_where_it_comes_from_and_why() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let (from, to, dead) = (broker.topic("poison", 1), broker.topic("results", 1), broker.topic("dead", 1));
    let more = format!(
        r#"
[steps.rules]
from = "in"
plugin = "{plugin}"
config = {{ mode = "panic", when = {{ every = 40 }} }}

[dead_letters]
connector = "kafka"
brokers = "{brokers}"
topic = "{dead}"
wait = "3s"
"#,
        plugin = settings::plugin("misbehaving").display(),
        brokers = broker.address(),
    );
    folder.write("pipeline.toml", pipeline(broker.address(), &from, &to, "rules", &more));
    let writer = Writer::new(broker, &from);
    writer.send((1..=100).map(record));
    writer.send([(0, Some(b"half".to_vec()), Some(b"{\"id\":".to_vec()))]);
    folder.run("pipeline.toml").until_end();
    let good: Vec<Value> = (1..=100).filter(|it| it % 40 != 0).map(|id| json!({"id": id})).collect();
    same_records("out", &records(broker, &to), &good);
    // Letters of different steps have no order among each other.
    let mut letters = broker.read(&dead, Isolation::Committed);
    letters.sort_by_key(|it| it.key.clone());
    let keys: Vec<_> =
        letters.iter().map(|it| String::from_utf8_lossy(it.key.as_deref().unwrap_or_default())).collect();
    assert_eq!(keys, ["40", "80", "half"]);
    let header = |message: &Message, name: &str| {
        let found = message.headers.iter().find(|it| it.0 == name).and_then(|it| it.1.clone());
        let found = found.unwrap_or_else(|| panic!("no header {name} in {:?}", message.headers));
        String::from_utf8(found).expect("a header that is text")
    };
    for (letter, offset) in letters.iter().zip(["39", "79", "100"]) {
        assert_eq!(header(letter, "wasmill-topic"), from);
        assert_eq!(header(letter, "wasmill-partition"), "0");
        assert_eq!(header(letter, "wasmill-offset"), offset);
    }
    assert_eq!(letters[0].text(), "{\"id\":40}");
    assert_eq!(header(&letters[0], "wasmill-step"), "rules");
    assert!(header(&letters[0], "wasmill-reason").contains("cannot stand id 40"), "{:?}", letters[0].headers);
    assert_eq!(
        header(&letters[0], "wasmill-plugin").trim_start_matches("sha256:").len(),
        64,
        "{:?}",
        letters[0].headers
    );
    assert_eq!(letters[2].text(), "{\"id\":");
    assert!(header(&letters[2], "wasmill-reason").contains("JSON"), "{:?}", letters[2].headers);
}

#[test]
fn offsets_without_their_state_refuse_to_start_and_name_the_flag() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let (from, to) = (broker.topic("stateless", 1), broker.topic("results", 1));
    folder.write("pipeline.toml", pipeline(broker.address(), &from, &to, "in", ""));
    let writer = Writer::new(broker, &from);
    writer.send((1..=10).map(record));
    folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(0);
    std::fs::remove_dir_all(folder.path("data")).expect("there was state");
    writer.send((11..=20).map(record));
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end();
    assert_ne!(ended.code, Some(0), "{}", ended.tails());
    ended.expect_error(&["--allow-missing-state"]);
    folder.run("pipeline.toml").args(["--allow-missing-state"]).until_end();
    same_records("out", &records(broker, &to), &expected(1..=20));
}
