//! Joins the stages: plans a pipeline, starts its workers from what was committed, and commits until it ends. The only
//! place that names two stages.

mod clock;
mod commit;
mod control;
mod coordinator;
mod error;
mod group;
mod plan;
mod plugin_fold;
mod reads;
mod recover;
mod sinks;
mod snapshots;
mod start;
mod step;
pub mod trial;
mod window_step;
mod worker;

pub use clock::Clock;
pub use control::Control;
pub use error::{Failure, PipelineError, Recovery};

use crate::checkpoint::{CompactionLimits, Store};
use crate::config::Pipeline;
use crate::metrics::{Counters, Summary};
use crate::plugin::PluginEngine;
use coordinator::{Coordinator, End};
use plan::{Plan, plan};
use snapshots::Snapshots;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

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
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Go on from committed offsets although their state is gone.
    pub allow_missing_state: bool,
    /// Begin anew, whatever was committed.
    pub discard_state: bool,
}

/// Checks everything that can be checked without a broker: plans the pipeline, with its plugins loaded and opened. Answers
/// the plan, a line a step.
pub fn check(pipeline: &Pipeline) -> Result<Vec<String>, PipelineError> {
    let engine = engine(None)?;
    let plan = plan(pipeline, &engine)?;
    Ok(plan.describe(pipeline))
}

fn engine(data_dir: Option<&Path>) -> Result<PluginEngine, PipelineError> {
    let cache = data_dir.map(|it| it.join("cache"));
    PluginEngine::new(cache.as_deref())
        .map_err(|error| PipelineError::from_error(Failure::Internal, "cannot set up WebAssembly", &error))
}

/// Runs `pipeline` until it ends, is stopped through `control`, or fails. Blocks; make it a thread of its own.
pub fn run(pipeline: Pipeline, options: RunOptions, control: Arc<Control>) -> Result<Summary, PipelineError> {
    let engine = engine(Some(&options.data_dir))?;
    let plan = Arc::new(plan(&pipeline, &engine)?);
    let dir = options.data_dir.join(&pipeline.name);
    let store = Store::open(&dir, &pipeline.name, &run_token(), CompactionLimits::default());
    let mut store = store.map_err(|error| commit::store_failed(&error))?;
    let counters = Arc::new(Counters::new(plan.steps.len(), pipeline.sinks.len()));
    control.watch(Arc::clone(&counters));
    let mut options = options;
    let mut failures = 0;
    let end = loop {
        let epoch = counters.epoch.load(Relaxed);
        match attempt(&pipeline, &plan, &options, &control, &counters, &mut store) {
            Ok(end) => break end,
            Err(error) if error.recovery() == Recovery::Restart && !control.is_aborted() => {
                failures = if counters.epoch.load(Relaxed) > epoch { 1 } else { failures + 1 };
                if failures > ATTEMPTS_MAX {
                    return Err(PipelineError::stop(
                        error.failure(),
                        format!("{failures} attempts without a commit between them; the last one: {error}"),
                    ));
                }
                // What was committed since is not to be discarded.
                options.discard_state &= counters.epoch.load(Relaxed) == 0;
                let wait = BACKOFF_MAX.min(BACKOFF * 2_u32.pow(failures - 1));
                tracing::warn!(wait_ms = wait.as_millis() as u64, "starting again from the last commit: {error}");
                counters.set_status(Some(format!("starting again from the last commit: {error}")));
                pause(&control, wait);
            }
            Err(error) => return Err(error),
        }
    };
    Ok(summary(&pipeline, &counters, &control, end))
}

/// One attempt, from what is committed to the end, a stop or a failure.
fn attempt(
    pipeline: &Pipeline,
    plan: &Arc<Plan>,
    options: &RunOptions,
    control: &Arc<Control>,
    counters: &Arc<Counters>,
    store: &mut Store,
) -> Result<End, PipelineError> {
    let started = start::start(pipeline, plan, options, control, counters, store)?;
    counters.set_status(None);
    std::thread::scope(|scope| {
        let (wakers, coordinator) = (Arc::clone(&started.wakers), started.workers.len());
        let snapshots = Snapshots::start(scope, store, wakers, coordinator)
            .inspect_err(|_| started.cancelled.store(true, Relaxed))?;
        Coordinator::new(started, snapshots, counters, control, pipeline.checkpoint_interval_ms).run()
    })
}

fn summary(pipeline: &Pipeline, counters: &Counters, control: &Control, end: End) -> Summary {
    let steps = pipeline.steps.iter().zip(&counters.per_step);
    let sinks = pipeline.sinks.iter().zip(&counters.per_sink);
    Summary {
        progress: counters.progress(control.clock().now_ms()),
        elapsed: control.clock().elapsed(),
        per_sink: sinks.map(|(sink, count)| (sink.name.clone(), count.load(Relaxed))).collect(),
        per_step: steps
            .map(|(step, (read, made))| (step.name.clone(), read.load(Relaxed), made.load(Relaxed)))
            .collect(),
        reason: match end {
            End::Input => "end of input".to_owned(),
            End::Stopped => "stopped".to_owned(),
        },
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
