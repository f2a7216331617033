//! How a pipeline is: the worst of its parts, with the reason and what to do.

use super::figures::figures;
use super::record::Record;
use super::runner::{Now, Runner};
use crate::config::Pipeline;
use crate::daemon::api::{Desired, Part, Pin, PipelineStatus, State};
use crate::daemon::disk::Layout;
use crate::metrics::Progress;
use crate::pipeline::Failure;

/// A checkpoint that is later than so many intervals is late.
const LATE_INTERVALS: u64 = 10;
/// And never before so long, ms: a broker may take its time.
const LATE_MS_MIN: u64 = 10_000;

/// How a pipeline is. `trouble` says why it has no runner although it should.
pub(super) fn status(
    record: &Record,
    runner: Option<&Runner>,
    trouble: Option<&str>,
    pipeline: Option<&Pipeline>,
) -> PipelineStatus {
    let now = runner.map(Runner::now);
    let progress = now.as_ref().map(|it| it.control.progress()).unwrap_or_default();
    let flow = now.as_ref().and_then(|it| it.control.flow()).unwrap_or_default();
    let mut parts = vec![engine(record, now.as_ref(), trouble, &progress)];
    if parts.iter().all(|it| it.state == State::Running) {
        parts.push(checkpoints(pipeline, &progress));
    }
    for part in &mut parts {
        part.reason = part.reason.take().map(|it| by_digest(&it, &record.pins));
    }
    let worst = parts.iter().max_by_key(|it| it.state);
    PipelineStatus {
        name: record.name.clone(),
        state: worst.map_or(State::Stopped, |it| it.state),
        reason: worst.and_then(|it| it.reason.clone()),
        advice: worst.and_then(|it| it.advice.clone()),
        since: now.as_ref().map_or(record.deployed_at, |it| it.since),
        desired: record.desired,
        revision: record.revision,
        deployed_at: record.deployed_at,
        deployed_by: record.deployed_by.clone(),
        plugins: record.pins.clone(),
        figures: figures(&progress, &flow, pipeline),
        restarts: now.as_ref().map_or(0, |it| it.restarts),
        next_start_at: now.as_ref().and_then(|it| it.next_start_at),
        parts,
        upgrading: record.upgrading.as_ref().map(|it| it.entry.clone()),
        definition: None,
    }
}

fn engine(record: &Record, now: Option<&Now>, trouble: Option<&str>, progress: &Progress) -> Part {
    let part = |state, reason: Option<String>, advice: Option<&str>| Part {
        part: "engine".to_owned(),
        state,
        reason,
        advice: advice.map(str::to_owned),
    };
    let Some(now) = now else {
        return match trouble {
            Some(trouble) if record.desired != Desired::Stopped => part(
                State::Failed,
                Some(trouble.to_owned()),
                Some("correct the pipeline and apply it again, or restart it"),
            ),
            _ => part(State::Stopped, None, None),
        };
    };
    match now.state {
        State::Failed => part(State::Failed, now.reason.clone(), Some(advice(now.failure))),
        State::Running if record.desired == Desired::Paused => part(State::Paused, None, None),
        // It started, and waits or begins again from its last commit.
        State::Running => match &progress.status {
            Some(status) => part(State::Degraded, Some(status.clone()), Some("wait, or look into the reason")),
            None => part(State::Running, None, None),
        },
        state => part(state, now.reason.clone().or_else(|| progress.status.clone()), None),
    }
}

fn advice(failure: Option<Failure>) -> &'static str {
    match failure {
        Some(Failure::Config) => "correct the pipeline or the plugin and apply it again; it is tried again meanwhile",
        Some(Failure::BadData) => {
            "add [dead_letters], or set bad_records to \"drop\", and apply it again; nothing was lost, it stopped before the record"
        }
        Some(Failure::Unreachable) => {
            "see that the brokers run and can be reached from here; it goes on by itself then"
        }
        Some(Failure::Internal) | None => {
            "look into the reason and the log; it goes on from its last checkpoint by itself"
        }
    }
}

/// Whether checkpoints come: without them nothing that is written counts.
fn checkpoints(pipeline: Option<&Pipeline>, progress: &Progress) -> Part {
    let interval_ms = pipeline.map_or(1_000, |it| it.checkpoint_interval_ms);
    let late_ms = (interval_ms * LATE_INTERVALS).max(LATE_MS_MIN);
    let part = |state, reason, advice: Option<&str>| Part {
        part: "checkpoints".to_owned(),
        state,
        reason,
        advice: advice.map(str::to_owned),
    };
    match progress.checkpoint_ms {
        Some(ms) if ms > late_ms => part(
            State::Degraded,
            Some(format!("the last checkpoint took {ms} ms, the interval is {interval_ms} ms")),
            Some("see whether the disk or the brokers are slow, or raise checkpoint_interval"),
        ),
        _ => part(State::Running, None, None),
    }
}

/// A message of the engine, which knows plugins by their files, with their names instead.
pub(super) fn by_name(text: &str, pins: &[Pin], layout: &Layout) -> String {
    pins.iter().fold(text.to_owned(), |text, pin| {
        let file = layout.component(&pin.digest).display().to_string();
        text.replace(&file, &format!("{}@{}", pin.name, pin.version))
    })
}

/// As [`by_name`], wherever the files are.
fn by_digest(text: &str, pins: &[Pin]) -> String {
    let named = |word: &str| {
        let pin = pins.iter().find(|it| word.contains(&format!("{}.wasm", it.digest)))?;
        let rest = word.split_once(".wasm").map_or("", |it| it.1);
        Some(format!("{}@{}{rest}", pin.name, pin.version))
    };
    let words = text.split(' ').map(|word| named(word).unwrap_or_else(|| word.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}
