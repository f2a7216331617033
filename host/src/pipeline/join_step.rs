//! A join step: turns records of two inputs into what the pure join operators keep, and their pairs into rows.

use super::error::{Failure, PipelineError, chain};
use super::plan::{OperationPlan, StepPlan};
use super::plan_join::{JoinPlan, RowColumn, SideColumn, SidePlan};
use super::step::{Results, keys_column, push_late, spill_failed};
use super::window_step::{CLOSED, window_times};
use crate::batch::{Batch, EventTime, Keys, RowTimes};
use crate::column::{Column, Kind, Strings, Values};
use crate::config::{JoinKind, JoinWindow};
use crate::exchange::gather_times;
use crate::join::{Arrivals, AsOf, Interval, Joined, Latest, Pairs, Side, Store, Windowed, row};
use crate::state::{Delta, Entry, TableId};
use std::borrow::Cow;

/// Pairs that event time gives out at once, about: what is due together goes on in parts.
const PAIRS_MAX: usize = 8_192;

/// A join step's operator in one worker.
pub(super) struct JoinStep {
    operator: Operator,
}

enum Operator {
    Interval(Interval),
    Windowed(Windowed),
    AsOf(AsOf),
    Latest(Latest),
}

impl JoinStep {
    /// Without state yet.
    pub(super) fn start(join: &JoinPlan) -> Self {
        let operator = match join.join.kind {
            JoinKind::Within { before_ms, after_ms } => {
                Operator::Interval(Interval::new(before_ms, after_ms, join.join.keeps))
            }
            JoinKind::Window(JoinWindow::Aligned { size_ms, slide_ms, offset_ms }) => {
                Operator::Windowed(Windowed::aligned(size_ms, slide_ms, offset_ms, join.join.keeps))
            }
            JoinKind::Window(JoinWindow::Session { gap_ms }) => {
                Operator::Windowed(Windowed::sessions(gap_ms, join.join.keeps))
            }
            JoinKind::AsOf => Operator::AsOf(AsOf::new(join.join.keeps[0])),
            // Two tables are joined in steps of their own.
            JoinKind::Latest | JoinKind::Tables => Operator::Latest(Latest::new(join.join.keeps[0])),
        };
        JoinStep { operator }
    }

    /// One batch of one input.
    pub(super) fn process(
        &mut self,
        plan: &StepPlan,
        side: Side,
        batch: Batch,
        keys: &Keys,
        clock: &RowTimes,
    ) -> Result<Results, PipelineError> {
        let OperationPlan::Join(join) = &plan.operation else { return Ok(Results::default()) };
        let rows = encode(plan, &join.sides[side.index()], &batch)?;
        let table = side == Side::Right && join.join.kind.has_table();
        let deletes = if table { tombstones(&batch) } else { Vec::new() };
        let input = Arrivals { keys, times: &batch.times, rows: &rows, deletes: &deletes, clock };
        let joined = match &mut self.operator {
            Operator::Interval(it) => it.process(side, &input),
            Operator::Windowed(it) => it.process(side, &input),
            Operator::AsOf(it) => it.process(side, &input),
            Operator::Latest(it) => it.process(side, &input),
        };
        let Joined { pairs, late } = joined.map_err(|error| spill_failed(plan, &error))?;
        let mut results = Results { side, ..Results::default() };
        let why = if matches!(self.operator, Operator::Windowed(_)) { CLOSED } else { "the watermark had passed" };
        push_late(plan, &batch, clock, &late, why, &mut results);
        push(plan, join, pairs, clock, &mut results)?;
        Ok(results)
    }

    /// Event time moves from `before` to `watermark`. To be called until there is no [`Results::more`].
    pub(super) fn advance(
        &mut self,
        plan: &StepPlan,
        before: EventTime,
        watermark: EventTime,
    ) -> Result<Results, PipelineError> {
        let OperationPlan::Join(join) = &plan.operation else { return Ok(Results::default()) };
        let advanced = match &mut self.operator {
            Operator::Interval(it) => it.advance_some(watermark, PAIRS_MAX),
            Operator::Windowed(it) => it.advance_some(watermark, PAIRS_MAX),
            Operator::AsOf(it) => it.advance_some(watermark, PAIRS_MAX),
            Operator::Latest(_) => return Ok(Results::default()),
        };
        let (pairs, done) = advanced.map_err(|error| spill_failed(plan, &error))?;
        let mut results = Results { more: !done, ..Results::default() };
        push(plan, join, pairs, &RowTimes { before, stragglers: Vec::new(), after: before }, &mut results)?;
        Ok(results)
    }

