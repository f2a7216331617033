//! The first half of planning, forwards: what comes out of each step, and the plugins that say so.

use super::error::{PipelineError, chain};
use super::flow::{self, Flow, FlowPort, LATE_PORT};
use super::kinds::{input_kind, output_kind};
use super::plan_join;
use super::plan_tables;
use super::top_step;
use crate::column::Kind;
use crate::config::{self, Accumulate, Aggregate, Emit, Fold, Input, Late, Operation, Window};
use crate::plugin::{Instance, Opened, Plugin, PluginEngine, PluginKind};
use crate::schema::{Field, Slot};
use std::sync::Arc;

/// A step's plugin and flows.
pub(super) struct Forward {
    /// The plugin, and what it answered to `open`.
    pub plugin: Option<(Plugin, Opened)>,
    /// What comes out of it; at least one.
    pub ports: Vec<FlowPort>,
    /// `select` of a step that makes columns: which of them, by index.
    pub select: Option<Vec<usize>>,
}

impl Forward {
    fn of(port: FlowPort) -> Self {
        Forward { plugin: None, ports: vec![port], select: None }
    }
}

/// What comes out of each step of `pipeline`, in order. Loads and opens the plugins; the error says everything that is
/// wrong, one line each.
pub(super) fn forward(pipeline: &config::Pipeline, engine: &PluginEngine) -> Result<Vec<Forward>, PipelineError> {
    let mut errors = Vec::new();
    let mut way = Way { pipeline, engine, steps: Vec::new() };
    for step in &pipeline.steps {
        let forward = way.step(step).unwrap_or_else(|error| {
            errors.push(error);
            Forward::of(FlowPort::default())
        });
        way.steps.push(forward);
    }
    if errors.is_empty() { Ok(way.steps) } else { Err(PipelineError::config(errors)) }
}

/// What `input` names: its flow.
pub(super) fn flow_of(pipeline: &config::Pipeline, forward: &[Forward], input: &Input) -> Result<Flow, String> {
    let ports: Vec<&[FlowPort]> = forward.iter().map(|it| &*it.ports).collect();
    flow::flow_of(pipeline, &ports, input)
}

/// The steps so far.
struct Way<'a> {
    pipeline: &'a config::Pipeline,
    engine: &'a PluginEngine,
    steps: Vec<Forward>,
}

