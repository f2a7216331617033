//! A step as a worker runs it: a batch in, batches out, with what was refused and what was late beside it.

use super::dedupe_step;
use super::error::{Failure, PipelineError, chain};
use super::expiry::{last_uses, runs};
use super::group::group;
use super::join_step::JoinStep;
use super::migration::{migrate, wrong_version};
use super::plan::{OperationPlan, PluginPlan, PortPlan, StepPlan};
use super::reads::Pick;
use super::reads::{self, Read};
use super::tables_step::TablesStep;
use super::window_step::WindowStep;
use crate::batch::{Batch, EventTime, Keys, RowTimes};
use crate::column::{Column, Kind, Values};
use crate::config::Late;
use crate::decode::{explain, explain_other_kind};
use crate::dedupe::Dedupe;
use crate::exchange::gather_times;
use crate::join::Side;
use crate::plugin::{
    Body, Call, Groups, KeyedProduced, KeyedRunner, PluginError, Produced, Rejected, Table, TransformRunner, Vitals,
};
use crate::schema::Slot;
use crate::spill::SpillError;
use crate::state::{Delta, Entry, KeyedState, Spills, TableId};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Timers fired in one call of a keyed plugin, at most.
const TIMERS_MAX: usize = 4_096;

/// Records that do not go on, with why.
#[derive(Debug)]
pub(super) struct Refused {
    /// The records.
    pub batch: Batch,
    /// A reason for each; none of late ones that are not written to the dead letters.
    pub reasons: Vec<String>,
    /// The step (or source) that refused them.
    pub step: String,
    /// The digest of its plugin.
    pub plugin: Option<String>,
    /// True when the plugin failed on one of them, rather than refuse it.
    pub fault: bool,
}

/// What a step made of a batch.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// By port, in order.
    pub outputs: Vec<(usize, Batch, RowTimes)>,
    /// Records that failed or were refused.
    pub refused: Vec<Refused>,
    /// Records that came too late.
    pub late: Option<Refused>,
    /// How far behind the watermark they were, ms.
    pub late_by_ms: Vec<u64>,
    /// The input that refused and late records are of.
    pub side: Side,
    /// Rows that the step's condition dropped.
    pub filtered: u64,
    /// True where a watermark has led to more than this: [`Step::advance`] is to be called with it again.
    pub more: bool,
}

/// A step's part of one worker: its operator with state and plugin instance.
pub(super) struct Step {
    pub operator: Operator,
}

/// What it does, with its state.
pub(super) enum Operator {
    Transform(TransformRunner),
    Keyed(Box<KeyedRunner>, KeyedState),
    Window(Box<WindowStep>),
    Join(JoinStep),
    Tables(TablesStep),
    Dedupe(Dedupe),
    Select,
}

impl Step {
    /// A step without state yet.
    pub(super) fn start(plan: &StepPlan, table: TableId) -> Result<Self, PipelineError> {
        let operator = match &plan.operation {
            OperationPlan::Transform(plugin) => {
                let options = &plugin.options;
                let started = TransformRunner::start(&plugin.plugin, &options.config, &options.limits);
                Operator::Transform(started.map_err(|error| plugin_failed(plan, &error))?.0)
            }
            OperationPlan::Keyed(plugin) => {
                let options = &plugin.options;
                let started = KeyedRunner::start(&plugin.plugin, &options.config, &options.limits);
                let runner = started.map_err(|error| plugin_failed(plan, &error))?.0;
                Operator::Keyed(Box::new(runner), KeyedState::new(table).expiring(plan.state_ttl_ms))
            }
            OperationPlan::Window { .. } | OperationPlan::Top { .. } | OperationPlan::WindowPlugin { .. } => {
                Operator::Window(Box::new(WindowStep::start(plan)?))
            }
            OperationPlan::Join(join) => Operator::Join(JoinStep::start(join)),
            OperationPlan::Tables(part, join) => Operator::Tables(TablesStep::start(*part, join, table)),
            OperationPlan::Dedupe { within_ms } => Operator::Dedupe(Dedupe::new(*within_ms, table)),
            OperationPlan::Select(_) => Operator::Select,
        };
        Ok(Step { operator })
    }

