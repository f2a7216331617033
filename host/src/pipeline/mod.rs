//! Joins the stages: plans a pipeline, starts its workers from what was committed, and commits until it ends. The only
//! place that names two stages.

mod alignment;
mod arrival;
mod clock;
mod commit;
mod conditions;
mod control;
mod coordinator;
mod cut;
mod dedupe_step;
mod error;
mod expiry;
mod first;
mod flow;
mod gauge;
mod group;
mod inbox;
mod join_step;
mod kinds;
mod letters;
mod lineage;
mod memory;
mod migration;
mod outbox;
mod pace;
mod plan;
mod plan_build;
mod plan_forward;
mod plan_join;
mod plan_tables;
mod plugin_fold;
mod probe;
mod reach;
mod reads;
mod recover;
mod refuse;
pub mod rehearsal;
mod shadow;
mod signature;
mod sinks;
mod snapshots;
mod start;
mod step;
mod table_keys;
mod tables_step;
mod top_step;
pub mod trial;
mod upgrade;
mod window_step;
mod worker;

pub use clock::Clock;
pub use control::{Control, Flow, PluginFlow};
pub use error::{Failure, PipelineError, Recovery};
pub use letters::{DeadLetter, dead_letters, replay_name, replay_of};
pub use probe::{Seen, Tap};
pub use shadow::{Comparison, Difference, Shadow};
pub use upgrade::{Following, Prepared, Progress, Upgrade};

use crate::checkpoint::Store;
use crate::config::Pipeline;
use crate::metrics::{Counters, Summary};
use crate::plugin::PluginEngine;
use coordinator::{Coordinator, End};
use plan::plan;
use snapshots::Snapshots;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use upgrade::{Running, Trial, Undecided};

/// Attempts without a commit between them, at most.
const ATTEMPTS_MAX: u32 = 8;
/// Wait after the first attempt that failed; it doubles with each.
const BACKOFF: Duration = Duration::from_millis(200);
/// Wait after an attempt that failed, at most.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// How far a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// For ever, or until every source has ended by itself.
    Forever,
    /// To the ends of the sources as they are at the start; then time ends and every window closes.
    End,
    /// To the ends of the sources as they are at the start; windows stay open for the next run.
    Available,
}

/// How a pipeline is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// How far.
    pub until: Until,
    /// Where state is kept: a folder for each pipeline is made in it.
    pub data_dir: PathBuf,
    /// Where compiled plugins are kept.
    pub cache_dir: PathBuf,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Go on from committed offsets although their state is gone.
    pub allow_missing_state: bool,
    /// Begin anew, whatever was committed.
    pub discard_state: bool,
    /// Begin anew where something was committed whose state is not in the data directory.
    pub anew_without_state: bool,
    /// An upgrade that was under way when the pipeline ended. What was committed decides whether it came about.
    pub undecided: Option<Upgrade>,
}

/// Checks everything that can be checked without a broker: plans the pipeline, with its plugins loaded and opened. Answers
/// the plan, a line a step.
pub fn check(pipeline: &Pipeline) -> Result<Vec<String>, PipelineError> {
    check_in(pipeline, None)
}

/// As [`check`], with compiled plugins kept in a folder.
pub fn check_in(pipeline: &Pipeline, cache_dir: Option<&Path>) -> Result<Vec<String>, PipelineError> {
    let engine = engine(cache_dir)?;
    let plan = plan(pipeline, &engine)?;
    Ok(plan.describe(pipeline))
}

fn engine(cache_dir: Option<&Path>) -> Result<PluginEngine, PipelineError> {
    PluginEngine::new(cache_dir)
        .map_err(|error| PipelineError::from_error(Failure::Internal, "cannot set up WebAssembly", &error))
}

/// Runs `pipeline` until it ends, is stopped through `control`, or fails. Blocks; make it a thread of its own.
pub fn run(pipeline: Pipeline, options: RunOptions, control: Arc<Control>) -> Result<Summary, PipelineError> {
    let engine = engine(Some(&options.cache_dir))?;
    let plan = Arc::new(plan(&pipeline, &engine)?);
    let dir = options.data_dir.join(&pipeline.name);
    let store = Store::open(&dir, &pipeline.name, &run_token(), memory::compaction(pipeline.memory));
    let mut store = store.map_err(|error| commit::store_failed(&error))?;
    let counters = Arc::new(Counters::new(plan.steps.len(), pipeline.sinks.len(), options.workers));
    counters.set_status(Some("starting".to_owned()));
    control.watch(Arc::clone(&counters));
    let running = Running { pipeline: Arc::new(pipeline), plan, engine, workers: options.workers };
    let undecided = options.undecided.as_ref().and_then(|it| Undecided::earlier(&running, it));
    control.begins(running, undecided);
    let ended = attempts(options, &control, &counters, &mut store);
    let running = control.running();
    control.ends();
    let (running, stopped) = (running.ok_or_else(PipelineError::closed)?, ended?);
    Ok(summary(&running.pipeline, &counters, &control, stopped))
}

