//! The last third of planning: what is wanted of each stream is known, and each step gets its shape, its columns and its readers.

use super::conditions::{FilterPlan, condition_of};
use super::error::PipelineError;
use super::flow::{Flow, FlowPort};
use super::kinds::{gap_kind, input_kind, keeps_values, rank_kind};
use super::plan::{OperationPlan, Plan, Planner, PluginPlan, PortPlan, SinkPlan, SourcePlan, StepPlan, Stream, Wanted};
use super::reads::{Pick, Read};
use super::top_step;
use crate::column::Kind;
use crate::config::{self, Aggregate, Condition, Emit, Fold, Input, Operation, Window};
use crate::plugin::PluginKind;
use crate::schema::{Shape, ShapeColumn, Slot};
use std::sync::Arc;

impl Planner<'_> {
    /// The plan, once all is asked for. The error says everything that is wrong, one line each.
    pub(super) fn build(self) -> Result<Plan, PipelineError> {
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
            match self.step(index).build() {
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

    fn step(&self, index: usize) -> Building<'_> {
        let step = &self.pipeline.steps[index];
        Building { planner: self, index, step, input: self.shape(&step.from), flow: self.flow(&step.from) }
    }
}

/// One step.
struct Building<'a> {
    planner: &'a Planner<'a>,
    index: usize,
    step: &'a config::Step,
    /// What it reads.
    input: Shape,
    /// What can be had of that.
    flow: Flow,
}