    /// One batch of one input. `watermark` is the step's before it; `topic` is what slot `topic` says.
    pub(super) fn process(
        &mut self,
        plan: &StepPlan,
        (side, batch): (Side, Batch),
        keys: Option<Keys>,
        clock: &RowTimes,
        watermark: EventTime,
        topic: &str,
    ) -> Result<Results, PipelineError> {
        let keys = keys.unwrap_or_default();
        match (&mut self.operator, &plan.operation) {
            (Operator::Transform(runner), OperationPlan::Transform(plugin)) => {
                transform(runner, plan, plugin, batch, clock, topic)
            }
            (Operator::Keyed(runner, state), OperationPlan::Keyed(plugin)) => {
                keyed(runner, state, plan, plugin, Keyed { batch, keys, clock, watermark, topic })
            }
            (Operator::Window(window), _) => window.process(plan, batch, &keys, clock, topic),
            (Operator::Join(join), _) => join.process(plan, side, batch, &keys, clock),
            (Operator::Tables(part), _) => part.process(plan, side, batch, keys),
            (Operator::Dedupe(dedupe), _) => dedupe_step::process(dedupe, plan, &batch, &keys, clock),
            (_, OperationPlan::Select(None)) => {
                let columns = plan.ports[0].carry.iter().map(|&it| batch.columns[it].clone()).collect();
                Ok(Results { outputs: vec![(0, Batch { columns, ..batch }, clock.clone())], ..Results::default() })
            }
            (_, OperationPlan::Select(Some(picks))) => {
                let columns = picks.iter().map(|it| it.of(&batch).into_owned()).collect();
                let key = reads::key(&batch, None, Kind::Bytes);
                let batch = Batch { columns, key: Some(key), raw: None, value: None, headers: Vec::new(), ..batch };
                Ok(Results { outputs: vec![(0, batch, clock.clone())], ..Results::default() })
            }
            _ => Ok(Results::default()),
        }
    }

    /// The first row of a batch before which [`Step::advance`] is to be called, with the watermark there, and only then the batch from that row on be
    /// processed: what closes then is partly on the disk.
    pub(super) fn cut(&self, clock: &RowTimes) -> Option<(u32, EventTime)> {
        match &self.operator {
            Operator::Window(window) if !clock.stragglers.is_empty() => window.cut(clock),
            _ => None,
        }
    }

    /// The step's watermark moves from `before` to `watermark`. To be called until there is no [`Results::more`], and nothing else
    /// meanwhile.
    pub(super) fn advance(
        &mut self,
        plan: &StepPlan,
        before: EventTime,
        watermark: EventTime,
    ) -> Result<Results, PipelineError> {
        match (&mut self.operator, &plan.operation) {
            (Operator::Window(window), _) => window.advance(plan, before, watermark),
            (Operator::Join(join), _) => join.advance(plan, before, watermark),
            (Operator::Keyed(runner, state), OperationPlan::Keyed(plugin)) => {
                let results = timers(runner, state, plan, plugin, before, watermark)?;
                if !results.more {
                    state.expire(watermark).map_err(|error| spill_failed(plan, &error))?;
                }
                Ok(results)
            }
            (Operator::Dedupe(dedupe), _) => {
                dedupe.advance(watermark).map_err(|error| spill_failed(plan, &error))?;
                Ok(Results::default())
            }
            _ => Ok(Results::default()),
        }
    }

    /// Processing time is `now_ms`: results that are due by it.
    pub(super) fn tick(
        &mut self,
        plan: &StepPlan,
        watermark: EventTime,
        now_ms: u64,
    ) -> Result<Results, PipelineError> {
        match &mut self.operator {
            Operator::Window(window) => window.tick(plan, watermark, now_ms),
            _ => Ok(Results::default()),
        }
    }

