//! A window step: joins the pure window operators with columns, plugins and processing time.

use super::error::{Failure, PipelineError, chain};
use super::plan::{OperationPlan, PluginPlan, StepPlan};
use super::plugin_fold::PluginFold;
use super::reads::{Pick, Read, own_key};
use super::step::{
    Results, gather_keys, keys_column, plugin_failed, push_late, read_columns, rejected, spill_failed, take_produced,
    without_other_kinds, without_required,
};
use super::top_step;
use crate::batch::{Batch, EventTime, Keys, RowTimes};
use crate::column::{Column, Kind, Strings, Values};
use crate::config::{Accumulate, Emit, Firing, Window};
use crate::exchange::gather_times;
use crate::plugin::{Call, Vitals};
use crate::schema::{Field, Slot};
use crate::state::{Delta, Entry, Spills, TableId};
use crate::window::{Builtin, Fired, Input, Operator as Windows, RowKind, Top};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Rows of windows that are made at once, about: what closes together goes on in parts.
const FIRED_MAX: usize = 8_192;

/// Why a record is late for windows.
pub(super) const CLOSED: &str = "all windows had closed of";

/// A window step's operator in one worker.
pub(super) struct WindowStep {
    operator: Operator,
    /// Processing time between two results, and when the next ones are due, ms; for `emit = { every = .. }`.
    every: Option<(u64, u64)>,
}

enum Operator {
    Builtin(Box<Windows<Builtin>>),
    Plugin(Box<Windows<PluginFold>>),
    Top(Box<Windows<Top>>),
}

/// Calls the same method of whichever it is.
macro_rules! each {
    ($self:expr, $it:ident => $call:expr) => {
        match $self {
            Operator::Builtin($it) => $call,
            Operator::Plugin($it) => $call,
            Operator::Top($it) => $call,
        }
    };
}

impl WindowStep {
    /// Without state yet.
    pub(super) fn start(plan: &StepPlan) -> Result<Self, PipelineError> {
        let (operator, emit) = match &plan.operation {
            OperationPlan::WindowPlugin { window, plugin, emit, .. } => {
                let fold = PluginFold::start(plugin).map_err(|error| plugin_failed(plan, &error))?;
                (Operator::Plugin(Box::new(Windows::new(window, *emit, fold))), *emit)
            }
            OperationPlan::Window { window, aggregates, emit, .. } => {
                let only: Vec<_> = aggregates.iter().map(|it| it.0.clone()).collect();
                let with_field = aggregates.iter().filter(|it| it.0.field.is_some());
                let kinds: Vec<Kind> = with_field.map(|it| it.1).collect();
                let fold = Builtin::new(&only, &kinds).map_err(|error| {
                    PipelineError::stop(Failure::Config, format!("step `{}`: {}", plan.name, chain(&error)))
                })?;
                (Operator::Builtin(Box::new(Windows::new(window, *emit, fold))), *emit)
            }
            OperationPlan::Top { window, top, by, emit, .. } => {
                let best = Top::new(top.k, top.largest, by.kind == Kind::Text);
                (Operator::Top(Box::new(Windows::new(window, *emit, best))), *emit)
            }
            _ => {
                return Err(PipelineError::stop(Failure::Internal, format!("step `{}` is no window", plan.name)));
            }
        };
        let every = match emit {
            Emit::Every { interval_ms } => Some((interval_ms, 0)),
            Emit::Repeatedly(firing) => firing.every_ms.map(|it| (it, 0)),
            Emit::OnClose | Emit::OnUpdate => None,
        };
        Ok(WindowStep { operator, every })
    }

