//! What is known of a stream while a pipeline is planned, before anybody has said which fields are wanted of it.

use super::kinds::declared;
use crate::column::Kind;
use crate::config::{self, Input};
use crate::join::Side;
use crate::schema::Field;
use std::sync::Arc;

/// A stream: the source whose raw records it carries, and the columns made so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// The source whose records its rows still are, with all their fields.
    pub raw: Option<usize>,
    /// The fields that steps made. They hide the record's own fields of their names.
    pub made: Vec<(Arc<str>, Kind)>,
    /// The inputs of the join whose rows they are: each of their fields can be had.
    pub sides: Option<Arc<[Flow; 2]>>,
}

/// The output of a window step that late records go to.
pub(super) const LATE_PORT: &str = "late";

/// The names of the sides of a joined row; also those of its fields that hold a side as a whole.
pub(super) const SIDES: [&str; 2] = ["left", "right"];

/// What a field of a joined row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SideField<'a> {
    /// A side as a whole, as JSON.
    Whole(Side),
    /// A field of a side.
    Field(Side, &'a str),
}

/// Reads `left`, `right.x` and so on; none where it is neither.
pub(super) fn side_field(field: &str) -> Option<SideField<'_>> {
    [Side::Left, Side::Right].into_iter().find_map(|side| match field.strip_prefix(SIDES[side.index()])? {
        "" => Some(SideField::Whole(side)),
        rest => rest.strip_prefix('.').map(|it| SideField::Field(side, it)),
    })
}

impl Flow {
    /// True where more fields can be had than are listed.
    pub(super) fn is_open(&self) -> bool {
        self.raw.is_some() || self.sides.is_some()
    }

    /// True for a field that is there, or may be in the records.
    pub(super) fn has(&self, field: &str) -> bool {
        let of_side = |sides: &[Flow; 2]| match side_field(field) {
            Some(SideField::Field(side, field)) => sides[side.index()].has(field),
            whole => whole.is_some(),
        };
        self.made.iter().any(|it| &*it.0 == field) || self.raw.is_some() || self.sides.as_deref().is_some_and(of_side)
    }

    /// The kind that a field has or was declared to have; none where that is not known, and where there is no such field.
    pub(super) fn kind_of(&self, pipeline: &config::Pipeline, field: &str) -> Option<Kind> {
        self.made_kind(field).or_else(|| match (&self.sides, side_field(field)) {
            (Some(sides), Some(SideField::Field(side, field))) => sides[side.index()].kind_of(pipeline, field),
            (Some(_), whole) => whole.map(|_| Kind::Json),
            (None, _) => declared(pipeline, self.raw, field),
        })
    }

    /// The kind of a field that a step made, on either way to a joined row; none for those of the records themselves.
    pub(super) fn made_kind(&self, field: &str) -> Option<Kind> {
        let made = self.made.iter().find(|it| &*it.0 == field).map(|it| it.1);
        made.or_else(|| match (&self.sides, side_field(field)?) {
            (Some(sides), SideField::Field(side, field)) => sides[side.index()].made_kind(field),
            _ => None,
        })
    }

    /// Says that there is no such field, and which ones there are.
    pub(super) fn lacks(&self, who: &str, field: &str) -> String {
        if let Some(sides) = &self.sides {
            return match side_field(field) {
                Some(SideField::Field(side, field)) => {
                    let what = format!("{who}: the {} input of the join", SIDES[side.index()]);
                    sides[side.index()].lacks(&what, field)
                }
                _ => format!(
                    "{who} reads the field `{field}`, but a joined row has fields of its two inputs: write `left.{field}` or \
                     `right.{field}`"
                ),
            };
        }
        let names = self.made.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ");
        let near = self.made.iter().map(|it| (strsim::jaro_winkler(&it.0, field), &it.0));
        let near = near.filter(|it| it.0 > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = near.map(|it| format!(": did you mean `{}`?", it.1)).unwrap_or_default();
        format!("{who} reads the field `{field}`, but what it reads from has only {names}{hint}")
    }
}

/// One output of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct FlowPort {
    /// Its name.
    pub name: String,
    /// The fields that a plugin's port declares; empty where rows pass unchanged.
    pub fields: Vec<Field>,
    /// What comes out of it.
    pub flow: Flow,
    /// How many of the flow's made fields, the last ones, this very step makes; the others pass through it.
    pub own: usize,
}

impl FlowPort {
    /// A port through which rows pass, with fields added at the end.
    pub(super) fn passing(flow: Flow, own: usize) -> Self {
        FlowPort { flow, own, ..FlowPort::default() }
    }

    /// A port of rows that the step makes.
    pub(super) fn making(made: Vec<(Arc<str>, Kind)>) -> Self {
        FlowPort { own: made.len(), flow: Flow { made, ..Flow::default() }, ..FlowPort::default() }
    }
}

/// What `input` names: its flow. `ports` are the outputs of the steps so far.
///
/// # Errors
/// A port that the step does not have.
pub(super) fn flow_of(pipeline: &config::Pipeline, ports: &[&[FlowPort]], input: &Input) -> Result<Flow, String> {
    let (step, port) = match input {
        Input::Source(source) => return Ok(Flow { raw: Some(*source), ..Flow::default() }),
        Input::Step(step, port) => (*step, port),
    };
    let ports = ports[step];
    let found = match port {
        None => ports.first(),
        Some(name) => ports.iter().find(|it| &it.name == name),
    };
    let names = || ports.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ");
    let name = &pipeline.steps[step].name;
    found.map(|it| it.flow.clone()).ok_or_else(|| match port.as_deref() {
        Some(LATE_PORT) => format!("`{name}.{LATE_PORT}` has no records: say late = \"side-output\" in step `{name}`"),
        _ => format!(
            "`{name}.{}` is no output of step `{name}`: its plugin has {}",
            port.as_deref().unwrap_or_default(),
            names()
        ),
    })
}
