//! A top step: the best records of each window go on as they were, with their rank and the window's bounds.
//!
//! What is kept of a record is everything that goes on: its key, its value and headers as they were read or set, and the columns that
//! somebody further on reads.

use super::error::{Failure, PipelineError};
use super::flow::{Flow, FlowPort};
use super::plan::{OperationPlan, PortPlan, StepPlan};
use super::reads::own_key;
use super::step::{Results, gather_keys, push_late, without_other_kinds};
use super::window_step::{CLOSED, windows_batch};
use crate::batch::{Batch, EventTime, Keys, RawRecord, RawRows, RowTimes, Span, headers};
use crate::column::{Column, Kind, Strings, Values};
use crate::exchange::gather_times;
use crate::join::row;
use crate::schema::Shape;
use crate::window::{Fired, Input, Operator as Windows, Ranked, Top};
use std::borrow::Cow;
use std::sync::Arc;

/// The fields that the step adds.
const ADDED: [&str; 3] = ["rank", "window_start", "window_end"];
/// What is kept of a record before its columns: its key, whether its value was set, its value and its headers.
const OWN: [Kind; 4] = [Kind::Bytes, Kind::Boolean, Kind::Bytes, Kind::Bytes];

/// The step's output: its input's records with the added fields.
pub(super) fn port(input: &Flow) -> FlowPort {
    let mut made = input.made.clone();
    made.retain(|it| !ADDED.contains(&&*it.0));
    made.extend(ADDED.map(|it| (Arc::from(it), Kind::S64)));
    FlowPort::passing(Flow { made, ..input.clone() }, ADDED.len())
}

/// The columns of the input that go on; all that steps made where `select` picks among them.
pub(super) fn kept(input: &Shape, port: Option<&PortPlan>) -> Vec<usize> {
    match port {
        Some(port) if port.select.is_none() => port.carry.clone(),
        _ => {
            let columns = input.columns.iter().enumerate();
            columns.filter(|it| it.1.made && !ADDED.contains(&&*it.1.name)).map(|it| it.0).collect()
        }
    }
}

/// One batch.
pub(super) fn process(
    windows: &mut Windows<Top>,
    plan: &StepPlan,
    mut batch: Batch,
    keys: &Keys,
    clock: &RowTimes,
    gaps: impl Fn(&Batch) -> Vec<i64>,
) -> Result<Results, PipelineError> {
    let mut results = Results::default();
    let OperationPlan::Top { top, by, columns, .. } = &plan.operation else { return Ok(results) };
    let (mut keys, mut clock) = (Cow::Borrowed(keys), Cow::Borrowed(clock));
    if let Some((good, refused)) = without_other_kinds(plan, &[(Arc::clone(&top.by), *by)], &batch) {
        results.refused.push(refused);
        batch = batch.gather(&good);
        clock = Cow::Owned(gather_times(&clock, &good));
        keys = Cow::Owned(gather_keys(&keys, &good));
    }
    if batch.rows == 0 {
        return Ok(results);
    }
    let of_step = (!plan.key_names.is_empty()).then_some(&*keys);
    let own = own_key(&batch, of_step);
    let rows: Column = Values::Bytes(encoded(&batch, &own, columns)).into();
    let ranks = by.of(&batch);
    let (inputs, gaps) = ([&*ranks, &own, &rows], gaps(&batch));
    let input = Input { keys: &keys, times: &batch.times, columns: &inputs, clock: &clock, gaps: &gaps };
    let processed = match windows.process(&input) {
        Ok(processed) => processed,
        Err(never) => match never {},
    };
    push_late(plan, &batch, &clock, &processed.late, CLOSED, &mut results);
    push(plan, processed.fired, clock.before, &mut results)?;
    Ok(results)
}

/// All that is kept of each record.
fn encoded(batch: &Batch, own: &Column, columns: &[usize]) -> Strings {
    let mut set = Column::empty(Kind::Boolean, batch.rows);
    let mut value = Column::empty(Kind::Bytes, batch.rows);
    let mut head = Column::empty(Kind::Bytes, batch.rows);
    let mut text = Vec::new();
    for row in 0..batch.rows {
        let raw = batch.raw.as_ref();
        if let Values::Boolean(values) = &mut set.values {
            values.push(u8::from(batch.value.is_some()));
        }
        set.pushed();
        let bytes = match &batch.value {
            Some(value) => bytes_of(value, row),
            None => raw.and_then(|it| it.value(row)),
        };
        push_bytes(&mut value, bytes);
        text.clear();
        text.extend_from_slice(raw.map(|it| it.headers(row)).unwrap_or_default());
        for (name, column) in &batch.headers {
            if let Some(bytes) = bytes_of(column, row) {
                headers::push(&mut text, name.as_bytes(), Some(bytes));
            }
        }
        push_bytes(&mut head, (!text.is_empty()).then_some(&text[..]));
    }
    let mut all = vec![own, &set, &value, &head];
    all.extend(columns.iter().map(|&it| &batch.columns[it]));
    let mut rows = Strings::default();
    for at in 0..batch.rows {
        row::encode(&all, at, &mut rows.data);
        rows.finish();
    }
    rows
}