    /// One batch.
    pub(super) fn process(
        &mut self,
        plan: &StepPlan,
        batch: Batch,
        keys: &Keys,
        clock: &RowTimes,
        topic: &str,
    ) -> Result<Results, PipelineError> {
        if let Some(windows) = self.spills_mut() {
            windows.warm(keys).map_err(|error| spill_failed(plan, &error))?;
        }
        match (&mut self.operator, &plan.operation) {
            (Operator::Builtin(windows), OperationPlan::Window { window, inputs, gap, .. }) => {
                let mut results = Results::default();
                let (mut batch, mut keys, mut clock) = (batch, Cow::Borrowed(keys), Cow::Borrowed(clock));
                if let Some((kept, refused)) = without_other_kinds(plan, inputs, &batch) {
                    results.refused.push(refused);
                    batch = batch.gather(&kept);
                    clock = Cow::Owned(gather_times(&clock, &kept));
                    keys = Cow::Owned(gather_keys(&keys, &kept));
                }
                if batch.rows == 0 {
                    return Ok(results);
                }
                let columns: Vec<Cow<'_, Column>> = inputs.iter().map(|it| it.1.of(&batch)).collect();
                let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
                let gaps = gaps(gap.as_ref(), &batch);
                let input = Input { keys: &keys, times: &batch.times, columns: &columns, clock: &clock, gaps: &gaps };
                let processed = match windows.process(&input) {
                    Ok(processed) => processed,
                    Err(never) => match never {},
                };
                push_late(plan, &batch, &clock, &processed.late, CLOSED, &mut results);
                match (window, processed.answers) {
                    (Window::Rolling { .. }, Some(answers)) => {
                        results.outputs.push(answered(plan, &batch, &keys, &clock, &processed.late, answers));
                    }
                    _ => push_fired(plan, processed.fired, clock.before, &mut results),
                }
                Ok(results)
            }
            (Operator::Top(windows), OperationPlan::Top { gap, .. }) => {
                let gaps = |batch: &Batch| gaps(gap.as_ref(), batch).into_owned();
                top_step::process(windows, plan, batch, keys, clock, gaps)
            }
            (Operator::Plugin(windows), OperationPlan::WindowPlugin { plugin, gap, .. }) => {
                plugin_process(windows, plan, plugin, PluginInput { batch, keys, clock, topic, gap: gap.as_ref() })
            }
            _ => Ok(Results::default()),
        }
    }

    /// Fires what closes between `before` and `watermark`, or a part of it.
    pub(super) fn advance(
        &mut self,
        plan: &StepPlan,
        before: EventTime,
        watermark: EventTime,
    ) -> Result<Results, PipelineError> {
        let mut results = Results::default();
        each!(&mut self.operator, it => it.warm_due(watermark)).map_err(|error| spill_failed(plan, &error))?;
        match (&mut self.operator, &plan.operation) {
            (Operator::Builtin(windows), _) => match windows.advance_some(watermark, FIRED_MAX) {
                Ok((fired, done)) => {
                    results.more = !done;
                    push_fired(plan, fired, before, &mut results);
                }
                Err(never) => match never {},
            },
            (Operator::Top(windows), _) => match windows.advance_some(watermark, FIRED_MAX) {
                Ok((fired, done)) => {
                    results.more = !done;
                    top_step::push(plan, fired, before, &mut results)?;
                }
                Err(never) => match never {},
            },
            (Operator::Plugin(windows), OperationPlan::WindowPlugin { plugin, .. }) => {
                let fired = windows.advance_some(watermark, FIRED_MAX);
                let (fired, done) = fired.map_err(|error| plugin_failed(plan, &error))?;
                results.more = !done;
                finish(windows, plan, plugin, fired, before, &mut results)?;
            }
            _ => {}
        }
        Ok(results)
    }

    /// Writes the windows that changed, when that is due.
    pub(super) fn tick(
        &mut self,
        plan: &StepPlan,
        watermark: EventTime,
        now_ms: u64,
    ) -> Result<Results, PipelineError> {
        let mut results = Results::default();
        let Some((interval_ms, due_ms)) = &mut self.every else { return Ok(results) };
        if *due_ms == 0 {
            *due_ms = now_ms + *interval_ms;
        }
        if now_ms < *due_ms {
            return Ok(results);
        }
        *due_ms = now_ms + *interval_ms;
        match (&mut self.operator, &plan.operation) {
            (Operator::Builtin(windows), _) => match windows.changed() {
                Ok(fired) => push_fired(plan, fired, watermark, &mut results),
                Err(never) => match never {},
            },
            (Operator::Plugin(windows), OperationPlan::WindowPlugin { plugin, .. }) => {
                let fired = windows.changed().map_err(|error| plugin_failed(plan, &error))?;
                finish(windows, plan, plugin, fired, watermark, &mut results)?;
            }
            _ => {}
        }
        Ok(results)
    }

    /// Writes what changed since the last seal.
    pub(super) fn seal(&mut self, table: TableId, delta: &mut Delta) {
        each!(&mut self.operator, it => it.seal(table, delta));
    }

