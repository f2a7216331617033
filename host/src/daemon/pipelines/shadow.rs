//! Another version beside the one that runs, compared and without effects: for as long as somebody wants, or for a moment before an upgrade.

use super::upgrade::{Begun, not_running};
use super::{Pipelines, document, rewrite};
use crate::daemon::api::{Comparison, Differing, Faulty, Operation, ShadowStatus, Spent, StepPlugin, UpgradeRequest};
use crate::daemon::clock;
use crate::daemon::problem::{Code, Problem};
use crate::pipeline::{self, Clock, Shadow, Upgrade};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Records that a sample compares, about.
const SAMPLE_RECORDS: u64 = 1_000;
/// How long a sample takes, at most.
const SAMPLE_WAIT_MAX: Duration = Duration::from_secs(3);
/// How often a sample is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The shadows, by pipeline. They live as long as the process.
#[derive(Default)]
pub(super) struct Shadows(Mutex<BTreeMap<String, Running>>);

struct Running {
    shadow: Shadow,
    request: UpgradeRequest,
    from: StepPlugin,
    to: StepPlugin,
    by: String,
    started_at: Timestamp,
}

impl Shadows {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the shadow of a pipeline, where there is one.
    pub(super) fn end(&self, name: &str) {
        self.all().remove(name);
    }
}

impl Running {
    fn status(&self, name: &str) -> ShadowStatus {
        ShadowStatus {
            pipeline: name.to_owned(),
            step: self.request.step.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            by: self.by.clone(),
            started_at: self.started_at,
            found: report(self.shadow.found()),
        }
    }
}

impl Pipelines {
    /// Begins to compare a version with the one that runs; a shadow of the pipeline that there was ends.
    pub(in crate::daemon) fn shadow(
        &self,
        name: &str,
        request: &UpgradeRequest,
        by: &str,
    ) -> Result<ShadowStatus, Problem> {
        let _changing = self.changing();
        let preview = self.previewed(name, request)?;
        self.shadows.end(name);
        let shadow = self.begin_shadow(name, request)?;
        let running = Running {
            shadow,
            request: UpgradeRequest { plugin: preview.to.plugin.clone(), ..request.clone() },
            from: preview.from,
            to: preview.to,
            by: by.to_owned(),
            started_at: clock::now(),
        };
        let status = running.status(name);
        self.shadows.all().insert(name.to_owned(), running);
        Ok(status)
    }

    /// What a shadow has found so far.
    pub(in crate::daemon) fn shadow_status(&self, name: &str) -> Result<ShadowStatus, Problem> {
        self.entry(name)?;
        let all = self.shadows.all();
        all.get(name).map(|it| it.status(name)).ok_or_else(|| no_shadow(name))
    }

    /// Ends a shadow; what it has found.
    pub(in crate::daemon) fn drop_shadow(&self, name: &str) -> Result<ShadowStatus, Problem> {
        let status = self.shadow_status(name)?;
        self.shadows.end(name);
        Ok(status)
    }

    /// Begins an upgrade to the shadow's version, and ends the shadow.
    pub(in crate::daemon) fn promote(
        &self,
        name: &str,
        reason: Option<String>,
        by: &str,
    ) -> Result<(Operation, Begun), Problem> {
        self.entry(name)?;
        let request = self.shadows.all().get(name).map(|it| it.request.clone()).ok_or_else(|| no_shadow(name))?;
        let begun = self.upgrade(name, &UpgradeRequest { reason, ..request }, by)?;
        self.shadows.end(name);
        Ok(begun)
    }

    /// Compares a version with the one that runs over some of the records of the next moment. The error is why it cannot be compared.
    pub(in crate::daemon) fn sample(&self, name: &str, request: &UpgradeRequest) -> Result<Comparison, Problem> {
        let shadow = self.begin_shadow(name, request)?;
        let clock = Clock::start();
        loop {
            let found = shadow.found();
            if found.records >= SAMPLE_RECORDS || found.ended.is_some() || clock.elapsed() > SAMPLE_WAIT_MAX {
                return Ok(report(found));
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    fn begin_shadow(&self, name: &str, request: &UpgradeRequest) -> Result<Shadow, Problem> {
        let entry = self.entry(name)?;
        let control = entry.runner.as_ref().map(|it| it.now().control).ok_or_else(|| not_running(name))?;
        let record = &entry.record;
        let config = request.config.clone().map(serde_json::Value::Object);
        let pin = self.catalog.resolve(&request.plugin).map_err(|it| Problem::new(Code::UpgradeRefused, it))?;
        let reference = format!("{}@{}", pin.name, pin.version);
        let definition = rewrite::with_plugin(&record.definition, &request.step, &reference, config.as_ref())?;
        let after = document::check(name, &definition, &self.catalog, &self.settings(), Some(&record.pins))?;
        let options = super::upgrade::plugin_of(&after.pipeline, &request.step);
        let options = options.ok_or_else(|| Problem::new(Code::UpgradeRefused, "the step runs no plugin"))?;
        let upgrade =
            Upgrade { step: request.step.clone(), plugin: options.path.clone(), config: Some(options.config.clone()) };
        let pins = [record.pins.as_slice(), &after.pins].concat();
        control.shadow(&upgrade).map_err(|error| self.refused_upgrade(name, &error, &pins))
    }
}

fn no_shadow(name: &str) -> Problem {
    let detail =
        format!("the pipeline `{name}` has no shadow; begin one, and after a restart of the daemon begin it again");
    Problem::new(Code::NoShadow, detail)
}

fn report(found: pipeline::Comparison) -> Comparison {
    Comparison {
        batches: found.batches,
        records: found.records,
        same: found.same,
        different: found.different,
        differences: found
            .shown
            .into_iter()
            .map(|it| Differing { offset: it.offset, before: it.before, after: it.after })
            .collect(),
        faults: found.faults.into_iter().map(|(fault, records)| Faulty { fault, records }).collect(),
        before: spent(found.before_ns),
        after: spent(found.after_ns),
        ended: found.ended,
    }
}

fn spent(mut times: Vec<u64>) -> Option<Spent> {
    times.sort_unstable();
    let at = |hundredths: usize| times.get(times.len().saturating_sub(1) * hundredths / 100).copied();
    Some(Spent { median_ns: at(50)?, p99_ns: at(99)? })
}
