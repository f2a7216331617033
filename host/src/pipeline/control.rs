//! The handle by which a running pipeline is watched and stopped.

use super::clock::Clock;
use super::error::{Failure, PipelineError};
use super::plan::Plan;
use super::probe::{Probes, Tap};
use super::shadow::Shadow;
use super::upgrade::{Following, Prepared, Running, Undecided, Upgrade};
use crate::checkpoint::Manifest;
use crate::config::Pipeline;
use crate::metrics::{Counters, Progress};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Shared by whoever runs a pipeline and whoever watches it.
pub struct Control {
    stopped: AtomicBool,
    aborted: AtomicBool,
    paused: AtomicBool,
    counters: OnceLock<Arc<Counters>>,
    clock: Clock,
    /// What runs, once it does.
    running: Mutex<Option<Running>>,
    /// What ran to the end with no upgrade left to be decided.
    ran: Mutex<Option<Arc<Pipeline>>>,
    upgrade: Mutex<Upgrading>,
    /// True while an upgrade waits: what the coordinator looks at each turn.
    requested: AtomicBool,
    /// Where records can be looked at; the same places in every attempt, since an upgrade changes no step's name.
    probes: OnceLock<Arc<Probes>>,
}

/// How far an upgrade is.
enum Upgrading {
    /// There is none.
    No,
    /// Nobody has taken it up yet.
    Waiting(Box<Prepared>),
    /// It is being switched to, or on probation.
    Trial,
    /// It has ended; what was committed decides how.
    Undecided(Box<Undecided>),
}

/// Records in and out of a pipeline's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Records in and out, by step.
    pub steps: Vec<(u64, u64)>,
    /// Records that it could not process, by step.
    pub refused: Vec<u64>,
    /// What the plugin did, by step; zeroes where there is none.
    pub plugins: Vec<PluginFlow>,
    /// Records written, by sink.
    pub sinks: Vec<u64>,
}

/// What a step's plugin did, over all workers, as of the last checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginFlow {
    /// Calls, those that failed included.
    pub calls: u64,
    /// Time in calls, ns.
    pub busy_ns: u64,
    /// Calls that failed, in the order of [`crate::metrics::FAULTS`].
    pub faults: Vec<u64>,
    /// Linear memory of the instances, bytes.
    pub memory_bytes: u64,
    /// Instances thrown away.
    pub replaced: u64,
}

impl Control {
    /// For one pipeline.
    pub fn new() -> Arc<Self> {
        Arc::new(Control {
            stopped: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            counters: OnceLock::new(),
            clock: Clock::start(),
            running: Mutex::new(None),
            ran: Mutex::new(None),
            upgrade: Mutex::new(Upgrading::No),
            requested: AtomicBool::new(false),
            probes: OnceLock::new(),
        })
    }

    /// Asks for a graceful end: a barrier, a commit, and no more.
    pub fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    /// Asks for an end at once: what is not committed is undone.
    pub fn abort(&self) {
        self.aborted.store(true, Relaxed);
    }

    /// Asks that sources are not read until [`Self::resume`]. What was read is processed and committed.
    pub fn pause(&self) {
        self.paused.store(true, Relaxed);
    }

    /// Asks that sources are read again.
    pub fn resume(&self) {
        self.paused.store(false, Relaxed);
    }

    /// True between [`Self::pause`] and [`Self::resume`].
    pub fn is_paused(&self) -> bool {
        self.paused.load(Relaxed)
    }

    /// True after [`Self::stop`].
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// True after [`Self::abort`].
    pub fn is_aborted(&self) -> bool {
        self.aborted.load(Relaxed)
    }

    /// What the pipeline has done so far; zeroes before it runs.
    pub fn progress(&self) -> Progress {
        self.counters.get().map(|it| it.progress(self.clock.now_ms())).unwrap_or_default()
    }