    /// Writes what changed since the last seal.
    pub(super) fn seal(&mut self, table: TableId, delta: &mut Delta) {
        match &mut self.operator {
            Operator::Interval(it) => it.seal(table, delta),
            Operator::Windowed(it) => it.seal(table, delta),
            Operator::AsOf(it) => it.seal(table, delta),
            Operator::Latest(it) => it.seal(table, delta),
        }
    }

    /// Takes an entry back.
    pub(super) fn restore(&mut self, entry: Entry<'_>) -> Result<(), String> {
        let restored = match &mut self.operator {
            Operator::Interval(it) => it.restore(entry),
            Operator::Windowed(it) => it.restore(entry),
            Operator::AsOf(it) => it.restore(entry),
            Operator::Latest(it) => it.restore(entry),
        };
        restored.map_err(|error| chain(&error))
    }

    /// Goes on from a watermark that was reached before a restart.
    pub(super) fn resume(&mut self, watermark: EventTime) {
        match &mut self.operator {
            Operator::Interval(it) => it.resume(watermark),
            Operator::Windowed(it) => it.resume(watermark),
            Operator::AsOf(it) => it.resume(watermark),
            Operator::Latest(_) => {}
        }
    }

    /// What it keeps.
    pub(super) fn store(&self) -> &Store {
        match &self.operator {
            Operator::Interval(it) => it.store(),
            Operator::Windowed(it) => it.store(),
            Operator::AsOf(it) => it.store(),
            Operator::Latest(it) => it.store(),
        }
    }

    /// The same, to be moved.
    pub(super) fn store_mut(&mut self) -> &mut Store {
        match &mut self.operator {
            Operator::Interval(it) => it.store_mut(),
            Operator::Windowed(it) => it.store_mut(),
            Operator::AsOf(it) => it.store_mut(),
            Operator::Latest(it) => it.store_mut(),
        }
    }

    /// Keys held.
    pub(super) fn keys(&self) -> u64 {
        let keys = match &self.operator {
            Operator::Interval(it) => it.keys(),
            Operator::Windowed(it) => it.keys(),
            Operator::AsOf(it) => it.keys(),
            Operator::Latest(it) => it.keys(),
        };
        keys as u64
    }
}

/// The rows that say that their key has no value any more.
pub(super) fn tombstones(batch: &Batch) -> Vec<bool> {
    let none = |row: usize| match (&batch.value, &batch.raw) {
        (Some(value), _) => value.is_null(row),
        (None, Some(raw)) => raw.records[row].value.is_null(),
        (None, None) => false,
    };
    (0..batch.rows).map(none).collect()
}

/// What is kept of each record.
pub(super) fn encode(plan: &StepPlan, side: &SidePlan, batch: &Batch) -> Result<Strings, PipelineError> {
    let columns: Vec<Cow<'_, Column>> =
        side.columns.iter().map(|it| column(plan, it, batch)).collect::<Result<_, _>>()?;
    let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
    let mut rows = Strings::with_capacity(batch.rows, batch.rows * 16 * columns.len());
    for at in 0..batch.rows {
        row::encode(&columns, at, &mut rows.data);
        rows.finish();
    }
    Ok(rows)
}

fn column<'a>(plan: &StepPlan, column: &SideColumn, batch: &'a Batch) -> Result<Cow<'a, Column>, PipelineError> {
    let encoder = match column {
        SideColumn::Field(pick) => return Ok(pick.of(batch)),
        SideColumn::Whole(encoder) => encoder,
    };
    let encoded = encoder
        .encode(batch)
        .map_err(|error| PipelineError::from_error(Failure::Config, &format!("step `{}`", plan.name), &error))?;
    let mut whole = Column::empty(Kind::Json, batch.rows);
    let mut written = 0;
    for at in 0..batch.rows {
        // A row that cannot be written is no object: the source has refused such records.
        let rejected = encoded.rejects.iter().any(|it| it.row as usize == at);
        let value = if rejected { None } else { encoded.rows.value(written) };
        written += usize::from(!rejected);
        match (&mut whole.values, value) {
            (Values::Json(strings), Some(value)) => {
                strings.push(value);
                whole.pushed();
            }
            _ => whole.push_null(),
        }
    }
    Ok(Cow::Owned(whole))
}

