//! The plan: a checked pipeline turned into what a worker runs. Which columns each source decodes, what each stream looks
//! like, who reads it, and where a re-keying stands between two steps.
//!
//! Planned backwards: a field is decoded only if a step or a sink reads it somewhere down the stream.

use super::conditions::{FilterPlan, condition_of};
use super::error::PipelineError;
use super::flow::{Flow, SIDES};
use super::kinds::{gap_kind, input_kind, rank_kind};
use super::plan_forward::{Forward, flow_of, forward};
use super::plan_join::{self, JoinPlan};
use super::plan_tables;
use super::reads::{Pick, Read};
use crate::column::{Column, Kind};
use crate::config::{self, Aggregate, Emit, Fold, Format, Input, Operation, Window};
use crate::join::Side;
use crate::plugin::{Opened, Plugin, PluginEngine};
use crate::schema::{Field, Shape, ShapeColumn, Slot};
use std::sync::Arc;

/// A field and the kind in which somebody wants it.
pub(super) type Wanted = (Arc<str>, Kind);

/// Who reads a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A step, by index, and which of its inputs.
    Step(usize, Side),
    /// A sink, by index.
    Sink(usize),
}

/// A stream: what its batches look like and who reads them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// What the batches look like.
    pub shape: Shape,
    /// Its readers.
    pub targets: Vec<Target>,
}

/// A source and the fields to decode.
#[derive(Clone, Debug)]
pub(super) struct SourcePlan {
    /// The columns to decode, in the order of the stream's shape.
    pub wanted: Vec<Wanted>,
    /// Its stream.
    pub stream: Stream,
}

/// One output of a step.
#[derive(Clone, Debug)]
pub(super) struct PortPlan {
    /// The port's name.
    pub name: String,
    /// Columns of the step's input that go on, by index; then come the columns that the step made.
    pub carry: Vec<usize>,
    /// The fields that a plugin's port declares; empty where rows pass unchanged.
    pub fields: Vec<Field>,
    /// Which of the columns that the step makes go on, in which order; none for all as they are.
    pub select: Option<Vec<usize>>,
    /// Its stream.
    pub stream: Stream,
}

impl PortPlan {
    /// The columns of `made` that go on.
    pub(super) fn selected(&self, made: Vec<Column>) -> Vec<Column> {
        match &self.select {
            None => made,
            Some(select) => select.iter().map(|&it| made[it].clone()).collect(),
        }
    }
}

/// A plugin as a step needs it.
#[derive(Clone)]
pub(super) struct PluginPlan {
    /// The compiled component.
    pub plugin: Plugin,
    /// Config and limits.
    pub options: config::PluginOptions,
    /// What it answered to `open`.
    pub opened: Opened,
    /// Where each field that it reads comes from.
    pub reads: Vec<Read>,
    /// The fields that a record must have, as (position in `reads`, path, kind).
    pub required: Vec<(usize, Arc<str>, Kind)>,
}

impl PluginPlan {
    /// The version of the state that the plugin reads and writes.
    pub(super) fn state_version(&self) -> u32 {
        self.opened.spec.state_version
    }
}