    /// Records in and out of each step, and to each sink, in the order of the pipeline; none before it runs.
    pub fn flow(&self) -> Option<Flow> {
        let counters = self.counters.get()?;
        let load = |it: &AtomicU64| it.load(Relaxed);
        Some(Flow {
            steps: counters.per_step.iter().map(|(read, made)| (load(read), load(made))).collect(),
            refused: counters.per_step_refused.iter().map(load).collect(),
            plugins: counters
                .per_plugin
                .iter()
                .map(|it| PluginFlow {
                    calls: load(&it.calls),
                    busy_ns: load(&it.busy_ns),
                    faults: it.faults.iter().map(load).collect(),
                    memory_bytes: load(&it.memory_bytes),
                    replaced: load(&it.replaced),
                })
                .collect(),
            sinks: counters.per_sink.iter().map(load).collect(),
        })
    }

    /// The pipeline's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Puts another version of a step's plugin into the place of the one that runs, at the next barrier. Prepares it here, which takes as long
    /// as it takes to compile and open it; the pipeline goes on meanwhile. What follows is told through the answer.
    ///
    /// # Errors
    /// The pipeline does not run, the version does not fit, or another upgrade is waiting for its barrier.
    pub fn upgrade(&self, upgrade: &Upgrade) -> Result<Following, PipelineError> {
        let (prepared, following) = self.prepare_upgrade(upgrade)?;
        self.begin_upgrade(prepared)?;
        Ok(following)
    }

    /// The first half of [`Self::upgrade`]: what takes time and what can be refused. Nothing has changed after it.
    ///
    /// # Errors
    /// As [`Self::upgrade`].
    pub fn prepare_upgrade(&self, upgrade: &Upgrade) -> Result<(Prepared, Following), PipelineError> {
        let Some(running) = lock(&self.running).clone() else {
            return Err(PipelineError::stop(Failure::Config, "the pipeline does not run yet, or has ended"));
        };
        if !matches!(*lock(&self.upgrade), Upgrading::No) {
            return Err(busy());
        }
        Prepared::new(running, upgrade)
    }

    /// The second half of [`Self::upgrade`]: the next barrier is its own.
    ///
    /// # Errors
    /// Something else runs than when it was prepared, or another upgrade is waiting for its barrier.
    pub fn begin_upgrade(&self, prepared: Prepared) -> Result<(), PipelineError> {
        let mut upgrade = lock(&self.upgrade);
        let same = lock(&self.running).as_ref().is_some_and(|it| Arc::ptr_eq(&it.plan, &prepared.before.plan));
        if !same || !matches!(*upgrade, Upgrading::No) {
            return Err(busy());
        }
        *upgrade = Upgrading::Waiting(Box::new(prepared));
        self.requested.store(true, Relaxed);
        Ok(())
    }

    /// Begins to look at what comes out of a source, a step or (`STEP.PORT`) one of its outputs.
    ///
    /// # Errors
    /// The pipeline does not run, or has no such place; what there is, is said.
    pub fn tap(self: &Arc<Self>, name: &str) -> Result<Tap, PipelineError> {
        let (running, probes) = self.places()?;
        Tap::open(Arc::clone(self), &probes, &running, name)
    }

    /// Begins to compare another version of a step's plugin with the one that runs, on the same records and without effects.
    ///
    /// # Errors
    /// The pipeline does not run, or the version cannot be compared with the one that does.
    pub fn shadow(self: &Arc<Self>, upgrade: &Upgrade) -> Result<Shadow, PipelineError> {
        let (running, probes) = self.places()?;
        Shadow::start(Arc::clone(self), &running, probes, upgrade)
    }

    fn places(&self) -> Result<(Running, Arc<Probes>), PipelineError> {
        let places = lock(&self.running).clone().zip(self.probes.get().cloned());
        places.ok_or_else(|| PipelineError::stop(Failure::Config, "the pipeline does not run yet, or has ended"))
    }