impl Building<'_> {
    fn build(self) -> Result<StepPlan, String> {
        let step = self.step;
        let operation = self.operation()?;
        let filter = match &step.condition {
            None => None,
            Some(condition) => {
                let joins = matches!(operation, OperationPlan::Join(_) | OperationPlan::Tables(..));
                Some(self.filter(condition, joins)?)
            }
        };
        let key = match &operation {
            OperationPlan::Join(join) | OperationPlan::Tables(_, join) => Some(join.sides[0].key.clone()),
            OperationPlan::Transform(_) | OperationPlan::Select(_) => None,
            _ => Some(step.key.iter().map(|field| self.pick(field, Kind::Json)).collect::<Result<_, _>>()?),
        };
        let hold_ms = if let OperationPlan::Join(join) = &operation { join.hold_ms() } else { 0 };
        Ok(StepPlan {
            name: step.name.clone(),
            filter,
            key,
            key_names: step.key.clone(),
            operation,
            ports: self.ports(),
            source: self.flow.raw,
            input: self.input,
            late: step.late,
            hold_ms,
            state_ttl_ms: step.state_ttl_ms,
            processing_time: step.processing_time,
        })
    }

    fn pick(&self, field: &Arc<str>, kind: Kind) -> Result<Pick, String> {
        Pick::find(&self.input, field, kind)
            .ok_or_else(|| format!("step `{}`: `{field}` cannot be read as {}", self.step.name, kind.name()))
    }

    fn operation(&self) -> Result<OperationPlan, String> {
        Ok(match &self.step.operation {
            Operation::Plugin(options) => {
                let plugin = self.plugin(options)?;
                if plugin.plugin.kind() == PluginKind::Keyed {
                    OperationPlan::Keyed(plugin)
                } else {
                    OperationPlan::Transform(plugin)
                }
            }
            Operation::Window { window, fold: Fold::Plugin(options), emit } => OperationPlan::WindowPlugin {
                window: window.clone(),
                gap: self.gap(window)?,
                plugin: self.plugin(options)?,
                emit: *emit,
            },
            Operation::Window { window, fold: Fold::Builtin(aggregates), emit } => {
                self.window(window, aggregates, *emit)?
            }
            Operation::Window { window, fold: Fold::Top(top), emit } => self.top(window, top, *emit)?,
            Operation::Dedupe { within_ms } => OperationPlan::Dedupe { within_ms: *within_ms },
            Operation::Join(join) => OperationPlan::Join(Box::new(self.planner.build_join(self.index, join)?)),
            Operation::Tables(tables) => {
                let join = self.planner.build_join(self.planner.result_of(self.index), &tables.join)?;
                OperationPlan::Tables(tables.part, Box::new(join))
            }
            Operation::Select => {
                let pick = |field: &Arc<str>| self.pick(field, self.planner.select_kind(&self.flow, field));
                let picks = |fields: &Vec<(Arc<str>, Arc<str>)>| fields.iter().map(|(_, field)| pick(field)).collect();
                OperationPlan::Select(self.step.select.as_ref().map(picks).transpose()?)
            }
        })
    }

    /// Where a record's own gap is.
    fn gap(&self, window: &Window) -> Result<Option<Pick>, String> {
        let Window::Session { gap_field: Some(field), .. } = window else { return Ok(None) };
        match gap_kind(&self.flow, field) {
            Kind::S64 => self.pick(field, Kind::S64).map(Some),
            kind => Err(format!(
                "step `{}`: `{field}` is {} and cannot be a gap: a whole number of ms is expected",
                self.step.name,
                kind.name()
            )),
        }
    }

    fn window(&self, window: &Window, aggregates: &[Aggregate], emit: Emit) -> Result<OperationPlan, String> {
        let mut inputs = Vec::new();
        let mut planned = Vec::new();
        for aggregate in aggregates {
            let kind = input_kind(self.planner.pipeline, &self.flow, aggregate);
            if let Some(field) = &aggregate.field {
                if !keeps_values(aggregate.function) && !matches!(kind, Kind::S64 | Kind::F64 | Kind::Number) {
                    return Err(format!(
                        "step `{}`: `{}` is {} and cannot be aggregated: a number is expected",
                        self.step.name,
                        field,
                        kind.name()
                    ));
                }
                inputs.push((Arc::clone(field), self.pick(field, kind)?));
            }
            planned.push((aggregate.clone(), kind));
        }
        let gap = self.gap(window)?;
        Ok(OperationPlan::Window { window: window.clone(), aggregates: planned, inputs, gap, emit })
    }

    fn top(&self, window: &Window, top: &config::Top, emit: Emit) -> Result<OperationPlan, String> {
        let kind = rank_kind(self.planner.pipeline, &self.flow, &top.by);
        if !matches!(kind, Kind::S64 | Kind::F64 | Kind::Number | Kind::Text) {
            return Err(format!(
                "step `{}`: `{}` is {} and cannot rank: a number or a text is expected",
                self.step.name,
                top.by,
                kind.name()
            ));
        }
        Ok(OperationPlan::Top {
            window: window.clone(),
            by: self.pick(&top.by, kind)?,
            columns: top_step::kept(&self.input, self.ports().first()),
            top: top.clone(),
            gap: self.gap(window)?,
            emit,
        })
    }

    /// What `where` reads: of a join, columns of the joined row.
    fn filter(&self, condition: &Condition, joins: bool) -> Result<FilterPlan, String> {
        let planner = self.planner;
        let filter = condition_of(planner.pipeline, self.step, condition, &planner.rows_of(self.step))?;
        let wanted = if joins { planner.wanted_of_rows(self.index)? } else { Vec::new() };
        let place = |read: &Wanted| match wanted.iter().position(|it| it == read) {
            Some(index) => Ok(Pick { index, kind: read.1 }),
            None => self.pick(&read.0, read.1),
        };
        let picks = filter.reads().iter().map(place).collect::<Result<_, _>>()?;
        Ok(FilterPlan { filter, picks })
    }

    fn plugin(&self, options: &config::PluginOptions) -> Result<PluginPlan, String> {
        let step = self.step;
        let Some((plugin, opened)) = &self.planner.forward[self.index].plugin else {
            return Err(format!("step `{}`: its plugin was not loaded", step.name));
        };
        let mut reads = Vec::new();
        let mut required = Vec::new();
        for (position, field) in opened.spec.reads.iter().enumerate() {
            let read = Read::new(field, &self.input).ok_or_else(|| {
                format!("step `{}`: {:?} cannot be read as {}", step.name, field.slot, field.kind.name())
            })?;
            reads.push(read);
            if let (true, Slot::Field(name)) = (field.required, &field.slot) {
                required.push((position, Arc::clone(name), field.kind));
            }
        }
        Ok(PluginPlan { plugin: plugin.clone(), options: options.clone(), opened: opened.clone(), reads, required })
    }

    fn ports(&self) -> Vec<PortPlan> {
        let (planner, index) = (self.planner, self.index);
        let ports = planner.forward[index].ports.iter().enumerate();
        let build = |(number, port): (usize, &FlowPort)| {
            let FlowPort { name, fields, own, .. } = port;
            let from = Input::Step(index, if name.is_empty() { None } else { Some(name.clone()) });
            let shape = planner.shape(&from);
            let is = |it: &Input| {
                matches!(it, Input::Step(step, port)
                    if *step == index && planner.port_index(*step, port.as_deref()) == number)
            };
            let passes = shape.columns.len() - own;
            let carry = shape.columns[..passes].iter().filter_map(|it| {
                let same = |have: &&ShapeColumn| have.name == it.name && have.kind == it.kind && have.made == it.made;
                self.input.columns.iter().position(|have| same(&have))
            });
            PortPlan {
                name: name.clone(),
                carry: carry.collect(),
                fields: fields.clone(),
                select: if number == 0 { planner.forward[index].select.clone() } else { None },
                stream: Stream { shape: shape.clone(), targets: planner.targets(is) },
            }
        };
        ports.map(build).collect()
    }
}