/// Makes rows of pairs and lets those go on that the step's condition lets.
fn push(
    plan: &StepPlan,
    join: &JoinPlan,
    pairs: Pairs,
    clock: &RowTimes,
    results: &mut Results,
) -> Result<(), PipelineError> {
    if pairs.is_empty() {
        return Ok(());
    }
    let mut clock = output_times(plan.hold_ms, &pairs, clock);
    let mut batch = rows_of(plan, join, pairs)?;
    if let Some(kept) = plan.filter.as_ref().and_then(|it| it.kept(&batch)) {
        results.filtered += (batch.rows - kept.len()) as u64;
        batch = batch.gather(&kept);
        clock = gather_times(&clock, &kept);
    }
    if batch.rows > 0 {
        batch.columns.truncate(join.out);
        results.outputs.push((0, batch, clock));
    }
    Ok(())
}

/// The rows that pairs are, with the columns that only the step's condition reads at the end.
pub(super) fn rows_of(plan: &StepPlan, join: &JoinPlan, pairs: Pairs) -> Result<Batch, PipelineError> {
    let (rows, starts, times) = (pairs.len(), pairs.starts, pairs.times);
    let mut sides = Vec::with_capacity(2);
    for (side, half) in join.sides.iter().zip(&pairs.rows) {
        let mut columns: Vec<Column> = side.columns.iter().map(|it| Column::empty(it.kind(), rows)).collect();
        for (bytes, missing) in half.rows.iter().zip(&half.missing) {
            if *missing {
                columns.iter_mut().for_each(Column::push_null);
            } else if row::decode(bytes, &mut columns).is_none() {
                let problem = format!("state of step `{}` cannot be read: a row is not what was written", plan.name);
                return Err(PipelineError::stop(Failure::Internal, problem));
            }
        }
        sides.push(columns);
    }
    let taken = |column: &RowColumn| match *column {
        // Each is there once.
        RowColumn::Of(side, at) => std::mem::replace(&mut sides[side.index()][at], Column::empty(Kind::S64, 0)),
        RowColumn::WindowStart => Values::S64(starts.clone()).into(),
        RowColumn::WindowEnd => Values::S64(times.iter().map(|it| it.saturating_add(1)).collect()).into(),
    };
    let columns = join.columns.iter().map(taken).collect();
    Ok(Batch {
        rows,
        origin: None,
        offsets: Vec::new(),
        times,
        raw: None,
        key: Some(row_keys(pairs.keys)),
        value: None,
        headers: Vec::new(),
        columns,
    })
}

/// Event time at each pair, as the step's readers know it.
fn output_times(hold_ms: i64, pairs: &Pairs, clock: &RowTimes) -> RowTimes {
    if !pairs.starts.is_empty() {
        return window_times(&pairs.times, clock.before);
    }
    let held = |watermark: EventTime| watermark.saturating_sub(hold_ms);
    let mut stragglers = Vec::new();
    for (at, (row, time)) in pairs.origins.iter().zip(&pairs.times).enumerate() {
        if let Ok(found) = clock.stragglers.binary_search_by_key(row, |it| it.0) {
            let watermark = held(clock.stragglers[found].1);
            if *time <= watermark {
                stragglers.push((at as u32, watermark));
            }
        }
    }
    RowTimes { before: held(clock.before), stragglers, after: held(clock.after) }
}

/// Record keys of joined rows; null where a row had none.
fn row_keys(texts: Strings) -> Column {
    let rows = texts.len();
    let missing: Vec<u8> = texts.iter().map(|it| u8::from(it.is_empty())).collect();
    let mut column = keys_column(&Keys { texts, hashes: vec![0; rows] });
    if missing.contains(&1) {
        column.nulls = missing;
    }
    column
}
