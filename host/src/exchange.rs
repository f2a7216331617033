//! Re-keying between workers: every keyed step has a bounded queue from each worker to each worker, and what travels in
//! it, travels in order: records, watermarks and barriers.
//!
//! A key belongs to a key group and a key group to a worker, so a key's records meet its state in one place. A sender
//! never blocks: what a full queue does not take stays with it, and it stops reading until the queue does.

use crate::batch::{Batch, EventTime, KEY_GROUPS, Keys, RowTimes, key_group};
use crate::column::Strings;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// Messages in one queue at most.
pub const QUEUE_MESSAGES_MAX: usize = 8;

/// Records of one batch that belong to one worker's key groups.
#[derive(Debug)]
pub struct Parcel {
    /// The records.
    pub batch: Batch,
    /// Their keys.
    pub keys: Keys,
    /// Event time at each of them, as the sending worker knew it.
    pub clock: RowTimes,
}

/// How far event time is somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeStatus {
    /// No record at or below it is on time any more.
    pub watermark: EventTime,
    /// True while nothing comes from there: it holds nobody back.
    pub idle: bool,
}

/// What travels in a queue.
#[derive(Debug)]
pub enum Message {
    /// Records.
    Data(Box<Parcel>),
    /// How far event time is at the sender.
    Watermark(TimeStatus),
    /// The end of an epoch.
    Barrier(u64),
}

/// Wakes workers that wait for work. One unpark costs nothing where the thread is running.
#[derive(Debug, Default)]
pub struct Wakers(Vec<OnceLock<Thread>>);

impl Wakers {
    /// For so many threads.
    pub fn new(threads: usize) -> Arc<Self> {
        Arc::new(Wakers((0..threads).map(|_| OnceLock::new()).collect()))
    }

    /// The calling thread is number `index` from now on.
    pub fn register(&self, index: usize) {
        // A thread that registers twice is the same thread.
        let _ = self.0[index].set(std::thread::current());
    }

    /// Wakes thread `index`, if it has registered.
    pub fn wake(&self, index: usize) {
        if let Some(thread) = self.0[index].get() {
            thread.unpark();
        }
    }
}

/// The worker that owns a key group: each owns one run of them.
pub fn owner(group: u16, workers: usize) -> usize {
    usize::from(group) * workers / KEY_GROUPS as usize
}

/// Cuts a batch into a parcel for each worker; none for a worker that owns none of its keys.
pub fn split(batch: Batch, keys: Keys, clock: &RowTimes, workers: usize) -> Vec<(usize, Parcel)> {
    let mut rows_of = vec![Vec::new(); workers];
    for (row, &hash) in keys.hashes.iter().enumerate() {
        rows_of[owner(key_group(hash), workers)].push(row as u32);
    }
    if let Some(only) = rows_of.iter().position(|it| it.len() == batch.rows) {
        return vec![(only, Parcel { batch, keys, clock: clock.clone() })];
    }
    let parcels = rows_of.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
    parcels
        .map(|(worker, rows)| {
            let hashes = rows.iter().map(|&row| keys.hashes[row as usize]).collect();
            let keys = Keys { texts: gather_keys(&keys.texts, &rows), hashes };
            (worker, Parcel { batch: batch.gather(&rows), keys, clock: gather_times(clock, &rows) })
        })
        .collect()
}

fn gather_keys(texts: &Strings, rows: &[u32]) -> Strings {
    texts.gather(rows)
}

/// The clock of the rows `rows`, which are increasing or at least come from one batch.
pub fn gather_times(clock: &RowTimes, rows: &[u32]) -> RowTimes {
    let mut stragglers = Vec::new();
    if !clock.stragglers.is_empty() {
        for (new, &old) in rows.iter().enumerate() {
            if let Ok(found) = clock.stragglers.binary_search_by_key(&old, |it| it.0) {
                stragglers.push((new as u32, clock.stragglers[found].1));
            }
        }
    }
    RowTimes { before: clock.before, stragglers, after: clock.after }
}

/// Event time at the rows of a batch as a step sees it: `clock` is the sender's, `floor` is the step's own watermark, which never
/// goes back, and `others` is the minimum over the other senders.
pub fn joined_times(clock: RowTimes, times: &[EventTime], floor: EventTime, others: EventTime) -> RowTimes {
    let before = floor.max(clock.before.min(others));
    if clock.stragglers.is_empty() && floor <= clock.before {
        return RowTimes { before, ..clock };
    }
    let mut known = clock.stragglers.iter().peekable();
    let mut stragglers = Vec::new();
    for (row, &time) in times.iter().enumerate() {
        let own = known.next_if(|it| it.0 as usize == row).map(|it| it.1.min(others));
        let watermark = own.map_or(floor, |own| own.max(floor));
        if time <= watermark {
            stragglers.push((row as u32, watermark));
        }
    }
    RowTimes { before, stragglers, after: floor.max(clock.after.min(others)) }
}

/// One worker's ends of the queues of one keyed step.
#[derive(Debug)]
pub struct Exchange {
    worker: usize,
    senders: Vec<Option<SyncSender<Message>>>,
    receivers: Vec<Option<Receiver<Message>>>,
    /// What this worker sends to itself.
    own: VecDeque<Message>,
    /// What did not fit yet, in order, by receiving worker.
    waiting: Vec<VecDeque<Message>>,
    wakers: Arc<Wakers>,
}

