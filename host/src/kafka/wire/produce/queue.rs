//! Where a producer's owner and its threads meet: batches that wait for a broker's word, a queue a partition, in order.
//!
//! A batch leaves its queue when it is acknowledged. Where one is not, those behind it on the same connection cannot be either
//! (their numbers leave a gap); once the broker has answered them all, or the connection is lost, everything that is not acknowledged
//! is sent again, in the same order, as the same bytes. So at most one connection at a time has batches of a partition, and a broker
//! that has a batch already says so.
//!
//! One lock, taken once a batch and once a request, never for a record.

use super::super::cluster::Kept;
use super::super::connection::Lost;
use super::super::messages::{
    ADD_OFFSETS, ADD_PARTITIONS, Api, COMMIT_OFFSETS, END_TRANSACTION, FIND_COORDINATOR, INIT_PRODUCER_ID, METADATA,
    PRODUCE, PartitionLeader, Written,
};
use super::super::shared::Failure;
use super::super::sockets::Sockets;
use super::batch::Sealed;
use super::codes::{self, Class};
use super::{Refusal, sender};
use crate::kafka::Deadline;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Records of one request, bytes before compression, but for a first batch that is larger.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Memory that is kept for batches to come, in pieces.
const SPARE_MAX: usize = 16;

/// The meeting place.
#[derive(Debug)]
pub(super) struct Queues {
    /// Sorted as the partitions are.
    topics: Vec<String>,
    pub(super) transactional_id: Option<String>,
    /// How long a broker may take for a request, ms.
    pub(super) request_ms: i32,
    sockets: Arc<Sockets>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Sorted by topic.
    partitions: Vec<Partition>,
    /// Bytes of batches that are not acknowledged.
    bytes: usize,
    /// How many those are.
    batches: usize,
    stop: bool,
    /// Somebody has to ask who leads what.
    refresh: bool,
    /// Something was written since the last refresh.
    progress: bool,
    trouble: Option<String>,
    refusal: Option<Refusal>,
    /// Nodes with a thread that sends to them.
    running: Vec<i32>,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Partition {
    /// Its topic's index.
    topic: usize,
    id: i32,
    leader: Option<i32>,
    /// Who was sent `unanswered` batches. While there are some, nobody else is sent any.
    asked: i32,
    unanswered: usize,
    /// A batch was not taken: nothing is sent before everything is answered.
    again: bool,
    /// The open transaction has it, and its leader has written nothing of it yet.
    unopened: bool,
    queue: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    batch: Arc<Sealed>,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Waiting,
    Sent,
    Acknowledged,
}

impl Partition {
    /// Once nothing is under way: what was not taken waits to be sent again.
    fn settle(&mut self) {
        if self.unanswered == 0 {
            self.again = false;
            for entry in self.queue.iter_mut().filter(|it| it.step == Step::Sent) {
                entry.step = Step::Waiting;
            }
        }
    }
}

/// What a broker's thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Send the batches.
    Send,
    /// Read an answer.
    Read,
    /// End: there is nothing to do for this broker.
    End,
}

