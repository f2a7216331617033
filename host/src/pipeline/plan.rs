//! The plan: a checked pipeline turned into what a worker runs. Which columns each source decodes, what each stream looks
//! like, who reads it, and where a re-keying stands between two steps.
//!
//! Planned backwards: a field is decoded only if a step or a sink reads it somewhere down the stream.

use super::error::PipelineError;
use super::kinds::{declared, gap_kind, input_kind, keeps_values, output_kind};
use super::reads::{Pick, Read};
use crate::column::{Column, Kind};
use crate::config::{self, Accumulate, Aggregate, Emit, Firing, Fold, Format, Input, Late, Operation, Window};
use crate::plugin::{Instance, Opened, Plugin, PluginEngine, PluginKind};
use crate::schema::{Field, Shape, ShapeColumn, Slot};
use std::sync::Arc;

/// The output of a window step that late records go to.
pub(super) const LATE_PORT: &str = "late";

/// A field and the kind in which somebody wants it.
pub(super) type Wanted = (Arc<str>, Kind);

/// Who reads a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A step, by index.
    Step(usize),
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
    /// Renames and drops fields.
    Select(Vec<Pick>),
}

/// A step.
#[derive(Clone)]
pub(super) struct StepPlan {
    /// Its name.
    pub name: String,
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

/// What is known of a stream before demands are: the source whose raw records it carries, and the columns made so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// The source.
    pub raw: Option<usize>,
    /// The source that its fields' declared kinds come from.
    pub made: Vec<(Arc<str>, Kind)>,
}

impl Flow {
    fn names(&self) -> String {
        self.made.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ")
    }
}

/// A step's plugin and flows, found on the way forward.
struct Forward {
    plugin: Option<(Plugin, Opened)>,
    ports: Vec<(String, Vec<Field>, Flow)>,
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
                forward.push(Forward {
                    plugin: None,
                    ports: vec![(String::new(), Vec::new(), Flow::default())],
                    select: None,
                });
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
    let errors: Vec<String> = (0..pipeline.sources.len()).filter_map(|it| without_time(pipeline, &plan, it)).collect();
    if errors.is_empty() { Ok(plan) } else { Err(PipelineError::config(errors)) }
}

/// Why a source's records would all be refused: lines of a file have no time of their own.
fn without_time(pipeline: &config::Pipeline, plan: &Plan, source: usize) -> Option<String> {
    let config::Source { name, connector, event_time, .. } = &pipeline.sources[source];
    let untimed = matches!(connector, config::SourceConnector::File { .. }) && event_time.field.is_none();
    let step = plan.reached_from(source).into_iter().find(|it| plan.steps[*it].key.is_some()).filter(|_| untimed)?;
    Some(format!(
        "source `{name}`: step `{}` works by event time, and lines of files have no time of their own: name the field that holds it \
         with event_time = {{ field = \"..\" }}",
        plan.steps[step].name
    ))
}

fn flow_of<'a>(pipeline: &config::Pipeline, forward: &'a [Forward], input: &Input) -> Result<(Flow, &'a str), String> {
    match input {
        Input::Source(source) => {
            let raw = Some(*source);
            let _ = &pipeline.sources[*source];
            Ok((Flow { raw, made: Vec::new() }, ""))
        }
        Input::Step(step, port) => {
            let ports = &forward[*step].ports;
            let found = match port {
                None => ports.first(),
                Some(name) => ports.iter().find(|it| &it.0 == name),
            };
            let Some(found) = found else {
                if port.as_deref() == Some(LATE_PORT) {
                    let step = &pipeline.steps[*step].name;
                    return Err(format!(
                        "`{step}.{LATE_PORT}` has no records: say late = \"side-output\" in step `{step}`"
                    ));
                }
                let names = ports.iter().map(|it| format!("`{}`", it.0)).collect::<Vec<_>>().join(", ");
                let step = &pipeline.steps[*step].name;
                return Err(format!(
                    "`{step}.{}` is no output of step `{step}`: its plugin has {names}",
                    port.as_deref().unwrap_or_default()
                ));
            };
            Ok((found.2.clone(), &found.0))
        }
    }
}

