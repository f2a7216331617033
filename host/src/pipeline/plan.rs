//! The plan: a checked pipeline turned into what a worker runs. Which columns each source decodes, what each stream looks
//! like, who reads it, and where a re-keying stands between two steps.
//!
//! Planned backwards: a field is decoded only if a step or a sink reads it somewhere down the stream.

use super::conditions::{FilterPlan, condition_of};
use super::error::PipelineError;
use super::flow::{self, Flow, FlowPort, LATE_PORT, SIDES};
use super::kinds::{gap_kind, input_kind, keeps_values, output_kind, rank_kind};
use super::plan_join::{self, JoinPlan};
use super::reads::{Pick, Read};
use super::top_step;
use crate::column::{Column, Kind};
use crate::config::{self, Accumulate, Aggregate, Emit, Firing, Fold, Format, Input, Late, Operation, Window};
use crate::join::Side;
use crate::plugin::{Instance, Opened, Plugin, PluginEngine, PluginKind};
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

/// A step's plugin and flows, found on the way forward.
struct Forward {
    plugin: Option<(Plugin, Opened)>,
    ports: Vec<FlowPort>,
    /// `select` of a step that makes columns: which of them, by index.
    select: Option<Vec<usize>>,
}

/// Plans `pipeline`, loading and opening its plugins. The error says everything that is wrong, one line each.
pub(super) fn plan(pipeline: &config::Pipeline, engine: &PluginEngine) -> Result<Plan, PipelineError> {
    let mut errors = Vec::new();
    let mut forward: Vec<Forward> = Vec::new();
    for step in &pipeline.steps {
        match flow_forward(pipeline, engine, &forward, step) {
            Ok(flow) => forward.push(flow),
            Err(error) => {
                errors.push(error);
                forward.push(Forward { plugin: None, ports: vec![FlowPort::default()], select: None });
            }
        }
    }
    if !errors.is_empty() {
        return Err(PipelineError::config(errors));
    }
    let mut planner = Planner {
        pipeline,
        forward,
        wanted_of_sources: vec![Vec::new(); pipeline.sources.len()],
        wanted_of_ports: Vec::new(),
        errors,
    };
    planner.wanted_of_ports = planner.forward.iter().map(|it| vec![Vec::new(); it.ports.len()]).collect();
    planner.demand();
    if !planner.errors.is_empty() {
        return Err(PipelineError::config(planner.errors));
    }
    let plan = planner.build()?;
    let errors: Vec<String> = (0..pipeline.sources.len()).filter_map(|it| plan.without_time(pipeline, it)).collect();
    if errors.is_empty() { Ok(plan) } else { Err(PipelineError::config(errors)) }
}

fn flow_of(pipeline: &config::Pipeline, forward: &[Forward], input: &Input) -> Result<Flow, String> {
    let ports: Vec<&[FlowPort]> = forward.iter().map(|it| &*it.ports).collect();
    flow::flow_of(pipeline, &ports, input)
}

