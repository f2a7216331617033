//! In which kinds fields are read and written by steps.

use super::flow::Flow;
use crate::column::Kind;
use crate::config::{self, Aggregate, Function};

/// The kind that the source declares for a field.
pub(super) fn declared(pipeline: &config::Pipeline, source: Option<usize>, field: &str) -> Option<Kind> {
    let source = &pipeline.sources[source?];
    source.schema.iter().find(|(name, _)| &**name == field).map(|(_, kind)| *kind)
}

/// The kind in which a built-in aggregate reads its field.
pub(super) fn input_kind(pipeline: &config::Pipeline, input: &Flow, aggregate: &Aggregate) -> Kind {
    let Some(field) = &aggregate.field else { return Kind::S64 };
    let any = keeps_values(aggregate.function);
    match input.made_kind(field) {
        Some(Kind::Json) if !any => Kind::Number,
        Some(kind) => kind,
        None if any => Kind::Json,
        None => input.kind_of(pipeline, field).unwrap_or(Kind::Number),
    }
}

/// True for aggregates that take a value as it is, of whatever kind.
pub(super) fn keeps_values(function: Function) -> bool {
    matches!(function, Function::First | Function::Last | Function::Distinct | Function::Collect)
}

/// The kind of what a built-in aggregate writes.
pub(super) fn output_kind(aggregate: &Aggregate, input: Kind) -> Kind {
    match aggregate.function {
        Function::Count | Function::Distinct => Kind::S64,
        Function::First | Function::Last | Function::Collect => Kind::Json,
        Function::Avg | Function::Percentile { .. } => Kind::F64,
        Function::Sum | Function::Min | Function::Max => input,
    }
}

/// The kind in which `top` reads the field that ranks.
pub(super) fn rank_kind(pipeline: &config::Pipeline, input: &Flow, field: &str) -> Kind {
    match input.made_kind(field) {
        Some(Kind::Json) => Kind::Number,
        Some(kind) => kind,
        None => input.kind_of(pipeline, field).unwrap_or(Kind::Number),
    }
}

/// The kind in which a session window reads a record's own gap.
pub(super) fn gap_kind(input: &Flow, field: &str) -> Kind {
    input.made_kind(field).unwrap_or(Kind::S64)
}