fn bytes_of(column: &Column, row: usize) -> Option<&[u8]> {
    match &column.values {
        _ if column.is_null(row) => None,
        Values::Text(texts) | Values::Bytes(texts) | Values::Json(texts) => Some(texts.get(row)),
        _ => None,
    }
}

fn push_bytes(column: &mut Column, bytes: Option<&[u8]>) {
    match (&mut column.values, bytes) {
        (Values::Bytes(strings), Some(bytes)) => {
            strings.push(bytes);
            column.pushed();
        }
        _ => column.push_null(),
    }
}

/// The best records of windows that closed, window by window, from the best on.
pub(super) fn push(
    plan: &StepPlan,
    fired: Fired<Ranked>,
    before: EventTime,
    results: &mut Results,
) -> Result<(), PipelineError> {
    let OperationPlan::Top { columns, .. } = &plan.operation else { return Ok(()) };
    let Ranked { counts, rows } = &fired.values;
    if rows.is_empty() {
        return Ok(());
    }
    let windows: Vec<u32> = counts.iter().zip(0..).flat_map(|(&count, at)| std::iter::repeat_n(at, count)).collect();
    let pick = |values: &[i64]| -> Vec<i64> { windows.iter().map(|&it| values[it as usize]).collect() };
    let (starts, ends) = (pick(&fired.starts), pick(&fired.ends));
    let (mut batch, clock) = windows_batch(plan, &fired.keys.gather(&windows), &ends, before);
    let kinds = OWN.into_iter().chain(columns.iter().map(|&it| plan.input.columns[it].kind));
    let mut read: Vec<Column> = kinds.map(|it| Column::empty(it, batch.rows)).collect();
    for bytes in rows.iter() {
        row::decode(bytes, &mut read).ok_or_else(|| {
            let problem = format!("state of step `{}` cannot be read: a row is not what was written", plan.name);
            PipelineError::stop(Failure::Internal, problem)
        })?;
    }
    let mut made = read.split_off(OWN.len());
    let ranks = counts.iter().flat_map(|&it| 1..=it as i64);
    made.extend([Values::S64(ranks.collect()).into(), Values::S64(starts).into(), Values::S64(ends).into()]);
    if plan.input.raw {
        batch.raw = Some(raw_rows(&read));
    } else {
        (batch.value, batch.headers) = set_parts(&read);
    }
    batch.columns = plan.ports[0].selected(made);
    batch.key = read.into_iter().next();
    results.outputs.push((0, batch, clock));
    Ok(())
}

/// Records as they were read.
fn raw_rows(own: &[Column]) -> RawRows {
    let mut arena = Vec::new();
    let rows = own.first().map_or(0, Column::len);
    let mut span = |column: Option<&Column>, row: usize| match column.and_then(|it| bytes_of(it, row)) {
        None => Span::NULL,
        Some(bytes) => {
            let start = arena.len() as u32;
            arena.extend_from_slice(bytes);
            Span { start, len: bytes.len() as u32 }
        }
    };
    let record =
        |row| RawRecord { key: span(own.first(), row), value: span(own.get(2), row), headers: span(own.get(3), row) };
    let records = (0..rows).map(record).collect();
    RawRows { arena: Arc::new(arena), records }
}

/// Value and headers that a plugin set before.
fn set_parts(own: &[Column]) -> (Option<Column>, Vec<(Arc<str>, Column)>) {
    let [_, set, value, head] = own else { return (None, Vec::new()) };
    let rows = set.len();
    let is_set = matches!(&set.values, Values::Boolean(values) if values.contains(&1));
    let mut names: Vec<Arc<str>> = Vec::new();
    for row in 0..rows {
        for (name, _) in headers::iter(bytes_of(head, row).unwrap_or_default()) {
            let name = String::from_utf8_lossy(name);
            if !names.iter().any(|it| **it == *name) {
                names.push(Arc::from(&*name));
            }
        }
    }
    let column = |name: Arc<str>| {
        let mut column = Column::empty(Kind::Bytes, rows);
        for row in 0..rows {
            let mut of_row = headers::iter(bytes_of(head, row).unwrap_or_default());
            push_bytes(&mut column, of_row.find(|it| it.0 == name.as_bytes()).and_then(|it| it.1));
        }
        (name, column)
    };
    (is_set.then(|| value.clone()), names.into_iter().map(column).collect())
}