fn flow_forward(
    pipeline: &config::Pipeline,
    engine: &PluginEngine,
    forward: &[Forward],
    step: &config::Step,
) -> Result<Forward, String> {
    let input = flow_of(pipeline, forward, &step.from)?;
    let main = |port: FlowPort| Forward { plugin: None, ports: vec![port], select: None };
    let mut flow = match &step.operation {
        Operation::Plugin(options) => {
            let (plugin, opened) = open(engine, step, options)?;
            match plugin.kind() {
                PluginKind::Aggregate => {
                    return Err(format!(
                        "step `{}`: `{}` is an aggregate plugin, which folds windows: give the step a `window`",
                        step.name,
                        options.path.display()
                    ));
                }
                PluginKind::Keyed if step.key.is_empty() => {
                    return Err(format!(
                        "step `{}`: `{}` is a keyed plugin: say which field is the key, as in key = \"customer_id\"",
                        step.name,
                        options.path.display()
                    ));
                }
                PluginKind::Transform if step.state_ttl_ms.is_some() => {
                    return Err(format!(
                        "step `{}`: `{}` is a transform plugin and keeps no state: drop `state_ttl`",
                        step.name,
                        options.path.display()
                    ));
                }
                PluginKind::Keyed | PluginKind::Transform => plugin_ports(plugin, opened, &input),
            }
        }
        Operation::Window { fold: Fold::Top(_), .. } => main(top_step::port(&input)),
        Operation::Window { window: Window::Rolling { .. }, fold: Fold::Builtin(aggregates), .. } => {
            let mut made = input.made.clone();
            for aggregate in aggregates {
                let kind = output_kind(aggregate, input_kind(pipeline, &input, aggregate));
                made.retain(|(name, _)| *name != aggregate.name);
                made.push((Arc::clone(&aggregate.name), kind));
            }
            main(FlowPort::passing(Flow { made, ..input.clone() }, aggregates.len()))
        }
        Operation::Window { fold: Fold::Builtin(aggregates), emit, .. } => {
            let mut made: Vec<_> = step.key.iter().map(|name| (Arc::clone(name), Kind::Json)).collect();
            made.push(("window_start".into(), Kind::S64));
            made.push(("window_end".into(), Kind::S64));
            if let Emit::Repeatedly(firing) = emit {
                if firing.panes {
                    made.push(("pane".into(), Kind::Text));
                    made.push(("pane_index".into(), Kind::S64));
                }
                if firing.accumulate == Accumulate::Retracting {
                    made.push(("retraction".into(), Kind::Boolean));
                }
            }
            for aggregate in aggregates {
                let kind = output_kind(aggregate, input_kind(pipeline, &input, aggregate));
                made.push((Arc::clone(&aggregate.name), kind));
            }
            main(FlowPort::making(made))
        }
        Operation::Window { window, fold: Fold::Plugin(options), .. } => {
            let (plugin, opened) = open(engine, step, options)?;
            if plugin.kind() != PluginKind::Aggregate {
                return Err(format!(
                    "step `{}`: `{}` is a {} plugin: a window wants an aggregate plugin",
                    step.name,
                    options.path.display(),
                    plugin.kind().name()
                ));
            }
            if matches!(window, Window::Rolling { .. }) {
                return Err(format!(
                    "step `{}`: a rolling window takes built-in aggregates only: use a keyed plugin instead",
                    step.name
                ));
            }
            let ports = plugin_ports(plugin, opened, &Flow::default());
            if ports.ports.iter().any(|it| it.fields.is_empty()) {
                return Err(format!(
                    "step `{}`: an aggregate plugin's ports need fields: a window has no record to pass on unchanged",
                    step.name
                ));
            }
            ports
        }
        Operation::Join(join) => {
            let with = flow_of(pipeline, forward, &join.with)?;
            let sides = Some(Arc::new([input.clone(), with]));
            main(FlowPort::passing(Flow { sides, ..Flow::default() }, 0))
        }
        Operation::Select | Operation::Dedupe { .. } => main(FlowPort::passing(input.clone(), 0)),
    };
    if let Some(select) = &step.select {
        let from = &flow.ports[0].flow;
        let mut made = Vec::new();
        let mut places = Vec::new();
        for (name, field) in select {
            if !from.has(field) {
                return Err(from.lacks(&format!("step `{}`", step.name), field));
            }
            places.extend(from.made.iter().position(|it| it.0 == *field));
            made.push((Arc::clone(name), from.kind_of(pipeline, field).unwrap_or(Kind::Json)));
        }
        if !matches!(step.operation, Operation::Select | Operation::Join(_)) {
            if from.is_open() {
                return Err(format!(
                    "step `{}`: its records pass on as they are, so `select` belongs on the sink or on a step of its own after it",
                    step.name
                ));
            }
            flow.select = Some(places);
        }
        let port = &mut flow.ports[0];
        *port = FlowPort { name: port.name.clone(), fields: port.fields.clone(), ..FlowPort::making(made) };
    }
    let decides = matches!(step.operation, Operation::Window { .. } | Operation::Dedupe { .. });
    if step.late == Late::SideOutput && decides {
        if flow.ports.iter().any(|it| it.name == LATE_PORT) {
            return Err(format!(
                "step `{}`: its plugin has an output `{LATE_PORT}` already, where late records would go",
                step.name
            ));
        }
        flow.ports.push(FlowPort { name: LATE_PORT.to_owned(), ..FlowPort::passing(input, 0) });
    }
    Ok(flow)
}

