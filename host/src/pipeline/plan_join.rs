//! The plan of a join: which columns each input hands over, what is kept of them, and what a joined row is made of.

use super::conditions::condition_of;
use super::flow::{Flow, FlowPort, SIDES, SideField, side_field};
use super::plan::{Planner, Wanted};
use super::reads::Pick;
use crate::column::Kind;
use crate::config::{self, Format, Input, Join, JoinKind, JoinWindow, Operation, Tables, TablesPart};
use crate::join::{Interval, Side};
use crate::schema::{Shape, ShapeColumn};
use crate::sink::encode::Encoder;
use std::sync::Arc;

/// A join as a step needs it.
#[derive(Clone)]
pub(super) struct JoinPlan {
    /// What is joined.
    pub join: Join,
    /// What each input hands over.
    pub sides: [SidePlan; 2],
    /// The columns of the left table's own key, in a join of two tables.
    pub own: Vec<Pick>,
    /// The columns of a joined row, before `where` and `select`.
    pub columns: Vec<RowColumn>,
    /// How many of these go on, the first ones; the others are only for `where`.
    pub out: usize,
}

/// One input of a join.
#[derive(Clone)]
pub(super) struct SidePlan {
    /// What its batches look like.
    pub input: Shape,
    /// The columns of its key.
    pub key: Vec<Pick>,
    /// What is kept of its records.
    pub columns: Vec<SideColumn>,
    /// The source whose records it may still hold raw, for messages.
    pub source: Option<usize>,
}

/// Where a column of a joined row comes from.
#[derive(Clone, Copy)]
pub(super) enum RowColumn {
    /// A side, and the place in its columns.
    Of(Side, usize),
    /// The first millisecond of the window that the two share.
    WindowStart,
    /// The end of that window, exclusive.
    WindowEnd,
}

/// The fields that a join within windows adds to its rows.
pub(super) const WINDOW_FIELDS: [&str; 2] = ["window_start", "window_end"];

/// The fields that a join adds to those of its two inputs.
pub(super) fn made_by(join: &Join) -> Vec<Wanted> {
    match join.kind {
        JoinKind::Window(_) => WINDOW_FIELDS.iter().map(|it| (Arc::from(*it), Kind::S64)).collect(),
        JoinKind::Within { .. } | JoinKind::AsOf | JoinKind::Latest | JoinKind::Tables => Vec::new(),
    }
}

/// One thing that is kept of a record.
#[derive(Clone)]
pub(super) enum SideColumn {
    /// A column.
    Field(Pick),
    /// The whole record, as a sink would write it.
    Whole(Arc<Encoder>),
}

impl SideColumn {
    /// What it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            SideColumn::Field(pick) => pick.kind,
            SideColumn::Whole(_) => Kind::Json,
        }
    }
}

impl JoinPlan {
    /// How much earlier than its own the watermark is that the step's readers hear of, ms.
    pub(super) fn hold_ms(&self) -> i64 {
        match self.join.kind {
            JoinKind::Within { before_ms, after_ms } => Interval::new(before_ms, after_ms, self.join.keeps).hold_ms(),
            JoinKind::Window(_) | JoinKind::AsOf | JoinKind::Latest | JoinKind::Tables => 0,
        }
    }

    /// What shapes the step's state, as text.
    pub(super) fn signature(&self) -> String {
        let kind = match self.join.kind {
            JoinKind::Within { before_ms, after_ms } => format!("within before={before_ms}ms after={after_ms}ms"),
            JoinKind::Window(JoinWindow::Aligned { size_ms, slide_ms, offset_ms }) => {
                format!("within size={size_ms}ms slide={slide_ms}ms offset={offset_ms}ms")
            }
            JoinKind::Window(JoinWindow::Session { gap_ms }) => format!("within session={gap_ms}ms"),
            JoinKind::AsOf => "as-of event-time".to_owned(),
            JoinKind::Latest => "as-of latest".to_owned(),
            JoinKind::Tables => format!("tables key={}", self.join.key.join(",")),
        };
        let keeps = match self.join.keeps {
            [false, false] => "inner",
            [true, false] => "left",
            _ => "outer",
        };
        let on = self.join.on.iter().map(|(left, right)| format!("{left}={right}")).collect::<Vec<_>>().join(",");
        let columns = |side: Side| {
            let SidePlan { input, columns, .. } = &self.sides[side.index()];
            let column = |it: &SideColumn| match it {
                SideColumn::Field(pick) => {
                    let name = input.columns.get(pick.index).map_or("", |it| &*it.name);
                    format!("{name}:{}", pick.kind.name())
                }
                SideColumn::Whole(_) => "*".to_owned(),
            };
            format!("{}({})", SIDES[side.index()], columns.iter().map(column).collect::<Vec<_>>().join(","))
        };
        format!("join {keeps} {kind} on={on} {} {}", columns(Side::Left), columns(Side::Right))
    }
}