    /// The first row of a batch before which windows close that have keys on the disk, and event time there.
    pub(super) fn cut(&self, clock: &RowTimes) -> Option<(u32, EventTime)> {
        let waits = |watermark| each!(&self.operator, it => it.waits_for(watermark));
        clock.stragglers.iter().copied().find(|it| waits(it.1))
    }

    /// A restore begins, which will go on from `watermark`.
    pub(super) fn begin(&mut self, watermark: EventTime) {
        each!(&mut self.operator, it => it.begin(watermark));
    }

    /// Takes an entry back.
    pub(super) fn restore(&mut self, entry: Entry<'_>) -> Result<(), String> {
        each!(&mut self.operator, it => it.make_room(entry)).map_err(|error| chain(&error))?;
        each!(&mut self.operator, it => it.restore(entry)).map_err(|error| chain(&error))
    }

    /// Goes on from a watermark that was reached before a restart.
    pub(super) fn resume(&mut self, watermark: EventTime) {
        each!(&mut self.operator, it => it.resume(watermark));
    }

    /// How the plugin's instance is, and what it counted; none without a plugin.
    pub(super) fn health(&mut self) -> Option<(Vitals, &BTreeMap<String, u64>)> {
        match &mut self.operator {
            Operator::Builtin(_) | Operator::Top(_) => None,
            Operator::Plugin(windows) => Some(windows.accumulators().health()),
        }
    }

    /// Goes on with the plugin instance of `new`; accumulators stay.
    pub(super) fn replace(&mut self, new: WindowStep) {
        if let (Operator::Plugin(windows), Operator::Plugin(mut new)) = (&mut self.operator, new.operator) {
            // As after a restart: what the old version merged for later rows is merged by the new one.
            windows.forget_sums();
            windows.accumulators().exchange(new.accumulators());
        }
    }

    /// Keys held.
    pub(super) fn keys(&self) -> u64 {
        each!(&self.operator, it => it.keys() as u64)
    }

    /// Memory in use, bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        each!(&self.operator, it => it.bytes())
    }

    /// The state, where that can be moved to the disk.
    pub(super) fn spills(&self) -> Option<&dyn Spills> {
        each!(&self.operator, it => it.spills())
    }

    /// The same, to be changed.
    pub(super) fn spills_mut(&mut self) -> Option<&mut dyn Spills> {
        each!(&mut self.operator, it => it.spills_mut())
    }
}

/// Each row's own gap; 0 where it has none.
fn gaps<'a>(gap: Option<&Pick>, batch: &'a Batch) -> Cow<'a, [i64]> {
    let Some(column) = gap.map(|it| it.of(batch)) else { return Cow::Borrowed(&[]) };
    match column {
        // A null row holds 0.
        Cow::Borrowed(Column { values: Values::S64(gaps), .. }) => Cow::Borrowed(gaps),
        Cow::Owned(Column { values: Values::S64(gaps), .. }) => Cow::Owned(gaps),
        _ => Cow::Borrowed(&[]),
    }
}

/// Rolling: every record that was not late goes on, with the answers as added fields. One without a key gets the step's, so
/// that what a key made stays in order wherever it is written to.
fn answered(
    plan: &StepPlan,
    batch: &Batch,
    keys: &Keys,
    clock: &RowTimes,
    late: &[u32],
    answers: Vec<Column>,
) -> (usize, Batch, RowTimes) {
    let carried = plan.ports[0].carry.iter().map(|&it| batch.columns[it].clone());
    let mut out = Batch { columns: Vec::new(), ..batch.clone() };
    out.columns = carried.chain(answers).collect();
    if let (None, false, Some(raw)) = (&out.key, plan.key_names.is_empty(), &batch.raw) {
        let keyless = raw.records.iter().any(|it| it.key.is_null());
        out.key = keyless.then(|| own_key(batch, Some(keys)));
    }
    if late.is_empty() {
        return (0, out, clock.clone());
    }
    let on_time: Vec<u32> = (0..batch.rows as u32).filter(|row| late.binary_search(row).is_err()).collect();
    (0, out.gather(&on_time), gather_times(clock, &on_time))
}

/// The batch that stands for fired windows: their time is their last millisecond, their key the step's.
pub(super) fn windows_batch(plan: &StepPlan, keys: &Strings, ends: &[i64], before: EventTime) -> (Batch, RowTimes) {
    let times: Vec<EventTime> = ends.iter().map(|end| end.saturating_sub(1)).collect();
    let clock = window_times(&times, before);
    let texts = Keys { texts: keys.clone(), hashes: vec![0; times.len()] };
    let batch = Batch {
        rows: times.len(),
        origin: None,
        offsets: Vec::new(),
        times,
        raw: None,
        key: (!plan.key_names.is_empty()).then(|| keys_column(&texts)),
        value: None,
        headers: Vec::new(),
        columns: Vec::new(),
    };
    (batch, clock)
}

