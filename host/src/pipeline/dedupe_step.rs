//! A dedupe step: the rows of a batch that are no duplicates, as they came.

use super::error::PipelineError;
use super::plan::StepPlan;
use super::step::{Results, pass, push_late, spill_failed};
use crate::batch::{Batch, Keys, RowTimes};
use crate::dedupe::{Dedupe, Firsts};

/// One batch.
pub(super) fn process(
    dedupe: &mut Dedupe,
    plan: &StepPlan,
    batch: &Batch,
    keys: &Keys,
    clock: &RowTimes,
) -> Result<Results, PipelineError> {
    let mut results = Results::default();
    let firsts = dedupe.process(keys, &batch.times, clock);
    let Firsts { rows, late } = firsts.map_err(|error| spill_failed(plan, &error))?;
    results.filtered = (batch.rows - rows.len() - late.len()) as u64;
    push_late(plan, batch, clock, &late, "what it may repeat is forgotten at", &mut results);
    if !rows.is_empty() {
        let (out, clock) = pass(&plan.ports[0], batch, clock, &rows);
        results.outputs.push((0, out, clock));
    }
    Ok(results)
}
