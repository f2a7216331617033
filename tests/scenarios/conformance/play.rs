//! Runs a scenario: what was written, what was late and how far event time was, step by step.

use super::scenario::{Action, Record, Scenario};
use serde_json::{Map, Value, json};
use std::path::Path;
use wasmill::pipeline::rehearsal::{Given, Rehearsal, StepTime, Written};

/// What one step led to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Rows of the sink `out`, as objects, with their timestamp as `ts`.
    pub(super) rows: Vec<Map<String, Value>>,
    /// Late records as objects.
    pub(super) late: Vec<Value>,
    /// Event time at the step, by worker.
    pub(super) times: Vec<StepTime>,
}

/// Why a scenario could not be run to its end.
pub(super) enum Stop {
    /// The pipeline file asks for what this version does not have.
    NotYet(String),
    Broken(String),
}

/// Runs `scenario` by `workers`, with a new start by `then` workers after each of the steps `restarts`.
pub(super) fn play(scenario: &Scenario, workers: usize, then: usize, restarts: &[usize]) -> Result<Vec<Found>, Stop> {
    let text = &scenario.pipeline;
    let pipeline = wasmill::config::parse(text, "case.toml", Path::new(""), &[]).map_err(|errors| {
        let said = errors.to_string();
        match said.lines().find(|it| it.contains("not supported by this version")) {
            Some(line) => Stop::NotYet(line.trim().to_owned()),
            None => Stop::Broken(format!("{said}\n{text}")),
        }
    })?;
    let broken = |error: &dyn std::fmt::Display| Stop::Broken(format!("{error}\n{text}"));
    let folder = tempfile::tempdir().map_err(|error| broken(&error))?;
    // As many partitions as workers, so that each reads some, where the case leaves that open.
    let partitions = if scenario.partitions == 0 { workers.max(then) as i32 } else { scenario.partitions };
    let mut rehearsal = Rehearsal::new(pipeline, partitions, workers, folder.path()).map_err(|error| broken(&error))?;
    let mut turn = 0;
    let mut found = Vec::new();
    for (number, actions) in scenario.steps.iter().enumerate() {
        for action in actions {
            act(&mut rehearsal, action, partitions, &mut turn, workers).map_err(|error| broken(&error))?;
        }
        if restarts.contains(&number) {
            rehearsal.restart(then).map_err(|error| broken(&error))?;
        }
        found.push(look(&mut rehearsal));
    }
    Ok(found)
}

fn act(
    rehearsal: &mut Rehearsal,
    action: &Action,
    partitions: i32,
    turn: &mut i32,
    workers: usize,
) -> Result<(), wasmill::pipeline::PipelineError> {
    match action {
        Action::Records { input, records } => {
            let given: Vec<Given> = records.iter().map(given).collect();
            let partition = input.unwrap_or(*turn % partitions);
            *turn += 1;
            rehearsal.records(0, partition, &given)
        }
        Action::Watermark { input, at } => {
            let inputs = input.map_or(0..partitions, |it| it..it + 1);
            inputs.into_iter().try_for_each(|it| rehearsal.watermark(0, it, *at))
        }
        Action::Idle { input, idle } => rehearsal.idle(0, *input, *idle),
        Action::Assign { input, there } => rehearsal.assign(0, *input, *there),
        Action::Now(ms) => rehearsal.now(*ms),
        Action::Restart => rehearsal.restart(workers),
    }
}

fn given(record: &Record) -> Given {
    let fields: Map<String, Value> = record.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Given { key: None, value: Some(Value::Object(fields).to_string().into_bytes()), timestamp: 0 }
}

fn look(rehearsal: &mut Rehearsal) -> Found {
    let mut found = Found { times: rehearsal.step_time(0), ..Found::default() };
    for written in rehearsal.take_written() {
        match written.sink.as_deref() {
            Some("out") => found.rows.push(row(&written)),
            _ => found
                .late
                .push(serde_json::from_slice(written.value.as_deref().unwrap_or_default()).unwrap_or_default()),
        }
    }
    found
}

/// A row as its fields; a tombstone as the fields of its key, with a null for the value.
fn row(written: &Written) -> Map<String, Value> {
    let value = written.value.as_deref().and_then(|it| serde_json::from_slice(it).ok());
    let mut fields = match value {
        Some(Value::Object(fields)) => fields,
        _ => {
            let key = written.key.as_deref().and_then(|it| serde_json::from_slice(it).ok());
            let mut fields = match key {
                Some(Value::Object(fields)) => fields,
                other => Map::from_iter([("key".to_owned(), other.unwrap_or_default())]),
            };
            fields.insert("value".to_owned(), Value::Null);
            fields
        }
    };
    fields.insert("ts".to_owned(), json!(written.time));
    fields
}