/// Event time at rows of windows with these `times`, for who reads them: it has not yet come to where they closed.
pub(super) fn window_times(times: &[EventTime], before: EventTime) -> RowTimes {
    let behind = times.iter().enumerate().filter(|it| *it.1 <= before);
    let stragglers = behind.map(|it| (it.0 as u32, before)).collect();
    RowTimes { before, stragglers, after: before }
}

/// Key fields, bounds, what is said of the pane, and aggregates as the window's columns.
fn push_fired(plan: &StepPlan, fired: Fired<Vec<Column>>, before: EventTime, results: &mut Results) {
    if fired.is_empty() {
        return;
    }
    let (mut batch, clock) = windows_batch(plan, &fired.keys, &fired.ends, before);
    let mut columns = key_columns(&fired.keys, plan.key_names.len());
    let firing = match &plan.operation {
        OperationPlan::Window { emit: Emit::Repeatedly(firing), .. } => *firing,
        _ => Firing::ON_CLOSE,
    };
    if firing.upsert {
        batch.key = Some(upsert_keys(plan, &columns, &fired));
    }
    columns.push(Values::S64(fired.starts).into());
    columns.push(Values::S64(fired.ends).into());
    if firing.panes {
        let mut timings = Strings::default();
        fired.panes.iter().for_each(|it| timings.push(it.timing.name().as_bytes()));
        columns.push(Values::Text(timings).into());
        columns.push(Values::S64(fired.panes.iter().map(|it| it.index as i64).collect()).into());
    }
    if firing.accumulate == Accumulate::Retracting {
        let retractions = fired.panes.iter().map(|it| u8::from(it.kind == RowKind::Retraction));
        columns.push(Values::Boolean(retractions.collect()).into());
    }
    columns.extend(fired.values);
    batch.columns = plan.ports[0].selected(columns);
    if fired.panes.iter().all(|it| it.kind != RowKind::Tombstone) {
        results.outputs.push((0, batch, clock));
        return;
    }
    // A tombstone has no value; runs of them and of rows go on one after the other.
    let mut from = 0;
    for run in fired.panes.chunk_by(|a, b| (a.kind == RowKind::Tombstone) == (b.kind == RowKind::Tombstone)) {
        let rows: Vec<u32> = (from..from + run.len() as u32).collect();
        from += run.len() as u32;
        let mut part = batch.gather(&rows);
        if run[0].kind == RowKind::Tombstone {
            part.value = Some(Column::null(Kind::Bytes, part.rows));
        }
        results.outputs.push((0, part, gather_times(&clock, &rows)));
    }
}

/// The record keys of rows that replace each other: a JSON object of the key's fields and the bounds, but for a window of all
/// time, of which there is one a key.
fn upsert_keys(plan: &StepPlan, keys: &[Column], fired: &Fired<Vec<Column>>) -> Column {
    let all_time = matches!(plan.operation, OperationPlan::Window { window: Window::Global, .. });
    let names: Vec<String> = plan.key_names.iter().map(|it| serde_json::Value::from(&**it).to_string()).collect();
    let mut out = Strings::default();
    for row in 0..fired.len() {
        let mut next = b'{';
        let mut member = |name: &[u8], value: &[u8]| {
            out.data.push(std::mem::replace(&mut next, b','));
            out.data.extend_from_slice(name);
            out.data.push(b':');
            out.data.extend_from_slice(value);
        };
        for (name, column) in names.iter().zip(keys) {
            if let Values::Json(texts) = &column.values {
                member(name.as_bytes(), texts.get(row));
            }
        }
        if !all_time || names.is_empty() {
            member(b"\"window_start\"", fired.starts[row].to_string().as_bytes());
            member(b"\"window_end\"", fired.ends[row].to_string().as_bytes());
        }
        out.push(b"}");
    }
    Values::Bytes(out).into()
}

