//! The pipeline of the exactly-once scenarios: purchases in four partitions; a plugin refuses some of them; the rest goes
//! through a rolling window, tumbling windows and a plugin that counts by key. Everything that can be lost or doubled is in
//! its output: each record by its id, each sum, each count, each dead letter.

use crate::dead_letter;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use wasmill_tests::compare::{same_in_order_of_key, same_records};
use wasmill_tests::folder::{Folder, Launch};
use wasmill_tests::json::parse;
use wasmill_tests::kafka::{self, Broker, Isolation, Message};
use wasmill_tests::random::Random;
use wasmill_tests::reference::{self, FOLD};
use wasmill_tests::settings;
use wasmill_tests::stream::{Event, events};
use wasmill_tests::topic::{Watch, Writer};

const PARTITIONS: usize = 4;
const USERS: u64 = 400;
/// The same where most of them are not in memory.
const USERS_SPILLED: u64 = 5_000;
/// Ids that are multiples of this are refused.
const REFUSED_EVERY: i64 = 250;
/// The sinks, and the dead letters.
const OUTPUTS: [&str; 4] = ["rolling", "tumbling", "counted", "dead"];

/// Where the purchases come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Kafka,
    /// Two topics of one source, with half of the partitions each.
    Topics,
    Files,
}

/// Where results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Written by the native producer.
    Kafka,
    /// Written by librdkafka.
    Librdkafka,
    Files,
}

/// One pipeline with its input and output.
pub(crate) struct Purchases<'a> {
    pub(crate) folder: Folder,
    broker: &'a Broker,
    output: Output,
    input: Input,
    events: Vec<Event>,
    sent: usize,
    source_topics: Vec<String>,
    topics: Vec<String>,
    writers: Vec<Writer>,
    watch: Watch,
    /// How much its state may take, where that is little: then there are no rolling windows.
    memory: Option<&'static str>,
    /// True once a life that was killed has left state that was not in memory.
    pub(crate) spilled: std::cell::Cell<bool>,
}

impl<'a> Purchases<'a> {
    /// `count` purchases, none of them sent yet.
    pub(crate) fn new(random: &mut Random, input: Input, output: Output, count: u64) -> Self {
        Purchases::on(kafka::shared(), random, input, output, count)
    }

    /// From Kafka to Kafka, with the counts and windows of most users on the disk.
    pub(crate) fn spilling(random: &mut Random, count: u64, memory: &'static str) -> Self {
        Purchases::made(kafka::shared(), random, (Input::Kafka, Output::Kafka), count, Some(memory))
    }

    /// The same on another broker.
    pub(crate) fn on(broker: &'a Broker, random: &mut Random, input: Input, output: Output, records: u64) -> Self {
        Purchases::made(broker, random, (input, output), records, None)
    }

    fn made(
        broker: &'a Broker,
        random: &mut Random,
        (input, output): (Input, Output),
        records: u64,
        memory: Option<&'static str>,
    ) -> Self {
        let folder = Folder::new();
        let users = if memory.is_some() { USERS_SPILLED } else { USERS };
        let events = events(random, records, users, PARTITIONS);
        let count = if input == Input::Topics { 2 } else { 1 };
        let source_topics: Vec<String> =
            (0..count).map(|_| broker.topic("purchases", (PARTITIONS / count) as i32)).collect();
        let topics: Vec<String> = OUTPUTS.iter().map(|it| broker.topic(it, PARTITIONS as i32)).collect();
        let writers = source_topics.iter().map(|it| Writer::new(broker, it)).collect();
        let watch = Watch::new(broker, &topics[if memory.is_some() { 2 } else { 0 }]);
        let purchases = Purchases {
            folder,
            broker,
            output,
            input,
            events,
            sent: 0,
            source_topics,
            topics,
            writers,
            watch,
            memory,
            spilled: false.into(),
        };
        purchases.folder.write("pipeline.toml", purchases.pipeline());
        purchases
    }

    fn pipeline(&self) -> String {
        let brokers = self.broker.address();
        let source = match self.input {
            Input::Kafka => {
                format!("connector = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{}\"", self.source_topics[0])
            }
            Input::Topics => {
                format!("connector = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = {:?}", self.source_topics)
            }
            Input::Files => "connector = \"file\"\npath = \"in\"".to_owned(),
        };
        let sink = |index: usize| match self.output {
            Output::Kafka | Output::Librdkafka => format!(
                "connector = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{}\"\ntransaction_timeout = \"10s\"\nproduce = \"{}\"",
                self.topics[index],
                if self.output == Output::Kafka { "native" } else { "librdkafka" }
            ),
            Output::Files => format!("connector = \"file\"\npath = \"{}\"", OUTPUTS[index]),
        };
        let name = &self.source_topics[0]; // Unique, as a name of a pipeline on a shared broker must be.
        let memory = self.memory.map(|it| format!("memory = \"{it}\"")).unwrap_or_default();
        let rolling = format!(
            r#"
[steps.rolling]
from = "checked"
key = "user"
window = {{ rolling = "30s" }}
aggregate = {FOLD}

[sinks.rolling]
from = "rolling"
{}
"#,
            sink(0)
        );
        let rolling = if self.memory.is_some() { String::new() } else { rolling };
        format!(
            r#"
name = "{name}"
checkpoint_interval = "40ms"
batch_rows_max = 512
{memory}

[sources.purchases]
{source}
event_time = {{ field = "at", delay = "2s", idle_timeout = "never" }}

[steps.checked]
from = "purchases"
plugin = "{transform}"
config = {{ mode = "reject", when = {{ every = {REFUSED_EVERY} }} }}

[steps.counted]
from = "checked"
key = "user"
plugin = "{keyed}"

{rolling}
[steps.tumbling]
from = "checked"
key = "user"
window = {{ tumbling = "10s" }}
aggregate = {FOLD}

[sinks.tumbling]
from = "tumbling"
{tumbling}

[sinks.counted]
from = "counted"
{counted}

[dead_letters]
{dead}
"#,
            transform = settings::plugin("misbehaving").display(),
            keyed = settings::plugin("misbehaving-keyed").display(),
            tumbling = sink(1),
            counted = sink(2),
            dead = sink(3),
        )
    }