impl Planner<'_> {
    /// A join wants of its inputs what is wanted of its rows.
    pub(super) fn demand_of_join(&mut self, index: usize, who: &str) {
        let Some((join, inputs)) = joined(&self.pipeline.steps[index]) else { return };
        let wanted = match self.wanted_of_rows(index) {
            Ok(wanted) => wanted,
            Err(error) => return self.errors.push(error),
        };
        for field in &join.key {
            self.want(who, inputs[0], field, Kind::Json);
        }
        for (side, input) in [Side::Left, Side::Right].into_iter().zip(inputs) {
            for (left, right) in &join.on {
                self.want(who, input, if side == Side::Left { left } else { right }, Kind::Json);
            }
            for (field, kind) in wanted_of_side(&wanted, side) {
                match field {
                    Some(field) => self.want(who, input, &Arc::from(field), kind),
                    None => self.want_whole(who, input),
                }
            }
        }
    }

    /// The columns that a join's rows have: first those that go on, then those that only its condition reads.
    pub(super) fn wanted_of_rows(&self, index: usize) -> Result<Vec<Wanted>, String> {
        let step = &self.pipeline.steps[index];
        let rows = self.rows_of(step);
        let mut wanted: Vec<Wanted> = match &step.select {
            None => self.wanted_of_ports[index][0].iter().chain(&rows.made).cloned().collect(),
            Some(select) => select.iter().map(|(_, it)| (Arc::clone(it), self.select_kind(&rows, it))).collect(),
        };
        if let Some(condition) = &step.condition {
            for read in condition_of(self.pipeline, step, condition, &rows)?.reads() {
                if !rows.has(&read.0) {
                    return Err(rows.lacks(&format!("step `{}`: where", step.name), &read.0));
                }
                if !wanted.contains(read) {
                    wanted.push(read.clone());
                }
            }
        }
        Ok(wanted)
    }

    /// What a step's condition is over: what it reads, or the rows of its join.
    pub(super) fn rows_of(&self, step: &config::Step) -> Flow {
        match joined(step) {
            Some((join, inputs)) => rows_of(join, inputs.map(|it| self.flow(it))),
            None => self.flow(&step.from),
        }
    }

    pub(super) fn build_join(&self, index: usize, join: &config::Join) -> Result<JoinPlan, String> {
        let step = &self.pipeline.steps[index];
        let wanted = self.wanted_of_rows(index)?;
        let inputs = joined(step).map_or([&step.from, &join.with], |it| it.1);
        let kinds = |(left, right): &(Arc<str>, Arc<str>)| {
            let kinds = [(0, left), (1, right)].map(|(at, it)| self.flow(inputs[at]).kind_of(self.pipeline, it));
            check_kinds(&step.name, (left, right), kinds)
        };
        join.on.iter().try_for_each(kinds)?;
        let side = |side: Side| {
            let input = self.shape(inputs[side.index()]);
            let pick = |field: &str, kind: Kind| {
                Pick::find(&input, field, kind)
                    .ok_or_else(|| format!("step `{}`: `{field}` cannot be read as {}", step.name, kind.name()))
            };
            let on = join.on.iter().map(|(left, right)| if side == Side::Left { left } else { right });
            Ok::<_, String>(SidePlan {
                key: on.map(|it| pick(it, Kind::Json)).collect::<Result<_, _>>()?,
                columns: side_columns(&input, &wanted, side, pick)
                    .map_err(|error| format!("step `{}`: {error}", step.name))?,
                source: self.flow(inputs[side.index()]).raw,
                input: input.clone(),
            })
        };
        let out = match &step.select {
            None => self.wanted_of_ports[index][0].len() + made_by(join).len(),
            Some(select) => select.len(),
        };
        let left = self.shape(inputs[0]);
        let own = join.key.iter().map(|it| {
            Pick::find(&left, it, Kind::Json)
                .ok_or_else(|| format!("step `{}`: `{it}` cannot be read as json", step.name))
        });
        let (own, sides) = (own.collect::<Result<_, _>>()?, [side(Side::Left)?, side(Side::Right)?]);
        Ok(JoinPlan { join: join.clone(), sides, own, columns: joined_columns(&wanted), out })
    }
}

