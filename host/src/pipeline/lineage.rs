//! Which plugins a sink's records passed, as their header says.
//!
//! The text is one for all records of an epoch, since versions change at barriers: a record is written in the epoch in which its step saw it, and every
//! step before that one saw it in the same epoch.

use super::plan::StepPlan;
use super::upgrade::plugin_plan;
use crate::config::{Input, Pipeline};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The way of one sink's records.
#[derive(Debug)]
pub(super) struct Lineage {
    /// The steps before the sink, in the order in which a record passes them.
    steps: Vec<usize>,
    /// Another text, from an epoch on.
    next: Option<(u64, String)>,
}

impl Lineage {
    /// For a sink that asks for it.
    pub(super) fn new(pipeline: &Pipeline, sink: usize) -> Option<Lineage> {
        let sink = pipeline.sinks.get(sink).filter(|it| it.lineage)?;
        let mut steps = BTreeSet::new();
        let mut open = vec![&sink.from];
        while let Some(from) = open.pop() {
            let Input::Step(step, _) = from else { continue };
            if steps.insert(*step) {
                let step = &pipeline.steps[*step];
                open.push(&step.from);
                open.extend(step.with());
            }
        }
        // Each step comes after what it reads.
        Some(Lineage { steps: steps.into_iter().collect(), next: None })
    }

    /// What a record says, with the plans of the steps.
    pub(super) fn text<'a>(&self, plan_of: impl Fn(usize) -> &'a Arc<StepPlan>) -> String {
        let step = |it: &usize| {
            let plan = plan_of(*it);
            plugin_plan(&plan.operation).map(|plugin| format!("{}={}", plan.name, plugin.plugin.digest()))
        };
        self.steps.iter().filter_map(step).collect::<Vec<_>>().join(",")
    }

    /// `step` has another plan from `epoch` on.
    pub(super) fn change<'a>(&mut self, step: usize, epoch: u64, plan_of: impl Fn(usize) -> &'a Arc<StepPlan>) {
        if self.steps.contains(&step) {
            self.next = Some((epoch, self.text(plan_of)));
        }
    }

    /// What records say from here on, where `epoch` is the first in which that is something else.
    pub(super) fn of(&mut self, epoch: u64) -> Option<String> {
        self.next.take_if(|it| it.0 <= epoch).map(|it| it.1)
    }
}