    /// Writes what changed since the last seal.
    pub(super) fn seal(&mut self, table: TableId, delta: &mut Delta) -> Result<(), PipelineError> {
        match &mut self.operator {
            Operator::Window(window) => window.seal(table, delta),
            Operator::Join(join) => join.seal(table, delta),
            Operator::Tables(part) => part.seal(table, delta),
            Operator::Keyed(_, state) => state.seal(delta),
            Operator::Dedupe(dedupe) => dedupe.seal(delta),
            Operator::Transform(_) | Operator::Select => {}
        }
        Ok(())
    }

    /// A restore begins, which will go on from `watermark`.
    pub(super) fn begin(&mut self, watermark: EventTime) {
        if let Operator::Window(window) = &mut self.operator {
            window.begin(watermark);
        }
    }

    /// Takes back one entry that was sealed before.
    pub(super) fn restore(&mut self, plan: &StepPlan, entry: Entry<'_>) -> Result<(), PipelineError> {
        let restored = match &mut self.operator {
            Operator::Window(window) => window.restore(entry),
            Operator::Join(join) => join.restore(entry),
            Operator::Tables(part) => part.restore(entry),
            Operator::Keyed(_, state) => state.restore(entry).map_err(|error| chain(&error)),
            Operator::Dedupe(dedupe) => dedupe.restore(entry).map_err(|error| chain(&error)),
            Operator::Transform(_) | Operator::Select => Ok(()),
        };
        restored.map_err(|error| {
            PipelineError::stop(Failure::Internal, format!("state of step `{}` cannot be read: {error}", plan.name))
        })
    }

