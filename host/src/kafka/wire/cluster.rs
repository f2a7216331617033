//! The keeper: asks who leads what, and sees to it that each leader has a thread that fetches from it.

use super::connection::{Connection, Lost};
use super::fetcher;
use super::messages::{self, METADATA, Metadata};
use super::shared::{Failure, Shared, Span, Taken};
use crate::kafka::Deadline;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Between two questions while brokers do not answer, or partitions have no leader.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// So long a topic may be missing from what brokers say: one that starts does not know everything at once.
const MISSING_MS_MAX: u64 = 5_000;
/// The error code of a topic that is not there.
const UNKNOWN_TOPIC: i16 = 3;
/// Error codes of a topic that nobody may read.
const REFUSED: [i16; 2] = [17, 29];

/// What to read, and how much of it ahead.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// `host:port`, each.
    pub(crate) brokers: Vec<String>,
    /// The topic.
    pub(crate) topic: String,
    /// Its partitions.
    pub(crate) spans: Vec<Span>,
    /// Bytes of one partition that are fetched ahead, but for the last fetch.
    pub(crate) queued_bytes_max: usize,
    /// Bytes that are asked for at once; none for the best.
    pub(crate) bytes_max: Option<i32>,
}

/// A reader with its threads, which end with it.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to read; does not wait for a broker.
    pub(crate) fn start(reading: Reading) -> std::io::Result<Reader> {
        let shared = Arc::new(Shared::new(&reading.topic, &reading.spans, reading.queued_bytes_max));
        let keeper = Keeper {
            shared: Arc::clone(&shared),
            bootstrap: reading.brokers,
            bytes_max: reading.bytes_max,
            known: BTreeMap::new(),
            fetchers: BTreeMap::new(),
            missing: None,
        };
        let keeper = Builder::new().name("kafka-keeper".to_owned()).spawn(|| keeper.run())?;
        Ok(Reader { shared, keeper: Some(keeper) })
    }

    /// What the partition at `index` of the spans has; does not wait.
    pub(crate) fn take(&self, index: usize) -> Taken {
        self.shared.take(index)
    }

    /// The end of the partition at `index` as of the last fetch; -1 for not known.
    pub(crate) fn high(&self, index: usize) -> i64 {
        self.shared.high(index)
    }

    /// The newest passing trouble since the last call.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.shared.take_trouble()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join(); // A panic of its was printed.
        }
    }
}

struct Keeper {
    shared: Arc<Shared>,
    bootstrap: Vec<String>,
    bytes_max: Option<i32>,
    /// The addresses of the brokers by node, as last heard.
    known: BTreeMap<i32, String>,
    fetchers: BTreeMap<i32, JoinHandle<()>>,
    /// Since when the topic is missing.
    missing: Option<Deadline>,
}

impl Keeper {
    fn run(mut self) {
        let mut backoff = Duration::ZERO; // The first question is asked at once.
        while let Some(progress) = self.shared.wait_for_refresh() {
            if progress {
                backoff = BACKOFF_MIN;
            }
            if self.shared.pause(backoff) {
                break;
            }
            backoff = (backoff * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
            match self.ask() {
                Ok(metadata) => self.apply(&metadata),
                Err(Lost::Stopped) => break,
                Err(Lost::Unsupported(reason)) => self.shared.fail(&Failure::Unsupported(reason)),
                Err(lost) => {
                    self.shared.trouble(lost.to_string());
                    self.shared.refresh();
                }
            }
        }
    }

    /// Asks any broker.
    fn ask(&self) -> Result<Metadata, Lost> {
        let mut last = Lost::Stopped;
        for address in self.known.values().chain(&self.bootstrap) {
            if self.shared.stopping() {
                return Err(Lost::Stopped);
            }
            match self.ask_at(address) {
                Err(lost @ (Lost::Io { .. } | Lost::Broken { .. })) => last = lost,
                answered => return answered,
            }
        }
        Err(last)
    }

    fn ask_at(&self, address: &str) -> Result<Metadata, Lost> {
        let mut connection = Connection::open(&self.shared, address)?;
        let topic = &self.shared.topic;
        let answer = connection.ask(METADATA, |out| messages::write_metadata(out, topic), Vec::with_capacity)?;
        connection.read(METADATA, &answer, |it| messages::read_metadata(it, topic))
    }

    fn apply(&mut self, metadata: &Metadata) {
        if metadata.error == UNKNOWN_TOPIC {
            let missing = *self.missing.get_or_insert_with(|| Deadline::after(MISSING_MS_MAX));
            if missing.passed() {
                return self.shared.fail(&Failure::Missing);
            }
        } else {
            self.missing = None;
        }
        if REFUSED.contains(&metadata.error) {
            let reason = format!("the broker refuses the topic: error {}", metadata.error);
            return self.shared.fail(&Failure::Unreadable(reason));
        }
        let address =
            |host: &str, port| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        self.known = metadata.brokers.iter().map(|it| (it.node, address(&it.host, it.port))).collect();
        for node in self.shared.lead(&metadata.leaders) {
            self.see_to(node);
        }
    }

    /// Starts a thread for `node`, which has none.
    fn see_to(&mut self, node: i32) {
        if let Some(ended) = self.fetchers.remove(&node) {
            let _ = ended.join(); // A panic of its was printed.
        }
        let Some(address) = self.known.get(&node).cloned() else {
            self.shared.trouble(format!("node {node} leads a partition, but no address of it is known"));
            return self.shared.ended(node);
        };
        let (shared, bytes_max) = (Arc::clone(&self.shared), self.bytes_max);
        let fetcher = Builder::new().name(format!("kafka-fetch-{node}"));
        match fetcher.spawn(move || fetcher::run(&shared, node, &address, bytes_max)) {
            Ok(fetcher) => {
                self.fetchers.insert(node, fetcher);
            }
            Err(error) => {
                self.shared.trouble(format!("no thread to fetch with: {error}"));
                self.shared.ended(node);
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Where it is not asked to stop, it has failed, and nobody would come to read anything.
        self.shared.fail(&Failure::Unreadable("the thread that keeps the connections has ended".to_owned()));
        for fetcher in std::mem::take(&mut self.fetchers).into_values() {
            let _ = fetcher.join(); // A panic of its was printed.
        }
    }
}
