//! Where the threads of a reader and its owner meet: what is wanted, what was fetched, what went wrong.
//!
//! One lock, taken once a fetch and once a piece that is handed over, never for a record.

use super::cluster::Kept;
use super::connection::Lost;
use super::messages::{Api, FETCH, FetchAnswer, METADATA, PartitionAnswer, PartitionLeader, Wanted};
use super::sockets::Sockets;
use super::{AbortedTransaction, Batch, batches::NoBatch, fetcher};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many pieces of one partition wait at most: each keeps the whole answer that it came in.
const PIECES_MAX: usize = 16;
/// How long a broker waits for something to come, ms; less where some of its partitions are full and may soon not be.
const WAIT_MS: i32 = 500;
const WAIT_WHILE_FULL_MS: i32 = 20;

/// Where to read a partition from, and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The partition.
    pub(crate) partition: i32,
    /// The first offset to fetch.
    pub(crate) offset: i64,
    /// Nothing is wanted from here on; none for no end.
    pub(crate) end: Option<i64>,
}

/// Some batches of one partition, whole, as a broker sent them.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The answer that they came in.
    pub(crate) wire: Arc<Vec<u8>>,
    /// Where in it they are.
    pub(crate) range: Range<usize>,
    /// The aborted transactions with records in them.
    pub(crate) aborted: Vec<AbortedTransaction>,
}

/// Why a partition cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It does not have the offset to go on from, or its log went another way before it.
    OutOfRange,
    /// The topic, or the partition, does not exist.
    Missing,
    /// Another client may be able to.
    Unsupported(String),
    /// Anything else.
    Unreadable(String),
}

/// What a partition has for its owner.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The next batches.
    Piece(Fetched),
    /// Nothing will come any more.
    Failed(Failure),
    /// Nothing now.
    Empty,
}

/// The meeting place.
#[derive(Debug)]
pub(super) struct Shared {
    /// One.
    topics: [String; 1],
    sockets: Arc<Sockets>,
    queued_bytes_max: usize,
    /// Bytes that are asked for at once; none for the best.
    pub(super) bytes_max: Option<i32>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    partitions: Vec<Partition>,
    stop: bool,
    /// Somebody has to ask who leads what.
    refresh: bool,
    /// Something was fetched since the last refresh.
    progress: bool,
    trouble: Option<String>,
    /// Nodes with a thread that fetches from them.
    running: Vec<i32>,
}

#[derive(Debug)]
struct Partition {
    span: Span,
    /// The epoch of the last batch that was fetched, -1 for none.
    last_epoch: i32,
    /// Node and epoch.
    leader: Option<(i32, i32)>,
    queue: VecDeque<Fetched>,
    queued_bytes: usize,
    high: i64,
    failure: Option<Failure>,
}

impl Partition {
    fn is_done(&self) -> bool {
        self.failure.is_some() || self.span.end.is_some_and(|end| self.span.offset >= end)
    }
}

