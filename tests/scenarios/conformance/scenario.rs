//! A case as it is run: a pipeline file, what is handed in at each step, and what must come of it.

use serde_json::Value;

/// Why a case is not run.
pub(super) struct Unsupported(pub(super) String);

/// Something handed in.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Records of a source, in one batch, to `input`; none for whichever partition has its turn.
    Records { source: usize, input: Option<i32>, records: Vec<Record> },
    /// The watermark of one partition of a source, or of all.
    Watermark { source: usize, input: Option<i32>, at: i64 },
    /// Whether a partition is idle.
    Idle { input: i32, idle: bool },
    /// A partition that is there from now on, or no longer.
    Assign { input: i32, there: bool },
    /// Processing time.
    Now(u64),
    /// A checkpoint and a new start.
    Restart,
}

/// A record.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Its record key, as JSON.
    pub(super) key: Option<Value>,
    /// The fields of its JSON object; none for a tombstone.
    pub(super) fields: Option<Vec<(&'static str, Value)>>,
    /// Its own timestamp, ms.
    pub(super) timestamp: i64,
}

impl Record {
    /// One that is nothing but fields.
    pub(super) fn of(fields: Vec<(&'static str, Value)>) -> Self {
        Record { fields: Some(fields), ..Record::default() }
    }
}

/// How the order and the step of what is written count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By step, in any order within one.
    Step,
    /// By step and in this order.
    Sequence,
    /// What was written up to a step.
    Block,
    /// All in all.
    Any,
}

/// A row that must be written: the fields that count, by name; of a joined row as `left.NAME` and `right.NAME`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) after_step: usize,
    pub(super) fields: Vec<(String, Value)>,
}

/// What must come of a scenario.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Rows {
        rows: Vec<Row>,
        order: Order,
        /// Rows whose `pane` is `late` may come on top.
        more_late_panes: bool,
        /// Late records, by step, as (key, value, time).
        late: Option<Vec<(usize, Value)>>,
        /// How many records must have been late by the end of a step.
        dropped: Vec<(usize, usize)>,
    },
    /// How many records must have been late by the end of a step, whatever was written.
    Late(Vec<(usize, usize)>),
    /// The watermark and the idleness of the step, by step of the scenario.
    Times(Vec<(usize, Option<i64>, Option<bool>)>),
}

/// One run of a case; some cases are several.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) pipeline: String,
    pub(super) partitions: i32,
    /// How many sources the pipeline has.
    pub(super) sources: usize,
    pub(super) steps: Vec<Vec<Action>>,
    pub(super) expected: Expected,
    /// True where windows that begin before 1970 do not count.
    pub(super) since_1970: bool,
    /// True where a new start is no part of what is shown.
    pub(super) fixed: bool,
    /// On what it was not compared.
    pub(super) notes: Vec<String>,
}