    /// The pipeline with the plugins that run, or that ran to the end; none before it runs and while an upgrade is not settled.
    pub fn settled_pipeline(&self) -> Option<Arc<Pipeline>> {
        let upgrade = lock(&self.upgrade);
        let running = lock(&self.running).as_ref().map(|it| Arc::clone(&it.pipeline));
        running.or_else(|| lock(&self.ran).clone()).filter(|_| matches!(*upgrade, Upgrading::No))
    }

    /// The upgrade that waits, if any. It is under way from here on.
    pub(super) fn take_upgrade(&self) -> Option<Prepared> {
        if !self.requested.swap(false, Relaxed) {
            return None;
        }
        let mut upgrade = lock(&self.upgrade);
        match std::mem::replace(&mut *upgrade, Upgrading::Trial) {
            Upgrading::Waiting(prepared) => Some(*prepared),
            other => {
                *upgrade = other;
                None
            }
        }
    }

    /// The upgrade is accepted, with what runs from here on: the next one may come.
    pub(super) fn accept_upgrade(&self, accepted: Running) {
        let mut upgrade = lock(&self.upgrade);
        *lock(&self.running) = Some(accepted);
        *upgrade = Upgrading::No;
    }

    /// The upgrade on trial has ended; [`Self::decide_upgrade`] says how.
    pub(super) fn undecided_upgrade(&self, undecided: Undecided) {
        *lock(&self.upgrade) = Upgrading::Undecided(Box::new(undecided));
    }

    /// What a restart begins with is known: so is whether the upgrade that ended was accepted. True where it was, and what runs has changed.
    pub(super) fn decide_upgrade(&self, committed: Option<&Manifest>) -> bool {
        let mut upgrade = lock(&self.upgrade);
        match std::mem::replace(&mut *upgrade, Upgrading::No) {
            Upgrading::Undecided(undecided) => {
                let accepted = undecided.decide(committed);
                let changed = accepted.is_some();
                if changed {
                    *lock(&self.running) = accepted;
                }
                changed
            }
            other => {
                *upgrade = other;
                false
            }
        }
    }

    /// Where records can be looked at.
    pub(super) fn probes(&self, plan: &Plan) -> Arc<Probes> {
        Arc::clone(self.probes.get_or_init(|| Probes::new(plan)))
    }

    /// What runs; none before the first attempt.
    pub(super) fn running(&self) -> Option<Running> {
        lock(&self.running).clone()
    }

    /// What runs from here on, with an upgrade of it that was under way when it last ended.
    pub(super) fn begins(&self, running: Running, undecided: Option<Undecided>) {
        let mut upgrade = lock(&self.upgrade);
        *lock(&self.running) = Some(running);
        *upgrade = undecided.map_or(Upgrading::No, |it| Upgrading::Undecided(Box::new(it)));
    }

    /// Nothing runs any more. An upgrade that waited will not come about; one that was switched to is for the next start to decide.
    pub(super) fn ends(&self) {
        let mut upgrade = lock(&self.upgrade);
        let ran = lock(&self.running).take().map(|it| it.pipeline);
        match std::mem::replace(&mut *upgrade, Upgrading::No) {
            Upgrading::No => *lock(&self.ran) = ran,
            Upgrading::Waiting(prepared) => {
                *lock(&self.ran) = ran;
                prepared.refuse("the pipeline ended before the version took over");
            }
            Upgrading::Trial | Upgrading::Undecided(_) => {}
        }
    }

    /// Makes the counters visible.
    pub(super) fn watch(&self, counters: Arc<Counters>) {
        // A pipeline starts once under one control.
        let _ = self.counters.set(counters);
    }
}

fn busy() -> PipelineError {
    PipelineError::stop(Failure::Config, "another upgrade is under way: try again when its first epoch is committed")
}

/// What is behind a lock is replaced whole, so that a panic elsewhere leaves nothing half.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
