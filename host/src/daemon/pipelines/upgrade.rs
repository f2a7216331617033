//! A step gets another version of its plugin while records flow.
//!
//! What the engine is asked for is on disk before, as what the pipeline is *about to* become; it becomes that when the engine says so, or when
//! the pipeline starts again and finds that what was committed is the new version's. docs/adr/0005 says why no other order will do.

use super::document::{self, Checked};
use super::record::{Record, Upgrading};
use super::status::by_name;
use super::{Entry, Pipelines, rewrite};
use crate::config::{Fold, Operation as StepOperation, Pipeline, PluginOptions};
use crate::daemon::api::{
    Action, Desired, HistoryEntry, Operation, OperationState, Outcome, Pin, RollbackRequest, StepPlugin,
    UpgradePreview, UpgradeRequest,
};
use crate::daemon::operations::advance;
use crate::daemon::problem::{Code, Problem};
use crate::daemon::{clock, logs};
use crate::failpoint::failpoint;
use crate::pipeline::{Failure, Following, PipelineError, Prepared, Progress, Upgrade};
use std::sync::Arc;
use tokio::sync::watch;

/// An upgrade that the engine has begun, to be followed by [`Pipelines::follow`].
pub(in crate::daemon) struct Begun {
    name: String,
    operation: Arc<watch::Sender<Operation>>,
    following: Following,
}

/// An upgrade that fits.
struct Ready {
    upgrading: Upgrading,
    upgrade: Upgrade,
    prepared: Prepared,
    following: Following,
    preview: UpgradePreview,
}

impl Pipelines {
    /// Begins an upgrade of the pipeline `name`. Follow it on a thread that may wait.
    pub(in crate::daemon) fn upgrade(
        &self,
        name: &str,
        request: &UpgradeRequest,
        by: &str,
    ) -> Result<(Operation, Begun), Problem> {
        let _changing = self.changing();
        self.begin(name, request, Action::Upgrade, by)
    }

    /// What an upgrade would do, with a sample of records through both versions; nothing changes.
    pub(in crate::daemon) fn preview(&self, name: &str, request: &UpgradeRequest) -> Result<UpgradePreview, Problem> {
        let preview = {
            let _changing = self.changing();
            self.previewed(name, request)?
        };
        let (sample, no_sample) = match self.sample(name, request) {
            Ok(sample) => (Some(sample), None),
            Err(problem) => (None, Some(problem.detail.into())),
        };
        Ok(UpgradePreview { sample, no_sample, ..preview })
    }

    /// What an upgrade would do. Call it while changing.
    pub(super) fn previewed(&self, name: &str, request: &UpgradeRequest) -> Result<UpgradePreview, Problem> {
        let entry = self.entry(name)?;
        Ok(self.prepare(&entry, request, Action::Upgrade, "nobody")?.preview)
    }

    /// Begins to bring back what a step ran before it was changed last.
    pub(in crate::daemon) fn roll_back(
        &self,
        name: &str,
        request: &RollbackRequest,
        by: &str,
    ) -> Result<(Operation, Begun), Problem> {
        let _changing = self.changing();
        let record = self.entry(name)?.record;
        let (step, before) = before(&record, request.step.as_deref())?;
        let config = before.config.as_object().cloned().unwrap_or_default();
        let request = UpgradeRequest {
            step,
            plugin: before.plugin.clone(),
            config: Some(config),
            reason: request.reason.clone(),
        };
        self.begin(name, &request, Action::Rollback, by)
    }

