//! Another version of a step's plugin while the pipeline runs: prepared beside it, switched to at a barrier, and on probation for one
//! epoch.
//!
//! | the new version                                       | how it is switched to                                         |
//! |-------------------------------------------------------|---------------------------------------------------------------|
//! | reads the same fields and has the same ports          | in place: each worker replaces its instance as the barrier passes the step |
//! | reads or writes other fields                          | the pipeline ends at the barrier, is planned anew and goes on from the commit |
//! | is of another kind, or cannot read the state there is | refused                                                       |
//!
//! Every record is processed by exactly one version, since a barrier parts the records before it from those after it. While on probation,
//! any failure (a call that traps, answers an error or runs too long, a migration that fails) undoes the epoch: nothing of it was
//! committed, so the earlier version goes on from the commit before it.

use super::control::Control;
use super::error::PipelineError;
use super::plan::{OperationPlan, Plan, PluginPlan, StepPlan, plan};
use super::step::Step;
use crate::config::{Fold, Operation, Pipeline, PluginOptions};
use crate::plugin::PluginEngine;
use crate::state::TableId;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The step's name.
    pub step: String,
    /// The new version's file.
    pub plugin: PathBuf,
    /// Its `config`, a JSON object as text; none keeps the step's.
    pub config: Option<String>,
}

/// How an upgrade goes on. The first is `Switched` or `RolledBack`; after `Switched` comes one of the other two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// From here on records go to the new version, which is on probation.
    Switched {
        /// The last epoch of the earlier version.
        epoch: u64,
        /// How long the barrier took, ms: no record is processed by the step for longer.
        switch_ms: u64,
    },
    /// The new version's first epoch is committed: it stays.
    Accepted {
        /// That epoch.
        epoch: u64,
    },
    /// The earlier version goes on, as if there had been no upgrade.
    RolledBack {
        /// What the new version did.
        reason: String,
    },
}

/// Follows an upgrade. Its end without an answer is the pipeline's.
pub type Following = Receiver<Progress>;

/// A pipeline as it runs: what a restart begins with.
#[derive(Clone)]
pub(super) struct Running {
    pub pipeline: Arc<Pipeline>,
    pub plan: Arc<Plan>,
    pub engine: PluginEngine,
    pub workers: usize,
}

/// An upgrade that was prepared: all that takes time is done, and all that can be refused was not.
pub(super) struct Prepared {
    /// What runs afterwards.
    pub next: Running,
    /// The step, by index.
    pub step: usize,
    /// For each worker the step with an instance that was opened; none where the pipeline must be planned anew.
    pub candidates: Option<Vec<Candidate>>,
    /// Tells whoever asked.
    pub tell: SyncSender<Progress>,
}

/// An upgrade that is being switched to or on probation.
pub(super) struct Trial {
    /// What runs afterwards.
    pub next: Running,
    /// The step, by index.
    pub step: usize,
    /// The epoch on probation; none until the barrier has passed.
    pub epoch: Option<u64>,
    tell: SyncSender<Progress>,
}

impl Trial {
    /// For an upgrade whose barrier has not passed yet.
    pub(super) fn new(prepared: Prepared) -> (Trial, Option<Vec<Candidate>>) {
        let Prepared { next, step, candidates, tell } = prepared;
        (Trial { next, step, epoch: None, tell }, candidates)
    }

    /// Tells whoever asked, if they still listen.
    pub(super) fn tell(&self, progress: Progress) {
        // There is room: an upgrade says two things at most.
        let _ = self.tell.try_send(progress);
    }
}

/// The new version of a step, for one worker.
pub(super) struct Candidate {
    pub plan: Arc<StepPlan>,
    /// Without state: that stays where it is.
    pub step: Step,
}

