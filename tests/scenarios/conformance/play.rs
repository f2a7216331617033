//! Runs a scenario: what was written, what was late and how far event time was, step by step.

use super::scenario::{Action, Record, Scenario};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
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
    let mut stated = BTreeMap::new();
    let mut found = Vec::new();
    for (number, actions) in scenario.steps.iter().enumerate() {
        for action in actions {
            act(&mut rehearsal, action, partitions, &mut turn, workers).map_err(|error| broken(&error))?;
            if let Action::Watermark { source, input, at } = action {
                stated.insert((*source, *input), *at);
            }
        }
        if restarts.contains(&number) {
            rehearsal.restart(then).map_err(|error| broken(&error))?;
            // Of several inputs, one may have said more than the others by then: it says so again, as a source does that
            // knows how far it had read.
            for (&(source, input), &at) in stated.iter().filter(|_| scenario.sources > 1) {
                let again = Action::Watermark { source, input, at };
                act(&mut rehearsal, &again, partitions, &mut turn, then).map_err(|error| broken(&error))?;
            }
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
        Action::Records { source, input, records } => {
            let given: Vec<Given> = records.iter().map(given).collect();
            let partition = input.unwrap_or(*turn % partitions);
            *turn += 1;
            rehearsal.records(*source, partition, &given)
        }
        Action::Watermark { source, input, at } => {
            let inputs = input.map_or(0..partitions, |it| it..it + 1);
            inputs.into_iter().try_for_each(|it| rehearsal.watermark(*source, it, *at))
        }
        Action::Idle { input, idle } => rehearsal.idle(0, *input, *idle),
        Action::Assign { input, there } => rehearsal.assign(0, *input, *there),
        Action::Now(ms) => rehearsal.now(*ms),
        Action::Restart => rehearsal.restart(workers),
    }
}

fn given(record: &Record) -> Given {
    let Record { key, fields, timestamp } = record;
    let object = |fields: &Vec<(&'static str, Value)>| {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Object(fields.collect()).to_string().into_bytes()
    };
    let key = key.as_ref().map(|it| it.to_string().into_bytes());
    Given { key, value: fields.as_ref().map(object), timestamp: *timestamp }
}

fn look(rehearsal: &mut Rehearsal) -> Found {
    let mut found = Found { times: rehearsal.step_time(0), ..Found::default() };
    for written in rehearsal.take_written() {
        match written.sink.as_deref() {
            Some("out") => found.rows.push(row(&written)),
            Some(_) => found.late.push(parsed(written.value.as_deref())),
            // What a dead letter is of, as it came.
            None => {
                let letter = parsed(written.value.as_deref());
                found.late.push(parsed(letter["value"].as_str().map(str::as_bytes)));
            }
        }
    }
    found
}

fn parsed(text: Option<&[u8]>) -> Value {
    serde_json::from_slice(text.unwrap_or_default()).unwrap_or_default()
}

/// A row as its fields; a tombstone as the fields of its key, or its key as a text, with a null for the value.
fn row(written: &Written) -> Map<String, Value> {
    let value = written.value.as_deref().and_then(|it| serde_json::from_slice(it).ok());
    let mut fields = match value {
        Some(Value::Object(fields)) => fields,
        _ => {
            let text = |it: &[u8]| Value::from(String::from_utf8_lossy(it));
            let key = written.key.as_deref().map(|it| serde_json::from_slice(it).unwrap_or_else(|_| text(it)));
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