impl Queues {
    /// `partitions` are a topic's index and a number each, sorted.
    pub(super) fn new(
        topics: Vec<String>,
        partitions: &[(usize, i32)],
        transactional_id: Option<String>,
        request_ms: i32,
    ) -> Self {
        let partition = |&(topic, id): &(usize, i32)| Partition {
            topic,
            id,
            leader: None,
            asked: -1,
            unanswered: 0,
            again: false,
            unopened: false,
            queue: VecDeque::new(),
        };
        let partitions = partitions.iter().map(partition).collect();
        let state = Mutex::new(State { partitions, refresh: true, ..State::default() });
        Queues { topics, transactional_id, request_ms, sockets: Arc::default(), state, changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn topic(&self, index: usize) -> &str {
        self.topics.get(index).map_or("", String::as_str)
    }

    // What the owner does.

    /// Queues batches.
    pub(super) fn push(&self, batches: impl IntoIterator<Item = Sealed>) {
        let mut state = self.lock();
        for batch in batches {
            let (index, bytes) = (batch.partition, batch.bytes());
            let Some(partition) = state.partitions.get_mut(index) else { continue };
            partition.queue.push_back(Entry { batch: Arc::new(batch), step: Step::Waiting });
            state.bytes += bytes;
            state.batches += 1;
        }
        self.changed.notify_all();
    }

    /// The open transaction has these partitions from now on.
    pub(super) fn open(&self, partitions: &[usize]) {
        let mut state = self.lock();
        for index in partitions {
            if let Some(partition) = state.partitions.get_mut(*index) {
                partition.unopened = true;
            }
        }
    }

    /// Waits until something of each partition is written that has something in the open transaction, or the time is up.
    pub(super) fn opened(&self, deadline: &Deadline) {
        let opens = |it: &Partition| it.unopened && !it.queue.is_empty();
        self.wait(deadline, |it| it.refusal.is_some() || !it.partitions.iter().any(opens));
    }

    /// Bytes that are not acknowledged; or why nothing will be.
    pub(super) fn bytes(&self) -> Result<usize, Refusal> {
        let state = self.lock();
        state.refusal.clone().map_or(Ok(state.bytes), Err)
    }

    /// The age of what has waited longest, ms; 0 for nothing.
    pub(super) fn oldest_ms(&self) -> u64 {
        let state = self.lock();
        let oldest = state.partitions.iter().filter_map(|it| it.queue.front());
        oldest.map(|it| it.batch.queued.waited_ms()).max().unwrap_or(0)
    }

    /// Those of `partitions` that have nothing waiting.
    pub(super) fn idle(&self, partitions: impl Iterator<Item = usize>) -> Vec<usize> {
        let state = self.lock();
        let idle = |it: &usize| state.partitions.get(*it).is_none_or(|it| it.queue.is_empty());
        partitions.filter(idle).collect()
    }

    /// Memory for a batch that an earlier one had.
    pub(super) fn spare(&self) -> Vec<u8> {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// Waits until everything is acknowledged; false when the time is up first.
    pub(super) fn drain(&self, deadline: &Deadline) -> Result<bool, Refusal> {
        self.wait(deadline, |it| it.batches == 0 || it.refusal.is_some());
        let state = self.lock();
        state.refusal.clone().map_or(Ok(state.batches == 0), Err)
    }

    fn wait(&self, deadline: &Deadline, done: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while !done(&state) && !deadline.passed() {
            let left = Duration::from_millis(deadline.left_ms(u64::MAX).max(1) as u64);
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Forgets everything that is not acknowledged and what went wrong with it, and waits until no broker is working on it any
    /// more; false when the time is up first.
    pub(super) fn clear(&self, deadline: &Deadline) -> bool {
        let mut state = self.lock();
        for partition in &mut state.partitions {
            partition.queue.clear();
        }
        (state.bytes, state.batches, state.refusal) = (0, 0, None);
        drop(state);
        let quiet = |it: &State| it.partitions.iter().all(|it| it.unanswered == 0);
        self.wait(deadline, quiet);
        quiet(&self.lock())
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.lock().refusal.clone()
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

    // What a sender does.

    /// What is to be sent to `node` now, one batch a partition. Waits for it where the node has everything answered.
    ///
    /// What comes first in a request is sent whatever its size; with `turn` each partition comes first.
    pub(super) fn plan(&self, node: i32, turn: usize, unanswered: usize, batches: &mut Vec<Arc<Sealed>>) -> Plan {
        let mut state = self.lock();
        loop {
            if state.stop {
                return Plan::End;
            }
            batches.clear();
            let (mut leads, mut bytes) = (false, 0);
            let (first, refused) = (turn % state.partitions.len().max(1), state.refusal.is_some());
            let (before, from) = state.partitions.split_at_mut(first);
            for partition in from.iter_mut().chain(before).filter(|it| it.leader == Some(node)) {
                leads = true;
                let elsewhere = partition.unanswered > 0 && partition.asked != node;
                if refused || partition.again || elsewhere {
                    continue;
                }
                // A later one may have been taken where an earlier one was not: no more than the broker knows again.
                let mut known = partition.queue.iter_mut().take(sender::UNANSWERED_MAX);
                let Some(entry) = known.find(|it| it.step == Step::Waiting) else { continue };
                if bytes > 0 && bytes + entry.batch.bytes() > REQUEST_BYTES_MAX {
                    continue;
                }
                bytes += entry.batch.bytes();
                entry.step = Step::Sent;
                batches.push(Arc::clone(&entry.batch));
                (partition.asked, partition.unanswered) = (node, partition.unanswered + 1);
            }
            if !batches.is_empty() {
                batches.sort_unstable_by_key(|it| it.partition);
                return Plan::Send;
            }
            if unanswered > 0 {
                return Plan::Read;
            }
            if !leads {
                return Plan::End;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The topic and the number of a partition.
    pub(super) fn named(&self, partition: usize) -> (&str, i32) {
        let found = self.lock().partitions.get(partition).map(|it| (it.topic, it.id));
        found.map_or(("", -1), |(topic, id)| (self.topic(topic), id))
    }

    /// Notes what `node` answered to `batches`. False where it has not answered to all.
    pub(super) fn accept(&self, node: i32, batches: Vec<Arc<Sealed>>, answers: &[Written]) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        for batch in batches {
            let Some(partition) = state.partitions.get_mut(batch.partition) else { continue };
            let topic = self.topics.get(partition.topic).map_or("", String::as_str);
            let answer = answers.iter().find(|it| it.partition == partition.id && it.topic == topic);
            let Some(answer) = answer else { return false };
            partition.unanswered = partition.unanswered.saturating_sub(1);
            // What was given up matters no more, whatever became of it.
            let known = partition.queue.iter_mut().find(|it| Arc::ptr_eq(&it.batch, &batch));
            drop(batch);
            if let Some(entry) = known {
                let said = || format!("`{topic}` [{}]: {}", partition.id, said(answer));
                match codes::class(answer.error) {
                    Class::Done => {
                        entry.step = Step::Acknowledged;
                        partition.unopened = false;
                        state.progress = true;
                    }
                    Class::Again | Class::Elsewhere => {
                        state.trouble = Some(said());
                        partition.again = true;
                        if partition.leader == Some(node) {
                            partition.leader = None; // It is asked for, after a pause.
                        }
                        state.refresh = true;
                    }
                    Class::Disordered if partition.again => {}
                    Class::Fenced => state.refusal = Some(Refusal::Fenced),
                    Class::Disordered | Class::Refused => {
                        state.refusal.get_or_insert(Refusal::Failed(format!("not written to {}", said())));
                    }
                }
            }
            while partition.queue.front().is_some_and(|it| it.step == Step::Acknowledged) {
                let Some(entry) = partition.queue.pop_front() else { break };
                state.bytes -= entry.batch.bytes();
                state.batches -= 1;
                if let (Some(batch), true) = (Arc::into_inner(entry.batch), state.spare.len() < SPARE_MAX) {
                    state.spare.push(batch.memory());
                }
            }
            partition.settle();
        }
        self.changed.notify_all();
        true
    }
}

fn said(answer: &Written) -> String {
    let name = codes::name(answer.error);
    if answer.message.is_empty() { name } else { format!("{name} ({})", answer.message) }
}

impl Kept for Queues {
    const NEEDS: &'static [Api] = &[
        METADATA,
        PRODUCE,
        FIND_COORDINATOR,
        INIT_PRODUCER_ID,
        ADD_PARTITIONS,
        ADD_OFFSETS,
        END_TRANSACTION,
        COMMIT_OFFSETS,
    ];
    const THREAD: &'static str = "kafka-send";

    fn sockets(&self) -> &Arc<Sockets> {
        &self.sockets
    }

    fn topics(&self) -> &[String] {
        &self.topics
    }

    fn wait_for_refresh(&self) -> Option<bool> {
        let state = self.changed.wait_while(self.lock(), |it| !it.stop && !it.refresh);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.refresh = false;
        (!state.stop).then(|| std::mem::take(&mut state.progress))
    }

    fn refresh(&self) {
        self.lock().refresh = true;
        self.changed.notify_all();
    }

    fn trouble(&self, reason: String) {
        tracing::debug!("{reason}");
        self.lock().trouble = Some(reason);
    }

    fn fail(&self, failure: &Failure) {
        let reason = match failure {
            Failure::Missing => "a topic does not exist any more".to_owned(),
            Failure::OutOfRange => "a partition does not exist any more".to_owned(),
            Failure::Unsupported(reason) | Failure::Unreadable(reason) => reason.clone(),
        };
        self.lock().refusal.get_or_insert(Refusal::Failed(reason));
        self.changed.notify_all();
    }

    fn lead(&self, leaders: &[PartitionLeader]) -> Vec<i32> {
        let mut state = self.lock();
        let State { partitions, running, refresh, .. } = &mut *state;
        let mut needed = Vec::new();
        for partition in partitions {
            let found = leaders.iter().find(|it| it.partition == partition.id && it.topic == partition.topic);
            partition.leader = found.map(|it| it.node).filter(|it| *it >= 0);
            match partition.leader {
                Some(node) if !running.contains(&node) => {
                    running.push(node);
                    needed.push(node);
                }
                Some(_) => {}
                None => *refresh = true,
            }
        }
        self.changed.notify_all();
        needed
    }

    fn serve(self: &Arc<Self>, node: i32, address: &str) -> Result<(), Lost> {
        sender::run(self, node, address)
    }

    fn ended(&self, node: i32) {
        let mut state = self.lock();
        let State { partitions, running, refresh, .. } = &mut *state;
        running.retain(|it| *it != node);
        for partition in partitions {
            if partition.asked == node {
                partition.unanswered = 0;
                partition.settle();
            }
            if partition.leader == Some(node) {
                partition.leader = None;
                *refresh = true;
            }
        }
        self.changed.notify_all();
    }
}