fn flow_forward(
    pipeline: &config::Pipeline,
    engine: &PluginEngine,
    forward: &[Forward],
    step: &config::Step,
) -> Result<Forward, String> {
    let (input, _) = flow_of(pipeline, forward, &step.from)?;
    let main = |flow: Flow| Forward { plugin: None, ports: vec![(String::new(), Vec::new(), flow)], select: None };
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
                PluginKind::Keyed | PluginKind::Transform => plugin_ports(plugin, opened, &input),
            }
        }
        Operation::Window { window: Window::Rolling { .. }, fold: Fold::Builtin(aggregates), .. } => {
            let mut made = input.made.clone();
            for aggregate in aggregates {
                let kind = output_kind(aggregate, input_kind(pipeline, &input, aggregate));
                made.retain(|(name, _)| *name != aggregate.name);
                made.push((Arc::clone(&aggregate.name), kind));
            }
            main(Flow { raw: input.raw, made })
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
            main(Flow { raw: None, made })
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
            if ports.ports.iter().any(|it| it.1.is_empty()) {
                return Err(format!(
                    "step `{}`: an aggregate plugin's ports need fields: a window has no record to pass on unchanged",
                    step.name
                ));
            }
            ports
        }
        Operation::Select => main(input.clone()),
    };
    if let Some(select) = &step.select {
        let port = &mut flow.ports[0];
        let mut made = Vec::new();
        let mut places = Vec::new();
        for (name, field) in select {
            places.extend(port.2.made.iter().position(|it| it.0 == *field));
            let kind = match port.2.made.iter().find(|it| it.0 == *field) {
                Some((_, kind)) => *kind,
                None if port.2.raw.is_some() => declared(pipeline, port.2.raw, field).unwrap_or(Kind::Json),
                None => return Err(no_field(&format!("step `{}`", step.name), field, &port.2)),
            };
            made.push((Arc::clone(name), kind));
        }
        if !matches!(step.operation, Operation::Select) && port.2.raw.is_some() {
            return Err(format!(
                "step `{}`: its records pass on as they are, so `select` belongs on the sink or on a step of its own after it",
                step.name
            ));
        }
        port.2 = Flow { raw: None, made };
        if !matches!(step.operation, Operation::Select) {
            flow.select = Some(places);
        }
    }
    if step.late == Late::SideOutput && matches!(step.operation, Operation::Window { .. }) {
        if flow.ports.iter().any(|it| it.0 == LATE_PORT) {
            return Err(format!(
                "step `{}`: its plugin has an output `{LATE_PORT}` already, where late records would go",
                step.name
            ));
        }
        flow.ports.push((LATE_PORT.to_owned(), Vec::new(), input));
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
        let flow = if port.fields.is_empty() {
            input.clone()
        } else {
            Flow { raw: None, made: port.fields.iter().filter_map(made).collect() }
        };
        (port.name.clone(), port.fields.clone(), flow)
    });
    let ports = ports.collect();
    Forward { plugin: Some((plugin, opened)), ports, select: None }
}

fn no_field(who: &str, field: &str, flow: &Flow) -> String {
    let near = flow.made.iter().map(|it| (strsim::jaro_winkler(&it.0, field), &it.0));
    let near = near.filter(|it| it.0 > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = near.map(|it| format!(": did you mean `{}`?", it.1)).unwrap_or_default();
    format!("{who} reads the field `{field}`, but what it reads from has only {}{hint}", flow.names())
}

/// The backward pass and the building.
struct Planner<'a> {
    pipeline: &'a config::Pipeline,
    forward: Vec<Forward>,
    wanted_of_sources: Vec<Vec<Wanted>>,
    wanted_of_ports: Vec<Vec<Vec<Wanted>>>,
    errors: Vec<String>,
}

