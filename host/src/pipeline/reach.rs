//! What a plan tells about itself: what a stream's batches come to before they are re-keyed and what re-keys them, and its lines
//! for a person.

use super::plan::{OperationPlan, Plan, StepPlan, Stream, Target};
use crate::config::{self, TablesPart};
use crate::join::Side;
use crate::schema::Shape;

impl StepPlan {
    /// The step's inputs.
    pub(super) fn sides(&self) -> &'static [Side] {
        match self.operation {
            OperationPlan::Join(_) | OperationPlan::Tables(TablesPart::Matches, _) => &[Side::Left, Side::Right],
            _ => &[Side::Left],
        }
    }

    /// True where its batches take the way of joined ones.
    pub(super) fn joins(&self) -> bool {
        matches!(self.operation, OperationPlan::Join(_) | OperationPlan::Tables(..))
    }

    /// True for an input whose event time means nothing: a table that is looked up in as it is, or joined with another one.
    pub(super) fn is_timeless(&self, side: Side) -> bool {
        match (&self.operation, side) {
            (OperationPlan::Join(join), Side::Right) => join.join.kind == config::JoinKind::Latest,
            (OperationPlan::Tables(..), _) => true,
            _ => false,
        }
    }

    /// What batches of an input look like, and the source whose records they may still hold raw.
    pub(super) fn input_of(&self, side: Side) -> (&Shape, Option<usize>) {
        match (&self.operation, side) {
            (OperationPlan::Join(join) | OperationPlan::Tables(_, join), Side::Right) => {
                (&join.sides[1].input, join.sides[1].source)
            }
            _ => (&self.input, self.source),
        }
    }
}

impl Plan {
    /// The steps that a stream's batches reach without being re-keyed, the first keyed one on each way included.
    fn reached(&self, stream: &Stream) -> Vec<(usize, Side)> {
        let mut open: Vec<Target> = stream.targets.clone();
        let mut reached = Vec::new();
        while let Some(target) = open.pop() {
            let Target::Step(step, side) = target else { continue };
            reached.push((step, side));
            if self.steps[step].key.is_none() {
                open.extend(self.steps[step].ports.iter().flat_map(|it| &it.stream.targets));
            }
        }
        reached
    }

    /// The steps that a source's records reach without being re-keyed, the first keyed one on each way included.
    pub(super) fn reached_from(&self, source: usize) -> Vec<(usize, Side)> {
        self.reached(&self.sources[source].stream)
    }

    /// The queues that what a step gives out goes into, as steps and their inputs.
    pub(super) fn feeds(&self, step: usize) -> Vec<(usize, Side)> {
        let ports = self.steps[step].ports.iter();
        let reached = ports.flat_map(|it| self.reached(&it.stream));
        reached.filter(|it| self.steps[it.0].key.is_some()).collect()
    }

    /// True where a step works by the event time of a source's records: those are the keyed ones, unless they take what they need from a table
    /// as it is, or go by the clock.
    pub(super) fn reads_time_of(&self, source: usize) -> bool {
        self.reached_from(source).into_iter().any(|it| self.works_by_time(it))
    }

    fn works_by_time(&self, (step, side): (usize, Side)) -> bool {
        let plan = &self.steps[step];
        plan.key.is_some() && !plan.is_timeless(side) && !plan.processing_time
    }

    /// Why a source's records would all be refused: lines of a file have no time of their own.
    pub(super) fn without_time(&self, pipeline: &config::Pipeline, source: usize) -> Option<String> {
        let config::Source { name, connector, event_time, changes, .. } = &pipeline.sources[source];
        let untimed =
            matches!(connector, config::SourceConnector::File { .. }) && event_time.field.is_none() && !changes;
        let reached = self.reached_from(source).into_iter();
        let step = reached.into_iter().find(|it| self.works_by_time(*it)).filter(|_| untimed)?.0;
        Some(format!(
            "source `{name}`: step `{}` works by event time, and lines of files have no time of their own: name the field that holds \
             it with event_time = {{ field = \"..\" }}",
            self.steps[step].name
        ))
    }

    /// The plan for a person, a line for each source and step.
    pub(super) fn describe(&self, pipeline: &config::Pipeline) -> Vec<String> {
        let sources = pipeline.sources.iter().zip(&self.sources).map(|(source, plan)| {
            let fields = plan.wanted.iter().map(|(name, kind)| format!("{name}: {}", kind.name())).collect::<Vec<_>>();
            let fields = if fields.is_empty() { "nothing".to_owned() } else { fields.join(", ") };
            format!("source {}: decodes {fields}", source.name)
        });
        let steps = self.steps.iter().map(|step| {
            let columns = step.ports[0].stream.shape.columns.iter().map(|it| &*it.name).collect::<Vec<_>>().join(", ");
            let raw = if step.ports[0].stream.shape.raw { "the record" } else { "" };
            let gives = [raw, &columns].iter().filter(|it| !it.is_empty()).copied().collect::<Vec<_>>().join(" with ");
            let kind = match &step.operation {
                OperationPlan::Transform(plugin)
                | OperationPlan::Keyed(plugin)
                | OperationPlan::WindowPlugin { plugin, .. } => {
                    format!(
                        "{} plugin {} {}",
                        plugin.plugin.kind().name(),
                        plugin.opened.info.name,
                        plugin.opened.info.version
                    )
                }
                OperationPlan::Window { .. } => "window".to_owned(),
                OperationPlan::Top { .. } => "top".to_owned(),
                OperationPlan::Dedupe { .. } => "dedupe".to_owned(),
                OperationPlan::Join(_) => "join".to_owned(),
                OperationPlan::Tables(part, _) => format!("{part:?} of a join of tables").to_lowercase(),
                OperationPlan::Select(_) => "select".to_owned(),
            };
            format!("step {}: {kind}, {}, gives {gives}", step.name, step.signature())
        });
        sources.chain(steps).collect()
    }
}