impl Way<'_> {
    fn step(&self, step: &config::Step) -> Result<Forward, String> {
        let input = flow_of(self.pipeline, &self.steps, &step.from)?;
        let mut forward = match &step.operation {
            Operation::Plugin(options) => self.plugin(step, options, &input)?,
            Operation::Window { fold: Fold::Top(_), .. } => Forward::of(top_step::port(&input)),
            Operation::Window { window, fold: Fold::Builtin(aggregates), emit } => {
                Forward::of(self.aggregates(step, window, aggregates, *emit, &input))
            }
            Operation::Window { window, fold: Fold::Plugin(options), .. } => self.fold(step, window, options)?,
            Operation::Join(join) => {
                let with = flow_of(self.pipeline, &self.steps, &join.with)?;
                Forward::of(plan_join::port(join, [input.clone(), with]))
            }
            Operation::Tables(tables) => {
                Forward::of(plan_tables::port(tables, |it| flow_of(self.pipeline, &self.steps, it))?)
            }
            Operation::Select | Operation::Dedupe { .. } => Forward::of(FlowPort::passing(input.clone(), 0)),
        };
        if let Some(select) = &step.select {
            self.select(step, select, &mut forward)?;
        }
        add_late(step, input, &mut forward)?;
        Ok(forward)
    }

    fn plugin(&self, step: &config::Step, options: &config::PluginOptions, input: &Flow) -> Result<Forward, String> {
        let (plugin, opened) = self.open(step, options)?;
        let wrong = match plugin.kind() {
            PluginKind::Aggregate => "an aggregate plugin, which folds windows: give the step a `window`",
            PluginKind::Keyed if step.key.is_empty() => {
                "a keyed plugin: say which field is the key, as in key = \"customer_id\""
            }
            PluginKind::Transform if step.state_ttl_ms.is_some() => {
                "a transform plugin and keeps no state: drop `state_ttl`"
            }
            PluginKind::Keyed | PluginKind::Transform => return Ok(plugin_ports(plugin, opened, input)),
        };
        Err(format!("step `{}`: `{}` is {wrong}", step.name, options.path.display()))
    }

    /// The one port of windows with built-in aggregates.
    fn aggregates(
        &self,
        step: &config::Step,
        window: &Window,
        aggregates: &[Aggregate],
        emit: Emit,
        input: &Flow,
    ) -> FlowPort {
        let kinds = aggregates.iter().map(|it| {
            let kind = output_kind(it, input_kind(self.pipeline, input, it));
            (Arc::clone(&it.name), kind)
        });
        if let Window::Rolling { .. } = window {
            let mut made = input.made.clone();
            made.retain(|(name, _)| aggregates.iter().all(|it| it.name != *name));
            made.extend(kinds);
            return FlowPort::passing(Flow { made, ..input.clone() }, aggregates.len());
        }
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
        made.extend(kinds);
        FlowPort::making(made)
    }

    /// The ports of windows that a plugin folds.
    fn fold(&self, step: &config::Step, window: &Window, options: &config::PluginOptions) -> Result<Forward, String> {
        let (plugin, opened) = self.open(step, options)?;
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
        let forward = plugin_ports(plugin, opened, &Flow::default());
        if forward.ports.iter().any(|it| it.fields.is_empty()) {
            return Err(format!(
                "step `{}`: an aggregate plugin's ports need fields: a window has no record to pass on unchanged",
                step.name
            ));
        }
        Ok(forward)
    }

    fn open(&self, step: &config::Step, options: &config::PluginOptions) -> Result<(Plugin, Opened), String> {
        let describe = |error: &dyn std::error::Error| format!("step `{}`: {}", step.name, chain(error));
        let plugin = Plugin::load(self.engine, &options.path).map_err(|error| describe(&error))?;
        // An instance of its own, for as long as it takes to ask it.
        let started = Instance::start(&plugin, &options.config, &options.limits);
        let (_, opened) = started.map_err(|error| describe(&error))?;
        Ok((plugin, opened))
    }

    /// What `select` leaves of the step's first port.
    fn select(
        &self,
        step: &config::Step,
        select: &[(Arc<str>, Arc<str>)],
        forward: &mut Forward,
    ) -> Result<(), String> {
        let from = &forward.ports[0].flow;
        let mut made = Vec::new();
        let mut places = Vec::new();
        for (name, field) in select {
            if !from.has(field) {
                return Err(from.lacks(&format!("step `{}`", step.name), field));
            }
            places.extend(from.made.iter().position(|it| it.0 == *field));
            made.push((Arc::clone(name), from.kind_of(self.pipeline, field).unwrap_or(Kind::Json)));
        }
        if !matches!(step.operation, Operation::Select | Operation::Join(_) | Operation::Tables(_)) {
            if from.is_open() {
                return Err(format!(
                    "step `{}`: its records pass on as they are, so `select` belongs on the sink or on a step of its own after it",
                    step.name
                ));
            }
            forward.select = Some(places);
        }
        let port = &mut forward.ports[0];
        *port = FlowPort { name: port.name.clone(), fields: port.fields.clone(), ..FlowPort::making(made) };
        Ok(())
    }
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

/// The port of late records, where the step has one: the last.
fn add_late(step: &config::Step, input: Flow, forward: &mut Forward) -> Result<(), String> {
    let decides = matches!(step.operation, Operation::Window { .. } | Operation::Dedupe { .. });
    if step.late != Late::SideOutput || !decides {
        return Ok(());
    }
    if forward.ports.iter().any(|it| it.name == LATE_PORT) {
        return Err(format!(
            "step `{}`: its plugin has an output `{LATE_PORT}` already, where late records would go",
            step.name
        ));
    }
    forward.ports.push(FlowPort { name: LATE_PORT.to_owned(), ..FlowPort::passing(input, 0) });
    Ok(())
}