/// What a step does.
#[derive(Clone)]
pub(super) enum OperationPlan {
    /// A stateless plugin.
    Transform(PluginPlan),
    /// A keyed plugin.
    Keyed(PluginPlan),
    /// Tumbling, hopping or session windows, or rolling ones, with built-in aggregates.
    Window {
        /// The assigner.
        window: Window,
        /// The aggregates, with the kind of each one's input.
        aggregates: Vec<(Aggregate, Kind)>,
        /// The inputs and the fields that they are: one for each aggregate that has a field.
        inputs: Vec<(Arc<str>, Pick)>,
        /// Where a record's own gap is.
        gap: Option<Pick>,
        /// When results go on.
        emit: Emit,
    },
    /// Windows whose accumulators a plugin keeps.
    WindowPlugin {
        /// The assigner.
        window: Window,
        /// The plugin.
        plugin: PluginPlan,
        /// Where a record's own gap is.
        gap: Option<Pick>,
        /// When results go on.
        emit: Emit,
    },
    /// Windows of which the best records go on.
    Top {
        /// The assigner.
        window: Window,
        /// What is best.
        top: config::Top,
        /// The field that ranks.
        by: Pick,
        /// The columns of the input that go on.
        columns: Vec<usize>,
        /// Where a record's own gap is.
        gap: Option<Pick>,
        /// When results go on.
        emit: Emit,
    },
    /// Two inputs become one.
    Join(Box<JoinPlan>),
    /// A part of a join of two tables.
    Tables(config::TablesPart, Box<JoinPlan>),
    /// The records that repeat none.
    Dedupe {
        /// How far apart records are that do not repeat each other, ms.
        within_ms: i64,
    },
    /// Renames and drops fields; none where records pass as they are.
    Select(Option<Vec<Pick>>),
}

/// A step.
#[derive(Clone)]
pub(super) struct StepPlan {
    /// Its name.
    pub name: String,
    /// Which records it reads; none for all.
    pub filter: Option<FilterPlan>,
    /// The columns that make its key; none where the step is not keyed and reads batches where they are.
    pub key: Option<Vec<Pick>>,
    /// The names of the key's fields.
    pub key_names: Vec<Arc<str>>,
    /// What it does.
    pub operation: OperationPlan,
    /// What it reads looks like this.
    pub input: Shape,
    /// Its outputs; at least one.
    pub ports: Vec<PortPlan>,
    /// What becomes of records that are too late for it.
    pub late: config::Late,
    /// The source whose records it may still hold raw, for messages.
    pub source: Option<usize>,
    /// How much earlier than its own the watermark is that its readers hear of, ms.
    pub hold_ms: i64,
    /// How long after its last use a key's state is kept, ms.
    pub state_ttl_ms: Option<i64>,
    /// Whether records have the time at which they come to it.
    pub processing_time: bool,
}

/// A sink and what it reads.
#[derive(Clone, Debug)]
pub(super) struct SinkPlan {
    /// Its name.
    pub name: String,
    /// What its batches look like.
    pub shape: Shape,
}

/// A whole pipeline, ready to be instantiated by each worker.
#[derive(Clone)]
pub(super) struct Plan {
    /// The sources, as in the file.
    pub sources: Vec<SourcePlan>,
    /// The steps; each after what it reads from.
    pub steps: Vec<StepPlan>,
    /// The sinks, as in the file.
    pub sinks: Vec<SinkPlan>,
}

/// Plans `pipeline`, loading and opening its plugins. The error says everything that is wrong, one line each.
pub(super) fn plan(pipeline: &config::Pipeline, engine: &PluginEngine) -> Result<Plan, PipelineError> {
    let forward = forward(pipeline, engine)?;
    let mut planner = Planner {
        pipeline,
        wanted_of_ports: forward.iter().map(|it| vec![Vec::new(); it.ports.len()]).collect(),
        forward,
        wanted_of_sources: vec![Vec::new(); pipeline.sources.len()],
        errors: Vec::new(),
    };
    planner.demand();
    if !planner.errors.is_empty() {
        return Err(PipelineError::config(planner.errors));
    }
    let plan = planner.build()?;
    let errors: Vec<String> = (0..pipeline.sources.len()).filter_map(|it| plan.without_time(pipeline, it)).collect();
    if errors.is_empty() { Ok(plan) } else { Err(PipelineError::config(errors)) }
}

/// The backward pass; the building is in `plan_build`.
pub(super) struct Planner<'a> {
    /// What is planned.
    pub pipeline: &'a config::Pipeline,
    /// What comes out of each step.
    pub forward: Vec<Forward>,
    /// The columns wanted of each source.
    pub wanted_of_sources: Vec<Vec<Wanted>>,
    /// The columns wanted of each step's ports, beside those that it makes.
    pub wanted_of_ports: Vec<Vec<Vec<Wanted>>>,
    /// What is wrong with it.
    pub errors: Vec<String>,
}

