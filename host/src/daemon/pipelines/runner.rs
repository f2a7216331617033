//! A pipeline's thread: runs the engine, and starts it again after a failure until somebody wants it to end.

use super::backoff;
use crate::config::Pipeline;
use crate::daemon::api::State;
use crate::daemon::{clock, logs};
use crate::pipeline::{self, Control, Failure, PipelineError, RunOptions, Upgrade};
use jiff::Timestamp;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a runner is to run.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) pipeline: Pipeline,
    pub(super) options: RunOptions,
    pub(super) paused: bool,
}

/// A pipeline that runs, or waits to be started again.
pub(super) struct Runner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// What the next start begins with.
    job: Mutex<Job>,
    now: Mutex<Now>,
    changed: Condvar,
}

/// How a runner is.
#[derive(Clone)]
pub(super) struct Now {
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) failure: Option<Failure>,
    pub(super) since: Timestamp,
    /// Failures in a row.
    pub(super) failures: u64,
    /// Starts after a failure.
    pub(super) restarts: u64,
    pub(super) next_start_at: Option<Timestamp>,
    /// Of the engine that runs, or ran last.
    pub(super) control: Arc<Control>,
    paused: bool,
    /// Somebody wants the end.
    stopped: bool,
    ended: bool,
}

impl Now {
    /// True where it has ended because somebody wanted the end.
    pub(super) fn is_stopped(&self) -> bool {
        self.ended && self.state == State::Stopped
    }

    fn become_(&mut self, state: State, reason: Option<String>) {
        if self.state != state {
            self.since = clock::now();
        }
        self.state = state;
        self.reason = reason;
        self.next_start_at = None;
        if state != State::Failed {
            self.failure = None;
        }
    }
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runner {
    /// Starts the thread.
    pub(super) fn start(job: Job) -> io::Result<Self> {
        let now = Now {
            state: State::Starting,
            reason: None,
            failure: None,
            since: clock::now(),
            failures: 0,
            restarts: 0,
            next_start_at: None,
            control: Control::new(),
            paused: job.paused,
            stopped: false,
            ended: false,
        };
        let name = format!("pipeline-{}", job.pipeline.name);
        let shared = Arc::new(Shared { job: Mutex::new(job), now: Mutex::new(now), changed: Condvar::new() });
        let own = Arc::clone(&shared);
        let within = logs::span(&shared.job().pipeline.name);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            within.in_scope(|| run(&own));
            own.now().ended = true;
            own.changed.notify_all();
        })?;
        Ok(Runner { shared, thread: Mutex::new(Some(thread)) })
    }

    /// How it is.
    pub(super) fn now(&self) -> Now {
        let mut now = self.shared.now();
        // The engine says so only by what it does.
        if now.state == State::Starting && now.control.flow().is_some() && now.control.progress().status.is_none() {
            now.become_(State::Running, None);
        }
        now.clone()
    }

    /// Sources are not read, or read again.
    pub(super) fn pause(&self, paused: bool) {
        let mut now = self.shared.now();
        now.paused = paused;
        if paused { now.control.pause() } else { now.control.resume() }
    }

    /// The engine is asked for an upgrade: until it is settled, a start finds out what came of it.
    pub(super) fn upgrading(&self, upgrade: Upgrade) {
        self.shared.job().options.undecided = Some(upgrade);
    }

    /// The upgrade is settled: with a `pipeline` that is what starts from here on, without one what did before.
    pub(super) fn upgraded(&self, pipeline: Option<Pipeline>) {
        let mut job = self.shared.job();
        job.options.undecided = None;
        if let Some(pipeline) = pipeline {
            job.pipeline = pipeline;
        }
    }

    /// Asks for a graceful end: a barrier, a commit, and no more.
    pub(super) fn stop(&self) {
        let mut now = self.shared.now();
        now.stopped = true;
        now.control.stop();
        if !matches!(now.state, State::Completed | State::Stopped | State::Failed) {
            now.become_(State::Stopping, None);
        }
        self.shared.changed.notify_all();
    }

    /// Asks for an end at once: what is not committed is undone.
    pub(super) fn abort(&self) {
        let mut now = self.shared.now();
        now.stopped = true;
        now.control.abort();
        self.shared.changed.notify_all();
    }

    /// Waits for the end, at most so long. True where it has ended.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let now = self.shared.now();
        let waited = self.shared.changed.wait_timeout_while(now, at_most, |it| !it.ended);
        let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take_if(|_| ended) {
            let _ = thread.join(); // What it could panic with was caught.
        }
        ended
    }
}

/// Runs until the input ends or somebody wants the end.
fn run(shared: &Shared) {
    loop {
        let job = shared.job().clone();
        let control = Control::new();
        {
            let mut now = shared.now();
            if now.stopped {
                return now.become_(State::Stopped, None);
            }
            if now.paused {
                control.pause();
            }
            now.control = Arc::clone(&control);
            now.become_(State::Starting, None);
        }
        let name = job.pipeline.name.clone();
        let engine = || pipeline::run(job.pipeline, job.options, Arc::clone(&control));
        let ended = catch_unwind(AssertUnwindSafe(engine));
        let error = match ended {
            Ok(Ok(summary)) => {
                tracing::info!(pipeline = name, records_in = summary.progress.records_in, "{}", summary.reason);
                let mut now = shared.now();
                let state = if now.stopped { State::Stopped } else { State::Completed };
                return now.become_(state, None);
            }
            Ok(Err(error)) => error,
            Err(_) => PipelineError::stop(
                Failure::Internal,
                "the engine panicked; this is a bug, and the next start goes on from the last checkpoint",
            ),
        };
        if !wait_to_start_again(&name, shared, &error, control.progress().epoch > 0) {
            return;
        }
    }
}

/// Says that the pipeline failed, and waits. False where somebody wants the end instead.
fn wait_to_start_again(pipeline: &str, shared: &Shared, error: &PipelineError, committed: bool) -> bool {
    let mut now = shared.now();
    if now.stopped {
        now.become_(State::Stopped, Some(error.to_string()));
        return false;
    }
    now.failures = if committed { 1 } else { now.failures.saturating_add(1) };
    let wait = backoff::wait(now.failures, RandomState::new().hash_one(now.failures));
    now.become_(State::Failed, Some(error.to_string()));
    now.failure = Some(error.failure());
    now.next_start_at = Some(clock::after(clock::now(), wait));
    let wait_ms = wait.as_millis() as u64;
    tracing::error!(pipeline, failures = now.failures, wait_ms, "failed, and is started again: {error}");
    let (mut now, _) =
        shared.changed.wait_timeout_while(now, wait, |it| !it.stopped).unwrap_or_else(PoisonError::into_inner);
    if now.stopped {
        let reason = now.reason.take();
        now.become_(State::Stopped, reason);
        return false;
    }
    now.restarts += 1;
    true
}
