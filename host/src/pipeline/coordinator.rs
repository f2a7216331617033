//! The coordinator: epochs. It asks the workers for barriers, takes their output and their state, and commits.
//!
//! Workers never wait for a commit: while epoch `e` commits they process `e + 1`, whose output waits here.

use super::clock::Clock;
use super::commit::{Committer, Pending};
use super::control::Control;
use super::error::{Failure, PipelineError};
use super::first::Left;
use super::outbox::Hearing;
use super::pace::Pace;
use super::sinks::CommitPoint;
use super::snapshots::{Snapshot, Snapshots};
use super::start::{Started, plugin_states};
use super::upgrade::{Candidate, Progress, Trial, roll_back};
use super::worker::{Command, Output, Report, Sealed};
use crate::checkpoint::Pointer;
use crate::exchange::Wakers;
use crate::metrics::Counters;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the coordinator sleeps when nothing comes, at most.
const IDLE_WAIT_MAX: Duration = Duration::from_millis(5);
/// Messages of one worker that are heard before those of the next.
const HEARD_MAX: usize = 64;
/// Output of the next epoch held back while an epoch ends, bytes for each worker, about; past it no worker reads its sources. Until the barrier
/// has passed they still take what others send them and are heard, or it might never pass; a commit waits for no worker.
const HELD_BYTES_MAX: usize = 16 << 20;
/// How long workers may take to stop when they are told to, ms.
const STOP_WAIT_MS: u64 = 10_000;

/// A running worker, seen from outside.
pub(super) struct WorkerHandle {
    /// To it.
    pub commands: SyncSender<Command>,
    /// From it.
    pub reports: Hearing,
    /// Its thread.
    pub thread: JoinHandle<()>,
}

/// Why the coordinator came to an end without a failure.
pub(super) enum End {
    /// Every source was read to its end.
    Input,
    /// Somebody asked.
    Stopped,
    /// An upgrade changes more than one step's plugin: the next attempt begins with it.
    Upgrade(Box<Trial>),
}

/// Why the last barrier was begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Input,
    Stopped,
    Upgrade,
}

/// One attempt at running a pipeline, from a committed epoch on.
pub(super) struct Coordinator<'scope> {
    workers: Vec<WorkerHandle>,
    committer: Committer,
    snapshots: Snapshots<'scope>,
    counters: Arc<Counters>,
    control: Arc<Control>,
    wakers: Arc<Wakers>,
    cancelled: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    clock: Clock,
    interval_ms: u64,
    /// The epoch whose output the sinks take.
    epoch: u64,
    /// Output of a later epoch.
    held: Vec<Output>,
    held_bytes: usize,
    /// True when the sinks have taken something since the last barrier.
    changed: bool,
    /// An upgrade that is being switched to, or on probation.
    trial: Option<Trial>,
    /// What is read before all else; none once a barrier has been asked for after it.
    firsts: Option<Arc<Left>>,
    /// Set by a worker that cannot keep what changes until the interval is over.
    pressed: Arc<AtomicBool>,
}

/// The barrier under way.
struct Barrier {
    last: bool,
    started_ms: u64,
    sealed: Vec<Option<Box<Sealed>>>,
}

/// The commit under way.
struct Commit {
    last: bool,
    started_ms: u64,
    /// When all workers had sealed their state.
    sealed_at: Duration,
    keys: u64,
    pending: Pending,
}

impl<'scope> Coordinator<'scope> {
    /// For a running attempt, with `interval_ms` between two barriers.
    pub(super) fn new(
        started: Started,
        snapshots: Snapshots<'scope>,
        counters: &Arc<Counters>,
        control: &Arc<Control>,
        interval_ms: u64,
    ) -> Self {
        let Started { workers, committer, wakers, cancelled, paused, epoch, trial, firsts, pressed } = started;
        Coordinator {
            workers,
            committer,
            snapshots,
            counters: Arc::clone(counters),
            control: Arc::clone(control),
            wakers,
            cancelled,
            paused,
            clock: control.clock(),
            interval_ms,
            epoch,
            held: Vec::new(),
            held_bytes: 0,
            changed: false,
            trial,
            firsts,
            pressed,
        }
    }

    /// Runs until the end of input, a stop or a failure. The workers have ended when it returns.
    pub(super) fn run(mut self) -> Result<End, PipelineError> {
        self.wakers.register(self.workers.len());
        let result = self.epochs();
        if result.is_err() {
            self.cancelled.store(true, Relaxed);
        }
        self.join();
        let stored = self.snapshots.end();
        let ending = result.and_then(|ending| stored.map(|()| ending));
        let ending = ending.map_err(|error| roll_back(self.trial.take(), &self.control, error))?;
        Ok(match (ending, self.trial) {
            (Ending::Upgrade, Some(trial)) => End::Upgrade(Box::new(trial)),
            (Ending::Input, _) => End::Input,
            (Ending::Stopped | Ending::Upgrade, _) => End::Stopped,
        })
    }

