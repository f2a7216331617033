//! The deployed pipelines: what is wanted of each is on disk, and a thread of its own sees to it.
//!
//! Whatever changes a pipeline holds `changes` and blocks: call it from a thread that may. What only looks never waits for
//! that.

mod backoff;
mod checkpoints;
mod document;
mod figures;
mod letters;
mod plan;
mod record;
mod rewrite;
mod runner;
mod shadow;
mod status;
mod upgrade;

pub(super) use document::toml_of;
pub(super) use plan::mermaid;
pub(super) use upgrade::Begun;

use super::api::{
    Action, Change, Checkpoint, Deployment, Desired, HistoryEntry, Outcome, PipelineStatus, Plan, PluginVersion, State,
};
use super::catalog::Catalog;
use super::clock;
use super::disk::{self, Layout};
use super::operations::Operations;
use super::problem::{Code, FieldError, Problem};
use super::settings::Settings;
use crate::config;
use crate::failpoint::failpoint;
use crate::pipeline::{self, Failure, RunOptions, Tap, Until};
use document::Checked;
use record::Record;
use runner::{Job, Runner};
use shadow::Shadows;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a request waits for a pipeline to take its last checkpoint; past it, what asked says so.
const STOP_WAIT: Duration = Duration::from_secs(30);

/// How long a pipeline that is being started has to hear that the daemon ends.
const STARTING_WAIT_MAX: Duration = Duration::from_secs(2);

/// All pipelines.
pub(super) struct Pipelines {
    layout: Layout,
    catalog: Arc<Catalog>,
    settings: Mutex<Arc<Settings>>,
    entries: Mutex<BTreeMap<String, Entry>>,
    operations: Operations,
    shadows: Shadows,
    /// Held while something is changed.
    changes: Mutex<()>,
}

/// A deployed pipeline.
#[derive(Clone)]
struct Entry {
    record: Arc<Record>,
    /// None where the pipeline could not even be started.
    runner: Option<Arc<Runner>>,
    /// Why not.
    trouble: Option<Arc<str>>,
}

impl Entry {
    /// True where it is wanted to run and was ended for a change that did not come about.
    fn is_idle(&self) -> bool {
        let stopped = |it: &Arc<Runner>| it.now().is_stopped();
        self.record.desired != Desired::Stopped && self.runner.as_ref().is_some_and(stopped)
    }
}

/// What becomes of the state of a pipeline that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for a pipeline with the same name.
    Keep,
    /// It is removed, and what was committed elsewhere does not count any more.
    Discard,
}

/// The digests that the pipelines on disk use: what the catalog must not tidy away.
pub(super) fn pinned(layout: &Layout) -> io::Result<HashSet<String>> {
    let pins = |it: Record| it.pins.into_iter().chain(it.upgrading.into_iter().flat_map(|it| it.pins));
    Ok(Record::read_all(layout)?.into_iter().flat_map(pins).map(|it| it.digest).collect())
}

impl Pipelines {
    /// Reads what was deployed; [`Self::start_all`] starts it.
    pub(super) fn open(layout: &Layout, catalog: Arc<Catalog>, settings: Arc<Settings>) -> io::Result<Self> {
        let entry = |it: Record| (it.name.clone(), Entry { record: Arc::new(it), runner: None, trouble: None });
        Ok(Pipelines {
            entries: Mutex::new(Record::read_all(layout)?.into_iter().map(entry).collect()),
            operations: Operations::new(),
            shadows: Shadows::default(),
            layout: layout.clone(),
            catalog,
            settings: Mutex::new(settings),
            changes: Mutex::new(()),
        })
    }

    /// Starts everything that is wanted to run. One that cannot be started is in trouble, and hinders no other.
    pub(super) fn start_all(&self) {
        let _changing = self.changing();
        for name in self.names() {
            if let Err(problem) = self.start(&name) {
                tracing::error!(pipeline = name, "cannot be started: {problem}");
            }
        }
    }