    fn begin(
        &self,
        name: &str,
        request: &UpgradeRequest,
        action: Action,
        by: &str,
    ) -> Result<(Operation, Begun), Problem> {
        let entry = self.entry(name)?;
        let Ready { upgrading, upgrade, prepared, following, .. } = self.prepare(&entry, request, action, by)?;
        let step = upgrading.entry.clone();
        failpoint("upgrade.before-record");
        self.write(&Record { upgrading: Some(upgrading), ..Record::clone(&entry.record) })?;
        failpoint("upgrade.after-record");
        let runner = entry.runner.ok_or_else(|| not_running(name))?;
        runner.upgrading(upgrade);
        if let Err(error) = runner.now().control.begin_upgrade(prepared) {
            // It ended just now, or began again. Nothing has come of the upgrade.
            self.settle_as(name, Some((Outcome::RolledBack, Some(error.to_string()))))?;
            return Err(Problem::new(Code::NotRunning, format!("{error}; try again")));
        }
        let operation = self.operations.begin(name, &step);
        let shown = operation.borrow().clone();
        Ok((shown, Begun { name: name.to_owned(), operation, following }))
    }

    /// All that can be refused is refused here.
    fn prepare(&self, entry: &Entry, request: &UpgradeRequest, action: Action, by: &str) -> Result<Ready, Problem> {
        let record = &entry.record;
        let _within = logs::span(&record.name).entered(); // What the new version logs as it is opened is the pipeline's.
        self.none_under_way(record)?;
        let runner = entry.runner.as_ref().filter(|_| record.desired != Desired::Stopped);
        let control = runner.map(|it| it.now().control).ok_or_else(|| not_running(&record.name))?;
        let refuse = |why: String| Problem::new(Code::UpgradeRefused, why);
        let pin = self.catalog.resolve(&request.plugin).map_err(refuse)?;
        let reference = format!("{}@{}", pin.name, pin.version);
        let config = request.config.clone().map(serde_json::Value::Object);
        let definition = rewrite::with_plugin(&record.definition, &request.step, &reference, config.as_ref())?;
        let before = self.checked(record)?;
        let after = document::check(&record.name, &definition, &self.catalog, &self.settings(), Some(&record.pins))?;
        let options = |checked: &Checked| plugin_of(&checked.pipeline, &request.step).cloned();
        let none = || refuse(format!("the step `{}` runs no plugin, so there is none to replace", request.step));
        let (old, new) = options(&before).zip(options(&after)).ok_or_else(none)?;
        let upgrade =
            Upgrade { step: request.step.clone(), plugin: new.path.clone(), config: Some(new.config.clone()) };
        let (prepared, following) = control.prepare_upgrade(&upgrade).map_err(|error| {
            let known = [before.pins.as_slice(), &after.pins].concat();
            self.refused_upgrade(&record.name, &error, &known)
        })?;
        let entry = HistoryEntry {
            number: record.next_number(),
            action,
            outcome: Outcome::UnderWay,
            revision: record.revision + 1,
            step: Some(request.step.clone()),
            from: Some(shown(&old, &before.pins)),
            to: Some(shown(&new, &after.pins)),
            at: clock::now(),
            by: by.to_owned(),
            reason: request.reason.clone(),
            detail: None,
        };
        let preview = UpgradePreview {
            step: request.step.clone(),
            from: shown(&old, &before.pins),
            to: shown(&new, &after.pins),
            in_place: prepared.is_in_place(),
            state: match prepared.state_versions() {
                None => "the step keeps none".to_owned(),
                Some((from, to)) if from == to => "stays as it is".to_owned(),
                Some((from, to)) => format!("is brought from version {from} to version {to} by the new plugin"),
            },
            sample: None,
            no_sample: None,
            changes: document::changes(Some((&record.definition, &record.pins)), &definition, &after.pins),
        };
        let upgrading = Upgrading { definition, pins: after.pins, entry };
        Ok(Ready { upgrading, upgrade, prepared, following, preview })
    }

    pub(super) fn refused_upgrade(&self, name: &str, error: &PipelineError, pins: &[Pin]) -> Problem {
        let text = by_name(&error.to_string(), pins, &self.layout);
        match error.failure() {
            Failure::Config if text.contains("does not run yet") => not_running(name),
            Failure::Config if text.contains("another upgrade") => Problem::new(Code::UpgradeUnderWay, text),
            _ => Problem::new(Code::UpgradeRefused, text),
        }
    }