    fn epochs(&mut self) -> Result<Ending, PipelineError> {
        let mut ended = vec![false; self.workers.len()];
        let mut barrier: Option<Barrier> = None;
        let mut commit: Option<Commit> = None;
        let mut end = None;
        let mut pace = Pace::new(self.interval_ms);
        let mut due_ms = self.clock.now_ms() + pace.next();
        let mut records_committed = self.counters.records_in.load(Relaxed);
        loop {
            if self.control.is_aborted() {
                return Err(PipelineError::stop(Failure::Internal, "aborted: what was not committed is undone"));
            }
            let last = commit.as_ref().is_some_and(|it| it.last);
            let much_held = self.held_bytes >= self.workers.len() * HELD_BYTES_MAX;
            let deaf = last || (much_held && commit.is_some());
            let mut busy = !deaf && self.hear_all(&mut barrier, &mut ended)?;
            if let Some(complete) = barrier.take_if(|it| it.sealed.iter().all(Option::is_some)) {
                let (epoch, started_ms) = (self.epoch, complete.started_ms);
                commit = Some(self.begin_commit(complete)?);
                self.switched(epoch, started_ms);
                busy = true;
            } else if let Some(heard) = commit.as_ref().and_then(|_| self.snapshots.heard()) {
                match heard? {
                    Snapshot::Named(pointer) => {
                        if let Some(commit) = &mut commit {
                            self.committer.named(&mut commit.pending, &pointer)?;
                        }
                    }
                    Snapshot::Written(pointer) => {
                        if let Some(commit) = commit.take() {
                            self.finish_commit(commit, pointer)?;
                        }
                        if let (true, Some(end)) = (last, end) {
                            return Ok(end);
                        }
                    }
                }
                busy = true;
            }
            if barrier.is_none() && commit.is_none() {
                let mut candidates = Vec::new();
                let mut due = false;
                if end.is_none() && ended.iter().all(|it| *it) {
                    end = Some(Ending::Input);
                } else if end.is_none() && self.control.is_stopped() {
                    end = Some(Ending::Stopped);
                } else if let (None, None, Some(prepared)) = (&end, &self.trial, self.control.take_upgrade()) {
                    let (trial, in_place) = Trial::new(prepared);
                    self.trial = Some(trial);
                    due = true;
                    match in_place {
                        Some(in_place) => candidates = in_place,
                        None => end = Some(Ending::Upgrade),
                    }
                }
                let now_ms = self.clock.now_ms();
                let records = self.counters.records_in.load(Relaxed);
                // Other sources wait for this barrier, and not for the interval.
                due |= self.firsts.take_if(|it| it.is_read()).is_some();
                due |= self.pressed.swap(false, Relaxed);
                // An epoch on probation ends even if nothing came, so that the upgrade is settled.
                let changed = self.changed || records != records_committed || self.trial.is_some();
                if due || end.is_some() || (now_ms >= due_ms && changed) {
                    records_committed = records;
                    barrier = Some(self.begin(end.is_some(), now_ms, candidates)?);
                    busy = true;
                }
                if now_ms >= due_ms {
                    due_ms = now_ms + pace.next();
                }
            }
            self.committer.sinks.poll();
            self.paused.store(much_held || self.control.is_paused(), Relaxed);
            if !busy {
                std::thread::park_timeout(IDLE_WAIT_MAX.min(Duration::from_millis(self.interval_ms)));
            }
        }
    }

    /// Takes what the workers have to say. True when there was something.
    fn hear_all(&mut self, barrier: &mut Option<Barrier>, ended: &mut [bool]) -> Result<bool, PipelineError> {
        let mut busy = false;
        for (worker, ended) in ended.iter_mut().enumerate() {
            let sealed = barrier.as_ref().is_some_and(|it| it.sealed[worker].is_some());
            let done = sealed && barrier.as_ref().is_some_and(|it| it.last);
            for _ in 0..HEARD_MAX {
                let Some(report) = self.hear(worker, done)? else { break };
                busy = true;
                match report {
                    Report::Output(output) => self.take(output)?,
                    Report::Sealed(sealed) => {
                        if let Some(barrier) = barrier {
                            barrier.sealed[worker] = Some(sealed);
                        }
                        break;
                    }
                    Report::Ended => *ended = true,
                    Report::Failed(error) => return Err(error),
                }
            }
        }
        Ok(busy)
    }

    /// Hands output to the sinks, or holds it until they are in its epoch.
    fn take(&mut self, output: Output) -> Result<(), PipelineError> {
        if output.epoch <= self.epoch {
            self.changed = true;
            return self.committer.sinks.append(output);
        }
        self.held_bytes += output.bytes();
        self.held.push(output);
        Ok(())
    }

    /// The sinks take the next epoch's output from now on.
    fn next_epoch(&mut self) -> Result<(), PipelineError> {
        self.epoch += 1;
        self.changed = false;
        self.held_bytes = 0;
        std::mem::take(&mut self.held).into_iter().try_for_each(|it| self.take(it))
    }

