//! What a step reads and writes: slots, fields and ports as the boundary declares them, and the shape of a stream.
//!
//! Decided when a pipeline is planned; nothing here is looked up per record.

use crate::column::Kind;
use std::sync::Arc;

/// Where a column's values come from, or go to (`slot` in `wit/wasmill.wit`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// A field of the record's decoded value, by name; nested fields are joined by dots (`card.country`).
    Field(Arc<str>),
    /// The whole value, undecoded.
    Value,
    /// The record's key; in a keyed step or a window, the step's key.
    Key,
    /// Event time, ms since the Unix epoch.
    Time,
    /// A header, by name.
    Header(Arc<str>),
    /// Source topic. Read only.
    Topic,
    /// Source partition. Read only.
    Partition,
    /// Source offset. Read only.
    Offset,
    /// Start of the window, ms since the Unix epoch, inclusive. Read only.
    WindowStart,
    /// End of the window, ms since the Unix epoch, exclusive. Read only.
    WindowEnd,
}

/// One field that a plugin reads, or that a port carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where its values come from.
    pub slot: Slot,
    /// What they are. Never [`Kind::Number`].
    pub kind: Kind,
    /// A record that lacks it, or holds another kind there, is dead-lettered before it reaches the plugin.
    pub required: bool,
}

/// An output of a plugin. Port 0 is the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// What a pipeline file calls it: `from = "step.NAME"`.
    pub name: String,
    /// The fields of rows that are not passed on unchanged; empty for a port that only passes on.
    pub fields: Vec<Field>,
}

/// What `open` answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The fields that the plugin reads, in the order of a batch's columns.
    pub reads: Vec<Field>,
    /// Its outputs; at least one.
    pub ports: Vec<Port>,
    /// Version of the state or accumulator format.
    pub state_version: u32,
}

/// One column of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeColumn {
    /// The field's name; nested fields are joined by dots.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Kind,
    /// False for a projection of the raw record's value (it is in those bytes already); true for a field that a step
    /// made, which a sink has to write.
    pub made: bool,
}

/// What every batch of a stream looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// True when rows carry the raw record that they were read from.
    pub raw: bool,
    /// The batch's columns, in order.
    pub columns: Vec<ShapeColumn>,
}

impl Shape {
    /// Where the column `name` of `kind` is.
    pub fn find(&self, name: &str, kind: Kind) -> Option<usize> {
        self.columns.iter().position(|it| &*it.name == name && it.kind == kind)
    }
}