impl Exchange {
    /// The queues of one keyed step between `workers` workers, an end for each.
    pub fn connect(workers: usize, wakers: &Arc<Wakers>) -> Vec<Exchange> {
        let mut ends: Vec<Exchange> = (0..workers)
            .map(|worker| Exchange {
                worker,
                senders: (0..workers).map(|_| None).collect(),
                receivers: (0..workers).map(|_| None).collect(),
                own: VecDeque::new(),
                waiting: (0..workers).map(|_| VecDeque::new()).collect(),
                wakers: Arc::clone(wakers),
            })
            .collect();
        for from in 0..workers {
            for to in (0..workers).filter(|to| *to != from) {
                let (sender, receiver) = sync_channel(QUEUE_MESSAGES_MAX);
                ends[from].senders[to] = Some(sender);
                ends[to].receivers[from] = Some(receiver);
            }
        }
        ends
    }

    /// Sends to worker `to`. Keeps the message where the queue is full.
    pub fn send(&mut self, to: usize, message: Message) {
        if to == self.worker {
            self.own.push_back(message);
        } else {
            self.waiting[to].push_back(message);
            self.flush_to(to);
        }
    }

    fn flush_to(&mut self, to: usize) {
        let Some(sender) = &self.senders[to] else { return };
        let mut sent = false;
        while let Some(message) = self.waiting[to].pop_front() {
            match sender.try_send(message) {
                Ok(()) => sent = true,
                Err(TrySendError::Full(message)) => {
                    self.waiting[to].push_front(message);
                    break;
                }
                // The receiver has failed; the coordinator knows and is about to say so.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        if sent {
            self.wakers.wake(to);
        }
    }

    /// Tries again to send what did not fit. True when nothing waits.
    pub fn flush(&mut self) -> bool {
        for to in 0..self.waiting.len() {
            if !self.waiting[to].is_empty() {
                self.flush_to(to);
            }
        }
        self.waiting.iter().all(VecDeque::is_empty) && self.own.len() <= QUEUE_MESSAGES_MAX
    }

    /// The next message from worker `from`, if there is one.
    pub fn receive(&mut self, from: usize) -> Option<Message> {
        if from == self.worker {
            return self.own.pop_front();
        }
        match self.receivers[from].as_ref()?.try_recv() {
            Ok(message) => {
                self.wakers.wake(from);
                Some(message)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch;

    fn keyed(names: &[&str]) -> (Batch, Keys) {
        let mut keys = Keys::default();
        for name in names {
            keys.texts.push(name.as_bytes());
            keys.hashes.push(batch::hash(name.as_bytes()));
        }
        let batch = Batch {
            rows: names.len(),
            origin: None,
            offsets: Vec::new(),
            times: (0..names.len() as i64).collect(),
            raw: None,
            key: None,
            value: None,
            headers: Vec::new(),
            columns: Vec::new(),
        };
        (batch, keys)
    }

    #[test]
    fn every_key_has_one_owner_and_keeps_its_order_and_its_stragglers() {
        let (batch, keys) = keyed(&["a", "b", "c", "a", "d", "e", "a"]);
        let clock = RowTimes { before: 0, stragglers: vec![(3, 30), (5, 50)], after: 9 };
        for workers in 1..=5 {
            let parcels = split(batch.clone(), keys.clone(), &clock, workers);
            let mut seen = Vec::new();
            for (worker, parcel) in &parcels {
                for (row, hash) in parcel.keys.hashes.iter().enumerate() {
                    assert_eq!(owner(key_group(*hash), workers), *worker);
                    let straggler = parcel.clock.stragglers.iter().find(|it| it.0 as usize == row).map(|it| it.1);
                    seen.push((parcel.batch.times[row], straggler));
                }
                assert!(parcel.batch.times.is_sorted());
            }
            seen.sort_unstable();
            let expected = (0..7).map(|it| (it, [None, None, None, Some(30), None, Some(50), None][it as usize]));
            assert_eq!(seen, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_full_queue_keeps_order_and_loses_nothing() {
        let wakers = Wakers::new(2);
        let mut ends = Exchange::connect(2, &wakers);
        let count = QUEUE_MESSAGES_MAX as u64 * 2;
        for epoch in 0..count {
            ends[0].send(1, Message::Barrier(epoch));
        }
        assert!(!ends[0].flush());
        let mut seen = Vec::new();
        while seen.len() < count as usize {
            match ends[1].receive(0) {
                Some(Message::Barrier(epoch)) => seen.push(epoch),
                Some(_) => unreachable!(),
                None => {
                    ends[0].flush();
                }
            }
        }
        assert_eq!(seen, (0..count).collect::<Vec<_>>());
        assert!(ends[0].flush());
    }

    #[test]
    fn a_step_that_is_further_makes_stragglers_and_one_that_is_behind_forgives_them() {
        let clock = RowTimes { before: 10, stragglers: vec![(1, 20)], after: 30 };
        let times = [15, 18, 40];
        let same = joined_times(clock.clone(), &times, 10, EventTime::MAX);
        assert_eq!(same, RowTimes { before: 10, stragglers: vec![(1, 20)], after: 30 });
        let further = joined_times(clock.clone(), &times, 16, EventTime::MAX);
        assert_eq!(further, RowTimes { before: 16, stragglers: vec![(0, 16), (1, 20)], after: 30 });
        let behind = joined_times(clock, &times, 5, 12);
        assert_eq!(behind, RowTimes { before: 10, stragglers: vec![], after: 12 });
    }

    #[test]
    fn key_groups_are_spread_over_all_workers() {
        for workers in [1, 2, 3, 64, 128] {
            let owners: std::collections::BTreeSet<_> =
                (0..KEY_GROUPS as u16).map(|group| owner(group, workers)).collect();
            assert_eq!(owners.len(), workers);
        }
    }
}
