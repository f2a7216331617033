//! Another version of a step's plugin while the pipeline runs: prepared beside it, switched to at a barrier, and on probation for one
//! epoch.
//!
//! | the new version                                       | how it is switched to                                         |
//! |-------------------------------------------------------|---------------------------------------------------------------|
//! | reads the same fields and has the same ports          | in place: each worker replaces its instance as the barrier passes the step |
//! | reads or writes other fields                          | the pipeline ends at the barrier, is planned anew and goes on from the commit |
//! | is of another kind, or cannot read the state there is | refused                                                       |
//!
//! Whether a version was accepted is what the last committed manifest says, which names what each step ran: nothing else is as true, since a commit
//! may count although its answer was lost. So a failure on probation leaves the upgrade undecided until the next attempt has read it.
//!
//! Every record is processed by exactly one version, since a barrier parts the records before it from those after it. While on probation,
//! any failure (a call that traps, answers an error or runs too long, a migration that fails) undoes the epoch: nothing of it was
//! committed, so the earlier version goes on from the commit before it.

use super::control::Control;
use super::error::PipelineError;
use super::migration::obstacle;
use super::plan::{OperationPlan, Plan, PluginPlan, StepPlan, plan};
use super::start::plugin_state;
use super::step::Step;
use crate::checkpoint::Manifest;
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
pub struct Prepared {
    /// What ran when it was prepared.
    pub(super) before: Running,
    /// What runs afterwards.
    pub(super) next: Running,
    /// The step, by index.
    pub(super) step: usize,
    /// For each worker the step with an instance that was opened; none where the pipeline must be planned anew.
    candidates: Option<Vec<Candidate>>,
    /// Tells whoever asked.
    tell: SyncSender<Progress>,
}

/// An upgrade that ended before it was known to be accepted.
pub(super) struct Undecided {
    /// What runs if it was.
    next: Running,
    /// The step, by index.
    step: usize,
    /// What happened, for when it was not.
    reason: String,
    /// Tells whoever asked.
    tell: Option<SyncSender<Progress>>,
}

impl Undecided {
    /// An upgrade of what runs that was under way when the pipeline last ended. None where it could not be prepared any more: then it
    /// cannot go on either.
    pub(super) fn earlier(running: &Running, upgrade: &Upgrade) -> Option<Undecided> {
        let reason = "the pipeline ended before its first epoch was committed".to_owned();
        match next_of(running, upgrade) {
            Ok((next, step)) => Some(Undecided { next, step, reason, tell: None }),
            Err(error) => {
                tracing::warn!("an upgrade that was under way does not fit any more: {error}");
                None
            }
        }
    }

    /// What runs from here on, if the upgrade was accepted: `committed` is what a restart begins with. Tells whoever asked.
    pub(super) fn decide(self, committed: Option<&Manifest>) -> Option<Running> {
        let step = &self.next.plan.steps[self.step];
        let ran = committed.and_then(|it| it.meta.plugins.get(&step.name));
        let accepted = committed.filter(|_| ran.is_some() && ran == plugin_state(step).as_ref());
        let progress = match accepted {
            Some(manifest) => Progress::Accepted { epoch: manifest.epoch.0 },
            None => Progress::RolledBack { reason: self.reason },
        };
        tracing::info!(step = step.name, ?progress, "what was committed decides on the upgrade");
        if let Some(tell) = self.tell {
            let _ = tell.try_send(progress); // There is room: an upgrade says two things at most.
        }
        accepted.map(|_| self.next)
    }
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
        let Prepared { next, step, candidates, tell, before: _ } = prepared;
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
    pub(super) fn new(running: Running, upgrade: &Upgrade) -> Result<(Prepared, Following), PipelineError> {
        let (next, step) = next_of(&running, upgrade)?;
        let in_place = fits(&running.plan.steps[step], &next.plan.steps[step]).map_err(|it| refuse(upgrade, &it))?;
        let candidates = if in_place { Some(candidates(&next, step)?) } else { None };
        // Room for all that is ever said: whoever asked may be gone.
        let (tell, following) = sync_channel(2);
        Ok((Prepared { before: running, next, step, candidates, tell }, following))
    }