impl Prepared {
    /// Prepares `upgrade` of what runs, beside it.
    ///
    /// # Errors
    /// There is no such step, it has no plugin, or the new version does not fit: with what was found and what was expected.
    pub(super) fn new(running: &Running, upgrade: &Upgrade) -> Result<(Prepared, Following), PipelineError> {
        let refuse = |why: String| PipelineError::config(vec![format!("step `{}`: {why}", upgrade.step)]);
        let names = || running.plan.steps.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ");
        let Some(step) = running.plan.steps.iter().position(|it| it.name == upgrade.step) else {
            return Err(refuse(format!("there is no such step: the pipeline has {}", names())));
        };
        let mut pipeline = Pipeline::clone(&running.pipeline);
        let options = plugin_of(&mut pipeline.steps[step].operation)
            .ok_or_else(|| refuse("it runs no plugin, so there is none to replace".to_owned()))?;
        options.path.clone_from(&upgrade.plugin);
        if let Some(config) = &upgrade.config {
            options.config.clone_from(config);
        }
        let next = plan(&pipeline, &running.engine)?;
        let in_place = fits(&running.plan.steps[step], &next.steps[step]).map_err(refuse)?;
        let next = Running { pipeline: Arc::new(pipeline), plan: Arc::new(next), ..running.clone() };
        let candidates = if in_place { Some(candidates(&next, step)?) } else { None };
        // Room for all that is ever said: whoever asked may be gone.
        let (tell, following) = sync_channel(2);
        Ok((Prepared { next, step, candidates, tell }, following))
    }
}

fn candidates(next: &Running, step: usize) -> Result<Vec<Candidate>, PipelineError> {
    let plan = Arc::new(next.plan.steps[step].clone());
    let candidate = |_| Ok(Candidate { step: Step::start(&plan, TableId(0))?, plan: Arc::clone(&plan) });
    (0..next.workers).map(candidate).collect()
}

fn plugin_of(operation: &mut Operation) -> Option<&mut PluginOptions> {
    match operation {
        Operation::Plugin(options) | Operation::Window { fold: Fold::Plugin(options), .. } => Some(options),
        Operation::Window { .. } | Operation::Select => None,
    }
}

/// The plugin of a planned step.
pub(super) fn plugin_plan(operation: &OperationPlan) -> Option<&PluginPlan> {
    match operation {
        OperationPlan::Transform(plugin)
        | OperationPlan::Keyed(plugin)
        | OperationPlan::WindowPlugin { plugin, .. } => Some(plugin),
        OperationPlan::Window { .. } | OperationPlan::Select(_) => None,
    }
}

/// True when the new version fits into the place of the old one, false when the pipeline around it changes.
fn fits(old: &StepPlan, new: &StepPlan) -> Result<bool, String> {
    let (Some(from), Some(to)) = (plugin_plan(&old.operation), plugin_plan(&new.operation)) else {
        return Err("it runs no plugin".to_owned());
    };
    let (from_kind, to_kind) = (from.plugin.kind(), to.plugin.kind());
    if from_kind != to_kind {
        return Err(format!("it runs a {from_kind} plugin, and the new one is of the kind {to_kind}"));
    }
    let (from_version, to_version) = (from.state_version(), to.state_version());
    let keeps_state = !matches!(new.operation, OperationPlan::Transform(_));
    if keeps_state && from_version != to_version {
        let why = match &new.operation {
            OperationPlan::Keyed(_) if to.plugin.has_migration() => None,
            OperationPlan::Keyed(_) => Some("the new plugin exports no migration"),
            _ => Some("accumulators of open windows cannot be migrated"),
        };
        if let Some(why) = why {
            return Err(format!("its state is of version {from_version}, the new plugin's is {to_version}: {why}"));
        }
    }
    let (from, to) = (&from.opened.spec, &to.opened.spec);
    Ok(from.reads == to.reads && from.ports == to.ports)
}

/// What a failure means while an upgrade is not accepted: the earlier version goes on from the last commit.
pub(super) fn roll_back(trial: Option<Trial>, control: &Control, error: PipelineError) -> PipelineError {
    let Some(trial) = trial else { return error };
    let reason = error.to_string();
    tracing::warn!("the upgrade is rolled back: {reason}");
    control.settle_upgrade(None);
    trial.tell(Progress::RolledBack { reason });
    PipelineError::restart(format!("an upgrade was rolled back: {error}"))
}
