//! The plan of a step that stands alone.

use super::super::plan::{OperationPlan, PluginPlan, PortPlan, StepPlan, Stream};
use super::super::reads::{Pick, Read};
use super::{Need, TrialError, TrialOptions};
use crate::column::Kind;
use crate::config::{Emit, EventTimeOptions, Format, Late, PluginOptions, TimeFormat, Window};
use crate::decode::Projection;
use crate::pipeline::{Failure, PipelineError};
use crate::plugin::{Instance, Opened, Plugin, PluginKind};
use crate::schema::{Field, Port, Shape, ShapeColumn, Slot};
use std::path::PathBuf;
use std::sync::Arc;

/// A step, what is decoded for it, and where keys come from.
pub(super) struct Planned {
    pub(super) step: StepPlan,
    pub(super) projection: Projection,
    /// The columns of the key that the options name; also where the step itself is not keyed.
    pub(super) key: Vec<Pick>,
}

impl Planned {
    /// Opens `plugin` in an instance of its own and plans a step of it.
    pub(super) fn new(plugin: &Plugin, options: &TrialOptions) -> Result<(Planned, Opened), TrialError> {
        let (_, opened) = Instance::start(plugin, &options.config, &options.limits)?;
        let input = input(&opened.spec.reads, &options.key);
        let cannot_be = |what: &str| PipelineError::stop(Failure::Internal, format!("{what} cannot be read"));
        let key = options.key.iter().map(|it| Pick::find(&input, it, Kind::Json).ok_or_else(|| cannot_be(it)));
        let key: Vec<Pick> = key.collect::<Result<_, _>>()?;
        let reads = opened.spec.reads.iter().map(|it| Read::new(it, &input).ok_or_else(|| cannot_be("a field")));
        let plan = PluginPlan {
            plugin: plugin.clone(),
            options: PluginOptions {
                path: PathBuf::from(plugin.label()),
                config: options.config.clone(),
                limits: options.limits.clone(),
            },
            reads: reads.collect::<Result<_, _>>()?,
            required: required(&opened.spec.reads),
            opened: opened.clone(),
        };
        let operation = match plugin.kind() {
            PluginKind::Transform => OperationPlan::Transform(plan),
            PluginKind::Keyed => OperationPlan::Keyed(plan),
            PluginKind::Aggregate => OperationPlan::WindowPlugin {
                // Whoever folds by hand needs none; it is then not used.
                window: options.window.clone().unwrap_or(Window::Tumbling { size_ms: 1, offset_ms: 0 }),
                gap: None,
                plugin: plan,
                emit: Emit::OnClose,
            },
        };
        let step = StepPlan {
            name: opened.info.name.clone(),
            filter: None,
            key: (plugin.kind() != PluginKind::Transform).then(|| key.clone()),
            key_names: options.key.clone(),
            operation,
            ports: opened.spec.ports.iter().map(port).collect(),
            input: input.clone(),
            late: Late::DeadLetter, // Its reasons are what is shown of late records.
            source: Some(0),
            hold_ms: 0,
            state_ttl_ms: None,
            processing_time: false,
        };
        let projection = projection(&input, options)?;
        Ok((Planned { step, projection, key }, opened))
    }

    /// Whether the options hold what the step needs.
    pub(super) fn check(&self, options: &TrialOptions) -> Result<(), TrialError> {
        let Some(plugin) = self.plugin() else { return Ok(()) };
        if plugin.plugin.kind() == PluginKind::Keyed && options.key.is_empty() {
            return Err(TrialError::Needs(Need::Key));
        }
        let reads_time = plugin.opened.spec.reads.iter().any(|it| it.slot == Slot::Time);
        if options.time.is_none() && (reads_time || options.window.is_some()) {
            return Err(TrialError::Needs(Need::Time));
        }
        Ok(())
    }

    /// The plugin of the step.
    pub(super) fn plugin(&self) -> Option<&PluginPlan> {
        match &self.step.operation {
            OperationPlan::Transform(it) | OperationPlan::Keyed(it) => Some(it),
            OperationPlan::WindowPlugin { plugin, .. } => Some(plugin),
            _ => None,
        }
    }
}

/// Records as they were read, with the fields that the plugin and the key are made of.
fn input(reads: &[Field], key: &[Arc<str>]) -> Shape {
    let read = reads.iter().filter_map(|it| match &it.slot {
        Slot::Field(name) => Some((Arc::clone(name), it.kind)),
        _ => None,
    });
    let mut columns: Vec<ShapeColumn> = Vec::new();
    for (name, kind) in read.chain(key.iter().map(|it| (Arc::clone(it), Kind::Json))) {
        if !columns.iter().any(|it| it.name == name && it.kind == kind) {
            columns.push(ShapeColumn { name, kind, made: false });
        }
    }
    Shape { raw: true, columns }
}

fn required(reads: &[Field]) -> Vec<(usize, Arc<str>, Kind)> {
    let required = reads.iter().enumerate().filter(|(_, it)| it.required);
    let field = |(position, it): (usize, &Field)| match &it.slot {
        Slot::Field(name) => Some((position, Arc::clone(name), it.kind)),
        _ => None,
    };
    required.filter_map(field).collect()
}

fn port(port: &Port) -> PortPlan {
    let made = port.fields.iter().filter_map(|it| match &it.slot {
        Slot::Field(name) => Some(ShapeColumn { name: Arc::clone(name), kind: it.kind, made: true }),
        _ => None,
    });
    let shape = Shape { raw: port.fields.is_empty(), columns: made.collect() };
    PortPlan {
        name: port.name.clone(),
        carry: Vec::new(),
        fields: port.fields.clone(),
        select: None,
        stream: Stream { shape, targets: Vec::new() },
    }
}

fn projection(input: &Shape, options: &TrialOptions) -> Result<Projection, PipelineError> {
    let wanted: Vec<_> = input.columns.iter().map(|it| (Arc::clone(&it.name), it.kind)).collect();
    let (field, format) = match &options.time {
        Some((field, format)) => (Some(Arc::clone(field)), *format),
        None => (None, TimeFormat::EpochMs),
    };
    let timeless = field.is_none();
    let event_time =
        EventTimeOptions { field, format, delay_ms: 0, idle_timeout_ms: None, drift_ms_max: None, late: Late::Drop };
    let projection = Projection::plan(&wanted, &event_time, Format::Json)
        .map_err(|error| PipelineError::stop(Failure::Config, error.to_string()))?;
    Ok(if timeless { projection.without_time() } else { projection })
}
