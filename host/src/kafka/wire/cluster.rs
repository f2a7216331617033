//! The keeper: asks who leads what, and sees to it that each leader has a thread that fetches from it or sends to it.

use super::connection::{Connection, Lost};
use super::messages::{self, Api, METADATA, Metadata, PartitionLeader};
use super::shared::{Failure, Shared, Span, Taken};
use super::sockets::Sockets;
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
        let Reading { brokers, topic, spans, queued_bytes_max, bytes_max } = reading;
        let shared = Arc::new(Shared::new(&topic, &spans, queued_bytes_max, bytes_max));
        let keeper = keep(&shared, brokers)?;
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

/// Partitions that are to be fetched or written where their leaders are.
pub(super) trait Kept: Send + Sync + Sized + 'static {
    /// What a broker has to speak.
    const NEEDS: &'static [Api];
    /// What a broker's thread is called, before the number of the node.
    const THREAD: &'static str;

    /// Its connections.
    fn sockets(&self) -> &Arc<Sockets>;

    /// The topics.
    fn topics(&self) -> &[String];

    /// Waits until somebody has to ask who leads what; none when it is time to stop. True where there was progress since the last
    /// time.
    fn wait_for_refresh(&self) -> Option<bool>;

    /// Asks again, after a failure to learn who leads what.
    fn refresh(&self);

    /// Notes what is being waited out.
    fn trouble(&self, reason: String);

    /// Nothing can be done any more for any partition.
    fn fail(&self, failure: &Failure);

    /// Notes who leads what, and answers which nodes need a thread now. What has no leader is asked again.
    fn lead(&self, leaders: &[PartitionLeader]) -> Vec<i32>;

    /// What a broker's thread does, until the node leads nothing any more or the connection is lost.
    fn serve(self: &Arc<Self>, node: i32, address: &str) -> Result<(), Lost>;

    /// `node` has no thread any more: what it leads, or what somebody else leads now, has to be seen to.
    fn ended(&self, node: i32);
}

/// Starts to keep `kept`, with `brokers` to ask first; does not wait for one. The thread ends when `kept` says so.
pub(super) fn keep<K: Kept>(kept: &Arc<K>, brokers: Vec<String>) -> std::io::Result<JoinHandle<()>> {
    let (kept, known, threads) = (Arc::clone(kept), BTreeMap::new(), BTreeMap::new());
    let keeper = Keeper { kept, bootstrap: brokers, known, threads, missing: None };
    Builder::new().name("kafka-keeper".to_owned()).spawn(|| keeper.run())
}

struct Keeper<K: Kept> {
    kept: Arc<K>,
    bootstrap: Vec<String>,
    /// The addresses of the brokers by node, as last heard.
    known: BTreeMap<i32, String>,
    /// A thread a broker.
    threads: BTreeMap<i32, JoinHandle<()>>,
    /// Since when a topic is missing.
    missing: Option<Deadline>,
}

impl<K: Kept> Keeper<K> {
    fn run(mut self) {
        let mut backoff = Duration::ZERO; // The first question is asked at once.
        while let Some(progress) = self.kept.wait_for_refresh() {
            if progress {
                backoff = BACKOFF_MIN;
            }
            if self.kept.sockets().pause(backoff) {
                break;
            }
            backoff = (backoff * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
            match self.ask() {
                Ok(metadata) => self.apply(&metadata),
                Err(Lost::Stopped) => break,
                Err(Lost::Unsupported(reason)) => self.kept.fail(&Failure::Unsupported(reason)),
                Err(lost) => {
                    self.kept.trouble(lost.to_string());
                    self.kept.refresh();
                }
            }
        }
    }

    /// Asks any broker.
    fn ask(&self) -> Result<Metadata, Lost> {
        let mut last = Lost::Stopped;
        for address in self.known.values().chain(&self.bootstrap) {
            if self.kept.sockets().stopping() {
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
        let mut connection = Connection::open(self.kept.sockets(), address, K::NEEDS)?;
        let topics = self.kept.topics();
        let answer = connection.ask(METADATA, |out| messages::write_metadata(out, topics), Vec::with_capacity)?;
        connection.read(METADATA, &answer, |it| messages::read_metadata(it, topics))
    }

    fn apply(&mut self, metadata: &Metadata) {
        if metadata.errors.contains(&UNKNOWN_TOPIC) {
            let missing = *self.missing.get_or_insert_with(|| Deadline::after(MISSING_MS_MAX));
            if missing.passed() {
                return self.kept.fail(&Failure::Missing);
            }
        } else {
            self.missing = None;
        }
        if let Some(error) = metadata.errors.iter().find(|it| REFUSED.contains(it)) {
            return self.kept.fail(&Failure::Unreadable(format!("the broker refuses the topic: error {error}")));
        }
        self.known = metadata.brokers.iter().map(|it| (it.node, it.address())).collect();
        for node in self.kept.lead(&metadata.leaders) {
            self.see_to(node);
        }
    }

    /// Starts a thread for `node`, which has none.
    fn see_to(&mut self, node: i32) {
        if let Some(ended) = self.threads.remove(&node) {
            let _ = ended.join(); // A panic of its was printed.
        }
        let Some(address) = self.known.get(&node).cloned() else {
            self.kept.trouble(format!("node {node} leads a partition, but no address of it is known"));
            return self.kept.ended(node);
        };
        let kept = Arc::clone(&self.kept);
        let thread = Builder::new().name(format!("{}-{node}", K::THREAD));
        match thread.spawn(move || serve(&kept, node, &address)) {
            Ok(thread) => {
                self.threads.insert(node, thread);
            }
            Err(error) => {
                self.kept.trouble(format!("no thread for a connection: {error}"));
                self.kept.ended(node);
            }
        }
    }
}

impl<K: Kept> Drop for Keeper<K> {
    fn drop(&mut self) {
        // Where it is not asked to stop, it has failed, and nobody would come to do anything.
        self.kept.fail(&Failure::Unreadable("the thread that keeps the connections has ended".to_owned()));
        for thread in std::mem::take(&mut self.threads).into_values() {
            let _ = thread.join(); // A panic of its was printed.
        }
    }
}

fn serve<K: Kept>(kept: &Arc<K>, node: i32, address: &str) {
    let ended = Ended { kept: &**kept, node };
    match kept.serve(node, address) {
        Ok(()) | Err(Lost::Stopped) => {}
        Err(Lost::Unsupported(reason)) => kept.fail(&Failure::Unsupported(reason)),
        Err(lost) => kept.trouble(lost.to_string()),
    }
    drop(ended);
}

/// Says that the thread has ended, however it ends.
struct Ended<'a, K: Kept> {
    kept: &'a K,
    node: i32,
}

impl<K: Kept> Drop for Ended<'_, K> {
    fn drop(&mut self) {
        self.kept.ended(self.node);
    }
}