/// The join whose rows a step gives out, with its inputs; none for any other step, and for the parts of a join before the last.
pub(super) fn joined(step: &config::Step) -> Option<(&Join, [&Input; 2])> {
    match &step.operation {
        Operation::Join(join) => Some((join, [&step.from, &join.with])),
        Operation::Tables(Tables { part: TablesPart::Results, left, join }) => Some((join, [left, &join.with])),
        _ => None,
    }
}

/// The rows of a join of two inputs.
fn rows_of(join: &Join, inputs: [Flow; 2]) -> Flow {
    Flow { sides: Some(Arc::new(inputs)), made: made_by(join), ..Flow::default() }
}

/// The output of a join of two inputs.
pub(super) fn port(join: &Join, inputs: [Flow; 2]) -> FlowPort {
    let rows = rows_of(join, inputs);
    let own = rows.made.len();
    FlowPort::passing(rows, own)
}

/// Refuses two fields of declared kinds that can never be equal.
pub(super) fn check_kinds(step: &str, on: (&str, &str), kinds: [Option<Kind>; 2]) -> Result<(), String> {
    let number = |it: Kind| matches!(it, Kind::S64 | Kind::F64 | Kind::Number);
    let text = |it: Kind| matches!(it, Kind::Text | Kind::Bytes);
    match kinds {
        [Some(left), Some(right)]
            if left != Kind::Json
                && right != Kind::Json
                && left != right
                && !(number(left) && number(right))
                && !(text(left) && text(right)) =>
        {
            Err(format!(
                "step `{step}`: join: `{}` of the left input is {}, and `{}` of the right one is {}: they are never equal",
                on.0,
                left.name(),
                on.1,
                right.name()
            ))
        }
        _ => Ok(()),
    }
}

/// The fields that a join must be handed by one of its inputs, from those that are wanted of its rows.
pub(super) fn wanted_of_side(wanted: &[Wanted], side: Side) -> impl Iterator<Item = (Option<&str>, Kind)> {
    wanted.iter().filter_map(move |(field, kind)| match side_field(field)? {
        SideField::Whole(of) => (of == side).then_some((None, *kind)),
        SideField::Field(of, field) => (of == side).then_some((Some(field), *kind)),
    })
}

/// Plans what `side` keeps for the rows' columns `wanted`.
///
/// # Errors
/// A record of it that cannot be written as JSON.
pub(super) fn side_columns(
    input: &Shape,
    wanted: &[Wanted],
    side: Side,
    pick: impl Fn(&str, Kind) -> Result<Pick, String>,
) -> Result<Vec<SideColumn>, String> {
    let column = |(field, kind): (Option<&str>, Kind)| match field {
        Some(field) => pick(field, kind).map(SideColumn::Field),
        None => Encoder::new(input, None, Format::Json)
            .map(|it| SideColumn::Whole(Arc::new(it)))
            .map_err(|error| format!("the {} input cannot be kept as a whole: {error}", SIDES[side.index()])),
    };
    wanted_of_side(wanted, side).map(column).collect()
}

/// Where each of the columns `wanted` is: with the window, or on a side among those that [`side_columns`] planned.
pub(super) fn joined_columns(wanted: &[Wanted]) -> Vec<RowColumn> {
    let mut next = [0; 2];
    let of_row = |field: &str| match side_field(field) {
        Some(SideField::Whole(side) | SideField::Field(side, _)) => {
            next[side.index()] += 1;
            Some(RowColumn::Of(side, next[side.index()] - 1))
        }
        None if field == WINDOW_FIELDS[0] => Some(RowColumn::WindowStart),
        None if field == WINDOW_FIELDS[1] => Some(RowColumn::WindowEnd),
        None => None,
    };
    wanted.iter().map(|(field, _)| &**field).filter_map(of_row).collect()
}

/// Why a field of joined rows cannot be read in a kind: a side as a whole is an object.
pub(super) fn not_a_side(flow: &Flow, name: &str, kind: Kind) -> Option<String> {
    let whole = flow.sides.is_some() && matches!(side_field(name), Some(SideField::Whole(_)));
    (whole && kind != Kind::Json).then(|| {
        format!(
            "`{name}` as {}, but that is a whole record: read it as json, or its fields as `{name}.FIELD`",
            kind.name()
        )
    })
}

/// The columns of a stream of joined rows. A whole side is written by a sink; a field of one is in it already.
pub(super) fn projected(flow: &Flow, (name, kind): &Wanted) -> ShapeColumn {
    let whole = flow.sides.is_some() && matches!(side_field(name), Some(SideField::Whole(_)));
    ShapeColumn { name: Arc::clone(name), kind: *kind, made: whole }
}