    /// The next report of a worker. One that is `done` may go; another that goes has panicked.
    fn hear(&self, worker: usize, done: bool) -> Result<Option<Report>, PipelineError> {
        match self.workers[worker].reports.hear() {
            Ok(report) => {
                self.wakers.wake(worker);
                Ok(Some(report))
            }
            Err(TryRecvError::Disconnected) if !done => {
                Err(PipelineError::restart(format!("worker {worker} ended without a reason; see the log")))
            }
            Err(_) => Ok(None),
        }
    }

    /// Begins a barrier; with `candidates`, one for each worker, the step on trial goes on as these after it.
    fn begin(&mut self, last: bool, now_ms: u64, candidates: Vec<Candidate>) -> Result<Barrier, PipelineError> {
        let mut candidates = candidates.into_iter();
        for (index, worker) in self.workers.iter().enumerate() {
            let step = self.trial.as_ref().map_or(0, |it| it.step);
            let swap = candidates.next().map(|it| Box::new((step, it)));
            let command = Command::Barrier { epoch: self.epoch, last, swap };
            if worker.commands.try_send(command).is_err() {
                return Err(PipelineError::restart(format!("worker {index} ended without a reason; see the log")));
            }
            self.wakers.wake(index);
        }
        Ok(Barrier { last, started_ms: now_ms, sealed: self.workers.iter().map(|_| None).collect() })
    }

    fn begin_commit(&mut self, barrier: Barrier) -> Result<Commit, PipelineError> {
        let sealed_at = self.clock.elapsed();
        let sealed: Vec<Sealed> = barrier.sealed.into_iter().flatten().map(|it| *it).collect();
        let keys = sealed.iter().map(|it| it.keys).sum();
        let pending = self.committer.begin(self.epoch, sealed, &self.snapshots)?;
        if self.committer.commit_point == CommitPoint::Manifest {
            self.next_epoch()?; // What the sinks take now is of another file, or needs no commit.
        }
        Ok(Commit { last: barrier.last, started_ms: barrier.started_ms, sealed_at, keys, pending })
    }

    /// The barrier that ends `epoch` has passed: an upgrade that was to be switched to at it is on probation.
    fn switched(&mut self, epoch: u64, started_ms: u64) {
        let Some(trial) = self.trial.as_mut().filter(|it| it.epoch.is_none()) else { return };
        trial.epoch = Some(epoch + 1);
        trial.tell(Progress::Switched { epoch, switch_ms: self.clock.now_ms() - started_ms });
        self.committer.identity.plugins = plugin_states(&trial.next.plan);
    }

    /// `epoch` is committed: an upgrade whose probation it was stays.
    fn accept(&mut self, epoch: u64) {
        let Some(trial) = self.trial.take_if(|it| it.epoch == Some(epoch)) else { return };
        tracing::info!(epoch, step = trial.next.plan.steps[trial.step].name, "the upgrade is accepted");
        // First what runs, then the answer: who hears it may upgrade again at once.
        self.control.accept_upgrade(trial.next.clone());
        trial.tell(Progress::Accepted { epoch });
    }

    fn finish_commit(&mut self, commit: Commit, pointer: Pointer) -> Result<(), PipelineError> {
        let epoch = commit.pending.epoch;
        self.committer.finish(commit.pending, pointer, commit.last, &self.snapshots)?;
        let commit_took = self.clock.elapsed() - commit.sealed_at;
        self.counters.commits.add(commit_took);
        self.accept(epoch);
        if self.committer.commit_point == CommitPoint::Transaction {
            self.next_epoch()?; // A transaction holds one epoch and nothing else.
        }
        let now_ms = self.clock.now_ms();
        self.counters.state_keys.store(commit.keys, Relaxed);
        self.counters.state_bytes.store(self.snapshots.state_bytes(), Relaxed);
        self.counters.epoch.store(epoch, Relaxed);
        self.counters.checkpoint_ms.store(now_ms - commit.started_ms, Relaxed);
        self.counters.checkpoint_at_ms.store(now_ms.max(1), Relaxed);
        let (checkpoint_ms, commit_us) = (now_ms - commit.started_ms, commit_took.as_micros() as u64);
        tracing::debug!(epoch, checkpoint_ms, commit_us, "committed");
        Ok(())
    }

    /// Waits for the workers to end, emptying their queues so that none waits to be heard.
    fn join(&mut self) {
        let until_ms = self.clock.now_ms() + STOP_WAIT_MS;
        for (index, worker) in std::mem::take(&mut self.workers).into_iter().enumerate() {
            while !worker.thread.is_finished() && self.clock.now_ms() < until_ms {
                while worker.reports.hear().is_ok() {}
                self.wakers.wake(index);
                std::thread::park_timeout(Duration::from_millis(1));
            }
            if !worker.thread.is_finished() {
                tracing::warn!(worker = index, "worker did not stop in time and is left behind");
            } else if worker.thread.join().is_err() {
                tracing::error!(worker = index, "worker panicked");
            }
        }
    }
}
