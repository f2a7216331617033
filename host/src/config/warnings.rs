//! What is allowed in a pipeline but likely a slip.

use super::model::{Input, Pipeline, SinkConnector, SourceConnector};
use super::sinks::addresses;

/// What a user should know before running `pipeline`, one sentence each, in the order of the file.
pub fn warnings(pipeline: &Pipeline) -> Vec<String> {
    let steps = || pipeline.steps.iter().flat_map(|it| [&it.from].into_iter().chain(it.with()));
    let inputs = || steps().chain(pipeline.sinks.iter().map(|it| &it.from));
    let mut warnings = Vec::new();
    for (index, source) in pipeline.sources.iter().enumerate() {
        if !inputs().any(|it| *it == Input::Source(index)) {
            warnings.push(format!("sources.{}: no step or sink reads it; its records go nowhere", source.name));
        }
    }
    for (index, step) in pipeline.steps.iter().enumerate() {
        if !inputs().any(|it| matches!(it, Input::Step(from, _) if *from == index)) {
            warnings.push(format!("steps.{}: no step or sink reads it; its results go nowhere", step.name));
        }
    }
    for sink in pipeline.sinks.iter().chain(&pipeline.dead_letters) {
        for source in &pipeline.sources {
            let (SinkConnector::Kafka(to), SourceConnector::Kafka(from)) = (&sink.connector, &source.connector) else {
                continue;
            };
            if from.topics().any(|it| it == to.topic) && !addresses(&to.brokers).is_disjoint(&addresses(&from.brokers))
            {
                let (sink, source, topic) = (&sink.name, &source.name, &to.topic);
                warnings.push(format!(
                    "{sink}: writes the topic {topic} that the source {source} reads: a loop without end"
                ));
            }
        }
    }
    warnings
}