fn open(
    engine: &PluginEngine,
    step: &config::Step,
    options: &config::PluginOptions,
) -> Result<(Plugin, Opened), String> {
    let describe = |error: &dyn std::error::Error| format!("step `{}`: {}", step.name, super::error::chain(error));
    let plugin = Plugin::load(engine, &options.path).map_err(|error| describe(&error))?;
    // An instance of its own, for as long as it takes to ask it.
    let (_, opened) = Instance::start(&plugin, &options.config, &options.limits).map_err(|error| describe(&error))?;
    Ok((plugin, opened))
}

fn plugin_ports(plugin: Plugin, opened: Opened, input: &Flow) -> Forward {
    let ports = opened.spec.ports.iter().map(|port| {
        let made = |field: &Field| match &field.slot {
            Slot::Field(name) => Some((Arc::clone(name), field.kind)),
            _ => None,
        };
        let made = if port.fields.is_empty() {
            FlowPort::passing(input.clone(), 0)
        } else {
            FlowPort::making(port.fields.iter().filter_map(made).collect())
        };
        FlowPort { name: port.name.clone(), fields: port.fields.clone(), ..made }
    });
    let ports = ports.collect();
    Forward { plugin: Some((plugin, opened)), ports, select: None }
}

/// The backward pass and the building.
pub(super) struct Planner<'a> {
    /// What is planned.
    pub pipeline: &'a config::Pipeline,
    forward: Vec<Forward>,
    wanted_of_sources: Vec<Vec<Wanted>>,
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

    fn port_index(&self, step: usize, port: Option<&str>) -> usize {
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
        let inputs = match &step.operation {
            Operation::Join(join) => vec![&step.from, &join.with],
            _ => vec![&step.from],
        };
        for input in inputs {
            if let Input::Step(from, None) = input
                && let Operation::Window { emit: Emit::Repeatedly(Firing { upsert: true, .. }), .. } =
                    &pipeline.steps[*from].operation
            {
                self.errors.push(format!(
                    "{who} reads `{}`, whose results replace each other (upsert): they go to sinks only",
                    pipeline.steps[*from].name
                ));
            }
        }
        if matches!(step.operation, Operation::Join(_)) {
            return self.demand_of_join(index, &who);
        }
        if let Some(condition) = &step.condition {
            match condition_of(pipeline, step, condition, &self.flow(&step.from)) {
                Ok(filter) => {
                    filter.reads().iter().for_each(|(field, kind)| self.want(&who, &step.from, field, *kind));
                }
                Err(error) => self.errors.push(error),
            }
        }
        let reads: Vec<Field> = match &self.forward[index].plugin {
            Some((_, opened)) => opened.spec.reads.clone(),
            None => Vec::new(),
        };
        let rows = self.flow(&step.from);
        for field in &reads {
            if let Slot::Field(name) = &field.slot {
                if let Some(problem) = plan_join::not_a_side(&rows, name, field.kind) {
                    self.errors.push(format!("{who}: its plugin reads {problem}"));
                }
                self.want(&who, &step.from, name, field.kind);
            }
        }
        if let Operation::Window { fold: Fold::Builtin(aggregates), .. } = &step.operation {
            let flow = self.flow(&step.from);
            for aggregate in aggregates {
                if let Some(field) = &aggregate.field {
                    let kind = input_kind(pipeline, &flow, aggregate);
                    self.want(&who, &step.from, field, kind);
                }
            }
        }
        if let Operation::Window { fold: Fold::Top(top), .. } = &step.operation {
            let kind = rank_kind(pipeline, &self.flow(&step.from), &top.by);
            self.want(&who, &step.from, &top.by, kind);
        }
        if let Operation::Window { window: Window::Session { gap_field: Some(field), .. }, .. } = &step.operation {
            let kind = gap_kind(&self.flow(&step.from), field);
            self.want(&who, &step.from, field, kind);
        }
        if let (Operation::Select, Some(select)) = (&step.operation, &step.select) {
            let flow = self.flow(&step.from);
            for (_, field) in select {
                let kind = self.select_kind(&flow, field);
                self.want(&who, &step.from, field, kind);
            }
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

    fn targets(&self, is: impl Fn(&Input) -> bool) -> Vec<Target> {
        let steps = self.pipeline.steps.iter().enumerate();
        let sinks = self.pipeline.sinks.iter().enumerate();
        let lefts = steps.clone().filter(|it| is(&it.1.from)).map(|it| Target::Step(it.0, Side::Left));
        let joins = |step: &config::Step| matches!(&step.operation, Operation::Join(join) if is(&join.with));
        let rights = steps.filter(|it| joins(it.1)).map(|it| Target::Step(it.0, Side::Right));
        lefts.chain(rights).chain(sinks.filter(|it| is(&it.1.from)).map(|it| Target::Sink(it.0))).collect()
    }

    fn build(self) -> Result<Plan, PipelineError> {
        let sources = (0..self.pipeline.sources.len()).map(|source| {
            let input = Input::Source(source);
            let targets = self.targets(|it| *it == input);
            SourcePlan {
                wanted: self.wanted_of_sources[source].clone(),
                stream: Stream { shape: self.shape(&input), targets },
            }
        });
        let mut errors = Vec::new();
        let mut steps = Vec::new();
        for index in 0..self.pipeline.steps.len() {
            match self.build_step(index) {
                Ok(step) => steps.push(step),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(PipelineError::config(errors));
        }
        let sinks =
            self.pipeline.sinks.iter().map(|sink| SinkPlan { name: sink.name.clone(), shape: self.shape(&sink.from) });
        Ok(Plan { sources: sources.collect(), steps, sinks: sinks.collect() })
    }

    fn build_step(&self, index: usize) -> Result<StepPlan, String> {
        let step = &self.pipeline.steps[index];
        let input = self.shape(&step.from);
        let flow = self.flow(&step.from);
        let pick = |field: &Arc<str>, kind: Kind| {
            Pick::find(&input, field, kind)
                .ok_or_else(|| format!("step `{}`: `{field}` cannot be read as {}", step.name, kind.name()))
        };
        let gap = |window: &Window| match window {
            Window::Session { gap_field: Some(field), .. } => match gap_kind(&flow, field) {
                Kind::S64 => pick(field, Kind::S64).map(Some),
                kind => Err(format!(
                    "step `{}`: `{field}` is {} and cannot be a gap: a whole number of ms is expected",
                    step.name,
                    kind.name()
                )),
            },
            _ => Ok(None),
        };
        let operation = match &step.operation {
            Operation::Plugin(options) => {
                let plugin = self.build_plugin(index, options, &input)?;
                if plugin.plugin.kind() == PluginKind::Keyed {
                    OperationPlan::Keyed(plugin)
                } else {
                    OperationPlan::Transform(plugin)
                }
            }
            Operation::Window { window, fold: Fold::Plugin(options), emit } => OperationPlan::WindowPlugin {
                window: window.clone(),
                gap: gap(window)?,
                plugin: self.build_plugin(index, options, &input)?,
                emit: *emit,
            },
            Operation::Window { window, fold: Fold::Builtin(aggregates), emit } => {
                let mut inputs = Vec::new();
                let mut planned = Vec::new();
                for aggregate in aggregates {
                    let kind = input_kind(self.pipeline, &flow, aggregate);
                    if let Some(field) = &aggregate.field {
                        if !keeps_values(aggregate.function) && !matches!(kind, Kind::S64 | Kind::F64 | Kind::Number) {
                            return Err(format!(
                                "step `{}`: `{}` is {} and cannot be aggregated: a number is expected",
                                step.name,
                                field,
                                kind.name()
                            ));
                        }
                        inputs.push((Arc::clone(field), pick(field, kind)?));
                    }
                    planned.push((aggregate.clone(), kind));
                }
                OperationPlan::Window {
                    window: window.clone(),
                    aggregates: planned,
                    inputs,
                    gap: gap(window)?,
                    emit: *emit,
                }
            }
            Operation::Window { window, fold: Fold::Top(top), emit } => {
                let kind = rank_kind(self.pipeline, &flow, &top.by);
                if !matches!(kind, Kind::S64 | Kind::F64 | Kind::Number | Kind::Text) {
                    return Err(format!(
                        "step `{}`: `{}` is {} and cannot rank: a number or a text is expected",
                        step.name,
                        top.by,
                        kind.name()
                    ));
                }
                let ports = self.build_ports(index, &input);
                OperationPlan::Top {
                    window: window.clone(),
                    by: pick(&top.by, kind)?,
                    columns: top_step::kept(&input, ports.first()),
                    top: top.clone(),
                    gap: gap(window)?,
                    emit: *emit,
                }
            }
            Operation::Dedupe { within_ms } => OperationPlan::Dedupe { within_ms: *within_ms },
            Operation::Join(join) => OperationPlan::Join(Box::new(self.build_join(index, join)?)),
            Operation::Select => {
                let picks = |fields: &Vec<(Arc<str>, Arc<str>)>| {
                    let picks = fields.iter().map(|(_, field)| pick(field, self.select_kind(&flow, field)));
                    picks.collect::<Result<_, String>>()
                };
                OperationPlan::Select(step.select.as_ref().map(picks).transpose()?)
            }
        };
        let filter = match &step.condition {
            None => None,
            Some(condition) => {
                let filter = condition_of(self.pipeline, step, condition, &self.rows_of(step))?;
                let wanted =
                    if matches!(operation, OperationPlan::Join(_)) { self.wanted_of_rows(index)? } else { Vec::new() };
                let place = |read: &Wanted| match wanted.iter().position(|it| it == read) {
                    Some(index) => Ok(Pick { index, kind: read.1 }),
                    None => pick(&read.0, read.1),
                };
                let picks = filter.reads().iter().map(place).collect::<Result<_, _>>()?;
                Some(FilterPlan { filter, picks })
            }
        };
        let keyed = !matches!(operation, OperationPlan::Transform(_) | OperationPlan::Select(_));
        let key = match &operation {
            OperationPlan::Join(join) => Some(join.sides[0].key.clone()),
            _ if keyed => Some(step.key.iter().map(|field| pick(field, Kind::Json)).collect::<Result<_, _>>()?),
            _ => None,
        };
        let hold_ms = if let OperationPlan::Join(join) = &operation { join.hold_ms() } else { 0 };
        Ok(StepPlan {
            name: step.name.clone(),
            filter,
            key,
            key_names: step.key.clone(),
            operation,
            ports: self.build_ports(index, &input),
            input,
            late: step.late,
            source: flow.raw,
            hold_ms,
            state_ttl_ms: step.state_ttl_ms,
        })
    }

    fn build_plugin(&self, index: usize, options: &config::PluginOptions, input: &Shape) -> Result<PluginPlan, String> {
        let step = &self.pipeline.steps[index];
        let Some((plugin, opened)) = &self.forward[index].plugin else {
            return Err(format!("step `{}`: its plugin was not loaded", step.name));
        };
        let mut reads = Vec::new();
        let mut required = Vec::new();
        for (position, field) in opened.spec.reads.iter().enumerate() {
            let read = Read::new(field, input).ok_or_else(|| {
                format!("step `{}`: {:?} cannot be read as {}", step.name, field.slot, field.kind.name())
            })?;
            reads.push(read);
            if let (true, Slot::Field(name)) = (field.required, &field.slot) {
                required.push((position, Arc::clone(name), field.kind));
            }
        }
        Ok(PluginPlan { plugin: plugin.clone(), options: options.clone(), opened: opened.clone(), reads, required })
    }

    fn build_ports(&self, index: usize, input: &Shape) -> Vec<PortPlan> {
        let ports = self.forward[index].ports.iter().enumerate();
        let build = |(number, port): (usize, &FlowPort)| {
            let FlowPort { name, fields, own, .. } = port;
            let from = Input::Step(index, if name.is_empty() { None } else { Some(name.clone()) });
            let shape = self.shape(&from);
            let is = |it: &Input| {
                matches!(it, Input::Step(step, port)
                    if *step == index && self.port_index(*step, port.as_deref()) == number)
            };
            let passes = shape.columns.len() - own;
            let carry = shape.columns[..passes].iter().filter_map(|it| {
                let same = |have: &&ShapeColumn| have.name == it.name && have.kind == it.kind && have.made == it.made;
                input.columns.iter().position(|have| same(&have))
            });
            PortPlan {
                name: name.clone(),
                carry: carry.collect(),
                fields: fields.clone(),
                select: if number == 0 { self.forward[index].select.clone() } else { None },
                stream: Stream { shape: shape.clone(), targets: self.targets(is) },
            }
        };
        ports.map(build).collect()
    }
}