impl Planner<'_> {
    pub(super) fn flow(&self, input: &Input) -> Flow {
        // The forward pass has already refused a port that is not there.
        flow_of(self.pipeline, &self.forward, input).unwrap_or_default()
    }

    pub(super) fn port_index(&self, step: usize, port: Option<&str>) -> usize {
        port.and_then(|name| self.forward[step].ports.iter().position(|it| it.name == name)).unwrap_or(0)
    }

    fn wanted(&mut self, input: &Input) -> &mut Vec<Wanted> {
        match input {
            Input::Source(source) => &mut self.wanted_of_sources[*source],
            Input::Step(step, port) => {
                let port = self.port_index(*step, port.as_deref());
                &mut self.wanted_of_ports[*step][port]
            }
        }
    }

    /// Asks for `field` of a stream in `kind`. Made columns are there anyway; others are asked of what carries the record.
    pub(super) fn want(&mut self, who: &str, input: &Input, field: &Arc<str>, kind: Kind) {
        let flow = self.flow(input);
        if flow.made.iter().any(|it| it.0 == *field) {
            return;
        }
        if !flow.has(field) {
            self.errors.push(flow.lacks(who, field));
            return;
        }
        if let Some(source) = flow.raw.filter(|it| self.pipeline.sources[*it].format == Format::Raw) {
            self.errors.push(format!(
                "{who} reads the field `{field}`, but source `{}` has format = \"raw\": set format = \"json\"",
                self.pipeline.sources[source].name
            ));
            return;
        }
        let wanted = self.wanted(input);
        if !wanted.iter().any(|it| it.0 == *field && it.1 == kind) {
            wanted.push((Arc::clone(field), kind));
        }
    }

    /// Asks for all of a stream: only joined rows do not have it anyway.
    pub(super) fn want_whole(&mut self, who: &str, input: &Input) {
        if self.flow(input).sides.is_some() {
            SIDES.iter().for_each(|it| self.want(who, input, &Arc::from(*it), Kind::Json));
        }
    }

    /// The kind in which `select` takes a field.
    pub(super) fn select_kind(&self, flow: &Flow, field: &str) -> Kind {
        flow.kind_of(self.pipeline, field).unwrap_or(Kind::Json)
    }

    fn demand(&mut self) {
        let pipeline = self.pipeline;
        for sink in &pipeline.sinks {
            let who = format!("sink `{}`", sink.name);
            if let Err(error) = flow_of(pipeline, &self.forward, &sink.from) {
                self.errors.push(format!("{who}: {error}"));
                continue;
            }
            let flow = self.flow(&sink.from);
            if sink.select.is_none() {
                self.want_whole(&who, &sink.from);
            }
            for (_, field) in sink.select.iter().flatten() {
                let kind = self.select_kind(&flow, field);
                self.want(&who, &sink.from, field, kind);
            }
            if sink.format == Format::Raw && flow.raw.is_none() {
                self.errors.push(format!("{who}: format = \"raw\" writes records as they came, but what it reads made new ones: set format = \"json\""));
            }
        }
        for index in (0..pipeline.steps.len()).rev() {
            self.demand_of_step(index);
        }
    }

    fn demand_of_step(&mut self, index: usize) {
        let pipeline = self.pipeline;
        let step = &pipeline.steps[index];
        let who = format!("step `{}`", step.name);
        for key in &step.key {
            self.want(&who, &step.from, key, Kind::Json);
        }
        self.refuse_upserts(step, &who);
        if matches!(step.operation, Operation::Join(_) | Operation::Tables(_)) {
            return self.demand_of_join(index, &who);
        }
        let flow = self.flow(&step.from);
        if let Some(condition) = &step.condition {
            match condition_of(pipeline, step, condition, &flow) {
                Ok(filter) => {
                    filter.reads().iter().for_each(|(field, kind)| self.want(&who, &step.from, field, *kind));
                }
                Err(error) => self.errors.push(error),
            }
        }
        self.demand_of_plugin(index, &who, &flow);
        for (field, kind) in self.read_by(step, &flow) {
            self.want(&who, &step.from, &field, kind);
        }
        // What is wanted of records that pass through this step is wanted of what it reads.
        for port in 0..self.forward[index].ports.len() {
            if self.forward[index].ports[port].flow.is_open() {
                for (field, kind) in self.wanted_of_ports[index][port].clone() {
                    self.want(&who, &step.from, &field, kind);
                }
            }
        }
    }

    /// The results of one step that replace each other are nothing that another step could take in.
    fn refuse_upserts(&mut self, step: &config::Step, who: &str) {
        for input in [&step.from].into_iter().chain(step.with()) {
            let Input::Step(from, None) = input else { continue };
            let from = &self.pipeline.steps[*from];
            if plan_tables::replaces(&from.operation) {
                self.errors.push(format!(
                    "{who} reads `{}`, whose results replace each other: they go to sinks only",
                    from.name
                ));
            }
        }
    }

    fn demand_of_plugin(&mut self, index: usize, who: &str, rows: &Flow) {
        let Some((_, opened)) = &self.forward[index].plugin else { return };
        for field in opened.spec.reads.clone() {
            if let Slot::Field(name) = &field.slot {
                if let Some(problem) = plan_join::not_a_side(rows, name, field.kind) {
                    self.errors.push(format!("{who}: its plugin reads {problem}"));
                }
                self.want(who, &self.pipeline.steps[index].from, name, field.kind);
            }
        }
    }

    /// What the step itself reads of its records, beside key, condition and plugin.
    fn read_by(&self, step: &config::Step, flow: &Flow) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        if let Operation::Window { window, fold, .. } = &step.operation {
            match fold {
                Fold::Builtin(aggregates) => wanted.extend(aggregates.iter().filter_map(|it| {
                    let kind = input_kind(self.pipeline, flow, it);
                    it.field.as_ref().map(|field| (Arc::clone(field), kind))
                })),
                Fold::Top(top) => wanted.push((Arc::clone(&top.by), rank_kind(self.pipeline, flow, &top.by))),
                Fold::Plugin(_) => {}
            }
            if let Window::Session { gap_field: Some(field), .. } = window {
                wanted.push((Arc::clone(field), gap_kind(flow, field)));
            }
        }
        if let (Operation::Select, Some(select)) = (&step.operation, &step.select) {
            wanted.extend(select.iter().map(|(_, field)| (Arc::clone(field), self.select_kind(flow, field))));
        }
        wanted
    }

    pub(super) fn shape(&self, input: &Input) -> Shape {
        let flow = self.flow(input);
        let wanted = match input {
            Input::Source(source) => &self.wanted_of_sources[*source],
            Input::Step(step, port) => &self.wanted_of_ports[*step][self.port_index(*step, port.as_deref())],
        };
        let projected = wanted.iter().map(|it| plan_join::projected(&flow, it));
        let made = flow.made.iter().map(|it| ShapeColumn { name: Arc::clone(&it.0), kind: it.1, made: true });
        Shape { raw: flow.raw.is_some(), columns: projected.chain(made).collect() }
    }

    pub(super) fn targets(&self, is: impl Fn(&Input) -> bool) -> Vec<Target> {
        let steps = self.pipeline.steps.iter().enumerate();
        let sinks = self.pipeline.sinks.iter().enumerate();
        let lefts = steps.clone().filter(|it| is(&it.1.from)).map(|it| Target::Step(it.0, Side::Left));
        let joins = |step: &config::Step| step.with().is_some_and(&is);
        let rights = steps.filter(|it| joins(it.1)).map(|it| Target::Step(it.0, Side::Right));
        lefts.chain(rights).chain(sinks.filter(|it| is(&it.1.from)).map(|it| Target::Sink(it.0))).collect()
    }
}