    /// Everything has been taken back: goes on from `watermark`, with state written by `version` of the plugin's format
    /// brought to the present one.
    pub(super) fn resume(
        &mut self,
        plan: &StepPlan,
        watermark: EventTime,
        version: Option<u32>,
    ) -> Result<(), PipelineError> {
        match (&mut self.operator, &plan.operation) {
            (Operator::Window(window), operation) => {
                window.resume(watermark);
                match (operation, version) {
                    (OperationPlan::WindowPlugin { plugin, .. }, Some(version))
                        if version != plugin.state_version() =>
                    {
                        Err(wrong_version(plan, plugin, version, "accumulators of open windows cannot be migrated"))
                    }
                    _ => Ok(()),
                }
            }
            (Operator::Join(join), _) => {
                join.resume(watermark);
                Ok(())
            }
            (Operator::Tables(part), _) => part.resume().map_err(|error| spill_failed(plan, &error)),
            (Operator::Dedupe(dedupe), _) => {
                dedupe.resume(watermark);
                Ok(())
            }
            (Operator::Keyed(runner, state), OperationPlan::Keyed(plugin)) => {
                state.resume(watermark).map_err(|error| spill_failed(plan, &error))?;
                match version {
                    Some(version) if version != plugin.state_version() => migrate(runner, state, plan, plugin, version),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The plugin's instance and the state, where the step is keyed.
    pub(super) fn keyed(&mut self) -> Option<(&mut KeyedRunner, &mut KeyedState)> {
        match &mut self.operator {
            Operator::Keyed(runner, state) => Some((runner, state)),
            _ => None,
        }
    }

    /// How the plugin's instance is, and what it counted; none for a step without a plugin.
    pub(super) fn health(&mut self) -> Option<(Vitals, &BTreeMap<String, u64>)> {
        match &mut self.operator {
            Operator::Transform(runner) => Some((runner.vitals(), runner.counters())),
            Operator::Keyed(runner, _) => Some((runner.vitals(), runner.counters())),
            Operator::Window(window) => window.health(),
            Operator::Join(_) | Operator::Tables(_) | Operator::Dedupe(_) | Operator::Select => None,
        }
    }

    /// Goes on as `new`, the step of the same shape with another version of the plugin, which `plan` is of. State stays; what was written in the
    /// format of `version` is brought to the new one.
    pub(super) fn replace(&mut self, new: Step, plan: &StepPlan, version: u32) -> Result<(), PipelineError> {
        match (&mut self.operator, new.operator, &plan.operation) {
            (Operator::Transform(runner), Operator::Transform(new), _) => *runner = new,
            (Operator::Keyed(runner, state), Operator::Keyed(new, _), OperationPlan::Keyed(plugin)) => {
                *runner = new;
                if version != plugin.state_version() {
                    migrate(runner, state, plan, plugin, version)?;
                }
            }
            (Operator::Window(window), Operator::Window(new), _) => window.replace(*new),
            _ => {}
        }
        Ok(())
    }

    /// The state of each of `keys`, where the step keeps a plugin's state.
    pub(super) fn states(&mut self, plan: &StepPlan, keys: &Keys) -> Result<Option<Column>, PipelineError> {
        match &mut self.operator {
            Operator::Keyed(_, state) => states_of(state, plan, keys, &[]).map(Some),
            _ => Ok(None),
        }
    }

    /// Keys held in state.
    pub(super) fn keys(&self) -> u64 {
        match &self.operator {
            Operator::Window(window) => window.keys(),
            Operator::Join(join) => join.keys(),
            Operator::Tables(part) => part.keys(),
            Operator::Keyed(_, state) => state.len() as u64,
            Operator::Dedupe(dedupe) => dedupe.keys() as u64,
            Operator::Transform(_) | Operator::Select => 0,
        }
    }
}

/// A plugin's failure that is not one of single records.
pub(super) fn plugin_failed(plan: &StepPlan, error: &PluginError) -> PipelineError {
    PipelineError::stop(Failure::Internal, format!("step `{}`: {}", plan.name, chain(error)))
}

/// State that cannot be moved to the disk, or not be brought back.
pub(super) fn spill_failed(plan: &StepPlan, error: &SpillError) -> PipelineError {
    PipelineError::stop(Failure::Internal, format!("step `{}`: {error}", plan.name))
}

/// Drops the rows that lack a field that the plugin requires. None where every row has them all.
pub(super) fn without_required(plan: &StepPlan, plugin: &PluginPlan, batch: &Batch) -> Option<(Vec<u32>, Refused)> {
    let mut bad = vec![None; 0];
    for (position, path, kind) in &plugin.required {
        let Some(Read::Column(pick)) = plugin.reads.get(*position) else { continue };
        let column = pick.of(batch);
        if column.nulls.is_empty() {
            continue;
        }
        bad.resize(batch.rows, None);
        for (row, reason) in bad.iter_mut().enumerate() {
            if reason.is_none() && column.is_null(row) {
                *reason = Some(lacks(batch, row, path, *kind));
            }
        }
    }
    part(plan, batch, bad, Some(plugin.plugin.digest()))
}

/// Drops the rows where a built-in aggregate would meet a value of another kind: a null is skipped, as in SQL, but a text
/// is not silently nothing. None where there is no such row.
pub(super) fn without_other_kinds(
    plan: &StepPlan,
    inputs: &[(Arc<str>, Pick)],
    batch: &Batch,
) -> Option<(Vec<u32>, Refused)> {
    let raw = batch.raw.as_ref()?;
    let mut bad = vec![None; 0];
    for (path, pick) in inputs {
        let nulls = &batch.columns[pick.index];
        if nulls.nulls.is_empty() || plan.input.columns[pick.index].made {
            continue;
        }
        bad.resize(batch.rows, None);
        for (row, reason) in bad.iter_mut().enumerate() {
            if let (None, true, Some(value)) = (&reason, nulls.is_null(row), raw.value(row)) {
                *reason = explain_other_kind(value, path, pick.kind);
            }
        }
    }
    part(plan, batch, bad, None)
}

/// What becomes of late rows: they are counted, and go where the step says.
pub(super) fn push_late(
    plan: &StepPlan,
    batch: &Batch,
    clock: &RowTimes,
    rows: &[u32],
    why: &str,
    results: &mut Results,
) {
    if rows.is_empty() {
        return;
    }
    let late = batch.gather(rows);
    let clock = gather_times(clock, rows);
    results.late_by_ms.extend(late_by_ms(&late, &clock));
    if plan.late == Late::SideOutput {
        let port = plan.ports.len() - 1; // The last one: see the planner.
        let all: Vec<u32> = (0..late.rows as u32).collect();
        let (batch, clock) = pass(&plan.ports[port], &late, &clock, &all);
        results.outputs.push((port, batch, clock));
    }
    // Who drops them asks for no reasons.
    let told = if plan.late == Late::DeadLetter { &*late.times } else { &[] };
    let reasons = told.iter().map(|time| format!("late: {why} its event time, {time} ms")).collect();
    results.late = Some(Refused { batch: late, reasons, step: plan.name.clone(), plugin: None, fault: false });
}

/// How far behind the watermark late records are, ms.
fn late_by_ms(late: &Batch, clock: &RowTimes) -> impl Iterator<Item = u64> {
    clock.stragglers.iter().filter_map(|&(row, watermark)| {
        let time = late.times.get(row as usize)?;
        u64::try_from(watermark.saturating_sub(*time)).ok()
    })
}

/// Parts the rows that have a reason to be refused, if any, from the others; `bad` has none or one for each row.
fn part(plan: &StepPlan, batch: &Batch, bad: Vec<Option<String>>, plugin: Option<&str>) -> Option<(Vec<u32>, Refused)> {
    let (refused, kept): (Vec<u32>, Vec<u32>) = (0..bad.len() as u32).partition(|&row| bad[row as usize].is_some());
    if refused.is_empty() {
        return None;
    }
    let reasons = bad.into_iter().flatten().collect();
    let batch = batch.gather(&refused);
    Some((kept, Refused { batch, reasons, step: plan.name.clone(), plugin: plugin.map(str::to_owned), fault: false }))
}

fn lacks(batch: &Batch, row: usize, path: &str, kind: Kind) -> String {
    match &batch.raw {
        Some(raw) => explain(raw.value(row), path, kind),
        None => format!("field `{path}` is missing, expected {}", kind.name()),
    }
}

/// The columns that a plugin reads.
pub(super) fn read_columns<'a>(
    plugin: &PluginPlan,
    batch: &'a Batch,
    keys: Option<&Keys>,
    topic: &str,
) -> Vec<Cow<'a, Column>> {
    plugin.reads.iter().map(|it| it.of(batch, keys, topic)).collect()
}

fn transform(
    runner: &mut TransformRunner,
    plan: &StepPlan,
    plugin: &PluginPlan,
    batch: Batch,
    clock: &RowTimes,
    topic: &str,
) -> Result<Results, PipelineError> {
    let mut results = Results::default();
    let (batch, clock) = match without_required(plan, plugin, &batch) {
        None => (batch, Cow::Borrowed(clock)),
        Some((kept, refused)) => {
            results.refused.push(refused);
            (batch.gather(&kept), Cow::Owned(gather_times(clock, &kept)))
        }
    };
    if batch.rows == 0 {
        return Ok(results);
    }
    let columns = read_columns(plugin, &batch, None, topic);
    let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
    let call = Call { rows: batch.rows, columns: &columns, watermark: clock.before };
    let produced = runner.process(&call).map_err(|error| plugin_failed(plan, &error))?;
    take_produced(plan, plugin, (&batch, None), &clock, produced, &mut results)?;
    Ok(results)
}

/// The rows of `batch` that the plugin refused or failed on.
pub(super) fn rejected(plan: &StepPlan, plugin: &PluginPlan, batch: &Batch, rejects: Vec<Rejected>) -> Refused {
    let rows: Vec<u32> = rejects.iter().map(|it| it.row).collect();
    Refused {
        batch: batch.gather(&rows),
        fault: rejects.iter().any(|it| it.fault),
        reasons: rejects.into_iter().map(|it| it.reason).collect(),
        step: plan.name.clone(),
        plugin: Some(plugin.plugin.digest().to_owned()),
    }
}

/// Turns a plugin's answer into batches and refused records.
pub(super) fn take_produced(
    plan: &StepPlan,
    plugin: &PluginPlan,
    (batch, keys): (&Batch, Option<&Keys>),
    clock: &RowTimes,
    produced: Produced,
    results: &mut Results,
) -> Result<(), PipelineError> {
    if !produced.rejects.is_empty() {
        results.refused.push(rejected(plan, plugin, batch, produced.rejects));
    }
    for table in produced.tables {
        let port = table.port;
        let (out, clock) = port_rows(&plan.ports[port], (batch, keys), clock, table)
            .map_err(|error| PipelineError::stop(Failure::Config, format!("step `{}`: {error}", plan.name)))?;
        results.outputs.push((port, out, clock));
    }
    Ok(())
}

/// The rows of one table of a plugin's answer. They have their record's key, or the step's where the record has none.
fn port_rows(
    port: &PortPlan,
    (batch, keys): (&Batch, Option<&Keys>),
    clock: &RowTimes,
    table: Table,
) -> Result<(Batch, RowTimes), String> {
    let origins = &table.origins;
    let columns = match table.body {
        Body::Unchanged if port.fields.is_empty() => return Ok(pass(port, batch, clock, origins)),
        Body::Unchanged => {
            return Err(format!(
                "port `{}` declares fields, so records cannot pass through it unchanged: declare another port without fields for them",
                port.name
            ));
        }
        Body::Columns(columns) => columns,
    };
    let pick = |values: &[i64]| -> Vec<i64> {
        if values.is_empty() { Vec::new() } else { origins.iter().map(|&row| values[row as usize]).collect() }
    };
    let mut out = Batch {
        rows: origins.len(),
        origin: batch.origin,
        offsets: pick(&batch.offsets),
        times: pick(&batch.times),
        raw: None,
        key: Some(reads::own_key(batch, keys).gather(origins)),
        value: None,
        headers: Vec::new(),
        columns: Vec::with_capacity(port.fields.len()),
    };
    let mut clock = gather_times(clock, origins);
    for (field, column) in port.fields.iter().zip(columns) {
        match &field.slot {
            Slot::Field(_) => out.columns.push(column),
            Slot::Key => out.key = Some(column),
            Slot::Value => out.value = Some(column),
            Slot::Header(name) => out.headers.push((Arc::clone(name), column)),
            Slot::Time => {
                if let Values::S64(times) = &column.values {
                    retime(&mut out.times, times, &column, &mut clock);
                }
            }
            // Read only, and refused when the plugin is opened.
            Slot::Topic | Slot::Partition | Slot::Offset | Slot::WindowStart | Slot::WindowEnd => {}
        }
    }
    out.columns = port.selected(out.columns);
    Ok((out, clock))
}

/// Rows get the times that a plugin gave them. What the watermark was at a row that moved is known only to have been
/// `before` or later, so that is what it is judged by.
fn retime(times: &mut [EventTime], given: &[i64], column: &Column, clock: &mut RowTimes) {
    let mut stragglers = Vec::new();
    let mut known = std::mem::take(&mut clock.stragglers).into_iter().peekable();
    for (row, time) in times.iter_mut().enumerate() {
        if !column.is_null(row) {
            *time = given[row];
        }
        let watermark = known.next_if(|it| it.0 as usize == row).map_or(clock.before, |it| it.1);
        if *time <= watermark {
            stragglers.push((row as u32, watermark));
        }
    }
    clock.stragglers = stragglers;
}

/// Rows that pass as they are, with the columns that somebody further on reads.
pub(super) fn pass(port: &PortPlan, batch: &Batch, clock: &RowTimes, origins: &[u32]) -> (Batch, RowTimes) {
    let all = origins.len() == batch.rows && origins.iter().enumerate().all(|(at, &row)| at == row as usize);
    let carried = |column: &Column| if all { column.clone() } else { column.gather(origins) };
    let columns = port.carry.iter().map(|&it| carried(&batch.columns[it])).collect();
    let bare = Batch {
        rows: batch.rows,
        origin: batch.origin,
        offsets: batch.offsets.clone(),
        times: batch.times.clone(),
        raw: batch.raw.clone(),
        key: batch.key.clone(),
        value: batch.value.clone(),
        headers: batch.headers.clone(),
        columns: Vec::new(),
    };
    let mut out = if all { bare } else { bare.gather(origins) };
    out.columns = columns;
    (out, if all { clock.clone() } else { gather_times(clock, origins) })
}

/// A keyed batch on its way in.
struct Keyed<'a> {
    batch: Batch,
    keys: Keys,
    clock: &'a RowTimes,
    watermark: EventTime,
    topic: &'a str,
}

fn keyed(
    runner: &mut KeyedRunner,
    state: &mut KeyedState,
    plan: &StepPlan,
    plugin: &PluginPlan,
    input: Keyed<'_>,
) -> Result<Results, PipelineError> {
    let mut results = Results::default();
    let Keyed { mut batch, mut keys, clock, watermark, topic } = input;
    let mut clock = clock.clone();
    if let Some((kept, refused)) = without_required(plan, plugin, &batch) {
        results.refused.push(refused);
        batch = batch.gather(&kept);
        clock = gather_times(&clock, &kept);
        keys = gather_keys(&keys, &kept);
    }
    if batch.rows == 0 {
        return Ok(results);
    }
    let Some(ttl_ms) = state.ttl_ms() else {
        let input = Keyed { batch, keys, clock: &clock, watermark, topic };
        keyed_run(runner, state, plan, plugin, input, &mut results)?;
        return Ok(results);
    };
    for rows in runs(ttl_ms, &keys, &batch.times, &clock) {
        let clock = gather_times(&clock, &rows);
        let input =
            Keyed { batch: batch.gather(&rows), keys: gather_keys(&keys, &rows), clock: &clock, watermark, topic };
        keyed_run(runner, state, plan, plugin, input, &mut results)?;
    }
    Ok(results)
}

/// One call of a keyed plugin: each key's state is the same for all of its rows.
fn keyed_run(
    runner: &mut KeyedRunner,
    state: &mut KeyedState,
    plan: &StepPlan,
    plugin: &PluginPlan,
    input: Keyed<'_>,
    results: &mut Results,
) -> Result<(), PipelineError> {
    let Keyed { mut batch, mut keys, clock, watermark, topic } = input;
    let mut clock = Cow::Borrowed(clock);
    let grouped = group(&keys);
    if let Some(order) = &grouped.order {
        batch = batch.gather(order);
        keys = gather_keys(&keys, order);
        clock = Cow::Owned(gather_times(&clock, order));
    }
    let firsts: Vec<u32> = grouped.bounds[..grouped.bounds.len() - 1].to_vec();
    let group_keys = gather_keys(&keys, &firsts);
    let columns = read_columns(plugin, &batch, Some(&keys), topic);
    let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
    let uses = last_uses(state.ttl_ms(), &grouped.bounds, &batch.times, &clock);
    let states = states_of(state, plan, &group_keys, &uses.first_at)?;
    let call = Call { rows: batch.rows, columns: &columns, watermark };
    let groups = Groups { bounds: &grouped.bounds, states: &states };
    let produced = runner.process(&call, groups).map_err(|error| plugin_failed(plan, &error))?;
    let produced = apply(state, &group_keys, &uses.last, produced);
    take_produced(plan, plugin, (&batch, Some(&keys)), &clock, produced, results)
}

pub(super) fn gather_keys(keys: &Keys, rows: &[u32]) -> Keys {
    Keys { texts: keys.texts.gather(rows), hashes: rows.iter().map(|&row| keys.hashes[row as usize]).collect() }
}

/// The state of each of `keys`, as it is for a record at the time in `at`; where that is empty, as it is held.
fn states_of(state: &mut KeyedState, plan: &StepPlan, keys: &Keys, at: &[EventTime]) -> Result<Column, PipelineError> {
    state.warm(keys).map_err(|error| spill_failed(plan, &error))?;
    let mut states = Column::empty(Kind::Bytes, keys.hashes.len());
    for (row, &hash) in keys.hashes.iter().enumerate() {
        let key = keys.texts.get(row);
        match at.get(row).map_or_else(|| state.get(hash, key), |at| state.get_at(hash, key, *at)) {
            Some(bytes) => {
                if let Values::Bytes(strings) = &mut states.values {
                    strings.push(bytes);
                }
                states.pushed();
            }
            None => states.push_null(),
        }
    }
    Ok(states)
}

/// A call's state and timers become the step's: only now, when the call has succeeded. `used` says up to when each key was
/// used; empty where state does not expire.
fn apply(state: &mut KeyedState, keys: &Keys, used: &[EventTime], produced: KeyedProduced) -> Produced {
    if let Values::Bytes(strings) = &produced.states.values {
        for (row, &hash) in keys.hashes.iter().enumerate() {
            let new = (!produced.states.is_null(row)).then(|| strings.get(row));
            state.set(hash, keys.texts.get(row), new);
        }
    }
    for ((row, &hash), &used) in keys.hashes.iter().enumerate().zip(used) {
        state.use_at(hash, keys.texts.get(row), used);
    }
    for timer in produced.timers {
        let row = timer.group as usize;
        state.set_timer(keys.hashes[row], keys.texts.get(row), timer.id, timer.at);
    }
    produced.produced
}

/// Fires the timers that the watermark has passed, or some of them. A timer that a call sets for a time already passed waits for the next
/// advance, so that no plugin can keep time from moving.
fn timers(
    runner: &mut KeyedRunner,
    state: &mut KeyedState,
    plan: &StepPlan,
    plugin: &PluginPlan,
    before: EventTime,
    watermark: EventTime,
) -> Result<Results, PipelineError> {
    let mut results = Results::default();
    let mut fired = 0;
    loop {
        let due = state.settle().and_then(|()| state.due(watermark, TIMERS_MAX));
        let due = due.map_err(|error| spill_failed(plan, &error))?;
        fired += due.ids.len();
        if due.is_empty() {
            return Ok(results);
        }
        let rows = due.keys.hashes.len();
        let batch = Batch {
            rows,
            origin: None,
            offsets: Vec::new(),
            times: due.times.clone(),
            raw: None,
            key: Some(keys_column(&due.keys)),
            value: None,
            headers: Vec::new(),
            columns: Vec::new(),
        };
        let columns = due_columns(plugin, &batch, &due.keys);
        let columns: Vec<&Column> = columns.iter().collect();
        let uses: &[EventTime] = if state.ttl_ms().is_some() { &due.times } else { &[] };
        let states = states_of(state, plan, &due.keys, uses)?;
        let bounds: Vec<u32> = (0..=rows as u32).collect();
        let call = Call { rows, columns: &columns, watermark };
        let groups = Groups { bounds: &bounds, states: &states };
        let produced = runner.on_timers(&call, &due.ids, groups).map_err(|error| plugin_failed(plan, &error))?;
        let produced = apply(state, &due.keys, uses, produced);
        let clock = RowTimes { before, stragglers: Vec::new(), after: before };
        take_produced(plan, plugin, (&batch, None), &clock, produced, &mut results)?;
        if fired >= TIMERS_MAX {
            results.more = true;
            return Ok(results);
        }
    }
}

/// What a plugin reads when timers fire: the key and the time, every other field null.
fn due_columns(plugin: &PluginPlan, batch: &Batch, keys: &Keys) -> Vec<Column> {
    let fields = plugin.opened.spec.reads.iter().zip(&plugin.reads);
    let column = |(field, read): (&crate::schema::Field, &Read)| match read {
        Read::Key(_) | Read::Time => read.of(batch, Some(keys), "").into_owned(),
        _ => Column::null(field.kind, batch.rows),
    };
    fields.map(column).collect()
}

/// The record keys that rows made by a keyed step have.
pub(super) fn keys_column(keys: &Keys) -> Column {
    let mut out = crate::column::Strings::with_capacity(keys.hashes.len(), keys.texts.data.len());
    for text in keys.texts.iter() {
        out.push(&crate::decode::key_text(text));
    }
    Values::Bytes(out).into()
}