impl Shared {
    pub(super) fn new(topic: &str, spans: &[Span], queued_bytes_max: usize, bytes_max: Option<i32>) -> Shared {
        let partition = |span: &Span| Partition {
            span: *span,
            last_epoch: -1,
            leader: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            high: -1,
            failure: None,
        };
        let partitions = spans.iter().map(partition).collect();
        let state = Mutex::new(State { partitions, refresh: true, ..State::default() });
        let (topics, sockets) = ([topic.to_owned()], Arc::default());
        Shared { topics, sockets, queued_bytes_max, bytes_max, state, changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the owner asks.

    /// What the partition at `index` of the spans has.
    pub(super) fn take(&self, index: usize) -> Taken {
        let mut state = self.lock();
        let Some(partition) = state.partitions.get_mut(index) else { return Taken::Empty };
        if let Some(piece) = partition.queue.pop_front() {
            let was_full = partition.queued_bytes >= self.queued_bytes_max || partition.queue.len() + 1 >= PIECES_MAX;
            partition.queued_bytes = partition.queued_bytes.saturating_sub(piece.range.len());
            if was_full {
                self.changed.notify_all();
            }
            return Taken::Piece(piece);
        }
        partition.failure.clone().map_or(Taken::Empty, Taken::Failed)
    }

    /// The end of the partition at `index` as of the last fetch; -1 for not known.
    pub(super) fn high(&self, index: usize) -> i64 {
        self.lock().partitions.get(index).map_or(-1, |it| it.high)
    }

    pub(super) fn take_trouble(&self) -> Option<String> {
        self.lock().trouble.take()
    }

    /// Ends every thread: none waits for anything after it.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
        self.sockets.stop();
    }

    // What a fetcher does.

    pub(super) fn topic(&self) -> &str {
        let [topic] = &self.topics;
        topic
    }

    /// Waits until there is something to fetch from `node`, and says what and for how long the broker may wait. None when there
    /// will be nothing: it is time to stop, or the node leads nothing.
    ///
    /// What comes first in a request is sent whole, what comes later may be cut; with `turn` each partition comes first.
    pub(super) fn plan(&self, node: i32, turn: usize, wanted: &mut Vec<Wanted>) -> Option<i32> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            wanted.clear();
            let (mut full, mut led) = (false, false);
            for partition in &state.partitions {
                let leader = partition.leader.filter(|it| it.0 == node && !partition.is_done());
                let Some((_, epoch)) = leader else { continue };
                led = true;
                if partition.queued_bytes >= self.queued_bytes_max || partition.queue.len() >= PIECES_MAX {
                    full = true;
                    continue;
                }
                let Span { partition: id, offset, .. } = partition.span;
                wanted.push(Wanted { partition: id, leader_epoch: epoch, offset, last_epoch: partition.last_epoch });
            }
            if !wanted.is_empty() {
                let first = turn % wanted.len();
                wanted.rotate_left(first);
                return Some(if full { WAIT_WHILE_FULL_MS } else { WAIT_MS });
            }
            if !led {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts what `node` answered to `wanted` where its readers find it.
    pub(super) fn accept(&self, node: i32, wanted: &[Wanted], answer: FetchAnswer, wire: &Arc<Vec<u8>>) {
        let mut state = self.lock();
        let state = &mut *state;
        for it in answer.partitions {
            let asked = wanted.iter().find(|asked| asked.partition == it.partition);
            let partition = state.partitions.iter_mut().find(|found| found.span.partition == it.partition);
            let (Some(asked), Some(partition)) = (asked, partition) else { continue };
            // Another broker may have become the leader, and sent the same, while this one was answering.
            if partition.span.offset != asked.offset || partition.leader.is_none_or(|it| it.0 != node) {
                continue;
            }
            match class(it.error) {
                Class::Fine if it.diverged_at.is_some() => partition.failure = Some(Failure::OutOfRange),
                Class::Fine => {
                    partition.high = it.high;
                    state.progress = true;
                    partition.accept(it, wire);
                }
                Class::Elsewhere => {
                    let id = it.partition;
                    state.trouble = Some(format!("{} [{id}]: {}", self.topic(), said(it.error)));
                    partition.leader = None;
                    state.refresh = true;
                }
                Class::Fatal(failure) => partition.failure = Some(failure),
            }
        }
        if state.refresh {
            self.changed.notify_all();
        }
    }
}

impl Kept for Shared {
    const NEEDS: &'static [Api] = &[METADATA, FETCH];
    const THREAD: &'static str = "kafka-fetch";

    fn sockets(&self) -> &Arc<Sockets> {
        &self.sockets
    }

    fn topics(&self) -> &[String] {
        &self.topics
    }

    fn trouble(&self, reason: String) {
        tracing::debug!(topic = self.topic(), "{reason}");
        self.lock().trouble = Some(reason);
    }

    fn fail(&self, failure: &Failure) {
        for partition in self.lock().partitions.iter_mut().filter(|it| !it.is_done()) {
            partition.failure = Some(failure.clone());
        }
    }

    fn wait_for_refresh(&self) -> Option<bool> {
        let state = self.changed.wait_while(self.lock(), |it| !it.stop && !it.refresh);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.refresh = false;
        (!state.stop).then(|| std::mem::take(&mut state.progress))
    }

    fn lead(&self, leaders: &[PartitionLeader]) -> Vec<i32> {
        let mut state = self.lock();
        let State { partitions, running, refresh, .. } = &mut *state;
        let mut needed = Vec::new();
        for partition in partitions.iter_mut().filter(|it| !it.is_done()) {
            let found = leaders.iter().find(|it| it.partition == partition.span.partition && it.node >= 0);
            partition.leader = found.map(|it| (it.node, it.epoch));
            match found {
                Some(it) if !running.contains(&it.node) => {
                    running.push(it.node);
                    needed.push(it.node);
                }
                Some(_) => {}
                None => *refresh = true,
            }
        }
        self.changed.notify_all();
        needed
    }

    fn refresh(&self) {
        self.lock().refresh = true;
        self.changed.notify_all();
    }

    fn ended(&self, node: i32) {
        let mut state = self.lock();
        let State { partitions, running, refresh, .. } = &mut *state;
        running.retain(|it| *it != node);
        for partition in partitions.iter_mut().filter(|it| !it.is_done() && it.leader.is_some_and(|it| it.0 == node)) {
            partition.leader = None;
            *refresh = true;
        }
        self.changed.notify_all();
    }

    fn serve(self: &Arc<Self>, node: i32, address: &str) -> Result<(), Lost> {
        fetcher::run(self, node, address)
    }
}

impl Partition {
    /// Queues the whole batches of an answer, and moves the place to go on from behind them.
    fn accept(&mut self, answer: PartitionAnswer, wire: &Arc<Vec<u8>>) {
        let within = wire.get(..answer.batches.end).unwrap_or_default();
        let mut at = answer.batches.start;
        let failure = loop {
            match Batch::at(within, at) {
                Ok(batch) if batch.last_offset >= self.span.offset => {
                    at = batch.range.end;
                    self.span.offset = batch.next_offset();
                    self.last_epoch = batch.epoch;
                }
                Ok(batch) => at = batch.range.end, // Before the place that was asked for.
                Err(NoBatch::End) => break None,
                Err(NoBatch::Format(format)) => {
                    break Some(Failure::Unsupported(format!(
                        "a batch has format {format}, from before Kafka 0.11; expected 2"
                    )));
                }
                Err(NoBatch::Broken(broken)) => break Some(Failure::Unreadable(broken.to_string())),
            }
        };
        let range = answer.batches.start..at;
        if !range.is_empty() {
            self.queued_bytes += range.len();
            self.queue.push_back(Fetched { wire: Arc::clone(wire), range, aborted: answer.aborted });
        }
        self.failure = failure;
    }
}

/// What an error code asks for.
enum Class {
    Fine,
    /// Somebody else leads, or nobody yet.
    Elsewhere,
    Fatal(Failure),
}

/// Names of the error codes that a fetch answers, from Kafka's protocol.
const CODES: [(i16, &str); 16] = [
    (-1, "the broker failed (UNKNOWN_SERVER_ERROR)"),
    (1, "OFFSET_OUT_OF_RANGE"),
    (2, "the broker found a corrupt batch (CORRUPT_MESSAGE)"),
    (3, "UNKNOWN_TOPIC_OR_PARTITION"),
    (5, "there is no leader now (LEADER_NOT_AVAILABLE)"),
    (6, "the broker does not lead it any more (NOT_LEADER_OR_FOLLOWER)"),
    (7, "REQUEST_TIMED_OUT"),
    (8, "BROKER_NOT_AVAILABLE"),
    (9, "REPLICA_NOT_AVAILABLE"),
    (13, "NETWORK_EXCEPTION"),
    (29, "not allowed to read the topic (TOPIC_AUTHORIZATION_FAILED)"),
    (56, "the broker's storage failed (KAFKA_STORAGE_ERROR)"),
    (74, "another leader was elected (FENCED_LEADER_EPOCH)"),
    (75, "the broker does not know of its election yet (UNKNOWN_LEADER_EPOCH)"),
    (76, "UNSUPPORTED_COMPRESSION_TYPE"),
    (78, "OFFSET_NOT_AVAILABLE"),
];

fn said(code: i16) -> String {
    CODES.iter().find(|it| it.0 == code).map_or_else(|| format!("error {code}"), |it| it.1.to_owned())
}

fn class(code: i16) -> Class {
    match code {
        0 => Class::Fine,
        // A topic that is gone is missing from the metadata too, which says so for certain.
        -1 | 3 | 5..=9 | 13 | 56 | 74 | 75 | 78 => Class::Elsewhere,
        1 => Class::Fatal(Failure::OutOfRange),
        76 => Class::Fatal(Failure::Unsupported(said(code))),
        _ => Class::Fatal(Failure::Unreadable(said(code))),
    }
}
