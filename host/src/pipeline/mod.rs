//! STAND-IN: the types that the command line needs, until the engine is there.

use crate::config::Pipeline;
use crate::metrics::{Progress, Summary};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it is stopped.
    Forever,
    /// Until the sources end; all windows are flushed.
    End,
    /// Up to the end offsets seen at the start; windows stay open.
    Available,
}

/// How a pipeline is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// How long.
    pub until: Until,
    /// Where state and checkpoints are kept.
    pub data_dir: PathBuf,
    /// Worker threads; at least 1.
    pub workers: usize,
    /// Start from committed offsets although their state is missing.
    pub allow_missing_state: bool,
    /// Throw the stored state away.
    pub discard_state: bool,
}

/// What a caller branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The pipeline or a plugin does not fit.
    Config,
    /// A record cannot be processed and the policy is to stop.
    BadData,
    /// A broker cannot be reached.
    Unreachable,
    /// Anything else.
    Internal,
}

/// Why a pipeline could not go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PipelineError(String);

impl PipelineError {
    /// What the caller branches on.
    pub fn failure(&self) -> Failure {
        Failure::Internal
    }
}

/// The handle on a running pipeline.
#[derive(Debug, Default)]
pub struct Control {
    stopped: AtomicBool,
}

impl Control {
    /// Of a pipeline yet to run.
    pub fn new() -> Arc<Self> {
        Arc::new(Control::default())
    }

    /// Stops it after a last checkpoint.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Stops it at once, without a checkpoint.
    pub fn abort(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// Loads the plugins and plans the pipeline; answers warnings and the lines of the plan.
pub fn check(_pipeline: &Pipeline) -> Result<Vec<String>, PipelineError> {
    Ok(Vec::new())
}

/// Runs the pipeline; blocks.
pub fn run(_pipeline: Pipeline, _options: RunOptions, _control: Arc<Control>) -> Result<Summary, PipelineError> {
    Err(PipelineError("the engine is not there yet".to_owned()))
}