    /// Refuses where an upgrade of the pipeline is not settled.
    pub(super) fn none_under_way(&self, record: &Record) -> Result<(), Problem> {
        let Some(Upgrading { entry, .. }) = &record.upgrading else { return Ok(()) };
        let step = entry.step.as_deref().unwrap_or_default();
        let when = if self.operations.is_under_way(&record.name) {
            "try again when its first epoch is committed"
        } else {
            "what was committed decides on it when the pipeline starts again; resume it, or apply a definition"
        };
        let detail = format!("an upgrade of the step `{step}` by {} is under way: {when}", entry.by);
        Err(Problem::new(Code::UpgradeUnderWay, detail))
    }

    /// Follows an upgrade to its end, and writes down what came of it. Blocks.
    pub(in crate::daemon) fn follow(&self, begun: Begun) {
        let Begun { name, operation, following } = begun;
        let mut settled = None;
        while let Ok(progress) = following.recv() {
            match progress {
                Progress::Switched { epoch, switch_ms } => advance(&operation, |it| {
                    it.state = OperationState::Probation;
                    it.epoch = Some(epoch);
                    it.switch_ms = Some(switch_ms);
                }),
                Progress::Accepted { .. } => settled = Some((Outcome::Accepted, None)),
                Progress::RolledBack { reason } => {
                    settled = Some((Outcome::RolledBack, Some(self.named(&name, &reason))))
                }
            }
        }
        failpoint("upgrade.accepted");
        let known = settled.clone();
        {
            let _changing = self.changing();
            if let Err(problem) = known.map_or(Ok(()), |it| self.settle_as(&name, Some(it))) {
                tracing::error!(pipeline = name, "cannot write down what came of the upgrade: {problem}");
            }
        }
        failpoint("upgrade.settled");
        advance(&operation, |it| {
            it.done = true;
            (it.state, it.detail) = match settled {
                Some((Outcome::Accepted, _)) => (OperationState::Accepted, None),
                Some((_, detail)) => (OperationState::RolledBack, detail),
                None => {
                    let why = "the pipeline ended before it was known; what was committed decides when it starts again";
                    (OperationState::Undecided, Some(why.to_owned()))
                }
            };
        });
    }

    /// A message of the engine about the pipeline `name`, with plugins by their names.
    fn named(&self, name: &str, text: &str) -> String {
        let Ok(Entry { record, .. }) = self.entry(name) else { return text.to_owned() };
        let next = record.upgrading.iter().flat_map(|it| &it.pins);
        let pins: Vec<Pin> = record.pins.iter().chain(next).cloned().collect();
        by_name(text, &pins, &self.layout)
    }

    /// Settles an upgrade of which nobody hears any more, once the pipeline runs and so has found out. Call it while changing.
    pub(super) fn settle_upgrade(&self, name: &str) -> Result<(), Problem> {
        if self.operations.is_under_way(name) { Ok(()) } else { self.settle_as(name, None) }
    }

    /// Writes down what came of the upgrade that is under way; without a `known` outcome, what the pipeline found out.
    fn settle_as(&self, name: &str, known: Option<(Outcome, Option<String>)>) -> Result<(), Problem> {
        let entry = self.entry(name)?;
        let mut record = Record::clone(&entry.record);
        let Some(mut upgrading) = record.upgrading.take() else { return Ok(()) };
        let checked =
            document::check(name, &upgrading.definition, &self.catalog, &self.settings(), Some(&upgrading.pins));
        let checked = checked.map(|it| it.pipeline);
        let (outcome, detail) = match known {
            Some(known) => known,
            None => {
                let step = upgrading.entry.step.as_deref().unwrap_or_default();
                let control = entry.runner.as_ref().map(|it| it.now().control);
                let Some(runs) = control.and_then(|it| it.settled_pipeline()) else { return Ok(()) };
                let plugin = |it| plugin_of(it, step).map(|it| (&it.path, &it.config));
                if checked.as_ref().ok().is_some_and(|it| plugin(it).is_some() && plugin(it) == plugin(&runs)) {
                    (Outcome::Accepted, Some("found out when the pipeline started again".to_owned()))
                } else {
                    let why = "the pipeline ended before the version's first epoch was committed";
                    (Outcome::RolledBack, Some(why.to_owned()))
                }
            }
        };
        let accepted = outcome == Outcome::Accepted;
        upgrading.entry.outcome = outcome;
        upgrading.entry.detail = detail;
        if accepted {
            record.revision += 1;
            record.definition = upgrading.definition;
            record.pins = upgrading.pins;
            record.deployed_at = upgrading.entry.at;
            record.deployed_by.clone_from(&upgrading.entry.by);
        }
        upgrading.entry.revision = record.revision;
        record.note(upgrading.entry);
        self.write(&record)?;
        if let Some(runner) = &entry.runner {
            runner.upgraded(checked.ok().filter(|_| accepted));
        }
        Ok(())
    }