    /// A run of the pipeline.
    pub(crate) fn run(&self) -> Launch<'_> {
        self.folder.run("pipeline.toml")
    }

    /// Makes the next `count` purchases visible, or all that are left.
    pub(crate) fn send(&mut self, count: usize) {
        let end = self.events.len().min(self.sent.saturating_add(count));
        let events = &self.events[self.sent..end];
        self.sent = end;
        match self.input {
            Input::Kafka | Input::Topics => {
                let each = PARTITIONS / self.writers.len();
                for (topic, writer) in self.writers.iter().enumerate() {
                    let own = events.iter().filter(|it| it.partition / each == topic);
                    let records = own.map(|it| {
                        let (key, value) = (it.user.clone().into_bytes(), it.json().to_string().into_bytes());
                        ((it.partition % each) as i32, Some(key), Some(value))
                    });
                    writer.send(records);
                }
            }
            Input::Files => {
                for partition in 0..PARTITIONS {
                    let mut text = String::new();
                    for event in events.iter().filter(|it| it.partition == partition) {
                        let _ = writeln!(text, "{}", event.json());
                    }
                    append(&self.folder.path(&format!("in/{partition}.jsonl")), &text);
                }
            }
        }
    }

    /// How much output there is, committed or not: it grows when something is written.
    pub(crate) fn written(&self) -> u64 {
        match self.output {
            Output::Kafka | Output::Librdkafka => self.watch.end(),
            Output::Files => self.folder.lines(OUTPUTS[0]).len() as u64,
        }
    }

    /// Looks whether a life that was killed has left scratch space behind.
    pub(crate) fn look_for_spilled_state(&self) {
        let scratch = self.folder.path("data").join(&self.source_topics[0]).join("scratch");
        let some = std::fs::read_dir(scratch).is_ok_and(|mut it| it.next().is_some());
        self.spilled.set(self.spilled.get() | some);
    }

    /// Records of output in Kafka: committed ones, and all with those of aborted transactions.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let count = |isolation| self.topics.iter().map(|it| self.broker.read(it, isolation).len()).sum();
        (count(Isolation::Committed), count(Isolation::Uncommitted))
    }

    /// Asserts that the committed output is what one undisturbed run makes: each record once, in order for each user.
    pub(crate) fn check(&self) {
        assert_eq!(self.sent, self.events.len(), "all input was sent");
        let (refused, passed): (Vec<Event>, Vec<Event>) =
            self.events.iter().cloned().partition(|it| it.id % REFUSED_EVERY == 0);
        let with_user = |(user, count)| json!({"user": user, "count": count});
        let counted = reference::counts(&passed).into_iter().map(with_user).collect();
        let dead = refused.iter().map(Event::json).collect();
        let rolling = reference::rolling(&passed, 30_000);
        let expected = [rolling, reference::windows(&passed, 10_000, 10_000), counted, dead];
        for (index, expected) in expected.iter().enumerate() {
            if self.memory.is_some() && index == 0 {
                continue; // Rolling windows stay in memory.
            }
            let found = self.output(index);
            if OUTPUTS[index] == "counted" && self.output == Output::Files {
                // A line has no key to say whose count it is.
                let counts: Vec<Value> = expected.iter().map(|it| json!({"count": it["count"]})).collect();
                same_records(OUTPUTS[index], &found, &counts);
            } else if OUTPUTS[index] == "dead" && self.input == Input::Files {
                same_records(OUTPUTS[index], &found, expected); // Records of files have no key, and so no order in topics.
            } else {
                same_in_order_of_key(OUTPUTS[index], "user", &found, expected);
            }
        }
    }

    /// The committed records of one output, each with its user.
    fn output(&self, index: usize) -> Vec<Value> {
        let dead = OUTPUTS[index] == "dead";
        match self.output {
            Output::Files if dead => self.folder.records("dead").iter().map(dead_letter::record).collect(),
            Output::Files => self.folder.records(OUTPUTS[index]),
            Output::Kafka | Output::Librdkafka => {
                self.broker.read(&self.topics[index], Isolation::Committed).iter().map(with_key).collect()
            }
        }
    }
}

/// The value of a message, with its key as the user where the value does not say.
fn with_key(message: &Message) -> Value {
    let mut record = parse(message.text());
    if record.get("user").is_none() {
        let key = message.key.clone().expect("a key");
        record["user"] = json!(String::from_utf8(key).expect("a key that is text"));
    }
    record
}

fn append(path: &Path, text: &str) {
    use std::io::Write;
    std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder for the input");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the input can be opened");
    file.write_all(text.as_bytes()).expect("the input can grow");
}
