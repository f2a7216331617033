//! `where` of a step: the condition, and the columns that it reads.

use super::flow::Flow;
use super::reads::Pick;
use crate::batch::Batch;
use crate::column::Column;
use crate::config::{self, Condition};
use crate::filter::Filter;

/// `where` of a step, with the columns that it reads.
#[derive(Clone)]
pub(super) struct FilterPlan {
    /// The condition.
    pub filter: Filter,
    /// Where each field that it reads comes from.
    pub picks: Vec<Pick>,
}

impl FilterPlan {
    /// The rows of a batch that go on; none for all.
    pub(super) fn kept(&self, batch: &Batch) -> Option<Vec<u32>> {
        let columns: Vec<_> = self.picks.iter().map(|it| it.of(batch)).collect();
        let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
        self.filter.kept(batch.rows, &columns)
    }
}

/// The condition of a step over what it reads.
pub(super) fn condition_of(
    pipeline: &config::Pipeline,
    step: &config::Step,
    condition: &Condition,
    flow: &Flow,
) -> Result<Filter, String> {
    Filter::new(condition, |field| flow.kind_of(pipeline, field))
        .map_err(|error| format!("step `{}`: where: {error}", step.name))
}