    /// It will not come about: tells whoever asked.
    pub(super) fn refuse(self, why: &str) {
        // There is room: nothing was said yet.
        let _ = self.tell.try_send(Progress::RolledBack { reason: why.to_owned() });
    }

    /// True where the workers replace the plugin as the barrier passes; false where the pipeline is planned anew.
    pub fn is_in_place(&self) -> bool {
        self.candidates.is_some()
    }

    /// The version of the state before and after, where the step keeps state: other than the one before, it is migrated.
    pub fn state_versions(&self) -> Option<(u32, u32)> {
        let of =
            |running: &Running| plugin_plan(&running.plan.steps[self.step].operation).map(PluginPlan::state_version);
        let keeps = !matches!(self.next.plan.steps[self.step].operation, OperationPlan::Transform(_));
        of(&self.before).zip(of(&self.next)).filter(|_| keeps)
    }
}

fn refuse(upgrade: &Upgrade, why: &str) -> PipelineError {
    PipelineError::config(vec![format!("step `{}`: {why}", upgrade.step)])
}

/// What runs after `upgrade`, and the step.
pub(super) fn next_of(running: &Running, upgrade: &Upgrade) -> Result<(Running, usize), PipelineError> {
    let names = || running.plan.steps.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ");
    let Some(step) = running.plan.steps.iter().position(|it| it.name == upgrade.step) else {
        return Err(refuse(upgrade, &format!("there is no such step: the pipeline has {}", names())));
    };
    let mut pipeline = Pipeline::clone(&running.pipeline);
    let options = plugin_of(&mut pipeline.steps[step].operation)
        .ok_or_else(|| refuse(upgrade, "it runs no plugin, so there is none to replace"))?;
    options.path.clone_from(&upgrade.plugin);
    if let Some(config) = &upgrade.config {
        options.config.clone_from(config);
    }
    let next = plan(&pipeline, &running.engine)?;
    Ok((Running { pipeline: Arc::new(pipeline), plan: Arc::new(next), ..running.clone() }, step))
}

fn candidates(next: &Running, step: usize) -> Result<Vec<Candidate>, PipelineError> {
    let plan = Arc::new(next.plan.steps[step].clone());
    let candidate = |_| Ok(Candidate { step: Step::start(&plan, TableId(0))?, plan: Arc::clone(&plan) });
    (0..next.workers).map(candidate).collect()
}

fn plugin_of(operation: &mut Operation) -> Option<&mut PluginOptions> {
    match operation {
        Operation::Plugin(options) | Operation::Window { fold: Fold::Plugin(options), .. } => Some(options),
        Operation::Window { .. }
        | Operation::Join(_)
        | Operation::Tables(_)
        | Operation::Dedupe { .. }
        | Operation::Select => None,
    }
}

/// The plugin of a planned step.
pub(super) fn plugin_plan(operation: &OperationPlan) -> Option<&PluginPlan> {
    match operation {
        OperationPlan::Transform(plugin)
        | OperationPlan::Keyed(plugin)
        | OperationPlan::WindowPlugin { plugin, .. } => Some(plugin),
        _ => None,
    }
}

/// True when the new version fits into the place of the old one, false when the pipeline around it changes.
pub(super) fn fits(old: &StepPlan, new: &StepPlan) -> Result<bool, String> {
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
            OperationPlan::Keyed(_) => obstacle(to, from_version).map(|it| format!("the new plugin {it}")),
            _ => Some("accumulators of open windows cannot be migrated".to_owned()),
        };
        if let Some(why) = why {
            return Err(format!("its state is of version {from_version}, the new plugin's is {to_version}: {why}"));
        }
    }
    let (from, to) = (&from.opened.spec, &to.opened.spec);
    Ok(from.reads == to.reads && from.ports == to.ports)
}

/// What a failure means while an upgrade is not accepted: the earlier version goes on from the last commit. Unless that is the upgrade's, and only
/// its answer was lost.
pub(super) fn roll_back(trial: Option<Trial>, control: &Control, error: PipelineError) -> PipelineError {
    let Some(Trial { next, step, tell, epoch: _ }) = trial else { return error };
    let reason = error.to_string();
    tracing::warn!("the upgrade is rolled back: {reason}");
    control.undecided_upgrade(Undecided { next, step, reason, tell: Some(tell) });
    PipelineError::restart(format!("an upgrade was rolled back: {error}"))
}
