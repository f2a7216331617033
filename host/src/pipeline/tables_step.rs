//! A part of a join of two tables: turns batches into what the pure operators keep, and what they answer into batches for the next
//! part, or into rows and tombstones.

use super::error::{Failure, PipelineError, chain};
use super::join_step::{encode, rows_of, tombstones};
use super::plan::{OperationPlan, StepPlan};
use super::plan_join::JoinPlan;
use super::step::{Results, spill_failed};
use crate::batch::{self, Batch, EventTime, Keys, RowTimes};
use crate::column::{Column, Kind, Strings, Values};
use crate::config::TablesPart;
use crate::decode::canonical_keys;
use crate::exchange::gather_times;
use crate::join::tables::{Answers, Changes, Instruction, Instructions, LeftRows, Matches, Outcome};
use crate::join::{Half, Pairs, Side, tables};
use crate::spill::SpillError;
use crate::state::{Delta, Entry, Spills, TableId};
use crate::watermark::WATERMARK_NONE;

/// A part's operator in one worker.
pub(super) enum TablesStep {
    Changes(Changes),
    Matches(Matches),
    Results(tables::Results),
}

impl TablesStep {
    /// Without state yet.
    pub(super) fn start(part: TablesPart, join: &JoinPlan, table: TableId) -> Self {
        match part {
            TablesPart::Changes => TablesStep::Changes(Changes::new(table)),
            TablesPart::Matches => TablesStep::Matches(Matches::new(join.join.keeps[0])),
            TablesPart::Results => TablesStep::Results(tables::Results::new(table)),
        }
    }

    /// One batch of one input.
    pub(super) fn process(
        &mut self,
        plan: &StepPlan,
        side: Side,
        batch: Batch,
        keys: Keys,
    ) -> Result<Results, PipelineError> {
        let OperationPlan::Tables(_, join) = &plan.operation else { return Ok(Results::default()) };
        let made = match (self, side) {
            (TablesStep::Changes(changes), _) => {
                let picked: Vec<_> = join.sides[0].key.iter().map(|it| it.of(&batch)).collect();
                let foreign = canonical_keys(&batch, &picked.iter().map(|it| &**it).collect::<Vec<_>>()).0;
                let rows = encode(plan, &join.sides[0], &batch)?;
                let deletes = tombstones(&batch);
                let (times, foreign) = (&*batch.times, &foreign.texts);
                let rows = LeftRows { own: &keys, foreign, times, rows: &rows, deletes: &deletes };
                instructions_batch(changes.process(&rows).map_err(|error| spill_failed(plan, &error))?)
            }
            (TablesStep::Matches(matches), Side::Left) => {
                let hashes = keys.hashes;
                let answers = matches.left(&instructions_of(plan, batch, keys.texts)?, &hashes);
                answers_batch(answers.map_err(|error| spill_failed(plan, &error))?)
            }
            (TablesStep::Matches(matches), Side::Right) => {
                let rows = encode(plan, &join.sides[1], &batch)?;
                let answers = matches.right(&keys, &batch.times, &rows, &tombstones(&batch));
                answers_batch(answers.map_err(|error| spill_failed(plan, &error))?)
            }
            (TablesStep::Results(results), _) => return answered(results, plan, join, answers_of(plan, batch, keys)?),
        };
        let rows = made.rows > 0;
        Ok(Results { outputs: rows.then_some((0, made, NO_TIMES)).into_iter().collect(), side, ..Results::default() })
    }

    /// Writes what changed since the last seal.
    pub(super) fn seal(&mut self, table: TableId, delta: &mut Delta) {
        match self {
            TablesStep::Changes(it) => it.seal(delta),
            TablesStep::Matches(it) => it.seal(table, delta),
            TablesStep::Results(it) => it.seal(delta),
        }
    }

    /// Takes an entry back.
    pub(super) fn restore(&mut self, entry: Entry<'_>) -> Result<(), String> {
        match self {
            TablesStep::Changes(it) => it.restore(entry).map_err(|error| chain(&error)),
            TablesStep::Matches(it) => it.restore(entry).map_err(|error| chain(&error)),
            TablesStep::Results(it) => it.restore(entry).map_err(|error| chain(&error)),
        }
    }

    /// Everything has been taken back.
    pub(super) fn resume(&mut self) -> Result<(), SpillError> {
        match self {
            TablesStep::Changes(changes) => changes.resume(),
            TablesStep::Matches(_) | TablesStep::Results(_) => Ok(()),
        }
    }

    /// Keys held.
    pub(super) fn keys(&self) -> u64 {
        let keys = match self {
            TablesStep::Changes(it) => it.keys(),
            TablesStep::Matches(it) => it.keys(),
            TablesStep::Results(it) => it.keys(),
        };
        keys as u64
    }

    /// What it keeps.
    pub(super) fn state(&self) -> &dyn Spills {
        match self {
            TablesStep::Changes(it) => it.state(),
            TablesStep::Matches(it) => it,
            TablesStep::Results(it) => it.state(),
        }
    }

    /// The same, to be moved.
    pub(super) fn state_mut(&mut self) -> &mut dyn Spills {
        match self {
            TablesStep::Changes(it) => it.state_mut(),
            TablesStep::Matches(it) => it,
            TablesStep::Results(it) => it.state_mut(),
        }
    }
}

/// Tables wait for no time, and nothing of them is late.
const NO_TIMES: RowTimes = RowTimes { before: WATERMARK_NONE, stragglers: Vec::new(), after: WATERMARK_NONE };

