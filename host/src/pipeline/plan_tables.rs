//! The plan of a join of two tables: three steps, between which rows travel as bytes that only the last one reads.

use super::flow::{Flow, FlowPort};
use super::plan::Planner;
use super::plan_join;
use crate::column::Kind;
use crate::config::{Emit, Firing, Input, Operation, Tables, TablesPart};
use std::sync::Arc;

/// The columns of [`crate::join::tables::Instructions`], in order. The first one is the key by which they travel.
const INSTRUCTIONS: [(&str, Kind); 5] = [
    ("foreign", Kind::Bytes),
    ("own", Kind::Bytes),
    ("version", Kind::S64),
    ("instruction", Kind::S64),
    ("row", Kind::Bytes),
];

/// The columns of [`crate::join::tables::Answers`], in order. The first one is the key by which they travel.
const ANSWERS: [(&str, Kind); 4] =
    [("own", Kind::Bytes), ("version", Kind::S64), ("left", Kind::Bytes), ("right", Kind::Bytes)];

/// The output of a part of a join of two tables.
pub(super) fn port(tables: &Tables, flow_of: impl Fn(&Input) -> Result<Flow, String>) -> Result<FlowPort, String> {
    let making =
        |columns: &[(&str, Kind)]| FlowPort::making(columns.iter().map(|it| (Arc::from(it.0), it.1)).collect());
    Ok(match tables.part {
        TablesPart::Changes => making(&INSTRUCTIONS),
        TablesPart::Matches => making(&ANSWERS),
        TablesPart::Results => plan_join::port(&tables.join, [flow_of(&tables.left)?, flow_of(&tables.join.with)?]),
    })
}

/// True for a step whose rows replace each other by their record keys, and end with tombstones.
pub(super) fn replaces(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Window { emit: Emit::Repeatedly(Firing { upsert: true, .. }), .. }
            | Operation::Tables(Tables { part: TablesPart::Results, .. })
    )
}

impl Planner<'_> {
    /// The last part of the join of which step `index` is a part.
    pub(super) fn result_of(&self, mut index: usize) -> usize {
        let steps = &self.pipeline.steps;
        let part = |it: &Operation| if let Operation::Tables(tables) = it { Some(tables.part) } else { None };
        while part(&steps[index].operation).is_some_and(|it| it != TablesPart::Results) {
            let next = |it: &&crate::config::Step| {
                it.from == Input::Step(index, None) && part(&it.operation).is_some_and(|it| it != TablesPart::Changes)
            };
            let Some(next) = steps.iter().position(|it| next(&it)) else { break };
            index = next;
        }
        index
    }
}
