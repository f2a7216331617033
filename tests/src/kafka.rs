//! A real Kafka for tests: starting and ending brokers, making topics, writing and reading them with another client than
//! the one under test.

use crate::wait::until;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message as _};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// Anything that the broker is asked for is there by then, or the test fails.
const WAIT: Duration = Duration::from_secs(30);

/// A broker, with the ways of a test to talk to it.
pub struct Broker {
    address: String,
    /// None for one that somebody else runs.
    process: Option<Process>,
}

/// A broker process of our own. A watchdog kills it when the test process ends, however it ends.
struct Process {
    dir: PathBuf,
    port: u16,
    /// `FEATURE=LEVEL`, each: other levels than those of its release.
    features: Vec<String>,
    _watchdog: Child,
}

/// The broker that all tests of this process share: `WASMILL_TEST_KAFKA` (`host:port`), or one started for it.
pub fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the one way to tell a test binary which broker to use")]
    SHARED.get_or_init(|| match std::env::var("WASMILL_TEST_KAFKA") {
        Ok(address) => Broker { address, process: None },
        Err(_) => Broker::start(),
    })
}

impl Broker {
    /// Starts a broker that only the caller uses, so that it may be killed.
    pub fn start() -> Broker {
        Broker::start_with(&[])
    }

    /// As [`Broker::start`], with features (`transaction.version=1`) at other levels than those of its release.
    pub fn start_with(features: &[&str]) -> Broker {
        let dir = tempfile::Builder::new().prefix("wasmill-kafka-").tempdir().expect("a folder for the broker").keep();
        let port = free_ports();
        // Ends with its standard input, which ends with this process. Ctrl-C must not end it first.
        let script = format!(
            "trap '' INT HUP TERM; cat >/dev/null; '{script}' kill '{dir}'; rm -rf '{dir}'",
            script = script().display(),
            dir = dir.display()
        );
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let features = features.iter().map(ToString::to_string).collect();
        let process = Process { _watchdog: watchdog.spawn().expect("sh for the watchdog"), port, features, dir };
        let broker = Broker { address: format!("127.0.0.1:{port}"), process: Some(process) };
        broker.restart();
        broker
    }

    /// Starts the process again after [`Broker::kill`] or [`Broker::stop`], with the same address and data.
    pub fn restart(&self) {
        self.script("start", true);
        // The port listens before the broker can serve.
        let consumer: BaseConsumer = self.config().create().expect("a consumer");
        consumer.fetch_metadata(None, WAIT).expect("the broker answers");
    }

    /// Kills the process (-9).
    pub fn kill(&self) {
        self.script("kill", false);
    }

    /// Ends the process in good order.
    pub fn stop(&self) {
        self.script("stop", false);
    }

    fn script(&self, action: &str, with_port: bool) {
        let process = self.process.as_ref().expect("a broker of our own");
        let mut command = Command::new(script());
        command.arg(action).arg(&process.dir).stdin(Stdio::null());
        if with_port {
            command.arg(process.port.to_string()).args(&process.features);
        }
        let done = command.output().expect("scripts/kafka.sh");
        assert!(done.status.success(), "kafka.sh {action}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes a topic with a name that no other test has, and answers the name.
    pub fn topic(&self, stem: &str, partitions: i32) -> String {
        self.topic_with(stem, partitions, &[])
    }

    /// As [`Broker::topic`], with topic configuration.
    pub fn topic_with(&self, stem: &str, partitions: i32, config: &[(&str, &str)]) -> String {
        let name = unique(stem);
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let topic = config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let made = wait(self.admin().create_topics([&topic], &AdminOptions::new().operation_timeout(Some(WAIT))));
        made.expect("an answer").pop().expect("one answer").expect("the topic is made");
        name
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, topic: &str) {
        let gone = wait(self.admin().delete_topics(&[topic], &AdminOptions::new().operation_timeout(Some(WAIT))));
        gone.expect("an answer").pop().expect("one answer").expect("the topic is deleted");
    }

    /// Deletes the records of a partition before `offset`.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("a list");
        wait(self.admin().delete_records(&list, &AdminOptions::new())).expect("the records are deleted");
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("an admin client")
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    /// A plain producer; with an id a transactional one that has called `init_transactions`.
    pub fn producer(&self, transactional_id: Option<&str>) -> BaseProducer {
        let mut config = self.config();
        // Idempotent: what is sent while a broker goes down must neither double nor change its order.
        config.set("linger.ms", "0").set("partitioner", "murmur2").set("enable.idempotence", "true");
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
        }
        let producer: BaseProducer = config.create().expect("a producer");
        if transactional_id.is_some() {
            producer.init_transactions(WAIT).expect("transactions");
        }
        producer
    }

    /// Everything that is in a topic now, by partition and offset.
    pub fn read(&self, topic: &str, isolation: Isolation) -> Vec<Message> {
        let mut config = self.config();
        config.set("group.id", "reader").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("check.crcs", "true").set("auto.offset.reset", "error");
        config.set(
            "isolation.level",
            match isolation {
                Isolation::Committed => "read_committed",
                Isolation::Uncommitted => "read_uncommitted",
            },
        );
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), WAIT).expect("metadata");
        let partitions = metadata.topics()[0].partitions();
        if isolation == Isolation::Committed {
            self.settle(&consumer, topic, partitions.len() as i32);
        }
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a list");
        }
        consumer.assign(&list).expect("an assignment");
        let mut ends_left = partitions.len();
        let mut messages = Vec::new();
        while ends_left > 0 {
            match consumer.poll(WAIT).expect("a record or an end in time") {
                Ok(message) => messages.push(Message::copy(&message)),
                Err(KafkaError::PartitionEOF(_)) => ends_left -= 1,
                Err(error) => panic!("reading {topic}: {error}"),
            }
        }
        messages.sort_by_key(|it| (it.partition, it.offset));
        messages
    }

    /// Waits until no transaction is open. A broker answers a commit before its markers are in every partition, and until
    /// they are, a `read_committed` reader stops before what was committed.
    fn settle(&self, committed: &BaseConsumer, topic: &str, partitions: i32) {
        let all: BaseConsumer = self.config().set("isolation.level", "read_uncommitted").create().expect("a consumer");
        let end = |it: &BaseConsumer, partition| it.fetch_watermarks(topic, partition, WAIT).expect("the ends").1;
        for partition in 0..partitions {
            until("every transaction to be ended", WAIT, || end(committed, partition) == end(&all, partition));
        }
    }
}

/// What a reader sees of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Committed records only.
    Committed,
    /// Records of open and aborted transactions as well.
    Uncommitted,
}

/// A record as a reader got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Ms since the Unix epoch.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Message {
    fn copy(message: &rdkafka::message::BorrowedMessage<'_>) -> Message {
        let headers = message.headers().map(|it| it.iter());
        let headers = headers.into_iter().flatten().map(|it| (it.key.to_owned(), it.value.map(<[u8]>::to_vec)));
        Message {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.collect(),
        }
    }

    /// The value as text; panics for a tombstone.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a value")).expect("text")
    }
}

/// A producer's records all acknowledged.
pub fn flush(producer: &BaseProducer) {
    producer.flush(WAIT).expect("everything is acknowledged");
}

/// A name that no other test, and no other run against the same broker, has.
pub fn unique(stem: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{stem}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka.sh")
}

/// A port of the loopback that is free, as is the one after it. Below the ports that outgoing connections get: one of those
/// could take it while the broker is down.
fn free_ports() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id());
        let port = 16_000 + (turn.wrapping_mul(2_654_435_761) >> 16) as u16 % 8_000 * 2;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// Waits for a future of the admin client.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}
