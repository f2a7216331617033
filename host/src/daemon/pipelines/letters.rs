//! Dead letters: listed, and given another try.

use super::Pipelines;
use super::record::state_dir;
use super::status::by_name;
use super::upgrade::plugin_of;
use crate::config::Pipeline;
use crate::daemon::api::{Action, DeadLetter, HistoryEntry, Operation, OperationState, Outcome};
use crate::daemon::operations::advance;
use crate::daemon::problem::{Code, Problem};
use crate::daemon::{clock, logs};
use crate::pipeline::{self, Control, Failure, PipelineError, RunOptions, Until};
use std::sync::Arc;
use tokio::sync::watch;

/// A replay that was asked for, to be run by [`Pipelines::replay`].
pub(in crate::daemon) struct Replay {
    name: String,
    pipeline: Pipeline,
    operation: Arc<watch::Sender<Operation>>,
    entry: HistoryEntry,
}

impl Pipelines {
    /// The last dead letters of a pipeline.
    pub(in crate::daemon) fn dead_letters(&self, name: &str, count: usize) -> Result<Vec<DeadLetter>, Problem> {
        let record = self.entry(name)?.record;
        let pipeline = self.checked(&record)?.pipeline;
        let letters = pipeline::dead_letters(&pipeline, count).map_err(|error| refused(&error))?;
        let text = |it: Option<Vec<u8>>| it.map(|it| String::from_utf8_lossy(&it).into_owned());
        let shown = letters.into_iter().map(|it| DeadLetter {
            at: it.at,
            reason: it.reason,
            step: it.step,
            plugin: it.plugin.map(|digest| {
                let pin = record.pins.iter().find(|pin| pin.digest == digest);
                pin.map_or_else(|| format!("sha256:{digest}"), |pin| format!("{}@{}", pin.name, pin.version))
            }),
            topic: it.origin.as_ref().map(|it| it.0.clone()),
            partition: it.origin.as_ref().map(|it| it.1),
            offset: it.origin.as_ref().map(|it| it.2),
            key: text(it.key),
            value: text(it.value),
        });
        Ok(shown.collect())
    }

    /// Prepares to give the dead letters that had none yet another try, with what the pipeline runs now.
    pub(in crate::daemon) fn begin_replay(&self, name: &str, by: &str) -> Result<(Operation, Replay), Problem> {
        let _changing = self.changing();
        let record = self.entry(name)?.record;
        self.none_under_way(&record)?;
        if self.operations.is_replaying(name) {
            let detail = format!("a replay of `{name}` is under way; wait for its end");
            return Err(Problem::new(Code::UpgradeUnderWay, detail));
        }
        let pipeline = self.checked(&record)?.pipeline;
        for step in &pipeline.steps {
            let digest = plugin_of(&pipeline, &step.name).and_then(|it| it.path.file_stem()).unwrap_or_default();
            let pin = record.pins.iter().find(|it| *it.digest == *digest.to_string_lossy());
            let version = pin.and_then(|it| self.catalog.get(&it.name, &it.version.parse().ok()?).ok());
            if version.is_some_and(|it| it.kind == "keyed") {
                let detail = format!("step `{}` keeps state: a replay is for pipelines without", step.name);
                return Err(Problem::new(Code::BadReplay, detail));
            }
        }
        let folder = state_dir(&self.layout, &pipeline::replay_name(name)).join("records");
        let pipeline = pipeline::replay_of(&pipeline, &folder).map_err(|error| refused(&error))?;
        let entry = HistoryEntry {
            number: record.next_number(),
            action: Action::Replay,
            outcome: Outcome::UnderWay,
            revision: record.revision,
            step: None,
            from: None,
            to: None,
            at: clock::now(),
            by: by.to_owned(),
            reason: None,
            detail: None,
        };
        let operation = self.operations.begin(name, &entry);
        advance(&operation, |it| it.state = OperationState::Running);
        let shown = operation.borrow().clone();
        Ok((shown, Replay { name: name.to_owned(), pipeline, operation, entry }))
    }

    /// Replays to the end of the letters that there are now, and writes down what came of it. Blocks.
    pub(in crate::daemon) fn replay(&self, replay: Replay) {
        let Replay { name, pipeline, operation, entry } = replay;
        let options = RunOptions {
            until: Until::Available,
            data_dir: self.layout.state(),
            cache_dir: self.layout.cache(),
            workers: 1,
            allow_missing_state: true, // There is none: positions are all that counts.
            discard_state: false,
            anew_without_state: false,
            undecided: None,
        };
        let ran = logs::span(&name).in_scope(|| pipeline::run(pipeline, options, Control::new()));
        let (outcome, state, detail) = match ran {
            Ok(summary) => {
                let it = summary.progress;
                let detail = format!(
                    "{} replayed: {} written, {} dead letters again",
                    it.records_in, it.records_out, it.dead_letters
                );
                (Outcome::Accepted, OperationState::Done, detail)
            }
            Err(error) => (Outcome::RolledBack, OperationState::Failed, error.to_string()),
        };
        {
            let _changing = self.changing();
            if let Ok(found) = self.entry(&name) {
                let mut record = super::Record::clone(&found.record);
                let detail = Some(by_name(&detail, &record.pins, &self.layout));
                record.note(HistoryEntry { outcome, detail, number: record.next_number(), ..entry });
                if let Err(problem) = self.write(&record) {
                    tracing::error!(pipeline = name, "cannot write down what came of the replay: {problem}");
                }
            }
        }
        advance(&operation, |it| (it.state, it.detail, it.done) = (state, Some(detail), true));
    }
}

fn refused(error: &PipelineError) -> Problem {
    match error.failure() {
        Failure::Config => Problem::new(Code::BadReplay, error.to_string()),
        _ => Problem::internal("cannot read the dead letters", error),
    }
}
