//! What a plan tells about itself: which steps a source reaches, and its lines for a person.

use super::plan::{OperationPlan, Plan, Target};
use crate::config;

impl Plan {
    /// The steps that a source's records reach without being re-keyed, the first keyed one on each way included.
    pub(super) fn reached_from(&self, source: usize) -> Vec<usize> {
        let mut open: Vec<Target> = self.sources[source].stream.targets.clone();
        let mut reached = Vec::new();
        while let Some(target) = open.pop() {
            let Target::Step(step) = target else { continue };
            reached.push(step);
            if self.steps[step].key.is_none() {
                open.extend(self.steps[step].ports.iter().flat_map(|it| &it.stream.targets));
            }
        }
        reached
    }

    /// True where a step works by the event time of a source's records: those are the keyed ones.
    pub(super) fn reads_time_of(&self, source: usize) -> bool {
        self.reached_from(source).into_iter().any(|it| self.steps[it].key.is_some())
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
                OperationPlan::Select(_) => "select".to_owned(),
            };
            format!("step {}: {kind}, {}, gives {gives}", step.name, step.signature())
        });
        sources.chain(steps).collect()
    }
}