impl Planner<'_> {
    fn flow(&self, input: &Input) -> Flow {
        // The forward pass has already refused a port that is not there.
        flow_of(self.pipeline, &self.forward, input).map(|it| it.0).unwrap_or_default()
    }

    fn port_index(&self, step: usize, port: Option<&str>) -> usize {
        port.and_then(|name| self.forward[step].ports.iter().position(|it| it.0 == name)).unwrap_or(0)
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
    fn want(&mut self, who: &str, input: &Input, field: &Arc<str>, kind: Kind) {
        let flow = self.flow(input);
        if flow.made.iter().any(|it| it.0 == *field) {
            return;
        }
        let Some(source) = flow.raw else {
            self.errors.push(no_field(who, field, &flow));
            return;
        };
        if self.pipeline.sources[source].format == Format::Raw {
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

    /// The kind in which `select` takes a field.
    fn select_kind(&self, flow: &Flow, field: &str) -> Kind {
        declared(self.pipeline, flow.raw, field).unwrap_or(Kind::Json)
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
        if let Input::Step(from, None) = step.from
            && let Operation::Window { emit: Emit::Repeatedly(Firing { upsert: true, .. }), .. } =
                &pipeline.steps[from].operation
        {
            self.errors.push(format!(
                "{who} reads `{}`, whose results replace each other (upsert): they go to sinks only",
                pipeline.steps[from].name
            ));
        }
        let reads: Vec<Field> = match &self.forward[index].plugin {
            Some((_, opened)) => opened.spec.reads.clone(),
            None => Vec::new(),
        };
        for field in &reads {
            if let Slot::Field(name) = &field.slot {
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
            if self.forward[index].ports[port].2.raw.is_some() {
                for (field, kind) in self.wanted_of_ports[index][port].clone() {
                    self.want(&who, &step.from, &field, kind);
                }
            }
        }
    }

    fn shape(&self, input: &Input) -> Shape {
        let flow = self.flow(input);
        let wanted = match input {
            Input::Source(source) => &self.wanted_of_sources[*source],
            Input::Step(step, port) => &self.wanted_of_ports[*step][self.port_index(*step, port.as_deref())],
        };
        let projected = wanted.iter().map(|(name, kind)| (name, *kind, false));
        let made = flow.made.iter().map(|(name, kind)| (name, *kind, true));
        let columns =
            projected.chain(made).map(|(name, kind, made)| ShapeColumn { name: Arc::clone(name), kind, made });
        Shape { raw: flow.raw.is_some(), columns: columns.collect() }
    }

    fn targets(&self, is: impl Fn(&Input) -> bool) -> Vec<Target> {
        let steps = self.pipeline.steps.iter().enumerate();
        let sinks = self.pipeline.sinks.iter().enumerate();
        let steps = steps.filter(|it| is(&it.1.from)).map(|it| Target::Step(it.0));
        steps.chain(sinks.filter(|it| is(&it.1.from)).map(|it| Target::Sink(it.0))).collect()
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
            Operation::Select => {
                let fields = step.select.iter().flatten();
                let picks = fields.map(|(_, field)| pick(field, self.select_kind_in(&input, &flow, field)));
                OperationPlan::Select(picks.collect::<Result<_, _>>()?)
            }
        };
        let keyed = !matches!(operation, OperationPlan::Transform(_) | OperationPlan::Select(_));
        let key = if keyed {
            Some(step.key.iter().map(|field| pick(field, Kind::Json)).collect::<Result<_, _>>()?)
        } else {
            None
        };
        Ok(StepPlan {
            name: step.name.clone(),
            key,
            key_names: step.key.clone(),
            operation,
            ports: self.build_ports(index, &input),
            input,
            late: step.late,
            source: flow.raw,
        })
    }

    fn select_kind_in(&self, input: &Shape, flow: &Flow, field: &str) -> Kind {
        let made = input.columns.iter().find(|it| it.made && &*it.name == field);
        made.map_or_else(|| self.select_kind(flow, field), |it| it.kind)
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
        let build = |(number, (name, fields, flow)): (usize, &(String, Vec<Field>, Flow))| {
            let from = Input::Step(index, if name.is_empty() { None } else { Some(name.clone()) });
            let shape = self.shape(&from);
            let is = |it: &Input| {
                matches!(it, Input::Step(step, port)
                    if *step == index && self.port_index(*step, port.as_deref()) == number)
            };
            // A window's own columns may be called as its input's are; what passes through keeps all that it has.
            let through = name == LATE_PORT || self.forward[index].plugin.is_some();
            let passes = |column: &ShapeColumn| !column.made || flow.raw.is_some() || through;
            let carried = shape.columns.iter().filter(|it| passes(it));
            let carry = carried.filter_map(|it| {
                input
                    .columns
                    .iter()
                    .position(|have| have.name == it.name && have.kind == it.kind && have.made == it.made)
            });
            let carry = if fields.is_empty() { carry.collect() } else { Vec::new() };
            PortPlan {
                name: name.clone(),
                carry,
                fields: fields.clone(),
                select: if number == 0 { self.forward[index].select.clone() } else { None },
                stream: Stream { shape: shape.clone(), targets: self.targets(is) },
            }
        };
        ports.map(build).collect()
    }
}