    /// Takes other settings, and restarts the pipelines for which they make a difference.
    ///
    /// # Errors
    /// A pipeline would be wrong with them; nothing has changed then.
    pub(super) fn reload(&self, settings: &Arc<Settings>) -> Result<(), String> {
        let _changing = self.changing();
        let records: Vec<Arc<Record>> = self.entries().values().map(|it| Arc::clone(&it.record)).collect();
        let mut differ = Vec::new();
        let same_workers = self.settings().limits.workers == settings.limits.workers;
        for record in records {
            let before = self.checked(&record).ok().map(|it| it.pipeline);
            match (before, self.checked_with(&record, settings).map(|it| it.pipeline)) {
                (Some(before), Ok(after)) if before == after && same_workers => {}
                (_, Ok(_)) => differ.push(record.name.clone()),
                (Some(_), Err(problem)) => {
                    return Err(format!("the pipeline `{}` would be wrong: {problem}", record.name));
                }
                (None, Err(_)) => {} // It is in trouble as it is.
            }
        }
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(settings);
        for name in differ {
            tracing::info!(pipeline = name, "starting again with the new configuration");
            if let Err(problem) = self.end(&name).and_then(|()| self.start(&name)) {
                tracing::error!(pipeline = name, "{problem}");
            }
        }
        Ok(())
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> Vec<String> {
        self.entries().keys().cloned().collect()
    }

    fn entry(&self, name: &str) -> Result<Entry, Problem> {
        let entries = self.entries();
        entries.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = entries.keys().map(|it| format!("`{it}`")).collect();
            let known =
                if known.is_empty() { "none is deployed".to_owned() } else { format!("there is {}", known.join(", ")) };
            Problem::new(Code::NoSuchPipeline, format!("found the pipeline `{name}`, but {known}"))
        })
    }

    /// How every pipeline is, by name.
    pub(super) fn list(&self) -> Vec<PipelineStatus> {
        let entries: Vec<Entry> = self.entries().values().cloned().collect();
        entries.iter().map(|it| self.status(it)).collect()
    }

    /// How one pipeline is, with its definition.
    pub(super) fn show(&self, name: &str) -> Result<PipelineStatus, Problem> {
        let entry = self.entry(name)?;
        let definition = Some(entry.record.definition.clone());
        Ok(PipelineStatus { definition, ..self.status(&entry) })
    }

    fn status(&self, entry: &Entry) -> PipelineStatus {
        let checked = self.checked(&entry.record).ok();
        status::status(
            &entry.record,
            entry.runner.as_deref(),
            entry.trouble.as_deref(),
            checked.as_ref().map(|it| &it.pipeline),
        )
    }

    /// The pipelines that use a version.
    pub(super) fn users(&self, plugin: &PluginVersion) -> Vec<String> {
        let uses = |it: &&Entry| it.record.uses(&plugin.name, &plugin.version);
        self.entries().values().filter(uses).map(|it| it.record.name.clone()).collect()
    }

    /// Removes a version that no pipeline uses; none begins to use it meanwhile.
    pub(super) fn delete_plugin(&self, name: &str, version: &semver::Version) -> Result<(), Problem> {
        let _changing = self.changing();
        // The catalog's own turn is short, and this thread may wait.
        tokio::runtime::Handle::current().block_on(self.catalog.delete(name, version, |it| self.users(it)))
    }

    /// The record's definition with the plugins that it was deployed with.
    fn checked(&self, record: &Record) -> Result<Checked, Problem> {
        self.checked_with(record, &self.settings())
    }

    fn checked_with(&self, record: &Record, settings: &Settings) -> Result<Checked, Problem> {
        document::check(&record.name, &record.definition, &self.catalog, settings, Some(&record.pins))
    }

    /// Begins to look at what comes out of a source or a step.
    pub(super) fn tap(&self, name: &str, place: &str) -> Result<Tap, Problem> {
        let entry = self.entry(name)?;
        let control = entry.runner.map(|it| it.now().control).ok_or_else(|| upgrade::not_running(name))?;
        control.tap(place).map_err(|error| match error.to_string() {
            text if text.contains("does not run yet") => Problem::new(Code::NotRunning, text),
            text => Problem::new(Code::BadQuery, text),
        })
    }

    /// The graph of a pipeline.
    pub(super) fn plan(&self, name: &str) -> Result<Plan, Problem> {
        let record = self.entry(name)?.record;
        Ok(plan::plan(&self.checked(&record)?.pipeline, &record.pins))
    }

    /// The checkpoints of a pipeline that are on disk, the newest first.
    pub(super) fn checkpoints(&self, name: &str) -> Result<Vec<Checkpoint>, Problem> {
        let entry = self.entry(name)?;
        let committed = entry.runner.map_or(0, |it| it.now().control.progress().epoch);
        checkpoints::list(&self.layout, name, committed)
            .map_err(|error| Problem::internal("cannot read the checkpoints", error))
    }

    /// Deploys a definition: checks all of it, writes it down, and then lets the pipeline that ran end and the new one begin.
    /// With `dry_run` nothing changes. The same definition with the same plugins again is no change.
    pub(super) fn apply(&self, name: &str, definition: String, by: &str, dry_run: bool) -> Result<Deployment, Problem> {
        let _changing = self.changing();
        let settings = self.settings();
        let before = self.entry(name).ok().map(|it| it.record);
        if before.is_none() && self.entries().len() >= settings.limits.pipelines_max {
            let detail = format!(
                "there are {} pipelines, as many as limits.pipelines_max allows; delete one or raise it",
                settings.limits.pipelines_max
            );
            return Err(Problem::new(Code::BadPipeline, detail));
        }
        let checked = document::check(name, &definition, &self.catalog, &settings, None)?;
        let plan = self.plan_lines(&checked)?;
        let old = before.as_ref().map(|it| (it.definition.as_str(), it.pins.as_slice()));
        let changes = document::changes(old, &definition, &checked.pins);
        let warnings = config::warnings(&checked.pipeline);
        let same = before.as_ref().is_some_and(|it| changes.is_empty() && it.pins == checked.pins);
        let outcome = match &before {
            None => "created",
            Some(_) if same => "unchanged",
            Some(_) => "changed",
        };
        let mut deployment =
            Deployment { dry_run, outcome: outcome.to_owned(), changes, warnings, plan, pipeline: None };
        if dry_run {
            return Ok(deployment);
        }
        if !same {
            if let Some(before) = before.as_ref().filter(|it| self.operations.is_under_way(&it.name)) {
                self.none_under_way(before)?;
            }
            let desired = before.as_ref().map_or(Desired::Running, |it| it.desired);
            let discarded = record::discarded(&self.layout, name);
            let mut record = Record {
                name: name.to_owned(),
                revision: before.as_ref().map_or(1, |it| it.revision + 1),
                upgrading: None,
                history: before.as_ref().map(|it| it.history.clone()).unwrap_or_default(),
                definition,
                pins: checked.pins,
                desired,
                begins_anew: before.as_ref().map_or_else(|| discarded.exists(), |it| it.begins_anew),
                deployed_at: clock::now(),
                deployed_by: by.to_owned(),
            };
            if let Some(mut superseded) = before.as_ref().and_then(|it| it.upgrading.clone()).map(|it| it.entry) {
                superseded.outcome = Outcome::Superseded;
                record.note(superseded);
            }
            record.note(deployed(&record, &deployment.changes));
            failpoint("deploy.before-record");
            self.write(&record)?;
            failpoint("deploy.after-record");
            let _ = disk::remove(&discarded); // The record says it now; left behind it is read no more than once.
            self.end(name)?;
            failpoint("deploy.before-start");
            self.start(name)?;
        }
        deployment.pipeline = Some(self.show(name)?);
        Ok(deployment)
    }

    /// Plans a pipeline with its plugins loaded and opened: a line a step.
    fn plan_lines(&self, checked: &Checked) -> Result<Vec<String>, Problem> {
        pipeline::check_in(&checked.pipeline, Some(&self.layout.cache())).map_err(|error| match error.failure() {
            Failure::Config => {
                let lines = error.to_string();
                let named = status::by_name(&lines, &checked.pins, &self.layout);
                let error = |line: &str| FieldError { key: String::new(), line: 0, problem: line.to_owned() };
                document::refused(named.lines().map(error).collect())
            }
            _ => Problem::internal("cannot check the pipeline", error),
        })
    }

    fn write(&self, record: &Record) -> Result<(), Problem> {
        record.write(&self.layout).map_err(|error| Problem::internal("cannot write the pipeline down", error))?;
        let mut entries = self.entries();
        let (runner, trouble) = entries.remove(&record.name).map_or((None, None), |it| (it.runner, it.trouble));
        entries.insert(record.name.clone(), Entry { record: Arc::new(record.clone()), runner, trouble });
        Ok(())
    }

    /// Starts a pipeline that is wanted to run and has no runner.
    fn start(&self, name: &str) -> Result<(), Problem> {
        let entry = self.entry(name)?;
        if entry.runner.is_some() || entry.record.desired == Desired::Stopped {
            return Ok(());
        }
        let started = self.job(&entry.record).and_then(|job| {
            Runner::start(job).map_err(|error| Problem::internal("cannot start the pipeline's thread", error))
        });
        let (entry, outcome) = match started {
            Ok(runner) => (Entry { runner: Some(Arc::new(runner)), trouble: None, ..entry }, Ok(())),
            Err(problem) => (Entry { runner: None, trouble: Some(problem.to_string().into()), ..entry }, Err(problem)),
        };
        self.entries().insert(name.to_owned(), entry);
        outcome
    }

    fn job(&self, record: &Record) -> Result<Job, Problem> {
        let settings = self.settings();
        if let Some(dir) = settings.files.first() {
            std::fs::create_dir_all(dir)
                .map_err(|error| Problem::internal("cannot make the folder of files", error))?;
        }
        Ok(Job {
            pipeline: self.checked(record)?.pipeline,
            options: RunOptions {
                until: Until::Forever,
                data_dir: self.layout.state(),
                cache_dir: self.layout.cache(),
                workers: settings.limits.workers.get(),
                allow_missing_state: false,
                discard_state: false,
                anew_without_state: record.begins_anew,
                undecided: self.undecided(record),
            },
            paused: record.desired == Desired::Paused,
        })
    }

    /// Ends a pipeline's run, in good order where it does so in time and else at once: what is not committed is read again.
    fn end(&self, name: &str) -> Result<(), Problem> {
        let Some(runner) = self.entry(name)?.runner else { return Ok(()) };
        runner.stop();
        if !runner.wait(STOP_WAIT) {
            tracing::warn!(
                pipeline = name,
                "did not take its last checkpoint in time; what is not committed is read again"
            );
            runner.abort();
            if !runner.wait(STOP_WAIT) {
                let detail = format!("the pipeline `{name}` does not stop; it may wait for a broker: try again later");
                return Err(Problem::new(Code::StillStopping, detail));
            }
        }
        if let Some(entry) = self.entries().get_mut(name) {
            entry.runner = None;
        }
        Ok(())
    }

    /// Changes what is wanted of a pipeline, on disk first.
    pub(super) fn want(&self, name: &str, desired: Desired) -> Result<PipelineStatus, Problem> {
        let _changing = self.changing();
        let entry = self.entry(name)?;
        if entry.record.desired != desired {
            self.write(&Record { desired, ..Record::clone(&entry.record) })?;
        }
        match (desired, &entry.runner) {
            (Desired::Stopped, _) => self.end(name)?,
            (_, Some(runner)) => runner.pause(desired == Desired::Paused),
            (_, None) => self.start(name)?,
        }
        self.show(name)
    }

    /// Lets a pipeline end in good order and starts it again, also where it failed and waits.
    pub(super) fn restart(&self, name: &str) -> Result<PipelineStatus, Problem> {
        let _changing = self.changing();
        let entry = self.entry(name)?;
        if entry.record.desired == Desired::Stopped {
            let detail = format!("the pipeline `{name}` is stopped, as was asked; resume it instead");
            return Err(Problem::new(Code::NotRunning, detail));
        }
        self.end(name)?;
        self.start(name)?;
        self.show(name)
    }

    /// Ends a pipeline and forgets it.
    pub(super) fn delete(&self, name: &str, fate: Fate) -> Result<(), Problem> {
        let _changing = self.changing();
        self.end(name)?;
        let failed = |error| Problem::internal("cannot delete the pipeline", error);
        if fate == Fate::Discard {
            // Said before the state goes and the record after it: at any point in between, deleting can be asked for again.
            disk::write_atomically(&record::discarded(&self.layout, name), b"").map_err(failed)?;
            for name in [name, &pipeline::replay_name(name)] {
                match std::fs::remove_dir_all(record::state_dir(&self.layout, name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                    _ => {}
                }
            }
        }
        Record::remove(&self.layout, name).map_err(failed)?;
        self.shadows.end(name);
        self.entries().remove(name);
        Ok(())
    }

    /// Looks after every pipeline: one that could not end when it was to be changed is started once it has, and one that
    /// began anew is no longer allowed to once it has committed.
    pub(super) fn settle(&self) {
        let unsettled = |it: &&Entry| {
            let now = it.runner.as_ref().map(|it| it.now()); // It notices here that it runs, and since when.
            let committed = now.as_ref().is_some_and(|it| it.control.progress().epoch > 0);
            it.is_idle() || (it.record.begins_anew && committed) || it.record.upgrading.is_some()
        };
        let found: Vec<String> = self.entries().values().filter(unsettled).map(|it| it.record.name.clone()).collect();
        for name in found {
            let _changing = self.changing();
            if let Err(problem) = self.settle_one(&name) {
                tracing::warn!(pipeline = name, "{problem}");
            }
        }
    }

    fn settle_one(&self, name: &str) -> Result<(), Problem> {
        let entry = self.entry(name)?;
        if entry.is_idle() {
            self.end(name)?;
            return self.start(name);
        }
        let committed = entry.runner.as_ref().is_some_and(|it| it.now().control.progress().epoch > 0);
        if entry.record.begins_anew && committed {
            self.write(&Record { begins_anew: false, ..Record::clone(&entry.record) })?;
        }
        self.settle_upgrade(name)
    }

    /// Ends every run in good order, at most so long. True where all have ended.
    pub(super) fn stop_all(&self, within: Duration) -> bool {
        let clock = pipeline::Clock::start();
        let runners: Vec<_> = self.entries().values().filter_map(|it| it.runner.clone()).collect();
        // One that waits for its broker has nothing to commit, and may not hear that it is to end.
        let (starting, running): (Vec<_>, Vec<_>) =
            runners.into_iter().partition(|it| it.now().state == State::Starting);
        starting.iter().chain(&running).for_each(|it| it.stop());
        let ended = running.iter().all(|it| it.wait(within.saturating_sub(clock.elapsed())));
        let within = within.min(STARTING_WAIT_MAX);
        for runner in starting {
            runner.wait(within.saturating_sub(clock.elapsed()));
        }
        ended
    }

    /// Ends every run at once.
    pub(super) fn abort_all(&self, within: Duration) -> bool {
        let clock = pipeline::Clock::start();
        let runners: Vec<_> = self.entries().values().filter_map(|it| it.runner.clone()).collect();
        runners.iter().for_each(|it| it.abort());
        runners.iter().all(|it| it.wait(within.saturating_sub(clock.elapsed())))
    }
}

/// The entry of a history for a definition that was applied.
fn deployed(record: &Record, changes: &[Change]) -> HistoryEntry {
    let keys: Vec<&str> = changes.iter().map(|it| it.key.as_str()).collect();
    HistoryEntry {
        number: record.next_number(),
        action: Action::Deploy,
        outcome: Outcome::Accepted,
        revision: record.revision,
        step: None,
        from: None,
        to: None,
        at: record.deployed_at,
        by: record.deployed_by.clone(),
        reason: None,
        detail: (record.revision > 1).then(|| format!("changed {}", keys.join(", "))),
    }
}