/// The keys by which one part sends its rows to the next: the first column, which is taken out.
pub(super) fn travelling_keys(batch: &mut Batch) -> Option<Keys> {
    let Values::Bytes(texts) = batch.columns.drain(..1).next()?.values else { return None };
    let hashes = texts.iter().map(batch::hash).collect();
    Some(Keys { texts, hashes })
}

fn rows_batch(times: Vec<EventTime>, columns: Vec<Column>) -> Batch {
    let (offsets, headers) = (Vec::new(), Vec::new());
    Batch { rows: times.len(), origin: None, offsets, times, raw: None, key: None, value: None, headers, columns }
}

fn instructions_batch(of: Instructions) -> Batch {
    let instructions = of.instructions.into_iter().map(Instruction::code).collect();
    let columns = [
        Values::Bytes(of.foreign),
        Values::Bytes(of.own),
        Values::S64(of.versions),
        Values::S64(instructions),
        Values::Bytes(of.rows),
    ];
    rows_batch(of.times, columns.into_iter().map(Column::from).collect())
}

fn answers_batch(of: Answers) -> Batch {
    let half = |half: Half| Column {
        nulls: half.missing.iter().map(|it| u8::from(*it)).collect(),
        values: Values::Bytes(half.rows),
    };
    let [left, right] = of.rows.map(half);
    rows_batch(of.times, vec![Values::Bytes(of.own).into(), Values::S64(of.versions).into(), left, right])
}

/// What [`instructions_batch`] wrote, without the key that it travelled by.
fn instructions_of(plan: &StepPlan, batch: Batch, foreign: Strings) -> Result<Instructions, PipelineError> {
    let mut columns = batch.columns.into_iter().map(|it| it.values);
    let parts = (columns.next(), columns.next(), columns.next(), columns.next());
    let (Some(Values::Bytes(own)), Some(Values::S64(versions)), Some(Values::S64(codes)), Some(Values::Bytes(rows))) =
        parts
    else {
        return Err(foreign_batch(plan));
    };
    let instructions = codes.into_iter().map(|it| Instruction::of(it).ok_or_else(|| foreign_batch(plan)));
    let instructions = instructions.collect::<Result<_, _>>()?;
    Ok(Instructions { foreign, own, versions, instructions, times: batch.times, rows })
}

/// What [`answers_batch`] wrote, without the key that it travelled by, and that key.
fn answers_of(plan: &StepPlan, batch: Batch, own: Keys) -> Result<(Keys, Answers), PipelineError> {
    let rows = batch.rows;
    let mut columns = batch.columns.into_iter();
    let (Some(Values::S64(versions)), Some(left), Some(right)) =
        (columns.next().map(|it| it.values), columns.next(), columns.next())
    else {
        return Err(foreign_batch(plan));
    };
    let half = |column: Column| {
        let missing = (0..rows).map(|it| column.is_null(it)).collect();
        let Values::Bytes(rows) = column.values else { return Err(foreign_batch(plan)) };
        Ok(Half { rows, missing })
    };
    let (texts, rows) = (Strings::default(), [half(left)?, half(right)?]);
    Ok((own, Answers { own: texts, versions, times: batch.times, rows }))
}

fn foreign_batch(plan: &StepPlan) -> PipelineError {
    let problem = format!("step `{}` was handed a batch that the part before it did not make", plan.name);
    PipelineError::stop(Failure::Internal, problem)
}

/// The rows and the tombstones that answers come to, in their order. A row that the step's condition does not let is none.
fn answered(
    operator: &mut tables::Results,
    plan: &StepPlan,
    join: &JoinPlan,
    (own, answers): (Keys, Answers),
) -> Result<Results, PipelineError> {
    let mut results = Results::default();
    let mut rows: Vec<bool> = answers.rows[0].missing.iter().map(|it| !it).collect();
    let (texts, times) = (own.texts.clone(), answers.times);
    let pairs = Pairs { keys: texts, times, rows: answers.rows, ..Pairs::default() };
    let mut batch = rows_of(plan, join, pairs)?;
    if let Some(kept) = plan.filter.as_ref().and_then(|it| it.kept(&batch)) {
        let there = rows.iter().filter(|it| **it).count();
        let mut let_through = vec![false; batch.rows];
        kept.iter().for_each(|it| let_through[*it as usize] = true);
        rows.iter_mut().zip(let_through).for_each(|(row, it)| *row &= it);
        results.filtered = (there - rows.iter().filter(|it| **it).count()) as u64;
    }
    batch.columns.truncate(join.out);
    let outcomes = operator.process(&own, &answers.versions, &rows).map_err(|error| spill_failed(plan, &error))?;
    // A tombstone has no value; runs of them and of rows go on one after the other.
    let mut from = 0;
    for run in outcomes.chunk_by(|a, b| a == b) {
        let run_rows: Vec<u32> = (from..from + run.len() as u32).collect();
        from += run.len() as u32;
        if run[0] == Outcome::Nothing {
            continue;
        }
        let mut part = if run.len() == batch.rows { batch.clone() } else { batch.gather(&run_rows) };
        if run[0] == Outcome::End {
            part.value = Some(Column::null(Kind::Bytes, part.rows));
        }
        results.outputs.push((0, part, gather_times(&NO_TIMES, &run_rows)));
    }
    Ok(results)
}