/// Attempts until one ends well, or starting again would not help. True when somebody asked for the end.
fn attempts(
    mut options: RunOptions,
    control: &Arc<Control>,
    counters: &Arc<Counters>,
    store: &mut Store,
) -> Result<bool, PipelineError> {
    let mut failures = 0;
    let mut trial = None;
    loop {
        let epoch = counters.epoch.load(Relaxed);
        match attempt(trial.take(), &options, control, counters, store) {
            Ok(Some(End::Input)) => return Ok(false),
            Ok(Some(End::Stopped)) => return Ok(true),
            Ok(Some(End::Upgrade(next))) => trial = Some(*next),
            Ok(None) => {} // What was committed is the upgrade's, and it runs now.
            Err(error) if error.recovery() == Recovery::Restart && !control.is_aborted() => {
                failures = if counters.epoch.load(Relaxed) > epoch { 1 } else { failures + 1 };
                if failures > ATTEMPTS_MAX {
                    return Err(PipelineError::stop(
                        error.failure(),
                        format!("{failures} attempts without a commit between them; the last one: {error}"),
                    ));
                }
                let wait = BACKOFF_MAX.min(BACKOFF * 2_u32.pow(failures - 1));
                tracing::warn!(wait_ms = wait.as_millis() as u64, "starting again from the last commit: {error}");
                counters.set_status(Some(format!("starting again from the last commit: {error}")));
                pause(control, wait);
            }
            Err(error) => return Err(error),
        }
        // What was committed since is not to be discarded.
        options.discard_state &= counters.epoch.load(Relaxed) == 0;
    }
}

/// One attempt, from what is committed to the end, a stop or a failure. It runs what `control` says, or a `trial`. None where it is
/// to be begun again, as what was committed.
fn attempt(
    trial: Option<Trial>,
    options: &RunOptions,
    control: &Arc<Control>,
    counters: &Arc<Counters>,
    store: &mut Store,
) -> Result<Option<End>, PipelineError> {
    let running = trial.as_ref().map(|it| it.next.clone()).or_else(|| control.running());
    let running = running.ok_or_else(PipelineError::closed)?;
    let (pipeline, plan) = (&running.pipeline, &running.plan);
    let mut started = match start::start(pipeline, plan, options, control, counters, store, trial.as_ref()) {
        Ok(Some(started)) => started,
        Ok(None) => return Ok(None),
        Err(error) => return Err(upgrade::roll_back(trial, control, error)),
    };
    started.trial = trial;
    counters.set_status(None);
    std::thread::scope(|scope| {
        let (wakers, coordinator) = (Arc::clone(&started.wakers), started.workers.len());
        let snapshots = Snapshots::start(scope, store, wakers, coordinator)
            .inspect_err(|_| started.cancelled.store(true, Relaxed))?;
        Coordinator::new(started, snapshots, counters, control, pipeline.checkpoint_interval_ms).run().map(Some)
    })
}

fn summary(pipeline: &Pipeline, counters: &Counters, control: &Control, stopped: bool) -> Summary {
    let steps = pipeline.steps.iter().zip(&counters.per_step);
    let sinks = pipeline.sinks.iter().zip(&counters.per_sink);
    Summary {
        progress: counters.progress(control.clock().now_ms()),
        elapsed: control.clock().elapsed(),
        per_sink: sinks.map(|(sink, count)| (sink.name.clone(), count.load(Relaxed))).collect(),
        per_step: steps
            .map(|(step, (read, made))| (step.name.clone(), read.load(Relaxed), made.load(Relaxed)))
            .collect(),
        reason: if stopped { "stopped" } else { "end of input" }.to_owned(),
    }
}

/// Waits, unless somebody wants the pipeline to end.
fn pause(control: &Control, wait: Duration) {
    let until_ms = control.clock().now_ms() + wait.as_millis() as u64;
    while control.clock().now_ms() < until_ms && !control.is_stopped() && !control.is_aborted() {
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Makes the file names of this run unlike those of any other.
fn run_token() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