    /// What a start is told of an upgrade that is not settled.
    pub(super) fn undecided(&self, record: &Record) -> Option<Upgrade> {
        let upgrading = record.upgrading.as_ref()?;
        let step = upgrading.entry.step.clone()?;
        let settings = self.settings();
        let checked =
            document::check(&record.name, &upgrading.definition, &self.catalog, &settings, Some(&upgrading.pins));
        let options = plugin_of(&checked.ok()?.pipeline, &step).cloned()?;
        Some(Upgrade { step, plugin: options.path, config: Some(options.config) })
    }

    /// What was done to a pipeline, the latest first.
    pub(in crate::daemon) fn history(&self, name: &str) -> Result<Vec<HistoryEntry>, Problem> {
        let record = self.entry(name)?.record;
        let under_way = record.upgrading.iter().map(|it| it.entry.clone());
        Ok(under_way.chain(record.history.iter().rev().cloned()).collect())
    }

    /// An operation, to be followed.
    pub(in crate::daemon) fn operation(&self, id: &str) -> Result<watch::Receiver<Operation>, Problem> {
        self.operations.find(id)
    }
}

pub(super) fn not_running(name: &str) -> Problem {
    let detail = format!(
        "the pipeline `{name}` does not run, and a version takes over only while records flow: resume it, or apply a definition with the \
         version"
    );
    Problem::new(Code::NotRunning, detail)
}

/// The plugin of a step.
pub(super) fn plugin_of<'a>(pipeline: &'a Pipeline, step: &str) -> Option<&'a PluginOptions> {
    match &pipeline.steps.iter().find(|it| it.name == step)?.operation {
        StepOperation::Plugin(options) | StepOperation::Window { fold: Fold::Plugin(options), .. } => Some(options),
        _ => None,
    }
}

fn shown(options: &PluginOptions, pins: &[Pin]) -> StepPlugin {
    let digest = options.path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let pin = pins.iter().find(|it| it.digest == digest);
    StepPlugin {
        plugin: pin.map_or_else(|| format!("sha256:{digest}"), |it| format!("{}@{}", it.name, it.version)),
        config: serde_json::from_str(&options.config).unwrap_or_default(),
        digest,
    }
}

/// What the step ran before it was changed last, since the definition was applied.
fn before<'a>(record: &'a Record, step: Option<&str>) -> Result<(String, &'a StepPlugin), Problem> {
    let since = record.history.iter().rev().take_while(|it| it.action != Action::Deploy);
    let mut accepted = since.filter(|it| it.outcome == Outcome::Accepted);
    let found = accepted.find(|it| step.is_none() || it.step.as_deref() == step);
    let found = found.and_then(|it| it.step.clone().zip(it.from.as_ref()));
    found.ok_or_else(|| {
        let which = step.map(|it| format!(" of the step `{it}`")).unwrap_or_default();
        let detail = format!(
            "no upgrade{which} was accepted since the definition of `{}` was applied; apply the definition from before",
            record.name
        );
        Problem::new(Code::NothingToRollBack, detail)
    })
}