/// The key's fields as columns of JSON texts.
fn key_columns(keys: &Strings, fields: usize) -> Vec<Column> {
    match fields {
        0 => Vec::new(),
        1 => vec![Values::Json(keys.clone()).into()],
        _ => {
            let mut columns = vec![Strings::default(); fields];
            for key in keys.iter() {
                // A key of several fields is the JSON array that `decode` made of them.
                let members: Vec<&RawValue> = serde_json::from_slice(key).unwrap_or_default();
                for (at, column) in columns.iter_mut().enumerate() {
                    column.push(members.get(at).map_or("null", |it| it.get()).as_bytes());
                }
            }
            columns.into_iter().map(|it| Values::Json(it).into()).collect()
        }
    }
}

/// A batch on its way into an aggregate plugin.
struct PluginInput<'a> {
    batch: Batch,
    keys: &'a Keys,
    clock: &'a RowTimes,
    topic: &'a str,
    gap: Option<&'a Pick>,
}

fn plugin_process(
    windows: &mut Windows<PluginFold>,
    plan: &StepPlan,
    plugin: &PluginPlan,
    input: PluginInput<'_>,
) -> Result<Results, PipelineError> {
    let PluginInput { mut batch, keys, clock, topic, gap } = input;
    let mut results = Results::default();
    let mut keys = Cow::Borrowed(keys);
    let mut clock = Cow::Borrowed(clock);
    if let Some((kept, refused)) = without_required(plan, plugin, &batch) {
        results.refused.push(refused);
        batch = batch.gather(&kept);
        clock = Cow::Owned(gather_times(&clock, &kept));
        keys = Cow::Owned(gather_keys(&keys, &kept));
    }
    if batch.rows == 0 {
        return Ok(results);
    }
    let columns = read_columns(plugin, &batch, Some(&keys), topic);
    let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
    let gaps = gaps(gap, &batch);
    let input = Input { keys: &keys, times: &batch.times, columns: &columns, clock: &clock, gaps: &gaps };
    let processed = windows.process(&input).map_err(|error| plugin_failed(plan, &error))?;
    let rejects = windows.accumulators().take_rejects();
    if !rejects.is_empty() {
        results.refused.push(rejected(plan, plugin, &batch, rejects));
    }
    push_late(plan, &batch, &clock, &processed.late, CLOSED, &mut results);
    finish(windows, plan, plugin, processed.fired, clock.before, &mut results)?;
    Ok(results)
}

/// Hands finished accumulators to the plugin and takes its rows.
fn finish(
    windows: &mut Windows<PluginFold>,
    plan: &StepPlan,
    plugin: &PluginPlan,
    fired: Fired<super::plugin_fold::Encoded>,
    before: EventTime,
    results: &mut Results,
) -> Result<(), PipelineError> {
    // A window all of whose records the plugin refused has nothing to say.
    let some: Vec<u32> = (0..fired.starts.len() as u32).filter(|&row| fired.values.present[row as usize]).collect();
    if some.is_empty() {
        return Ok(());
    }
    let pick = |values: &[i64]| -> Vec<i64> { some.iter().map(|&row| values[row as usize]).collect() };
    let (starts, ends) = (pick(&fired.starts), pick(&fired.ends));
    let (batch, clock) = windows_batch(plan, &fired.keys.gather(&some), &ends, before);
    let columns = window_columns(plugin, &batch, &starts, &ends);
    let columns: Vec<&Column> = columns.iter().collect();
    let call = Call { rows: batch.rows, columns: &columns, watermark: before };
    let accumulators = fired.values.accumulators.gather(&some);
    let produced = windows.accumulators().finish(&call, &accumulators).map_err(|error| plugin_failed(plan, &error))?;
    take_produced(plan, plugin, (&batch, None), &clock, produced, results)
}

/// What a plugin reads of windows that it finishes: key and bounds, every other field null.
pub(super) fn window_columns(plugin: &PluginPlan, windows: &Batch, starts: &[i64], ends: &[i64]) -> Vec<Column> {
    let fields = plugin.opened.spec.reads.iter().zip(&plugin.reads);
    let column = |(field, read): (&Field, &Read)| match (&field.slot, read) {
        (Slot::WindowStart, _) => Values::S64(starts.to_vec()).into(),
        (Slot::WindowEnd, _) => Values::S64(ends.to_vec()).into(),
        (_, Read::Key(Kind::Text | Kind::Bytes) | Read::Time) => read.of(windows, None, "").into_owned(),
        _ => Column::null(field.kind, windows.rows),
    };
    fields.map(column).collect()
}
